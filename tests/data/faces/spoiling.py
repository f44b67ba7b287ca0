"""Pictures of a face made worse in known ways: covered, blurred, too dark, too small, cut off by the border."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from aulight.data.video.types import Frames

Array = npt.NDArray[np.float64]
Spoil = Callable[[Frames, Array], Frames]
"""Gives the picture ``(H, W, 3)`` of a face with these landmarks ``(478, 2)`` made worse."""

FACE_MASK = (234, 227, 50, 196, 6, 419, 280, 447, 454, 361, 288, 397, 365, 379, 152, 150, 136, 172, 58, 132)
"""Landmarks around what a mask for mouth and nose covers."""
CHEEKS = (50, 101, 280, 330)


def eyes(landmarks: Array) -> tuple[Array, float]:
    """The middle between the eyes, and their distance."""
    right, left = landmarks[[33, 133]].mean(0), landmarks[[362, 263]].mean(0)
    return (right + left) / 2, float(np.hypot(*(left - right)))


def skin(image: Frames, landmarks: Array) -> Array:
    """The colour of the cheeks: ``(3,)``."""
    places = landmarks[list(CHEEKS)].round().astype(int).clip(0, np.array(image.shape[1::-1]) - 1)
    return np.asarray(image[places[:, 1], places[:, 0]].mean(0), np.float64)


def _filled(image: Frames, points: Array, colour: Array, grain: float, folds: float, seed: int) -> Frames:
    """A polygon painted over a picture, with soft edges, grain and folds."""
    rng, (height, width) = np.random.default_rng(seed), image.shape[:2]
    cover: npt.NDArray[Any] = np.zeros((height, width), np.float32)
    cv2.fillPoly(cover, [np.round(points).astype(np.int32)], 1.0)
    cover = cv2.GaussianBlur(cover, (0, 0), 0.8)[..., None]
    y = np.arange(height)[:, None, None]
    wave = 1 + folds * np.sin(y / 2.6 + 2 * np.pi * rng.random())
    shade = 1 + 0.15 * (np.arange(width)[None, :, None] - points[:, 0].mean()) / max(np.ptp(points[:, 0]), 1)
    paint = colour * wave * shade + rng.normal(0, grain, (height, width, 1))
    return np.asarray(np.clip(image * (1 - cover) + paint * cover, 0, 255), np.uint8)


def masked(colour: tuple[int, int, int] | None, folds: float = 0.04) -> Spoil:
    """A mask over mouth and nose; ``None``: of the colour of the skin."""

    def spoil(image: Frames, landmarks: Array) -> Frames:
        paint = skin(image, landmarks) * 0.95 if colour is None else np.array(colour, np.float64)
        return _filled(image, landmarks[list(FACE_MASK)], paint, 3, folds, 0)

    return spoil


def _hand(image: Frames, middle: Array, reach: float, colour: Array) -> Frames:
    """Four fingers side by side, of different lengths, with dark lines between them."""
    out = np.ascontiguousarray(image)
    for number in range(4):
        left, right = middle[0] - 1.25 * reach, middle[0] + (1.05 - 0.2 * abs(number - 1.2)) * reach
        up = middle[1] + (number - 1.5) * 0.42 * reach
        down = up + 0.42 * reach
        tip = (right + 0.12 * reach, (up + down) / 2)
        finger = np.array([(left, up), (right, up + 0.08 * reach), tip, (right, down), (left, down)])
        out = _filled(out, finger, colour * (0.92 + 0.04 * number), 3, 0.0, number)
        ends = ((round(left), round(down)), (round(right), round(down)))
        cv2.line(out, *ends, (colour * 0.55).tolist(), max(1, round(reach / 18)), cv2.LINE_AA)
    return out


def hand(over: str, like_skin: bool = True) -> Spoil:
    """A hand, or a grey glove, over ``mouth`` or ``eyes``."""

    def spoil(image: Frames, landmarks: Array) -> Frames:
        middle, distance = eyes(landmarks)
        if over == "mouth":
            middle = landmarks[[13, 14]].mean(0)
        colour = skin(image, landmarks) if like_skin else np.array([90.0, 90, 95])
        return _hand(image, middle, distance * 0.95, colour)

    return spoil


def bar(over: str, colour: tuple[int, int, int]) -> Spoil:
    """A plain bar over ``mouth`` or ``eyes``."""

    def spoil(image: Frames, landmarks: Array) -> Frames:
        middle, distance = eyes(landmarks)
        if over == "mouth":
            middle = landmarks[[13, 14]].mean(0)
        wide, high = 1.1 * distance, (0.4 if over == "eyes" else 0.5) * distance
        corners = middle + np.array([[-wide, -high], [wide, -high], [wide, high], [-wide, high]])
        return _filled(image, corners, np.array(colour, np.float64), 2, 0.0, 1)

    return spoil


def blurred(share: float) -> Spoil:
    """Out of focus: the spread is this share of the distance between the eyes."""
    return lambda image, landmarks: np.asarray(cv2.GaussianBlur(image, (0, 0), share * eyes(landmarks)[1]), np.uint8)


def moved(share: float) -> Spoil:
    """Blurred by a movement to the side by this share of the distance between the eyes."""

    def spoil(image: Frames, landmarks: Array) -> Frames:
        length = max(3, round(share * eyes(landmarks)[1]))
        return np.asarray(cv2.filter2D(image, -1, np.full((1, length), 1 / length)), np.uint8)

    return spoil


def lit(times: float) -> Spoil:
    """So many times as much light."""
    return lambda image, _: np.asarray(np.clip(image * float(times), 0, 255), np.uint8)


def shrunk(pixels: float) -> Spoil:
    """The picture made so small that there are so many pixels between the eyes."""

    def spoil(image: Frames, landmarks: Array) -> Frames:
        scale = pixels / eyes(landmarks)[1]
        return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)

    return spoil


def cut_off(share: float, below: bool = False) -> Spoil:
    """The border runs through the face, and this share of its width, or height, is beyond."""

    def spoil(image: Frames, landmarks: Array) -> Frames:
        low, high = landmarks.min(0), landmarks.max(0)
        axis = 1 if below else 0
        at = int(high[axis] - share * (high - low)[axis])
        return np.ascontiguousarray(image[:at] if below else image[:, :at])

    return spoil


SPOILED: dict[str, dict[str, Spoil]] = {
    "mask, blue": {"": masked((120, 160, 200))},
    "mask, black": {"": masked((25, 25, 28))},
    "mask, white": {"": masked((225, 225, 222))},
    "mask, skin": {"": masked(None)},
    "hand on mouth": {"": hand("mouth")},
    "glove on mouth": {"": hand("mouth", like_skin=False)},
    "hand on eyes": {"": hand("eyes")},
    "bar on eyes": {"": bar("eyes", (20, 20, 20))},
    "bar on mouth": {"": bar("mouth", (200, 40, 40))},
    "out of focus": {"0.08": blurred(0.08), "0.15": blurred(0.15), "0.25": blurred(0.25)},
    "moving": {"0.2": moved(0.2), "0.4": moved(0.4), "0.6": moved(0.6)},
    "dark": {"1/4": lit(0.25), "1/8": lit(0.125), "1/16": lit(0.0625)},
    "bright": {"2": lit(2), "4": lit(4), "8": lit(8)},
    "small": {"24 px": shrunk(24), "16 px": shrunk(16), "10 px": shrunk(10)},
    "cut at the side": {"0.2": cut_off(0.2), "0.35": cut_off(0.35), "0.5": cut_off(0.5)},
    "cut below": {"0.15": cut_off(0.15, below=True), "0.3": cut_off(0.3, below=True), "0.4": cut_off(0.4, below=True)},
}
"""Ways to make a picture worse, and of each how much, the least first."""
