"""Where the files of a recording are while they grow: it cannot be repeated, so what there is of it is never removed.

They lie in ``.<name>.live``, and whoever writes them holds the lock of ``<name>.json`` (:func:`aulight.files.alone`).
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from aulight.errors import AulightError
from aulight.files import alone
from aulight.prediction.writing import PARTIAL

LIVE = ".live"

IDLE_S = 600
"""Seconds without a change after which a recording has ended; where a file system has no locks, nothing else tells."""

_OURS = ".aulight-"
"""What is in the folder beside tables begins so: a film that is not whole, and locks."""

_LONGEST_LINE = 1 << 20


@contextmanager
def recording(folder: Path, stem: str) -> Iterator[Path]:
    """A hidden folder for the files of a recording; what is in it after the block is kept, under :data:`PARTIAL`.

    Args:
        folder: Where they go in the end.
        stem: Of their names.
    """
    made = folder / f".{stem}{LIVE}"
    made.mkdir()
    try:
        yield made
    finally:
        _keep(made)


def keep_recordings(folder: Path) -> None:
    """Keeps what killed processes left of recordings, under :data:`PARTIAL`.

    Args:
        folder: Need not be there.
    """
    for made in sorted(folder.glob(f".*{LIVE}")):
        stem = made.name[1:].removesuffix(LIVE)
        with suppress(OSError, AulightError):  # at work, kept by another process meanwhile, or another user's
            if made.is_dir() and not made.is_symlink() and _idle_s(made) > IDLE_S:
                with alone(folder / f"{stem}.json", "it is recorded"):
                    _keep(made)


def _idle_s(made: Path) -> float:
    return time.time() - max(path.stat().st_mtime for path in (made, *made.iterdir()))


def _keep(made: Path) -> None:
    for file in made.iterdir():
        place = made.with_name(f"{file.name.removesuffix(PARTIAL)}{PARTIAL}")
        if not file.is_file() or file.is_symlink() or os.path.lexists(place) or file.name.startswith(_OURS):
            continue
        if file.suffix == ".csv":
            _end_at_line(file)
        file.rename(place)
    for file in made.glob(f"{_OURS}*"):
        file.unlink(missing_ok=True)
    with suppress(OSError):  # what could not be moved stays
        made.rmdir()


def _end_at_line(path: Path) -> None:
    """Cuts off the last line of a table where it is not whole: half a number is another one."""
    with path.open("rb+") as file:
        start = max(0, file.seek(0, os.SEEK_END) - _LONGEST_LINE)
        file.seek(start)
        file.truncate(start + file.read().rfind(b"\n") + 1)
