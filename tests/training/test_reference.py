"""Stage two with a reference of each person: what is learned, scored, kept and gone on with."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from torch import nn

from aulight.data.batches import ClipBatch, WholeVideos
from aulight.data.store import PreparedDataset
from aulight.nets.reference import QUANTILE
from aulight.nets.stream import FrameStream
from aulight.settings.finetune import FinetuneOptimSettings
from aulight.settings.model import NetworkSettings
from aulight.training.regression import USUAL, RegressionStage

Command = Callable[..., Any]

ENCODER: dict[str, Any] = {
    "backbone": "resnet_tiny", "size": 32, "embedding": 16, "hidden": 12, "norm": "group", "small_input": False,
    "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25],
}  # fmt: skip
OPTIM = FinetuneOptimSettings(lr=1e-2, encoder_lr_factor=0.3, weight_decay=0.0, warmup=0.1)


def _stage(temporal: Any, reference: int, skip: bool = True) -> RegressionStage:
    torch.manual_seed(0)
    encoder = NetworkSettings(**ENCODER, temporal=temporal, skip=skip)
    label_scale = [0.5, 1.0, 2.0], [0.5, 2.0, 1.0]
    stage = RegressionStage(encoder, [1, 2, 4], *label_scale, 2, 2 / 25, 3, "mse", "none", OPTIM, reference=reference)
    nn.init.normal_(stage.regressor.linear.weight)
    if stage.regressor.relative is not None:
        nn.init.normal_(stage.regressor.relative.weight)
    stage.log = lambda *_, **__: None  # type: ignore[method-assign]  # there is no Trainer here
    return stage


@pytest.mark.parametrize(("temporal", "skip"), [("gru", True), ("convgru", True), ("none", False)])
def test_what_is_learned_is_a_slow_loop(temporal: str, skip: bool) -> None:
    """Each clip alone, its front frame by frame; and what is usual goes towards the mean of the batch."""
    stage = _stage(temporal, 5, skip)
    generator = torch.Generator().manual_seed(1)
    clips = torch.randint(0, 256, (3, 1, 5 + 4, 32, 32, 3), dtype=torch.uint8, generator=generator)
    targets = torch.full((3, 9, 3), torch.nan)
    targets[0, 8], targets[1, 6, 1], targets[2, 8, 2] = torch.tensor([2.0, 1.0, torch.nan]), 4.0, 0.0
    ids = torch.arange(3)
    batch: ClipBatch = {"clips": clips, "video": ids, "subject": ids, "frames": ids, "skipped": [], "targets": targets}
    loss = stage.training_step(batch, 0)
    errors, references = [], []
    assert stage.regressor.relative is not None
    with torch.no_grad():
        for clip, wanted in zip(clips[:, 0], targets, strict=True):
            front = [stage.encoder.embed(stage.encoder.normalise(frame[None, None])) for frame in clip[:5]]
            own = [stage.regressor.relative(one[0, 0].mean((-2, -1))).numpy() for one in front]
            references.append(np.quantile(np.stack(own), QUANTILE, axis=0))
            features, _ = stage.encoder(stage.encoder.normalise(clip[None, 5:]))
            outputs = stage.regressor(features)[0].numpy() - references[-1]
            error = (outputs - stage.regressor.standardise(wanted[5:]).numpy()) ** 2
            errors += error[~np.isnan(error)].tolist()
    assert loss.item() == pytest.approx(np.mean(errors), rel=1e-4)
    np.testing.assert_allclose(stage.regressor.usual, USUAL * np.mean(references, 0), rtol=1e-4, atol=1e-6)
    torch.autograd.backward(loss)
    assert all(parameter.grad is not None for parameter in stage.parameters())


@pytest.fixture(scope="module")
def command(tiny_finetune: list[str]) -> list[str]:
    return [*tiny_finetune, "reference=3", "optim.lr=0.005"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, aulight: Command, command: list[str]) -> Path:
    """A finished run; not to be changed."""
    folder = tmp_path_factory.mktemp("reference")
    outcome = aulight(*command, f"root={folder}", "name=run", "trainer.precision=32-true")
    assert outcome.status == 0, outcome.err
    return folder / "run"


def _load(run: Path, name: str = "best") -> RegressionStage:
    saved = torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)
    plain = saved["hyper_parameters"]
    typed = {"encoder": NetworkSettings(**plain["encoder"]), "optim": FinetuneOptimSettings(**plain["optim"])}
    stage = RegressionStage(**(plain | typed))
    stage.load_state_dict(saved["state_dict"], strict=True)
    return stage.eval()


@pytest.mark.parametrize("file", ["predictions", "validation"])
def test_whole_videos_are_scored_by_all_their_frames(file: str, run: Path, smoke_data: Path) -> None:
    """Oracle: numpy's quantile over what the checkpoint's own network says of a video."""
    data, stage = PreparedDataset(smoke_data), _load(run)
    table = pd.read_parquet(run / f"{file}.parquet")
    for video, rows in table.groupby("video_id"):
        (row,) = np.flatnonzero(data.videos["video_id"] == video)
        (piece,) = WholeVideos(data, [int(row)], 64, 1000)
        stream = FrameStream(stage.encoder, stage.regressor.predict, 4 / 25, stage.primed)
        said, own = stream.push(piece["clip"], np.array(piece["times"])).chunk(2, -1)
        expected = (said.numpy() - np.quantile(own.numpy(), QUANTILE, axis=0)).clip(0, 5)
        found = rows.sort_values("frame")[[f"{au}_pred" for au in data.columns]].to_numpy()
        np.testing.assert_allclose(found, expected, atol=1e-4)
        assert found.std(0).max() > 0.01


def test_the_usual_reference_is_kept(run: Path) -> None:
    for name in ("best", "last"):
        assert _load(run, name).regressor.usual.abs().max() > 0


def test_amplitude_is_set_by_what_is_said_in_the_end(
    run: Path, aulight: Command, command: list[str], tmp_path: Path
) -> None:
    """Predictions are on the line that run.yaml has, wherever the plain ones were not clipped; half of the labels."""
    kept = [argument for argument in command if not argument.startswith("label_fraction")]
    for amplitude in ("none", "crossfit"):
        given = [*kept, "label_fraction=0.5", f"root={tmp_path}", f"name={amplitude}", f"amplitude={amplitude}"]
        outcome = aulight(*given, "trainer.precision=32-true")
        assert outcome.status == 0, outcome.err
    record = yaml.safe_load((tmp_path / "crossfit/run.yaml").read_text())
    before, after = (pd.read_parquet(tmp_path / name / "validation.parquet") for name in ("none", "crossfit"))
    assert any(of["slope"] != 1 for of in record["amplitude"].values())
    for au, of in record["amplitude"].items():
        plain, found = (table[f"{au}_pred"].to_numpy() for table in (before, after))
        inside = (plain > 0) & (plain < 5)
        line = (of["slope"] * plain + of["offset"]).clip(0, 5)
        np.testing.assert_allclose(found[inside], line[inside], atol=2e-4)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["model=blendshapes"], "reference=3: model=blendshapes trains no network; 0 is needed"),
        (["model.skip=false"], "reference=3: a model with skip=true is needed, or 0"),
        (["reference=-1"], "reference=-1: "),
    ],
)
def test_models_that_have_nothing_it_could_be_of(
    given: list[str], told: str, aulight: Command, command: list[str], tmp_path: Path
) -> None:
    outcome = aulight(*command, f"root={tmp_path}", *given)
    assert outcome.status == 2
    assert told in outcome.err
    assert not list(tmp_path.iterdir())


def test_nor_has_a_stage_one_without_a_skip(
    aulight: Command, command: list[str], tiny_pretrain: list[str], tmp_path: Path
) -> None:
    outcome = aulight(*tiny_pretrain, f"root={tmp_path}", "name=one", "model.skip=false")
    assert outcome.status == 0, outcome.err
    outcome = aulight(*command, f"root={tmp_path}", "name=two", f"pretrained={tmp_path}/one")
    assert outcome.status == 2
    assert "reference=3: a model with skip=true is needed, or 0" in outcome.err
