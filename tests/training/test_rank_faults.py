"""What one process of several meets, over gloo on the loopback: all hear of it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
import pytorch_lightning as pl
import torch
import yaml

from aulight.data.store import PreparedDataset
from aulight.errors import AulightError
from aulight.runs.run import Run
from aulight.training.divergence import Divergence
from aulight.training.trainer import SameBuffers, make_trainer
from tests.data.formats import spoil
from tests.training.typed import finetune_settings

WAIT_S = 400
TWO = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "loader.batch_size=4"]


def _run(where: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    """A run of two processes, of which Lightning starts the second."""
    start = [sys.executable, "-m", "aulight", *command, *TWO, f"root={where}", "name=run"]
    return subprocess.run(start, cwd=where, capture_output=True, text=True, check=False, timeout=WAIT_S)


@pytest.mark.slow
@pytest.mark.parametrize(("part", "times"), [("test", 1), ("validation", 4)])
def test_a_video_that_the_second_skips_is_told_of_once(
    part: str, times: int, tiny_finetune: list[str], smoke_data: Path, tmp_path: Path
) -> None:
    """As often as one process meets it: validation in each of three epochs and at the end."""
    root = tmp_path / "copy"
    shutil.copytree(smoke_data, root, copy_function=os.link)
    data = PreparedDataset(root)
    row = int(np.flatnonzero(data.videos["split"] == part)[1])  # they are dealt out in turn
    spoil(data, row)
    done = _run(tmp_path, *tiny_finetune, "data.synthetic=null", f"data.root={root}", "data.on_error=skip")
    assert done.returncode == 0, done.stderr
    (said,) = (line for line in done.stderr.splitlines() if line.startswith("skipped "))
    skipped = yaml.safe_load((tmp_path / "run/run.yaml").read_text())["skipped"]
    assert skipped == {said.partition(": ")[2]: times}
    assert str(data.file(row)) in said


@pytest.mark.slow
def test_a_probe_whose_second_cannot_read_a_video_ends_both(
    tiny_pretrain: list[str], smoke_data: Path, tmp_path: Path
) -> None:
    """Or, told to skip it, goes on."""
    root = tmp_path / "copy"
    shutil.copytree(smoke_data, root, copy_function=os.link)
    data = PreparedDataset(root)
    row = int(np.flatnonzero(data.videos["split"] == "validation")[1])
    spoil(data, row)
    command = [*tiny_pretrain, "data.synthetic=null", f"data.root={root}", "trainer.precision=32"]
    done = _run(tmp_path, *command)
    assert done.returncode == 2, done.stderr
    assert {line.partition(": ")[0] for line in done.stderr.splitlines()} == {"aulight"}
    assert all(str(data.file(row)) in line for line in done.stderr.splitlines())
    run = tmp_path / "run"
    assert yaml.safe_load((run / "run.yaml").read_text())["outcome"].startswith(f"failed: {data.file(row)}")
    done = _run(tmp_path, *command, "data.on_error=skip")
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load((run / "run.yaml").read_text())["skipped"] == {
        done.stderr.strip().partition(": ")[2]: 3  # by the probe of every epoch
    }
    assert pd.read_csv(run / "metrics.csv")["probe/icc"].notna().sum() == 3


@pytest.mark.slow
def test_the_second_ends_with_a_first_that_fails_alone(
    aulight: Callable[..., Any], tiny_pretrain: list[str], tmp_path: Path
) -> None:
    """Which alone reads ``metrics.csv``, as it goes on with a run."""
    command = [*tiny_pretrain, "probe=null", "keep_every_epochs=1", "trainer.precision=32"]
    assert aulight(*command, "loader.batch_size=4", f"root={tmp_path}", "name=run").status == 0
    run = tmp_path / "run"
    shutil.copyfile(run / "checkpoints/step000002.ckpt", run / "checkpoints/last.ckpt")
    (run / "run.yaml").write_text((run / "run.yaml").read_text().replace("outcome: done", "outcome: interrupted"))
    (run / "metrics.csv").write_text("step\n1,2,3\n")
    done = _run(tmp_path, *command)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()  # and nothing of one that has lost the other
    assert line.startswith(f"aulight: {run}/metrics.csv: not as aulight writes it")
    assert yaml.safe_load((run / "run.yaml").read_text())["outcome"].startswith(f"failed: {run}/metrics.csv")
    commands = (process.info["cmdline"] or () for process in psutil.process_iter(["cmdline"]))
    assert not [command for command in commands if f"root={tmp_path}" in command]


def test_a_callback_at_the_end_of_an_epoch_sees_the_buffers_that_are_kept(tmp_path: Path) -> None:
    """Lightning calls them in this order; the probe is one, and every process has its share of it."""
    settings = finetune_settings("trainer.accelerator=cpu", "trainer.precision=32")
    own = pl.Callback()
    trainer: Any = make_trainer(Run(tmp_path, "finetune", {"name": "run"}), settings, [own])
    (shared,) = (place for place, callback in enumerate(trainer.callbacks) if isinstance(callback, SameBuffers))
    assert shared < trainer.callbacks.index(own)


@pytest.mark.parametrize("bad", [False, True])
def test_all_end_at_the_step_in_which_one_comes_to_nothing(bad: bool) -> None:
    """This one's loss is finite; the strategy stands for another one's."""
    asked = list[tuple[bool, bool]]()

    def decide(own: bool, **how: bool) -> bool:
        asked.append((own, how["all"]))
        return own or bad

    strategy = SimpleNamespace(reduce_boolean_decision=decide)
    trainer: Any = SimpleNamespace(precision="32", global_step=7, strategy=strategy)
    look = Divergence()
    if bad:
        with pytest.raises(AulightError, match="by step 7: the loss of another process is not a finite number"):
            look.on_train_batch_end(trainer, torch.nn.Linear(1, 1), torch.ones(()), None, 0)  # type: ignore[arg-type]
    else:
        look.on_train_batch_end(trainer, torch.nn.Linear(1, 1), torch.ones(()), None, 0)  # type: ignore[arg-type]
    assert asked == [(False, False)]
