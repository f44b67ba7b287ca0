"""What a run is computed on, and a run that would go on in another precision."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
import yaml
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from pytorch_lightning.plugins import MixedPrecision, Precision

from aulight.nets import precision as measuring
from aulight.nets.precision import AUTO, Speeds
from aulight.runs.machine import processor
from aulight.runs.record import HardwareRecord
from aulight.runs.run import Run
from aulight.training.hardware import OnePrecision, hardware_of, precision_of
from aulight.training.trainer import make_trainer
from tests.training.typed import finetune_settings

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
    hardware = _read(begun)["hardware"]
    hardware.pop("speeds", None)  # where this process has measured them
    assert hardware == {
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


def test_slurm_alone_decides_what_begins_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lightning would write a checkpoint in the middle of an epoch, and ask Slurm for the job once more."""
    for name, value in {"NTASKS": "1", "NTASKS_PER_NODE": "1", "JOB_NAME": "train", "JOB_ID": "1234"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    made = make_trainer(Run(tmp_path, "finetune", {"name": "run"}), finetune_settings("trainer=cpu"), [])
    environment = made._accelerator_connector.cluster_environment
    assert isinstance(environment, SLURMEnvironment)
    assert not environment.auto_requeue


def test_gpus_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: f"NVIDIA {'AB'[number]}100")
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    monkeypatch.setattr(type(trainer.strategy), "root_device", torch.device("cuda:0"))
    monkeypatch.setattr(pl.Trainer, "device_ids", [0, 1])
    found = hardware_of(trainer)
    assert (found.accelerator, found.devices) == ("cuda", ["NVIDIA A100", "NVIDIA B100"])


@pytest.fixture
def _measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor on which bf16 was measured to be three times as fast."""
    monkeypatch.delenv(AUTO)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    monkeypatch.setattr(measuring, "_known", [Speeds(6.0, 2.0)])


@pytest.mark.usefixtures("_measured")
def test_auto_says_what_it_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = make_trainer(Run(tmp_path, "finetune", {"name": "run"}), finetune_settings("trainer=cpu"), [])
    assert made.precision == "bf16-mixed"
    assert capsys.readouterr().out == ("run: computes in bf16-mixed: a convolution takes 2 ms in bf16, 6 ms in fp32\n")
    assert hardware_of(made).speeds == {"fp32_ms": 6.0, "bf16_ms": 2.0}


@pytest.mark.usefixtures("_measured")
@pytest.mark.parametrize("typed", [[], ["resume_on_other_hardware=true"]])
def test_a_run_that_goes_on_keeps_its_precision(typed: list[str], begun: Path) -> None:
    """On the same processor, whatever is measured now; unless it may change."""
    run = Run(begun.parent, "pretrain", _read(begun)["config"])
    assert run.last is not None
    hardware = HardwareRecord(precision="32-true", accelerator="cpu", devices=[processor()], processes=1)
    run.record = run.record.updated(hardware=hardware)
    assert precision_of(run, finetune_settings(*typed), "cpu") == ("bf16-mixed" if typed else "32-true")
    elsewhere = hardware.model_copy(update={"devices": ["another"]})
    run.record = run.record.updated(hardware=elsewhere)
    assert precision_of(run, finetune_settings(*typed), "cpu") == "bf16-mixed"


def test_a_bf16_that_is_slow_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(measuring, "_known", [Speeds(2.0, 18.0)])
    settings = finetune_settings("name=run", "trainer.precision=bf16-mixed")
    assert precision_of(Run(tmp_path, "finetune", {}), settings, "cpu") == "bf16-mixed"
    assert capsys.readouterr().err == (
        "run: trainer.precision=bf16-mixed: bf16 takes 9.0 times as long as fp32 here; 32 or auto is faster\n"
    )


@pytest.mark.parametrize(
    ("own", "first"), [("32-true", "bf16-mixed"), ("bf16-mixed", "32-true"), ("64-true", "32-true")]
)
def test_all_processes_compute_as_the_first(own: str, first: str, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = pl.Trainer(accelerator="cpu", precision=own, **quiet)  # type: ignore[arg-type]
    monkeypatch.setattr(trainer.strategy, "broadcast", lambda told: first)
    OnePrecision().setup(trainer, pl.LightningModule(), "fit")
    assert trainer.precision == (own if own == "64-true" else first)  # which nobody has measured
    if first == "bf16-mixed":
        assert isinstance(trainer.strategy.precision_plugin, MixedPrecision)
        with trainer.precision_plugin.forward_context():
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    elif own != "64-true":
        assert type(trainer.strategy.precision_plugin) is Precision
