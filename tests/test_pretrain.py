from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import yaml

from aulight import protocol
from aulight.data.store import PreparedDataset

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


def test_needs_no_labels(aulight: Command, tiny_pretrain: list[str], smoke_data: Path, tmp_path: Path) -> None:
    import os
    import shutil

    root = tmp_path / "data"
    shutil.copytree(smoke_data, root, copy_function=os.link, ignore=lambda *_: ["labels.parquet"])
    where = ["data.synthetic=null", f"data.root={root}", f"root={tmp_path}/runs", "name=run"]
    outcome = aulight(*tiny_pretrain, *where)
    assert outcome.status == 2
    assert "has no labels" in outcome.err
    without = [argument for argument in tiny_pretrain if not argument.startswith("probe")]
    outcome = aulight(*without, *where, "probe=null")
    assert outcome.status == 0, outcome.err
    assert "probe/icc" not in pd.read_csv(tmp_path / "runs" / "run" / "metrics.csv")
