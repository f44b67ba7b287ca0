"""Coding drawn frames in the browser: the page, its server, the scores on disk, and how well coders agree."""
