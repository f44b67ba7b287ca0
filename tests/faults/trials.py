"""Commands with a fault each, the same command after it, and what is then there against an undisturbed run's."""

import contextlib
import difflib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pandas as pd
import psutil
import torch
import yaml

HERE = Path(__file__).parent
Try = TypeVar("Try")

SHARE = float(os.environ.get("FAULT_SHARE", "1"))
"""Of the tries that there are, how many are made: all, or fewer where time is short."""


def some(tries: Sequence[Try]) -> Sequence[Try]:
    """So many of them, one at least, evenly."""
    step = min(len(tries), round(1 / SHARE))
    return tries[step // 2 :: step] if step > 1 else tries


class Ended(NamedTuple):
    """How a command ended: its status, below 0 a signal's; what it printed; see :mod:`server`."""

    status: int
    seconds: float
    changes: int
    orphans: bool
    printed: str


class Server:
    """Runs commands with faults, one at a time."""

    def __init__(self, scratch: Path) -> None:
        self._log = scratch / "printed"
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "server.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE / "site"), *filter(None, sys.path)])},
        )

    def run(self, cwd: Path, argv: list[str], **fault: Any) -> Ended:
        """Runs ``aulight argv`` in a folder, with a fault as :mod:`server` knows them."""
        self.begin(cwd, argv, **fault)
        return self.end()

    def begin(self, cwd: Path, argv: list[str], **fault: Any) -> None:
        """Starts it, and does not wait for its end."""
        request = {"argv": argv, "cwd": str(cwd), "log": str(self._log), "fault": fault}
        assert self._process.stdin is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)

    def end(self) -> Ended:
        """Waits for its end."""
        assert self._process.stdout is not None
        answer = json.loads(self._process.stdout.readline())
        return Ended(**answer, printed=self._log.read_text(errors="replace"))

    @contextlib.contextmanager
    def held(self, cwd: Path, argv: list[str], at: int) -> Iterator[None]:
        """Holds it at its ``at``-th change of a file for the time of the block; to be waited for after that."""
        self.begin(cwd, argv, root=str(cwd), at=at, do=signal.SIGSTOP, group=True)
        server = psutil.Process(self._process.pid)
        while not any(child.status() == psutil.STATUS_STOPPED for child in _alive(server)):
            time.sleep(0.01)  # its change comes, or the test's time is over
        try:
            yield
        finally:
            for child in _alive(server):
                os.killpg(child.pid, signal.SIGCONT)

    def close(self) -> None:
        """Ends it."""
        self._process.communicate(timeout=60)


def _alive(process: psutil.Process) -> list[psutil.Process]:
    return [child for child in process.children() if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]


# ---- what a command leaves -------------------------------------------------------------------------------------

VOLATILE = {
    "created", "started", "finished", "ended", "seconds", "duration_s", "written", "prepared", "time", "host",
    "machine", "wall_s", "peak_rss_mb", "peak_gpu_mb",
}  # fmt: skip
"""Keys of records that differ between two undisturbed runs."""

PASSED_OVER = {"wandb", ".hydra", "multirun.yaml"}
"""Names of what other libraries write, with times in it."""


def snapshot(folder: Path) -> dict[str, str]:
    """What is in a folder: of each file, by its path, a digest of its content or its record, but for times."""
    found = {}
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if not PASSED_OVER & {*inside.parts}:
            found[str(inside)] = _digest(path) if path.is_file() else "folder"
    return found


def _digest(path: Path) -> str:
    content: Any
    if path.suffix in (".yaml", ".json"):
        return yaml.safe_dump(_steady(yaml.safe_load(path.read_text())))
    if path.suffix == ".ckpt":
        saved = torch.load(path, weights_only=True, map_location="cpu")
        content = repr([saved["global_step"], saved["epoch"]])
        content += _of_tensors([saved["state_dict"], saved["optimizer_states"]])
    elif path.name == "metrics.csv":
        table = pd.read_csv(path)
        content = table[[name for name in table if not str(name).startswith("speed/")]].to_csv()
    elif path.suffix == ".parquet":
        table = pd.read_parquet(path)
        content = table.to_csv() + repr(table.dtypes.to_dict())
    else:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return hashlib.sha256(content.encode()).hexdigest()


def _steady(content: Any) -> Any:
    """A record without what tells of the clock."""
    if isinstance(content, dict):
        kept = {key: value for key, value in content.items() if key not in VOLATILE and "speed/" not in str(key)}
        return {key: _steady(value) for key, value in kept.items()}
    return [_steady(value) for value in content] if isinstance(content, list) else content


def _of_tensors(content: Any) -> str:
    if isinstance(content, torch.Tensor):
        return hashlib.sha256(content.reshape(-1).contiguous().view(torch.uint8).numpy().tobytes()).hexdigest()
    if isinstance(content, dict):
        return repr([(key, _of_tensors(value)) for key, value in content.items()])
    return repr([_of_tensors(value) for value in content]) if isinstance(content, list) else repr(content)


def difference(is_: dict[str, str], expected: dict[str, str]) -> str:
    """In words, what of a folder is not as expected; empty where all is."""
    lost = [name for name in expected if name not in is_]
    more = [name for name in is_ if name not in expected]
    other = [name for name in is_ if name in expected and is_[name] != expected[name]]
    lines = [line for name in other for line in difflib.ndiff(expected[name].splitlines(), is_[name].splitlines())]
    changed = [line for line in lines if line[:1] in "-+"][:8]
    said = (
        (f"lost {lost}" if lost else ""),
        (f"left {more}" if more else ""),
        (f"differ {other} {changed}" if other else ""),
    )
    return ", ".join(filter(None, said))


# ---- how often it was tried ------------------------------------------------------------------------------------


class Tally:
    """Counts tries and losses of a campaign, for the table at the end."""

    def __init__(self, record: Callable[[str, object], None]) -> None:
        self._record = record
        self.losses: list[str] = []

    def add(self, command: str, kind: str, wrong: str) -> None:
        """Notes a try, and what was wrong after it, if anything was."""
        self._record("try", [command, kind, bool(wrong)])
        if wrong:
            self.losses.append(f"{command}, {kind}: {wrong}")


def copied(before: Path, to: Path) -> Path:
    """A fresh copy of a folder, in place of what was there."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(before, to, symlinks=True)
    return to
