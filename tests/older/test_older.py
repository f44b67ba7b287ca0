"""What version 0.1.0 wrote still opens: datasets, runs, checkpoints, models and predictions, a small one of each.

``older.tar.xz`` was made once by ``make.sh`` with revision c2b146d, before the package got the layout that it has, and
is not made anew. It holds, with paths relative to the folder in which the commands were given:

- ``data/synthetic-smoke-seed31``: ten drawn faces with labels, 40 frames each;
- ``raw``, ``labels.csv`` and ``data/faces``: three videos of a real face, and what `prepare` made of them;
- ``runs/pretrain``: a finished run of stage one (seed 0) and one that was interrupted after step 2 of 4 (seed 1);
- ``runs/finetune``: finished runs of stage two on both datasets, on top of stage one, from scratch and from
  blendshapes, and one that was interrupted after step 6 of 12 (seed 2); of the finished ones, one has its checkpoints;
- ``model.aulight``, ``model.onnx``: that one exported; ``faces.aulight``: the one on ``data/faces``;
- ``clip.mp4`` and ``predictions``: a drawn face, and what `predict` wrote of it;
- ``expected``: what that version made of its files: the report's ``summary.json``, ``a.csv`` of a real face by
  ``faces.aulight``, and ``metrics.csv`` of the interrupted runs once they had gone on.

Only what users have is used here: commands, ``aulight.load`` and files. So these tests stay as they are when modules
move; what they refuse is a change of format that leaves users' files behind.
"""

import json
import re
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import aulight as package
from tests.data.formats import members

Command = Callable[..., Any]

STAGE_ONE = Path("runs/pretrain/synthetic-fold1-resnet_tiny-gru-seed0")
STAGE_TWO = Path("runs/finetune/synthetic-fold1-pretrained-0.2-seed0")

# the very settings of make.sh
BOTH = [
    "runs=runs",
    "data_dir=data",
    "loader.batch_size=3",
    "loader.workers=0",
    "threads=1",
    "trainer.accelerator=cpu",
    "trainer.precision=32",
    "trainer.log_every_n_steps=1",
]
SMALL = ["model.embedding=16", "model.hidden=16"]
DRAWN = ["data.size=smoke", "data.seed=31"]
PRETRAIN = [
    "pretrain",
    *BOTH,
    *SMALL,
    *DRAWN,
    "steps=4",
    "steps_per_epoch=2",
    "objective.hidden=16",
    "objective.projection=16",
    "clip.length=6",
    "clip.stride=[2,4]",
    "probe.every_epochs=1",
]
FINETUNE = ["finetune", *BOTH, "steps=12", "steps_per_epoch=6", "clip.length=4", "clip.stride=[2,2]", "loader.chunk=16"]
ON_DRAWN = [*FINETUNE, *DRAWN, "label_fraction=0.2"]
FROM_ONE = [f"pretrained={STAGE_ONE}", "freeze=encoder", "optim.lr=0.05"]
FACES = ["data=folder", "data.name=faces", "label_fraction=1.0"]
PREPARE = ["prepare", "data.name=faces", "data.source=raw", "crop_size=64", "workers=1"]

FINISHED = {
    "synthetic-fold1-resnet_tiny-gru-seed0": [*PRETRAIN, "seed=0"],
    "synthetic-fold1-pretrained-0.2-seed0": [*ON_DRAWN, *FROM_ONE, "seed=0"],
    "synthetic-fold1-scratch-0.2-seed1": [*ON_DRAWN, *SMALL, "seed=1"],
    "faces-fold1-pretrained-1.0-seed0": [*FINETUNE, *FACES, *FROM_ONE],
    "faces-fold1-blendshapes-1.0-seed0": ["finetune", *BOTH[:2], *FACES, "model=blendshapes"],
}
INTERRUPTED = {
    "pretrain": ("synthetic-fold1-resnet_tiny-gru-seed1", 2, [*PRETRAIN, "seed=1"]),
    "finetune": ("synthetic-fold1-pretrained-0.2-seed2", 6, [*ON_DRAWN, *FROM_ONE, "seed=2"]),
}
COMPARED = {"train/loss": 1e-2, "val/mae": 1e-2, "test/mae": 1e-2, "test/mse": 1e-2, "probe/icc": 5e-2}
"""Columns of ``metrics.csv`` that are compared, and how far they may be off: machines add in other orders."""


@pytest.fixture(autouse=True)
def older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The archive, unpacked into the folder in which the commands are then given."""
    with tarfile.open(Path(__file__).with_name("older.tar.xz")) as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path / "older")


def _run(folder: Path) -> dict[str, Any]:
    record: dict[str, Any] = yaml.safe_load((folder / "run.yaml").read_text())
    return record


# ---- datasets ---------------------------------------------------------------------------------------------------


def test_prepared_dataset_is_known_and_takes_labels(aulight: Command) -> None:
    """The labels that it has change nothing, so its runs stay done; others are taken, and then they are not."""
    root = Path("data/faces")
    before = pd.read_parquet(root / "labels.parquet")
    outcome = aulight(*PREPARE, "labels=labels.csv")
    assert outcome.status == 0, outcome.err
    assert f"{root}: was prepared already" in outcome.out
    assert f"{root}: 3 videos of 3 subjects, 75 frames, 0 of them (0.0%) without a face, 39 labelled" in outcome.out
    pd.testing.assert_frame_equal(pd.read_parquet(root / "labels.parquet"), before, check_dtype=False)
    finished = FINISHED["faces-fold1-blendshapes-1.0-seed0"]
    assert "already done" in aulight(*finished).out

    Path("more.csv").write_text("video,frame,AU01,AU12\na,1,5,0\n")
    outcome = aulight(*PREPARE, "labels=[labels.csv,more.csv]")
    assert outcome.status == 0, outcome.err
    assert "40 labelled" in outcome.out
    assert len(pd.read_parquet(root / "labels.parquet")) == 40
    outcome = aulight(*finished)
    assert outcome.status == 2
    assert "was done on another version of the dataset" in outcome.err


def test_generated_dataset_is_what_it_was(aulight: Command, tiny_finetune: list[str]) -> None:
    """So runs on it go on where the faces are drawn anew."""
    outcome = aulight(*tiny_finetune, "steps=2", "root=runs/new", "name=new")
    assert outcome.status == 0, outcome.err
    assert _run(Path("runs/new/new"))["dataset"]["fingerprint"] == "41a0b2ab831962bf"  # of data.size=smoke, by 0.1.0


def test_prepared_dataset_takes_another_video(aulight: Command) -> None:
    """Its videos are not made again; this one shows who is in the one that it is a copy of."""
    made = Path("data/faces/videos/a.mp4").read_bytes()
    shutil.copy("raw/a.mp4", "raw/d.mp4")
    outcome = aulight(*PREPARE, "labels=labels.csv")
    assert outcome.status == 0, outcome.err
    assert "4 videos of 3 subjects, 100 frames, 0 of them (0.0%) without a face, 39 labelled" in outcome.out
    assert "a and d are the same video, of one subject: a" in outcome.out
    assert members(Path("data/faces"))["a/00000.mp4"] == made
    frames = pd.read_parquet("data/faces/frames.parquet")
    one, other = (frames[frames["video_id"] == name].drop(columns="video_id").to_numpy() for name in "ad")
    assert one == pytest.approx(other, abs=0.02)  # the same video, then and now


def test_frames_are_sampled_of_a_prepared_dataset(aulight: Command) -> None:
    outcome = aulight("sample", "data.name=faces", "label_count=5", "output=to_label")
    assert outcome.status == 0, outcome.err
    drawn = pd.read_csv("to_label/to_label.csv")
    assert list(drawn.columns) == ["video", "frame", "time_s", "AU01", "AU12"]
    assert set(drawn["video"]) <= {"a", "c", "day_two__b"}
    assert (drawn["frame"] % 2 == 1).all()  # those without a label
    assert len(list(Path("to_label/images").iterdir())) == 5


# ---- runs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FINISHED)
def test_finished_run_is_passed_over(name: str, aulight: Command) -> None:
    folder = Path("runs", FINISHED[name][0], name)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and ".hydra" not in path.parts}
    outcome = aulight(*FINISHED[name])
    assert outcome.status == 0, outcome.err
    assert outcome.out.startswith(f"{name}: already done (")
    assert before == {path: path.read_bytes() for path in before}


def test_finished_run_is_not_taken_for_one_with_other_settings(aulight: Command) -> None:
    outcome = aulight(*FINISHED["synthetic-fold1-pretrained-0.2-seed0"], "clip.length=5")
    assert outcome.status == 2
    assert f"{STAGE_TWO}: holds a run with other settings (clip.length was 4, is 5)" in outcome.err


@pytest.mark.filterwarnings("ignore:The dirpath has changed")  # Lightning's: the folder is another one, indeed
@pytest.mark.parametrize("command", INTERRUPTED)
def test_interrupted_run_goes_on_as_it_would_have(command: str, aulight: Command) -> None:
    name, step, settings = INTERRUPTED[command]
    folder = Path("runs", command, name)
    assert _run(folder)["outcome"] == "interrupted"
    outcome = aulight(*settings)
    assert outcome.status == 0, outcome.err
    assert f"{name}: resumed at step {step}\n" in outcome.out
    assert (f"{name}: begun by an earlier aulight: every clip counts" in outcome.out) == (command == "pretrain")
    assert _run(folder)["outcome"] == "done"
    metrics, expected = (pd.read_csv(path) for path in (folder / "metrics.csv", Path("expected", f"{command}.csv")))
    assert list(metrics["step"]) == list(expected["step"])
    compared = [column for column in COMPARED if column in expected]
    assert "train/loss" in compared
    for column in compared:
        assert metrics[column].to_numpy() == pytest.approx(
            expected[column].to_numpy(), abs=COMPARED[column], nan_ok=True
        )


def test_stage_two_begins_on_top_of_stage_one(aulight: Command) -> None:
    """With the same seed it comes to what that version came to, but for how videos begin: as clips do, since then."""
    outcome = aulight(*FINISHED["synthetic-fold1-pretrained-0.2-seed0"], "root=again")
    assert outcome.status == 0, outcome.err
    folder = Path("again", STAGE_TWO.name)
    assert _run(folder)["stage_one"] == _run(STAGE_TWO)["stage_one"]
    for name in ("labels_used.parquet", "predictions.parquet", "validation.parquet"):
        one, other = (pd.read_parquet(path / name) for path in (folder, STAGE_TWO))
        if name != "labels_used.parquet":
            one, other = (table[table["frame"] >= 15] for table in (one, other))  # of 40
        pd.testing.assert_frame_equal(one, other, check_exact=False, rtol=0, atol=1e-2)


def test_report_pools_runs_to_the_same_numbers(aulight: Command) -> None:
    outcome = aulight("report", "runs=runs", "output=report")
    assert outcome.status == 0, outcome.err
    summary, expected = (json.loads(Path(folder, "summary.json").read_text()) for folder in ("report", "expected"))
    assert len(expected["records"]) == 4
    assert summary["uncertainty"]["level"] == expected.pop("bootstrap")["level"]
    del expected["commands"][-1]  # of the report itself
    _defined_anew(expected)
    for key, value in expected.items():
        _assert_same(summary[key][:-1] if key == "commands" else summary[key], value, key)


def _defined_anew(expected: dict[str, Any]) -> None:
    """What 0.1.0 said, by today's rules.

    Intervals and p-values are made otherwise. The ICC of an AU whose labels are constant was 0 by the formula where
    predictions were not, and is undefined: means are over the AUs that are left. What cannot be told from the old
    numbers is left out: ICCs by other conventions, and those of single seeds.
    """
    for key in ("notes", "warnings"):  # models have other names now
        named = [line.replace(", pretrained", ", with stage one", 1) for line in expected[key]]
        expected[key] = [line.replace(", scratch", ", from scratch", 1) for line in named]
    constant = {"synthetic": ["AU02", "AU15"], "faces": []}
    means: dict[tuple[str, str, float], float] = {}
    for row in expected["records"] + expected["baselines"]:
        row["undefined_aus"] = gone = constant[row["dataset"]]
        for au in gone:
            assert row["per_au"][au]["icc"] in (0, None)
            row["per_au"][au]["icc"] = None
        row["icc"] = float(np.mean([scores["icc"] for scores in row["per_au"].values() if scores["icc"] is not None]))
        means[row["dataset"], row["arm"], row["label_fraction"]] = row["icc"]
    for row in expected["comparisons"]:
        row["icc"] = means[row["dataset"], row["arm"], row["label_fraction"]]
        row["against_icc"] = means[row["dataset"], row["against"]["arm"], row["against"]["label_fraction"]]
        row["difference"], row["ratio"] = row["icc"] - row["against_icc"], row["icc"] / row["against_icc"]
    of_single_seeds = r"(against_)?icc_per_seed|icc_seed_sd|seeds_apart"
    _forget(expected, rf".*_ci|difference_p|intervals_apart|icc_(rounded|fold_mean|subject_mean)|{of_single_seeds}")


def _forget(value: Any, keys: str) -> None:
    """Takes keys away, wherever they are."""
    if isinstance(value, dict):
        for key in [key for key in value if re.fullmatch(keys, key)]:
            del value[key]
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _forget(part, keys)


def _assert_same(value: Any, expected: Any, place: str) -> None:
    """All that is expected is there, numbers to 1e-9."""
    if isinstance(expected, dict):
        assert set(value) >= set(expected), place
        for key in expected:
            _assert_same(value[key], expected[key], f"{place}.{key}")
    elif isinstance(expected, list):
        assert len(value) == len(expected), place
        for number, (one, other) in enumerate(zip(value, expected, strict=True)):
            _assert_same(one, other, f"{place}[{number}]")
    elif isinstance(expected, float):
        assert value == pytest.approx(expected, rel=1e-9, abs=1e-9), place
    else:
        assert value == expected, place


# ---- models -----------------------------------------------------------------------------------------------------


MODELS = {
    "file": "model.aulight",
    "graph": "model.onnx",
    "run": STAGE_TWO,
    "checkpoint": STAGE_TWO / "checkpoints/best.ckpt",
}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_model_says_what_it_said(model: str | Path, aulight: Command) -> None:
    """By the command, and in Python; a run on drawn faces looks for no face of its own accord."""
    expected = pd.read_csv("predictions/clip.csv")
    assert expected.filter(like="_r").std().max() > 0.01
    outcome = aulight("predict", f"model={model}", "input=clip.mp4", "output=again", "device=cpu")
    assert outcome.status == 0, outcome.err
    pd.testing.assert_frame_equal(pd.read_csv("again/clip.csv"), expected, check_exact=False, rtol=0, atol=1e-4)
    loaded = package.load(model)
    assert loaded.aus == (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)
    table = loaded.predict("clip.mp4", coverage=0.9)
    pd.testing.assert_frame_equal(table, expected, check_exact=False, check_dtype=False, rtol=0, atol=1e-4)


def test_model_of_real_faces_looks_for_them(aulight: Command) -> None:
    outcome = aulight("predict", "model=faces.aulight", "input=raw/a.mp4", "output=again", "device=cpu", "columns=[]")
    assert outcome.status == 0, outcome.err
    one, expected = (pd.read_csv(Path(folder, "a.csv")) for folder in ("again", "expected"))
    pd.testing.assert_frame_equal(one, expected, check_exact=False, rtol=0, atol=0.02)  # as exact as landmarks are


def test_model_is_exported_again(aulight: Command) -> None:
    """From the run and from the file: with the card that it had, but for the date."""
    cards = []
    for number, model in enumerate((STAGE_TWO, "model.aulight")):
        outcome = aulight("export", f"run={model}", f"output={number}.aulight", "licence=CC0-1.0")
        assert outcome.status == 0, outcome.err
        assert "to 0.0e+00" in outcome.out
        cards.append(Path(f"{number}.aulight.md").read_text())
    expected = Path("model.aulight.md").read_text()
    assert [_undated(card) for card in cards] == [_undated(expected)] * 2


def _undated(card: str) -> list[str]:
    return [line.partition("Written by")[0] for line in card.splitlines()]


def test_finished_prediction_is_passed_over(aulight: Command) -> None:
    """Where the video lies and which version looks are known to matter; they are not what is tested here."""
    companion = Path("predictions/clip.json")
    record = json.loads(companion.read_text())
    record["source"]["path"] = str(Path("clip.mp4").resolve())
    record["aulight"] = package.__version__
    companion.write_text(json.dumps(record))
    outcome = aulight(
        "predict", "model=model.aulight", "input=clip.mp4", "output=predictions", "faces=none", "device=cpu"
    )
    assert outcome.status == 0, outcome.err
    assert "30 frames; 1 done before" in outcome.out
    assert json.loads(companion.read_text()) == record
