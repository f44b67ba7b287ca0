"""How a head is turned and where it is: on faces turned by known angles, and on avatars."""

import numpy as np
import pytest
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

from aulight.data.faces import head_pose as module
from aulight.data.faces.head_pose import HeadPose, focal_length, head_pose
from aulight.data.faces.landmarker import Landmarker
from aulight.data.faces.pose import Array, Face, no_blendshapes
from tests.data.faces.posed import posed

WIDTH, HEIGHT = 640, 360


def made(turn: Array, mm: float, middle: ArrayLike) -> Face:
    """The canonical face, turned, with so many millimetres in a pixel."""
    landmarks, depth = np.zeros((478, 2)), np.zeros(478)
    places = module._SPREAD @ turn.T / mm
    landmarks[module._NUMBERS] = places[:, :2] + middle
    depth[module._NUMBERS] = places[:, 2] + 7  # depths are known but for a constant
    return Face(landmarks, depth, 20.0, no_blendshapes(), np.zeros(4))


@pytest.mark.parametrize(
    "angles", [(0.0, 0.0, 0.0), (0.3, 0.0, 0.0), (0.0, -0.7, 0.0), (0.0, 0.0, 0.5), (0.2, 0.6, -0.4)]
)
def test_angles_are_those_of_rx_ry_rz(angles: tuple[float, float, float]) -> None:
    """The oracle is scipy's own product of the three rotations."""
    x, y, z = (Rotation.from_euler(axis, angle).as_matrix() for axis, angle in zip("xyz", angles, strict=True))
    pose = head_pose(made(x @ y @ z, 0.8, (300, 200)))
    np.testing.assert_allclose(pose.angles, angles, atol=1e-9)
    assert pose.mm == pytest.approx(0.8)
    at = (300 - WIDTH / 2) * 0.8, (200 - HEIGHT / 2) * 0.8, focal_length(WIDTH, HEIGHT) * 0.8
    np.testing.assert_allclose(pose.place(WIDTH, HEIGHT), at, atol=1e-9)


def test_a_head_twice_as_far_away_is_half_as_large() -> None:
    near, far = (head_pose(made(np.eye(3), mm, (320, 180))).place(WIDTH, HEIGHT)[2] for mm in (0.5, 1.0))
    assert far == pytest.approx(2 * near)
    assert focal_length(640, 480) == 500  # what OpenFace takes for a picture of this size


def test_signs_are_those_of_openface() -> None:
    """By what a nose does that points at the camera: x to the right of the picture, y down."""
    nose = np.array([0.0, 0, -1])
    for axis, expected in ((0, (0, 1)), (1, (-1, 0))):  # down; to the picture's left
        angles = np.zeros(3)
        angles[axis] = 0.4
        turn = Rotation.from_euler("XYZ", angles).as_matrix()
        np.testing.assert_array_equal(np.sign((turn @ nose)[:2].round(9)), expected)
        assert HeadPose(turn, 1.0, np.zeros(3)).angles[axis] == pytest.approx(0.4)
    leaning = Rotation.from_euler("XYZ", (0, 0, 0.4)).as_matrix()
    assert (leaning @ (0, -1, 0))[0] > 0, "the top of the head goes to the picture's right"


def test_heads_of_avatars_are_turned_as_they_are() -> None:
    """Two people from four sides; the oracle is how they were posed. docs/columns.md tells how far off many are."""
    landmarker = Landmarker(blendshapes=False, max_faces=1)
    try:
        pictures = list(posed(11, 2, (10,), (-0.6, -0.2, 0.2, 0.6)))
        found = np.array([head_pose(landmarker.look(one.image)[0]).angles for one in pictures])
    finally:
        landmarker.close()
    true = np.array([HeadPose(one.turn, 1.0, np.zeros(3)).angles for one in pictures])
    off = np.degrees(np.abs(found - true))
    assert np.ptp(true[:, 1]) > 1, "else it says nothing"
    assert off[:, 1].max() < 8
    assert off[:, (0, 2)].mean() < 8
    assert np.corrcoef(true[:, 1], found[:, 1])[0, 1] > 0.98
