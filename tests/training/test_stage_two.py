import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from aulight import protocol
from aulight.cli.commands.finetune import finetune
from aulight.data.batches import WholeVideos
from aulight.data.store import PreparedDataset
from aulight.files import write_table
from aulight.foreign.yaml import write_yaml
from aulight.nets.stream import FrameStream
from aulight.runs.composed import composed, register_resolvers, settings_from
from aulight.runs.record import read_record
from aulight.scoring.agreement import icc, mae, mean, mse, pearson
from aulight.scoring.scores import scores
from aulight.settings.finetune import FinetuneOptimSettings, FinetuneSettings
from aulight.settings.model import NetworkSettings
from aulight.training.regression import RegressionStage

Command = Callable[..., Any]


def _load(run: Path, name: str = "best") -> RegressionStage:
    saved = torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)
    plain = saved["hyper_parameters"]
    typed = {"encoder": NetworkSettings(**plain["encoder"]), "optim": FinetuneOptimSettings(**plain["optim"])}
    stage = RegressionStage(**(plain | typed))
    stage.load_state_dict(saved["state_dict"], strict=True)
    return stage.eval()


@pytest.fixture(scope="module")
def data(smoke_data: Path) -> PreparedDataset:
    return PreparedDataset(smoke_data)


@pytest.fixture(scope="module")
def split(data: PreparedDataset) -> protocol.Split:
    return protocol.own_split(data.videos, data.name)


@pytest.mark.precision
def test_predictions_are_the_best_checkpoint_on_whole_test_videos(
    finetuned: Path, data: PreparedDataset, split: protocol.Split, mixed: bool
) -> None:
    table = pd.read_parquet(finetuned / "predictions.parquet")
    truths, predictions = [f"{au}_true" for au in data.columns], [f"{au}_pred" for au in data.columns]
    assert set(table.columns) == {"video_id", "subject", "frame", "fold", *truths, *predictions}
    assert set(table["subject"]) == set(split.test)
    assert not table.duplicated(["video_id", "frame"]).any()
    assert (table["fold"] == 1).all()
    assert table[["frame", "fold"]].dtypes.astype(str).tolist() == ["int64", "int64"]
    assert set(table[predictions].dtypes.astype(str)) == {"float32"}
    assert set(table[truths].dtypes.astype(str)) == {"Int8"}
    assert table[predictions].to_numpy().min() >= 0
    assert table[predictions].to_numpy().max() <= 5

    record = yaml.safe_load((finetuned / "run.yaml").read_text())
    precision = torch.bfloat16 if mixed else torch.float32
    stage = _load(finetuned)
    for row in data.rows(split.test):
        (piece,) = WholeVideos(data, [int(row)], 64, 1000)
        with torch.autocast("cpu", precision, enabled=precision == torch.bfloat16):
            stream = FrameStream(stage.encoder, stage.regressor.predict, 4 / 25, stage.primed)
            scores = stream.push(piece["clip"], np.array(piece["times"]))
        mine = table[table["video_id"] == data.videos["video_id"].iat[row]].sort_values("frame")
        assert mine["frame"].tolist() == list(range(60))
        np.testing.assert_allclose(
            mine[predictions].to_numpy(), scores.numpy(), atol=2e-2 if precision == torch.bfloat16 else 1e-5
        )

    merged = table.merge(data.labels, on=["video_id", "frame"])
    assert len(merged) == len(table)
    for au in data.columns:
        assert (merged[f"{au}_true"] == merged[au]).all()

    values = [torch.from_numpy(table[columns].to_numpy(float, copy=True)) for columns in (predictions, truths)]
    for name, function in (("icc", icc), ("mae", mae), ("mse", mse), ("pearson", pearson)):
        assert record["test"][name] == pytest.approx(float(function(*values).nanmean()), abs=1e-9)
    assert list(record["test"]["per_au"].values()) == pytest.approx(icc(*values).tolist(), abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("part", ["", "_last"])
def test_predictions_of_both_checkpoints(
    part: str, finetuned: Path, data: PreparedDataset, split: protocol.Split, mixed: bool
) -> None:
    """Oracle: the checkpoints' own networks over whole videos; run.yaml has the scores of both."""
    table = pd.read_parquet(finetuned / f"predictions{part}.parquet")
    record = yaml.safe_load((finetuned / "run.yaml").read_text())["last" if part else "test"]
    stage, columns = _load(finetuned, "last" if part else "best"), [f"{au}_pred" for au in data.columns]
    for row in data.rows(split.test):
        (piece,) = WholeVideos(data, [int(row)], 64, 1000)
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            stream = FrameStream(stage.encoder, stage.regressor.predict, 4 / 25, stage.primed)
            expected = stream.push(piece["clip"], np.array(piece["times"]))
        mine = table[table["video_id"] == data.videos["video_id"].iat[row]].sort_values("frame")
        np.testing.assert_allclose(mine[columns].to_numpy(), expected.numpy(), atol=2e-2 if mixed else 1e-5)
    found = {name: float(mean(values)) for name, values in scores(table, data.columns).items()}
    assert found == pytest.approx({name: record[name] for name in found}, abs=1e-9)


def test_when_the_last_checkpoint_is_the_best_it_is_scored_once(
    aulight: Command, tiny_finetune: list[str], tmp_path: Path
) -> None:
    outcome = aulight(*tiny_finetune, f"root={tmp_path}", "name=run", "steps=2")
    assert outcome.status == 0, outcome.err
    chosen, last = (pd.read_parquet(tmp_path / f"run/predictions{part}.parquet") for part in ("", "_last"))
    pd.testing.assert_frame_equal(chosen, last)
    record = yaml.safe_load((tmp_path / "run/run.yaml").read_text())
    np.testing.assert_equal(record["last"], record["test"])  # to which nan is nan
    assert record["stage_one_sha256"] is None


def test_what_chose_the_checkpoint_and_what_it_is_built_on_are_told(
    finetuned: Path, pretrained: Path, data: PreparedDataset, split: protocol.Split
) -> None:
    """Oracle: rows of the dataset's tables, and the file."""
    record = yaml.safe_load((finetuned / "run.yaml").read_text())
    labelled = data.labels.merge(data.frames, on=["video_id", "frame"]).merge(data.videos, on="video_id")
    labelled = labelled[labelled["subject"].isin(list(split.validation)) & (labelled["face_confidence"] > 0)]
    assert record["validation_frames"] == len(labelled) > 100
    there = (pretrained / "checkpoints/last.ckpt").read_bytes()
    assert record["stage_one_sha256"] == hashlib.sha256(there).hexdigest()


def test_labels_used(finetuned: Path, data: PreparedDataset, split: protocol.Split) -> None:
    used = pd.read_parquet(finetuned / "labels_used.parquet")
    candidates = protocol.usable_labels(data.labels, data.frames, data.videos, split.train)
    assert len(used) == round(0.1 * len(candidates)) == 36
    assert set(used["subject"]) <= set(split.train)
    pd.testing.assert_frame_equal(used, used[["video_id", "frame", "subject", *data.columns]].merge(candidates))


def test_labels_are_standardised_by_the_drawn_ones_alone(finetuned: Path, data: PreparedDataset) -> None:
    used = pd.read_parquet(finetuned / "labels_used.parquet")[data.columns].astype(float)
    stage = _load(finetuned)
    torch.testing.assert_close(stage.regressor.mean, torch.tensor(used.mean().to_numpy(), dtype=torch.float32))
    floored = np.maximum(used.std(ddof=0).to_numpy(), 0.2)
    torch.testing.assert_close(stage.regressor.std, torch.tensor(floored, dtype=torch.float32))
    record = yaml.safe_load((finetuned / "run.yaml").read_text())
    assert list(record["train_label_mean"].values()) == pytest.approx(used.mean().tolist(), abs=1e-6)


def test_best_checkpoint_is_the_best_on_validation(finetuned: Path) -> None:
    table = pd.read_csv(finetuned / "metrics.csv").dropna(subset="val/icc")
    record = yaml.safe_load((finetuned / "run.yaml").read_text())
    assert record["validation"]["icc"] == pytest.approx(table["val/icc"].max(), abs=1e-6)
    saved = torch.load(finetuned / "checkpoints" / "best.ckpt", weights_only=True)
    assert saved["global_step"] == 2 * (1 + int(table["val/icc"].argmax()))
    assert len(table) == 3


def test_validation_predictions_are_those_that_chose_the_checkpoint(
    finetuned: Path, data: PreparedDataset, split: protocol.Split
) -> None:
    """Oracle: the best validation score while training, and the frames of validation subjects that show a face."""
    table = pd.read_parquet(finetuned / "validation.parquet")
    videos = data.videos.iloc[data.rows(split.validation)]
    faces = data.frames[data.frames["video_id"].isin(videos["video_id"]) & (data.frames["face_confidence"] > 0)]
    keys = ["video_id", "frame"]
    assert set(map(tuple, table[keys].to_numpy().tolist())) == set(map(tuple, faces[keys].to_numpy().tolist()))
    assert len(table) == len(faces)
    icc = float(mean(scores(table, data.columns)["icc"]))
    assert icc == pytest.approx(read_record(finetuned).validation.icc, abs=1e-6)  # type: ignore[union-attr]
    rows = pd.read_csv(finetuned / "metrics.csv")["val/icc"].dropna()
    assert len(rows) == 3  # an epoch each: the last scoring is not a fourth


def test_pretrained_part_learns_more_slowly(finetuned: Path) -> None:
    saved = torch.load(finetuned / "checkpoints" / "last.ckpt", weights_only=True)
    groups = saved["optimizer_states"][0]["param_groups"]
    assert [group["max_lr"] for group in groups] == pytest.approx([0.6 * 2e-3, 2e-3])


def test_from_scratch_and_label_count(aulight: Command, tiny_finetune: list[str], tmp_path: Path) -> None:
    command = [argument for argument in tiny_finetune if not argument.startswith("label_fraction")]
    outcome = aulight(*command, f"root={tmp_path}", "name=run", "label_fraction=null", "label_count=5")
    assert outcome.status == 0, outcome.err
    record = yaml.safe_load((tmp_path / "run" / "run.yaml").read_text())
    assert (record["arm"], record["labelled_frames"]) == ("scratch", 5)
    assert record["label_fraction"] == pytest.approx(5 / 360)
    saved = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert [group["max_lr"] for group in saved["optimizer_states"][0]["param_groups"]] == [2e-3, 2e-3]


def test_frames_without_a_face_and_unknown_labels_take_no_part(
    aulight: Command, tiny_finetune: list[str], data: PreparedDataset, split: protocol.Split, tmp_path: Path
) -> None:
    root = tmp_path / "data"
    shutil.copytree(data.root, root, copy_function=os.link)
    frames, labels = data.frames.copy(), data.labels.copy()
    hidden = frames["frame"].between(20, 29)
    frames.loc[hidden, "face_confidence"] = 0
    labels.loc[labels["frame"] % 3 == 0, "AU04"] = pd.NA
    labels["AU25"] = pd.array([pd.NA] * len(labels), dtype="Int8")
    labels = labels[labels["frame"] != 35]
    write_table(frames, root / "frames.parquet")
    write_table(labels, root / "labels.parquet")
    where = ["data.synthetic=null", f"data.root={root}", f"root={tmp_path}/runs", "name=run", "label_fraction=1.0"]
    outcome = aulight(*[a for a in tiny_finetune if not a.startswith("label_fraction")], *where)
    assert outcome.status == 0, outcome.err
    run = tmp_path / "runs" / "run"
    used = pd.read_parquet(run / "labels_used.parquet")
    assert not used["frame"].between(20, 29).any()
    assert 35 not in set(used["frame"])
    table = pd.read_parquet(run / "predictions.parquet")
    assert set(table["frame"]) == set(range(60)) - set(range(20, 30))
    assert table.loc[table["frame"] == 35, "AU01_true"].isna().all()
    assert table.loc[table["frame"] % 3 == 0, "AU04_true"].isna().all()
    assert table.loc[(table["frame"] % 3 > 0) & (table["frame"] != 35), "AU04_true"].notna().all()
    assert table["AU25_true"].isna().all()
    record = yaml.safe_load((run / "run.yaml").read_text())
    values = [
        torch.from_numpy(
            table[[f"{au}_{kind}" for au in data.columns]].astype("Float64").to_numpy(float, na_value=np.nan)
        )
        for kind in ("pred", "true")
    ]
    assert record["test"]["icc"] == pytest.approx(float(icc(*values).nanmean()), abs=1e-9)
    assert np.isnan(record["test"]["per_au"]["AU25"])


def test_one_labelled_frame_to_validate_on_leaves_its_score_undefined(
    aulight: Command, tiny_finetune: list[str], data: PreparedDataset, tmp_path: Path
) -> None:
    root = tmp_path / "data"
    shutil.copytree(data.root, root, copy_function=os.link)
    write_table(data.labels.groupby("video_id").head(1), root / "labels.parquet")
    where = ["data.synthetic=null", f"data.root={root}", f"root={tmp_path}", "name=run", "data.protocol.name=loso"]
    outcome = aulight(*tiny_finetune, *where, "data.protocol.validation=0.01", "label_fraction=1.0")
    assert outcome.status == 0, outcome.err
    assert "validation ICC nan with 10 labelled frames" in outcome.out
    assert "run: labels of validation subjects do not vary" in outcome.out
    run = tmp_path / "run"
    assert np.isnan(yaml.safe_load((run / "run.yaml").read_text())["validation"]["icc"])
    best, last = (torch.load(run / f"checkpoints/{name}.ckpt", weights_only=True) for name in ("best", "last"))
    assert best["global_step"] == last["global_step"] == 6
    torch.testing.assert_close(best["state_dict"], last["state_dict"], rtol=0, atol=0)


# -- whom stage one saw ------------------------------------------------------------------------------------------


def _named(smoke_data: Path, root: Path, name: str) -> Path:
    """The dataset under another name."""
    shutil.copytree(smoke_data, root, copy_function=os.link)
    described = root / "dataset.yaml"
    meta = yaml.safe_load(described.read_text())
    described.unlink()
    described.write_text(yaml.safe_dump(meta | {"name": name}))
    return root


def test_the_record_says_where_stage_one_was(
    finetuned: Path,
    aulight: Command,
    tiny_finetune: list[str],
    pretrained: Path,
    smoke_data: Path,
    split: protocol.Split,
    tmp_path: Path,
) -> None:
    record = yaml.safe_load((finetuned / "run.yaml").read_text())
    own = {"dataset": "synthetic", "own_frames": True, "subjects": 18, "unlabelled_subjects": 12}
    assert record["stage_one"] == own
    assert record["protocol"] == {part: list(getattr(split, part)) for part in ("train", "validation", "test")} | {
        "name": "own",
        "fold": 1,
    }

    root = _named(smoke_data, tmp_path / "data", "others")
    where = ["data.synthetic=null", f"data.root={root}", f"root={tmp_path}", "name=run"]
    outcome = aulight(*tiny_finetune, *where, f"pretrained={pretrained}")
    assert outcome.status == 0, outcome.err
    stage_one = yaml.safe_load((tmp_path / "run" / "run.yaml").read_text())["stage_one"]
    assert (stage_one["dataset"], stage_one["own_frames"]) == ("synthetic", False)
    outcome = aulight(*tiny_finetune, *where, "name=scratch")
    assert yaml.safe_load((tmp_path / "scratch" / "run.yaml").read_text())["stage_one"] is None


def _smoothed(smoke_data: Path, root: Path) -> Path:
    """The dataset as one whose crops were smoothed."""
    shutil.copytree(smoke_data, root, copy_function=os.link)
    meta = yaml.safe_load((root / "dataset.yaml").read_text())
    write_yaml(meta | {"source": meta["source"] | {"smooth_s": 0.1}}, root / "dataset.yaml")
    return root


def test_the_record_says_how_faces_were_cut(
    finetuned: Path, aulight: Command, tiny_finetune: list[str], smoke_data: Path, tmp_path: Path
) -> None:
    root = _smoothed(smoke_data, tmp_path / "data")
    where = ["data.synthetic=null", f"data.root={root}", f"root={tmp_path}", "name=run", "model=blendshapes"]
    assert aulight(*tiny_finetune, *where).status == 2  # it has no blendshapes, but it says what it was made on
    for run, smooth_s in ((finetuned, None), (tmp_path / "run", 0.1)):
        dataset = yaml.safe_load((run / "run.yaml").read_text())["dataset"]
        assert (dataset["crop_size"], dataset["alignment"]) == (64, "drawn aligned, eyes level")
        assert dataset["smooth_s"] == smooth_s


# -- the network of stage one ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory, aulight: Command, tiny_pretrain: list[str]) -> Path:
    """A run of stage one whose network is not that of the defaults; not to be changed."""
    folder = tmp_path_factory.mktemp("narrow")
    outcome = aulight(*tiny_pretrain, f"root={folder}", "name=run", "model.hidden=24", "steps=2", "probe=null")
    assert outcome.status == 0, outcome.err
    return folder / "run"


def test_the_record_names_the_network_of_the_checkpoint(
    narrow: Path, aulight: Command, tiny_finetune: list[str], tmp_path: Path
) -> None:
    """Oracle: the network that the checkpoints of the run hold."""
    command = [*tiny_finetune, "steps=2", f"pretrained={narrow}", f"root={tmp_path}", "name=run"]
    assert aulight(*command).status == 0
    trained = torch.load(tmp_path / "run/checkpoints/best.ckpt", weights_only=True)["hyper_parameters"]["encoder"]
    record = yaml.safe_load((tmp_path / "run/run.yaml").read_text())
    assert record["config"]["model"] == trained
    assert trained["hidden"] == 24
    for typed in ([], ["model.hidden=24"]):  # the same network, said or not
        again = aulight(*command, *typed)
        assert (again.status, again.out) == (0, f"run: already done ({tmp_path / 'run'})\n")
    other = aulight(*command, "model.hidden=32")
    assert other.status == 2
    assert "holds a run with other settings (model.hidden was 24, is 32)" in other.err
    fresh = aulight(*command, "name=other", "model.hidden=32")
    assert fresh.status == 2
    assert fresh.err.startswith("aulight: model.hidden=32: asks for model.hidden=32, the pretrained checkpoint has 24")


@pytest.mark.parametrize("outcome", ["done", "interrupted"])
def test_a_record_of_before_that_names_the_network_of_the_defaults_is_accepted(
    outcome: str, narrow: Path, aulight: Command, tiny_finetune: list[str], tmp_path: Path
) -> None:
    command = [*tiny_finetune, "steps=2", f"pretrained={narrow}", f"root={tmp_path}", "name=run"]
    assert aulight(*command).status == 0
    path = tmp_path / "run/run.yaml"
    record = yaml.safe_load(path.read_text())
    record["config"]["model"]["hidden"] = 128
    del record["dataset"]["smooth_s"]
    write_yaml(record | {"outcome": outcome}, path)
    again = aulight(*command)
    assert again.status == 0, again.err
    assert ("already done" in again.out) == (outcome == "done")
    hidden = yaml.safe_load(path.read_text())["config"]["model"]["hidden"]
    assert hidden == (128 if outcome == "done" else 24)  # what is done is left alone


def test_without_hydra(narrow: Path, tiny_finetune: list[str], tmp_path: Path) -> None:
    """The command as a function of settings, in a folder that follows from them."""
    register_resolvers()
    typed = [*tiny_finetune[1:], "steps=2", f"pretrained={narrow}", f"root={tmp_path}", "name=run"]
    with composed("finetune", typed) as config:
        settings = settings_from("finetune", config)
    assert isinstance(settings, FinetuneSettings)
    finetune(settings)
    record = read_record(tmp_path / "run")
    assert record is not None
    assert record.done


def test_a_stage_one_that_is_not_done_is_refused(
    aulight: Command, tiny_finetune: list[str], pretrained: Path, tmp_path: Path
) -> None:
    shutil.copytree(pretrained, tmp_path / "one")
    record = (tmp_path / "one/run.yaml").read_text()
    last = tmp_path / "one/checkpoints/last.ckpt"
    for outcome, path in (("running", tmp_path / "one"), ("interrupted", last), ("'failed: no room'", last)):
        (tmp_path / "one/run.yaml").write_text(record.replace("outcome: done", f"outcome: {outcome}"))
        refused = aulight(*tiny_finetune, f"root={tmp_path}", "name=two", f"pretrained={path}")
        assert refused.status == 2
        assert f"pretrained={path}: stage one is not done there ({outcome.strip(chr(39))})" in refused.err
    assert not (tmp_path / "two").exists()
    copy = shutil.copy(last, last.with_name("early.ckpt"))
    assert aulight(*tiny_finetune, f"root={tmp_path}", "name=two", f"pretrained={copy}").status == 0


def test_a_run_is_known_by_what_stage_one_holds_and_not_by_where_it_is(
    aulight: Command, tiny_finetune: list[str], pretrained: Path, tmp_path: Path
) -> None:
    shutil.copytree(pretrained, tmp_path / "here/one")

    def called(runs: Path) -> Any:
        return aulight(*tiny_finetune, f"root={runs}", "name=two", f"pretrained={runs / 'one'}")

    assert called(tmp_path / "here").status == 0
    (tmp_path / "here").rename(tmp_path / "there")
    again = called(tmp_path / "there")
    assert (again.status, "two: already done" in again.out) == (0, True), again.err
    last = tmp_path / "there/one/checkpoints/last.ckpt"
    torch.save(torch.load(last, weights_only=True) | {"global_step": 7}, last)
    refused = called(tmp_path / "there")
    assert refused.status == 2
    assert f"two: was built on another stage one than {tmp_path / 'there/one'} is now" in refused.err


def test_stage_one_of_another_fold_is_refused(
    aulight: Command, tiny_pretrain: list[str], tiny_finetune: list[str], tmp_path: Path
) -> None:
    folds = ["data.protocol.name=kfold", "data.protocol.folds=4", f"root={tmp_path}"]
    outcome = aulight(*tiny_pretrain, *folds, "fold=2", "name=stage_one")
    assert outcome.status == 0, outcome.err
    assert "12 of 24 subjects have labels; the others are for stage one only" in outcome.out
    stage_two = [*tiny_finetune, *folds, f"pretrained={tmp_path}/stage_one"]
    outcome = aulight(*stage_two, "fold=3", "name=three")
    assert outcome.status == 2
    (line,) = outcome.err.splitlines()
    for part in ("pretrained: stage one saw videos of", "test subjects of fold 3 of synthetic", "fold=3"):
        assert part in line
    assert not (tmp_path / "three" / "run.yaml").exists()
    outcome = aulight(*stage_two, "fold=2", "name=two")
    assert outcome.status == 0, outcome.err
    record = yaml.safe_load((tmp_path / "two" / "run.yaml").read_text())
    assert (record["fold"], record["stage_one"]["own_frames"]) == (2, True)
    seen = yaml.safe_load((tmp_path / "stage_one" / "run.yaml").read_text())["protocol"]
    assert seen["fold"] == 2
    assert set(record["protocol"]["train"]) <= set(seen["stage_one"])
    assert set(pd.read_parquet(tmp_path / "two" / "predictions.parquet")["fold"]) == {2}


def test_disfa_plus_is_refused_for_disfa(
    aulight: Command, tiny_pretrain: list[str], tiny_finetune: list[str], smoke_data: Path, tmp_path: Path
) -> None:
    where = ["data.synthetic=null", f"root={tmp_path}"]
    plus = _named(smoke_data, tmp_path / "plus", "DISFA_Plus")
    outcome = aulight(*tiny_pretrain, *where, f"data.root={plus}", "name=stage_one")
    assert outcome.status == 0, outcome.err
    plain = _named(smoke_data, tmp_path / "plain", "disfa")
    outcome = aulight(*tiny_finetune, *where, f"data.root={plain}", f"pretrained={tmp_path}/stage_one", "name=run")
    assert outcome.status == 2
    (line,) = outcome.err.splitlines()
    assert "stage one saw DISFA_Plus, and all people of DISFA+ are in DISFA" in line


def test_a_checkpoint_that_does_not_say_whom_it_saw_is_refused(
    aulight: Command, tiny_finetune: list[str], pretrained: Path, tmp_path: Path
) -> None:
    saved = torch.load(pretrained / "checkpoints" / "last.ckpt", weights_only=True)
    del saved["hyper_parameters"]["trained_on"]
    torch.save(saved, tmp_path / "older.ckpt")
    outcome = aulight(*tiny_finetune, f"root={tmp_path}", "name=run", f"pretrained={tmp_path}/older.ckpt")
    assert outcome.status == 2
    assert outcome.err.endswith("older.ckpt: does not say whose videos it was trained on; run stage one again\n")


@pytest.mark.parametrize(
    "odd",
    [
        *({"contents": odd} for odd in (None, [], "", [7], ["\u00e9"], "0123456789abcdef0", 16 * "\u00e9")),
        {"collection": ["disfa"]},
        {"steps_s": [0.0]},
    ],
)
def test_a_checkpoint_that_says_oddly_what_it_saw_is_refused(
    aulight: Command, tiny_finetune: list[str], pretrained: Path, tmp_path: Path, odd: dict[str, object]
) -> None:
    saved = torch.load(pretrained / "checkpoints" / "last.ckpt", weights_only=True)
    saved["hyper_parameters"]["trained_on"] |= odd
    torch.save(saved, tmp_path / "odd.ckpt")
    outcome = aulight(*tiny_finetune, f"root={tmp_path}", "name=run", f"pretrained={tmp_path}/odd.ckpt")
    assert outcome.status == 2
    assert outcome.err.endswith("odd.ckpt: what it says of the videos it saw is damaged; run stage one again\n")


@pytest.mark.parametrize(
    ("steps_s", "stride", "said"),
    [
        ([0.16, 0.32], 4, ""),
        ([0.04, 0.16], 4, ""),
        ([0.15, 0.15], 4, ""),
        ([1 / 15, 2 / 15], 4, "stage one saw samples 67 to 133 ms apart, here they are 160 ms apart "
         "(clip.stride=4 at 25 frames a second); clip.stride=3 is nearer"),
        ([0.2, 0.4], 3, "stage one saw samples 200 to 400 ms apart, here they are 120 ms apart "
         "(clip.stride=3 at 25 frames a second); clip.stride=5 is nearer"),
        ([0.001, 0.002], 1, "stage one saw samples 1 to 2 ms apart, here they are 40 ms apart "
         "(clip.stride=1 at 25 frames a second)\n"),
    ],
)  # fmt: skip
def test_a_stage_one_of_other_steps_in_time_is_said(
    aulight: Command, tiny_finetune: list[str], pretrained: Path, tmp_path: Path,
    steps_s: list[float], stride: int, said: str,
) -> None:  # fmt: skip
    saved = torch.load(pretrained / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["hyper_parameters"]["trained_on"]["steps_s"] == [4 / 25, 8 / 25]
    saved["hyper_parameters"]["trained_on"]["steps_s"] = steps_s
    torch.save(saved, tmp_path / "other.ckpt")
    given = [f"root={tmp_path}", "name=run", f"pretrained={tmp_path}/other.ckpt", f"clip.stride=[{stride},{stride}]"]
    outcome = aulight(*tiny_finetune, *given, "steps=1", "steps_per_epoch=1")
    assert outcome.status == 0, outcome.err
    assert said in outcome.out
    assert bool(said) == ("stage one saw samples" in outcome.out)


def test_a_run_is_not_taken_for_done_on_other_labels(
    aulight: Command, tiny_finetune: list[str], smoke_data: Path, tmp_path: Path
) -> None:
    root = tmp_path / "data"
    shutil.copytree(smoke_data, root, copy_function=os.link)
    command = [*tiny_finetune, "data.synthetic=null", f"data.root={root}", f"root={tmp_path}", "name=run"]
    assert aulight(*command).status == 0
    assert "already done" in aulight(*command).out
    labels = PreparedDataset(root).labels
    write_table(labels.iloc[:-1], root / "labels.parquet")
    refused = aulight(*command)
    assert refused.status == 2
    assert "was done on another version of the dataset" in refused.err
    assert "give another name=" in refused.err
    assert aulight(*command, "name=again").status == 0


@pytest.mark.slow
def test_a_handful_of_frames_is_learned_by_heart(aulight: Command, smoke_data: Path, tmp_path: Path) -> None:
    """Of labels that vary, to a thousandth of their variance: they are standardised, so it is 1 for their mean."""
    where = [f"data_dir={smoke_data.parent}", "data.size=smoke", f"runs={tmp_path}", "name=run", "threads=1"]
    outcome = aulight("finetune", "debug=overfit", *where, "trainer.accelerator=cpu")
    assert outcome.status == 0, outcome.err
    run = tmp_path / "finetune" / "run"
    used = pd.read_parquet(run / "labels_used.parquet")
    assert len(used) == 8
    assert used["AU12"].nunique() > 1
    losses = pd.read_csv(run / "metrics.csv")["train/loss"].dropna().to_numpy()
    assert losses[0] > 0.1
    assert losses[-10:].max() < 1e-3


@pytest.mark.slow
def test_both_stages_in_seconds(aulight: Command, smoke_data: Path, tmp_path: Path) -> None:
    where = ["debug=quick", f"data_dir={smoke_data.parent}", "data.size=smoke", f"runs={tmp_path}", "name=run"]
    for command, settings in (("pretrain", []), ("finetune", [f"pretrained={tmp_path}/pretrain/run"])):
        outcome = aulight(command, *where, *settings)
        assert outcome.status == 0, outcome.err
        assert outcome.out.count(": step ") == 4
    table = pd.read_parquet(tmp_path / "finetune" / "run" / "predictions.parquet")
    assert len(table) == 3 * 60
