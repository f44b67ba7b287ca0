"""DISFA's layout: every label on its frame, by row, however names are spelled; what is missing is named."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aulight.data.sources.placing import place_labels
from aulight.data.sources.raw import RawDataset, RawVideo
from aulight.data.sources.reading import read
from aulight.data.video.raw import raw_frames
from aulight.datasets import DISFA_AUS, DISFA_SUBJECTS, DISFA_UNTRACKED
from aulight.errors import AulightError

Tree = Callable[..., Path]
SMALL = (64, 48)


def _read(root: Path, camera: str = "left", drop_untracked: bool = False) -> RawDataset:
    return read("disfa", root, (), None, camera=camera, drop_untracked=drop_untracked)


def _numbers(video: RawVideo) -> list[int]:
    return [frame.number for frame in raw_frames(video.path, video.fps)]


def _rows(root: Path, subject: str, au: int) -> list[int]:
    """The intensities of a label file, read by hand."""
    path = root / "ActionUnit_Labels" / subject / f"{subject}_au{au}.txt"
    return [int(line.split(",")[1]) for line in path.read_text().split()]


def test_facts() -> None:
    assert len(DISFA_SUBJECTS) == 27
    assert {"SN001", "SN013", "SN016", "SN018", "SN021", "SN023", "SN032"} <= set(DISFA_SUBJECTS)
    assert not {"SN014", "SN015", "SN019", "SN020", "SN022"} & set(DISFA_SUBJECTS)
    rows = sum(4844 if subject == "SN010" else 4845 for subject in DISFA_SUBJECTS)
    dropped = sum(last - first + 1 for ranges in DISFA_UNTRACKED.values() for first, last in ranges)
    assert (rows, rows - dropped) == (130_814, 126_144)


@pytest.mark.parametrize("first", [0, 1])
def test_labels_go_by_row_wherever_the_files_start_to_count(tmp_path: Path, disfa_tree: Tree, first: int) -> None:
    root = disfa_tree(tmp_path / "disfa", real=["SN001"], frames=24, first=first)
    data = _read(root)
    assert data.aus == DISFA_AUS
    assert [video.video_id for video in data.videos] == ["SN001_left", "SN002_left", "SN010_left"]
    assert [video.subject for video in data.videos] == ["SN001", "SN002", "SN010"]
    seen = set()
    for video in data.videos:
        assert video.columns == {"camera": "left"}
        assert _numbers(video) == list(range(24))
        placed, notes = place_labels(video, np.arange(24), np.arange(24) / 20)
        assert placed is not None
        assert notes == []
        for au in DISFA_AUS:
            assert placed[au].tolist() == _rows(root, video.subject, au)
            seen.update(placed[au].tolist())
    assert seen >= {0, 1, 2, 3}


def test_missing_subjects_are_named(tmp_path: Path, disfa_tree: Tree) -> None:
    data = _read(
        disfa_tree(tmp_path / "disfa", subjects=[*DISFA_SUBJECTS[:10], *DISFA_SUBJECTS[11:]], frames=2, size=SMALL)
    )
    assert data.notes == ["no video of 1 of the 27 subjects: SN011"]
    assert _read(disfa_tree(tmp_path / "all", subjects=DISFA_SUBJECTS, frames=2, size=SMALL)).notes == []


def test_a_stranger_is_named_and_used(tmp_path: Path, disfa_tree: Tree) -> None:
    data = _read(disfa_tree(tmp_path / "disfa", subjects=[*DISFA_SUBJECTS, "SN014"], frames=2, size=SMALL))
    assert data.notes == ["not subjects of DISFA, used all the same: SN014"]
    assert "SN014_left" in [video.video_id for video in data.videos]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (23, "24 frames but 23 rows of labels; they are aligned from the first on, the last 1 frames have no label"),
        (26, "24 frames but 26 rows of labels; they are aligned from the first on, the last 2 rows are not used"),
    ],
)
def test_a_difference_in_length_is_noted(tmp_path: Path, disfa_tree: Tree, rows: int, said: str) -> None:
    root = disfa_tree(tmp_path / "disfa", frames=24, rows={"SN010": rows}, size=SMALL)
    video = _read(root).videos[2]
    placed, notes = place_labels(video, np.arange(24), np.arange(24) / 20)
    assert notes == [f"SN010_left: {said}"]
    assert placed is not None
    expected = [*_rows(root, "SN010", 4), pd.NA][:24]
    assert placed[4].tolist() == expected


def test_label_files_of_one_subject_may_differ_in_length(tmp_path: Path, disfa_tree: Tree) -> None:
    root = disfa_tree(tmp_path / "disfa", frames=5, size=SMALL)
    path = root / "ActionUnit_Labels/SN002/SN002_au9.txt"
    path.write_text("".join(path.read_text().splitlines(True)[:4]))
    data = _read(root)
    assert any(
        note.startswith("SN002: label files differ in length") and "AU06 5, AU09 4" in note for note in data.notes
    )
    assert data.videos[1].labels is not None
    assert data.videos[1].labels["AU09"].tolist() == [*_rows(root, "SN002", 9), pd.NA]


@pytest.mark.parametrize(
    ("camera", "ids"),
    [
        ("left", ["SN001_left", "SN002_left"]),
        ("right", ["SN001_right", "SN002_right"]),
        ("both", ["SN001_left", "SN001_right", "SN002_left", "SN002_right"]),
    ],
)
def test_cameras(tmp_path: Path, disfa_tree: Tree, camera: str, ids: list[str]) -> None:
    root = disfa_tree(tmp_path / "disfa", subjects=DISFA_SUBJECTS[:2], cameras=("left", "right"), frames=3, size=SMALL)
    data = _read(root, camera)
    assert [video.video_id for video in data.videos] == ids
    for video in data.videos:
        assert video.path.name.lower() == f"{video.columns['camera']}video{video.subject.lower()}_comp.avi"
        assert video.labels is not None
        assert video.labels["AU12"].tolist() == _rows(root, video.subject, 12)


def test_other_spellings(tmp_path: Path, disfa_tree: Tree) -> None:
    root = disfa_tree(tmp_path / "disfa", subjects=DISFA_SUBJECTS[:2], cameras=("left", "right"), frames=3, size=SMALL)
    (root / "Video_RightCamera").rename(root / "Videos_RightCamera")
    (root / "ActionUnit_Labels").rename(root / "actionunit_labels")
    left = root / "Videos_LeftCamera"
    (left / "LeftVideoSN001_comp.avi").rename(left / "leftvideosn001_Comp.AVI")
    (left / "LeftVideoSN002_comp.avi").rename(left / "VideoSN002_comp.avi")  # only the folder says which camera
    (left / "trailer.avi").write_bytes(b"")
    (left / "._LeftVideoSN001_comp.avi").write_bytes(b"")
    data = _read(root, "both")
    assert [video.video_id for video in data.videos] == ["SN001_left", "SN001_right", "SN002_left", "SN002_right"]
    assert "passed over, not named like LeftVideoSN001_comp.avi: trailer.avi" in data.notes


def test_a_camera_that_a_subject_lacks_is_noted(tmp_path: Path, disfa_tree: Tree) -> None:
    root = disfa_tree(tmp_path / "disfa", subjects=DISFA_SUBJECTS[:2], cameras=("left", "right"), frames=2, size=SMALL)
    (root / "Video_RightCamera/RightVideoSN002_Comp.avi").unlink()
    assert "no right video of SN002" in _read(root, "both").notes


def test_labels_of_untracked_frames_become_unknown(tmp_path: Path, disfa_tree: Tree) -> None:
    root = disfa_tree(tmp_path / "disfa", subjects=["SN002", "SN003"], frames=2, size=SMALL, rows={"SN002": 830})
    kept, dropped = _read(root), _read(root, drop_untracked=True)
    assert kept.videos[0].labels is not None
    assert not kept.videos[0].labels.isna().any(axis=None)
    labels = dropped.videos[0].labels
    assert labels is not None
    unknown = labels.isna()
    # frames 800 to 826, counted from 1 and both included
    assert unknown.all(axis=1).to_numpy().nonzero()[0].tolist() == list(range(799, 826))
    assert unknown.any(axis=1).sum() == 27
    assert dropped.videos[1].labels is not None
    assert not dropped.videos[1].labels.isna().any(axis=None)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("1,0\n2,6\n", "line 2: intensity 6 is not one of 0 to 5"),
        ("1,0\n2,-1\n", "line 2: intensity -1 is not one of 0 to 5"),
        ("frame,intensity\n1,0\n", "line 1: 'frame,intensity' is not frame,intensity, two whole numbers (there is no"),
        ("1,0\n\n3,0\n", "line 2: '' is not frame,intensity"),
        ("1,0,0\n", "line 1: '1,0,0' is not frame,intensity"),
        ("", "empty; lines of frame,intensity are expected"),
    ],
)
def test_a_label_that_is_none_is_named_by_file_and_line(
    tmp_path: Path, disfa_tree: Tree, text: str, problem: str
) -> None:
    root = disfa_tree(tmp_path / "disfa", frames=2, size=SMALL)
    (root / "ActionUnit_Labels/SN002/SN002_au15.txt").write_text(text)
    with pytest.raises(AulightError, match=r"SN002_au15\.txt:? " + re.escape(problem)):
        _read(root)


def test_missing_label_files_are_named(tmp_path: Path, disfa_tree: Tree) -> None:
    root = disfa_tree(tmp_path / "disfa", frames=2, size=SMALL)
    for name in ("SN002/SN002_au4.txt", "SN010/SN010_au26.txt"):
        (root / "ActionUnit_Labels" / name).unlink()
    with pytest.raises(AulightError, match=r"no label file SN002/SN002_au4\.txt, SN010/SN010_au26\.txt; every AU"):
        _read(root)


def test_two_files_of_one_video_are_refused(tmp_path: Path, disfa_tree: Tree) -> None:
    root = disfa_tree(tmp_path / "disfa", frames=2, size=SMALL)
    (root / "copy").mkdir()
    (root / "copy" / "LeftVideoSN002_comp.avi").write_bytes(b"")
    with pytest.raises(AulightError, match=r"LeftVideoSN002_comp\.avi: both would be SN002_left; rename one"):
        _read(root)


def test_a_camera_that_is_not_there_is_said(tmp_path: Path, disfa_tree: Tree) -> None:
    root = disfa_tree(tmp_path / "disfa", frames=2, size=SMALL)
    with pytest.raises(AulightError, match=r"data\.reader\.camera=right: no such videos in .*; those of the other"):
        _read(root, "right")
    with pytest.raises(AulightError, match=r"data\.reader\.camera=middle: one of left, right, both"):
        _read(root, "middle")


@pytest.mark.parametrize("missing", ["Videos_LeftCamera", "ActionUnit_Labels"])
def test_another_layout_is_told_what_was_expected_and_found(tmp_path: Path, disfa_tree: Tree, missing: str) -> None:
    root = disfa_tree(tmp_path / "disfa", frames=2, size=SMALL)
    shutil.rmtree(root / missing)
    (root / "readme.txt").touch()
    with pytest.raises(AulightError) as caught:
        _read(root)
    rest = ({"Videos_LeftCamera", "ActionUnit_Labels"} - {missing}).pop()
    assert str(caught.value) == (
        f"data.source={root}: expected Videos_LeftCamera/LeftVideoSN001_comp.avi ... and "
        f"ActionUnit_Labels/SN001/SN001_au1.txt ...; found {', '.join((rest + '/', 'readme.txt'))}"
    )
