"""What tells one raw video from another, whatever their names: a digest of the content, and a quicker stamp."""

import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from aulight.data.video.images import MOST_BYTES, images_of
from aulight.data.video.types import Frames
from aulight.errors import VideoError
from aulight.foreign.zip import UNREADABLE, member_blocks

PIECE = 2**20
"""Bytes of a file that are read at once."""


class Stamp(NamedTuple):
    """What changes with a raw video's content, but for a copy that keeps size and time: no need to read it.

    Attributes:
        size: Bytes of the file, or of all pictures of a folder.
        mtime_ns: When the file was last changed, in nanoseconds since 1970; of a folder of pictures a number that
            changes with any of their names, sizes and times.
    """

    size: int
    mtime_ns: int


def stamp(path: Path) -> Stamp:
    """Looks at the size and time of a raw video.

    Args:
        path: As :func:`aulight.data.video.raw.raw_frames` takes it.

    Raises:
        VideoError: When it is not there.
    """
    try:
        if not path.is_dir():  # of a folder inside a zip file: the zip file's
            found = next((place for place in (path, *path.parents) if place.is_file()), path).stat()
            return Stamp(found.st_size, found.st_mtime_ns)
        files = images_of(path)
        assert files is not None  # a folder
        found_all = [(name, Path(name).stat()) for _, name in files[1]]
    except OSError as error:
        raise VideoError(f"{path}: cannot be looked at ({error.strerror})") from error
    state = "\0".join(f"{Path(name).name} {found.st_size} {found.st_mtime_ns}" for name, found in found_all)
    number = int.from_bytes(hashlib.sha256(state.encode(errors="surrogateescape")).digest()[:8]) >> 1  # an int64
    return Stamp(sum(found.st_size for _, found in found_all), number)


def digest(path: Path, report: Callable[[int], object] = int) -> str:
    """Hex SHA-256 of a raw video's content, whatever it is called.

    Of a file that of its bytes; of pictures in a folder or a zip file that of the digests of their bytes, in the order
    in which they are read.

    Args:
        path: As :func:`aulight.data.video.raw.raw_frames` takes it.
        report: Told after each piece of it of 0 more frames: that reading goes on.

    Raises:
        VideoError: When it is not there, or cannot be read.
    """
    try:
        files = images_of(path)
        if files is None:
            return _of_file(path, report).hex()
        archive, numbered = files
        whole = hashlib.sha256()
        if archive is None:
            for _, name in numbered:
                whole.update(_of_file(Path(name), report))
        else:
            with zipfile.ZipFile(archive) as opened:
                for _, name in numbered:
                    one = hashlib.sha256()
                    for block in member_blocks(opened, name, MOST_BYTES):
                        one.update(block)
                        report(0)
                    whole.update(one.digest())
    except UNREADABLE as error:
        raise VideoError(f"{path}: cannot be read ({error})") from error
    return whole.hexdigest()


class Pictures:
    """The digest of pictures as they are stored: the same however the video is packed, and however it is to be turned.

    A video that is encoded anew has another.
    """

    def __init__(self) -> None:
        self._whole = hashlib.sha256()

    def add(self, image: Frames) -> None:
        """Takes the next picture, of which one pixel in 64 is looked at.

        Args:
            image: ``(H, W, 3)`` uint8 RGB, as :func:`aulight.data.video.raw.raw_frames` shows it to ``stored``.
        """
        self._whole.update(repr(image.shape).encode() + image[::8, ::8].tobytes())

    def digest(self) -> str:
        """Hex SHA-256, once all have been added."""
        return self._whole.hexdigest()


def _of_file(path: Path, report: Callable[[int], object]) -> bytes:
    whole = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            whole.update(piece)
            report(0)
    return whole.digest()
