"""Squares cut out of pictures, each brought to one size; and pictures that are aligned already, cut in the middle."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from aulight.data.faces.pose import Array, middle_square, no_blendshapes
from aulight.data.faces.sightings import Measured, nothing
from aulight.data.video.types import Frames, RawFrame


@dataclass(frozen=True)
class AlignedFrame:
    """The face of one raw frame.

    Attributes:
        number: Of the raw frame.
        time_s: Of the raw frame.
        crop: ``(size, size, 3)`` uint8 RGB; black where it reaches beyond the picture.
        confidence: 0 where no face is found, else the share of its landmarks that lie inside the picture.
        blendshapes: ``(52,)`` float32 scores of :data:`BLENDSHAPES`; NaN where no face is found or they are not wanted.
        matrix: ``(2, 3)`` float64, from pixels of the raw frame to those of the crop; pixel centres are whole numbers.
        others: Where one person is followed: how many other faces were found in the frame.
        elsewhere: Likewise: whether the face is the first after one elsewhere that was taken for the same person.
        measured: What was measured of the face, if anything; of no use where confidence is 0.
    """

    number: int
    time_s: float
    crop: Frames
    confidence: float
    blendshapes: npt.NDArray[np.float32]
    matrix: Array
    others: int = 0
    elsewhere: bool = False
    measured: Measured = field(default_factory=nothing)


Present = tuple[RawFrame, dict[int, AlignedFrame]]
"""A frame, and the people in it by their numbers."""

SHRINK = 1.25
"""Pixels of the picture to one of the crop up to which nothing is averaged; what is lost is a grey level or so."""


def crop_at(image: Frames, pose: Array, size: int) -> tuple[Frames, Array]:
    """The crop at a pose, and its matrix: those of :class:`AlignedFrame`."""
    import cv2

    # Shrunk more than a little, single pixels would be skipped: several times too large first, then averaged.
    side, angle = math.exp(pose[2]), pose[3]
    cos, sin = math.cos(angle), math.sin(angle)
    times = max(1, math.ceil(side / size / SHRINK))
    turn = np.array([[cos, sin], [-sin, cos]]) / side

    def matrix(size: int) -> Array:
        # the centre of the first pixel is at a half, but cv2 calls it 0
        return np.column_stack([size * turn, size * turn @ (0.5 - pose[:2]) + (size - 1) / 2])

    # OpenCV warps four channels in less than half the time of three
    reach = side / 2 * (abs(cos) + abs(sin)) + 2
    left, top = (max(0, int(middle - reach)) for middle in pose[:2])
    right, bottom = (max(0, int(middle + reach) + 1) for middle in pose[:2])
    part = image[top:bottom, left:right]
    if not part.size:  # all of it is beyond the picture
        return np.zeros((size, size, 3), np.uint8), matrix(size)
    warp = matrix(times * size)
    warp[:, 2] += warp[:, :2] @ (left, top)
    part = np.asarray(cv2.cvtColor(part, cv2.COLOR_RGB2RGBA), np.uint8)
    crop: Any = cv2.warpAffine(part, warp, (times * size, times * size), flags=cv2.INTER_LINEAR)
    if times > 1:
        crop = cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA)
    crop = np.ascontiguousarray(crop[..., :3])
    return crop, matrix(size)


def squares(frames: Iterable[RawFrame], size: int) -> Iterator[AlignedFrame]:
    """For pictures that are aligned already: the square in the middle of each, with confidence 1."""
    for frame in frames:
        crop, matrix = crop_at(frame.image, middle_square(frame.image), size)
        yield AlignedFrame(frame.number, frame.time_s, crop, 1.0, no_blendshapes(), matrix)


def uncut(frames: Iterable[RawFrame], size: int) -> Iterator[Present]:
    """The same as :meth:`FaceAligner.everybody` gives them: one person, number 0."""
    for frame in frames:
        (face,) = squares([frame], size)
        yield frame, {0: face}
