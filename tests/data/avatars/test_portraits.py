"""Single crops of many people: the same from the same seeds, unlike each other, points where the geometry has them."""

import numpy as np
import pytest

from aulight.data.avatars.actions import AVATAR_AUS
from aulight.data.avatars.assets import Assets
from aulight.data.avatars.motion import SIDED
from aulight.data.avatars.portraits import PLACES, POINTS, TIMES, Portraits, points_of_face, portraits


@pytest.fixture(scope="module")
def drawn() -> Portraits:
    return portraits(3, 8, 48)


def test_somebody_is_drawn_the_same_again(drawn: Portraits) -> None:
    again = portraits(3, 8, 48)
    np.testing.assert_array_equal(drawn.pictures, again.pictures)
    np.testing.assert_array_equal(drawn.points, again.points)
    assert drawn.pictures.shape == (PLACES * TIMES, 48, 48, 3)
    assert not np.array_equal(drawn.pictures[0], drawn.pictures[TIMES])


def test_intensities_are_those_of_the_stronger_side(drawn: Portraits) -> None:
    assert drawn.intensities.min() >= 0
    assert drawn.intensities.max() <= 5
    assert (drawn.intensities > 1).any(0).sum() > 10
    for k, au in enumerate(AVATAR_AUS):
        seen = np.maximum(drawn.left[:, k], drawn.right[:, k])
        assert np.abs(seen - drawn.intensities[:, k]).max() < 1.6, "but for what is strongest in this person"
        if au not in SIDED:
            assert np.abs(drawn.left[:, k] - drawn.right[:, k]).max() < 1.6
    assert ((drawn.left < 0.1) & (drawn.right > 0.5)).any(), "some move one side alone"


def test_points_lie_in_pairs_on_the_face(assets: Assets, drawn: Portraits) -> None:
    numbers = points_of_face(assets)
    assert len(set(numbers.tolist())) > 2 * POINTS - 4
    left, right = assets.points[numbers[:POINTS]], assets.points[numbers[POINTS:]]
    np.testing.assert_allclose(left * (-1, 1, 1), right, atol=0.02)
    assert (drawn.points > 0).all()
    assert (drawn.points < 1).all()
    ahead = np.abs(drawn.others[:, 0]) < 0.1
    assert (drawn.points[ahead, :POINTS, 0].mean(1) > drawn.points[ahead, POINTS:, 0].mean(1)).all()
