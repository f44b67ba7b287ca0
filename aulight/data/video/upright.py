"""How a video is to be turned before it is shown.

PyAV's ``frame.side_data`` would say it, but must not be touched: it raises at kinds of side data that it does not know
(EXIF), and frees the text of others a second time (colour profiles), which ends the process. It has the rotation
elsewhere, though not whether a picture is mirrored; that is said by the header of the track in mp4 and its kin alone.
"""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from aulight.data.video.types import Frames

Turn = npt.NDArray[np.int64]
"""``(2, 2)``: where the axes of a stored picture point in the one that is shown, each -1, 0 or 1."""

MP4 = "mov,mp4,m4a,3gp,3g2,mj2"
"""FFmpeg's name for mp4 and its kin."""

_HEADER = 16  # bytes of the longest header of a box
_MOST = 1 << 20  # bytes of a header box that are looked at; they have about a hundred


def turn_of_track(path: Path, track: int) -> Turn | None:
    """How a track of an mp4 is to be turned or mirrored, ``None`` where its header does not say.

    Args:
        path: The file.
        track: Its number, in PyAV the ``id`` of the stream.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            for start, end in _boxes(file, 0, size, b"moov"):
                whole = next((_matrix(file, *box, 36) for box in _boxes(file, start, end, b"mvhd")), None)
                for trak in _boxes(file, start, end, b"trak"):
                    for box in _boxes(file, *trak, b"tkhd"):
                        own = _matrix(file, *box, 40)
                        if own is not None and own[0] == track:
                            return _nearest(own[1] if whole is None else own[1] @ whole[1])
    except (OSError, struct.error):
        pass
    return None


def _boxes(file: IO[bytes], start: int, end: int, wanted: bytes) -> Iterator[tuple[int, int]]:
    """Where the contents of the boxes of a kind begin and end, between two places of a file."""
    while start + 8 <= end:
        file.seek(start)
        size, kind = struct.unpack(">I4s", file.read(8))
        header = 8
        if size == 1:
            size, header = struct.unpack(">Q", file.read(8))[0], _HEADER
        size = size or end - start
        if size < header:
            return
        if kind == wanted:
            yield start + header, min(start + size, end)
        start += size


def _matrix(file: IO[bytes], start: int, end: int, place: int) -> tuple[int, npt.NDArray[np.float64]] | None:
    """The number of the track and the matrix of a header whose version 0 has the matrix at that place."""
    file.seek(start)
    data = file.read(min(end - start, _MOST))
    later = 12 * (data[:1] == b"\1")  # version 1 has its times in 8 bytes each
    numbers = struct.unpack_from(">5i", data, place + later)
    track = struct.unpack_from(">I", data, 12 + later * 2 // 3)[0]
    return track, np.array([[numbers[0], numbers[1]], [numbers[3], numbers[4]]]) / (1 << 16)


def _nearest(matrix: npt.NDArray[np.float64]) -> Turn | None:
    """The turn by quarters that is nearest to a matrix; ``None`` for one that leaves nothing of a picture."""
    first, second = matrix
    across = abs(first[1]) > abs(first[0])
    x, y = (first[1], second[0]) if across else (first[0], second[1])
    if not x or not y or not np.isfinite(matrix).all():
        return None
    signs = np.sign([x, y]).astype(np.int64)
    return np.diag(signs)[:, ::-1] if across else np.diag(signs)


class Upright:
    """Turns pictures of a video as its file says they are to be shown.

    Args:
        path: The file.
        container: The open file.
        stream: Its stream of pictures.
    """

    def __init__(self, path: Path, container: Any, stream: Any) -> None:
        turn = turn_of_track(path, stream.id) if container.format.name == MP4 else None
        self._turn = None if turn is None or np.array_equal(turn, np.eye(2)) else turn

    def __call__(self, frame: Any, image: Frames) -> Frames:
        """The picture of a decoded frame, upright.

        Args:
            frame: As PyAV gives it.
            image: The same as ``(H, W, 3)``.
        """
        if self._turn is None:
            degrees = frame.rotation
            quarters = round(degrees / 90) % 4 if abs(degrees) <= 180 else 0  # of a matrix that leaves nothing
            return np.ascontiguousarray(np.rot90(image, quarters))
        (x, across), (down, y) = self._turn
        if across:
            image, x, y = image.swapaxes(0, 1), down, across
        return np.ascontiguousarray(image[:: -1 if y < 0 else 1, :: -1 if x < 0 else 1])
