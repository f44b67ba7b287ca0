"""The arm without a network: ridge regression from blendshape scores."""

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from sklearn.linear_model import Ridge

from aulight import protocol
from aulight.data.store import BLENDSHAPE, PreparedDataset
from aulight.data.writer import StoreWriter
from aulight.errors import AulightError
from aulight.files import write_table
from aulight.scoring.agreement import icc
from aulight.training.baseline import blendshapes, regress
from tests.data.formats import spoil

Command = Callable[..., Any]
NAMES = [f"shape{i}" for i in range(8)]
PENALTIES = [0.1, 10.0, 1000.0]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    """Ten subjects with two videos each; scores follow from the intensities, from a face of one's own on.

    AU12 is unknown in every third frame, frames 10 to 14 show no face, and frames 40 to 49 have no labels.
    """
    rng = np.random.default_rng(0)
    mix = rng.uniform(-0.1, 0.1, (2, len(NAMES)))
    root = tmp_path_factory.mktemp("planted") / "faces"
    with StoreWriter(root, {"name": "planted", "aus": [4, 12], "fps": 25.0, "crop_size": 64}) as store:
        for subject in range(10):
            own = rng.uniform(0.1, 0.6, len(NAMES))
            for video in range(2):
                name = f"s{subject}v{video}"
                (store.videos / f"{name}.mp4").touch()
                true = np.clip(rng.normal(0, 2, (50, 2)).round(), 0, 5)
                scores = own + true @ mix + rng.normal(0, 0.01, (50, len(NAMES)))
                confidence = np.ones(50, np.float32)
                scores[10:15], confidence[10:15] = np.nan, 0
                known = true.copy()
                known[::3, 1], known[40:] = np.nan, np.nan
                store.add(
                    name,
                    f"S{subject}",
                    25.0,
                    np.arange(50),
                    confidence,
                    labels={4: known[:, 0], 12: known[:, 1]},
                    blendshapes={n: scores[:, i].astype(np.float32) for i, n in enumerate(NAMES)},
                )
    return PreparedDataset(root)


@pytest.fixture(scope="module")
def split() -> protocol.Split:
    parts = {"train": range(5), "validation": range(5, 7), "test": range(7, 10)}
    return protocol.Split("made", 1, **{part: tuple(f"S{i}" for i in who) for part, who in parts.items()})


@pytest.fixture(scope="module")
def drawn(planted: PreparedDataset, split: protocol.Split) -> pd.DataFrame:
    usable = protocol.usable_labels(planted.labels, planted.frames, planted.videos, split.train)
    return protocol.draw_labels(usable, seed=0, fraction=None, count=60)


def slow_features(data: PreparedDataset, video: str, frame: int, relative: bool) -> Any:
    """Scores of one frame, and what they are beyond the median of all frames with a face of its subject."""
    subject = dict(zip(data.videos["video_id"], data.videos["subject"], strict=True))
    frames = list(zip(data.frames["video_id"], data.frames["frame"], strict=True))
    scores = data.blendshapes[NAMES].to_numpy(np.float64)
    own = scores[frames.index((video, frame))]
    whole = [
        row
        for (name, _), row, confidence in zip(frames, scores, data.frames["face_confidence"], strict=True)
        if subject[name] == subject[video] and confidence > 0
    ]
    return np.concatenate([own, own - np.median(whole, axis=0)]) if relative else own


def table_of(frame: pd.DataFrame, video: str) -> tuple[list[int], Any]:
    """Frame numbers and values of one video of what ``blendshapes`` gives."""
    mine = frame[frame.index.get_level_values("video_id") == video]
    return mine.index.get_level_values("frame").tolist(), mine.to_numpy()


@pytest.mark.parametrize("relative", [False, True])
def test_features_are_those_of_a_slow_loop(planted: PreparedDataset, relative: bool) -> None:
    table = blendshapes(planted, ["S3", "S8"], relative)
    assert len(table) == 4 * 45
    assert table.shape[1] == len(NAMES) * (1 + relative)
    for video, frame in (("s3v0", 0), ("s3v1", 45), ("s8v0", 9), ("s8v1", 15)):
        numbers, values = table_of(table, video)
        np.testing.assert_allclose(
            values[numbers.index(frame)], slow_features(planted, video, frame, relative), atol=1e-7
        )
        assert 12 not in numbers  # no face


@pytest.mark.parametrize("relative", [False, True])
def test_regression_is_scikit_learns_with_the_penalty_that_validates_best(
    planted: PreparedDataset, split: protocol.Split, drawn: pd.DataFrame, relative: bool
) -> None:
    fit = regress(planted, drawn, split, partial(blendshapes, planted, relative=relative), PENALTIES)

    def look_up(table: pd.DataFrame) -> Any:
        return blendshapes(planted, list(set(table["subject"])), relative).loc[
            pd.MultiIndex.from_frame(table[["video_id", "frame"]])
        ]

    def predict(unseen: Any, penalty: float) -> Any:
        x = look_up(drawn).to_numpy()
        scale = x.std(0) + 1e-6
        columns = []
        for au in planted.columns:
            known = drawn[au].notna().to_numpy()
            model = Ridge(alpha=penalty).fit(x[known] / scale, drawn[au][known].to_numpy(float))
            columns.append(model.predict(unseen / scale))
        return np.stack(columns, 1).clip(0, 5)

    validation = protocol.usable_labels(planted.labels, planted.frames, planted.videos, split.validation)
    truth = torch.from_numpy(validation[planted.columns].astype("Float64").to_numpy(float, na_value=np.nan))
    by_penalty = {
        penalty: float(icc(torch.from_numpy(predict(look_up(validation).to_numpy(), penalty)), truth).nanmean())
        for penalty in PENALTIES
    }
    assert fit.penalty == max(by_penalty, key=by_penalty.__getitem__)
    assert fit.validation_icc == pytest.approx(by_penalty[fit.penalty], abs=1e-9)

    assert set(fit.predictions) == set(planted.rows(split.test))
    for row, intensities in fit.predictions.items():
        video = str(planted.videos["video_id"].iat[row])
        assert intensities.shape == (50, 2)
        assert intensities.dtype == np.float32
        assert np.flatnonzero(np.isnan(intensities).all(axis=1)).tolist() == list(range(10, 15))
        numbers, values = table_of(blendshapes(planted, split.test, relative), video)
        np.testing.assert_allclose(intensities[numbers], predict(values, fit.penalty), atol=1e-5)


def test_a_linear_relation_is_found_and_faces_of_their_own_are_told_from_it(
    planted: PreparedDataset, split: protocol.Split, drawn: pd.DataFrame
) -> None:
    relative, plain = (
        regress(planted, drawn, split, partial(blendshapes, planted, relative=flag), PENALTIES).validation_icc
        for flag in (True, False)
    )
    assert relative > 0.9
    assert plain < relative


def test_only_the_drawn_labels_of_training_subjects_are_known_to_it(
    planted: PreparedDataset, split: protocol.Split, drawn: pd.DataFrame, tmp_path: Path
) -> None:
    """Other labels of training and all of test subjects can be anything; those of validation choose the penalty."""
    root = tmp_path / "faces"
    shutil.copytree(planted.root, root)
    rest = planted.labels.copy()
    video = rest["video_id"].map(planted.videos.set_index("video_id")["subject"])
    key = ["video_id", "frame"]
    chosen = pd.MultiIndex.from_frame(rest[key]).isin(pd.MultiIndex.from_frame(drawn[key]))
    rest.loc[~chosen & ~video.isin(split.validation).to_numpy(), planted.columns] = 5
    write_table(rest, root / "labels.parquet")
    before, after = (
        regress(data, drawn, split, partial(blendshapes, data, relative=True), PENALTIES)
        for data in (planted, PreparedDataset(root))
    )
    assert (before.penalty, before.validation_icc) == (after.penalty, after.validation_icc)
    for row, intensities in before.predictions.items():
        np.testing.assert_array_equal(intensities, after.predictions[row])


def test_a_face_without_scores_is_named(planted: PreparedDataset, tmp_path: Path) -> None:
    root = tmp_path / "faces"
    shutil.copytree(planted.root, root)
    frames = pd.read_parquet(root / "frames.parquet")
    frames.loc[(frames["video_id"] == "s8v1") & (frames["frame"] == 20), f"{BLENDSHAPE}shape3"] = np.nan
    write_table(frames, root / "frames.parquet")
    with pytest.raises(AulightError, match=r"frame 20 of video s8v1 .* no blendshape scores"):
        blendshapes(PreparedDataset(root), ["S8"], relative=False)


# ---- as a run beside those of networks --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def with_scores(smoke_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest synthetic dataset with scores that its labels shine through."""
    root = tmp_path_factory.mktemp("data") / "faces"
    shutil.copytree(smoke_data, root, copy_function=os.link)
    data = PreparedDataset(smoke_data)
    rng = np.random.default_rng(0)
    table = data.frames.merge(data.labels, on=["video_id", "frame"], how="left")
    true = table[data.columns].astype("Float64").to_numpy(float, na_value=0.0)
    scores = true @ rng.uniform(-0.1, 0.1, (len(data.aus), 52)) + rng.normal(0.3, 0.02, (len(table), 52))
    columns = {f"{BLENDSHAPE}s{i}": scores[:, i].astype(np.float32) for i in range(52)}
    write_table(data.frames.assign(**columns), root / "frames.parquet")
    return root


@pytest.fixture(scope="module")
def runs(
    with_scores: Path, aulight: Command, tiny_finetune: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A network trained from scratch, and then, with no video left to read, the arm; same labels."""
    folder = tmp_path_factory.mktemp("runs")
    command = [*tiny_finetune, "data.synthetic=null", f"data.root={with_scores}", f"runs={folder}", "label_seed=3"]
    outcome = aulight(*command)
    assert outcome.status == 0, outcome.err
    data = PreparedDataset(with_scores)
    for row, name in enumerate(data.videos["video_id"]):
        # each is another: of equal ones it is refused to split them
        spoil(data, row, f"not a video, {name}".encode())
    outcome = aulight(*command, "model=blendshapes")
    assert outcome.status == 0, outcome.err
    return folder / "finetune"


def test_a_run_is_like_that_of_a_network(runs: Path, with_scores: Path) -> None:
    (ours,), (theirs,) = (list(runs.glob(f"*-{arm}-*")) for arm in ("blendshapes", "scratch"))
    records = [yaml.safe_load((run / "run.yaml").read_text()) for run in (ours, theirs)]
    mine = records[0]
    assert (mine["arm"], mine["steps"], mine["outcome"]) == ("blendshapes", 0, "done")
    assert mine["penalty"] in mine["config"]["model"]["penalties"]
    assert set(records[1]) - set(mine) <= {"skipped", "hardware", "last", "resumed"}
    assert {key: mine[key] for key in ("dataset", "protocol", "train_label_mean", "labelled_frames", "fold")} == {
        key: records[1][key] for key in ("dataset", "protocol", "train_label_mean", "labelled_frames", "fold")
    }
    used = [pd.read_parquet(run / "labels_used.parquet") for run in (ours, theirs)]
    pd.testing.assert_frame_equal(used[0], used[1])
    tables = [pd.read_parquet(run / "predictions.parquet") for run in (ours, theirs)]
    assert tables[0].dtypes.equals(tables[1].dtypes)
    truth = ["video_id", "subject", "frame", "fold", *tables[0].filter(like="_true")]
    pd.testing.assert_frame_equal(tables[0][truth], tables[1][truth])
    guesses = tables[0].filter(like="_pred").to_numpy()
    assert np.isfinite(guesses).all()
    assert guesses.min() >= 0
    assert guesses.max() <= 5
    assert mine["test"]["icc"] > 0.5  # the scores were made from the labels


def test_report_shows_both(runs: Path, aulight: Command, tmp_path: Path) -> None:
    outcome = aulight("report", f"runs={runs}", "uncertainty.swaps=20", f"output={tmp_path}/report")
    assert outcome.status == 0, outcome.err
    rows = pd.read_csv(tmp_path / "report" / "table.csv")
    models = rows[rows["arm"].isin(["scratch", "blendshapes"])].set_index("arm")
    record = yaml.safe_load((next(runs.glob("*-blendshapes-*")) / "run.yaml").read_text())
    assert models.loc["blendshapes", "icc"] == pytest.approx(record["test"]["icc"], abs=1e-6)
    assert len(models) == 2
    assert "regression from blendshapes" in outcome.out


def test_the_same_command_has_nothing_left_to_do(
    runs: Path, aulight: Command, with_scores: Path, tiny_finetune: list[str]
) -> None:
    command = [*tiny_finetune, "data.synthetic=null", f"data.root={with_scores}", f"runs={runs.parent}", "label_seed=3"]
    assert "already done" in aulight(*command, "model=blendshapes").out
    outcome = aulight(*command, "model=blendshapes", "model.relative=false")
    assert outcome.status == 2
    assert "model.relative was True, is False" in outcome.err


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        (["pretrained={pretrained}"], ["pretrained=", "model=blendshapes trains no network"]),
        (["model.penalties=[]"], ["model.penalties=[]"]),
        (["model.penalties=[0,1]"], ["model.penalties=[0, 1]", "above 0"]),
        (["model.penalties=[1,-1]"], ["model.penalties"]),
        (["model.relative=1"], ["model.relative=1", "true or false"]),
        ([], ["no blendshape scores", "faces.blendshapes=true"]),
    ],
)
def test_mistakes(
    settings: list[str], parts: list[str], aulight: Command, tiny_finetune: list[str], pretrained: Path, tmp_path: Path
) -> None:
    settings = [setting.format(pretrained=pretrained) for setting in settings]
    outcome = aulight(*tiny_finetune, f"root={tmp_path}", "name=run", "model=blendshapes", *settings)
    assert outcome.status == 2
    assert len(outcome.err.splitlines()) == 1
    for part in parts:
        assert part in outcome.err


def test_any_number_of_penalties(
    aulight: Command, tiny_finetune: list[str], with_scores: Path, runs: Path, tmp_path: Path
) -> None:
    where = ["data.synthetic=null", f"data.root={with_scores}", f"root={tmp_path}", "name=run"]
    outcome = aulight(*tiny_finetune, *where, "model=blendshapes", "model.penalties=[3]")
    assert outcome.status == 0, outcome.err
    assert yaml.safe_load((tmp_path / "run" / "run.yaml").read_text())["penalty"] == 3.0


def test_there_is_no_stage_one_of_it(aulight: Command, tiny_pretrain: list[str], tmp_path: Path) -> None:
    outcome = aulight(*tiny_pretrain, f"root={tmp_path}", "name=run", "model=blendshapes")
    assert outcome.status == 2
    assert "model=blendshapes: trains no network" in outcome.err
    assert len(outcome.err.splitlines()) == 1
