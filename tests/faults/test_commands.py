"""Every long command, struck down, and called again: nothing lost, nothing left, and the very result.

The oracle is the folder that the same command leaves undisturbed, byte for byte but for times.
"""

import contextlib
import errno
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest

from tests.conftest import _encode, _face_video
from tests.faults.trials import Ended, Server, Tally, copied, difference, snapshot

pytestmark = pytest.mark.faults

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
    "report": ["report", "runs=stage_two", "output=report", "bootstrap.replicates=50"],
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


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in COMMANDS])
def before(request: pytest.FixtureRequest, tmp_path: Path) -> Before:
    """Each command, in a folder with what it needs."""
    name, folder = request.param, tmp_path / "before"
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
            outcome = aulight(*PREPARE, "labels=some.csv")
            assert outcome.status == 0, outcome.err
            held.rename(folder / "raw" / "b.mp4")
    return Before(name, COMMANDS[name], folder)


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
    return known.setdefault(before.name, Undisturbed(found[0], ended.seconds, ended.changes))


@pytest.fixture
def trial(before: Before, undisturbed: Undisturbed, server: Server, work: Path, tally: Tally) -> Iterator[Any]:
    """``trial(kind, **fault)``: strikes the command, calls it again, and says what is wrong then."""
    name, argv, folder = before

    def run(kind: str, healed: Callable[[Path], None] = lambda _: None, **fault: Any) -> None:
        copied(folder, work)
        if "seconds" not in fault:
            fault["root"] = str(work)
        struck = server.run(work, argv, **fault)
        wrong = _wrong_in(struck, fault)
        healed(work)
        again = server.run(work, argv)
        if again.status:
            wrong += f" again: status {again.status}, {again.printed[-400:]}"
        if differs := difference(snapshot(work), undisturbed.snapshot):
            wrong += f" {differs}"
        tally.add(name, kind, wrong and f"{fault}: {wrong}")

    yield run
    assert not tally.losses, "\n".join(tally.losses)


def _wrong_in(struck: Ended, fault: dict[str, Any]) -> str:
    """What a command should not have done when it was struck."""
    wrong = ""
    if struck.orphans:
        wrong += " left processes"
    if fault.get("do", 1) < 0 and "Traceback" in struck.printed:
        wrong += f" a traceback: {struck.printed[-600:]}"
    return wrong


def _spread(count: int, over: int) -> list[int]:
    """So many numbers from 1 to ``over``, evenly, the last ones among them; all where there are fewer."""
    return (
        sorted({round(1 + (over - 1) * part / (count - 1)) for part in range(count)})
        if over > count
        else [*range(1, over + 1)]
    )


def test_killed_at_changes_of_files(trial: Any, undisturbed: Undisturbed) -> None:
    for number, at in enumerate(_spread(KILLS_AT, undisturbed.changes)):
        trial("kill -9 at a change of a file", at=at, do=signal.SIGKILL, group=number % 2 == 0)


def test_killed_at_moments(trial: Any, before: Before, undisturbed: Undisturbed) -> None:
    draw = random.Random(before.name)
    for _ in range(KILLS_WHEN):
        trial("kill -9 at a moment", seconds=draw.random() * undisturbed.seconds, do=signal.SIGKILL)


def test_told_to_end(trial: Any, before: Before, undisturbed: Undisturbed) -> None:
    draw = random.Random(before.name)
    for name in ("SIGTERM", "SIGINT", "SIGHUP"):
        for group in (True, False) * (SIGNALS // 2):
            trial(name, seconds=draw.random() * undisturbed.seconds, do=getattr(signal, name), group=group)


def test_full_disk_at_changes_of_files(trial: Any, undisturbed: Undisturbed) -> None:
    for at in _spread(ERRORS, undisturbed.changes):
        trial("ENOSPC at a change of a file", at=at, do=-errno.ENOSPC)


def test_read_only_from_a_change_on(trial: Any, undisturbed: Undisturbed) -> None:
    for at in _spread(3, undisturbed.changes):
        trial("EROFS at a change of a file", at=at, do=-errno.EROFS)
