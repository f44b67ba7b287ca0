from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch

from aulight import protocol
from aulight.data.batches import Piece, WholeVideos
from aulight.data.store import PreparedDataset
from aulight.nets.stream import FrameStream
from aulight.scoring.agreement import icc
from aulight.scoring.ridge import ridge
from aulight.settings.model import NetworkSettings
from aulight.settings.objective import ContrastiveSettings
from aulight.settings.training import ClipSettings, OptimSettings
from aulight.training.contrastive import Contrastive
from aulight.training.probe import Probe


def _probe(data: PreparedDataset, split: protocol.Split, **changes: Any) -> Probe:
    settings: dict[str, Any] = {"every_epochs": 1, "label_fraction": 0.2, "label_seed": 0, "penalty": 10.0}
    return Probe(data, split, ClipSettings(length=6, stride=[4, 8]), size=64, **(settings | changes))


def _run(probe: Probe, stage: Contrastive) -> float:
    trainer: Any = SimpleNamespace(
        current_epoch=0,
        global_step=2,
        is_global_zero=True,
        loggers=[],
        precision_plugin=SimpleNamespace(forward_context=lambda: torch.autocast("cpu", enabled=False)),
    )
    values: dict[str, float] = {}
    stage.log = lambda name, value, **_: values.update({name: value})  # type: ignore[method-assign]
    probe.on_train_epoch_end(trainer, stage)
    return values["probe/icc"]


def _features(stage: Contrastive, piece: Piece) -> npt.NDArray[np.float64]:
    stream = FrameStream(stage.encoder, lambda x: x.mean((-2, -1)), 4 / 25, 5)
    return stream.push(piece["clip"], np.array(piece["times"])).double().numpy()


@pytest.fixture(scope="module")
def stage(pretrained: Path) -> Contrastive:
    saved = torch.load(pretrained / "checkpoints" / "last.ckpt", weights_only=True)
    settings = saved["hyper_parameters"]
    stage = Contrastive(
        NetworkSettings(**settings["encoder"]),
        ContrastiveSettings(**settings["objective"]),
        OptimSettings(**settings["optim"]),
    )
    stage.load_state_dict(saved["state_dict"])
    return stage


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
    assert score == pytest.approx(float(expected), abs=1e-6)


def test_never_looks_at_test_subjects(smoke_data: Path) -> None:
    data = PreparedDataset(smoke_data)
    split = protocol.own_split(data.videos, data.name)
    probe = _probe(data, split)
    looked_at = {video for videos in (probe._fit, probe._score) for video, *_ in videos.videos}
    assert not looked_at & set(data.rows(split.test))
    assert {video for video, *_ in probe._score.videos} == set(data.rows(split.validation))


def test_logged_by_stage_one_every_epoch(pretrained: Path) -> None:
    table = pd.read_csv(pretrained / "metrics.csv").dropna(subset="probe/icc")
    assert table["step"].tolist() == [1, 3, 5]
    assert table["epoch"].tolist() == [0, 1, 2]
    assert table["probe/icc"].between(-1, 1).all()
