"""How well a face is seen, from 0 to 1: by its turn and size, focus, light, the picture's border, and what covers it.

Each is judged on its own, 1 for nothing wrong and a half where it begins to matter; the quality is their product. What
covers a face is told by what is missing, since anything may cover it:

- the landmark network is less sure that there is a face,
- the skin below is of another colour than that above, or the nose, or what is around the eyes,
- there are no edges where the lips are said to be and no lips redder than the skin, or no edges where the lids are.

All of it comes from the picture that is at hand: no network is run for it, and no other frame is looked at. The limits
were set on avatars and their pictures made worse, whose figures docs/columns.md has.
"""

import math
from dataclasses import astuple, dataclass

import numpy as np
import numpy.typing as npt

from aulight.data.faces.head_pose import HeadPose
from aulight.data.faces.pose import Array, Face
from aulight.data.video.types import Frames

SIDE = 96
"""Of the crop that a face is judged on, in pixels."""

EYES_MM = 63.0
"""Between the eyes of an adult."""

_ABOVE = [151, 9, 108, 337, 69, 299, 8, 117, 118, 346, 347, 50, 280, 101, 330, 6, 197, 195, 5]
"""Landmarks on the skin of the forehead, the upper cheeks and the bridge of the nose."""

_BELOW = [164, 167, 393, 165, 391, 199, 175, 200, 18, 201, 421, 205, 425, 206, 426, 192, 416]
"""Of the upper lip, the chin and the lower cheeks."""

_ROUND_MOUTH = _BELOW[:11]
_FOREHEAD_AND_CHEEKS = _ABOVE[:15]
_CHEEKS = [117, 118, 346, 347, 50, 280, 101, 330, 205, 425, 206, 426, 192, 416]
_NOSE = [1, 4, 5, 195]
_ROUND_EYES = [105, 334, 66, 296, 107, 336, 223, 443, 230, 450, 27, 257]
_LIPS = [0, 17, 37, 267, 84, 314, 39, 269, 181, 405]
_MOUTH_LINE = [61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146, 13, 14]
_LIDS = [33, 160, 159, 158, 133, 153, 145, 144, 362, 385, 386, 387, 263, 373, 374, 380]
_SKIN = 468
"""Landmarks before this one are of the skin and the lips, the others of the irises."""

_Numbers = npt.NDArray[np.float32]
_Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Quality:
    """How well a face is seen, each from 0 to 1.

    Attributes:
        turn: Towards the camera.
        size: In pixels.
        focus: Neither out of focus nor blurred by movement.
        light: Neither too dark nor too bright, nor without contrast.
        inside: The picture's border.
        open: Nothing covers it.
    """

    turn: float
    size: float
    focus: float
    light: float
    inside: float
    open: float

    @property
    def all(self) -> float:
        """The product of all."""
        return float(np.prod(astuple(self)))


def quality(face: Face, pose: HeadPose, image: Frames) -> Quality:
    """How well a face is seen.

    Args:
        face: The face.
        pose: Of its head.
        image: ``(H, W, 3)`` uint8 RGB, the picture that it was found on.
    """
    import cv2

    crop, matrix = _crop(image, face.pose)
    smooth = np.asarray(cv2.GaussianBlur(crop, (0, 0), 1.0), np.uint8)
    places = np.rint(face.landmarks @ matrix[:, :2].T + matrix[:, 2]).astype(int).clip(0, SIDE - 1)
    columns, rows = places.T
    seen = smooth[rows, columns].astype(np.float32)
    grey = np.asarray(cv2.cvtColor(smooth, cv2.COLOR_RGB2GRAY), np.float32)
    within = ((face.landmarks >= 0) & (face.landmarks <= image.shape[1::-1])).all(1).mean()
    return Quality(
        turn=_less(math.acos(float(np.clip(pose.turn[2, 2], -1, 1))), math.radians(50)),
        size=_more(EYES_MM / pose.mm, 14),
        focus=_more(_sharpness(grey) - 1, 0.14),
        light=_light(seen[:_SKIN]),
        inside=float(within) ** 4,
        open=_open(face, seen, grey, columns, rows),
    )


def _crop(image: Frames, pose: Array) -> tuple[Frames, Array]:
    """What :func:`aulight.data.faces.crop.crop_at` gives, or nearly: in a fifth of its time."""
    import cv2

    side, angle = math.exp(pose[2]), pose[3]
    cos, sin = math.cos(angle), math.sin(angle)
    turn = np.array([[cos, sin], [-sin, cos]]) * (SIDE / side)
    matrix = np.column_stack([turn, turn @ (0.5 - pose[:2]) + (SIDE - 1) / 2])
    reach, times = side / 2 * (abs(cos) + abs(sin)) + 2, max(1, int(side / SIDE))
    left, top = (max(0, int(middle - reach)) for middle in pose[:2])
    right, bottom = (max(0, int(middle + reach) + 1) for middle in pose[:2])
    part = image[top:bottom, left:right]
    size = part.shape[1] // times, part.shape[0] // times
    if not all(size):  # all of it is beyond the picture
        return np.zeros((SIDE, SIDE, 3), np.uint8), matrix
    small = cv2.resize(part[: size[1] * times, : size[0] * times], size, interpolation=cv2.INTER_AREA)
    corner = np.array([left, top]) + (times - 1) / 2  # the middle of the first of the larger pixels
    warp = np.column_stack([turn * times, turn @ corner + matrix[:, 2]])
    return np.asarray(cv2.warpAffine(small, warp, (SIDE, SIDE), flags=cv2.INTER_LINEAR), np.uint8), matrix


def _less(value: float, half: float) -> float:
    """Near 1 for less than a limit, a half at it."""
    return 1 / (1 + (value / half) ** 4)


def _more(value: float, half: float) -> float:
    """Near 1 for more than a limit, a half at it."""
    return _less(half, max(value, 1e-6))


def _sharpness(grey: _Numbers) -> float:
    """How much steeper the crop is than a blurred copy of it, across or along, whichever is less; 1 where it is not."""
    import cv2

    inner = slice(16, -10)
    blurred: _Numbers = np.asarray(cv2.GaussianBlur(grey, (0, 0), 2.0), np.float32)
    ratios = []
    for axis in (0, 1):
        steep, less = (np.abs(np.diff(of[inner, inner], axis=axis)).sum() for of in (grey, blurred))
        ratios.append(float(steep) / max(float(less), 1e-6))
    return min(ratios)


def _light(seen: _Numbers) -> float:
    """Of the colours ``(468, 3)`` of a face, 0..255."""
    grey = np.sort(seen @ np.full(3, 1 / 3, np.float32))
    low, high = grey[len(grey) // 10], grey[-len(grey) // 10]
    burnt = float((seen > 245).all(1).mean())
    return _more(float(grey.mean()), 30) / (1 + (burnt / 0.3) ** 2) * _more(float(high - low), 8)


def _median(values: _Numbers) -> _Numbers:
    """Of few values, along the first axis: quicker than numpy's own."""
    return np.asarray(np.sort(values, axis=0)[len(values) // 2], np.float32)


def _open(face: Face, seen: _Numbers, grey: _Numbers, columns: _Places, rows: _Places) -> float:
    """Whether nothing covers a face with these colours ``(478, 3)`` of landmarks, in these places of the grey crop."""
    import cv2

    logs = np.log(seen + 8)  # so that light and shade are the same colour, and dark noise none
    colours = logs[:, ::2] - logs[:, 1:2]  # red and blue against green

    def middle(points: list[int]) -> _Numbers:
        return _median(colours[points])

    def apart(some: list[int], others: list[int]) -> float:
        return float(np.hypot(*(middle(some) - middle(others))))

    across, along = (cv2.Sobel(grey, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    steep = np.hypot(across[rows, columns], along[rows, columns])
    edges = np.asarray(steep / max(float(grey.mean()), 8.0), np.float32)
    redder = float((middle(_LIPS) - middle(_ROUND_MOUTH))[0])
    fine = (
        1 / (1 + math.exp(min(50.0, (11 - face.logit) / 1.2))),
        _less(apart(_BELOW, _ABOVE), 0.25),
        _less(apart(_NOSE, _FOREHEAD_AND_CHEEKS), 0.2),
        _less(apart(_ROUND_EYES, _CHEEKS), 0.25),
        _more(float(_median(edges[_MOUTH_LINE])) + 8 * min(max(redder, 0.0), 0.1), 0.35),
        _more(float(_median(edges[_LIDS])), 0.15),
    )
    return float(np.prod(fine))
