"""Aff-Wild2's layouts: the videos, or the crops with their gaps and several people of one video."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from aulight.data.sources.raw import RawDataset
from aulight.data.sources.reading import read
from aulight.data.video.raw import raw_frames
from aulight.errors import AulightError

Tree = Callable[..., Path]
SMALL = (64, 48)


def _read(root: Path, pictures: str = "videos") -> RawDataset:
    return read("affwild2", root, (), None, pictures=pictures, fps=30.0)


def test_videos_of_all_batches(tmp_path: Path, affwild2_tree: Tree) -> None:
    root = affwild2_tree(tmp_path / "affwild2", frames=20, real=True)
    (root / "batch1" / "annotations.txt").touch()
    data = _read(root)
    assert (data.aus, data.notes) == ((), [])
    assert [(video.video_id, video.path.relative_to(root).as_posix()) for video in data.videos] == [
        ("105", "new_vids/105.mp4"),
        ("4-30-1920x1080", "batch1/4-30-1920x1080.mp4"),
        ("video59", "batch2/video59.avi"),
    ]
    for video in data.videos:
        assert (video.labels, video.fps, video.subject) == (None, None, video.video_id)
        assert [frame.number for frame in raw_frames(video.path)] == list(range(20))


def test_crops_of_two_people_of_one_video(tmp_path: Path, affwild2_tree: Tree) -> None:
    root = affwild2_tree(tmp_path / "affwild2", frames=20)
    (root / "cropped_aligned" / "video60").mkdir()
    (root / "cropped_aligned" / ".DS_Store").touch()
    data = _read(root, "cropped_aligned")
    assert [(video.video_id, video.subject, video.columns) for video in data.videos] == [
        ("4-30-1920x1080", "4-30-1920x1080", {"recording": "4-30-1920x1080"}),
        ("video59_left", "video59_left", {"recording": "video59"}),
        ("video59_right", "video59_right", {"recording": "video59"}),
    ]
    assert data.notes == ["1 folders without images, passed over: video60"]
    for video in data.videos:
        assert (video.labels, video.fps) == (None, 30.0)
        frames = list(raw_frames(video.path, video.fps))
        assert [frame.number for frame in frames] == [i for i in range(1, 21) if i not in (6, 7, 13)]
        assert {frame.image.shape for frame in frames} == {(112, 112, 3)}
    assert _read(root / "cropped_aligned", "cropped_aligned") == data


def test_one_name_in_two_batches_is_refused(tmp_path: Path, affwild2_tree: Tree) -> None:
    root = affwild2_tree(tmp_path / "affwild2", frames=2, size=SMALL)
    shutil.copy(root / "new_vids" / "105.mp4", root / "batch2" / "105.mp4")
    with pytest.raises(AulightError, match=r"batch2/105\.mp4 and .*new_vids/105\.mp4: both would be video 105"):
        _read(root)


@pytest.mark.parametrize(
    ("pictures", "expected"),
    [
        ("videos", "videos in batch1/, batch2/, new_vids/"),
        ("cropped_aligned", "cropped_aligned/<video>/00001.jpg ..."),
    ],
)
def test_another_layout_is_told_what_was_expected_and_found(
    tmp_path: Path, affwild2_tree: Tree, pictures: str, expected: str
) -> None:
    root = affwild2_tree(tmp_path / "affwild2", frames=2, size=SMALL) / "batch1"
    with pytest.raises(AulightError) as caught:
        _read(root, pictures)
    assert str(caught.value) == f"data.source={root}: expected {expected}; found 4-30-1920x1080.mp4"


def test_other_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AulightError, match=r"data\.reader\.pictures=crops: videos or cropped_aligned"):
        _read(tmp_path, "crops")
