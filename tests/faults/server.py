"""Runs commands of aulight one at a time, each in a fork of this process, and lets a fault befall it.

What takes seconds to import is imported once. Asked in JSON, a line each, on standard input; answers likewise.

A request has ``argv``, ``cwd``, ``log`` (where both outputs go) and a fault, which is one of

- ``root``, ``at``, ``do``: at the ``at``-th operation (from 1) that changes files below ``root`` the process that is
  about to do it gets the signal ``do``, its whole group does if ``group``; if ``do`` is below 0 the operation fails
  with the error of that number, and if ``lasting`` all later ones do. Where ``vanish`` names a folder, it is removed
  then instead. Without ``at`` changes are counted, and nothing happens;
- ``seconds``, ``do``: so long after its start the command gets the signal, or if ``group`` its whole group.

The answer has ``status`` (of the exit, or minus the signal), ``seconds``, ``changes`` (how many there were below
``root``) and ``orphans`` (whether processes of it were there half a minute after its end).
"""

import contextlib
import importlib
import json
import os
import signal
import struct
import sys
import time
from pathlib import Path
from typing import Any

import psutil

HEAVY = (
    "aulight.cli.commands.prepare",
    "aulight.cli.messages",
    "aulight.prediction.export",
    "aulight.prediction.predict",
    "aulight.preparation.dataset",
    "aulight.preparation.sampling",
    "aulight.report.writing",
    "aulight.training.stage_one",
    "aulight.training.stage_two",
    "hydra",
    "wandb",
)


def serve() -> dict[str, Any] | None:
    """Answers requests until there are no more; gives the request in the fork that is to run it."""
    for line in sys.stdin:
        request = json.loads(line)
        fault = request["fault"]
        counter = fault["counter"] = request["log"] + ".changes"
        Path(counter).write_bytes(bytes(8))
        pid = os.fork()
        if pid == 0:
            _become(request)
            return dict(request)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.setpgid(pid, pid)
        status, seconds = _wait(pid, fault)
        orphans = _are_left(pid)
        (changes,) = struct.unpack("q", Path(counter).read_bytes())
        Path(counter).unlink()
        print(json.dumps({"status": status, "seconds": seconds, "changes": changes, "orphans": orphans}), flush=True)
    return None


def _become(request: dict[str, Any]) -> None:
    """Makes this fork the process of a command, as a shell would start it."""
    os.setpgid(0, 0)
    os.chdir(request["cwd"])
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for number, opened in enumerate((os.open(os.devnull, os.O_RDONLY), log, log)):
        os.dup2(opened, number)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if "root" in request["fault"]:
        os.environ["AULIGHT_FAULT"] = json.dumps(request["fault"])
        importlib.import_module("watch").start()  # beside this process's sitecustomize


def _wait(pid: int, fault: dict[str, Any]) -> tuple[int, float]:
    """Waits for the end of a command, strikes it at its time, and gives its status and how long it took."""
    begin, struck = time.monotonic(), "seconds" not in fault
    while True:
        ended, status = os.waitpid(pid, 0 if struck else os.WNOHANG)
        elapsed = time.monotonic() - begin
        if ended:
            return os.waitstatus_to_exitcode(status), elapsed
        if elapsed >= fault["seconds"]:
            (os.killpg if fault.get("group") else os.kill)(pid, fault["do"])
            struck = True
        time.sleep(0.002)


def _are_left(group: int) -> bool:
    """Whether processes of a group are at work still, after some patience; they are ended then."""
    for _ in range(150):
        if not any(_is_at_work(process, group) for process in psutil.process_iter()):
            return False
        time.sleep(0.2)
    os.killpg(group, signal.SIGKILL)
    return True


def _is_at_work(process: psutil.Process, group: int) -> bool:
    """Whether it is one of the group that has not ended, be its end noticed by anybody or not."""
    try:
        if os.getpgid(process.pid) != group or process.status() == psutil.STATUS_ZOMBIE:
            return False
        # joblib's wait idly for another sweep, for five minutes, and end then
        return not any("loky" in word or "resource_tracker" in word for word in process.cmdline())
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False


if __name__ == "__main__":
    for module in HEAVY:
        __import__(module)
    asked = serve()
    if asked is not None:
        from aulight.cli.main import main

        sys.argv = ["aulight", *asked["argv"]]
        main()
