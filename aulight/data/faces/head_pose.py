"""Where a head is and how it is turned, from the landmarks of its face, in the frame of reference of OpenFace.

The landmarks and their depths are laid on MediaPipe's canonical face by the similarity transform that errs least, as
MediaPipe's own face geometry does it, with the points and weights of ``geometry_pipeline_metadata_landmarks.pbtxt``.
How far away the head is follows from its size on the picture, if the camera's focal length is known; it is taken for
the one that OpenFace takes where none is given. Nothing is known of a person's size either: all are as large as the
canonical face.
"""

import math
from dataclasses import dataclass

import numpy as np

from aulight.data.faces.pose import Array, Face

_MIDDLE = {
    4: (0.0709, 0.0, -0.463, 7.587), 6: (0.0321, 0.0, 2.473, 5.789), 10: (0.0084, 0.0, 8.262, 4.482),
}  # fmt: skip
"""Weight and place of landmarks between left and right: cm, x to the right of the picture, y up, z to the camera."""

_SIDES = {
    33: (263, 0.0587, -4.446, 2.664, 3.173), 54: (284, 0.0077, -6.279, 6.615, 1.426),
    67: (297, 0.0091, -3.524, 8.006, 3.729), 117: (346, 0.0098, -5.259, 0.946, 2.974),
    119: (348, 0.0146, -3.301, 0.862, 3.873), 121: (350, 0.0186, -1.821, 1.468, 4.224),
    127: (356, 0.0052, -7.743, 2.365, -2.005), 129: (358, 0.1206, -1.334, -0.284, 6.097),
    132: (361, 0.0056, -7.271, -2.891, -2.252), 133: (362, 0.0533, -1.856, 2.585, 3.758),
    136: (365, 0.0669, -5.085, -7.179, 0.715), 143: (372, 0.0148, -6.408, 2.236, 1.560),
    147: (376, 0.0143, -6.235, -1.944, 1.663), 198: (420, 0.0255, -1.247, 0.230, 5.681),
    205: (425, 0.0473, -3.833, -1.537, 4.138),
}  # fmt: skip
"""Of landmarks on the picture's left the one on its right, and weight and place as above."""

LEVEL = math.radians(8)
"""How far the canonical face looks up where avatars that look straight ahead have their points: it is turned down."""

_NUMBERS = [*_MIDDLE, *_SIDES, *(other for other, *_ in _SIDES.values())]
_UP = np.array([[1, 0, 0], [0, math.cos(LEVEL), math.sin(LEVEL)], [0, -math.sin(LEVEL), math.cos(LEVEL)]])
_PLACES = (
    np.array(
        [
            *(place for _, *place in _MIDDLE.values()),
            *(place for _, _, *place in _SIDES.values()),
            *((-x, y, z) for _, _, x, y, z in _SIDES.values()),
        ]
    )
    * (10, -10, -10)
    @ _UP
)  # to mm, y down and z away from the camera
_WEIGHTS = np.array([weight for weight, *_ in _MIDDLE.values()] + 2 * [weight for _, weight, *_ in _SIDES.values()])
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()
_SPREAD = _PLACES - _WEIGHTS @ _PLACES
_SQUARES = float(_WEIGHTS @ (_SPREAD**2).sum(1))


@dataclass(frozen=True)
class HeadPose:
    """How a head is turned, and where it is.

    x is to the right of the picture, y down, z away from the camera.

    Attributes:
        turn: ``(3, 3)`` rotation from a head that faces the camera.
        mm: Millimetres of the face that a pixel shows.
        middle: ``(3,)`` the face's middle, beside the nose and inside it: pixels from the left upper corner of the
            picture, and depth as :class:`Face` has it.
    """

    turn: Array
    mm: float
    middle: Array

    @property
    def angles(self) -> tuple[float, float, float]:
        """``pose_Rx``, ``pose_Ry`` and ``pose_Rz`` of OpenFace, radians: the rotation is Rx Ry Rz.

        Positive when the head looks down, turns to the picture's left (its own right), leans to the picture's right.
        """
        turn = self.turn
        x, z = np.arctan2(-turn[1, 2], turn[2, 2]), np.arctan2(-turn[0, 1], turn[0, 0])
        return float(x), float(np.arcsin(np.clip(turn[0, 2], -1, 1))), float(z)

    def place(self, width: int, height: int) -> tuple[float, float, float]:
        """``pose_Tx``, ``pose_Ty`` and ``pose_Tz`` of OpenFace: where the face's middle is, mm from the camera.

        Args:
            width: Of the picture, in pixels.
            height: Likewise.
        """
        x, y = (self.middle[:2] - (width / 2, height / 2)) * self.mm
        return float(x), float(y), focal_length(width, height) * self.mm


def focal_length(width: int, height: int) -> float:
    """What OpenFace takes for a camera's focal length where it is not given, in pixels."""
    return 500 * (width / 640 + height / 480) / 2


def head_pose(face: Face) -> HeadPose:
    """How a head is turned, and where it is.

    Args:
        face: With the landmarks and their depths.
    """
    points = np.column_stack([face.landmarks[_NUMBERS], face.depth[_NUMBERS]])
    centre = _WEIGHTS @ points
    left, _, right = np.linalg.svd(((points - centre) * _WEIGHTS[:, None]).T @ _SPREAD)
    turn = left @ np.diag([1, 1, np.sign(np.linalg.det(left @ right))]) @ right
    along = float(_WEIGHTS @ ((points - centre) @ turn * _SPREAD).sum(1))
    return HeadPose(turn, _SQUARES / max(along, 1e-9), centre)
