"""A process that is killed, as its files show it: from one file operation on, none is done any more."""

import contextlib
import os
import sys
from collections.abc import Iterator
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
