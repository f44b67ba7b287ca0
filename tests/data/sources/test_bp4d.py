"""BP4D's layouts: labels on images by frame number, whatever the padding; presence is not taken for intensity."""

import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from aulight.data.sources.placing import place_labels
from aulight.data.sources.raw import RawDataset, RawVideo
from aulight.data.sources.reading import read
from aulight.data.video.raw import raw_frames
from aulight.datasets import BP4D_AUS, BP4D_SUBJECTS
from aulight.errors import AulightError

Tree = Callable[..., Path]
SMALL = (64, 48)


def _read(root: Path, plus: bool = False) -> RawDataset:
    return read("bp4d", root, (), None, plus=plus, fps=25.0)


def _codes(path: Path) -> dict[int, int | None]:
    """Frame to intensity of a label file, read by hand."""
    lines = [line.split(",") for line in path.read_text().split()]
    return {int(frame): None if value == "9" else int(value) for frame, value in lines}


def _numbers(video: RawVideo) -> list[int]:
    """The frames that a sequence has images of."""
    return [frame.number for frame in raw_frames(video.path, video.fps)]


def _check_labels(video: RawVideo, folder: Path) -> None:
    numbers = _numbers(video)
    placed, notes = place_labels(video, np.array(numbers), np.arange(len(numbers)) / 25)
    assert placed is not None
    assert notes == []
    assert list(placed) == list(BP4D_AUS)
    for au in BP4D_AUS:
        codes = _codes(folder / f"AU{au:02d}" / f"{video.video_id}_AU{au:02d}.csv")
        assert [None if value is pd.NA else value for value in placed[au].tolist()] == list(map(codes.get, numbers))


@pytest.mark.parametrize(
    "layout", ["AU-Intensity-Codes3.0", "AU Intensity Codes3.0", "AUCoding/AU_INT", "aucoding/au_int"]
)
def test_labels_are_joined_by_frame_number(tmp_path: Path, bp4d_tree: Tree, layout: str) -> None:
    root = bp4d_tree(tmp_path / "bp4d", layout=layout, real=["F001"])
    data = _read(root)
    assert data.aus == BP4D_AUS
    assert [video.video_id for video in data.videos] == [
        "F001_T1", "F001_T6", "F002_T1", "F002_T6", "M001_T1", "M001_T6",
    ]  # fmt: skip
    assert [_numbers(video)[0] for video in data.videos] == [2440, 643, 1, 2440, 643, 1]
    assert (data.videos[1].path / "0643.jpg").is_file()
    assert (data.videos[2].path / "1.jpg").is_file()
    picture = cv2.imread(str(data.videos[0].path / "2440.jpg"))
    assert picture is not None
    assert picture.shape == (192, 256, 3)
    for video in data.videos:
        assert (video.fps, video.subject, video.columns) == (25.0, video.video_id[:4], {"task": video.video_id[5:]})
        _check_labels(video, root / layout)


def test_missing_subjects_and_sequences_are_named(tmp_path: Path, bp4d_tree: Tree) -> None:
    assert len(BP4D_SUBJECTS) == 41
    root = bp4d_tree(tmp_path / "bp4d", subjects=BP4D_SUBJECTS, tasks=["T1", "T2"], frames=6, size=SMALL)
    images, labels = root / "BP4D-training", root / "AU-Intensity-Codes3.0"
    shutil.rmtree(images / "M008")  # as in some lists
    shutil.rmtree(images / "F003" / "T2")
    (images / "F004" / "T2").rename(images / "F004" / "T11")
    for au in BP4D_AUS:
        (labels / f"AU{au:02d}" / f"F005_T1_AU{au:02d}.csv").unlink()
    (labels / "AU12" / "F006_T1_AU12.csv").unlink()
    data = _read(root)
    assert data.notes == [
        "no images of 1 of the 41 subjects: M008",
        "4 coded sequences without images: F003_T2, F004_T2, M008_T1, M008_T2",
        "1 sequences without labels: F005_T1",
        "1 sequences of tasks that are not coded, passed over: F004_T11",
        "F006_T1: no label file of AU12, unknown there",
    ]
    videos = {video.video_id: video for video in data.videos}
    assert len(videos) == 82 - 4
    assert videos["F005_T1"].labels is None
    labels_left = videos["F006_T1"].labels
    assert labels_left is not None
    assert labels_left.notna().any().to_dict() == {f"AU{au:02d}": au != 12 for au in BP4D_AUS}


def test_labelled_frames_without_a_picture_are_counted(tmp_path: Path, bp4d_tree: Tree) -> None:
    root = bp4d_tree(tmp_path / "bp4d", size=SMALL)
    for name in ("2443.jpg", "2447.jpg"):
        (root / "BP4D-training/F001/T1" / name).unlink()
    video = _read(root).videos[0]
    numbers = np.array(_numbers(video))
    placed, notes = place_labels(video, numbers, (numbers - 2440) / 25)
    assert notes == ["F001_T1: 2 of 12 labelled frames have no picture: 2443, 2447"]
    assert placed is not None
    codes = _codes(root / "AU-Intensity-Codes3.0/AU06/F001_T1_AU06.csv")
    known = {int(number): value for number, value in zip(numbers, placed[6].tolist(), strict=True) if number in codes}
    assert known == {number: value for number, value in codes.items() if number not in (2443, 2447)}


def test_bp4d_plus_is_read_from_its_zip_files(tmp_path: Path, bp4d_tree: Tree) -> None:
    root = bp4d_tree(tmp_path / "plus", subjects=["F001", "F082"], tasks=["T1", "T2", "T8"], zipped=True, size=SMALL)
    for path in (root / "AU-Intensity-Codes3.0").rglob("*_T2_*"):
        path.unlink()
    with zipfile.ZipFile(root / "2D+3D" / "F001.zip", "a") as archive:
        archive.writestr("F001_2D+3D/T1/2440.obj", "a mesh")
        archive.writestr("__MACOSX/F001_2D+3D/T1/._2440.jpg", "")
    data = _read(root, plus=True)
    assert [video.video_id for video in data.videos] == ["F001_T1", "F001_T8", "F082_T1", "F082_T8"]
    assert data.videos[0].path == root / "2D+3D" / "F001.zip" / "F001_2D+3D" / "T1"
    assert data.notes == ["2 sequences of tasks that are not coded, passed over: F001_T2, F082_T2"]
    for video in data.videos[1:]:
        _check_labels(video, root / "AU-Intensity-Codes3.0")


def test_a_damaged_zip_file_is_named(tmp_path: Path, bp4d_tree: Tree) -> None:
    root = bp4d_tree(tmp_path / "plus", zipped=True, size=SMALL)
    (root / "2D+3D" / "F002.zip").write_bytes(b"half a download")
    with pytest.raises(AulightError, match=r"F002\.zip: not a readable zip file"):
        _read(root, plus=True)


@pytest.mark.parametrize("folder", ["AUCoding/AU_OCC", "AUCoding"])
def test_occurrence_labels_alone_are_refused_with_an_explanation(tmp_path: Path, bp4d_tree: Tree, folder: str) -> None:
    root = bp4d_tree(tmp_path / "bp4d", layout=None, occurrence=True, size=SMALL)
    if folder == "AUCoding":
        for path in list((root / "AUCoding/AU_OCC").iterdir()):
            path.rename(root / "AUCoding" / path.name)
    with pytest.raises(AulightError) as caught:
        _read(root)
    assert str(caught.value) == (
        f"{root / folder}/F001_T1.csv: occurrence labels tell whether an AU is present (0 or 1), not how strong it is, "
        "and there are no others; aulight learns intensities: add AU-Intensity-Codes3.0 or AUCoding/AU_INT"
    )


def test_occurrence_labels_beside_intensities_are_not_looked_at(tmp_path: Path, bp4d_tree: Tree) -> None:
    root = bp4d_tree(tmp_path / "bp4d", layout="AUCoding/AU_INT", occurrence=True, size=SMALL)
    _check_labels(_read(root).videos[0], root / "AUCoding/AU_INT")


def test_presence_written_as_intensities_is_refused(tmp_path: Path, bp4d_tree: Tree) -> None:
    root = bp4d_tree(tmp_path / "bp4d", subjects=BP4D_SUBJECTS[:12], frames=16, size=SMALL)
    for path in (root / "AU-Intensity-Codes3.0").rglob("*.csv"):
        frames = list(_codes(path))
        path.write_text("".join(f"{frame},{int(place > 5)}\n" for place, frame in enumerate(frames)))
    with pytest.raises(AulightError, match=r"no label is above 1, so these tell whether an AU is present \(0 or 1\)"):
        _read(root)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("2442,0\n2443,7\n", "line 2: intensity 7 is not one of 0 to 5, or 9 for unknown"),
        ("2442,0\n2443,1\n2442,0\n", "frame 2442 is there twice"),
        ("0,6,10\n2442,0,1\n", "line 1: '0,6,10' is not frame,intensity"),
    ],
)
def test_a_label_that_is_none_is_named(tmp_path: Path, bp4d_tree: Tree, text: str, problem: str) -> None:
    root = bp4d_tree(tmp_path / "bp4d", size=SMALL)
    (root / "AU-Intensity-Codes3.0/AU10/F001_T1_AU10.csv").write_text(text)
    with pytest.raises(AulightError, match=r"F001_T1_AU10\.csv:? " + re.escape(problem)):
        _read(root)


def test_an_au_without_any_file_is_named(tmp_path: Path, bp4d_tree: Tree) -> None:
    root = bp4d_tree(tmp_path / "bp4d", size=SMALL)
    shutil.rmtree(root / "AU-Intensity-Codes3.0/AU14")
    with pytest.raises(AulightError, match=r"no label files AU14/F001_T1_AU14\.csv \.\.\. beside those of the other"):
        _read(root)


@pytest.mark.parametrize(("missing", "plus"), [("BP4D-training", False), ("AU-Intensity-Codes3.0", True)])
def test_another_layout_is_told_what_was_expected_and_found(
    tmp_path: Path, bp4d_tree: Tree, missing: str, plus: bool
) -> None:
    root = bp4d_tree(tmp_path / "bp4d", zipped=plus, size=SMALL)
    shutil.rmtree(root / missing)
    with pytest.raises(AulightError) as caught:
        _read(root, plus)
    images = "2D+3D/F001.zip with <any>/T1/2440.jpg in it" if plus else "BP4D-training/F001/T1/2440.jpg"
    assert str(caught.value) == (
        f"data.source={root}: expected {images} ... and AU-Intensity-Codes3.0/AU06/F001_T1_AU06.csv ... "
        f"(or AUCoding/AU_INT/AU06/...); found {'2D+3D/' if plus else 'AU-Intensity-Codes3.0/'}"
    )
