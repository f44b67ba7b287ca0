"""Bytes of files: the oracle is the file, read whole."""

import multiprocessing
import pickle
from pathlib import Path

import pytest

from aulight.data.shards import Shards
from aulight.errors import VideoError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "shards").mkdir()
    for number in range(3):
        (tmp_path / "shards" / f"{number}.tar").write_bytes(bytes(range(number, number + 200)))
    return tmp_path


@pytest.mark.parametrize("number", range(3))
def test_any_part_of_any_file_is_what_the_file_has(root: Path, number: int) -> None:
    whole = (root / "shards" / f"{number}.tar").read_bytes()
    for offset, size in ((0, 200), (7, 0), (7, 20), (199, 1), (200, 0)):
        assert Shards(root).read(f"shards/{number}.tar", offset, size) == whole[offset : offset + size]


def test_a_copy_and_a_fork_read_the_same(root: Path) -> None:
    shards = Shards(root)
    there = shards.read("shards/0.tar", 3, 9)
    assert pickle.loads(pickle.dumps(shards)).read("shards/0.tar", 3, 9) == there
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply(shards.read, ("shards/0.tar", 3, 9)) == there


def test_what_is_not_there_is_said(root: Path) -> None:
    shards = Shards(root)
    with pytest.raises(VideoError, match=r"0\.tar: cut off or damaged: ends at byte 200 of 201"):
        shards.read("shards/0.tar", 190, 11)
    with pytest.raises(VideoError, match=r"3\.tar: no such video"):
        shards.read("shards/3.tar", 0, 1)
    with pytest.raises(VideoError, match=r"shards: cannot be read \(Is a directory\)"):
        shards.read("shards", 0, 1)
