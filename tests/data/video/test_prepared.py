"""Videos whose every frame is known: random access against what was written, and every kind of broken file."""

import gc
import multiprocessing
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aulight.data.video.mp4 import Track
from aulight.data.video.prepared import Reader, ReaderCache, frames_needed, stream_frames
from aulight.data.video.scaling import UNFIT_WIDTHS
from aulight.data.video.write import GOP, write_video
from aulight.errors import VideoError
from tests.data.video.films import LENGTH, Coded, Decode, Frames


def frames_of(decode: Decode, frames: Frames) -> list[int]:
    codes = decode(frames)
    assert {number for number, _ in codes} <= {5}
    return [frame for _, frame in codes]


def test_sequential_read_is_what_was_written(video: Path, coded: Coded, decode: Decode) -> None:
    frames = Reader(video).read(range(LENGTH))
    assert frames.shape == (LENGTH, 64, 64, 3)
    assert frames.dtype == np.uint8
    assert frames_of(decode, frames) == list(range(LENGTH))
    assert np.abs(frames.astype(int) - np.stack(list(coded(5, LENGTH)))).mean() < 4
    with av.open(str(video)) as container:  # another decoder sees the same pixels, up to its colour conversion
        other = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    assert np.abs(frames.astype(int) - other).mean() < 2


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, LENGTH - 1), max_size=12))
@example([])
@example([LENGTH - 1])
@example([LENGTH - 1, 0])
@example([7, 7, 7])
@example(list(range(3, 99, 4)))  # near enough to be read in one go
@example(list(range(0, LENGTH, 25)))  # far enough apart to be sought
def test_random_access_is_sequential_access(video: Path, decode: Decode, indices: list[int]) -> None:
    # one reader for all: what was read before must not matter
    reader = _READERS.setdefault(video, Reader(video))
    sequential = _ALL.setdefault(video, Reader(video).read(range(LENGTH)))
    frames = reader.read(indices)
    assert frames.shape == (len(indices), 64, 64, 3)
    assert frames_of(decode, frames) == indices
    np.testing.assert_array_equal(frames, sequential[indices])


_READERS: dict[Path, Reader] = {}
_ALL: dict[Path, Frames] = {}


@pytest.mark.parametrize("size", [24, 32, 48, 64, 72, 96, 112])
def test_decodes_to_a_size(video: Path, decode: Decode, size: int) -> None:
    frames = Reader(video, size).read([90, 4, 33])
    assert frames.shape == (3, size, size, 3)
    assert frames_of(decode, frames) == [90, 4, 33]


def test_pictures_need_not_be_square(tmp_path: Path) -> None:
    wide = np.zeros((3, 32, 50, 3), np.uint8)
    wide[:, :, 24:] = (250, 10, 10)
    write_video(tmp_path / "wide.mp4", wide, 29.97, crf=4)
    frames = Reader(tmp_path / "wide.mp4").read([0, 2])
    assert frames.shape == (2, 32, 50, 3)
    red, green, blue = frames[:, 4:-4, 30:44].mean((0, 1, 2))
    assert red > 220, "RGB, not BGR"
    assert max(green, blue) < 40


@pytest.mark.parametrize("size", [width for width in sorted(UNFIT_WIDTHS) if width >= 16])
def test_a_size_that_decord_failed_on_looks_like_its_neighbours(tmp_path: Path, size: int) -> None:
    ramp = np.zeros((4, 64, 64, 3), np.uint8)
    ramp[..., 0], ramp[..., 1] = np.arange(0, 256, 4), np.arange(0, 256, 4)[:, None]
    write_video(tmp_path / "ramp.mp4", ramp, 25, crf=4)
    frames, other = (Reader(tmp_path / "ramp.mp4", side).read([3, 1]) for side in (size, size + 2))
    assert frames.shape == (2, size, size, 3)
    centres, others = ((np.arange(side) + 0.5) / side for side in (size, size + 2))
    for axis, channel in ((2, 0), (1, 1)):
        mean, expected = (picture[..., channel].mean((0, 3 - axis)) for picture in (frames, other))
        assert np.abs(mean - np.interp(centres, others, expected)).mean() < 3


def test_a_video_of_a_width_that_decord_fails_on_is_read(tmp_path: Path) -> None:
    write_video(tmp_path / "narrow.mp4", np.full((3, 48, 48, 3), 128, np.uint8), 25)
    for size in (None, 48):
        frames = Reader(tmp_path / "narrow.mp4", size).read([0, 2])
        assert frames.shape == (2, 48, 48, 3)
        assert np.abs(frames.astype(int) - 128).max() < 4


@pytest.mark.parametrize("size", [None, 32, 56, 64, 112])
@pytest.mark.parametrize("places", [range(LENGTH), range(5, 85, 8), [100, 3, 3, 12, 11]])
def test_pixels_are_those_of_decord(noisy: Path, size: int | None, places: Sequence[int]) -> None:
    """Which read these files before: a run that goes on must see the same."""
    decord = pytest.importorskip("decord")
    video = decord.VideoReader(str(noisy), width=size or -1, height=size or -1, num_threads=1)
    expected = video.get_batch(list(range(LENGTH))).asnumpy()[list(places)]
    np.testing.assert_array_equal(Reader(noisy, size).read(places), expected)


@pytest.mark.parametrize("gop", [1, 2, 12])
def test_no_frame_is_decoded_that_is_not_needed(gop: int) -> None:
    """Oracle: of each wanted frame all since the key frame before it, as a set."""
    keys, rng = np.arange(0, 200, gop), np.random.default_rng(0)
    track = Track(np.zeros(200, np.int64), np.ones(200, np.int64), keys, b"", 64, 64)
    for _ in range(50):
        wanted = np.unique(rng.integers(0, 200, 16))
        expected = {number for last in wanted for number in range(last // gop * gop, last + 1)}
        assert frames_needed(track, wanted).tolist() == sorted(expected)
        decoded = int(rng.integers(0, 200))
        known = set(range(decoded + 1)) if wanted[0] // gop * gop <= decoded < wanted[0] else set()
        assert frames_needed(track, wanted, decoded).tolist() == sorted(expected - known)


@pytest.mark.parametrize("index", [-1, LENGTH, 10_000])
def test_a_frame_outside_the_video_is_named(video: Path, index: int) -> None:
    with pytest.raises(VideoError, match=rf"coded\.mp4: frame {index} asked for, .* frames 0 to {LENGTH - 1}"):
        Reader(video).read([3, index])


def _missing(path: Path, video: Path) -> None:
    pass


def _folder(path: Path, video: Path) -> None:
    path.mkdir()


def _empty(path: Path, video: Path) -> None:
    path.touch()


def _text(path: Path, video: Path) -> None:
    path.write_text("not a video\n" * 1000)


def _truncated(path: Path, video: Path) -> None:
    path.write_bytes(video.read_bytes()[:-2000])


def _index_first(path: Path, video: Path) -> bytes:
    """The same video with its index before the pictures, so that a cut loses pictures only."""
    with av.open(str(video)) as source, av.open(str(path), "w", options={"movflags": "faststart"}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    return path.read_bytes()


def _cut_in_the_last_frames(path: Path, video: Path) -> None:
    path.write_bytes(_index_first(path, video)[:-10])


def _cut_in_the_middle(path: Path, video: Path) -> None:
    whole = _index_first(path, video)
    path.write_bytes(whole[: len(whole) * 2 // 3])


def _garbled(path: Path, video: Path) -> None:
    whole = bytearray(_index_first(path, video))
    middle = len(whole) // 2
    whole[middle : middle + 1500] = np.random.default_rng(0).bytes(1500)
    path.write_bytes(bytes(whole))


def _audio(path: Path, video: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), format="fltp", layout="mono")
        sound.rate = 44100
        for packet in [*stream.encode(sound), *stream.encode(None)]:
            container.mux(packet)


BROKEN = [_missing, _folder, _empty, _text, _truncated, _cut_in_the_last_frames, _cut_in_the_middle, _garbled, _audio]


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_file_is_named_in_one_line(tmp_path: Path, video: Path, broken: Callable[[Path, Path], None]) -> None:
    path = tmp_path / "broken.mp4"
    broken(path, video)
    with pytest.raises(VideoError) as caught:
        Reader(path).read(range(LENGTH))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory, coded: Coded) -> Path:
    """As ``video``, with noise, so that a group of pictures is some kilobytes."""
    path, rng = tmp_path_factory.mktemp("video") / "noisy.mp4", np.random.default_rng(0)
    write_video(path, (frame + rng.integers(0, 30, frame.shape, dtype=np.uint8) for frame in coded(5, LENGTH)), 25)
    return path


def test_after_an_error_the_reader_still_gives_the_right_frames(tmp_path: Path, noisy: Path, decode: Decode) -> None:
    path = tmp_path / "broken.mp4"
    _garbled(path, noisy)
    reader = Reader(path)
    for _ in range(2):
        with pytest.raises(VideoError, match="damaged between frames 0 and 100"):
            reader.read(range(LENGTH))
        for first in (0, 84):
            assert frames_of(decode, reader.read(range(first, first + 12))) == list(range(first, first + 12))


def test_another_number_of_frames_than_expected_is_named(video: Path) -> None:
    assert len(Reader(video, frames=LENGTH)) == LENGTH
    with pytest.raises(VideoError, match=r"coded\.mp4: has 101 frames, its table says 100"):
        Reader(video, frames=100)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, coded: Coded) -> Path:
    path = tmp_path_factory.mktemp("videos")
    for number in range(6):
        write_video(path / f"{number}.mp4", coded(number, 10 + number), 25)
    return path


def test_cache_keeps_the_last_used_videos_open_and_closes_the_others(folder: Path) -> None:
    cache = ReaderCache(limit=2)
    paths = [folder / f"{number}.mp4" for number in range(6)]
    first, second = cache.get(paths[0]), cache.get(paths[1])
    assert cache.get(paths[0]) is first
    cache.get(paths[2])  # closes 1, the least recently used
    assert cache.get(paths[0]) is first
    assert cache.get(paths[1]) is not second
    del first, second
    for path in paths * 2:
        cache.get(path).read([0])
        assert len(cache) <= 2
        open_files = {Path(file.path) for file in psutil.Process().open_files()}
        assert len(open_files & set(paths)) <= 2
    with pytest.raises(VideoError, match="has 10 frames, its table says 3"):
        cache.get(paths[0], frames=3)


def test_pickled_cache_is_empty_and_works(folder: Path, decode: Decode) -> None:
    cache = ReaderCache(limit=2, size=32)
    cache.get(folder / "1.mp4")
    copy = pickle.loads(pickle.dumps(cache))
    assert len(copy) == 0
    assert (copy.limit, copy.size) == (2, 32)
    assert decode(copy.get(folder / "1.mp4").read([3])) == [(1, 3)]
    assert len(cache) == 1


def _read_in_child(cache: ReaderCache, folder: Path, decode: Decode) -> None:
    for number in (1, 2, 3, 1):
        assert decode(cache.get(folder / f"{number}.mp4").read([3, 9])) == [(number, 3), (number, 9)]
        assert len(cache) <= 2


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system does not fork")
def test_cache_works_in_a_fork_of_a_process_that_has_read(folder: Path, decode: Decode) -> None:
    cache = ReaderCache(limit=2)
    for number in (1, 2):
        cache.get(folder / f"{number}.mp4").read([0])
    child = multiprocessing.get_context("fork").Process(target=_read_in_child, args=(cache, folder, decode))
    child.start()
    child.join(20)
    hung = child.is_alive()
    child.kill()
    assert not hung, "the child waits for what only its parent has"
    assert child.exitcode == 0
    _read_in_child(cache, folder, decode)  # and the parent's readers are as they were


def _collect() -> None:
    gc.collect()


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system does not fork")
def test_a_fork_may_drop_a_reader_that_it_inherits(video: Path) -> None:
    gc.collect()  # what earlier tests have left behind
    gc.disable()
    try:
        reader: Any = Reader(video)
        reader.read([3, 9])
        reader.itself = reader  # a cycle: what the parent lets go of here, the collector of the fork finds
        del reader
        child = multiprocessing.get_context("fork").Process(target=_collect)
        child.start()
        child.join(30)
        child.kill()
        assert child.exitcode == 0, "the child waits for what only its parent has"
    finally:
        gc.enable()


@pytest.mark.parametrize("chunk", [1, 12, 40, LENGTH, 1000])
def test_streaming_gives_every_frame_once_in_order(video: Path, decode: Decode, chunk: int) -> None:
    pieces = list(stream_frames(video, size=32, chunk=chunk, frames=LENGTH))
    assert [len(piece) for piece in pieces[:-1]] == [chunk] * (len(pieces) - 1)
    assert 0 < len(pieces[-1]) <= chunk
    assert frames_of(decode, np.concatenate(pieces)) == list(range(LENGTH))


def test_streaming_a_damaged_video_gives_what_is_whole_before_the_error(
    tmp_path: Path, noisy: Path, decode: Decode
) -> None:
    path = tmp_path / "cut.mp4"
    _cut_in_the_last_frames(path, noisy)
    whole: list[int] = []

    def read() -> None:
        for piece in stream_frames(path, chunk=12):
            whole.extend(frames_of(decode, piece))

    with pytest.raises(VideoError, match=r"cut\.mp4: damaged between frames"):
        read()
    assert len(whole) >= LENGTH - 3 * GOP
    assert whole == list(range(len(whole)))


def test_streaming_checks_the_number_of_frames(video: Path) -> None:
    with pytest.raises(VideoError, match="its table says 7"):
        next(stream_frames(video, frames=7))
