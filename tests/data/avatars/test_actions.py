"""Action units move what FACS says they move: geometry of the base head, by hand."""

import numpy as np
import numpy.typing as npt
import pytest

from aulight.data.avatars.actions import AVATAR_AUS, LEVELS, Rig, activation, deform, rig
from aulight.data.avatars.assets import Assets
from aulight.facs import AU_NAMES

LEFT = {
    "inner brow": (0.14, 7.48, 1.42), "outer brow": (0.50, 7.50, 1.22), "upper lid": (0.345, 7.335, 1.40),
    "lower lid": (0.32, 7.235, 1.36), "cheek": (0.46, 7.02, 1.22), "nose wing": (0.15, 6.93, 1.42),
    "mouth corner": (0.25, 6.606, 1.36), "upper lip": (0.06, 6.66, 1.57), "lower lip": (0.06, 6.54, 1.56),
    "chin": (0.04, 6.33, 1.50),
}  # fmt: skip

# AU, where, axis (0 to the side, 1 up, 2 to the front), sign, least decimetres at intensity 5
MOVES = [
    (1, "inner brow", 1, 1, 0.05), (2, "outer brow", 1, 1, 0.03), (4, "inner brow", 1, -1, 0.02),
    (4, "inner brow", 0, -1, 0.01), (5, "upper lid", 1, 1, 0.01), (6, "cheek", 1, 1, 0.03),
    (7, "lower lid", 1, 1, 0.01), (9, "nose wing", 1, 1, 0.02), (10, "upper lip", 1, 1, 0.03),
    (12, "mouth corner", 1, 1, 0.05), (12, "mouth corner", 0, 1, 0.03), (15, "mouth corner", 1, -1, 0.03),
    (17, "chin", 1, 1, 0.01), (18, "mouth corner", 0, -1, 0.03), (20, "mouth corner", 0, 1, 0.03),
    (25, "lower lip", 1, -1, 0.02), (26, "lower lip", 1, -1, 0.1), (43, "upper lid", 1, -1, 0.03),
]  # fmt: skip
SECOND = [move for move in MOVES if move[0] in (1, 2, 4, 5, 12, 15, 25, 26, 43) and move[:3:2] != (4, 0)]


def moved(assets: Assets, which: Rig, au: int, left: float, right: float) -> npt.NDArray[np.float32]:
    shapes = rig(assets, which, np.array([0.0, 0.0, 1.0]))
    sides = np.zeros((2, 1, len(AVATAR_AUS)))
    sides[:, 0, AVATAR_AUS.index(au)] = left, right
    out = np.empty_like(assets.points)
    deform(assets.points, shapes.starts, shapes.index, shapes.delta, shapes.weights(sides[0], sides[1])[0], out)
    return np.asarray(out - assets.points)


def at(assets: Assets, place: str, side: int = 1) -> int:
    skin = assets.of_part("skin")
    away = np.linalg.norm(assets.points[skin] - np.array(LEFT[place]) * (side, 1, 1), axis=1)
    return int(skin[away.argmin()])


@pytest.mark.parametrize(("au", "place", "axis", "sign", "least"), MOVES)
def test_the_first_rig_moves_what_it_should(
    assets: Assets, au: int, place: str, axis: int, sign: int, least: float
) -> None:
    shift = moved(assets, "first", au, 1.0, 1.0)
    for side in (1, -1):
        assert sign * shift[at(assets, place, side), axis] * (side if axis == 0 else 1) > least


@pytest.mark.parametrize(("au", "place", "axis", "sign", "least"), SECOND)
def test_the_second_rig_moves_it_the_same_way(
    assets: Assets, au: int, place: str, axis: int, sign: int, least: float
) -> None:
    shift = moved(assets, "second", au, 1.0, 1.0)
    for side in (1, -1):
        assert sign * shift[at(assets, place, side), axis] * (side if axis == 0 else 1) > 0.005


@pytest.mark.parametrize("au", [1, 2, 4, 5, 7, 9, 12, 14, 15, 20, 43])
def test_one_side_moves_alone(assets: Assets, au: int) -> None:
    size = np.linalg.norm(moved(assets, "first", au, 1.0, 0.0), axis=1)
    x, front = assets.points[:, 0], assets.points[:, 2] > 1.1
    far_left, far_right = front & (x > 0.2), front & (x < -0.2)  # not within the nose
    assert size[far_left].max() > 4 * size[far_right].max()


def test_no_two_action_units_are_one_movement(assets: Assets) -> None:
    for which in ("first", "second"):
        shifts = [moved(assets, which, au, 1.0, 1.0).ravel() for au in AVATAR_AUS]
        normed = np.array([shift / np.linalg.norm(shift) for shift in shifts])
        alike = normed @ normed.T - np.eye(len(AVATAR_AUS))
        assert alike.max() < 0.97, (which, [AVATAR_AUS[k] for k in np.unravel_index(alike.argmax(), alike.shape)])


def test_the_scale_goes_from_nothing_over_a_trace_to_all() -> None:
    shares = activation(np.arange(6.0))
    np.testing.assert_allclose(shares, LEVELS)
    assert shares[0] == 0
    assert shares[5] == 1
    assert 0 < shares[1] <= 0.15
    assert (np.diff(shares) > 0).all()


def test_every_action_unit_has_a_name() -> None:
    assert set(AVATAR_AUS) <= AU_NAMES.keys()
