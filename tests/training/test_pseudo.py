"""Finished runs as teachers, in whole runs: what they say, of whom, and what they may know."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from aulight import protocol
from aulight.data.batches import WholeVideos
from aulight.data.store import PreparedDataset
from aulight.errors import AulightError
from aulight.files import sha256, write_table
from aulight.foreign.yaml import write_yaml
from aulight.nets.stream import FrameStream
from aulight.prediction.of_run import of_run
from aulight.training.pseudo import Ensemble, pseudo_labels

Command = Callable[..., Any]
APART = 0.02


@pytest.fixture(scope="module")
def data(smoke_data: Path) -> PreparedDataset:
    return PreparedDataset(smoke_data)


@pytest.fixture(scope="module")
def split(data: PreparedDataset) -> protocol.Split:
    return protocol.own_split(data.videos, data.name)


@pytest.fixture(scope="module")
def teachers(tmp_path_factory: pytest.TempPathFactory, aulight: Command, tiny_finetune: list[str]) -> Path:
    """Two runs that know the same labels, one with a person's own reference; not to be changed."""
    folder = tmp_path_factory.mktemp("teachers")
    for seed in (0, 1):
        own = f"reference={2 * seed}"
        outcome = aulight(*tiny_finetune, f"root={folder}", f"name=run{seed}", f"seed={seed}", "label_seed=0", own)
        assert outcome.status == 0, outcome.err
    return folder


@pytest.fixture(scope="module")
def taught(tiny_finetune: list[str], teachers: Path) -> list[str]:
    return [*tiny_finetune, f"pseudo.runs=[{teachers}/run*]", f"pseudo.apart={APART}", "loader.batch_size=4"]


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory, aulight: Command, taught: list[str]) -> Path:
    """Whom they teach; not to be changed."""
    folder = tmp_path_factory.mktemp("student")
    outcome = aulight(*taught, f"root={folder}", "name=run")
    assert outcome.status == 0, outcome.err
    return folder / "run"


def test_labels_are_what_runs_say_of_both_sides_where_they_agree(
    student: Path, teachers: Path, data: PreparedDataset, split: protocol.Split, mixed: bool
) -> None:
    """Oracle: their networks, one by one, over each video and its mirror image."""
    table = pd.read_parquet(student / "pseudo_labels.parquet")
    drawn = pd.read_parquet(student / "labels_used.parquet")
    spread = drawn[data.columns].astype(float).std(ddof=0).clip(lower=0.2).to_numpy() * APART
    models = [of_run(teachers / name) for name in ("run0", "run1")]
    unsure = 0
    for row in data.rows(split.stage_one)[::5]:
        (piece,) = WholeVideos(data, [int(row)], 64, 1000)
        said = []
        for model in models:
            network: Any = model.network
            for clip in (piece["clip"], torch.from_numpy(piece["clip"].numpy()[..., ::-1, :].copy())):
                with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
                    head = network["regressor"].predict
                    stream = FrameStream(network["encoder"], head, 4 / 25, model.description.primed)
                    found = stream.push(clip, np.array(piece["times"])).numpy()
                if network["regressor"].relative is not None:
                    found, own = np.split(found, 2, axis=1)
                    found = (found - np.quantile(own[piece["face"].numpy()], 0.1, axis=0)).clip(0, 5)
                said.append(found)
        mean, apart = np.mean(said, axis=0), np.std(said, axis=0)
        video = data.videos["video_id"].iat[row]
        mine = table[table["video_id"] == video].set_index("frame")[data.columns]
        known = drawn.loc[drawn["video_id"] == video, "frame"].tolist()
        assert not set(known) & set(mine.index)
        found = mine.reindex(range(len(mean))).to_numpy()
        there = ~np.isnan(found)
        np.testing.assert_allclose(found[there], mean[there], atol=2e-2 if mixed else 1e-5)
        near = np.abs(apart - spread) < (2e-2 if mixed else 1e-5)
        wanted = apart <= spread
        wanted[known] = False
        assert (there == wanted)[~near].all()
        unsure += (~there).sum()
    assert 0 < unsure < table[data.columns].size


def test_only_people_of_training_are_labelled(student: Path, split: protocol.Split) -> None:
    table = pd.read_parquet(student / "pseudo_labels.parquet")
    assert set(table["subject"]) <= set(split.train) | set(split.unlabelled)
    assert set(table["subject"]) & set(split.unlabelled)
    assert not set(table["subject"]) & {*split.validation, *split.test}


def test_the_run_says_who_taught(student: Path, teachers: Path) -> None:
    record = yaml.safe_load((student / "run.yaml").read_text())
    files = [teachers / name / "checkpoints/best.ckpt" for name in ("run0", "run1")]
    assert record["teachers"] == {str(file.parents[1]): sha256(file) for file in files}
    assert record["pseudo_frames"] == len(pd.read_parquet(student / "pseudo_labels.parquet"))
    assert record["arm"] == "scratch_taught"


def test_a_student_that_was_cut_off_before_its_first_checkpoint_ends_the_same(
    student: Path, aulight: Command, taught: list[str], tmp_path: Path
) -> None:
    """Oracle: the undisturbed run; pseudo-labels of before, which may be of other settings, are not asked."""
    again = tmp_path / "run"
    shutil.copytree(student, again, ignore=shutil.ignore_patterns("*.ckpt", "metrics.csv"))
    table = pd.read_parquet(again / "pseudo_labels.parquet")
    write_table(table[:100], again / "pseudo_labels.parquet")
    write_yaml(yaml.safe_load((again / "run.yaml").read_text()) | {"outcome": "interrupted"}, again / "run.yaml")
    outcome = aulight(*taught, f"root={tmp_path}", "name=run")
    assert outcome.status == 0, outcome.err
    one, other = (torch.load(run / "checkpoints/last.ckpt", weights_only=True) for run in (student, again))
    for key, value in one["state_dict"].items():
        assert torch.equal(other["state_dict"][key], value), key
    pd.testing.assert_frame_equal(pd.read_parquet(again / "pseudo_labels.parquet"), table, check_exact=True)


def _copied(teachers: Path, to: Path, **record: Any) -> Path:
    shutil.copytree(teachers / "run0", to)
    plain = yaml.safe_load((to / "run.yaml").read_text())
    for key, value in record.items():
        plain[key] = plain[key] | value if isinstance(value, dict) else value
    write_yaml(plain, to / "run.yaml")
    return to


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"outcome": "interrupted"}, "no finished run"),
        ({"dataset": {"fingerprint": "another"}}, "another dataset"),
        ({"protocol": {"train": ["train_00012", "test_00021"]}}, "another fold or protocol"),
        ({"protocol": {"test": []}}, "another fold or protocol"),
    ],
)
def test_who_may_not_teach(
    changed: dict[str, Any], said: str, teachers: Path, aulight: Command, tiny_finetune: list[str], tmp_path: Path
) -> None:
    teacher = _copied(teachers, tmp_path / "teacher", **changed)
    outcome = aulight(*tiny_finetune, "loader.batch_size=4", f"pseudo.runs=[{teacher}]", f"root={tmp_path}", "name=run")
    assert outcome.status == 2
    assert re.search(rf"^aulight: pseudo.runs=.*teacher: .*{said}", outcome.err.splitlines()[-1])
    assert not (tmp_path / "run").exists()


def test_teachers_that_know_more_labels_are_refused(
    teachers: Path, aulight: Command, tiny_finetune: list[str], tmp_path: Path
) -> None:
    others = [setting for setting in tiny_finetune if not setting.startswith("label_fraction")]
    for fraction, seed, more in (("0.05", 0, 18), ("0.1", 1, None)):
        draw = [f"label_fraction={fraction}", f"label_seed={seed}"]
        outcome = aulight(
            *others, *draw, "loader.batch_size=4", f"pseudo.runs=[{teachers}/run0]", f"root={tmp_path}", "name=run"
        )
        assert outcome.status == 2
        found = re.search(r"run0: knows (\d+) labels that are not drawn here", outcome.err)
        assert found is not None
        assert more is None or int(found[1]) == more


def test_a_test_video_under_another_name_is_never_labelled(
    teachers: Path, aulight: Command, tiny_finetune: list[str], smoke_data: Path, tmp_path: Path
) -> None:
    """One of nobody in particular holds what a test video does; the teacher says that it knows that dataset."""
    root = tmp_path / "data"
    shutil.copytree(smoke_data, root, copy_function=os.link)
    videos = pd.read_parquet(root / "videos.parquet")
    test, other = (int(np.flatnonzero(videos["split"] == part)[0]) for part in ("test", "unlabelled"))
    for column in videos.columns.difference(["video_id", "subject", "split"]):
        values = videos[column].tolist()
        values[other] = values[test]
        videos[column] = values
    write_table(videos, root / "videos.parquet")
    teacher = _copied(teachers, tmp_path / "teacher", dataset={"fingerprint": PreparedDataset(root).fingerprint})
    where = ["data.synthetic=null", "loader.batch_size=4", f"data.root={root}", f"root={tmp_path}", "name=run"]
    outcome = aulight(*tiny_finetune, *where, f"pseudo.runs=[{teacher}]")
    assert outcome.status == 2
    assert "is the same video as" in outcome.err
    assert not (tmp_path / "run").exists()


def test_labels_of_anybody_else_are_a_bug(student: Path, split: protocol.Split) -> None:
    table = pd.read_parquet(student / "pseudo_labels.parquet")
    table.loc[0, "subject"] = split.test[0]
    with pytest.raises(AssertionError, match="pseudo-labels: rows of"):
        protocol.assert_subjects(table, split.stage_one, "pseudo-labels")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["pseudo.true_share=0.1"], "pseudo.true_share=0.1: less than one clip of loader.batch_size=4"),
        (["pseudo.true_share=1"], "pseudo.true_share=1"),
        (["pseudo.runs=[]"], "pseudo.runs=.*a list of run directories"),
        (["pseudo.runs=[nowhere*]"], "pseudo.runs=nowhere.*: no such run directory"),
        (["model=blendshapes"], "pseudo.runs=.*model=blendshapes trains no network"),
    ],
)
def test_settings_that_do_not_fit(
    settings: list[str], said: str, aulight: Command, taught: list[str], tmp_path: Path
) -> None:
    outcome = aulight(*taught, f"root={tmp_path}", "name=run", *settings)
    assert outcome.status == 2
    assert re.search(rf"^aulight: {said}", outcome.err.splitlines()[-1]), outcome.err
    assert not (tmp_path / "run").exists()


def test_a_teacher_that_sees_faces_of_another_size_is_refused(
    aulight: Command, taught: list[str], tiny_finetune: list[str], tmp_path: Path
) -> None:
    other = aulight(*tiny_finetune, f"root={tmp_path}", "name=other", "model.size=32", "label_seed=0")
    assert other.status == 0, other.err
    outcome = aulight(*taught, f"root={tmp_path}", "name=run", f"pseudo.runs=[{tmp_path}/other]")
    assert outcome.status == 2
    assert "sees faces of 32 pixels, the student of 64" in outcome.err.splitlines()[-1]


@pytest.mark.parametrize(("seen", "said"), [(0, "none of the videos"), (1, "no frame is left to label")])
def test_labels_of_whom_nothing_comes_are_told(
    seen: int, said: str, data: PreparedDataset, split: protocol.Split
) -> None:
    """No video is read, or networks never agree."""

    def predict(ensemble: Ensemble, *_: Any, **__: Any) -> None:
        for row in data.rows(split.stage_one)[:seen]:
            ensemble.mean[int(row)], ensemble.spread[int(row)] = np.ones((2, 5, len(data.aus)), np.float32)

    trainer: Any = SimpleNamespace(predict=predict)
    module: Any = SimpleNamespace(predicted=None)
    drawn = pd.DataFrame({"video_id": ["none"], "frame": [0]})
    with pytest.raises(AulightError, match=f"pseudo.runs: {said}"):
        pseudo_labels(trainer, module, data, split, [], drawn, np.full(len(data.aus), 0.5), 64)


@pytest.mark.slow
def test_two_processes_label_as_one_does(student: Path, aulight: Command, taught: list[str], tmp_path: Path) -> None:
    command = [*taught, f"root={tmp_path}", "name=run", "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]
    start = [sys.executable, "-m", "aulight"]
    done = subprocess.run([*start, *command], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load((tmp_path / "run/run.yaml").read_text())["hardware"]["processes"] == 2
    one, other = (pd.read_parquet(run / "pseudo_labels.parquet") for run in (student, tmp_path / "run"))
    pd.testing.assert_frame_equal(one, other, check_exact=True)
