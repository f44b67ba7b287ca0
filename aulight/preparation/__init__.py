"""Prepared datasets from raw videos, and frames of them to be labelled."""
