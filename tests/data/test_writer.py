"""Datasets as they are written: half-made ones stay invisible, and labels are replaced alone."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from aulight.data.revising import replace_labels
from aulight.data.store import PreparedDataset
from aulight.data.writer import StoreWriter, label_rows
from aulight.errors import AulightError
from tests.data.formats import members


def _write(root: Path, fail: BaseException | None = None, resume: bool = False, gone: str | None = None) -> None:
    with StoreWriter(root, {"name": "n", "aus": [1], "fps": 25.0}, resume) as writer:
        (writer.videos / "a.mp4").touch()
        writer.add("a", "S", 25.0, np.arange(3), np.ones(3, np.float32), labels={1: [1, 2, 3]})
        assert not root.exists(), "visible before it is whole"
        if gone is not None:
            (writer.folder / gone).unlink()
        if fail is not None:
            raise fail


@pytest.mark.parametrize("fail", [KeyboardInterrupt(), ValueError()])
def test_a_half_made_store_leaves_nothing(tmp_path: Path, fail: BaseException) -> None:
    with pytest.raises(type(fail)):
        _write(tmp_path / "faces", fail)
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_left_is_not_in_the_way(tmp_path: Path) -> None:
    writer = StoreWriter(tmp_path / "faces", {"name": "n", "aus": [], "fps": 25.0}).__enter__()
    (writer.videos / "old.mp4").touch()  # and then kill -9
    with pytest.raises(AulightError, match="no prepared dataset there"):
        PreparedDataset(tmp_path / "faces")
    _write(tmp_path / "faces")
    assert [path.name for path in tmp_path.iterdir()] == ["faces"]
    assert list(members(tmp_path / "faces")) == ["a/00000.mp4"]
    assert not (tmp_path / "faces" / "videos").exists()


@pytest.mark.parametrize("gone", ["videos/a.mp4", "frames.parquet", "labels.parquet"])
@pytest.mark.parametrize("resume", [True, False])
def test_a_store_of_which_something_was_removed_meanwhile_is_refused(tmp_path: Path, gone: str, resume: bool) -> None:
    with pytest.raises(AulightError, match=f"faces: {gone} was removed while"):
        _write(tmp_path / "faces", resume=resume, gone=gone)
    assert not (tmp_path / "faces").exists()
    _write(tmp_path / "faces", resume=resume)
    assert PreparedDataset(tmp_path / "faces").aus == (1,)


def test_a_store_without_videos_or_in_place_of_another_is_refused(tmp_path: Path, faces: PreparedDataset) -> None:
    with pytest.raises(AulightError, match="empty: no videos"), StoreWriter(tmp_path / "empty", {}):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["faces"]
    with pytest.raises(AulightError, match="faces: already there"):
        StoreWriter(faces.root, {})


def test_an_interrupted_writer_can_be_gone_on_with(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        _write(tmp_path / "faces", KeyboardInterrupt(), resume=True)
    assert [path.name for path in tmp_path.iterdir()] == [".faces.partial"]
    with StoreWriter(tmp_path / "faces", {"name": "n", "aus": [], "fps": 25.0}, resume=True) as writer:
        assert [path.name for path in writer.videos.iterdir()] == ["a.mp4"]
        writer.add("a", "S", 25.0, np.arange(3), np.ones(3, np.float32))
    assert not (tmp_path / "faces" / "labels.parquet").exists(), "of the earlier writer"
    assert [path.name for path in tmp_path.iterdir()] == ["faces"]


def test_labels_and_subjects_are_replaced_and_nothing_else(faces: PreparedDataset) -> None:
    frames = (faces.root / "frames.parquet").read_bytes()
    labels = label_rows("v1", {4: [None, 3, None, 0]})
    videos = faces.videos.assign(subject=["A", "B", "A"])
    replace_labels(faces, {**faces.meta, "aus": [4], "source": {"folder": "raw"}}, labels, videos)
    again = PreparedDataset(faces.root)
    assert (again.aus, again.meta["subjects"], again.meta["source"]) == ((4,), 2, {"folder": "raw"})
    assert again.labels.to_dict("list") == {"video_id": ["v1", "v1"], "frame": [1, 3], "AU04": [3, 0]}
    pd.testing.assert_frame_equal(again.videos, videos)
    assert (faces.root / "frames.parquet").read_bytes() == frames
    replace_labels(again, {**again.meta, "aus": []}, None, again.videos)
    with pytest.raises(AulightError, match="has no labels"):
        _ = PreparedDataset(faces.root).labels


def test_labels_of_no_frame_count_as_none(tmp_path: Path) -> None:
    """The fingerprint that is noted is that of what is read: the oracle finds it out of the tables."""
    root = tmp_path / "faces"
    with StoreWriter(root, {"name": "n", "aus": [1], "fps": 25.0}) as writer:
        (writer.videos / "a.mp4").touch()
        writer.add("a", "S", 25.0, np.arange(3), np.ones(3, np.float32), labels={1: [pd.NA] * 3})
    data = PreparedDataset(root)
    noted = yaml.safe_load((root / "dataset.yaml").read_text())
    assert (data.has_labels, data.fingerprint) == (False, noted.pop("fingerprint"))
    (root / "dataset.yaml").write_text(yaml.safe_dump(noted))
    assert PreparedDataset(root).fingerprint == data.fingerprint
