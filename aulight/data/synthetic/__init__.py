"""Drawn faces with known intensities."""
