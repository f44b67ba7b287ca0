"""Batches that are augmented where the network is: those that loaders augment, however many processes load them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from aulight.data.batches import ClipBatch, EpochBatches
from aulight.data.draws import DRAWN
from aulight.data.loaders import ContrastiveData, RegressionData
from aulight.data.store import PreparedDataset
from aulight.settings.augment import AugmentSettings
from tests.data.coded import NONE, assert_same, contrastive, regression

STRONG = yaml.safe_load((Path(__file__).parents[2] / "conf" / "augment" / "strong.yaml").read_text())
Stage = Callable[..., ContrastiveData | RegressionData]


def augment(on: str) -> AugmentSettings:
    return AugmentSettings.model_validate({**STRONG, "on": on})


def moved(module: ContrastiveData | RegressionData) -> list[ClipBatch]:
    """Batches of an epoch as they reach the network."""
    batches: list[Any] = [module.on_after_batch_transfer(batch, 0) for batch in module.train_dataloader()]
    return batches


@pytest.mark.parametrize(("stage", "views"), [(contrastive, {"views": 2}), (regression, {})])
def test_any_number_of_workers_gives_the_batches_of_the_loader(
    data: PreparedDataset, stage: Stage, views: dict[str, int]
) -> None:
    of_loader = moved(stage(data, augment=augment("loader"), **views))
    own = moved(stage(data, augment=augment("device"), **views))
    assert_same(moved(stage(data, augment=augment("device"), workers=2, **views)), own)
    plain = moved(stage(data, augment=NONE, **views))
    for one, other, still in zip(own, of_loader, plain, strict=True):
        apart = (one["clips"].float() - other["clips"]).abs()
        assert apart.mean() < 0.05
        assert (one["clips"].float() - still["clips"]).abs().mean() > 5
    rest = [[{**batch, "clips": None} for batch in batches] for batches in (own, of_loader)]
    assert_same(*rest)


def test_frames_are_sent_once_for_all_views(data: PreparedDataset) -> None:
    module = contrastive(data, augment=augment("device"), views=3)
    for batch in module.train_dataloader():
        assert batch["clips"].shape[:3] == (4, 1, 4)
        assert all(batch[name].shape[:3] == (4, 3, 4) for name in DRAWN)
        after: Any = module.on_after_batch_transfer(batch, 0)
        assert after["clips"].shape == (4, 3, *batch["clips"].shape[2:])
        assert after["clips"].dtype == torch.uint8
        assert not after.keys() & set(DRAWN)


def test_the_ranks_share_out_the_batches_of_one(data: PreparedDataset) -> None:
    module = contrastive(data, augment=augment("device"), views=2)
    whole = moved(module)
    clips = module._train
    assert clips.on_device
    shares = [[clips[places] for places in EpochBatches(4, 5, rank, 2)] for rank in range(2)]
    for batch, first, second in zip(whole, *shares, strict=True):
        parts: list[Any] = [module.on_after_batch_transfer(part, 0) for part in (first, second)]
        torch.testing.assert_close(torch.cat([part["clips"] for part in parts]), batch["clips"], rtol=0, atol=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_changes_frames_as_a_cpu_does(data: PreparedDataset) -> None:
    module = contrastive(data, augment=augment("device"), views=2)
    for batch in module.train_dataloader():
        there = {name: value.cuda() if isinstance(value, torch.Tensor) else value for name, value in batch.items()}
        ours: Any = module.on_after_batch_transfer(batch, 0)
        theirs: Any = module.on_after_batch_transfer(there, 0)  # type: ignore[arg-type]
        assert (ours["clips"].float() - theirs["clips"].cpu()).abs().mean() < 0.05
