"""Every long command, struck down, and called again: nothing lost, nothing left, and the very result.

The oracle is the folder that the same command leaves undisturbed, byte for byte but for times.
"""

import contextlib
import errno
import functools
import os
import random
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest

from tests.conftest import _encode, _face_video
from tests.faults.trials import Ended, Server, Tally, copied, difference, snapshot, some

pytestmark = pytest.mark.faults

FULL = (0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99)
"""Shares of what a command writes for which there is room."""

PATIENCE_S = 120
"""How long a command may wait for another."""

DONE = "already there, perhaps with labels filled in"
"""What `sample` says when all of it is there: it is never drawn into the same folder twice."""

KILLS_AT, KILLS_WHEN, SIGNALS, ERRORS = 12, 8, 2, 8
"""Tries of a command: kills at changes of files, at moments; of each other signal; of each error."""

TINY = [
    "data_dir=data", "data.size=smoke", "root=runs", "name=run", "steps=6", "steps_per_epoch=2", "loader.batch_size=3",
    "loader.workers=0", "threads=1", "progress_s=0", "trainer.accelerator=cpu", "trainer.log_every_n_steps=1",
]  # fmt: skip
PREPARE = [
    "prepare", "data.name=mine", "data.source=raw", "data.faces=none", "crop_size=32", "workers=1",
    "labels=labels.csv", "subjects=subjects.csv",
]  # fmt: skip
COMMANDS = {
    "generate": ["pretrain", *TINY, "steps=2"],
    "prepare": PREPARE,
    "extend": PREPARE,
    "sample": ["sample", "data.name=mine", "label_count=6", "output=to_label"],
    "pretrain": ["pretrain", *TINY, "clip.length=6", "keep_every_epochs=2"],
    "finetune": ["finetune", *TINY, "label_fraction=0.1", "pretrained=stage_one"],
    "predict": ["predict", "model=stage_two", "input=clips", "output=scored", "overlay=true", "plot=true", "workers=1"],
    "export": ["export", "run=stage_two", "output=model.aulight"],
    "report": ["report", "runs=stage_two", "output=report", "uncertainty.swaps=50"],
}


class Before(NamedTuple):
    """A command, the folder that it is called in, and the state of that before."""

    name: str
    argv: list[str]
    folder: Path


class Undisturbed(NamedTuple):
    """What a command does when it is left alone."""

    snapshot: dict[str, str]
    seconds: float
    changes: int
    added: int
    """Bytes that are there after it and were not before."""


@pytest.fixture(scope="session")
def ready() -> dict[str, Before]:
    """Commands whose folder is made."""
    return {}


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in COMMANDS])
def before(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, ready: dict[str, Before]
) -> Before:
    """Each command, in a folder with what it needs."""
    name = request.param
    if name in ready:
        return ready[name]
    tmp_path = tmp_path_factory.mktemp(name)
    folder = tmp_path / "before"
    folder.mkdir()
    if name in ("pretrain", "finetune"):
        smoke = request.getfixturevalue("smoke_data")
        shutil.copytree(smoke, folder / "data" / smoke.name)
    if name == "finetune":
        shutil.copytree(request.getfixturevalue("pretrained"), folder / "stage_one")
    if name in ("predict", "export", "report"):
        shutil.copytree(request.getfixturevalue("finetuned"), folder / "stage_two")
    if name in ("prepare", "extend", "sample", "predict"):
        place = folder / ("clips" if name == "predict" else "raw")
        place.mkdir()
        for video, length in {"a": 12, "b": 20, "c": 16}.items():
            _encode(place / f"{video}.mp4", _face_video(length, length, False, (96, 64))[0], "libx264", 25)
            os.utime(place / f"{video}.mp4", ns=(10**18, 10**18))  # records hold it
    if name in ("prepare", "extend", "sample"):
        rows = [{"video": video, "frame": frame, "AU01": frame % 6} for video in "abc" for frame in range(0, 12, 2)]
        pd.DataFrame(rows).to_csv(folder / "labels.csv", index=False)
        pd.DataFrame({"video": [*"abc"], "subject": ["P1", "P2", "P3"]}).to_csv(folder / "subjects.csv", index=False)
    if name in ("extend", "sample"):
        aulight = request.getfixturevalue("aulight")
        held = tmp_path / "held.mp4"
        with contextlib.chdir(folder):
            (folder / "raw" / "b.mp4").rename(held)
            table = pd.read_csv("labels.csv")
            table[table["video"] != "b"].to_csv("some.csv", index=False)
            people = pd.read_csv("subjects.csv")
            people[people["video"] != "b"].to_csv("some_people.csv", index=False)
            given = [setting for setting in PREPARE if not setting.startswith(("labels=", "subjects="))]
            outcome = aulight(*given, "labels=some.csv", "subjects=some_people.csv")
            assert outcome.status == 0, outcome.err
            held.rename(folder / "raw" / "b.mp4")
    return ready.setdefault(name, Before(name, COMMANDS[name], folder))


@pytest.fixture(scope="session")
def known() -> dict[str, Undisturbed]:
    """What commands left that were left alone."""
    return {}


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all commands run: records hold paths."""
    return tmp_path_factory.mktemp("campaign") / "work"


@pytest.fixture
def undisturbed(before: Before, server: Server, work: Path, known: dict[str, Undisturbed]) -> Undisturbed:
    """The command left alone; twice, since what it leaves is to be the same."""
    if before.name in known:
        return known[before.name]
    found = []
    for _ in range(2):
        copied(before.folder, work)
        ended = server.run(work, before.argv, root=str(work))
        assert ended.status == 0, ended.printed
        found.append(snapshot(work))
    assert not difference(*found), "two undisturbed runs differ"
    return known.setdefault(
        before.name, Undisturbed(found[0], ended.seconds, ended.changes, _bytes(work) - _bytes(before.folder))
    )


@pytest.fixture
def trial(before: Before, undisturbed: Undisturbed, server: Server, work: Path, tally: Tally) -> Iterator[Any]:
    """``trial(kind, **fault)``: strikes the command, calls it again, and notes what is wrong then.

    ``room`` is called before the first time, ``more`` before the second.
    """
    name, argv, folder = before

    def run(kind: str, room: Callable[[], None] = _nothing, more: Callable[[], None] = _nothing, **fault: Any) -> None:
        copied(folder, work)
        if "seconds" not in fault:
            fault["root"] = str(work)
        room()
        struck = server.run(work, argv, **fault)
        wrong = _wrong_in(struck, fault)
        more()
        wrong += _wrong_after(server.run(work, argv), work, undisturbed)
        tally.add(name, kind, wrong and f"{fault}: {wrong}")

    yield run
    assert not tally.losses, "\n".join(tally.losses)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _nothing() -> None:
    """Changes nothing about a disk."""


def _wrong_in(struck: Ended, fault: dict[str, Any]) -> str:
    """What a command should not have done when it was struck."""
    wrong = ""
    if struck.orphans:
        wrong += " left processes"
    errs = fault.get("do", 0) <= 0
    if errs and struck.status not in (0, 1, 2):
        wrong += f" status {struck.status}"
    if errs and "Traceback" in struck.printed:
        wrong += f" a traceback: {struck.printed[-600:]}"
    return wrong


def _wrong_after(again: Ended, work: Path, undisturbed: Undisturbed) -> str:
    """What is wrong after the command was called once more."""
    done = again.status == 2 and DONE in again.printed
    failed = f" then: status {again.status}, {again.printed[-400:]}" if again.status and not done else ""
    return failed + difference(snapshot(work), undisturbed.snapshot)


def _spread(count: int, over: int) -> list[int]:
    """So many numbers from 1 to ``over``, evenly, both ends among them; all where there are fewer."""
    if over <= count:
        return [*range(1, over + 1)]
    return sorted({round(1 + (over - 1) * part / (count - 1)) for part in range(count)})


def test_killed_at_changes_of_files(trial: Any, undisturbed: Undisturbed) -> None:
    for number, at in enumerate(some(_spread(KILLS_AT, undisturbed.changes))):
        trial("kill -9 at a change of a file", at=at, do=signal.SIGKILL, group=number % 2 == 0)


def test_killed_at_moments(trial: Any, before: Before, undisturbed: Undisturbed) -> None:
    draw = random.Random(before.name)
    for _ in some(range(KILLS_WHEN)):
        trial("kill -9 at a moment", seconds=draw.random() * undisturbed.seconds, do=signal.SIGKILL)


def test_told_to_end(trial: Any, before: Before, undisturbed: Undisturbed) -> None:
    draw = random.Random(before.name)
    for name in ("SIGTERM", "SIGINT", "SIGHUP"):
        for group in some((True, False) * (SIGNALS // 2)):
            trial(name, seconds=draw.random() * undisturbed.seconds, do=getattr(signal, name), group=group)


def test_full_disk_at_changes_of_files(trial: Any, undisturbed: Undisturbed) -> None:
    for at in some(_spread(ERRORS, undisturbed.changes)):
        trial("ENOSPC at a change of a file", at=at, do=-errno.ENOSPC)


def test_read_only_from_a_change_on(trial: Any, undisturbed: Undisturbed) -> None:
    for at in some(_spread(3, undisturbed.changes)):
        trial("EROFS from a change of a file on", at=at, do=-errno.EROFS, lasting=True)


def test_output_vanishes(trial: Any, undisturbed: Undisturbed, before: Before, work: Path) -> None:
    new = [
        name for name, is_ in undisturbed.snapshot.items() if is_ == "folder" and not (before.folder / name).exists()
    ]
    # not at the last one: what is gone once all is done is not missed
    for at in some(_spread(4, undisturbed.changes)[:-1]) if new else ():
        trial("its output vanishes", at=at, do=0, vanish=str(work / min(new, key=len)))


def test_full_disk(trial: Any, undisturbed: Undisturbed, work: Path) -> None:
    with _disk(work.parent) as resize:
        for share in some(FULL):
            room = functools.partial(resize, share * undisturbed.added)
            trial("a full disk", room=room, more=functools.partial(resize, 1_000_000_000))


def test_called_twice_at_once(
    before: Before, undisturbed: Undisturbed, server: Server, other_server: Server, work: Path, tally: Tally
) -> None:
    if before.name == "generate":
        pytest.skip("the second waits until the first has made the dataset")
    for at in some(_spread(3, undisturbed.changes)):
        copied(before.folder, work)
        with server.held(work, before.argv, at):
            second = other_server.run(work, before.argv, seconds=PATIENCE_S, do=signal.SIGKILL)
        first = server.end()
        wrong = "".join(_wrong_in(ended, {}) for ended in (first, second))
        wrong += _wrong_after(server.run(work, before.argv), work, undisturbed)
        tally.add(before.name, "called twice at once", wrong and f"at {at}: {wrong}")
    assert not tally.losses, "\n".join(tally.losses)


@contextlib.contextmanager
def _disk(folder: Path) -> Iterator[Callable[[float], None]]:
    """A disk of its own in place of a folder; gives what sets the bytes that are left on it."""

    def mount(*arguments: str) -> int:
        return subprocess.run(["mount", *arguments], stderr=subprocess.DEVNULL).returncode

    def resize(left: float) -> None:
        usage = shutil.disk_usage(folder)
        assert mount("-o", f"remount,size={usage.used + int(left) + 4096}", str(folder)) == 0

    if mount("-t", "tmpfs", "-o", "size=1g", "aulight", str(folder)):
        pytest.skip("no disk may be mounted here")
    try:
        yield resize
    finally:
        subprocess.run(["umount", str(folder)], check=True)
