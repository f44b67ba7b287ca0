"""One real face, put into films and moved in known ways."""

from collections.abc import Callable, Iterable, Iterator

import cv2
import numpy as np
import numpy.typing as npt
from skimage import data

from aulight.data.faces.crop import AlignedFrame
from aulight.data.faces.pose import EYE_DISTANCE, EYE_HEIGHT
from aulight.data.video.types import Frames, RawFrame

Array = npt.NDArray[np.float64]
ASTRONAUT: Frames = data.astronaut()  # type: ignore[no-untyped-call]
SIZE = 128
SETTINGS = (SIZE, True, 4, 0.1)
"""Size, blendshapes, max_faces, smooth_s."""
LENGTH = 80
FPS = 25.0
PUPILS = np.array([[204.0, 101.2], [246.4, 103.4]])
"""Of the astronaut, measured by hand."""
NOSE = np.array([225.0, 120.0])
TARGET = SIZE * np.array([[0.5 - EYE_DISTANCE / 2, EYE_HEIGHT], [0.5 + EYE_DISTANCE / 2, EYE_HEIGHT]]) - 0.5


def placed(scale: float, angle: float, nose: tuple[float, float]) -> Array:
    """The matrix ``(2, 3)`` that puts the astronaut's nose somewhere, larger or smaller, turned."""
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.column_stack([turn, np.array(nose) - turn @ NOSE])


def moving(time_s: float) -> Array:
    return placed(
        0.9 * (1 + 0.1 * np.sin(1.5 * time_s)),
        0.2 * np.sin(1.9 * time_s),
        (320 + 50 * np.sin(3 * time_s), 190 + 10 * np.cos(1.7 * time_s)),
    )


def painted(
    frame: Frames, matrix: Array, left: int = 0, right: int | None = None, picture: Frames | None = None
) -> None:
    """Paints the astronaut into columns of a frame."""
    picture = ASTRONAUT if picture is None else picture
    size = frame.shape[1::-1]
    warped = cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    frame[:, left:right] = warped[:, left:right]


def film(count: int, motion: Callable[[float], Array] = moving) -> Iterator[RawFrame]:
    grain = np.random.default_rng(0).integers(0, 12, (360, 640, 3), dtype=np.uint8)
    for number in range(count):
        frame = np.zeros((360, 640, 3), np.uint8)
        painted(frame, motion(number / FPS))
        yield RawFrame(number, number / FPS, cv2.add(frame, np.roll(grain, 37 * number, (0, 1))).astype(np.uint8))


def apply(matrix: Array, points: Array) -> Array:
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])


def pupils(frames: list[AlignedFrame], motion: Callable[[float], Array] = moving) -> Array:
    """Where the astronaut's pupils are in each crop ``(frames, 2, 2)``."""
    return np.stack([apply(frame.matrix, apply(motion(frame.time_s), PUPILS)) for frame in frames])


COVERED = range(40, 65)


def couple(covered: int, during: range = COVERED, count: int = 90) -> Iterator[RawFrame]:
    """Two people side by side, moving each in their own way, the left one larger; one of them is hidden for a while."""
    mirrored = np.ascontiguousarray(ASTRONAUT[:, ::-1, ::-1])
    for number in range(count):
        time_s = number / FPS
        frame = np.zeros((360, 640, 3), np.uint8)
        painted(frame, placed(1.15, 0.1 * np.sin(2 * time_s), (160 + 30 * np.sin(2.5 * time_s), 190)), 0, 320)
        right = placed(1.05, 0.1 * np.sin(1.6 * time_s), (480, 180 + 20 * np.sin(3 * time_s)))
        right[:, 2] += right[:, :2] @ (2 * NOSE[0] - 511, 0)  # mirrored, the nose is elsewhere
        painted(frame, right, 320, 640, mirrored)
        if number in during:
            frame[:, 320 * covered : 320 * covered + 320] = 90
        yield RawFrame(number, time_s, frame)


FACE = 89.5
"""Width of the astronaut's face in pixels."""


def distant(
    count: int, width: int, height: int, share: Callable[[float], float], left: int = 0, right: int | None = None
) -> Iterator[tuple[Frames, Array]]:
    """Pictures of the astronaut walking about, the face as wide as this share of the longer side, in some columns."""
    grain = np.random.default_rng(0).integers(0, 12, (height, width, 3), dtype=np.uint8)
    centre = (left + (right or width)) / 2
    for number in range(count):
        time_s = number / FPS
        nose = centre + 0.05 * width * np.sin(2 * time_s), height * (0.45 + 0.02 * np.cos(1.7 * time_s))
        matrix = placed(share(time_s) * width / FACE, 0.1 * np.sin(1.9 * time_s), nose)
        image = np.full((height, width, 3), 90, np.uint8)
        painted(image, matrix, left, right)
        yield np.asarray(cv2.add(image, grain), np.uint8), matrix


def as_film(pictures: Iterable[Frames]) -> list[RawFrame]:
    return [RawFrame(number, number / FPS, image) for number, image in enumerate(pictures)]
