"""Digests and stamps of raw videos: equal for equal content whatever the names, and for nothing else."""

import hashlib
import os
import shutil
import zipfile
from pathlib import Path

import pytest

from aulight.data.video.digest import digest, stamp
from aulight.errors import VideoError

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
