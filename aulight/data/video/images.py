"""Folders of images, also inside zip files, as raw videos."""

import itertools
import os
import re
import stat
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path, PurePosixPath

from aulight.data.own import without_own
from aulight.data.video.pictures import decoded
from aulight.data.video.several import SUFFIXES, moves
from aulight.data.video.types import IMAGE_SUFFIXES, Frames, RawFrame, Stored
from aulight.errors import AulightError, VideoError
from aulight.foreign.whole_file import read_bytes
from aulight.foreign.zip import UNREADABLE, read_member

MOST_BYTES = 2**28
"""Of the file of a picture: more than one of :data:`aulight.data.video.types.MOST_PIXELS` has, be it hardly packed."""

LARGEST_NUMBER = 2**63 - 1
"""Of a picture, by its name: tables hold no larger ones."""

NO_BYTES = (*UNREADABLE, AulightError)
"""What :func:`picture_bytes` raises."""


def images_of(path: Path) -> tuple[Path | None, list[tuple[int, str]]] | None:
    """The zip file that holds a folder of images, and the number and path of each; ``None`` for a video file."""
    listed = images_in(path)
    return None if listed is None else (listed[0], _numbered(path, listed[1]))


def images_in(path: Path) -> tuple[Path | None, list[Path]] | None:
    """The zip file that holds a folder of images, and their paths in natural order; ``None`` for a video file.

    Of a folder on the disk, files that hold several pictures are left out: each is a film of its own.
    """
    if is_folder(path):
        try:
            inside = without_own(path.iterdir())
        except OSError as error:
            raise VideoError(f"{path}: cannot be looked into ({error.strerror})") from error
        return None, _images(path, [str(entry) for entry in inside if is_file(entry) and not is_film(entry)])
    file = next((place for place in (path, *path.parents) if is_file(place)), None)
    if file is None:
        raise VideoError(f"{path}: {no_file(path)}")
    if file == path and not zipfile.is_zipfile(file):
        return None
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile) as error:
        raise VideoError(f"{file}: not a readable zip file") from error
    folder = PurePosixPath(path.relative_to(file).as_posix())
    return file, _images(path, [name for name in names if PurePosixPath(name).parent == folder])


def is_file(path: Path) -> bool:
    """Whether there is a file, or a link to one; unlike Path's own, it does not raise at closed folders."""
    return os.path.isfile(path)  # noqa: PTH113


def is_film(path: Path) -> bool:
    """Whether a file is called as a picture and holds several; of what is not called so, it is not asked."""
    return path.suffix.lower() in SUFFIXES and is_file(path) and moves(path)


def is_folder(path: Path) -> bool:
    """Whether there is a folder, or a link to one; as :func:`is_file`."""
    return os.path.isdir(path)  # noqa: PTH112


def no_file(path: Path) -> str:
    """Why there is no file at a path, nor a folder; it is not opened, which could wait for ever."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return "a link that leads nowhere" if path.is_symlink() else "no such video or folder"
    except OSError as error:  # links in a circle, names that are too long
        return f"cannot be read ({error.strerror})"
    kinds = {stat.S_ISFIFO: "a pipe", stat.S_ISSOCK: "a socket", stat.S_ISCHR: "a device", stat.S_ISBLK: "a device"}
    kind = next((kind for holds, kind in kinds.items() if holds(mode)), "something else")
    return f"{kind}, where a file is needed"


def _images(path: Path, names: Iterable[str]) -> list[Path]:
    images = [Path(name) for name in names]
    images = [image for image in images if image.suffix.lower() in IMAGE_SUFFIXES and not image.name.startswith(".")]
    if not images:
        raise VideoError(f"{path}: no images ({', '.join(sorted(IMAGE_SUFFIXES))}) in it")
    return sorted(images, key=_natural)


def _numbered(path: Path, images: list[Path]) -> list[tuple[int, str]]:
    parts = [re.fullmatch(r"(.*?)([0-9]+)", image.stem, re.DOTALL) for image in images]
    if len({part and part[1] for part in parts}) > 1 or parts[0] is None:
        return [(number, str(image)) for number, image in enumerate(images)]
    if any(is_beyond(image) for image in images):
        return [(number, str(image)) for number, image in enumerate(images)]
    numbered = sorted((int(part[2]), image) for part, image in zip(parts, images, strict=True) if part)
    for (number, image), (next_number, other) in itertools.pairwise(numbered):
        if number == next_number:
            raise VideoError(f"{path}: {image.name} and {other.name} are both frame {number}; rename one")
    return [(number, str(image)) for number, image in numbered]


def is_beyond(image: Path) -> bool:
    """Whether an image has a number beyond :data:`LARGEST_NUMBER`, so that those of its folder only say the order."""
    digits = image.stem[len(image.stem.rstrip("0123456789")) :].lstrip("0")
    return len(digits) > len(str(LARGEST_NUMBER)) or int(digits or 0) > LARGEST_NUMBER


def _natural(image: Path) -> list[tuple[int, str]]:
    """Sorts ``a2`` before ``a10``."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"([0-9]+)", image.name)]


def image_rate(path: Path, fps: float | None) -> float:
    """Frames per second of images, which do not tell it.

    Raises:
        AulightError: When it is not given.
    """
    if fps is None or not fps > 0:
        raise AulightError(f"{path}: images do not say how many frames per second they are; give fps")
    return fps


def picture_bytes(archive: zipfile.ZipFile | None, name: str) -> bytes:
    """What is in the file of a picture, on the disk or in a zip file.

    Raises:
        AulightError: When it is no file, or larger than any picture.
        OSError: As all of :data:`NO_BYTES`, when it is damaged.
    """
    return read_bytes(Path(name), MOST_BYTES) if archive is None else read_member(archive, name, MOST_BYTES)


def image_frames(
    path: Path,
    file: Path | None,
    numbered: list[tuple[int, str]],
    fps: float,
    stored: Stored | None = None,
) -> Iterator[RawFrame]:
    """The images of :func:`images_of` as frames, one at a time in memory.

    Args:
        path: The folder.
        file: The zip file that holds it, if one does.
        numbered: Number and path of each image.
        fps: How many numbers are a second.
        stored: As of :func:`aulight.data.video.raw.raw_frames`.

    Raises:
        VideoError: At an image that cannot be read.
    """
    with ExitStack() as stack:
        archive = None if file is None else stack.enter_context(zipfile.ZipFile(file))
        for number, name in numbered:
            yield RawFrame(number, (number - numbered[0][0]) / fps, read_image(path, archive, name, stored))


def read_image(path: Path, archive: zipfile.ZipFile | None, name: str, stored: Stored | None = None) -> Frames:
    """One image ``(H, W, 3)``, uint8 RGB.

    Args:
        path: The folder, for messages.
        archive: The zip file that holds it, if one does.
        name: The image's path, in the zip file or on the disk.
        stored: As of :func:`aulight.data.video.raw.raw_frames`.

    Raises:
        VideoError: When it cannot be read.
    """
    try:
        data = picture_bytes(archive, name)
    except NO_BYTES as error:
        raise VideoError(f"{path}: image {Path(name).name} cannot be read ({error})") from error
    return decoded(data, f"{path}: image {Path(name).name}", stored)
