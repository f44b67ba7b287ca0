"""Lists, patterns and folders: which videos are meant, and what they are called. Oracles: lists by hand."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from aulight.errors import AulightError
from aulight.prediction import inputs
from aulight.prediction.inputs import find_inputs
from aulight.prediction.videos import Listing, Video
from tests.data.faces.astronaut import ASTRONAUT

Command = Callable[..., Any]

TREE = ("videos/a.mp4", "videos/b.mov", "videos/B.avi", "videos/day 1/a.mp4", "videos/day 1/c.mp4", "other/a.mp4")


DAY = "videos/day 1"


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files that are called as videos, in folders; whoever lists them does not open them."""
    for name in (*TREE, "videos/notes.txt", "videos/x.overlay.mp4", "videos/.hidden.mp4", "videos/clip[1].mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (["videos/a.mp4"], {"videos/a.mp4": "a"}),
        (["videos/a.mp4", "videos/day 1/c.mp4"], {"videos/a.mp4": "a", "videos/day 1/c.mp4": "c"}),
        (["videos/a.mp4", "./videos/../videos/a.mp4"], {"videos/a.mp4": "a"}),
        (["videos/a.mp4", "other/a.mp4"], {"videos/a.mp4": "videos/a", "other/a.mp4": "other/a"}),
        (["videos/b.mov", "videos/B.avi"], {"videos/b.mov": "b.mov", "videos/B.avi": "B.avi"}),
        (
            ["videos/day 1", "other"],
            {"videos/day 1/a.mp4": "videos/day 1/a", "videos/day 1/c.mp4": "c", "other/a.mp4": "other/a"},
        ),
        (["videos/*.mp4"], {"videos/a.mp4": "a", "videos/clip[1].mp4": "clip[1]"}),
        (
            ["videos/**/[ac].mp4"],
            {"videos/a.mp4": "a", "videos/day 1/a.mp4": "day 1/a", "videos/day 1/c.mp4": "day 1/c"},
        ),
        (["videos/clip[1].mp4"], {"videos/clip[1].mp4": "clip[1]"}),
        (["*/a.mp4"], {"videos/a.mp4": "videos/a", "other/a.mp4": "other/a"}),
        (["*/day 1"], {"videos/day 1/a.mp4": "videos/day 1/a", "videos/day 1/c.mp4": "videos/day 1/c"}),
    ],
)
def test_names(given: list[str], names: dict[str, str], tree: Path) -> None:
    listing = find_inputs(given, Path("out"))
    found = {str(video.path.resolve().relative_to(tree.resolve())): video.name for video in listing.videos}
    assert found == names


def test_what_is_passed_over(tree: Path) -> None:
    listing = find_inputs(["videos/*"], Path("videos/day 1"))
    assert [video.name for video in listing.videos] == ["B.avi", "a", "b.mov", "clip[1]"]
    assert [path.name for path in listing.overlays] == ["x.overlay.mp4"]
    assert listing.others == {".txt": 1}


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (["videos/*.mkv"], r"input=videos/\*\.mkv: finds no videos, nor pictures \(videos is a folder\)"),
        (["nowhere/*.mp4"], r"input=nowhere/\*\.mp4: finds no videos, nor pictures \(nowhere is not there\)"),
        (["videos/a.mp4", "gone.mp4"], "input=gone.mp4: no such video or folder"),
    ],
)
def test_nothing_there(given: list[str], line: str, tree: Path) -> None:
    with pytest.raises(AulightError, match=line):
        find_inputs(given, Path("out"))


def test_photos_of_a_pattern_are_scored_each_by_itself(aulight: Command, tmp_path: Path) -> None:
    """Each has a table of its own with its file's name in it, and the same again does nothing twice."""
    (tmp_path / "album").mkdir()
    for number in (1, 2):
        cv2.imwrite(str(tmp_path / f"album/anna {number}.jpg"), np.roll(ASTRONAUT, 30 * number, 1)[..., ::-1])
    command = ["predict", f"{tmp_path}/album/*.jpg", f"output={tmp_path}/out", "workers=1"]
    outcome = aulight(*command)
    assert outcome.status == 0, outcome.err
    assert "2 videos, 2 frames" in outcome.out
    for number in (1, 2):
        table = pd.read_csv(tmp_path / f"out/anna {number}.csv")
        assert (table["file"].tolist(), table["success"].tolist()) == ([f"anna {number}.jpg"], [1])
    assert "2 done before" in aulight(*command).out
    own = tmp_path / "out/anna 1.csv"
    own.write_text("mine")
    refused = aulight(*command, "format=csv", "pictures=photos", "faces.max_faces=2")
    assert (refused.status, own.read_text()) == (2, "mine")
    assert "not as aulight wrote it" in refused.err


def test_a_pattern_over_many_folders_looks_at_each_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each path's parents are asked for as often as it is found, not once for each folder."""
    for number in range(50):
        (tmp_path / f"{number:02d}").mkdir()
        (tmp_path / f"{number:02d}" / "a.mp4").touch()
    asked, parents = Counter[Path](), PurePath.parents.fget  # type: ignore[attr-defined]

    def counted(self: Path) -> Any:
        asked[self] += 1
        return parents(self)

    monkeypatch.setattr(inputs, "find_videos", lambda folder, _: Listing([Video(folder / "a.mp4", "a")], {}, [], {}))
    monkeypatch.setattr(PurePath, "parents", property(counted))
    listing = find_inputs([f"{tmp_path}/*"], None)
    monkeypatch.undo()
    assert [video.name for video in listing.videos] == [f"{number:02d}/a" for number in range(50)]
    assert max(asked[tmp_path / f"{number:02d}"] for number in range(50)) <= 5
