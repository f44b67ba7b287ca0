"""The smallest settings that there are, and training that comes to nothing."""

import contextlib
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from aulight.errors import AulightError
from aulight.nets.finite import not_finite
from aulight.prediction.loading import load
from aulight.training.resuming import AtomicCheckpoints

Command = Callable[..., Any]


def _line(outcome: Any) -> str:
    assert outcome.status == 2, outcome.err
    lines = [line for line in outcome.err.splitlines() if line.startswith("aulight: ")]
    assert "Traceback" not in outcome.err
    assert len(lines) == 1
    return str(lines[0])


def test_every_epoch_can_be_kept(aulight: Command, tiny_pretrain: list[str], tmp_path: Path) -> None:
    command = [*tiny_pretrain, "probe=null", f"root={tmp_path}", "name=run", "keep_every_epochs=1"]
    assert aulight(*command).status == 0
    names = sorted(path.name for path in (tmp_path / "run/checkpoints").iterdir())
    assert names == ["last.ckpt", "step000002.ckpt", "step000004.ckpt", "step000006.ckpt"]
    (tmp_path / "run/run.yaml").write_text((tmp_path / "run/run.yaml").read_text().replace("done", "interrupted"))
    shutil.copyfile(tmp_path / "run/checkpoints/step000002.ckpt", tmp_path / "run/checkpoints/last.ckpt")
    assert aulight(*command).status == 0  # it goes on
    assert names == sorted(path.name for path in (tmp_path / "run/checkpoints").iterdir())


@pytest.mark.parametrize("stage", ["pretrain", "finetune"])
def test_a_batch_may_be_one_clip(
    stage: str, aulight: Command, tiny_pretrain: list[str], tiny_finetune: list[str], tmp_path: Path
) -> None:
    tiny = [*tiny_pretrain, "probe=null"] if stage == "pretrain" else tiny_finetune
    outcome = aulight(*tiny, f"root={tmp_path}", "name=run", "steps=2", "loader.batch_size=1")
    assert outcome.status == 0, outcome.err


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("+trainer.limit_val_batches=0", "trainer.limit_val_batches=0: a validation is needed"),
        ("+trainer.check_val_every_n_epoch=4", "trainer.check_val_every_n_epoch=4: training has 3 epochs"),
        ("trainer.strategy=ddp_spawn", "trainer.strategy=ddp_spawn: starts processes that give nothing back"),
        ("trainer.precision=64", "trainer.precision"),
        ("trainer.precision=bf16-true", "trainer.precision"),
    ],
)
def test_what_would_lose_a_run_at_its_end_is_refused_before(
    setting: str, said: str, aulight: Command, tiny_finetune: list[str], tmp_path: Path
) -> None:
    assert said in _line(aulight(*tiny_finetune, f"root={tmp_path}", "name=run", setting))
    assert not (tmp_path / "run/checkpoints/last.ckpt").exists()


def test_one_clip_with_one_moment_is_refused_at_once(
    aulight: Command, tiny_pretrain: list[str], tmp_path: Path
) -> None:
    command = [*tiny_pretrain, "probe=null", f"root={tmp_path}", "name=run", "clip.length=4", "loader.batch_size=1"]
    assert "one clip with one moment to predict has no mean" in _line(aulight(*command))
    assert not (tmp_path / "run").exists()
    assert aulight(*command, "model.norm=group", "steps=2").status == 0


@pytest.mark.parametrize("stage", ["pretrain", "finetune"])
def test_training_that_comes_to_nothing_ends_in_one_line_and_is_not_kept(
    stage: str, aulight: Command, tiny_pretrain: list[str], tiny_finetune: list[str], tmp_path: Path
) -> None:
    tiny = [*tiny_pretrain, "probe=null"] if stage == "pretrain" else tiny_finetune
    command = [*tiny, f"root={tmp_path}", "name=run", "optim.lr=1e30", "trainer.precision=32"]
    for _ in range(2):
        assert "training came to nothing by step" in _line(aulight(*command))
        outcome = yaml.safe_load((tmp_path / "run/run.yaml").read_text())["outcome"]
        assert outcome.startswith("failed: training came to nothing")
        for path in (tmp_path / "run/checkpoints").iterdir():
            assert not_finite(torch.load(path, weights_only=True)["state_dict"]) is None


@pytest.fixture
def spoilt(pretrained: Path, tmp_path: Path) -> Path:
    """A finished stage one with a weight that is no number, as 0.1.0 left them."""
    folder = shutil.copytree(pretrained, tmp_path / "spoilt")
    file = folder / "checkpoints/last.ckpt"
    saved = torch.load(file, weights_only=True)
    _spoil(saved["state_dict"], "encoder.")
    torch.save(saved, file)
    return folder


def _spoil(weights: dict[str, torch.Tensor], prefix: str) -> str:
    name = next(name for name in weights if name.startswith(prefix) and weights[name].is_floating_point())
    weights[name][(0,) * weights[name].dim()] = torch.nan
    return name


def test_a_stage_one_that_is_not_finite_is_refused(
    aulight: Command, tiny_finetune: list[str], spoilt: Path, tmp_path: Path
) -> None:
    outcome = aulight(*tiny_finetune, f"pretrained={spoilt}", f"root={tmp_path}/runs", "name=run")
    line = _line(outcome)
    assert f"pretrained={spoilt}/checkpoints/last.ckpt: its weight " in line
    assert "is not finite" in line


def test_a_model_that_is_not_finite_is_refused(aulight: Command, finetuned: Path, tmp_path: Path) -> None:
    good = load(finetuned)
    assert good.network is not None
    clips = torch.zeros(2, 64, 64, 3, dtype=torch.uint8).numpy()
    weights = good.network.state_dict()
    before = {name: weight.clone() for name, weight in weights.items()}
    name = _spoil(weights, "encoder.")
    with pytest.raises(AulightError, match=f"{finetuned}.*its scores are not finite numbers"):
        good.scorer().push(clips)
    good.save(tmp_path / "bad.aulight")
    with pytest.raises(AulightError, match=f"bad.aulight: its weight {name} is not finite"):
        load(tmp_path / "bad.aulight")
    weights[name].copy_(before[name])
    big = next(name for name in reversed(weights) if name.startswith("regressor.") and weights[name].dim() > 1)
    weights[big].fill_(3e38)  # finite, and of no use
    with contextlib.suppress(AulightError):
        assert good.scorer().push(clips).max() <= 5
    video = tmp_path / "none.mp4"
    video.write_bytes(b"")
    assert "bad.aulight: its weight" in _line(
        aulight("predict", f"model={tmp_path}/bad.aulight", f"input={video}", f"output={tmp_path}/out")
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("limit", [0, 1000, 100_000])
def test_a_checkpoint_that_finds_no_room_is_named(limit: int, tmp_path: Path) -> None:
    """torch says 'unexpected pos'. Oracle: the system's own limit of a file's size."""
    path = tmp_path / "last.ckpt"
    path.write_text("the one before")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as noted:
            AtomicCheckpoints().save_checkpoint({"weights": torch.zeros(1_000_000)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert noted.value.filename == str(path)
    assert path.read_text() == "the one before"
    assert list(tmp_path.iterdir()) == [path]
