"""The make targets for real data, walked from raw data to the report on trees in the datasets' layouts."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from aulight.data.store import PreparedDataset

ROOT = Path(__file__).parents[1]
# runs of a second: the smoke experiment's sizes, and less
TINY = (
    "model=resnet_tiny model.size=32 steps=4 steps_per_epoch=2 loader.batch_size=2 loader.workers=0 threads=1 "
    "clip.length=6 clip.stride=[1,2] trainer.accelerator=cpu progress_s=0"
)
Tree = Callable[..., Path]


def make(target: str, folder: Path, **variables: object) -> subprocess.CompletedProcess[str]:
    """Runs a target in this environment, without installing anything, with data and runs in ``folder``."""
    variables = {"VENV": sys.prefix, "DATA": folder / "data", "RUNS": folder / "runs"} | variables
    command = ["make", "-C", str(ROOT), "-o", f"{sys.prefix}/.installed", target]
    command += [f"{name}={value}" for name, value in variables.items()]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def records(runs: Path, command: str) -> list[dict[str, Any]]:
    return [yaml.safe_load(path.read_text()) for path in sorted((runs / command).glob("*/run.yaml"))]


def summary_of(runs: Path) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads((runs / "report" / "summary.json").read_text())
    return summary


@pytest.mark.parametrize(("target", "variable"), [("reproduce-disfa", "DISFA"), ("reproduce-bp4d", "BP4D")])
def test_without_the_raw_data_the_usage_is_shown(target: str, variable: str, tmp_path: Path) -> None:
    done = make(target, tmp_path)
    assert done.returncode == 2
    assert (
        done.stderr.splitlines()[0] == f"usage: make {target} {variable}=<raw dataset> [UNLABELLED=<folder of videos>]"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_disfa_fold_by_fold(disfa_tree: Tree, tmp_path: Path) -> None:
    people = ("SN001", "SN003", "SN010", "SN013")  # SN003 is tested in fold 1, SN013 in fold 2, the others in fold 3
    raw = disfa_tree(tmp_path / "raw of DISFA", subjects=people, real=people, frames=30)
    variables = {"DISFA": raw, "SETTINGS": TINY, "FRACTIONS": "0.1,1.0"}
    done = make("reproduce-disfa", tmp_path, **variables)
    assert done.returncode == 0, done.stdout + done.stderr

    runs = tmp_path / "runs"
    tests = {1: ["SN003"], 2: ["SN013"], 3: ["SN001", "SN010"]}
    for record in records(runs, "pretrain"):
        assert record["outcome"] == "done"
        assert not set(record["protocol"]["stage_one"]) & set(tests[record["protocol"]["fold"]])
    stage_two = records(runs, "finetune")
    assert sorted((r["fold"], r["arm"], r["label_fraction"]) for r in stage_two) == [
        (fold, arm, fraction)
        for fold in tests
        for arm in ("blendshapes", "pretrained", "scratch", "scratch_strong")
        for fraction in (0.1, 1.0)
    ]
    for record in stage_two:
        assert record["protocol"]["test"] == tests[record["fold"]]
        own = {"dataset": "disfa", "own_frames": True, "unlabelled_subjects": 0}
        own["subjects"] = len(record["protocol"]["train"])
        assert record["stage_one"] == (own if record["arm"] == "pretrained" else None)

    summary = summary_of(runs)
    assert [(r["arm"], r["label_fraction"], r["test_subjects"], r["seeds"]) for r in summary["records"]] == [
        (arm, fraction, 4, [0])
        for fraction in (0.1, 1.0)
        for arm in ("pretrained", "scratch", "scratch_strong", "blendshapes")
    ]
    assert summary["notes"] == [
        "disfa, with stage one: stage one learned from the training folds' own frames without labels"
    ]
    assert summary["unfinished"] == {}
    assert not [line for line in summary["warnings"] if "different" in line]
    per_au = pd.read_csv(runs / "report" / "per_au.csv")
    assert per_au["au"].nunique() == 12
    assert per_au[["mae", "mse"]].notna().all(axis=None)
    table = (runs / "report" / "table.md").read_text()
    for title in (*(f"{score} by action unit" for score in ("ICC(3,1)", "Pearson", "MAE", "MSE")), summary["notes"][0]):
        assert title in table
    assert table.split("\n\n")[1] in done.stdout

    before = {path: path.stat().st_mtime_ns for path in runs.glob("*/*/*") if path.is_file()}
    again = make("reproduce-disfa", tmp_path, **variables)
    assert again.returncode == 0, again.stdout + again.stderr
    assert again.stdout.count("already done") == len(stage_two) + 3
    assert {path: path.stat().st_mtime_ns for path in runs.glob("*/*/*") if path.is_file()} == before
    assert summary_of(runs)["records"] == summary["records"]
    # what was prepared again is what the runs were on
    fingerprint = PreparedDataset(tmp_path / "data" / "disfa").fingerprint
    assert {record["dataset"]["fingerprint"] for record in stage_two} == {fingerprint}


@pytest.mark.slow
def test_bp4d_with_stage_one_on_other_videos(bp4d_tree: Tree, folder_tree: Tree, tmp_path: Path) -> None:
    people = ("F001", "F002", "F003", "M001", "M002")
    raw = bp4d_tree(tmp_path / "raw", subjects=people, tasks=("T1",), real=people, frames=24)
    unlabelled = folder_tree(tmp_path / "Lab videos", frames=24, real=True)
    variables = {"BP4D": raw, "UNLABELLED": f"{unlabelled}/", "PREPARE_UNLABELLED": "data.reader.fps=25"}
    done = make("reproduce-bp4d", tmp_path, **variables, SETTINGS=TINY, FRACTIONS="1.0", SEEDS="0,1")
    assert done.returncode == 0, done.stdout + done.stderr

    runs = tmp_path / "runs"
    stage_one = records(runs, "pretrain")
    assert [record["seed"] for record in stage_one] == [0, 1]
    assert {record["dataset"]["name"] for record in stage_one} == {"Lab videos"}
    stage_two = records(runs, "finetune")
    assert sorted((r["arm"], r["seed"]) for r in stage_two) == [
        (arm, seed) for arm in ("blendshapes", "pretrained", "scratch", "scratch_strong") for seed in (0, 1)
    ]
    for record in stage_two:
        assert record["protocol"]["test"] == ["F002", "M002"]
        assert len(record["protocol"]["train"]) == 2
        if record["arm"] == "pretrained":
            assert record["stage_one"] == {
                "dataset": "Lab videos",
                "own_frames": False,
                "subjects": 3,
                "unlabelled_subjects": 3,
            }
            assert record["config"]["pretrained"].endswith(f"pretrain/unlabelled-seed{record['seed']}")
    summary = summary_of(runs)
    assert summary["notes"] == ["bp4d, with stage one: stage one learned from Lab videos (3 subjects)"]
    assert summary["datasets"]["bp4d"]["aus"] == ["AU06", "AU10", "AU12", "AU14", "AU17"]


@pytest.mark.slow
def test_tries_are_set_side_by_side_on_validation_subjects(tmp_path: Path) -> None:
    """Every line of ``conf/experiment/tries.yaml``, on stage one of ``reproduce``, in a folder of their own."""
    lines = yaml.safe_load((ROOT / "conf/experiment/tries.yaml").read_text())["hydra"]["sweeper"]["finetune"]
    names = [name for name, grid in lines.items() if grid is not None]
    small = {"SIZE": "smoke", "SETTINGS": f"{TINY} data.size=smoke", "SEEDS": "0", "FRACTIONS": "0.5"}
    done = make("tries", tmp_path, TRIES=tmp_path / "tries", **small)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [record["seed"] for record in records(tmp_path / "runs", "pretrain")] == [0]
    assert not (tmp_path / "runs" / "finetune").exists()
    folders = sorted((tmp_path / "tries").glob("*/run.yaml"))
    assert sorted(yaml.safe_load(path.read_text())["arm"] for path in folders) == sorted(names)
    printed = done.stdout.split("On validation subjects, by whom settings are chosen:")[1]
    assert [line.split("|")[2].strip() for line in printed.splitlines() if line.startswith("| 50%")] == [
        "with stage one", "from scratch", *sorted(set(names) - {"pretrained", "scratch"})
    ]  # fmt: skip
