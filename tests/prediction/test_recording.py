"""What is left of a recording whose process was killed: the next one keeps it, and none that is still going on."""

import os
from pathlib import Path

import pytest

from aulight.files import alone, remove_leftovers
from aulight.prediction.recording import keep_recordings, recording


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """As a killed process leaves it, in the middle of a row."""
    made = tmp_path / ".webcam0-20260131-101112.live"
    made.mkdir()
    (made / "webcam0-20260131-101112.csv").write_text("frame,AU12_r\n1,2.25\n2,0.")
    (made / "webcam0-20260131-101112.overlay.mp4").write_bytes(b"film")
    (made / ".aulight-0123456789abcdef.tmp.mp4").write_bytes(b"half a film")
    for path in (*made.iterdir(), made):
        os.utime(path, (0, 0))
    return made


def test_what_is_left_is_kept_to_its_last_whole_row(left: Path) -> None:
    remove_leftovers(left.parent)
    keep_recordings(left.parent)
    assert {path.name: path.read_text() for path in left.parent.iterdir()} == {
        "webcam0-20260131-101112.csv.partial": "frame,AU12_r\n1,2.25\n",
        "webcam0-20260131-101112.overlay.mp4.partial": "film",
    }
    keep_recordings(left.parent / "nowhere")


@pytest.mark.parametrize("locks", [True, False])
def test_what_is_being_recorded_is_left_alone(left: Path, locks: bool) -> None:
    """Known by its lock, or without locks by the time of what it has written."""
    before = sorted(left.iterdir())
    if locks:
        with alone(left.parent / "webcam0-20260131-101112.json", "taken"):
            keep_recordings(left.parent)
    else:
        os.utime(before[0])
        keep_recordings(left.parent)
    assert sorted(left.iterdir()) == before


def test_a_file_of_that_name_is_not_replaced(left: Path) -> None:
    mine = left.parent / "webcam0-20260131-101112.csv.partial"
    mine.write_text("mine")
    keep_recordings(left.parent)
    assert mine.read_text() == "mine"
    assert [path.name for path in left.iterdir()] == ["webcam0-20260131-101112.csv"]  # what cannot be moved stays


def test_what_is_moved_in_time_has_its_name(tmp_path: Path) -> None:
    with recording(tmp_path, "a") as made:
        (made / "a.csv").write_text("frame\n")
        (made / "a.csv").rename(tmp_path / "a.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
