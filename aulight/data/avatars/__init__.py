"""Heads in three dimensions that act, with known intensities."""
