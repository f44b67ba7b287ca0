"""The pose of a face, against the transform that its landmarks were made with."""

import functools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from aulight.data.faces.pose import EYE_DISTANCE, EYE_HEIGHT, pose_of, template

real = functools.partial(st.floats, allow_subnormal=False)  # tests run with flush-to-zero


@given(real(0.05, 20), real(-3, 3), st.tuples(real(-500, 2000), real(-500, 2000)))
def test_pose_is_the_transform_of_the_template(scale: float, angle: float, middle: tuple[float, float]) -> None:
    landmarks = np.random.default_rng(0).normal(size=(478, 2))  # others than the stable ones do not matter
    side = 100 * scale
    turn = side * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    for number, place in template().items():
        landmarks[number] = middle + turn @ (np.array(place) - 0.5)
    np.testing.assert_allclose(pose_of(landmarks), [*middle, np.log(side), angle], rtol=1e-9, atol=1e-7)


def test_template_is_level_and_has_the_eyes_where_they_are_said_to_be() -> None:
    places = template()
    left, right = (np.mean([places[outer], places[inner]], 0) for outer, inner in ((33, 133), (263, 362)))
    np.testing.assert_allclose(right - left, [EYE_DISTANCE, 0], atol=1e-12)
    np.testing.assert_allclose((left + right) / 2, [0.5, EYE_HEIGHT], atol=1e-12)
