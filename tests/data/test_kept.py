"""What is kept of a dataset of format 1: the oracle is what is found out without it."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from aulight.data import kept
from aulight.data.kept import Kept
from aulight.data.revising import replace_labels
from aulight.data.store import PreparedDataset
from aulight.data.writer import label_rows
from aulight.errors import AulightError
from tests.data.coded import Make
from tests.data.formats import as_format_1


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, in which something is kept of datasets of any size."""
    monkeypatch.setattr(kept, "LEAST_FRAMES", 0)
    monkeypatch.setenv("AULIGHT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "opened"


@pytest.fixture
def faces(tmp_path: Path, make_store: Make) -> PreparedDataset:
    labels = [{1: [0, 1, 2], 12: [0, 0, 0]}, None, None]
    return as_format_1(make_store(tmp_path / "faces", [3, 5, 4], labels=labels, real=False).root)


def looks(data: PreparedDataset) -> tuple[str, list[Any], list[Any]]:
    """All that may come from what was kept."""
    return data.fingerprint, data.segments.to_numpy().tolist(), [len(t) for t in data.frames_of(["v2", "v0"])]


def test_another_process_finds_it_and_reads_no_table_of_frames(
    cache: Path, faces: PreparedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = looks(PreparedDataset(faces.root))
    assert len(list(cache.glob("*.npy"))) == 3
    for slow in ("_looked_at", "_runs", "_hashed"):
        monkeypatch.setattr(PreparedDataset, slow, lambda _: pytest.fail("looked at anew"))
    assert looks(PreparedDataset(faces.root)) == expected


@pytest.mark.parametrize("damage", [b"", b"hello", None])
def test_damage_and_a_cache_that_cannot_be_written_change_nothing(
    cache: Path, faces: PreparedDataset, damage: bytes | None
) -> None:
    expected = looks(PreparedDataset(faces.root))
    for path in cache.glob("*.npy"):
        if damage is None:
            np.save(path, np.zeros(7))
        else:
            path.write_bytes(damage)
    assert looks(PreparedDataset(faces.root)) == expected
    for path in cache.iterdir():
        path.unlink()
    cache.rmdir()
    cache.touch()  # where the folder would be
    assert looks(PreparedDataset(faces.root)) == expected


def test_what_has_changed_is_looked_at_anew(cache: Path, faces: PreparedDataset) -> None:
    before = looks(PreparedDataset(faces.root))
    labels = label_rows("v1", {1: [1, None, None, None, 0], 12: [None, 3, None, None, 0]})
    replace_labels(faces, faces.meta, labels, faces.videos)
    after = looks(PreparedDataset(faces.root))
    assert after[0] != before[0]
    path = faces.root / "frames.parquet"
    table = pd.read_parquet(path)
    table.loc[1, "face_confidence"] = 0
    table.to_parquet(path, index=False)
    last = PreparedDataset(faces.root)
    assert last.fingerprint != after[0]
    assert last.segments.to_numpy().tolist()[:2] == [[0, 0, 1], [0, 2, 3]]


def test_a_video_that_is_gone_is_missed(cache: Path, faces: PreparedDataset) -> None:
    place = PreparedDataset(faces.root).file(1)
    assert isinstance(place, Path)
    place.unlink()
    with pytest.raises(AulightError, match=r"v1\.mp4: missing \(1 of 3 videos are\)"):
        PreparedDataset(faces.root)


def test_what_changes_while_it_is_looked_at_is_not_kept(cache: Path, faces: PreparedDataset) -> None:
    known = Kept(faces.root, 12)
    (faces.root / "labels.parquet").touch()
    before = set(cache.iterdir())
    assert known.array("count", (1,), np.int64, lambda: np.array([12])).tolist() == [12]
    assert set(cache.iterdir()) == before


def test_the_oldest_go(cache: Path, faces: PreparedDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST_FILES", 2)
    known = Kept(faces.root, 12)
    for name in "abc":
        known.array(name, (1,), np.int64, lambda: np.array([1]))
    assert len(list(cache.iterdir())) == 2
