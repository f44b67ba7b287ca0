from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pytorch_lightning.plugins.layer_sync import TorchSyncBatchNorm
from torch import Tensor, nn

from aulight.data.batches import ClipBatch, Piece
from aulight.data.clips import LabelledClips, Timeline
from aulight.errors import AulightError
from aulight.nets.stream import FrameStream
from aulight.scoring.agreement import icc, mae, mse
from aulight.settings.finetune import FinetuneOptimSettings
from aulight.settings.model import NetworkSettings
from aulight.training.optim import one_cycle
from aulight.training.regression import RegressionStage
from aulight.training.resuming import load_encoder, read_stage_one

ENCODER = NetworkSettings(
    backbone="resnet_tiny",
    temporal="gru",
    size=32,
    embedding=16,
    hidden=12,
    skip=True,
    norm="batch",
    small_input=False,
    mean=[0.5, 0.5, 0.5],
    std=[0.25, 0.25, 0.25],
)
OPTIM = FinetuneOptimSettings(lr=1e-2, encoder_lr_factor=0.3, weight_decay=0.0, warmup=0.1)


def _stage(loss: Any = "mse", freeze: Any = "none", stride: int = 2) -> RegressionStage:
    torch.manual_seed(0)
    stage = RegressionStage(
        ENCODER, [1, 2, 4], [0.5, 1.0, 2.0], [0.5, 2.0, 1.0], stride, stride / 25, 3, loss, freeze, OPTIM
    )
    nn.init.normal_(stage.regressor.linear.weight)
    stage.log = lambda *_, **__: None  # type: ignore[method-assign]  # there is no Trainer here
    return stage


def _batch() -> ClipBatch:
    generator = torch.Generator().manual_seed(1)
    clips = torch.randint(0, 256, (2, 1, 4, 32, 32, 3), dtype=torch.uint8, generator=generator)
    targets = torch.full((2, 4, 3), torch.nan)
    targets[0, 1, 0], targets[0, 3], targets[1, 3, 2] = 2.0, torch.tensor([0.0, 5.0, torch.nan]), 1.0
    ids = torch.tensor([0, 1])
    frames = torch.arange(4).expand(2, -1)
    return {"clips": clips, "video": ids, "subject": ids, "frames": frames, "skipped": [], "targets": targets}


@pytest.mark.parametrize("loss", ["mse", "smooth_l1"])
def test_loss_is_the_mean_over_known_labels(loss: str) -> None:
    stage = _stage(loss)
    batch = _batch()
    clip = (batch["clips"][:, 0].float() / 255 - 0.5) / 0.25
    with torch.no_grad():
        features = _stage().encoder(clip.permute(0, 1, 4, 2, 3))[0]  # a fresh one: batch statistics move
        outputs = features[..., 0, 0] @ stage.regressor.linear.weight.T + stage.regressor.linear.bias
    losses = []
    for b, t, a in torch.argwhere(~batch["targets"].isnan()).tolist():
        label = (float(batch["targets"][b, t, a]) - [0.5, 1.0, 2.0][a]) / [0.5, 2.0, 1.0][a]
        error = abs(float(outputs[b, t, a]) - label)
        losses.append(error**2 if loss == "mse" else (0.5 * error**2 if error < 1 else error - 0.5))
    assert len(losses) == 4
    assert stage.training_step(batch, 0).item() == pytest.approx(sum(losses) / 4, rel=1e-4)


def test_labels_after_which_nothing_is_known_change_nothing() -> None:
    batch = _batch()
    other: ClipBatch = {**batch, "clips": batch["clips"].clone(), "targets": batch["targets"].clone()}
    other["clips"][1, 0, 3] = 0
    other["targets"][1, 3, 2] = torch.nan
    other["targets"][0] = batch["targets"][0]
    stage = _stage().eval()  # no batch statistics, which would tie the clips together
    grads = []
    for given in (batch, other):
        given["targets"][1] = torch.nan
        stage.zero_grad()
        torch.autograd.backward(stage.training_step(given, 0))
        grads.append([p.grad.clone() for p in stage.parameters() if p.grad is not None])
    for one, two in zip(*grads, strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-6)


def _changed(before: dict[str, Tensor], stage: RegressionStage) -> set[str]:
    changed = {name for name, value in stage.state_dict().items() if not torch.equal(value, before[name])}
    return {".".join(name.split(".")[:2]) for name in changed}


@pytest.mark.parametrize(
    ("freeze", "moving"),
    [
        ("none", {"encoder.backbone", "encoder.project", "encoder.norm", "encoder.temporal", "regressor.linear"}),
        ("backbone", {"encoder.temporal", "regressor.linear"}),
        ("encoder", {"regressor.linear"}),
    ],
)
def test_frozen_parts_keep_weights_and_statistics(freeze: str, moving: set[str]) -> None:
    stage = _stage(freeze=freeze).train()
    stage.eval().train()  # as around a validation
    before = {name: value.clone() for name, value in stage.state_dict().items()}
    groups = [{"params": list(part.parameters()), "lr": 1e-2} for part in (stage.encoder, stage.regressor)]
    optimizer = one_cycle(groups, 5, OPTIM)["optimizer"]
    assert len(optimizer.param_groups) == (1 if freeze == "encoder" else 2)
    for _ in range(3):
        optimizer.zero_grad()
        torch.autograd.backward(stage.training_step(_batch(), 0))
        optimizer.step()
    assert _changed(before, stage) == moving


def test_stage_one_is_loaded_to_the_bit(pretrained: Path) -> None:
    network, weights, trained_on, file = read_stage_one(pretrained)
    assert (trained_on["dataset"], len(trained_on["subjects"])) == ("synthetic", 18)
    assert file == pretrained / "checkpoints" / "last.ckpt"
    stage = RegressionStage(network, [1], [0.0], [1.0], 4, 0.16, 7, "mse", "none", OPTIM)
    load_encoder(stage.encoder, weights, file)
    saved = torch.load(file, weights_only=True)["state_dict"]
    loaded = stage.encoder.state_dict()
    assert {f"encoder.{name}" for name in loaded} == {name for name in saved if name.startswith("encoder.")}
    assert all(torch.equal(value, saved[f"encoder.{name}"]) for name, value in loaded.items())
    assert any(name.endswith("running_var") for name in loaded)


@pytest.mark.parametrize("change", ["missing", "extra", "shape"])
def test_weights_that_do_not_fit_are_named(change: str, pretrained: Path) -> None:
    network, weights, _, file = read_stage_one(pretrained)
    stage = RegressionStage(network, [1], [0.0], [1.0], 4, 0.16, 7, "mse", "none", OPTIM)
    if change == "missing":
        del weights["norm.weight"]
    elif change == "extra":
        weights["norm.weight_2"] = torch.zeros(1)
    else:
        weights["norm.weight"] = torch.zeros(3)
    with pytest.raises(AulightError, match=r"norm\.weight") as caught:
        load_encoder(stage.encoder, weights, file)
    assert "\n" not in str(caught.value)


def _pieces(video: int, clip: Tensor, targets: Tensor, face: Tensor, chunk: int) -> list[Piece]:
    count = clip.shape[0]
    return [
        {
            "clip": clip[None, start : start + chunk],
            "video": video,
            "start": start,
            "times": [frame / 25 for frame in range(start, min(start + chunk, count))],
            "anew": [frame == 30 for frame in range(start, min(start + chunk, count))],
            "face": face[start : start + chunk],
            "targets": targets[start : start + chunk],
            "last": start + chunk >= count,
            "error": None,
        }
        for start in range(0, count, chunk)
    ]


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_scores_whole_videos_pooled_and_without_frames_that_show_no_face() -> None:
    stage = _stage(stride=3).eval()
    generator = torch.Generator().manual_seed(2)
    clips, labels, faces = [], [], []
    for count in (13, 9):
        clips.append(torch.randint(0, 256, (count, 32, 32, 3), dtype=torch.uint8, generator=generator))
        targets = torch.randint(0, 6, (count, 3), generator=generator).float()
        targets[2, 1] = torch.nan
        labels.append(targets)
        faces.append(torch.arange(count) != 4)
    pieces = [_pieces(video, clips[video], labels[video], faces[video], 6) for video in (0, 1)]
    stage.on_test_epoch_start()
    for piece in [pieces[0][0], pieces[1][0], pieces[0][1], pieces[1][1], pieces[0][2]]:  # as two workers interleave
        stage.test_step(piece, 0)

    whole = []
    for clip, face in zip(clips, faces, strict=True):
        stream = FrameStream(stage.encoder, stage.regressor.predict, 3 / 25, 3)
        whole.append(stream.push(clip[None], np.arange(len(clip)) / 25, face.numpy()))
    for video in (0, 1):
        np.testing.assert_allclose(stage.predictions[video], whole[video].numpy(), atol=1e-5)
    predicted = torch.cat([scores[face] for scores, face in zip(whole, faces, strict=True)])
    truth = torch.cat([targets[face] for targets, face in zip(labels, faces, strict=True)])
    scores = stage.metrics.compute()
    for name, function in (("icc", icc), ("mae", mae), ("mse", mse)):
        assert float(scores[name].nanmean()) == pytest.approx(float(function(predicted, truth).nanmean()), abs=1e-6)

    stage.on_validation_epoch_start()  # the next time starts from nothing
    assert stage.predictions == {}
    assert stage.metrics.compute()["icc"].isnan().all()


@pytest.mark.parametrize("lost", [0, 8, 20])
@pytest.mark.parametrize("stride", [1, 3])
def test_a_video_is_scored_as_its_clips_are_learned_from(stride: int, lost: int) -> None:
    """The oracle are clips of stage two's own that end at each frame, long enough to hold all that is seen of it.

    Those of the length of training are the first ``stride`` of a track; a face is lost for some frames.
    """
    stage = _stage(stride=stride).eval()
    clip = torch.randint(0, 256, (50, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))
    face = torch.ones(50, dtype=torch.bool)
    face[0], face[13 : 13 + lost] = False, False
    stage.on_test_epoch_start()
    for piece in _pieces(0, clip, torch.zeros(50, 3), face, 7):
        stage.test_step(piece, 0)
    timeline = Timeline(np.arange(50) / 25, face.numpy(), np.arange(50) == 30)
    for frame in torch.argwhere(face).flatten().tolist():
        track = 13 + lost if frame > 13 and lost > 12 else 1
        track = 30 if frame >= 30 and lost < 18 else track  # another person, or elsewhere
        length = stage.primed + 1 + (frame - track) // stride
        labels = pd.DataFrame({"video": [0], "frame": [frame], "AU01": [1]})
        chosen = LabelledClips(labels, ["AU01"], {0: timeline}, length, (stride, stride), 25.0, 1, 0)(0, 0)
        with torch.no_grad():
            features, _ = stage.encoder(stage.encoder.normalise(clip[chosen.frames][None]))
        expected = stage.regressor.predict(features)[0, -1].numpy(force=True)
        np.testing.assert_allclose(stage.predictions[0][frame], expected, atol=1e-5)
        if frame < track + stride:
            assert len(chosen.frames) == 4


def test_a_video_that_breaks_half_way_is_forgotten() -> None:
    stage = _stage(stride=3).eval()
    clip, face = torch.zeros(9, 32, 32, 3, dtype=torch.uint8), torch.ones(9, dtype=torch.bool)
    first, *_ = _pieces(0, clip, torch.zeros(9, 3), face, 6)
    stage.on_test_epoch_start()
    stage.test_step(first, 0)
    stage.test_step({"video": 0, "start": 6, "error": "damaged"}, 1)
    assert stage.predictions == {}
    assert stage.metrics.sums.abs().sum() == 0
    for piece in _pieces(1, clip, torch.zeros(9, 3), face, 6):
        stage.test_step(piece, 2)
    assert list(stage.predictions) == [1]


@pytest.mark.parametrize("change", [{"hidden": 20_000}, {"hidden": 2**20}, {"embedding": 2**20}, {"size": 1024}])
def test_a_checkpoint_that_claims_another_network(pretrained: Path, tmp_path: Path, change: dict[str, int]) -> None:
    """Gigabytes, if they were taken."""
    saved = torch.load(pretrained / "checkpoints" / "last.ckpt", weights_only=True)
    saved["hyper_parameters"]["encoder"].update(change)
    torch.save(saved, tmp_path / "last.ckpt")
    with pytest.raises(AulightError, match=r"last\.ckpt: does not fit its encoder: \w+"):
        read_stage_one(tmp_path / "last.ckpt")


@pytest.mark.parametrize("freeze", ["backbone", "encoder"])
def test_what_is_frozen_stays_so_when_its_batchnorm_is_replaced(freeze: str) -> None:
    """As Lightning does for ``trainer.sync_batchnorm``, there and back."""
    stage, sync = _stage(freeze=freeze), TorchSyncBatchNorm()
    for change in (sync.apply, sync.revert):
        change(stage)
        stage.train()
        norms = [module for module in stage.encoder.modules() if isinstance(module, nn.modules.batchnorm._NormBase)]
        assert len(norms) > 5
        assert not any(norm.training for norm in norms)
