"""What a face is on a picture, and its pose: the square that is cut out, from landmarks that expressions hardly move.

A pose lays the landmarks on one template, so that the eyes of all faces come to lie in the same places.
"""

import cmath
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aulight.data.video.types import Frames, RawFrame

Array = npt.NDArray[np.float64]

BLENDSHAPES = (
    "_neutral", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff",
    "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight",
    "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight",
    "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen", "jawRight",
    "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel",
    "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker",
    "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft",
    "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight",
    "noseSneerLeft", "noseSneerRight",
)  # fmt: skip
"""The scores of expressions that the landmarker gives, in its order."""

_STABLE = {
    33: (-4.446, 2.664), 133: (-1.856, 2.585), 362: (1.856, 2.585), 263: (4.446, 2.664),  # corners of the eyes
    168: (0.0, 3.271), 6: (0.0, 2.473), 197: (0.0, 1.728), 195: (0.0, 1.059),  # bridge of the nose
    98: (-1.406, -1.714), 2: (0.0, -2.089), 327: (1.406, -1.714),  # its base
}  # fmt: skip
"""Landmarks that expressions hardly move, in cm on MediaPipe's canonical face: x to the right of the picture, y up."""

EYE_DISTANCE, EYE_HEIGHT = 0.26, 0.33
"""Of the crop: between the middles of the eyes, and from the top. An adult's chin is then at 0.83, at 0.99 with the
jaw fully open (40 mm), and the brows at 0.2."""

_NUMBERS = list(_STABLE)
_EYES = [np.mean([_STABLE[inner], _STABLE[outer]], 0) for inner, outer in ((133, 33), (362, 263))]
_TEMPLATE = np.array([complex(x, _EYES[0][1] - y) for x, y in _STABLE.values()])
_TEMPLATE = _TEMPLATE / (_EYES[1][0] - _EYES[0][0]) * EYE_DISTANCE + complex(0.5, EYE_HEIGHT)
_SPREAD = _TEMPLATE - _TEMPLATE.mean()
_TURN = _SPREAD.conj() / np.vdot(_SPREAD, _SPREAD)
_CENTRE = 1 / len(_TEMPLATE) + _TURN * (complex(0.5, 0.5) - _TEMPLATE.mean())
"""Of landmarks as complex numbers: what gives size and turn of the crop, and its middle."""


def template() -> dict[int, tuple[float, float]]:
    """Where the stable landmarks of an average face come to lie in a crop of side 1: number to ``(x, y)``."""
    return {number: (place.real, place.imag) for number, place in zip(_NUMBERS, _TEMPLATE, strict=True)}


@dataclass(frozen=True)
class Face:
    """One face in one raw frame.

    Attributes:
        landmarks: ``(478, 2)`` float64, in pixels from the left upper corner of the picture.
        depth: ``(478,)`` float64, how far each lies behind the face's middle, in pixels like those of the picture.
        logit: Of there being a face, by the network that found the landmarks.
        blendshapes: ``(52,)`` float32, NaN when not wanted.
        pose: The square of the crop on the picture: x and y of its middle, log of its side, angle (radians, clockwise).
    """

    landmarks: Array
    depth: Array
    logit: float
    blendshapes: npt.NDArray[np.float32]
    pose: Array


Seen = tuple[RawFrame, dict[int, Face]]
"""A frame, and the faces in it by the numbers of their people."""


def pose_of(landmarks: Array) -> Array:
    """The square that lays the stable landmarks on the template, by least squares: ``pose`` of :class:`Face`.

    Args:
        landmarks: ``(478, 2)``.
    """
    # A similarity transform of the plane is z -> a z + b with complex a and b.
    found = landmarks[_NUMBERS].view(np.complex128)[:, 0]
    a = complex(_TURN @ found)
    centre = complex(_CENTRE @ found)
    return np.array([centre.real, centre.imag, math.log(abs(a)), cmath.phase(a)])


def displacement(one: Array, other: Array) -> float:
    """How far apart two poses are, in crop sides; a change of size by a half counts as one."""
    x, y, size, _ = one.tolist()
    other_x, other_y, other_size, _ = other.tolist()
    side = math.exp((size + other_size) / 2)
    return math.hypot((x - other_x) / side, (y - other_y) / side, (size - other_size) / math.log(1.5))


def scaled(pose: Array, scale: float) -> Array:
    """A pose on the picture made larger."""
    x, y, size, angle = pose.tolist()
    return np.array([x * scale, y * scale, size + math.log(scale), angle])


def middle_square(image: Frames) -> Array:
    """The largest square in the middle of a picture, as a pose."""
    height, width = image.shape[:2]
    return np.array([width / 2, height / 2, np.log(min(height, width)), 0.0])


def no_blendshapes() -> npt.NDArray[np.float32]:
    """The blendshapes of a frame without a face: ``(52,)`` float32, NaN."""
    return np.full(len(BLENDSHAPES), np.nan, np.float32)
