"""Reads prepared videos by decord, as earlier versions did: the only file that imports it."""

import functools
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aulight.data.places import Segment
from aulight.data.video.scaling import averaged, fit_multiple
from aulight.data.video.types import Frames
from aulight.data.video.write import GOP
from aulight.errors import VideoError

DAMAGED = "restore it from a backup, or pass over it with data.on_error=skip"
"""What to do about a prepared video that cannot be read."""


def places_in(path: object, count: int, indices: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Positions of frames that are asked for, as an array.

    Args:
        path: Of the video.
        count: How many frames it has.
        indices: The positions.

    Raises:
        VideoError: When one is outside the video.
    """
    wanted = np.asarray(indices, dtype=np.int64)
    if wanted.size and (wanted.min() < 0 or wanted.max() >= count):
        outside = wanted.min() if wanted.min() < 0 else wanted.max()
        raise VideoError(f"{path}: frame {outside} asked for, the video has frames 0 to {count - 1}")
    return wanted


@functools.cache
def _decord_reader() -> Any:
    """Decord's reader, safe to drop in a fork of the process that opened it.

    Closing waits for the reader's thread, which a fork does not have: it would wait for ever.
    """
    import decord

    decord.logging.set_level(decord.logging.QUIET)  # what is wrong with a file is said by VideoError

    class VideoReader(decord.VideoReader):  # type: ignore[misc]  # decord has no types
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self._pid = os.getpid()
            super().__init__(*args, **kwargs)

        def __del__(self) -> None:
            if self._pid == os.getpid():
                super().__del__()

    return VideoReader


class DecordReader:
    """One open prepared video, or a segment of one; it goes on decoding ahead in a thread of its own.

    Args:
        path: An mp4 as :func:`aulight.data.video.write.write_video` makes them.
        size: Decode to ``size x size`` pixels; ``None`` keeps the file's own.
        frames: How many frames the file must have; ``None`` does not check.

    Raises:
        VideoError: When the file cannot be opened or holds another number of frames.
    """

    def __init__(self, path: Path | Segment, size: int | None = None, frames: int | None = None) -> None:
        # Imported here: a fork of a process that has run decord can hang.
        import decord

        self.path = path
        self._first = path.first if isinstance(path, Segment) else 0
        # Where decord cannot decode to a size, a multiple of it is decoded and averaged down.
        self._shrink = 1 if size is None else fit_multiple(size)
        side = -1 if size is None else self._shrink * size
        if isinstance(path, Path) and not path.is_file():
            raise VideoError(f"{path}: no such video")
        source = str(path) if isinstance(path, Path) else io.BytesIO(path.read())
        try:
            self._video = _decord_reader()(source, width=side, height=side, num_threads=1)
        except (RuntimeError, decord.DECORDError) as error:
            raise VideoError(f"{path}: not a readable video; {DAMAGED}") from error
        if frames is not None and len(self) != frames:
            raise VideoError(f"{path}: has {len(self)} frames, its table says {frames}; {DAMAGED}")

    def __len__(self) -> int:
        return len(self._video)

    def read(self, indices: Sequence[int] | npt.NDArray[np.int64]) -> Frames:
        """Frames at any positions, in the order given, repeats allowed.

        Returns:
            ``(T, H, W, 3)`` uint8 RGB.

        Raises:
            VideoError: For a position outside the video or a damaged file.
        """
        import decord

        wanted = places_in(self.path, len(self), indices)
        unique, where = np.unique(wanted, return_inverse=True)
        if len(unique) and unique[-1] - unique[0] < GOP // 2 * len(unique):
            # decord seeks for every position that does not follow the last: reading straight through is faster
            unique, where = np.arange(unique[0], unique[-1] + 1), wanted - unique[0]
        try:
            frames: Frames = self._video.get_batch(unique.tolist()).asnumpy()
        except (RuntimeError, IndexError, decord.DECORDError) as error:
            first, last = unique[0] + self._first, unique[-1] + self._first
            raise VideoError(f"{self.path}: damaged between frames {first} and {last}; {DAMAGED}") from error
        return averaged(frames if np.array_equal(where, np.arange(len(unique))) else frames[where], self._shrink)
