"""Amplitude by cross-fitting: made-up linear cases of which the right slope is known."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from aulight.scoring.agreement import icc
from aulight.scoring.amplitude import LEAST_SUBJECTS, MOST_SLOPE, SHRINK_SUBJECTS, UNSEEN, crossfit, match

Numbers = npt.NDArray[np.float64]
RNG = np.random.default_rng(0)


def test_the_slope_that_a_straight_line_has() -> None:
    """Labels are 3 p - 1 of other frames of the same kind: nothing is clipped."""
    p = RNG.uniform(0.5, 1.5, 40_000)
    assert match(p[:20_000], 3 * p[20_000:] - 1) == pytest.approx((3, -1), abs=0.05)
    assert match(p, 3 * p - 1) == pytest.approx((3, -1), abs=1e-4)


@pytest.mark.parametrize("slope", [0.5, 2.0, 4.0])
def test_clipped_to_the_range_of_intensities(slope: float) -> None:
    """Most frames show nothing, as is usual. Oracle: labels made by the very line, clipped."""
    p = RNG.normal(-0.3, 0.6, 20_000)
    labels = (slope * p + 0.2).clip(0, 5)
    assert match(p, labels) == pytest.approx((slope, 0.2), rel=1e-3, abs=1e-3)


def test_of_all_slopes_agreement_is_highest_there() -> None:
    """With noise as well, which a slope does not take away. Oracle: a search over slopes."""
    p = RNG.uniform(2, 3, 5000)
    labels = 2.5 + 1.2 * (p - 2.5) + RNG.normal(0, 0.3, 5000)
    found, offset = match(p, labels)
    slopes = np.linspace(0.2, 4, 400)
    best = slopes[np.argmax([icc(slope * p, labels) for slope in slopes])]
    assert found == pytest.approx(best, abs=0.02)
    assert (found * p + offset).mean() == pytest.approx(labels.mean(), abs=1e-4)
    assert (found * p + offset).std() == pytest.approx(labels.std(), abs=1e-4)


def test_as_far_as_asked() -> None:
    p = RNG.uniform(0.5, 1.5, 1000)
    whole, half = match(p, 3 * p - 1), match(p, 3 * p - 1, 0.5)
    assert match(p, 3 * p - 1, 0) == (1, 0)
    assert half[0] == pytest.approx(whole[0] ** 0.5, rel=1e-3)
    assert (half[0] * p + half[1]).mean() == pytest.approx((p.mean() + (3 * p - 1).mean()) / 2, abs=1e-3)
    assert match(1 + 1e-3 * p, 3 * p)[0] == MOST_SLOPE


def _people(
    count: int, frames: int, head: float, differ: float = 0.0, seed: int = 0, drawn: float = 0.2
) -> tuple[dict[str, Any], Numbers]:
    """Frames of some people: labels are linear in the features, what the head says is `head` of them.

    Each person's own weights differ from those of all by `differ`. Of the labels a share is drawn.
    """
    rng = np.random.default_rng(seed)
    features = rng.normal(0, 1, (count * frames, 6))
    weights = np.array([[0.3, 0.2, -0.2, 0.0, 0.0, 0.1]]) + differ * rng.normal(0, 1, (count, 6))
    who = np.repeat(np.arange(count), frames)
    truth = 2.5 + (features * weights[who]).sum(1, keepdims=True)
    outputs = 2.5 + head * (truth - 2.5)
    labels = np.where(rng.uniform(size=truth.shape) < drawn, truth, np.nan)
    subjects = np.array([f"s{person:03d}" for person in who])
    given = {"features": features, "outputs": outputs, "labels": labels, "subjects": subjects, "seed": 0}
    return given | {"coded": np.ones(truth.shape, bool)}, truth


@pytest.mark.parametrize("head", [0.25, 0.5, 1.0])
def test_what_a_head_lacks_is_given_back(head: float) -> None:
    """The same line for everybody, so that nothing is lost on strangers: the slope is 1 / head."""
    given, _ = _people(400, 20, head)
    found = crossfit(**given)
    people = len(set(given["subjects"][~np.isnan(given["labels"][:, 0])]))
    assert found.subjects.tolist() == [people]
    weight = people / (people + SHRINK_SUBJECTS)
    assert found.kept[0] == pytest.approx(1, abs=0.02)
    assert found.slope[0] == pytest.approx((1 / head) ** weight, rel=0.06)
    assert found.slope[0] * 2.5 + found.offset[0] == pytest.approx(2.5, abs=0.05)


def test_what_a_head_loses_on_strangers_is_given_back_as_well() -> None:
    """People differ, frames are few and the head knows them by heart. Oracle: heads that never saw a person."""
    given, truth = _people(40, 4, 1.0, differ=0.3, drawn=1.0)
    given["features"] = np.hstack([given["features"], np.random.default_rng(1).normal(0, 1, (160, 600))])
    found = crossfit(**given)
    # by heart, so with next to no penalty: of all heads that say every label, the smallest; each person left out
    left_out = np.zeros(160)
    for person in set(given["subjects"]):
        mine = given["subjects"] == person
        x, y = given["features"][~mine], truth[~mine, 0] - truth[~mine].mean()
        weights = np.linalg.lstsq(x - x.mean(0), y, rcond=None)[0]
        left_out[mine] = (given["features"][mine] - x.mean(0)) @ weights
    assert left_out.std() < 0.7 * truth.std()
    assert found.kept[0] == pytest.approx(left_out.std() / truth.std(), abs=0.1)
    weight = 40 / (40 + SHRINK_SUBJECTS)
    assert found.slope[0] == pytest.approx((truth.std() / left_out.std()) ** weight, rel=0.15)


def test_fewer_people_are_trusted_less_and_a_handful_not_at_all() -> None:
    slopes = [crossfit(**_people(count, 60, 0.5)[0]).slope[0] for count in (LEAST_SUBJECTS - 1, LEAST_SUBJECTS, 20, 80)]
    assert slopes[0] == 1
    assert slopes == sorted(slopes)
    for count, slope in zip((LEAST_SUBJECTS, 20, 80), slopes[1:], strict=True):
        assert slope == pytest.approx(2 ** (count / (count + SHRINK_SUBJECTS)), rel=0.08)


def test_frames_whose_labels_were_drawn_are_not_what_amplitude_is_measured_on() -> None:
    """The network knows their labels by heart and says them in full; of all others it says half."""
    given, truth = _people(100, 40, 0.5)
    seen = ~np.isnan(given["labels"])
    given["outputs"] = np.where(seen, truth, given["outputs"])
    weight = 100 / (100 + SHRINK_SUBJECTS)
    assert crossfit(**given).slope[0] == pytest.approx(2**weight, rel=0.05)
    few = np.flatnonzero(~seen[:, 0])[: UNSEEN - 1]  # too few to measure it on
    only = np.sort(np.concatenate([np.flatnonzero(seen[:, 0]), few]))
    fewer = {name: value[only] if isinstance(value, np.ndarray) else value for name, value in given.items()}
    assert crossfit(**fewer).slope[0] == pytest.approx(1, rel=0.05)


def test_action_units_go_apart_and_what_is_not_known_is_left_alone() -> None:
    given, _ = _people(100, 40, 0.5)
    one = crossfit(**given)
    constant, nothing, same = (np.where(np.isnan(given["labels"]), np.nan, value) for value in (2.0, np.nan, 0.0))
    odd = given | {
        "labels": np.hstack([constant, given["labels"], nothing, same]),
        "outputs": np.hstack([given["outputs"]] * 4),
        "coded": np.hstack([given["coded"]] * 4),
    }
    found = crossfit(**odd)
    assert found.slope.tolist() == [1, one.slope[0], 1, 1]
    assert found.offset.tolist() == [0, one.offset[0], 0, 0]
    assert found.subjects.tolist() == [100, one.subjects[0], 0, 0]
    quiet = crossfit(**(given | {"outputs": np.full_like(given["outputs"], 1.5)}))  # a head that says nothing
    assert (quiet.slope[0], quiet.offset[0]) == (1, 0)
