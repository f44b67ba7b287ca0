import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import spawn

from aulight import protocol
from aulight.data.batches import Piece, WholeVideos
from aulight.data.store import PreparedDataset
from aulight.errors import AulightError
from aulight.nets.stream import FrameStream
from aulight.scoring.agreement import icc
from aulight.scoring.ridge import ridge
from aulight.settings.model import NetworkSettings
from aulight.settings.objective import ContrastiveSettings
from aulight.settings.training import ClipSettings, OptimSettings
from aulight.training.contrastive import Contrastive
from aulight.training.probe import Probe
from tests.data.formats import spoil
from tests.ranks import one_of_two


def _probe(data: PreparedDataset, split: protocol.Split, **changes: Any) -> Probe:
    settings: dict[str, Any] = {"every_epochs": 1, "label_fraction": 0.2, "label_seed": 0, "penalty": 10.0}
    return Probe(data, split, ClipSettings(length=6, stride=[4, 8]), size=64, **(settings | changes))


def _run(probe: Probe, stage: Contrastive, rank: int = 0, world: int = 1) -> float | None:
    trainer: Any = SimpleNamespace(
        current_epoch=0,
        global_step=2,
        global_rank=rank,
        world_size=world,
        loggers=[],
        precision_plugin=SimpleNamespace(forward_context=lambda: torch.autocast("cpu", enabled=False)),
    )
    values: dict[str, float] = {}
    stage.log = lambda name, value, **_: values.update({name: value})  # type: ignore[method-assign]
    probe.on_fit_start(trainer, stage)
    probe.on_train_epoch_end(trainer, stage)
    return values.get("probe/icc")


def _features(stage: Contrastive, piece: Piece) -> npt.NDArray[np.float64]:
    stream = FrameStream(stage.encoder, lambda x: x.mean((-2, -1)), 4 / 25, 5)
    return stream.push(piece["clip"], np.array(piece["times"])).double().numpy()


def _stage(pretrained: Path) -> Contrastive:
    saved = torch.load(pretrained / "checkpoints" / "last.ckpt", weights_only=True)
    settings = saved["hyper_parameters"]
    stage = Contrastive(
        NetworkSettings(**settings["encoder"]),
        ContrastiveSettings(**settings["objective"]),
        OptimSettings(**settings["optim"]),
    )
    stage.load_state_dict(saved["state_dict"])
    return stage


@pytest.fixture(scope="module")
def stage(pretrained: Path) -> Contrastive:
    return _stage(pretrained)


def test_score_equals_features_video_by_video(smoke_data: Path, stage: Contrastive) -> None:
    data = PreparedDataset(smoke_data)
    split = protocol.own_split(data.videos, data.name)
    before = {name: value.clone() for name, value in stage.state_dict().items()}
    score = _run(_probe(data, split), stage)
    assert stage.training
    for name, value in stage.state_dict().items():
        assert torch.equal(value, before[name])  # normalisation statistics too

    labels = data.labels.set_index(["video_id", "frame"])
    drawn = protocol.draw_labels(protocol.usable_labels(data.labels, data.frames, data.videos, split.train), 0, 0.2)
    stage.encoder.eval()

    def features(subjects: tuple[str, ...]) -> pd.DataFrame:
        tables = []
        for row in data.rows(subjects):
            (piece,) = WholeVideos(data, [int(row)], 64, 1000)
            values = _features(stage, piece)
            name = data.videos["video_id"].iat[row]
            tables.append(pd.DataFrame(values, index=pd.MultiIndex.from_product([[name], range(len(values))])))
        return pd.concat(tables)

    stage.encoder.eval()
    fit, unseen = features(split.train), features(split.validation)
    stage.encoder.train()
    chosen = pd.MultiIndex.from_frame(drawn[["video_id", "frame"]])
    known = [labels.loc[index, data.columns].to_numpy(float) for index in (chosen, unseen.index)]
    predictions = ridge(fit.loc[chosen].to_numpy(), known[0], unseen.to_numpy(), 10.0).clip(0, 5)
    expected = icc(torch.from_numpy(predictions), torch.from_numpy(known[1])).nanmean()
    assert score == pytest.approx(float(expected), abs=1e-9)


def test_never_looks_at_test_subjects(smoke_data: Path) -> None:
    data = PreparedDataset(smoke_data)
    split = protocol.own_split(data.videos, data.name)
    fit, score = _probe(data, split)._wanted
    assert fit.keys() <= set(data.rows(split.train))
    assert score.keys() == set(data.rows(split.validation))


def test_videos_without_labels_are_not_read(smoke_data: Path, stage: Contrastive, tmp_path: Path) -> None:
    """Nor is anything scored where no validation subject has one."""
    shutil.copytree(smoke_data, tmp_path / "copy", copy_function=os.link)
    data = PreparedDataset(tmp_path / "copy")
    split = protocol.own_split(data.videos, data.name)
    first, *others = data.rows(split.validation)
    names = data.videos["video_id"]
    for left, unlabelled in ((len(others), [first]), (0, [first, *others])):
        data = PreparedDataset(tmp_path / "copy")
        data.labels = data.labels[~data.labels["video_id"].isin(names.iloc[unlabelled])]
        spoil(data, int(first))
        probe = _probe(data, split)
        assert (_run(probe, stage) is None) == (left == 0)
        assert len(probe._wanted[1]) == left


def _one_of_two(rank: int, folder: Path, root: Path, pretrained: Path) -> None:
    data = PreparedDataset(root)
    split, stage = protocol.own_split(data.videos, data.name), _stage(pretrained)
    with one_of_two(rank, folder):
        found: list[Any] = [_run(_probe(data, split), stage, rank, 2)]
        spoil(data, int(data.rows(split.validation)[1])) if rank == 1 else None
        dist.barrier()
        found.append(_run(skipping := _probe(data, split, on_error="skip"), stage, rank, 2))
        found.append(skipping.skipped.total())
        with pytest.raises(AulightError, match="not a readable video"):
            _run(_probe(data, split), stage, rank, 2)
    torch.save(found, folder / f"{rank}.pt")


@pytest.mark.slow
def test_two_processes_find_what_one_does(
    smoke_data: Path, pretrained: Path, stage: Contrastive, tmp_path: Path
) -> None:
    """With a video that the second cannot read, too, of which both hear."""
    root = tmp_path / "copy"
    shutil.copytree(smoke_data, root, copy_function=os.link)
    data = PreparedDataset(root)
    split = protocol.own_split(data.videos, data.name)
    whole = _run(_probe(data, split), stage)
    spawn(_one_of_two, (tmp_path, root, pretrained), nprocs=2)  # type: ignore[no-untyped-call]
    without = _run(_probe(data, split, on_error="skip"), stage)
    assert without != pytest.approx(whole, abs=1e-6)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    assert first == [pytest.approx(whole, abs=1e-9), pytest.approx(without, abs=1e-9), 0]
    assert second == [None, None, 1]


def test_logged_by_stage_one_every_epoch(pretrained: Path) -> None:
    table = pd.read_csv(pretrained / "metrics.csv").dropna(subset="probe/icc")
    assert table["step"].tolist() == [1, 3, 5]
    assert table["epoch"].tolist() == [0, 1, 2]
    assert table["probe/icc"].between(-1, 1).all()
