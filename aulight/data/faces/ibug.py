"""The 68 points of iBUG's 300-W, which OpenFace and many others give, out of the 478 of the landmarker.

The list is the one that most who go from the one to the other use. It is an approximation: the landmarker has points
near those of iBUG, not the same, and the jaw of a turned head is drawn where the skin is and not at the outline.
"""

import numpy as np

from aulight.data.faces.head_pose import HeadPose, focal_length
from aulight.data.faces.pose import Array, Face

IBUG = (
    162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389,  # jaw
    71, 63, 105, 66, 107, 336, 296, 334, 293, 301,  # brows
    168, 197, 5, 4, 75, 97, 2, 326, 305,  # nose
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,  # eyes
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181,  # outer lips
    78, 82, 13, 312, 308, 317, 14, 87,  # inner lips
)  # fmt: skip
"""Of each of iBUG's points, the landmark that is taken for it."""


def points_2d(face: Face) -> Array:
    """The points on the picture: ``(68, 2)``, pixels from its left upper corner."""
    return face.landmarks[list(IBUG)]


def points_3d(face: Face, pose: HeadPose, width: int, height: int) -> Array:
    """The points before the camera: ``(68, 3)`` mm, x to the right of the picture, y down, z away from the camera.

    Args:
        face: With the landmarks and their depths.
        pose: Of its head.
        width: Of the picture, in pixels.
        height: Likewise.
    """
    focal = focal_length(width, height)
    far = (focal + face.depth[list(IBUG)] - pose.middle[2]) * pose.mm
    return np.column_stack([(points_2d(face) - (width / 2, height / 2)) * (far / focal)[:, None], far])
