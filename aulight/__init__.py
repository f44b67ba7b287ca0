"""aulight: facial action unit intensities from unlabelled video and a few labelled frames."""

__version__ = "0.1.0"
