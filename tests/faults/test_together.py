"""Two commands at once: one is held at changes of files of its own, the other does all its work meanwhile.

The oracle is what each leaves alone, one after the other; training whose dataset is replaced may say so instead.
"""

import contextlib
import os
import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import Command, _encode, _face_video
from tests.faults.trials import Server, Tally, copied, difference, snapshot, some

pytestmark = pytest.mark.faults

TINY = [
    "data_dir=data", "root=runs", "steps=6", "steps_per_epoch=2", "loader.batch_size=3", "loader.workers=0",
    "threads=1", "progress_s=0", "trainer.accelerator=cpu", "trainer.log_every_n_steps=1",
]  # fmt: skip
HELD_AT = (1, 6, 12, 18)
"""At which of its changes of files a command is held."""


@pytest.mark.xdist_group("prepare")
def test_prepare_while_training_reads(
    server: Server, other_server: Server, aulight: Command, tmp_path: Path, tally: Tally
) -> None:
    before, work = tmp_path / "before", tmp_path / "work"
    raw = before / "raw"
    for video, length in {"a": 12, "b": 20, "c": 16, "d": 14}.items():
        _encode(raw / f"{video}.mp4", _face_video(length, length, False, (96, 64))[0], "libx264", 25)
        os.utime(raw / f"{video}.mp4", ns=(10**18, 10**18))
    rows = [{"video": video, "frame": frame, "AU01": frame % 6} for video in "abc" for frame in range(0, 12, 2)]
    pd.DataFrame(rows).to_csv(before / "labels.csv", index=False)
    prepare = ["prepare", "data.name=mine", "data.source=raw", "data.faces=none", "crop_size=32", "workers=1"]
    train = ["pretrain", "data=folder", "data.name=mine", *TINY, "name=run", "clip.length=4", "probe=null"]
    (raw / "d.mp4").rename(before / "d.mp4")
    with contextlib.chdir(before):
        assert aulight(*prepare).status == 0
    copied(before, work)
    alone = server.run(work, train)
    assert alone.status == 0, alone.printed
    trained = snapshot(work / "runs")
    (work / "d.mp4").rename(work / "raw" / "d.mp4")
    alone = server.run(work, [*prepare, "labels=labels.csv"])
    assert alone.status == 0, alone.printed
    prepared = snapshot(work / "data")

    for at in some(HELD_AT):
        copied(before, work)
        (work / "d.mp4").rename(work / "raw" / "d.mp4")
        with server.held(work, train, at):
            other = other_server.run(work, [*prepare, "labels=labels.csv"])
        held = server.end()
        wrong = "".join(f"status {ended.status}: {ended.printed[-400:]}" for ended in (other,) if ended.status)
        if held.status == 0:
            wrong += difference(snapshot(work / "runs"), trained)
        elif held.status != 2 or "prepare` has changed it meanwhile" not in held.printed:
            wrong += f"status {held.status}: {held.printed[-400:]}"
        wrong += difference(snapshot(work / "data"), prepared)
        tally.add("pretrain", "prepare meanwhile", wrong and f"held at {at}: {wrong}")
    assert not tally.losses, "\n".join(tally.losses)


@pytest.mark.xdist_group("finetune")
def test_report_while_finetune_writes(
    server: Server, other_server: Server, smoke_data: Path, finetuned: Path, tmp_path: Path, tally: Tally
) -> None:
    before, work = tmp_path / "before", tmp_path / "work"
    shutil.copytree(smoke_data, before / "data" / smoke_data.name)
    shutil.copytree(finetuned, before / "runs" / "other")
    train = ["finetune", *TINY, "data.size=smoke", "name=run", "label_fraction=0.1", "seed=1"]
    report = ["report", "runs=runs", "output=report", "uncertainty.swaps=50"]
    copied(before, work)
    for command in (train, report):
        ended = server.run(work, command)
        assert ended.status == 0, ended.printed
    trained, reported = snapshot(work / "runs"), snapshot(work / "report")

    for at in some(HELD_AT):
        copied(before, work)
        with server.held(work, train, at):
            other = other_server.run(work, report)
        held = server.end()
        last = server.run(work, report)
        ends = (held, other, last)
        wrong = "".join(f"status {ended.status}: {ended.printed[-400:]}" for ended in ends if ended.status)
        wrong += difference(snapshot(work / "runs"), trained) + difference(snapshot(work / "report"), reported)
        tally.add("finetune", "report meanwhile", wrong and f"held at {at}: {wrong}")
    assert not tally.losses, "\n".join(tally.losses)
