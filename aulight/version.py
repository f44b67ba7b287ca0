"""The version of aulight."""

__version__ = "0.1.0"
