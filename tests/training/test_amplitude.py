"""Amplitude set by cross-fitting, in whole runs: what changes, what does not, and what it may know."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from torch import nn

from aulight import protocol
from aulight.data.store import PreparedDataset
from aulight.files import write_table
from aulight.foreign.yaml import write_yaml
from aulight.nets.heads import IntensityRegressor
from aulight.prediction.of_run import of_run
from aulight.scoring.agreement import mean
from aulight.scoring.scores import scores
from aulight.training.amplitude import labelled_frames

Command = Callable[..., Any]


@pytest.fixture(scope="module")
def data(smoke_data: Path) -> PreparedDataset:
    return PreparedDataset(smoke_data)


@pytest.fixture(scope="module")
def half(tiny_finetune: list[str]) -> list[str]:
    """Stage two on half of the labels, so that some action units are shown by enough people."""
    others = [argument for argument in tiny_finetune if not argument.startswith("label_fraction")]
    return [*others, "label_fraction=0.5"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, aulight: Command, half: list[str]) -> tuple[Path, Path]:
    """One training, with its amplitude as it was learned and by cross-fitting; not to be changed."""
    folder = tmp_path_factory.mktemp("amplitude")
    for amplitude in ("none", "crossfit"):
        outcome = aulight(*half, f"root={folder}", f"name={amplitude}", f"amplitude={amplitude}")
        assert outcome.status == 0, outcome.err
    return folder / "none", folder / "crossfit"


def _checkpoint(run: Path, name: str) -> dict[str, Any]:
    saved: dict[str, Any] = torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)
    return saved


@pytest.mark.parametrize("name", ["best", "last"])
def test_the_last_linear_map_alone_changes(name: str, runs: tuple[Path, Path], data: PreparedDataset) -> None:
    """Oracle: the same training without it, and the slopes that run.yaml has."""
    before, after = (_checkpoint(run, name) for run in runs)
    weights, changed = before["state_dict"], after["state_dict"]
    assert weights.keys() == changed.keys()
    apart = {key for key in weights if not key.startswith("metrics.") and not torch.equal(weights[key], changed[key])}
    assert apart == {"regressor.linear.weight", "regressor.linear.bias"}
    slope, offset = (torch.tensor(after["amplitude"][part]) for part in ("slope", "offset"))
    linear, mean_, std = (weights[f"regressor.{part}"] for part in ("linear.weight", "mean", "std"))
    torch.testing.assert_close(changed["regressor.linear.weight"], (slope[:, None] * linear).float())
    rest = std * weights["regressor.linear.bias"] + mean_  # what is said where features are 0
    found = std * changed["regressor.linear.bias"] + mean_
    torch.testing.assert_close(found, (slope * rest + offset).float(), atol=1e-5, rtol=1e-5)
    record = yaml.safe_load((runs[1] / "run.yaml").read_text())
    assert "amplitude" not in yaml.safe_load((runs[0] / "run.yaml").read_text())
    assert "amplitude" not in before
    if name == "best":
        assert list(record["amplitude"]) == data.columns
        assert [of["slope"] for of in record["amplitude"].values()] == pytest.approx(slope.tolist(), abs=1e-6)
        used = pd.read_parquet(runs[1] / "labels_used.parquet")
        shown = [used.loc[used[au] >= 1, "subject"].nunique() for au in data.columns]
        assert [of["subjects"] for of in record["amplitude"].values()] == shown
        moved = [of["slope"] != 1 for of in record["amplitude"].values()]
        assert any(moved)
        assert all(people >= 5 for people, of_unit in zip(shown, moved, strict=True) if of_unit)


def test_predictions_are_on_the_line(runs: tuple[Path, Path], data: PreparedDataset) -> None:
    """Wherever the network's own were not clipped; and scores are those of what is in the tables."""
    record = yaml.safe_load((runs[1] / "run.yaml").read_text())
    for file in ("predictions.parquet", "validation.parquet"):
        before, after = (pd.read_parquet(run / file) for run in runs)
        for au, of_unit in record["amplitude"].items():
            plain, found = (table[f"{au}_pred"].to_numpy() for table in (before, after))
            inside = (plain > 0) & (plain < 5)
            line = (of_unit["slope"] * plain + of_unit["offset"]).clip(0, 5)
            np.testing.assert_allclose(found[inside], line[inside], atol=1e-4)
    for part, file in (("test", "predictions.parquet"), ("validation", "validation.parquet")):  # after it was rescaled
        of_file = scores(pd.read_parquet(runs[1] / file), data.columns)
        for name, values in of_file.items():
            assert record[part][name] == pytest.approx(float(mean(values)), abs=1e-6, nan_ok=True)


def test_the_model_that_is_exported_is_the_same(runs: tuple[Path, Path]) -> None:
    network = of_run(runs[1]).network
    assert network is not None
    saved = _checkpoint(runs[1], "best")["state_dict"]
    for name, value in network["regressor"].state_dict().items():
        assert torch.equal(value, saved[f"regressor.{name}"])


def test_a_run_that_was_cut_off_there_is_not_changed_twice(
    runs: tuple[Path, Path], aulight: Command, half: list[str], tmp_path: Path
) -> None:
    record = yaml.safe_load((runs[1] / "run.yaml").read_text())
    for _ in range(2):
        outcome = aulight(*half, f"root={tmp_path}", "name=crossfit", "amplitude=crossfit")
        assert outcome.status == 0, outcome.err
        again = yaml.safe_load((tmp_path / "crossfit/run.yaml").read_text())
        assert again["outcome"] == "done"
        write_yaml(again | {"outcome": "interrupted"}, tmp_path / "crossfit/run.yaml")
    for key in ("amplitude", "test", "last"):
        np.testing.assert_equal(again[key], record[key])
    for name in ("best", "last"):
        one, other = (_checkpoint(run, name)["state_dict"] for run in (runs[1], tmp_path / "crossfit"))
        assert all(torch.equal(one[key], other[key]) for key in one if key.startswith("regressor."))


def test_nothing_is_known_of_labels_that_were_not_drawn(
    runs: tuple[Path, Path], aulight: Command, half: list[str], data: PreparedDataset, tmp_path: Path
) -> None:
    """Those of validation and test people and the others of training people may be anything."""
    used = pd.MultiIndex.from_frame(pd.read_parquet(runs[1] / "labels_used.parquet")[["video_id", "frame"]])
    poisoned = data.labels.copy()
    others = ~pd.MultiIndex.from_frame(poisoned[["video_id", "frame"]]).isin(used)
    poisoned.loc[others, data.columns] = 5 - poisoned.loc[others, data.columns]
    root = tmp_path / "data"
    shutil.copytree(data.root, root, copy_function=os.link)
    write_table(poisoned, root / "labels.parquet")
    where = ["data.synthetic=null", f"data.root={root}", f"root={tmp_path}", "name=run", "amplitude=crossfit"]
    outcome = aulight(*half, *where)
    assert outcome.status == 0, outcome.err
    # the last checkpoint, since validation labels may choose another one
    one, other = (_checkpoint(run, "last") for run in (runs[1], tmp_path / "run"))
    assert other["amplitude"] == one["amplitude"]
    for key, value in one["state_dict"].items():
        assert key.startswith("metrics.") or torch.equal(other["state_dict"][key], value), key
    plain, found = (
        pd.read_parquet(run / "predictions_last.parquet").filter(like="_pred") for run in (runs[1], tmp_path / "run")
    )
    pd.testing.assert_frame_equal(found, plain, check_exact=True)


def test_labels_of_strangers_are_a_bug_and_values_are_of_drawn_ones_alone(data: PreparedDataset) -> None:
    split = protocol.own_split(data.videos, data.name)
    candidates = protocol.usable_labels(data.labels, data.frames, data.videos, split.train)
    drawn = protocol.draw_labels(candidates, 0, 0.1)
    found = labelled_frames(drawn, candidates, data.columns, split.train, 0)
    known = ~np.isnan(found.labels).all(1)
    assert known.sum() == len(drawn) == 36
    assert len(found.frames) == 60 * drawn["video_id"].nunique()
    keys = set(zip(found.videos[known], found.frames[known], strict=True))
    assert keys == set(zip(drawn["video_id"], drawn["frame"], strict=True))
    values = drawn.set_index(["video_id", "frame"])[data.columns]
    for video, frame, row in zip(found.videos[known], found.frames[known], found.labels[known], strict=True):
        assert row.tolist() == values.loc[(video, frame)].tolist()
    with pytest.raises(AssertionError, match="amplitude: rows of"):
        labelled_frames(drawn, candidates, data.columns, split.train[:1], 0)


def test_too_few_people_are_said_before_training(aulight: Command, half: list[str], tmp_path: Path) -> None:
    command = [argument for argument in half if not argument.startswith("label_fraction")]
    count = ["label_fraction=null", "label_count=3", "amplitude=crossfit"]
    outcome = aulight(*command, *count, f"root={tmp_path}", "name=run")
    assert outcome.status == 2
    assert "amplitude=crossfit: the drawn labels are of 3 subjects, and 5 are needed" in outcome.err
    assert not (tmp_path / "run").exists()


def test_a_regressor_says_slope_times_as_much() -> None:
    torch.manual_seed(0)
    regressor = IntensityRegressor(4, 3)
    nn.init.normal_(regressor.linear.weight)
    regressor.set_scale(torch.tensor([0.5, 1.0, 2.0]), torch.tensor([0.5, 2.0, 1.0]))
    features = torch.randn(2, 5, 4, 1, 1)
    before = regressor.intensities(features[..., 0, 0])
    torch.testing.assert_close(before.clamp(0, 5), regressor.predict(features))
    slope, offset = torch.tensor([1.0, 2.5, 0.5]), torch.tensor([0.0, -1.0, 0.3])
    regressor.rescale(slope, offset)
    torch.testing.assert_close(regressor.intensities(features[..., 0, 0]), slope * before + offset)
    torch.testing.assert_close(regressor.predict(features), (slope * before + offset).clamp(0, 5))
    assert regressor.mean.tolist() == [0.5, 1.0, 2.0]


@pytest.mark.slow
def test_two_processes_find_what_one_does(aulight: Command, half: list[str], tmp_path: Path) -> None:
    """Oracle: one process, with the network that two have trained, as it was before."""
    command = [*half, "amplitude=crossfit", f"root={tmp_path}", "name=run", "loader.batch_size=4", "trainer=ddp"]
    command.append("trainer.accelerator=cpu")
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "aulight"]
    done = subprocess.run([*start, *command, "trainer.devices=2"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    run = tmp_path / "run"
    record = yaml.safe_load((run / "run.yaml").read_text())
    assert record["hardware"]["processes"] == 2
    for name in ("best", "last"):
        saved = _checkpoint(run, name)
        mark = saved.pop("amplitude")
        slope, offset = (torch.tensor(mark[part]) for part in ("slope", "offset"))
        mean_, std, bias = (saved["state_dict"][f"regressor.{part}"] for part in ("mean", "std", "linear.bias"))
        saved["state_dict"]["regressor.linear.weight"] /= slope.float()[:, None]
        saved["state_dict"]["regressor.linear.bias"] = (((std * bias + mean_ - offset) / slope - mean_) / std).float()
        torch.save(saved, run / "checkpoints" / f"{name}.ckpt")
    write_yaml(record | {"outcome": "interrupted"}, run / "run.yaml")
    outcome = aulight(*command, "trainer.devices=1", "trainer.strategy=auto")
    assert outcome.status == 0, outcome.err
    again = yaml.safe_load((run / "run.yaml").read_text())["amplitude"]
    assert any(of_unit["slope"] != 1 for of_unit in again.values())
    for au, of_unit in again.items():
        assert record["amplitude"][au] == pytest.approx(of_unit, abs=1e-3), au


@pytest.mark.precision
def test_a_run_that_asks_for_agreement(aulight: Command, tiny_finetune: list[str], tmp_path: Path) -> None:
    """What is new says the mean label: its 1 - CCC is 1, and the MSE of other AUs about their variance."""
    outcome = aulight(*tiny_finetune, f"root={tmp_path}", "name=run", "loss=ccc", "loader.batch_size=12")
    assert outcome.status == 0, outcome.err
    losses = pd.read_csv(tmp_path / "run/metrics.csv")["train/loss"].dropna()
    assert len(losses) == 6
    assert np.isfinite(losses).all()
    assert 0 < losses.iloc[0] <= 2
    plain = _checkpoint(tmp_path / "run", "last")["hyper_parameters"]
    assert (plain["loss"], plain["ccc_share"]) == ("ccc", 1.0)
    other = aulight(*tiny_finetune, f"root={tmp_path}", "name=run", "loss=ccc", "loader.batch_size=12", "ccc_share=0.5")
    assert other.status == 2
    assert "ccc_share was 1.0, is 0.5" in other.err
