"""Faces found in pictures by MediaPipe's landmarker."""

import math
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from aulight.data.faces.pose import Array, Face, displacement
from aulight.data.video.types import Frames

SAME, NEAR = 0.25, 0.75
"""Displacement up to which two faces of one picture are one, found twice; and up to which two of following pictures are
of one person: the landmarker may err by half the size of a face that it hardly finds."""

SMALL = 0.3
"""Crop side over the picture's longer side below which a face may be too small to be found in the whole picture:
that looks for faces on 128 x 128 pixels, and finds them down to 0.2."""

WINDOW = 3.0
"""Crop sides: the window around a small face."""

MISSED = 100
"""Frames in which a small face that is lost is looked for where it was, each time; then it is only searched for."""

ALONE, LOOK = 25, 8
"""Frames with one face and no more after which only that one is tracked, since looking for others in every frame costs
time and makes the landmarks tremble; and every how many frames there is a look for others then."""

TICK_MS = 100_000_000
"""From one frame to the next, as the landmarker is told. Tracking one face it smooths landmarks over time, with a lag;
over a day there is nothing to smooth."""

LEAST = 256
"""Pixels of the smallest windows that a picture is searched through: faces narrower than 32 pixels are no use."""

Window = tuple[int, int, int]  # left, top and side, in pixels


def around(pose: Array, image: Frames) -> Window:
    """The window around a small face, inside the picture."""
    height, width = image.shape[:2]
    side = min(round(WINDOW * math.exp(pose[2])), height, width)
    left, top = (round(middle - side / 2) for middle in pose[:2])
    return min(max(left, 0), width - side), min(max(top, 0), height - side), side


def everywhere(image: Frames) -> list[Window]:
    """Squares all over a picture: of its shorter side and of half of it, overlapping by a third."""
    short = min(image.shape[:2])
    windows = []
    for side in (short, short // 2):
        if side >= LEAST:
            tops, lefts = (
                np.linspace(0, room, math.ceil(room / (side * 2 / 3)) + 1).astype(int).tolist()
                for room in (image.shape[0] - side, image.shape[1] - side)
            )
            windows += [(left, top, side) for top in tops for left in lefts]
    return windows


def known_pose(pose: Array, faces: list[Face], limit: float) -> bool:
    """Whether one of the faces lies within ``limit`` (see :func:`displacement`) of a pose."""
    return any(displacement(pose, face.pose) <= limit for face in faces)


def add_faces(faces: list[Face], more: Iterable[Face], most: int) -> None:
    """Adds faces that are not there yet, up to a number."""
    for face in more:
        if len(faces) < most and not known_pose(face.pose, faces, SAME):
            faces.append(face)


def picture(image: Frames) -> Any:
    """A picture ``(H, W, 3)`` uint8 RGB as mediapipe takes it."""
    import mediapipe

    return mediapipe.Image(mediapipe.ImageFormat.SRGB, np.ascontiguousarray(image))


@contextmanager
def silence() -> Iterator[None]:
    """Keeps from the terminal what the libraries under mediapipe say while they start."""
    sys.stderr.flush()
    terminal = os.dup(2)
    try:
        with Path(os.devnull).open("w") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)
