"""Lets a fault befall a process when it is about to change a file.

Python tells of what it does to files by audit events. Those that change something below a folder are counted, in a
file that all processes of a command share; at the chosen one the fault strikes instead.
"""

import fcntl
import json
import os
import shutil
import struct
import sys
import time
from pathlib import Path
from typing import Any

_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def start() -> None:
    """Watches this process from now on, as the variable ``AULIGHT_FAULT`` says (see :mod:`server`)."""
    fault = json.loads(os.environ["AULIGHT_FAULT"])
    root = str(Path(fault["root"]).resolve()) + os.sep
    counter = os.open(fault["counter"], os.O_RDWR)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        path = _changed(event, arguments)
        if path is not None and path.startswith(root):
            number, at = _count(counter), fault.get("at", 0)
            if number == at or (fault.get("lasting") and number > at > 0):
                _strike(fault, path)

    sys.addaudithook(hook)


def _changed(event: str, arguments: tuple[Any, ...]) -> str | None:
    """The path that an audit event is about to change."""
    if event == "open":
        path, _, flags = arguments
        if not flags & _WRITING:
            return None
    elif event in _CHANGES:
        path = arguments[0]
    else:
        return None
    return None if isinstance(path, int) or path is None else str(Path.cwd() / os.fsdecode(path))


def _count(counter: int) -> int:
    """The number of this change among those of all processes, from 1."""
    fcntl.lockf(counter, fcntl.LOCK_EX)
    number = struct.unpack("q", os.pread(counter, 8, 0))[0] + 1
    os.pwrite(counter, struct.pack("q", number), 0)
    fcntl.lockf(counter, fcntl.LOCK_UN)
    return int(number)


def _strike(fault: dict[str, Any], path: str) -> None:
    do = fault["do"]
    if "vanish" in fault:
        shutil.rmtree(fault["vanish"], ignore_errors=True)
        return
    if do < 0:
        raise OSError(-do, os.strerror(-do), path)
    if fault.get("group"):
        os.killpg(0, do)
    else:
        os.kill(os.getpid(), do)
    time.sleep(1)  # a signal that may be caught is, by then
