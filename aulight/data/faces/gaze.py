"""Where somebody looks, from the middles of the irises: in OpenFace's words.

Each eye is taken for a ball whose middle lies behind the middle between the corners of the eye, as the head is turned;
it looks from there to the middle of the iris. The numbers below are those that fit avatars best, and nearly those of a
usual adult; no one's own are known.
"""

import numpy as np

from aulight.data.faces.head_pose import HeadPose
from aulight.data.faces.pose import Array, Face

IRISES = {468: (33, 133), 473: (362, 263)}
"""The middle of each iris, and the corners of its eye: that on the left of the picture first."""

RADIUS = 12.0
"""Millimetres from the middle of the ball to the iris."""

BALL = (0.0, -1.5, 8.0)
"""The middle of the ball, from the middle between the corners of its eye: mm to the right, down and inwards."""


def gaze(face: Face, pose: HeadPose) -> Array:
    """Where each eye looks: ``(2, 3)`` unit vectors, x to the right of the picture, y down, z away from the camera.

    Args:
        face: With the landmarks.
        pose: Of its head.
    """
    behind = (pose.turn @ BALL)[:2] / pose.mm
    eyes = []
    for iris, corners in IRISES.items():
        x, y = (face.landmarks[iris] - face.landmarks[list(corners)].mean(0) - behind) * pose.mm / RADIUS
        far = max(1.0, float(np.hypot(x, y)))  # as far to the side as a ball can look
        x, y = x / far, y / far
        eyes.append((x, y, -np.sqrt(max(0.0, 1 - x * x - y * y))))
    return np.array(eyes)


def gaze_angles(eyes: Array) -> tuple[float, float]:
    """``gaze_angle_x`` and ``gaze_angle_y`` of OpenFace, radians, of both eyes: to the picture's right, and down."""
    x, y, z = eyes.mean(0)
    return float(np.arctan2(x, -z)), float(np.arctan2(y, -z))
