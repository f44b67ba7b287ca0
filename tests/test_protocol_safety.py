"""Poisoned labels: what training must not know may be anything, and no weight changes."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch
import yaml

from aulight import protocol
from aulight.data.store import PreparedDataset
from aulight.files import write_table
from tests.data.formats import point, segments

Command = Callable[..., Any]


@pytest.fixture
def train_on(
    aulight: Command, tiny_finetune: list[str], pretrained: Path, smoke_data: Path, tmp_path: Path
) -> Callable[..., Path]:
    """Runs stage two on the dataset with other labels; gives the run directory."""

    def run(labels: pd.DataFrame, name: str = "run", *settings: str) -> Path:
        root = tmp_path / f"data of {name}"
        shutil.copytree(smoke_data, root, copy_function=os.link)
        write_table(labels, root / "labels.parquet")
        where = ["data.synthetic=null", f"data.root={root}", f"root={tmp_path}", f"name={name}"]
        outcome = aulight(*tiny_finetune, *where, *(settings or [f"pretrained={pretrained}"]))
        assert outcome.status == 0, outcome.err
        return tmp_path / name

    return run


def _weights(run: Path, name: str) -> dict[str, torch.Tensor]:
    saved: dict[str, torch.Tensor] = torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]
    # the running sums of the validation scores are no weights
    return {key: value for key, value in saved.items() if not key.startswith("metrics.")}


def _same(one: Path, other: Path, name: str) -> bool:
    first, second = _weights(one, name), _weights(other, name)
    assert first.keys() == second.keys()
    return all(torch.equal(value, second[key]) for key, value in first.items())


def _of(data: PreparedDataset, *parts: str) -> pd.Series:
    videos = data.videos.loc[data.videos["split"].isin(parts), "video_id"]
    return data.labels["video_id"].isin(videos)


def _poison(labels: pd.DataFrame, rows: pd.Series, least: int = 100) -> pd.DataFrame:
    poisoned = labels.copy()
    aus = [column for column in labels if str(column).startswith("AU")]
    poisoned.loc[rows, aus] = 5 - poisoned.loc[rows, aus]
    assert rows.sum() > least
    assert (poisoned.loc[rows, aus] != labels.loc[rows, aus]).all(axis=None)
    return poisoned


def test_test_labels_change_no_weight(train_on: Callable[..., Path], smoke_data: Path, finetuned: Path) -> None:
    data = PreparedDataset(smoke_data)
    run = train_on(_poison(data.labels, _of(data, "test")))
    assert _same(run, finetuned, "last")
    assert _same(run, finetuned, "best")
    one, other = (pd.read_parquet(r / "predictions.parquet").filter(like="_pred") for r in (run, finetuned))
    pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_validation_labels_change_no_weight_but_may_choose_another_checkpoint(
    train_on: Callable[..., Path], smoke_data: Path, finetuned: Path
) -> None:
    data = PreparedDataset(smoke_data)
    run = train_on(_poison(data.labels, _of(data, "validation", "test")))
    assert _same(run, finetuned, "last")
    one, other = (pd.read_csv(r / "metrics.csv")["val/icc"].dropna() for r in (run, finetuned))
    assert (one.to_numpy() != other.to_numpy()).any()


def test_labels_that_were_not_drawn_change_no_weight(
    train_on: Callable[..., Path], smoke_data: Path, finetuned: Path
) -> None:
    data = PreparedDataset(smoke_data)
    used = pd.MultiIndex.from_frame(pd.read_parquet(finetuned / "labels_used.parquet")[["video_id", "frame"]])
    drawn = pd.MultiIndex.from_frame(data.labels[["video_id", "frame"]]).isin(used)
    assert drawn.sum() == 36
    run = train_on(_poison(data.labels, _of(data, "train") & ~drawn))
    assert _same(run, finetuned, "last")
    assert _same(run, finetuned, "best")


def test_the_poison_would_show(train_on: Callable[..., Path], smoke_data: Path, finetuned: Path) -> None:
    data = PreparedDataset(smoke_data)
    assert not _same(train_on(_poison(data.labels, _of(data, "train"))), finetuned, "last")


@pytest.mark.parametrize("fold", [1, 3])
def test_test_labels_change_no_weight_when_few_frames_are_labelled_and_folds_are_drawn(
    fold: int, train_on: Callable[..., Path], smoke_data: Path
) -> None:
    data = PreparedDataset(smoke_data)
    sparse = data.labels.sample(frac=0.15, random_state=5).sort_values(["video_id", "frame"], ignore_index=True)
    settings = ("data.protocol.name=kfold", "data.protocol.folds=3", f"fold={fold}")
    plain = train_on(sparse, "plain", *settings)
    parts = yaml.safe_load((plain / "run.yaml").read_text())["protocol"]
    assert parts["name"] == "kfold"
    assert [len(parts[part]) for part in ("train", "validation", "test")] == [6, 2, 4]
    subject = sparse["video_id"].map(data.videos.set_index("video_id")["subject"])
    assert set(subject) == {name for part in ("train", "validation", "test") for name in parts[part]}

    tested = train_on(_poison(sparse, subject.isin(parts["test"]), 20), "tested", *settings)
    assert _same(tested, plain, "last")
    assert _same(tested, plain, "best")
    one, other = (pd.read_parquet(run / "predictions.parquet") for run in (tested, plain))
    assert len(one) == 60 * 4
    pd.testing.assert_frame_equal(one.filter(like="_pred"), other.filter(like="_pred"), check_exact=True)
    assert one["AU12_true"].notna().sum() == subject.isin(parts["test"]).sum()
    held_out = train_on(_poison(sparse, subject.isin(parts["test"] + parts["validation"]), 20), "both", *settings)
    assert _same(held_out, plain, "last")
    shown = train_on(_poison(sparse, subject.isin(parts["train"]), 20), "shown", *settings)
    assert not _same(shown, plain, "last")


def _exchange(data: PreparedDataset, rows: npt.NDArray[np.int64]) -> None:
    """Shows another face in each of these videos: that of the next one."""
    places = [int(row) for row in rows]
    assert len({segments(data, row)[0] for row in places}) > 1
    point(data, dict(zip(places, [*places[1:], places[0]], strict=True)))


@pytest.mark.parametrize("part", ["validation", "test"])
def test_stage_one_sees_no_frame_of_held_out_subjects(
    part: str, aulight: Command, tiny_pretrain: list[str], pretrained: Path, smoke_data: Path, tmp_path: Path
) -> None:
    root = tmp_path / "data"
    shutil.copytree(smoke_data, root, copy_function=os.link)
    data = PreparedDataset(root)
    _exchange(data, data.rows(getattr(protocol.own_split(data.videos, data.name), part)))
    outcome = aulight(*tiny_pretrain, "data.synthetic=null", f"data.root={root}", f"root={tmp_path}", "name=run")
    assert outcome.status == 0, outcome.err
    assert _same(tmp_path / "run", pretrained, "last")


def test_stage_one_does_not_depend_on_labels(
    aulight: Command, tiny_pretrain: list[str], pretrained: Path, smoke_data: Path, tmp_path: Path
) -> None:
    root = tmp_path / "data"
    shutil.copytree(smoke_data, root, copy_function=os.link)
    data = PreparedDataset(smoke_data)
    write_table(_poison(data.labels, data.labels["frame"] >= 0), root / "labels.parquet")
    outcome = aulight(*tiny_pretrain, "data.synthetic=null", f"data.root={root}", f"root={tmp_path}", "name=run")
    assert outcome.status == 0, outcome.err
    assert _same(tmp_path / "run", pretrained, "last")


def test_stage_one_of_a_fold_sees_no_frame_of_those_it_does_not_train_on(
    aulight: Command, tiny_pretrain: list[str], smoke_data: Path, tmp_path: Path
) -> None:
    settings = ["data.synthetic=null", "data.protocol.name=kfold", "fold=2", "probe=null", f"root={tmp_path}"]
    settings += [setting for setting in tiny_pretrain if not setting.startswith("probe")][1:]
    outcome = aulight("pretrain", *settings, f"data.root={smoke_data}", "name=plain")
    assert outcome.status == 0, outcome.err
    seen = yaml.safe_load((tmp_path / "plain" / "run.yaml").read_text())["protocol"]["stage_one"]
    root = tmp_path / "data"
    shutil.copytree(smoke_data, root, copy_function=os.link)
    data = PreparedDataset(root)
    unseen = data.rows([subject for subject in data.videos["subject"] if subject not in seen])
    assert 0 < len(unseen) < len(data.videos)
    _exchange(data, unseen)
    outcome = aulight("pretrain", *settings, f"data.root={root}", "name=run")
    assert outcome.status == 0, outcome.err
    assert _same(tmp_path / "run", tmp_path / "plain", "last")
