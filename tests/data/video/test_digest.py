"""Digests and stamps of raw videos: equal for equal content whatever the names, and for nothing else."""

import hashlib
import os
import shutil
import struct
import zipfile
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from aulight.data.video.digest import PIECE, Pictures, digest, stamp
from aulight.data.video.raw import raw_frames, raw_info
from aulight.data.video.write import write_video
from aulight.errors import VideoError
from tests.data.video.films import Coded, Frames, added, encoded, mux

PICTURES = {"f_2.png": b"two", "f_10.png": b"ten", "f_9.jpg": b"nine"}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Pictures whose numbers and names are in different orders, and a file that is none."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, content in PICTURES.items():
        (folder / name).write_bytes(content)
    (folder / "notes.txt").write_text("of no matter")
    return folder


def test_a_file_has_the_digest_of_its_bytes_whatever_it_is_called(tmp_path: Path, video: Path) -> None:
    """Oracle: SHA-256 of all bytes at once."""
    shutil.copy(video, tmp_path / "other.avi")
    assert digest(video) == digest(tmp_path / "other.avi") == hashlib.sha256(video.read_bytes()).hexdigest()


def test_reading_on_is_told_piece_by_piece_so_that_nobody_is_taken_for_hung(tmp_path: Path, coded: Coded) -> None:
    """For the digest of a large file, and where the times of all frames are read through."""
    told = list[int]()
    large = tmp_path / "large.mp4"
    large.write_bytes(os.urandom(3 * PIECE + 1))
    assert digest(large, told.append) == hashlib.sha256(large.read_bytes()).hexdigest()
    assert told == [0] * 4
    told.clear()
    frames = list(coded(0, 30))
    with av.open(str(tmp_path / "film.mkv"), "w") as container:
        mux(container, encoded(added(container, "libx264", frames[0].shape[1::-1]), frames))
    assert raw_info(tmp_path / "film.mkv", report=told.append).frames == 30
    assert told == [0] * 30


def test_pictures_are_digested_in_their_order_without_their_names(pictures: Path, tmp_path: Path) -> None:
    """Oracle: SHA-256 of the digests of f_2, f_9, f_10."""
    wanted = hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in (b"two", b"nine", b"ten"))).hexdigest()
    assert digest(pictures) == wanted
    with zipfile.ZipFile(tmp_path / "F001.zip", "w") as archive:
        for place, part in enumerate((b"two", b"nine", b"ten")):
            archive.writestr(f"F001/T1/{place}.jpg", part)
    assert digest(tmp_path / "F001.zip" / "F001" / "T1") == wanted
    (pictures / "f_9.jpg").write_bytes(b"other")
    assert digest(pictures) != wanted
    (pictures / "f_9.jpg").write_bytes(b"nineten")
    (pictures / "f_10.png").write_bytes(b"")
    assert digest(pictures) != wanted, "where one picture ends and the next begins"


def test_a_stamp_changes_with_a_file_or_any_picture(pictures: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.mp4"
    file.write_bytes(b"1234")
    before, of_folder = stamp(file), stamp(pictures)
    assert before == (4, file.stat().st_mtime_ns)
    assert (stamp(file), stamp(pictures)) == (before, of_folder)
    (pictures / "notes.txt").write_text("still of no matter")
    assert stamp(pictures) == of_folder
    os.utime(file, ns=(0, 10**18))
    assert stamp(file) == (4, 10**18)
    old = pictures / "f_2.png"  # as cp -p does: an older time, and the same size
    old.write_bytes(b"TWO")
    os.utime(old, ns=(0, 10**18))
    assert stamp(pictures).size == of_folder.size
    assert stamp(pictures) != of_folder


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    for look in (digest, stamp):
        with pytest.raises(VideoError, match=r"gone\.mp4: "):
            look(tmp_path / "gone.mp4")


def _of_pictures(path: Path) -> str:
    pictures = Pictures()
    for _ in raw_frames(path, 25, stored=pictures.add):
        pass
    return pictures.digest()


def _of_frames(frames: list[Frames]) -> str:
    """The digest by its definition."""
    return hashlib.sha256(b"".join(repr(one.shape).encode() + one[::8, ::8].tobytes() for one in frames)).hexdigest()


def turned(path: Path, copy: Path, degrees: int) -> Path:
    """A copy with another display matrix, as programs make it that correct how a phone was held."""
    sine, cosine = {0: (0, 1), 90: (1, 0), 180: (0, -1), 270: (-1, 0)}[degrees]
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 40
    matrix = (cosine << 16, sine << 16, 0, -sine << 16, cosine << 16)
    data[start : start + 20] = struct.pack(">5i", *matrix)
    copy.write_bytes(data)
    return copy


def test_a_copy_that_is_turned_otherwise_has_the_same_pictures(tmp_path: Path, coded: Coded) -> None:
    """Oracle: the digest of the pictures that the file shows before its header is changed."""
    path = tmp_path / "phone.mp4"
    write_video(path, (np.ascontiguousarray(frame[:48]) for frame in coded(5, 4)), 25)
    shown = [frame.image for frame in raw_frames(path)]
    assert _of_pictures(path) == _of_frames(shown)
    for degrees in (90, 180, 270):
        copy = turned(path, tmp_path / f"{degrees}.mp4", degrees)
        first = next(raw_frames(copy)).image
        assert first.shape == ((64, 48, 3) if degrees % 180 else (48, 64, 3))
        assert not np.array_equal(first, shown[0]), "it is shown otherwise"
        assert _of_pictures(copy) == _of_frames(shown)
    write_video(tmp_path / "other.mp4", coded(6, 4), 25)
    assert _of_pictures(tmp_path / "other.mp4") != _of_frames(shown)


def test_a_copy_with_wider_pixels_has_the_same_pictures(tmp_path: Path, coded: Coded) -> None:
    found = {}
    for pixel in (1, 2):
        path = tmp_path / f"{pixel}.mkv"
        with av.open(str(path), "w") as container:
            stream: Any = container.add_stream("libx264", rate=25, options={"qp": "0"})
            stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
            stream.codec_context.sample_aspect_ratio = pixel
            mux(container, encoded(stream, list(coded(5, 4))))
        found[pixel] = next(raw_frames(path)).image.shape, _of_pictures(path)
    assert [shape for shape, _ in found.values()] == [(64, 64, 3), (64, 128, 3)]
    assert found[1][1] == found[2][1]


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tif"])
def test_pictures_that_are_turned_otherwise_are_the_same(tmp_path: Path, coded: Coded, kind: str) -> None:
    """Of a folder of pictures, and of one alone; only what their EXIF says of the way up is another."""
    frames = [frame[:48] for frame in coded(5, 2)]
    options: dict[str, Any] = {"lossless": True} if kind == "webp" else {}
    digests = []
    for orientation in range(1, 9):
        folder = tmp_path / str(orientation)
        folder.mkdir()
        exif = Image.Exif()
        exif[0x0112] = orientation
        for number, frame in enumerate(frames):
            Image.fromarray(frame).save(folder / f"{number}.{kind}", exif=exif, **options)
        shapes = {frame.image.shape for frame in raw_frames(folder, 25)}
        assert shapes == {(64, 48, 3) if orientation >= 5 else (48, 64, 3)}
        digests.append((_of_pictures(folder), _of_pictures(folder / f"1.{kind}")))
    assert len(set(digests)) == 1
