"""Where eyes look: on eyes made to look somewhere, and on avatars."""

import numpy as np
import pytest

from aulight.data.faces.gaze import BALL, IRISES, RADIUS, gaze, gaze_angles
from aulight.data.faces.head_pose import HeadPose, head_pose
from aulight.data.faces.landmarker import Landmarker
from aulight.data.faces.pose import Array, Face, no_blendshapes
from tests.data.faces.posed import posed


def looking(x: float, y: float, mm: float, turn: Array) -> Face:
    """Eyes that look to the right of the picture and down, by these angles, whichever way the head is turned."""
    landmarks = np.zeros((478, 2))
    z = -1 / np.sqrt(1 + np.tan(x) ** 2 + np.tan(y) ** 2)
    direction = np.array([-z * np.tan(x), -z * np.tan(y), z])
    for (iris, corners), middle in zip(IRISES.items(), ((100.0, 100.0), (160.0, 100.0)), strict=True):
        landmarks[list(corners)] = np.add(middle, ((-9, 2), (9, -2)))
        landmarks[iris] = middle + (turn @ BALL + RADIUS * direction)[:2] / mm
    return Face(landmarks, np.zeros(478), 20.0, no_blendshapes(), np.zeros(4))


@pytest.mark.parametrize(("x", "y"), [(0.0, 0.0), (0.4, 0.0), (-0.3, 0.2), (0.1, -0.25)])
@pytest.mark.parametrize("angle", [0.0, 0.5])
def test_angles_are_those_that_the_eyes_look_at(x: float, y: float, angle: float) -> None:
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    eyes = gaze(looking(x, y, 0.9, turn), HeadPose(turn, 0.9, np.zeros(3)))
    np.testing.assert_allclose(gaze_angles(eyes), (x, y), atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(eyes, axis=1), 1)
    assert (eyes[:, 2] < 0).all(), "towards the camera"


def test_an_iris_beyond_its_ball_looks_to_the_side() -> None:
    face = looking(0, 0, 1.0, np.eye(3))
    face.landmarks[list(IRISES)] += (50, 0)
    eyes = gaze(face, HeadPose(np.eye(3), 1.0, np.zeros(3)))
    np.testing.assert_allclose(np.linalg.norm(eyes, axis=1), 1)
    assert np.isfinite(gaze_angles(eyes)).all()


def test_eyes_of_avatars_look_where_they_look() -> None:
    """Three people; the oracle is how they were posed. docs/columns.md tells how far off many are."""
    landmarker = Landmarker(blendshapes=False, max_faces=1)
    try:
        pictures = [one for one in posed(11, 3, (10, 40, 70), (None,)) if one.open]
        faces = [landmarker.look(one.image)[0] for one in pictures]
    finally:
        landmarker.close()
    found = np.array([gaze_angles(gaze(face, head_pose(face))) for face in faces])[:, 0]
    true = np.array([np.arctan2(one.looks[0], -one.looks[2]) for one in pictures])
    assert np.ptp(true) > 0.4, "else it says nothing"
    assert np.degrees(np.abs(found - true)).mean() < 6
    assert np.corrcoef(found, true)[0, 1] > 0.95
