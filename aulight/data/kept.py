"""What took long to find out about a large dataset, kept for the next process that opens it.

It lies in the cache, not in the dataset, which may be read-only or shared, under a name that is made of all by which
the system tells one state of the dataset's files from another. What was kept of another state is never found.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aulight.data.fetching import cached
from aulight.errors import AulightError
from aulight.files import whole
from aulight.version import __version__

Array = npt.NDArray[Any]

LEAST_FRAMES = 20_000
"""Of a dataset of which something is kept: fewer are looked at in a fifth of a second."""

MOST_FILES = 64
"""That are kept; the oldest go."""

OF = ("", "dataset.yaml", "videos.parquet", "frames.parquet", "labels.parquet", "videos")
"""The files and folders of a dataset whose state counts. A folder's changes when a file in it comes or goes."""


class Kept:
    """What is known of a dataset as it is now.

    Args:
        root: Its folder.
        frames: How many it has.
    """

    def __init__(self, root: Path, frames: int) -> None:
        self._root, self._large = root, frames >= LEAST_FRAMES
        self._state = self._look() if self._large else ""

    def array(
        self,
        name: str,
        shape: tuple[int | None, ...],
        dtype: npt.DTypeLike,
        make: Callable[[], Array],
    ) -> Array:
        """An array, as it was kept (mapped, so that processes share it), or as it is found out now.

        Args:
            name: What it is.
            shape: That it has, ``None`` for any length.
            dtype: Likewise.
            make: Finds it out. It is kept unless the dataset has changed meanwhile.
        """
        if not self._large:
            return make()
        try:
            path = cached("opened") / f"{self._state}.{name}.npy"
        except AulightError:  # there is no home
            return make()
        try:
            known: Array = np.load(path, mmap_mode="r", allow_pickle=False)
            fits = known.dtype == dtype and len(known.shape) == len(shape)
            if fits and all(wanted in (None, there) for wanted, there in zip(shape, known.shape, strict=True)):
                return known
        except (OSError, ValueError, EOFError):
            pass  # not there yet, or damaged
        made = make()
        if self._look() == self._state:
            self._keep(path, np.ascontiguousarray(made, dtype))
        return made

    def _look(self) -> str:
        """Names the state of the dataset's files."""
        states = list[tuple[int, ...]]()
        for name in OF:
            try:
                found = (self._root / name).stat()
            except OSError:
                states.append(())
                continue
            # of the folder itself not when it changed: a lock beside the tables comes and goes
            times = (found.st_size, found.st_mtime_ns, found.st_ctime_ns) if name else ()
            states.append((found.st_dev, found.st_ino, *times))
        return hashlib.sha256(repr((__version__, str(self._root.resolve()), states)).encode()).hexdigest()[:32]

    def _keep(self, path: Path, array: Array) -> None:
        """Writes it, where that can be; a dataset opens without it, too."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole(path) as temporary:
                np.save(temporary, array, allow_pickle=False)
            there = sorted(path.parent.glob("*.npy"), key=lambda file: file.stat().st_mtime)
            for old in there[:-MOST_FILES]:
                old.unlink(missing_ok=True)
        except OSError:
            pass
