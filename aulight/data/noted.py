"""Columns of ``videos.parquet`` that say where a video came from and how it was made."""

SOURCE_COLUMNS = ("source_sha256", "source_size", "source_mtime_ns")
"""Optional columns of ``videos.parquet``: what :mod:`aulight.data.video.digest` says of each raw video."""

DIGESTS = ("source_sha256", "pictures_sha256", "file_sha256")
"""Those columns by which a video is known again (:func:`aulight.data.contents.shown`): what its raw file holds, the
pictures in it, and the prepared file."""

FOLLOWING = ("frames_not_followed", "faces_elsewhere")
"""Optional columns likewise, where one person was followed: frames with faces of others alone, and how often a face
elsewhere was taken for theirs."""

ELSEWHERE = "elsewhere_frames"
"""Optional column likewise: where in the prepared video they were, ``12 340``."""

NOTED = tuple(dict.fromkeys((*SOURCE_COLUMNS, *DIGESTS, *FOLLOWING, ELSEWHERE)))
"""All columns that say where a video came from and how it was made, and nothing of what it is for."""
