"""The dress rehearsals in small: `make rehearse-disfa` and `make rehearse-bp4d` from nothing to the report."""

import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aulight.data.avatars.actions import AVATAR_AUS
from aulight.data.avatars.scene import performance
from aulight.data.store import PreparedDataset
from aulight.datasets import BP4D_SUBJECTS, DISFA_SUBJECTS
from tests.test_reproduce import TINY, make, records, summary_of

WIDEST = np.deg2rad(25)


def acted(subject: int, video: int, frames: int, fps: float) -> pd.DataFrame:
    """What an avatar shows, by frame and AU."""
    acting, _ = performance(0, subject, video, frames, fps, WIDEST)
    names = [f"AU{au:02d}" for au in AVATAR_AUS]
    return pd.DataFrame(np.round(acting.intensities).astype(int), columns=names)


def rehearse(target: str, folder: Path, **variables: object) -> subprocess.CompletedProcess[str]:
    """Runs a target, with all that it makes in ``folder``."""
    done = make(
        target, folder, REHEARSAL=folder / "raw", OTHERS=3, OTHER_FRAMES=24, SETTINGS=TINY, FRACTIONS="1.0",
        **variables,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.mark.slow
def test_disfa(tmp_path: Path) -> None:
    """SN010 has a row of labels less than frames; SN002's face is hidden for a moment."""
    done = rehearse("rehearse-disfa", tmp_path, PEOPLE=4, FRAMES=36, FOLDS="1,2")
    data, names = PreparedDataset(tmp_path / "data" / "disfa"), ["SN002", "SN003", "SN010", "SN013"]
    assert data.videos["video_id"].tolist() == [f"{name}_left" for name in names]
    for video, labels in data.labels.groupby("video_id"):
        shown = acted(1_000_000 + int(str(video)[2:5]), 0, 36, 20)[data.columns]
        count = 35 if video == "SN010_left" else 36
        assert labels["frame"].tolist() == list(range(count))
        np.testing.assert_array_equal(labels[data.columns].to_numpy(int), shown[:count])
    said = done.stdout + done.stderr
    assert "no video of 23 of the 27 subjects: " + ", ".join(s for s in DISFA_SUBJECTS if s not in names) in said
    assert "SN010_left: 36 frames but 35 rows of labels" in said

    runs = tmp_path / "runs"
    arms, folds = ("blendshapes", "pretrained", "scratch", "scratch_strong"), (1, 2)
    stage_two = records(runs, "finetune")
    assert sorted((r["fold"], r["arm"]) for r in stage_two) == [(fold, arm) for fold in folds for arm in arms]
    assert {record["dataset"]["name"] for record in records(runs, "pretrain")} == {"others"}
    summary = summary_of(runs)
    assert [(r["arm"], r["test_subjects"]) for r in summary["records"]] == [
        (arm, 2) for arm in ("pretrained", "scratch", "scratch_strong", "blendshapes")
    ]
    assert summary["notes"] == ["disfa, with stage one: stage one learned from others (3 subjects)"]

    table = (runs / "rehearsal.md").read_text()
    assert table in done.stdout
    steps = [line.split(" | ")[0].removeprefix("| ") for line in table.splitlines()[4:]]
    assert steps == [
        "film disfa", "film others", "prepare disfa", "prepare others", "stage one", "stage two", "blendshapes",
        "report",
    ]  # fmt: skip


@pytest.mark.slow
def test_bp4d(tmp_path: Path) -> None:
    done = rehearse("rehearse-bp4d", tmp_path, PEOPLE=3, FRAMES=12)
    data = PreparedDataset(tmp_path / "data" / "bp4d")
    tasks = [f"{name}_T{task}" for name in ("F001", "F002", "M001") for task in range(1, 9)]
    assert data.videos["video_id"].tolist() == tasks
    unknown = 0
    for video, labels in data.labels.groupby("video_id"):
        name, task = str(video).split("_")
        pictures = sorted(
            (tmp_path / "raw/bp4d/BP4D-training" / name / task).iterdir(), key=lambda path: int(path.stem)
        )
        numbers = [int(path.stem) for path in pictures]
        shown = acted(2_000_000 + BP4D_SUBJECTS.index(name), int(task[1:]), len(numbers), 25)
        frames = data.frames[data.frames["video_id"] == video].set_index("frame")["source_frame"]
        places = [numbers.index(number) for number in frames[labels["frame"]].tolist()]
        expected, there = shown[data.columns].to_numpy()[places], labels[data.columns].notna().to_numpy()
        np.testing.assert_array_equal(labels[data.columns].to_numpy(float, na_value=np.nan)[there], expected[there])
        unknown += int((~there).sum())
    assert unknown > 0
    absent = ", ".join(s for s in BP4D_SUBJECTS if s not in ("F001", "F002", "M001"))
    assert f"no images of 38 of the 41 subjects: {absent}\n" in done.stdout + done.stderr
    runs = tmp_path / "runs"
    for record in records(runs, "finetune"):
        assert record["protocol"]["test"] == ["F002"]
    assert [r["arm"] for r in summary_of(runs)["records"]] == ["pretrained", "scratch", "scratch_strong", "blendshapes"]
