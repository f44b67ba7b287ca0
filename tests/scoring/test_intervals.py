"""Intervals and p-values over subjects, against known cases, scipy and slow loops."""

import doctest
import itertools
import time

import numpy as np
import numpy.typing as npt
import pytest
import scipy.stats

from aulight.scoring import intervals
from aulight.scoring.agreement import OF_ICC, Array, icc_of, metrics, sums_of
from aulight.scoring.intervals import Interval, jackknife, mean_icc, mean_icc_without, p_value, without_each

ICC = (-1.0, 1.0)
ALL_OF_SEVEN = np.array(list(itertools.product((False, True), repeat=7)))


def arm(subjects: int, seeds: int = 1, noise: float = 1.0, draw: int = 0, aus: int = 3, alone: bool = False) -> Array:
    """Sums (K, S, 8, A) of one arm; who the subjects are does not depend on the arm. One may show the last AU alone."""
    rng = np.random.default_rng([draw, int(100 * noise)])
    true = np.random.default_rng(subjects).integers(0, 6, (subjects, 20, aus)).astype(float)
    true[1:, :, -1] *= not alone
    preds = np.clip(true + noise * rng.normal(size=(seeds, *true.shape)), 0, 5)
    return np.array([[sums_of(*of) for of in zip(of_seed, true, strict=True)] for of_seed in preds])


def test_the_jackknife_of_a_mean_is_students_interval() -> None:
    values = np.random.default_rng(0).normal(size=9)
    ends = jackknife(values.mean(), (values.sum() - values) / 8, 0.9, (-9, 9))
    assert ends == pytest.approx(scipy.stats.t.interval(0.9, 8, values.mean(), scipy.stats.sem(values)))


def test_the_jackknife_takes_the_bias_out() -> None:
    """Oracle: the variance with n in its denominator is biased, and its jackknife is the one with n - 1."""
    values = np.random.default_rng(1).normal(size=8)
    without = np.array([np.delete(values, i).var() for i in range(8)])
    ends = jackknife(values.var(), without, 0.95, (-100, 100))
    assert isinstance(ends, Interval)
    assert (ends.low + ends.high) / 2 == pytest.approx(values.var(ddof=1))


def test_why_there_is_no_interval() -> None:
    assert jackknife(0.5, np.array([0.4, 0.5, 0.6, 0.5]), 0.95, ICC) == "needs 5 subjects"
    assert jackknife(0.5, np.array([0.4, np.nan, 0.6, 0.5, 0.5]), 0.95, ICC) == "rests on one subject"
    assert jackknife(0.0, np.zeros(9), 0.95, ICC) == "does not vary"
    assert jackknife(float("nan"), np.zeros(9), 0.95, ICC) == "undefined"
    wide = jackknife(0.9, np.array([0.9, 0.2, 0.9, 0.95, 0.8]), 0.95, ICC)
    assert isinstance(wide, Interval)
    assert wide.high == 1.0  # an ICC is never above


def test_an_au_that_one_subject_shows_is_held() -> None:
    """Oracle: the interval of the others, drawn together by the share of the one that is held."""
    sums = arm(9, seeds=2, aus=4, alone=True)
    others, icc = sums[..., :3], metrics(sums.sum(1))["icc"]
    assert np.isnan(mean_icc_without(sums[..., 3:])[0])
    mean, without = float(mean_icc(sums.sum(1))), mean_icc_without(sums)
    ends = jackknife(mean, without, 0.95, ICC)
    expected = jackknife(float(mean_icc(others.sum(1))), mean_icc_without(others), 0.95, ICC)
    assert isinstance(ends, Interval)
    assert isinstance(expected, Interval)
    assert ends == pytest.approx([(3 * end + icc[:, 3].mean()) / 4 for end in expected])
    assert ends.low < mean < ends.high


def test_p_takes_an_au_that_one_subject_shows_as_it_is() -> None:
    """Oracle: the same arms, whose predictions for that AU are equal, without it."""
    one, other = (arm(8, noise=noise, aus=4, alone=True) for noise in (0.5, 3.0))
    other[..., 3] = one[..., 3]
    assert p_value(one, other, 10_000, 0) == p_value(one[..., :3], other[..., :3], 10_000, 0)


def test_without_each_is_what_a_loop_leaves() -> None:
    sums = arm(6, seeds=2)
    without = without_each(sums)
    for i in range(6):
        np.testing.assert_allclose(without[i], np.delete(sums, i, axis=1).sum(1), rtol=1e-12)
    assert mean_icc(without)[2] == pytest.approx(metrics(np.delete(sums, 2, axis=1).sum(1))["icc"].mean())


def test_the_icc_alone_is_that_beside_the_other_scores() -> None:
    """To the last digit, also where it is undefined or 0, and of the first six sums."""
    sums = without_each(arm(9, seeds=2, aus=4, alone=True))
    sums[0, 0, :, 1] = sums_of(np.full((20, 1), 0.1), np.arange(20.0)[:, None])[:, 0]
    expected = metrics(sums)["icc"]
    assert np.isnan(expected).any()
    assert (expected == 0).any()
    np.testing.assert_array_equal(icc_of(sums), expected)
    np.testing.assert_array_equal(icc_of(sums[..., :OF_ICC, :]), expected)


def test_what_is_constant_stays_so_without_each() -> None:
    sums = arm(40, noise=0.0)
    constant = sums_of(np.full((20, 3), 0.1), np.tile(np.arange(20.0)[:, None], 3))
    sums[0, 1:] = constant
    assert (metrics(without_each(sums))["icc"][0] == 0).all()


def test_p_of_six_subjects_is_at_least_two_of_sixty_four() -> None:
    good, bad = arm(6, noise=0.1), arm(6, noise=4.0)
    assert p_value(good, bad, 1000, 0) == pytest.approx(2 / 64)
    assert p_value(good[:, :5], bad[:, :5], 1000, 0) == "needs 6 subjects"
    assert p_value(good, good, 1000, 0) == 1


def swap(one: Array, other: Array, swapped: npt.NDArray[np.bool_]) -> tuple[Array, Array]:
    """Two arms with some of their subjects swapped."""
    which = swapped[:, None, None]
    return np.where(which, other, one), np.where(which, one, other)


def test_p_is_the_share_of_all_swaps_that_set_the_jackknifes_estimates_as_far_apart() -> None:
    """Oracle: a loop over all 2^7 swaps and, in each, over the subjects that are left out."""
    one, other = arm(7, seeds=2, noise=1.0), arm(7, noise=1.05)

    def unbiased(sums: Array) -> float:
        whole = metrics(sums.sum(1))["icc"].mean()
        without = [metrics(np.delete(sums, i, axis=1).sum(1))["icc"].mean() for i in range(7)]
        return float(7 * whole - 6 * np.mean(without))

    apart = []
    for swapped in ALL_OF_SEVEN:
        first, second = swap(one, np.repeat(other, 2, axis=0), swapped)
        apart.append(abs(unbiased(first) - unbiased(second)))
    expected = np.mean([of >= apart[0] - 1e-9 for of in apart])
    assert 0.05 < expected < 0.95
    assert p_value(one, other, 64, 0) == expected
    assert p_value(other, one, 64, 0) == expected


def test_p_is_exact_for_arms_whose_subjects_may_be_swapped() -> None:
    """Of all ways in which chance could have dealt two predictions to the arms, p is at most P in a share P."""
    one, other = arm(7, noise=1.0), arm(7, noise=1.6)
    found = np.sort([p_value(*swap(one, other, swapped), 64, 0) for swapped in ALL_OF_SEVEN])
    np.testing.assert_array_equal(found, np.repeat(np.arange(1, 65) / 64, 2))


def test_p_counts_ties_as_hits() -> None:
    """Where two subjects alone tell the arms apart, half of all ways set them as far apart."""
    one = arm(7, noise=1.0)
    other = one.copy()
    better = arm(7, noise=0.1)[:, :1]
    one[:, :2], other[:, :2] = better, arm(7, noise=3.0)[:, :1]
    assert p_value(one, other, 64, 0) == 0.5


def test_why_there_is_no_p_value() -> None:
    one, other = arm(7, noise=1.0), arm(7, noise=1.6)
    constant = sums_of(np.random.default_rng(0).uniform(0, 5, (20, 3)), np.full((20, 3), 2.0))
    for sums in (one, other):
        sums[:, 1:] = constant
    assert p_value(one, other, 64, 0) == "rests on one subject"
    for sums in (one, other):
        sums[:, 0] = constant
    assert p_value(one, other, 64, 0) == "undefined"


def test_random_swaps_come_near_all() -> None:
    """Oracle: all 2^10 ways."""
    one, other = arm(11, seeds=2, noise=1.0), arm(11, seeds=2, noise=1.05, draw=1)
    every, drawn = p_value(one, other, 1024, 0), p_value(one, other, 1023, 0)
    assert isinstance(every, float)
    assert 0.01 < every < 0.99
    assert drawn == pytest.approx(every, abs=4 * (every * (1 - every) / 1023) ** 0.5)
    assert drawn != every
    assert p_value(other, one, 1024, 0) == every  # two-sided


def test_random_swaps_are_counted_with_one_more() -> None:
    good, bad = arm(40, noise=0.1), arm(40, noise=4.0)
    assert p_value(good, bad, 999, 0) == pytest.approx(1 / 1000)


def test_the_cost_does_not_grow_with_frames_and_is_small() -> None:
    """41 people as of BP4D, three seeds, 12 AUs, ten thousand swaps: from sums alone."""
    one, other = arm(41, seeds=3, aus=12), arm(41, seeds=3, noise=1.1, aus=12)
    began = time.process_time()
    p = p_value(one, other, 10_000, 0)
    jackknife(float(mean_icc(one.sum(1))), mean_icc(without_each(one)), 0.95, ICC)
    assert time.process_time() - began < 10
    assert isinstance(p, float)


def test_docstring_examples_run() -> None:
    results = doctest.testmod(intervals)
    assert results.attempted >= 3
    assert results.failed == 0
