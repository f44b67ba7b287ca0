"""What is written into videos and pictures of aulight's, so that they are known as such wherever they lie."""

import os
from pathlib import Path

from aulight.data.remembered import remembered

MARK = "made by aulight: "
"""What the comment in a file begins with that is no raw one; after it comes what it is."""

OVERLAY, CROPS, PLOT, STRIP, FACE = "overlay", "crops", "plot", "pictures for a coder", "strongest moments"
"""What they are: with bars of intensities, aligned faces, a figure, drawn frames, faces of a video in small."""

_BYTES = 1 << 12  # of an mp4 of aulight's at its end, of a png or jpg at its beginning, in which the comment is
_PICTURES = b"\x89PNG", b"\xff\xd8\xff"


def made_as(path: Path) -> str | None:
    """What a video or picture was made as, wherever it lies; ``None`` for a raw one.

    Raises:
        OSError: When it cannot be read.
    """
    return remembered(path, _made_as)


def _made_as(path: Path) -> str | None:
    with path.open("rb") as file:
        part = file.read(_BYTES)
        if not part.startswith(_PICTURES):
            file.seek(max(0, file.seek(0, os.SEEK_END) - _BYTES))
            part = file.read(_BYTES)
    return next((made for made in (OVERLAY, CROPS, PLOT, STRIP, FACE) if f"{MARK}{made}".encode() in part), None)
