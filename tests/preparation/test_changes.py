"""Looking at raw videos that were prepared before."""

import itertools
import sys
from pathlib import Path
from typing import Any

import pytest

from aulight.data.description import DESCRIPTION, MOST, MOST_SKIPPED, read_description
from aulight.data.sources.raw import RawVideo
from aulight.foreign.yaml import write_yaml
from aulight.preparation.changes import _shown, remembered


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


@pytest.mark.slow
def test_a_description_with_as_many_unreadable_videos_as_it_may_name_is_read(tmp_path: Path) -> None:
    """With names and reasons longer than most."""
    skipped = remembered({f"v{'a' * 60}{number}": "b" * 200 for number in range(MOST_SKIPPED + 5)})
    assert len(skipped) == MOST_SKIPPED
    content: dict[str, Any] = {
        "format": 2,
        "name": "a",
        "aus": [],
        "fps": 25.0,
        "videos": 1,
        "frames": 1,
        "skipped": skipped,
    }
    content["skipped_stamps"] = {name: [2**40, 2**60] for name in skipped}
    write_yaml(content, tmp_path / DESCRIPTION, MOST)
    assert read_description(tmp_path) == content
