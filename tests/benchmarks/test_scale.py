"""`make bench-scale` in small, the dataset it simulates, and what it computes."""

import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aulight.data.store import PreparedDataset
from aulight.data.video.prepared import stream_frames
from aulight.data.video.types import Frames
from tests.benchmarks import costs
from tests.benchmarks.simulated import KINDS, SEGMENT, SHARDS, simulate

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).parent / "scale.py"


def _film(kind: int) -> Iterator[Frames]:
    """Grey pictures that get lighter, the later kinds from a lighter one on."""
    return (np.full((64, 64, 3), 20 * kind + frame % 60, np.uint8) for frame in count())


@pytest.mark.parametrize("frames", [7, SEGMENT + 30])
def test_a_simulated_dataset_is_one(frames: int, tmp_path: Path) -> None:
    """It opens with all its checks; each video is one of the real ones, whole."""
    root = tmp_path / "simulated"
    simulate(root, 20, frames, _film)
    data = PreparedDataset(root)
    assert len(data.videos) == len(data.files) == 20
    assert len(list((root / "shards").iterdir())) == SHARDS
    assert data.segments.to_numpy().tolist() == [[row, 0, frames] for row in range(20)]
    names = np.repeat(data.videos["video_id"].to_numpy(object), frames)
    pd.testing.assert_series_equal(data.frames["video_id"], pd.Series(names, name="video_id", dtype="str"))
    assert data.frames["frame"].tolist() == [*range(frames)] * 20
    greys = [np.concatenate([*stream_frames(data.files[row])]).mean((1, 2, 3)) for row in range(KINDS + 1)]
    assert len({round(float(grey[0])) for grey in greys}) == KINDS
    np.testing.assert_array_equal(greys[0], greys[KINDS])
    for grey in greys:
        np.testing.assert_allclose(grey - grey[0], np.arange(frames) % 60, atol=3)


@pytest.mark.slow
def test_every_size_has_its_rows() -> None:
    command = [sys.executable, str(SCRIPT), "--videos", "50", "200", "--frames", "60", "--workers", "0", "1"]
    done = subprocess.run([*command, "--batches", "2"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if line.startswith(("| 50 ", "| 200 "))]
    assert [row[0] for row in rows] == ["50", "200", "50", "50", "200", "200"]
    assert [row[1] for row in rows] == ["3,000", "12,000", "0", "1", "0", "1"]
    assert all(float(row[3]) > 0 for row in rows[2:])
    assert [row[4] == "–" for row in rows[2:]] == [True, False, True, False]
    assert done.stdout.count(costs.tables()) == done.stdout.count(costs.tables(10)) == 1


def test_the_page_has_what_is_computed() -> None:
    page = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    assert costs.tables() in page
    assert costs.tables(10) in page


def test_what_is_computed() -> None:
    """Oracle: by hand, of a dataset of round numbers: 100 videos of 36,000 frames."""
    text = costs.tables(100 / costs.CLIPS)
    hours = costs.HOURS * 100 / costs.CLIPS
    assert f"| videos | 100 |\n| frames | {round(hours * 90_000, -2):,.0f}, 195 a video |" in text
    assert "| 80,000 | 40,000 | 29 | 14 | 2,500 |" in text  # 40,000 / 16 clips of 11.76 and 5.6 ms
