"""What a run is computed on, and a run that would go on in another precision."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
import yaml

from aulight.runs.machine import processor
from aulight.training.hardware import hardware_of

Command = Callable[..., Any]
OTHER = {"32-true": "bf16-mixed", "bf16-mixed": "32-true"}


@pytest.fixture
def begun(pretrained: Path, tmp_path: Path) -> Path:
    """A run that was cut off after its last checkpoint."""
    shutil.copytree(pretrained, tmp_path / "run")
    record = tmp_path / "run" / "run.yaml"
    record.write_text(record.read_text().replace("outcome: done", "outcome: interrupted"))
    return record


def _read(record: Path) -> dict[str, Any]:
    plain: dict[str, Any] = yaml.safe_load(record.read_text())
    return plain


def test_it_is_in_the_record(begun: Path, mixed: bool) -> None:
    assert _read(begun)["hardware"] == {
        "precision": "bf16-mixed" if mixed else "32-true",
        "accelerator": "cpu",
        "devices": [processor()],
        "processes": 1,
    }
    assert len(processor()) > 2


def test_another_precision_needs_a_word(
    begun: Path, aulight: Command, tiny_pretrain: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [*tiny_pretrain, f"root={begun.parents[1]}", "name=run"]
    was = _read(begun)["hardware"]["precision"]
    word = {"32-true": "32"}.get(was, was)
    monkeypatch.setenv("AULIGHT_AUTO_PRECISION", "bf16-mixed" if word == "32" else "32")
    refused = aulight(*command)
    assert refused.status == 2
    assert refused.err == (
        f"aulight: {begun.parent}: was trained in {was} on {processor()}, and would go on in {OTHER[was]} on "
        f"{processor()}, with other numbers; resume_on_other_hardware=true goes on so, AULIGHT_AUTO_PRECISION={word} "
        "in the precision that it had\n"
    )
    assert _read(begun)["hardware"]["precision"] == was
    assert _read(begun)["outcome"].startswith("failed: ")
    allowed = aulight(*command, "resume_on_other_hardware=true")
    assert allowed.status == 0, allowed.err
    assert allowed.out.splitlines()[0] == (
        f"run: goes on in {OTHER[was]} on {processor()}; was trained in {was} on {processor()}"
    )
    record = _read(begun)
    assert record["outcome"] == "done"
    assert record["hardware"]["precision"] == OTHER[was]
    assert [part["precision"] for part in record["hardware_before"]] == [was]


def test_a_run_of_an_earlier_aulight_goes_on(
    begun: Path, aulight: Command, tiny_pretrain: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    record = _read(begun)
    was = record.pop("hardware")["precision"]
    del record["config"]["resume_on_other_hardware"]
    record["config"]["trainer"]["sync_batchnorm"] = False  # the default that was
    begun.write_text(yaml.safe_dump(record))
    monkeypatch.setenv("AULIGHT_AUTO_PRECISION", "bf16-mixed" if was == "32-true" else "32")
    outcome = aulight(*tiny_pretrain, f"root={begun.parents[1]}", "name=run")
    assert outcome.status == 0, outcome.err
    assert "goes on in" not in outcome.out
    assert _read(begun)["hardware"]["precision"] == OTHER[was]


def test_gpus_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: f"NVIDIA {'AB'[number]}100")
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    monkeypatch.setattr(type(trainer.strategy), "root_device", torch.device("cuda:0"))
    monkeypatch.setattr(pl.Trainer, "device_ids", [0, 1])
    found = hardware_of(trainer)
    assert (found.accelerator, found.devices) == ("cuda", ["NVIDIA A100", "NVIDIA B100"])
