"""From what the detector says of a picture to faces, and to the turned squares in which the landmarks are looked for.

The numbers are those with which the networks were trained and published: https://github.com/google-ai-edge/mediapipe,
``tasks/cc/vision/face_detector/face_detector_graph.cc`` and ``face_landmarker/face_landmarks_detector_graph.cc``.
Places are in pixels from the left upper corner of the picture.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aulight.data.faces.networks import DETECTOR_SIDE, Tensor
from aulight.data.faces.pose import Array
from aulight.data.video.types import Frames

PROBABLE = 0.5
"""Probability from which something is a face, for the detector and for the landmarks alike."""

SAME = 0.5
"""Intersection over union above which two boxes are of one face, and two regions as well."""

LARGER = 1.5
"""Side of the square in which landmarks are looked for, in sides of the box around the face."""

WIDER = 1.5
"""Side of the window in which a face is confirmed, in sides of the square in which its landmarks are looked for."""

CONFIRMS = 0.3
"""Intersection over union of the detector's box and that of landmarks, from which on the two are of one face."""

NONE = -2.0
"""Logit that stands for all that is less."""

_EYES, _EYE_CORNERS = (0, 1), (33, 263)
"""Points whose line is level on an upright face: of the detector, and of the landmarks."""

_STRIDES = (8, 16, 16, 16)
"""Pixels between the anchors of each layer; there are two in every place."""


@dataclass(frozen=True)
class Region:
    """A turned rectangle on a picture.

    Attributes:
        x: Of its middle, as ``y``.
        y: Downwards.
        width: Along its upper side.
        height: Of the other side.
        angle: Radians, clockwise as one sees it.
    """

    x: float
    y: float
    width: float
    height: float
    angle: float

    def matrix(self, side: int) -> Array:
        """From places on the region, cut out ``side`` pixels wide and high, to places on the picture: ``(2, 3)``."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        turn = np.array([[cos, -sin], [sin, cos]]) * (self.width / side, self.height / side)
        return np.column_stack([turn, (self.x, self.y) - turn @ (side / 2, side / 2)])

    def cut(self, image: Frames, side: int, goes_on: bool) -> Frames:
        """The region upright, ``(side, side, 3)``.

        Args:
            image: ``(H, W, 3)``.
            side: Pixels of what is cut out.
            goes_on: Whether the picture's border is repeated beyond it; else all is black there.
        """
        import cv2

        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        border = cv2.BORDER_REPLICATE if goes_on else cv2.BORDER_CONSTANT
        cut = cv2.warpAffine(image, self.matrix(side), (side, side), flags=flags, borderMode=border)
        return np.asarray(cut, np.uint8)

    def within(self, window: "Region", side: int) -> "Region":
        """The same place on a picture, of a region that lies on a window of it, cut out ``side`` pixels wide."""
        scale, matrix = window.width / side, window.matrix(side)
        x, y = (matrix[:, :2] @ (self.x, self.y) + matrix[:, 2]).tolist()
        return Region(x, y, scale * self.width, scale * self.height, self.angle + window.angle)


def widened(region: Region) -> Region:
    """A window around the place of a face, in which the face is as large as the detector likes it."""
    return Region(region.x, region.y, WIDER * region.width, WIDER * region.height, region.angle)


def probability(logit: Tensor) -> Array:
    """What a network means by its last number."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logit, -100, 100).astype(np.float64))))


def whole(image: Frames) -> Region:
    """The square around a picture ``(H, W, 3)``."""
    height, width = image.shape[:2]
    side = float(max(height, width))
    return Region(width / 2, height / 2, side, side, 0.0)


@dataclass(frozen=True)
class Detections:
    """What the detector takes for faces, the most probable first.

    Attributes:
        boxes: Left, top, right and bottom: ``(count, 4)``.
        points: The eyes, the nose, the mouth and the ears: ``(count, 6, 2)``.
    """

    boxes: Array
    points: Array

    def regions(self) -> list[Region]:
        """Where the landmarks of each are to be looked for."""
        return [_around(box, points[list(_EYES)]) for box, points in zip(self.boxes, self.points, strict=True)]

    def is_around(self, landmarks: Array) -> bool:
        """Whether one of them is where landmarks ``(478, 2)`` of a face lie."""
        return bool(_around_landmarks(self.boxes, landmarks).any())


def _around_landmarks(boxes: Array, landmarks: Array) -> npt.NDArray[np.bool_]:
    """Which of boxes ``(count, 4)`` are of the face whose landmarks lie there."""
    low, high = landmarks.min(0), landmarks.max(0)
    sides = np.minimum(boxes[:, 2:], high) - np.maximum(boxes[:, :2], low)
    common = np.maximum(sides, 0).prod(1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1) + (high - low).prod()
    around: npt.NDArray[np.bool_] = common > CONFIRMS * (areas - common)
    return around


def evidence(values: Tensor, logits: Tensor, landmarks: Array) -> float:
    """How sure the detector is that a face is where landmarks lie: the highest logit, :data:`NONE` at least.

    Args:
        values: As of :func:`found`, as the next.
        logits: As there.
        landmarks: ``(478, 2)`` in pixels of what the detector was shown.
    """
    middle, sides = values[:, :4].astype(np.float64).reshape(-1, 2, 2).swapaxes(0, 1)
    middle = middle + _ANCHORS
    around = _around_landmarks(np.concatenate([middle - sides / 2, middle + sides / 2], 1), landmarks)
    return float(logits[around].max(initial=NONE))


def found(values: Tensor, logits: Tensor, shown: Region) -> Detections:
    """The faces that the detector has found.

    Args:
        values: Of every anchor the middle and the sides of a box, and six points, in pixels from the anchor:
            ``(896, 16)``.
        logits: Of there being a face, ``(896,)``.
        shown: What it was shown, upright.
    """
    scores = probability(logits)
    likely = np.flatnonzero((scores >= PROBABLE) & (values[:, 2:4] >= 0).all(1))
    likely = likely[np.argsort(-scores[likely], kind="stable")]
    middle, sides, *points = values[likely].astype(np.float64).reshape(-1, 8, 2).swapaxes(0, 1)
    places = np.stack([middle - sides / 2, middle + sides / 2, *points], 1) + _ANCHORS[likely, None]
    places = _merged(places, scores[likely]) * (shown.width / DETECTOR_SIDE)
    places += shown.x - shown.width / 2, shown.y - shown.height / 2
    return Detections(places[:, :2].reshape(-1, 4), places[:, 2:])


def region_of(landmarks: Array) -> Region:
    """Where a face with these landmarks ``(478, 2)`` is to be looked for in the next picture."""
    low, high = landmarks.min(0), landmarks.max(0)
    region = _around(np.concatenate([low, high]), landmarks[list(_EYE_CORNERS)])
    side = max(region.width, region.height)
    return Region(region.x, region.y, side, side, region.angle)


def are_same(one: Region, other: Region) -> bool:
    """Whether two regions overlap so far that they are of one face; judged as if they were not turned."""
    common = _common(one.x, one.width, other.x, other.width) * _common(one.y, one.height, other.y, other.height)
    return common > SAME * (one.width * one.height + other.width * other.height - common)


def _common(middle: float, length: float, other_middle: float, other_length: float) -> float:
    """How much of two lengths lies in both."""
    ends = middle + length / 2, other_middle + other_length / 2
    return max(0.0, min(ends) - max(ends[0] - length, ends[1] - other_length))


def _around(box: Array, eyes: Array) -> Region:
    left, top, right, bottom = box.tolist()
    (x, y), (other_x, other_y) = eyes.tolist()
    angle = math.atan2(other_y - y, other_x - x)
    return Region((left + right) / 2, (top + bottom) / 2, LARGER * (right - left), LARGER * (bottom - top), angle)


def _anchors() -> npt.NDArray[np.float64]:
    """The middles that boxes are told from, in pixels of the detector's picture: ``(896, 2)``."""
    anchors = []
    for stride in sorted(set(_STRIDES)):
        places = (np.arange(DETECTOR_SIDE // stride) + 0.5) * stride
        y, x = np.meshgrid(places, places, indexing="ij")
        anchors.append(np.repeat(np.stack([x.ravel(), y.ravel()], 1), 2 * _STRIDES.count(stride), 0))
    return np.concatenate(anchors)


_ANCHORS = _anchors()


def _merged(places: Array, scores: Array) -> Array:
    """One face from the most probable box and all that overlap it, and so on: their mean, weighted by probability.

    The way of BlazeFace (its section 3.4): steadier over time than to keep the most probable one alone.

    Args:
        places: Two corners of each box, and its points: ``(count, 8, 2)``, the most probable first.
        scores: How probable, ``(count,)``.
    """
    low, high = places[:, 0], places[:, 1]
    areas = (high - low).prod(1)
    faces, rest = [], np.arange(len(places))
    while len(rest):
        first = rest[0]
        common = np.maximum(np.minimum(high[rest], high[first]) - np.maximum(low[rest], low[first]), 0).prod(1)
        same = common > SAME * (areas[rest] + areas[first] - common)
        same[0] = True  # also where it has no extent
        faces.append(np.average(places[rest[same]], axis=0, weights=scores[rest[same]]))
        rest = rest[~same]
    return np.array(faces).reshape(-1, 8, 2)
