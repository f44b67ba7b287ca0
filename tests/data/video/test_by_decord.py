"""decord against the reader of packets: the same frames, the same complaints."""

import gc
import multiprocessing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aulight.data.video.by_decord import DecordReader
from aulight.data.video.prepared import Reader, ReaderCache
from aulight.data.video.write import write_video
from aulight.errors import VideoError

LENGTH = 40
Coded = Callable[[int, int], Any]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory, coded: Coded) -> Path:
    path = tmp_path_factory.mktemp("decord") / "video.mp4"
    write_video(path, coded(3, LENGTH), 25)
    return path


@pytest.mark.parametrize("size", [None, 32, 48, 56])
@pytest.mark.parametrize("places", [range(LENGTH), range(1, 36, 5), [38, 3, 3, 12]])
def test_frames_are_those_that_packets_give(video: Path, size: int | None, places: Sequence[int]) -> None:
    np.testing.assert_array_equal(DecordReader(video, size, LENGTH).read(places), Reader(video, size).read(places))


def test_what_is_wrong_is_said_in_the_same_words(video: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    for path, frames, place in (
        (tmp_path / "none.mp4", None, 0),
        (text, None, 0),
        (video, 7, 0),
        (video, None, LENGTH),
    ):
        said = []
        for reader in (Reader, DecordReader):
            with pytest.raises(VideoError) as caught:
                reader(path, None, frames).read([place])
            said.append(str(caught.value))
        assert said[0] == said[1]


def test_a_cache_of_them_keeps_one_open(video: Path, tmp_path: Path, coded: Coded) -> None:
    other = tmp_path / "other.mp4"
    write_video(other, coded(4, LENGTH), 25)
    cache = ReaderCache(size=32, decord=True)
    for path in (video, other, video):
        assert isinstance(cache.get(path), DecordReader)
        assert len(cache) == 1
    np.testing.assert_array_equal(cache.get(video).read([5]), Reader(video, 32).read([5]))


def _collect() -> None:
    gc.collect()


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system does not fork")
def test_a_fork_may_drop_a_reader_that_it_inherits(video: Path) -> None:
    gc.collect()  # what earlier tests have left behind
    gc.disable()
    try:
        reader: Any = DecordReader(video)
        reader.read([3, 9])
        reader.itself = reader  # a cycle: what the parent lets go of here, the collector of the fork finds
        del reader
        child = multiprocessing.get_context("fork").Process(target=_collect)
        child.start()
        child.join(30)
        hung = child.is_alive()
        child.kill()
        assert not hung, "the fork waits for a thread that only its parent has"
        assert child.exitcode == 0
    finally:
        gc.enable()
