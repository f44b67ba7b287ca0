"""Prepared datasets in a bucket: objects asked for by range, kept on disk within bounds."""
