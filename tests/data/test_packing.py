"""Videos in shards: the oracle of every frame is the file that was packed, of every byte the same without a kill."""

import hashlib
import os
import tarfile
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from aulight.data import packing
from aulight.data.packing import SEGMENT, Loose, cut, pack
from aulight.data.places import Files, Index, Segments
from aulight.data.shards import Shards
from aulight.data.video.by_decord import DecordReader
from aulight.data.video.prepared import Joined, Reader, ReaderCache, open_video, stream_frames
from aulight.data.video.write import write_video
from aulight.errors import AulightError, VideoError
from tests.preparation.killed import Killed, killed_at

Frames = npt.NDArray[np.uint8]
Coded = Callable[..., Iterator[Frames]]

LENGTH = 1020
"""Two segments and a bit."""


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory, coded: Coded) -> Path:
    folder = tmp_path_factory.mktemp("films")
    write_video(folder / "long.mp4", coded(1, LENGTH), 29.97)
    for video, count in ((2, 30), (3, 504), (4, 7)):
        write_video(folder / f"v{video}.mp4", coded(video, count), 25)
    return folder


def loose(films: Path, *videos: tuple[str, int]) -> list[Loose]:
    return [Loose(row, name, count, films / f"{name}.mp4") for row, (name, count) in enumerate(videos)]


ALL = (("long", LENGTH), ("v2", 30), ("v3", 504), ("v4", 7))


def places(packed: packing.Packed, root: Path, names: list[str]) -> Files:
    """The same as a dataset has them, from the rows of the index."""
    table = packed.index
    column: dict[str, Any] = {name: table[name].to_numpy() for name in table.column_names if name != "digest"}
    digest = np.frombuffer(b"".join(table["digest"].to_pylist()), np.uint8).reshape(-1, 16)
    begins = np.searchsorted(column["video"], np.arange(len(names) + 1))
    index = Index(begins, column["first"], column["frames"], column["shard"], column["offset"], column["bytes"], digest)
    return Files(Shards(root), pa.array(names), index)


@pytest.fixture(scope="module")
def packed(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Files:
    root = tmp_path_factory.mktemp("packed")
    return places(pack(loose(films, *ALL), root, root / "notes"), root, [name for name, _ in ALL])


@pytest.fixture(scope="module")
def whole(films: Path) -> Frames:
    return Reader(films / "long.mp4").read(range(LENGTH))


def test_all_frames_are_those_of_the_file(packed: Files, films: Path) -> None:
    for row, (name, count) in enumerate(ALL):
        for size in (None, 48):
            joined = np.concatenate(list(stream_frames(packed[row], size, 100, count)))
            np.testing.assert_array_equal(joined, Reader(films / f"{name}.mp4", size).read(range(count)))


@pytest.mark.parametrize("decord", [False, True])
@pytest.mark.parametrize(
    "frames",
    [range(490, 520), range(400, 1020, 8), range(LENGTH - 1, -1, -37), [504, 3, 503, 504, 1019, 1008, 3], [7], []],
)
def test_clips_that_span_segments_are_joined_exactly(
    packed: Files, whole: Frames, frames: list[int], decord: bool
) -> None:
    reader = ReaderCache(decord=decord).get(packed[0], LENGTH)
    np.testing.assert_array_equal(reader.read(frames), whole[np.asarray(frames, int)])


def test_no_segments_are_opened_but_those_that_are_read(packed: Files) -> None:
    place, cache = packed[0], ReaderCache(limit=2)
    assert isinstance(place, Segments)
    reader = cache.get(place)
    assert isinstance(reader, Joined)
    assert len(cache) == 0
    reader.read([3, 500])
    assert len(cache) == 1
    first = cache.opened(place.parts[0])
    reader.read([510])
    assert cache.opened(place.parts[0]) is first
    reader.read([1010])
    assert len(cache) == 2, "as many as it may have"
    assert isinstance(ReaderCache(decord=True).opened(place.parts[1]), DecordReader)


def test_a_place_outside_the_video_is_named(packed: Files) -> None:
    with pytest.raises(VideoError, match=r"000000\.tar \(long\): frame 1020 asked for, the video has frames 0 to 1019"):
        open_video(packed[0]).read([LENGTH])
    with pytest.raises(VideoError, match=r"000000\.tar \(v2\): has 30 frames, its table says 31; restore it"):
        open_video(packed[1], frames=31)


def test_a_segment_that_is_damaged_is_named_by_the_frames_of_its_video(
    films: Path, tmp_path: Path, whole: Frames
) -> None:
    files = places(pack(loose(films, ALL[0]), tmp_path, tmp_path / "notes"), tmp_path, ["long"])
    place = files[0]
    assert isinstance(place, Segments)
    second = place.parts[1].part
    content = bytearray((tmp_path / second.shard).read_bytes())
    content[second.offset + 100 : second.offset + 2000] = bytes(1900)  # of the first pictures
    (tmp_path / second.shard).write_bytes(content)
    with pytest.raises(VideoError, match=r"000000\.tar \(long\): damaged between frames 504 and 520; restore it"):
        open_video(place).read([2, 504, 520])
    np.testing.assert_array_equal(open_video(place).read([2, 503, 1010]), whole[[2, 503, 1010]])


@pytest.mark.parametrize("gop", [1, 4, 12, 100, 505, 2000])
def test_segments_begin_with_key_frames_and_are_as_long_as_can_be(tmp_path: Path, coded: Coded, gop: int) -> None:
    path = tmp_path / "film.mp4"
    write_video(path, coded(5, LENGTH), 25, gop=gop)
    parts = list(cut(path))
    step = max(gop, SEGMENT // gop * gop)
    assert [count for count, _ in parts] == [min(step, LENGTH - start) for start in range(0, LENGTH, step)]
    assert parts == list(cut(path)), "the same bytes each time"
    frames = list[Frames]()
    for number, (count, content) in enumerate(parts):
        (tmp_path / f"{number}.mp4").write_bytes(content)
        frames.append(Reader(tmp_path / f"{number}.mp4").read(range(count)))
    np.testing.assert_array_equal(np.concatenate(frames), Reader(path).read(range(LENGTH)))


def test_any_tar_program_groups_samples_by_their_keys(packed: Files, films: Path) -> None:
    """As WebDataset does it: what is before the first dot of a name is its key, the rest says what it is."""
    assert isinstance(packed.shards, Shards)
    with tarfile.open(packed.shards.root / "shards" / "000000.tar") as shard:
        members = shard.getmembers()
        samples = {
            key: {member.name.partition(".")[2]: shard.extractfile(member) for member in group}
            for key, group in groupby(members, lambda member: member.name.partition(".")[0])
        }
    assert list(samples) == ["long/00000", "long/00001", "long/00002", "v2/00000", "v3/00000", "v4/00000"]
    assert {tuple(sample) for sample in samples.values()} == {("mp4",)}
    assert {(member.mtime, member.uid, member.gid, member.mode, member.uname) for member in members} == {
        (0, 0, 0, 0o644, "")
    }
    place = packed[2]
    assert isinstance(place, Segments)
    assert place.parts[0].read() == (films / "v3.mp4").read_bytes(), "what is short is not touched"


def test_names_of_any_length_and_letters_are_packed(films: Path, tmp_path: Path) -> None:
    names = ["ä" * 90, "x" * 200, "a.b"]
    videos = [Loose(row, name, 7, films / "v4.mp4") for row, name in enumerate(names)]
    files = places(pack(videos, tmp_path, tmp_path / "notes"), tmp_path, names)
    with tarfile.open(tmp_path / "shards" / "000000.tar") as shard:
        assert shard.getnames() == [f"{name}/00000.mp4" for name in names]
    for row in range(3):
        assert len(open_video(files[row]).read(range(7))) == 7


def shards(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (root / "shards").glob("[!.]*.tar")}


def test_a_shard_is_closed_when_it_is_full(films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "SHARD_BYTES", 10_000)
    packed = pack(loose(films, *ALL), tmp_path, tmp_path / "notes", first=3)
    assert set(shards(tmp_path)) == {"000003.tar", "000004.tar", "000005.tar"}
    assert packed.index["shard"].to_pylist() == sorted(packed.index["shard"].to_pylist())
    files = places(packed, tmp_path, [name for name, _ in ALL])
    for row, (name, count) in enumerate(ALL):
        np.testing.assert_array_equal(
            open_video(files[row]).read(range(count)), Reader(films / f"{name}.mp4").read(range(count))
        )


def test_killed_anywhere_the_same_bytes_are_packed(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "SHARD_BYTES", 10_000)
    root = tmp_path / "undisturbed"
    root.mkdir()
    expected, wanted = pack(loose(films, *ALL), root, root / "notes"), shards(root)
    assert len(wanted) > 2
    for operation in range(1000):
        root = tmp_path / str(operation)
        root.mkdir()
        try:
            with killed_at(operation):
                pack(loose(films, *ALL), root, root / "notes")
            break
        except Killed:
            pass
        there = shards(root)
        assert there.items() <= wanted.items(), "whole or not at all"
        again = pack(loose(films, *ALL), root, root / "notes")
        assert again.index.equals(expected.index)
        assert again.digests == expected.digests
        assert shards(root) == wanted
    assert operation > 10


def test_a_shard_that_is_there_is_not_packed_again(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = pack(loose(films, *ALL), tmp_path, tmp_path / "notes")
    monkeypatch.setattr(packing, "_write", lambda *_: pytest.fail("packed again"))
    assert pack(loose(films, *ALL), tmp_path, tmp_path / "notes").index.equals(first.index)


@pytest.mark.parametrize("videos", [ALL[1:], (*ALL, ("v2", 30)), (ALL[1], ALL[0]), ALL[:2]])
def test_what_is_there_of_other_videos_is_packed_anew(
    films: Path, tmp_path: Path, videos: tuple[tuple[str, int], ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "SHARD_BYTES", 10_000)
    pack(loose(films, *ALL), tmp_path, tmp_path / "notes")
    packed = pack(loose(films, *videos), tmp_path, tmp_path / "notes")
    (tmp_path / "other").mkdir()
    other = pack(loose(films, *videos), tmp_path / "other", tmp_path / "other" / "notes")
    assert packed.index.equals(other.index)
    wanted = shards(tmp_path / "other")
    assert {name: content for name, content in shards(tmp_path).items() if name in wanted} == wanted


def test_of_a_long_video_that_is_damaged_no_more_is_kept_than_shows_it(tmp_path: Path) -> None:
    """Be it of a disk's size: no memory holds that. What was noted of it goes on telling that it is damaged."""
    path, noted = tmp_path / "long.mp4", hashlib.sha256(b"another").hexdigest()
    path.write_bytes(b"no video")
    os.truncate(path, 2_500_000)
    for known, digest in ((noted, noted[:32]), (None, 32 * "0")):
        root = tmp_path / str(known)
        root.mkdir()
        place = places(pack([Loose(0, "long", LENGTH, path, known)], root, root / "notes"), root, ["long"])[0]
        assert isinstance(place, Segments)
        (part,) = place.parts
        assert part.read() == b"no video".ljust(1_000_000, b"\0")
        assert (part.frames, part.part.digest) == (LENGTH, digest)


def test_a_disk_without_room_is_refused_before_anything_is_written(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Room for all of the videos that are not packed yet; oracle: the sizes of their files."""
    videos, root = loose(films, *ALL), tmp_path / "data"
    root.mkdir()
    monkeypatch.setattr(packing, "SHARD_BYTES", 10_000)
    first = videos[0].size()
    rest = sum((films / f"{name}.mp4").stat().st_size for name, _ in ALL[1:])

    def free(count: int) -> None:
        monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(total=10**9, free=count))

    free(first + rest - 1)
    with pytest.raises(AulightError, match=r"data: 0\.\d MB are needed .* 0\.\d MB are free; make room") as refused:
        pack(videos, root, root / "notes")
    assert not isinstance(refused.value, VideoError)
    assert not list(root.iterdir())
    pack(videos[:1], root, root / "notes")
    before = shards(root)
    free(rest - 1)
    with pytest.raises(AulightError, match="are needed on its disk to pack"):
        pack(videos, root, root / "notes")
    assert shards(root) == before
    free(rest)
    pack(videos, root, root / "notes")
    free(0)
    pack(videos, root, root / "notes")  # all is there
