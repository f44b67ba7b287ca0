"""The lines of progress that a run prints."""

import time
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from aulight.runs.outlook import Outlook
from aulight.training.progress import Progress


def test_what_is_between_epochs_is_no_waiting(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By a clock that the test holds: steps of 3 s, 1 s of waiting before each, 60 s of a probe between two epochs."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    trainer: Any = SimpleNamespace(
        global_step=0, world_size=1, estimated_stepping_batches=8, is_global_zero=True, callback_metrics={},
        optimizers=[SimpleNamespace(param_groups=[{"lr": 0.1}])], sanity_checking=False,
    )  # fmt: skip
    module: Any = SimpleNamespace(log=lambda *_, **__: None, log_dict=lambda *_, **__: None)
    batch: Any = {"clips": torch.zeros(2, 1, 3, 4, 4, 3)}
    progress = Progress("run", 1000)
    progress.on_train_start(trainer, module)
    for _ in range(2):
        progress.on_train_epoch_start(trainer, module)
        for step in range(4):
            now[0] += 1
            progress.on_train_batch_start(trainer, module, batch, step)
            now[0] += 3
            trainer.global_step += 1
            progress.on_train_batch_end(trainer, module, None, batch, step)
        now[0] += 20
        progress.on_validation_end(trainer, module)
        now[0] += 60
    (line,) = capsys.readouterr().out.splitlines()
    assert line == f"run: step 8/8, , {8 * 6 / 32:.0f} frames/s, data wait 25%, 0 s left"


def test_the_first_run_of_a_sweep_says_once_how_long_all_take(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Steps of 3 s by a clock that the test holds, a line every 5 s: 4 runs of 100 steps, two side by side."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    trainer: Any = SimpleNamespace(
        global_step=0, world_size=1, estimated_stepping_batches=100, is_global_zero=True, callback_metrics={},
        optimizers=[SimpleNamespace(param_groups=[{"lr": 0.1}])],
    )  # fmt: skip
    module: Any = SimpleNamespace(log=lambda *_, **__: None, log_dict=lambda *_, **__: None)
    batch: Any = {"clips": torch.zeros(2, 1, 3, 4, 4, 3)}
    with Outlook("run", 4, 200.0).known():
        told, untold = Progress("run", 5), Progress("other", 5)
    for callback in (told, untold):
        trainer.global_step = 0
        callback.on_train_start(trainer, module)
        for step in range(4):
            callback.on_train_batch_start(trainer, module, batch, step)
            now[0] += 3
            trainer.global_step += 1
            callback.on_train_batch_end(trainer, module, None, batch, step)
    whole = "run: at this speed the steps of all 4 runs take about 10.0 min"
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "all" in line] == [whole]
    assert lines[0].startswith("run: step 2/100, ")
    assert lines[0].endswith(", 2 frames/s, data wait 0%, 4.9 min left")
    assert lines[1] == whole
    assert len(lines) == 5
