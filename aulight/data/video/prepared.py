"""Reads prepared videos at any frame: the only file that imports decord."""

import functools
import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aulight.data.video.scaling import averaged, fit_multiple
from aulight.data.video.types import Frames
from aulight.data.video.write import GOP
from aulight.errors import VideoError

DAMAGED = "restore it from a backup, or pass over it with data.on_error=skip"
"""What to do about a prepared video that cannot be read."""

TRIES = 3
"""Readings of frames after which they count as damaged."""


@functools.cache
def _decord_reader() -> Any:
    """Decord's reader, safe to drop in a fork of the process that opened it.

    Closing waits for the reader's thread, which a fork does not have: it would wait for ever.
    """
    import decord

    class VideoReader(decord.VideoReader):  # type: ignore[misc]  # decord has no types
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self._pid = os.getpid()
            super().__init__(*args, **kwargs)

        def __del__(self) -> None:
            if self._pid == os.getpid():
                super().__del__()

    return VideoReader


class Reader:
    """One open prepared video.

    Args:
        path: An mp4 as :func:`write_video` makes them.
        size: Decode to ``size x size`` pixels; ``None`` keeps the file's own.
        frames: How many frames the file must have; ``None`` does not check.

    Raises:
        VideoError: When the file cannot be opened or holds another number of frames.
    """

    def __init__(self, path: Path, size: int | None = None, frames: int | None = None) -> None:
        # Imported here: a fork of a process that has run decord can hang.
        import decord

        decord.logging.set_level(decord.logging.QUIET)  # what is wrong with a file is said by VideoError
        self.path = path
        if not path.is_file():
            raise VideoError(f"{path}: no such video")
        # Where decord cannot decode to a size, a multiple of it is decoded and averaged down.
        self._shrink = 1 if size is None else fit_multiple(size)
        self._side = -1 if size is None else self._shrink * size
        self._video = self._open()
        if frames is not None and len(self._video) != frames:
            raise VideoError(f"{path}: has {len(self._video)} frames, its table says {frames}; {DAMAGED}")

    def _open(self) -> Any:
        import decord

        try:
            return _decord_reader()(str(self.path), width=self._side, height=self._side, num_threads=1)
        except (RuntimeError, decord.DECORDError) as error:
            raise VideoError(f"{self.path}: not a readable video; {DAMAGED}") from error

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

        wanted = np.asarray(indices, dtype=np.int64)
        if wanted.size and (wanted.min() < 0 or wanted.max() >= len(self)):
            outside = wanted.min() if wanted.min() < 0 else wanted.max()
            raise VideoError(f"{self.path}: frame {outside} asked for, the video has frames 0 to {len(self) - 1}")
        unique, where = np.unique(wanted, return_inverse=True)
        if len(unique) and unique[-1] - unique[0] < GOP // 2 * len(unique):
            # decord seeks for every position that does not follow the last: reading straight through is faster
            unique, where = np.arange(unique[0], unique[-1] + 1), wanted - unique[0]
        for tries in range(TRIES, 0, -1):
            try:
                frames: Frames = self._video.get_batch(unique.tolist()).asnumpy()
                break
            except (RuntimeError, IndexError, decord.DECORDError) as error:
                if "size must exactly match" in str(error):
                    raise VideoError(
                        f"{self.path}: decord cannot read its width of pixels; decode to another"
                    ) from error
                # its thread decodes ahead: an error may be that of frames far behind those that are wanted
                self._video = self._open()
                if tries == 1:
                    raise VideoError(
                        f"{self.path}: damaged between frames {unique[0]} and {unique[-1]}; {DAMAGED}"
                    ) from error
        frames = frames if np.array_equal(where, np.arange(len(unique))) else frames[where]
        return averaged(frames, self._shrink)


class ReaderCache:
    """Keeps the last few videos open, in the process that opened them.

    A reader must not cross a fork and holds tens of MB, so the cache is empty in every new process (whether forked
    or unpickled) and bounded.

    Args:
        limit: How many videos stay open. An open reader of decord goes on decoding ahead, so more than one costs time
            wherever clips take the videos in turn.
        size: Decode to ``size x size`` pixels.
    """

    def __init__(self, limit: int = 1, size: int | None = None) -> None:
        self.limit = limit
        self.size = size
        self._open: OrderedDict[Path, Reader] = OrderedDict()
        self._pid = os.getpid()

    def __reduce__(self) -> tuple[type["ReaderCache"], tuple[int, int | None]]:
        return ReaderCache, (self.limit, self.size)  # an unpickled cache starts empty, like a new one

    def __len__(self) -> int:
        return len(self._open)

    def get(self, path: Path, frames: int | None = None) -> Reader:
        """The open reader of a video; raises as :class:`Reader` does."""
        if self._pid != os.getpid():
            self._open, self._pid = OrderedDict(), os.getpid()
        reader = self._open.pop(path, None)
        if reader is None:
            while len(self._open) >= self.limit:
                self._open.popitem(last=False)
            reader = Reader(path, self.size, frames)
        self._open[path] = reader
        return reader


def stream_frames(path: Path, size: int | None = None, chunk: int = 64, frames: int | None = None) -> Iterator[Frames]:
    """A whole video once, in order, in pieces of at most ``chunk`` frames ``(n, H, W, 3)`` uint8 RGB.

    Raises:
        VideoError: As :class:`Reader` does.
    """
    reader = Reader(path, size, frames)
    for start in range(0, len(reader), chunk):
        yield reader.read(range(start, min(start + chunk, len(reader))))
