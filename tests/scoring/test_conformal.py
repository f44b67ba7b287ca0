"""Intervals hold what they promise on frames like those of calibration, and are as wide as a slow count says."""

import json
import math

import numpy as np
import pytest

from aulight.errors import AulightError
from aulight.scoring.conformal import EDGES, LEAST, LEVELS, SUBJECTS, calibrate, coverage, from_plain

AUS = ("AU06", "AU12")


def frames(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Intensities, and predictions whose errors grow with them."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(6, (count, 2), p=[0.5, 0.2, 0.1, 0.1, 0.05, 0.05]).astype(float)
    preds = np.clip(truth + rng.normal(size=truth.shape) * (0.1 + 0.3 * truth), 0, 5)
    return preds, truth


@pytest.mark.parametrize("nominal", [0.5, 0.8, 0.9, 0.95])
def test_new_frames_are_covered_in_every_group(nominal: float) -> None:
    """Oracle: the binomial, four standard deviations to either side; the rank may add one frame in the group."""
    intervals = calibrate(*frames(0, 20_000), AUS, np.arange(20_000))
    preds, truth = frames(1, 20_000)
    low, high = intervals.around(preds, nominal)
    inside = (low - 1e-6 <= truth) & (truth <= high + 1e-6)
    for au in range(2):
        groups = np.digitize(preds[:, au], EDGES)
        for group in range(len(EDGES) + 1):
            mine = inside[groups == group, au]
            # both the calibration's quantile and this share vary
            margin = 4 * math.sqrt(2 * nominal * (1 - nominal) / len(mine))
            assert mine.mean() >= nominal - margin
    assert np.all((low >= 0) & (high <= 5) & (low <= preds + 1e-6) & (preds - 1e-6 <= high))
    share, width = coverage(intervals, preds, truth, nominal)
    np.testing.assert_allclose(share, inside.mean(0))
    np.testing.assert_allclose(width, (high - low).mean(0, dtype=float), rtol=1e-5)


def test_higher_predictions_have_wider_intervals() -> None:
    intervals = calibrate(*frames(0, 20_000), AUS, np.arange(20_000))
    reach = intervals.reach[:, :, LEVELS.index(0.9)]
    assert np.all(np.diff(reach, axis=1)[:, :3] > 0)


def test_reach_is_the_rank_of_the_definition() -> None:
    """Oracle: of n errors, the ceil((n + 1) level)-th smallest, found by counting."""
    rng = np.random.default_rng(3)
    preds = rng.uniform(0, 0.4, (LEAST + 37, 1))
    truth = rng.integers(0, 2, preds.shape).astype(float)
    errors = np.abs(preds - truth)[:, 0]
    intervals = calibrate(preds, truth, ("AU12",), np.arange(len(preds)))
    for level in (0.5, 0.77, 0.9, 0.99):
        wanted = min(e for e in errors if np.sum(errors <= e) >= level * (len(errors) + 1))
        assert intervals.reach[0, 0, LEVELS.index(level)] == wanted


def test_rare_groups_share_the_errors_of_lower_ones() -> None:
    preds = np.concatenate([np.full((LEAST, 1), 0.1), np.full((LEAST, 1), 2.0), np.full((3, 1), 4.0)])
    truth = preds + np.concatenate([np.full((LEAST, 1), 0.2), np.full((LEAST, 1), 1.0), np.full((3, 1), -3.0)])
    reach = calibrate(preds, truth, ("AU12",), np.arange(len(preds))).reach[0, :, LEVELS.index(0.9)]
    np.testing.assert_allclose(reach, [0.2, 0.2, 1.0, 1.0, 1.0])  # nobody at 1: joined with those at 0


@pytest.mark.parametrize(("people", "apart"), [(SUBJECTS - 1, False), (SUBJECTS, True), (SUBJECTS + 1, True)])
def test_as_many_people_as_promise_90_percent_are_enough_for_a_group_of_its_own(people: int, apart: bool) -> None:
    """Errors of 0.2 at low predictions, of 1 at higher ones; the same frames of each person in both."""
    each = np.repeat(np.arange(people), math.ceil(LEAST / people))
    low, high = np.full((len(each), 1), 0.1), np.full((len(each), 1), 2.0)
    preds, truth = np.concatenate([low, high]), np.concatenate([low + 0.2, high + 1])
    reach = calibrate(preds, truth, ("AU12",), np.tile(each, 2)).reach[0, :, LEVELS.index(0.75)]
    np.testing.assert_allclose(reach, [0.2, 0.2, 1, 1, 1] if apart else [1] * 5)


def test_coverage_is_of_frames_that_have_an_interval() -> None:
    """Oracle: the same frames without those for which nothing was predicted; and no share of none."""
    preds, truth = frames(0, 5000)
    intervals = calibrate(preds, truth, AUS, np.arange(len(preds)))
    there = np.arange(len(preds)) % 3 > 0
    share, width = coverage(intervals, np.where(there[:, None], preds, np.nan), truth, 0.9)
    expected = coverage(intervals, preds[there], truth[there], 0.9)
    np.testing.assert_allclose([share, width], expected)
    assert np.isfinite(expected).all()
    share, width = coverage(intervals, np.full_like(preds, np.nan), truth, 0.9)
    assert np.isnan([share, width]).all()


def test_unknown_intensities_and_aus() -> None:
    preds, truth = frames(0, 5000)
    truth[:, 0] = np.nan
    truth[::3, 1] = np.nan
    intervals = calibrate(preds, truth, AUS, np.arange(len(preds)))
    known = ~np.isnan(truth[:, 1])
    alone = calibrate(preds[known, 1:], truth[known, 1:], AUS[1:], np.flatnonzero(known))
    np.testing.assert_array_equal(intervals.reach[1], alone.reach[0])
    low, high = intervals.around(preds, 0.9)
    assert np.isnan(low[:, 0]).all()
    assert np.isnan(high[:, 0]).all()
    assert not np.isnan(low[:, 1]).any()
    share, width = coverage(intervals, preds, truth, 0.9)
    assert np.isnan([share[0], width[0]]).all()
    assert share[1] >= 0.9


def test_too_few_frames_promise_nothing() -> None:
    """Five errors cannot bound 90%: the interval is everything."""
    low, high = calibrate(np.full((5, 1), 1.0), np.full((5, 1), 1.0), ("AU12",), np.arange(5)).around(
        np.array([[2.0]]), 0.9
    )
    assert (low[0, 0], high[0, 0]) == (0, 5)


@pytest.mark.parametrize("nominal", [0.5, 0.8, 0.9])
def test_frames_of_somebody_new_are_covered(nominal: float) -> None:
    """People differ, and have different numbers of frames; over many draws of 12 of them, the promise holds for a 13th.

    The oracle is the share in 2000 trials; counting frames instead of people, it would fall short by some .05.
    """
    rng = np.random.default_rng(5)
    held = []
    for _ in range(2000):
        people = np.repeat(np.arange(13), rng.integers(5, 60, 13))
        errors = np.abs(rng.normal(size=len(people))) * rng.exponential(0.3, 13)[people]
        preds, new = np.full((len(people), 1), 0.2), people == 12
        truth = preds + np.minimum(errors, 4)[:, None]
        intervals = calibrate(preds[~new], truth[~new], ("AU12",), people[~new])
        held.append(coverage(intervals, preds[new], truth[new], nominal)[0][0])
    assert nominal - 0.015 < np.mean(held) < nominal + 0.1


def test_too_few_people_promise_nothing() -> None:
    preds, truth = frames(0, 900)
    for people, promised in ((8, False), (9, True)):
        _, high = calibrate(preds, truth, AUS, np.arange(900) % people).around(np.zeros((1, 2)), 0.9)
        assert np.all(high < 5) == promised


def test_no_prediction_no_interval() -> None:
    low, high = calibrate(*frames(0, 5000), AUS, np.arange(5000)).around(np.full((1, 2), np.nan), 0.9)
    assert np.isnan([low, high]).all()


def test_there_and_back_through_json() -> None:
    intervals = calibrate(*frames(0, 5000), AUS, np.arange(5000))
    again = from_plain(json.loads(json.dumps(intervals.plain(), allow_nan=False)))
    assert again.columns == intervals.columns
    np.testing.assert_allclose(again.reach, intervals.reach, atol=1e-4)
    with pytest.raises(AulightError, match="export the model again"):
        from_plain({**intervals.plain(), "edges": [1, 2]})


@pytest.mark.parametrize("wanted", [0.3, 1.0, 90])
def test_coverage_out_of_range(wanted: float) -> None:
    with pytest.raises(AulightError, match=r"coverage=.*0\.5 to 0\.99"):
        calibrate(*frames(0, 100), AUS, np.arange(100)).around(np.zeros((1, 2)), wanted)
