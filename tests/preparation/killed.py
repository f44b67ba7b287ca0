"""A process that is killed, as its files show it: from one file operation on, none is done any more."""

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from aulight import files

CHANGING = ("os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.truncate", "shutil.rmtree")


class Killed(BaseException):
    """Instead of the end of the process."""


class _Killer:
    """Counts what changes files, and lets nothing through from the n-th on; audit hooks cannot be removed."""

    left: int | None = None

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.left is None:
            return
        if event in CHANGING or (event == "open" and _writes(arguments)):
            self.left -= 1
            if self.left < 0:
                raise Killed


def _writes(arguments: tuple[Any, ...]) -> bool:
    _, mode, flags = arguments
    return bool(mode and set(mode) & set("wax+")) or bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


_killer = _Killer()
sys.addaudithook(_killer)


@contextlib.contextmanager
def killed_at(operation: int) -> Iterator[None]:
    """Ends the block at its n-th change of files, from 0, and lets no cleaning up change any more.

    Raises:
        Killed: In place of the n-th.
    """
    _killer.left = operation
    try:
        yield
    finally:
        _killer.left = None
        for lock in list(files._held):  # of a dead process the system lets go
            os.close(lock)
        files._held.clear()
        files._looked_at.clear()  # another process looks anew


def killed_everywhere(start: Path, command: Callable[[Path], object], step: int = 1) -> Iterator[tuple[int, Path]]:
    """Copies of a folder, in each of which a command was killed at another change of files, until it ends by itself.

    Args:
        start: The folder; copies lie beside each other in one of their own, and are removed once they were looked at.
        command: Called with the copy.
        step: From one change to the next.
    """
    for operation in range(0, 1000, step):
        with tempfile.TemporaryDirectory(dir=start.parent) as place:
            folder = Path(shutil.copytree(start, Path(place) / start.name))
            try:
                with killed_at(operation):
                    command(folder)
                return
            except Killed:
                pass
            yield operation, folder
