import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import yaml

from aulight import protocol
from aulight.data.store import PreparedDataset
from aulight.foreign.yaml import MOST_VALUES, read_yaml
from aulight.runs.record import MOST_NAMES
from tests.data.formats import segments

Command = Callable[..., Any]


def test_what_a_run_leaves_behind(pretrained: Path, smoke_data: Path) -> None:
    assert {path.name for path in pretrained.iterdir()} == {".hydra", "checkpoints", "metrics.csv", "run.yaml"}
    assert {path.name for path in (pretrained / "checkpoints").iterdir()} == {"last.ckpt", "step000004.ckpt"}
    data = PreparedDataset(smoke_data)
    record = yaml.safe_load((pretrained / "run.yaml").read_text())
    assert (record["command"], record["outcome"], record["steps"]) == ("pretrain", "done", 6)
    assert record["dataset"] == {"name": "synthetic", "fingerprint": data.fingerprint, "videos": 18}
    split = protocol.own_split(data.videos, data.name)
    assert not set(record["protocol"]["stage_one"]) & set(split.validation + split.test)
    table = pd.read_csv(pretrained / "metrics.csv").dropna(subset="train/loss")
    assert table["step"].tolist() == list(range(6))
    for column in ("lr", "speed/frames_per_s", "speed/data_wait", "train/instance_top1", "train/instance_top1_same"):
        assert table[column].notna().all()
    assert table["train/instance_chance_same"].to_numpy() == pytest.approx(1 / 6)
    assert table["train/instance_chance"].to_numpy() == pytest.approx(1 / 18)


@pytest.mark.parametrize(
    "choice",
    [
        ["objective=predictive"],
        ["objective=dense", "model=resnet_tiny_convgru"],
        ["objective=vicreg"],
        ["objective=byol", "objective.predictive=0.0"],
        ["objective=masked", "model=resnet_tiny_convgru"],
        ["model=seresnet_tiny", "model.norm=group"],
        ["model.temporal=none", "objective=predictive"],
        ["augment=none"],
    ],
    ids=lambda choice: " ".join(choice),
)
def test_other_choices_train_too(choice: list[str], aulight: Command, tiny_pretrain: list[str], tmp_path: Path) -> None:
    outcome = aulight(*tiny_pretrain, *choice, f"root={tmp_path}", "name=run")
    assert outcome.status == 0, outcome.err
    saved = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert all(value.isfinite().all() for value in saved["state_dict"].values())


def test_the_checkpoint_says_whose_videos_it_saw(pretrained: Path, smoke_data: Path) -> None:
    data = PreparedDataset(smoke_data)
    saved = torch.load(pretrained / "checkpoints" / "last.ckpt", weights_only=True)["hyper_parameters"]
    seen = protocol.own_split(data.videos, data.name).stage_one
    files = [segments(data, int(row))[0] for row in data.rows(seen)]
    assert saved["trained_on"] == {
        "dataset": "synthetic",
        "collection": "synthetic",
        "subjects": sorted(seen),
        "steps_s": [4 / 25, 8 / 25],
        "contents": "".join(sorted(hashlib.sha256(file).hexdigest()[:16] for file in files)),
    }
    assert yaml.safe_load((pretrained / "run.yaml").read_text())["protocol"]["stage_one"] == list(seen)


@pytest.mark.parametrize(("name", "subjects"), [("own", 18), ("kfold", 24)])
def test_needs_no_labels(
    name: str, subjects: int, aulight: Command, tiny_pretrain: list[str], smoke_data: Path, tmp_path: Path
) -> None:
    """A split of the dataset's own still holds; otherwise there is nobody to be kept for a test."""
    root = tmp_path / "data"
    shutil.copytree(smoke_data, root, copy_function=os.link, ignore=lambda *_: ["labels.parquet"])
    where = ["data.synthetic=null", f"data.root={root}", f"root={tmp_path}/runs", "name=run"]
    outcome = aulight(*tiny_pretrain, *where, f"data.protocol.name={name}")
    assert outcome.status == 0, outcome.err
    everyone = ", and all 24 subjects, whom no stage two may be tested on then" if name == "kfold" else ""
    assert outcome.out.splitlines()[0] == f"run: synthetic has no labels: no probe{everyone}"
    record = yaml.safe_load((tmp_path / "runs" / "run" / "run.yaml").read_text())
    assert len(record["protocol"]["stage_one"]) == record["dataset"]["videos"] == subjects
    assert "probe/icc" not in pd.read_csv(tmp_path / "runs" / "run" / "metrics.csv")


def test_a_record_names_no_more_people_than_can_be_read(
    aulight: Command, tiny_pretrain: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checkpoint, by which stage two refuses to test on them, names all; most can be read, by their number."""
    assert MOST_NAMES < MOST_VALUES / 2
    monkeypatch.setattr("aulight.training.stage_one.MOST_NAMES", 17)
    outcome = aulight(*tiny_pretrain, f"root={tmp_path}", "name=run")
    assert outcome.status == 0, outcome.err
    assert read_yaml(tmp_path / "run" / "run.yaml")["protocol"]["stage_one"] is None
    saved = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert len(saved["hyper_parameters"]["trained_on"]["subjects"]) == 18
