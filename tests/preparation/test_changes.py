"""Looking at raw videos that were prepared before."""

import itertools
import sys
from pathlib import Path

import pytest

from aulight.data.sources.raw import RawVideo
from aulight.preparation.changes import _shown


@pytest.mark.parametrize("step_s", [0.001, 1.0])
def test_how_far_it_is_goes_into_a_log_as_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step_s: float) -> None:
    """By a clock of our own; what takes less than two seconds is not worth a line."""
    videos = [RawVideo(f"{number}", f"{number}", Path(f"{number}.mp4")) for number in range(100)]
    clock = itertools.count()
    monkeypatch.setattr("tqdm.std.time", lambda: 1000 + step_s * next(clock))
    with (tmp_path / "log").open("w") as log:
        monkeypatch.setattr(sys, "stderr", log)
        assert list(_shown(videos)) == videos
    text = (tmp_path / "log").read_text()
    assert "\r" not in text
    lines = text.splitlines()
    assert bool(lines) == (step_s == 1)
    assert all(line.startswith("Looking at videos: ") for line in lines)
