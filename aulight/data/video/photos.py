"""Photos, each on its own: told from the frames of a film by what is in the pictures, and read one by one."""

import re
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from aulight.data.video.images import NO_BYTES, images_in, picture_bytes, read_image
from aulight.data.video.pictures import claimed_size
from aulight.data.video.several import moves
from aulight.data.video.types import IMAGE_SUFFIXES, RawFrame
from aulight.errors import VideoError

Pictures = Literal["auto", "film", "photos"]
"""What the pictures of a folder are; ``auto``: told by what is in them."""

PAIRS = 12
"""Neighbours that are compared, spread over the folder."""

ALIKE = 0.4
"""Difference, as a share of the contrast, up to which pictures may follow each other in a film. Of films of a face at
25 frames a second, neighbours differ by 0.02 to 0.2, at 5 by 0.3; photos, also of faces that are cut out alike, by 0.5
and more."""

VERY_ALIKE = 0.25
"""The same for pictures whose names do not say that they are numbered."""

NEARER = 0.6
"""Neighbours of a film that differ more, in which much moves, still differ by less than this share of what pictures
far apart do; those of a folder of photos do not."""

SEVERAL = 10
"""Pictures from which on this can be told."""

LARGEST = 200_000_000
"""Pixels of a picture that is looked at."""

_SIDE, _SHIFT = 24, 1
"""Of what is compared: its side in pixels, and by how many of them the camera may move."""


@dataclass(frozen=True)
class Photos:
    """The photos of a folder, or one.

    Attributes:
        path: The folder, perhaps inside a zip file, or the one photo.
        file: The zip file; ``None`` for what lies on the disk.
        names: Paths of the photos, in the zip file or on the disk, in natural order (``a2`` before ``a10``).
    """

    path: Path
    file: Path | None
    names: tuple[Path, ...]

    def frames(self, problems: list[str]) -> Iterator[RawFrame]:
        """The photos, one at a time in memory, with their names; all of them at time 0.

        Args:
            problems: Takes what is wrong with those that cannot be read; they are passed over.
        """
        with ExitStack() as stack:
            archive = None if self.file is None else stack.enter_context(zipfile.ZipFile(self.file))
            for number, name in enumerate(self.names):
                try:
                    image = read_image(self.path if self.file else name.parent, archive, str(name))
                except VideoError as error:
                    problems.append(str(error))
                else:
                    yield RawFrame(number, 0.0, image, name.name)


def photos_at(path: Path, pictures: Pictures) -> Photos | None:
    """The photos at a path; ``None`` where there is a video, be it a file or a folder of pictures.

    A picture alone is a photo, and a file of several pictures a film. Those of a folder are a film where neighbours, by
    number or name, are of one size and much alike. A film that is all cuts, or has less than a picture a second, may
    look like photos, and photos that were taken in a row without moving the camera like a film: ``pictures`` says it
    then.

    Args:
        path: As :func:`aulight.data.video.raw.raw_frames` takes it.
        pictures: What they are.

    Raises:
        VideoError: When there is nothing, or a zip file cannot be read.
    """
    if path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES:
        return None if moves(path) else Photos(path, None, (path,))
    if pictures == "film" or (listed := images_in(path)) is None:
        return None
    found = Photos(path, listed[0], tuple(listed[1]))
    return None if pictures == "auto" and _is_film(found) else found


def _is_film(photos: Photos) -> bool:
    """Whether pictures are frames of a film. Those that nobody can read are left to who reads them."""
    names = photos.names
    starts = np.unique(np.linspace(0, max(0, len(names) - 2), PAIRS).astype(int)).tolist()
    small = _small(photos, sorted({place for start in starts for place in (start, start + 1) if place < len(names)}))
    if not small:
        return True
    if len(names) == 1:
        return False
    near = [_difference(small[at], small[at + 1]) for at in starts if at in small and at + 1 in small]
    if not near:
        return False
    if len({re.sub("[0-9]+", "0", name.name.lower()) for name in names}) > 1:
        return float(np.quantile(near, 0.9)) < VERY_ALIKE
    first = [small[at] for at in starts if at in small]
    far = [_difference(one, first[(place + len(first) // 2) % len(first)]) for place, one in enumerate(first)]
    middle = float(np.median(near))
    return middle < ALIKE or (len(names) >= SEVERAL and middle < NEARER * float(np.median(far)))


_Small = tuple[tuple[int, int], npt.NDArray[np.float64]]
"""Size of a picture, and the picture in grey, made very small."""


def _difference(one: _Small, other: _Small) -> float:
    """Mean difference of two pictures, laid on each other as they fit best, as a share of their contrast."""
    if one[0] != other[0]:
        return 10.0  # as different as pictures can be
    contrast = max(8.0, float(np.hypot(one[1].std(), other[1].std()) / np.sqrt(2)))
    middle = one[1][_SHIFT:-_SHIFT, _SHIFT:-_SHIFT]
    shifted = sliding_window_view(other[1], middle.shape)
    return float(np.abs(shifted - middle).mean((2, 3)).min()) / contrast


def _small(photos: Photos, places: Sequence[int]) -> dict[int, _Small]:
    """Some pictures, made very small; without those that cannot be read."""
    import cv2

    small: dict[int, _Small] = {}
    with ExitStack() as stack:
        archive = None if photos.file is None else stack.enter_context(zipfile.ZipFile(photos.file))
        for place in places:
            name = photos.names[place]
            try:
                data = picture_bytes(archive, name.as_posix())
                size = claimed_size(data, name.name)
                if size[0] * size[1] > LARGEST:
                    continue
                pixels = np.frombuffer(data, np.uint8)
                grey = cv2.imdecode(pixels, cv2.IMREAD_REDUCED_GRAYSCALE_8)  # a jpg is decoded small
                if min(size) < 8 * _SIDE:
                    grey = cv2.imdecode(pixels, cv2.IMREAD_GRAYSCALE)
                shrunk = cv2.resize(np.asarray(grey), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
            except (*NO_BYTES, ValueError, cv2.error):
                continue
            small[place] = size, shrunk.astype(np.float64)
    return small
