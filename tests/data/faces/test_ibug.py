"""iBUG's 68 points: where they lie on a face, and before the camera."""

import numpy as np
import pytest

from aulight.data.faces.head_pose import focal_length, head_pose
from aulight.data.faces.ibug import IBUG, points_2d, points_3d
from aulight.data.faces.landmarker import Landmarker
from aulight.data.faces.pose import Face
from tests.data.faces.astronaut import ASTRONAUT, NOSE, PUPILS

MIRRORED = [*range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1), 45, 44, 43, 42, 47, 46, 39, 38]
MIRRORED += [37, 36, 41, 40, *range(54, 47, -1), *range(59, 54, -1), 64, 63, 62, 61, 60, 67, 66, 65]
"""Of each point the one that it is in a mirror, by iBUG's own drawing."""


@pytest.fixture(scope="module")
def face() -> Face:
    landmarker = Landmarker(blendshapes=False, max_faces=1)
    (face,) = landmarker.look(ASTRONAUT)
    landmarker.close()
    return face


def test_points_lie_where_ibug_has_them(face: Face) -> None:
    """By hand on the astronaut: pupils within the eyes, the nose's tip, and what is above, below and beside what."""
    points = points_2d(face)
    assert points.shape == (68, 2)
    assert len(set(IBUG)) > 65
    for eye, pupil in ((range(36, 42), PUPILS[0]), (range(42, 48), PUPILS[1])):
        assert np.linalg.norm(points[list(eye)].mean(0) - pupil) < 4
    assert np.linalg.norm(points[30] - NOSE) < 12
    assert points[8, 1] == points[:, 1].max(), "the chin"
    assert (np.diff(points[:17, 0]) > -2).all(), "the jaw runs from the picture's left to its right"
    assert points[17:27, 1].max() < points[36:48, 1].min(), "brows above eyes"
    assert points[51, 1] < points[62, 1] <= points[66, 1] < points[57, 1], "lips from above to below"
    assert points[48, 0] == points[48:68, 0].min()
    assert points[54, 0] == points[48:68, 0].max()


def test_points_of_a_mirrored_face_are_mirrored(face: Face) -> None:
    """No left point is taken for a right one: the canonical face is the same in a mirror."""
    landmarker = Landmarker(blendshapes=False, max_faces=1)
    (other,) = landmarker.look(np.ascontiguousarray(ASTRONAUT[:, ::-1]))
    landmarker.close()
    back = points_2d(other)[MIRRORED] * (-1, 1) + (ASTRONAUT.shape[1], 0)
    off = np.linalg.norm(back - points_2d(face), axis=1)
    assert off.mean() < 2
    assert off.max() < 7


def test_points_before_the_camera_are_seen_where_they_are_on_the_picture(face: Face) -> None:
    height, width = ASTRONAUT.shape[:2]
    pose = head_pose(face)
    points = points_3d(face, pose, width, height)
    seen = points[:, :2] / points[:, 2:] * focal_length(width, height) + (width / 2, height / 2)
    np.testing.assert_allclose(seen, points_2d(face), atol=1e-6)
    assert points[30, 2] < points[[0, 16], 2].min(), "the nose is nearer than the ears"
    assert 50 < np.linalg.norm(points[36:42].mean(0) - points[42:48].mean(0)) < 75, "millimetres between the eyes"
    assert np.linalg.norm(points.mean(0) - pose.place(width, height)) < 40
