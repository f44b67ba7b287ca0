"""Avi files: how many frames they list, also empty ones, which show the picture before once more."""

from pathlib import Path

import numpy as np

MOST_BYTES = 2**28
"""Of an index; those of files larger than 1 GB are in parts."""


def listed_frames(path: Path, stream: int) -> int:
    """Frames of a stream in the index at the end of an avi file, empty ones too; 0 where there is no whole one.

    FFmpeg leaves empty ones out, which capture programs write where nothing has changed.

    Args:
        path: The file.
        stream: Number of the stream.
    """
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"AVI ":
            return 0
        while len(head := file.read(8)) == 8:
            size = int.from_bytes(head[4:], "little")
            if head[:4] == b"idx1":
                data = file.read(min(size, MOST_BYTES))
                if len(data) < size or size % 16:
                    return 0
                kinds = np.frombuffer(data, np.uint8).reshape(-1, 16)[:, :4]
                of_stream = (kinds[:, :2] == np.frombuffer(f"{stream:02x}".encode(), np.uint8)).all(1)
                return int((of_stream & (kinds[:, 2] == ord("d"))).sum())  # "dc" or "db"
            file.seek(size + size % 2, 1)
    return 0
