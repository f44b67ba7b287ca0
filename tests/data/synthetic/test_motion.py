"""Expressions over time, against how often they are seen in DISFA and which go together."""

import numpy as np
import numpy.typing as npt
import pytest

from aulight.data.synthetic import dataset, motion
from aulight.datasets import DISFA_AUS


@pytest.fixture(scope="module")
def labels() -> npt.NDArray[np.int64]:
    """Labels of 400 subjects, drawn as the generator draws them, without their pictures."""
    courses = [motion.expressions(np.random.default_rng([0, i]), 160, dataset.FPS) for i in range(400)]
    return np.round(np.concatenate(courses)).astype(np.int64)


def active(labels: npt.NDArray[np.int64], au: int) -> npt.NDArray[np.bool_]:
    return labels[:, DISFA_AUS.index(au)] > 0


def test_base_rates_are_zero_heavy_like_disfa(labels: npt.NDArray[np.int64]) -> None:
    assert 0.28 < (labels == 0).all(1).mean() < 0.42  # DISFA: 0.37
    assert 0.19 < active(labels, 12).mean() < 0.28  # DISFA: 0.24
    for au in DISFA_AUS:
        assert 0.05 < active(labels, au).mean() < 0.40, au
    levels = np.bincount(labels[labels > 0], minlength=6)[1:] / (labels > 0).sum()
    assert (np.diff(levels) < 0).all(), "each level is rarer than the one below"
    assert 0.01 < levels[-1] < 0.08


def test_action_units_co_occur_and_exclude_as_in_faces(labels: npt.NDArray[np.int64]) -> None:
    for one, other in ((1, 2), (6, 12), (25, 26)):
        together = (active(labels, one) & active(labels, other)).mean()
        assert together > 1.8 * active(labels, one).mean() * active(labels, other).mean(), (one, other)
    assert not (active(labels, 12) & active(labels, 15)).any()


def test_expressions_are_continuous() -> None:
    course = motion.expressions(np.random.default_rng(1), 4000, dataset.FPS)
    assert course.min() >= 0
    assert course.max() <= 5
    assert np.abs(np.diff(course, axis=0)).max() < 2  # an onset takes a quarter of a second or more
