"""How much larger predictions should be, action unit by action unit, by labels of people that a head did not see.

A network trained on few labels by the squared error predicts too little of what it is not sure of. That costs nothing
in correlation, and a lot in agreement: of all slopes s, ICC(3,1) of s x with y is highest where s sd(x) = sd(y). So the
amplitude of predictions for people it does not know is estimated, and the slope and the offset that give them mean and
variance of the labels, clipped to 0..5 as predictions are. Nothing of validation or test is needed.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from aulight.facs import MAX_INTENSITY
from aulight.scoring.ridge import ridge

FOLDS = 5
"""Parts into which the labelled people are put, each of which is left out once."""

LEAST_SUBJECTS = 5
"""Labelled people below which amplitude is left as it is; of an action unit, those who show it."""

SHRINK_SUBJECTS = 10
"""So many people who show an action unit count as much as knowing nothing: half of the change is made."""

MOST_SLOPE = 5.0
"""A slope is from 1/5 to 5."""

LEAST_KEPT = 0.25
"""Share of the amplitude that a head keeps for people it did not see, at the least."""

UNSEEN = 100
"""Frames whose labels were not drawn, from which on amplitude is measured on them alone."""

PENALTIES = 10.0 ** np.arange(-1, 6)

Numbers = npt.NDArray[np.float64]
Which = npt.NDArray[np.bool_]


class Amplitude(NamedTuple):
    """What to do to each action unit: ``intensity`` becomes ``slope intensity + offset``, before it is clipped.

    Attributes:
        slope: ``(A,)``, 1 where nothing is done.
        offset: ``(A,)`` intensities, 0 where nothing is done.
        kept: ``(A,)`` share of its amplitude that the head keeps for people it did not see, at most 1.
        subjects: ``(A,)`` labelled people who show it.
    """

    slope: Numbers
    offset: Numbers
    kept: Numbers
    subjects: npt.NDArray[np.int64]


def crossfit(
    features: Numbers, outputs: Numbers, labels: Numbers, coded: Which, subjects: npt.NDArray[np.str_], seed: int
) -> Amplitude:
    """Slopes and offsets from drawn labels.

    Two things are measured. How large predictions are for frames whose labels the network did not see: those of the
    same videos that were not drawn, which are drawn ones' like but for that; where there are fewer than :data:`UNSEEN`,
    the drawn ones. And how much of that is left for people it did not see: a head in closed form is fitted with each
    fifth of the people left out, and its predictions for these are laid beside those of one fitted to all. Its penalty
    is the one with which it comes closest to the network's own head. The features are the network's, which has seen all
    drawn labels: so what is lost is rather more than this says, and slopes rather too small.

    Args:
        features: ``(N, D)`` of frames of labelled people, as the head gets them.
        outputs: ``(N, A)`` intensities by the network's head, not clipped.
        labels: ``(N, A)``, NaN where unknown or not drawn.
        coded: ``(N, A)`` whether there is a label, drawn or not.
        subjects: ``(N,)``.
        seed: Of the folds.
    """
    count = labels.shape[1]
    slope, offset, kept = np.ones(count), np.zeros(count), np.ones(count)
    shown = np.array([len(set(subjects[column >= 1])) for column in labels.T], np.int64)
    seen = ~np.isnan(labels).all(1)
    penalties = _like_head(features[seen], outputs[seen], labels[seen])
    for unit in range(count):
        known = ~np.isnan(labels[:, unit])
        of_unit, truth = labels[:, [unit]], labels[known, unit]
        unseen = coded[:, unit] & ~seen
        frames = unseen if unseen.sum() >= UNSEEN else known
        if shown[unit] < LEAST_SUBJECTS or truth.std() == 0 or outputs[frames, unit].std() == 0:
            continue
        whole = ridge(features[known], of_unit[known], features[frames], penalties[unit])
        parted = np.zeros_like(whole)
        for held in _folds(subjects[seen], seed):
            mine = np.isin(subjects, held)
            rows, others = mine[frames], known & ~mine
            if rows.any():
                parted[rows] = ridge(features[others], of_unit[others], features[frames][rows], penalties[unit])
        if whole.std() > 0:
            kept[unit] = np.clip(parted.std() / whole.std(), LEAST_KEPT, 1)
        mean = outputs[frames, unit].mean()
        strangers = mean + kept[unit] * (outputs[frames, unit] - mean)
        weight = shown[unit] / (shown[unit] + SHRINK_SUBJECTS)
        slope[unit], offset[unit] = match(strangers, truth, float(weight))
    return Amplitude(slope, offset, kept, shown)


def match(predictions: Numbers, labels: Numbers, weight: float = 1.0) -> tuple[float, float]:
    """Slope and offset with which predictions, clipped to 0..5, have mean and variance of labels.

    Args:
        predictions: ``(N,)``, not clipped; not all alike.
        labels: ``(M,)`` of the same population, not of the same frames.
        weight: How far to go, in 0..1: the slope by its logarithm, the mean in intensities; 0 is slope 1 and offset 0.

    Example:
        >>> match(np.array([1.0, 1.5, 2.0]), np.array([1.0, 2.0, 3.0]))
        (2.0, -1.0)
    """
    if weight == 0:
        return 1.0, 0.0
    wanted, spread = labels.mean(), labels.std()

    def offset(slope: float, mean: float) -> float:
        """With which the clipped mean is as wanted: it never falls as the offset grows."""
        return _bisect(
            lambda guess: float((slope * predictions + guess).clip(0, MAX_INTENSITY).mean()) - mean,
            -slope * float(predictions.max()),
            MAX_INTENSITY - slope * float(predictions.min()),
        )

    def too_wide(log_slope: float) -> float:
        slope = float(np.exp(log_slope))
        return float((slope * predictions + offset(slope, wanted)).clip(0, MAX_INTENSITY).std() - spread)

    end = float(np.log(MOST_SLOPE))
    slope = float(np.exp(weight * _bisect(too_wide, -end, end)))
    before = predictions.clip(0, MAX_INTENSITY).mean()
    found = slope, offset(slope, (1 - weight) * before + weight * wanted)
    return round(found[0], 6), round(found[1], 6)


def _bisect(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function that does not fall crosses 0; the nearer end where it does not."""
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) < 0 else (low, middle)
    return (low + high) / 2


def _like_head(features: Numbers, outputs: Numbers, labels: Numbers) -> Numbers:
    """The penalty of each action unit with which ridge regression comes closest to what the network's head says."""
    known = ~np.isnan(labels)
    apart = [
        (np.where(known, ridge(features, labels, features, penalty) - outputs, 0.0) ** 2).sum(0)
        for penalty in PENALTIES
    ]
    closest: Numbers = PENALTIES[np.argmin(apart, axis=0)]
    return closest


def _folds(subjects: npt.NDArray[np.str_], seed: int) -> list[npt.NDArray[np.str_]]:
    """Each labelled person in one of :data:`FOLDS` parts, or in one of its own where they are fewer."""
    people = np.random.default_rng(seed).permutation(np.unique(subjects))
    return np.array_split(people, min(FOLDS, len(people)))
