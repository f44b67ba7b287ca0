"""Intervals and p-values over test subjects.

Frames of one person are alike, so it is people that are left out and swapped, never frames. All is done on the sums of
:func:`aulight.scoring.agreement.sums_of`, one set a subject, so its cost does not grow with the number of frames.

Intervals are the jackknife's (Tukey 1958; Efron & Tibshirani 1993, chapter 11): a statistic is taken once more without
each subject, which gives its bias and its standard error; the reach is Student's t with one degree less than subjects.
The percentile bootstrap is not used: a pooled ICC over few people is biased downwards, a resample holds fewer people
still, and so its intervals lie below the truth.

p-values are those of the paired permutation test: where two arms do equally well, it is chance which of a subject's two
predictions is whose. So they are swapped, subject by subject, in every way or in many random ones, and p is the share
of ways that set the arms at least as far apart as they are. That is exact where the arms err alike. How far apart they
are is estimated by the jackknife too, since an ICC over few people is biased by more where the arm errs in one way than
where it errs in another, and this alone would set arms apart that do equally well. To divide by the jackknife's
standard error as well, as studentised tests do, was no help in simulations.

``make bench-stats`` simulates how often the intervals hold the truth, and how often p is below 0.05 for no reason.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from aulight.scoring.agreement import OF_ICC, Array, icc_of, mean

INTERVAL_SUBJECTS = 5
"""Subjects below which there is no interval: the standard error of so few says nothing."""

P_SUBJECTS = 6
"""Subjects below which there is no p-value: of 5, all swapped, the smallest is 0.06."""

ONE_SUBJECT = "rests on one subject"
"""Why there is no interval of a score that is undefined without one of the subjects."""

CHUNK = 20
"""Ways of swapping that are looked at together: few, so that their sums stay in the caches of a processor."""


class Interval(NamedTuple):
    """From where to where a number lies."""

    low: float
    high: float


def mean_icc(sums: Array) -> Array:
    """The headline: ICC(3,1) as a mean over the action units where it is defined, then over seeds.

    Args:
        sums: ``(..., K, 8, A)``, of K seeds.

    Returns:
        ``(...)``.
    """
    return mean(mean(icc_of(sums), -1), -1)


def mean_icc_without(sums: Array) -> Array:
    """The headline without each subject, over the same action units as of all (:func:`held`).

    Args:
        sums: As of :func:`without_each`.

    Returns:
        ``(S,)``.
    """
    return mean(mean(held(icc_of(without_each(sums)), icc_of(sums.sum(1))), -1), -1)


def held(without: Array, whole: Array) -> Array:
    """Scores without each subject, so that their mean over action units goes over the same ones as that of the whole.

    An action unit that one subject alone shows has no score without them. Were it left out of the mean there, the
    jackknife would take the change of action units for an effect of the subject. So its score of all subjects is held,
    whoever is left out. How uncertain it is nobody knows, and the interval does not say: to be said beside it. Where
    this is so of all action units, nothing is held.

    Args:
        without: ``(..., S, K, A)``, NaN where undefined.
        whole: Of all subjects, of a shape that goes with it.
    """
    alone = np.isnan(without).any(-3, keepdims=True)
    if not alone.any():
        return without
    scores: Array = np.where(alone & ~alone.all(-1, keepdims=True), whole, without)
    return scores


def without_each(sums: Array) -> Array:
    """Sums over all subjects but one.

    Args:
        sums: ``(K, S, 8, A)``, of K seeds and S subjects.

    Returns:
        ``(S, K, 8, A)``, the first without the first subject.
    """
    others = 1 - np.eye(sums.shape[1])  # added up anew: after a subtraction, what is constant would not be so exactly
    left: Array = np.tensordot(others, sums, axes=(1, 1))
    return left


def jackknife(whole: float, without: Array, level: float, bounds: tuple[float, float]) -> Interval | str:
    """The interval of a statistic over subjects.

    Args:
        whole: Of all n subjects.
        without: ``(n,)``, without each of them.
        level: Of the interval, for example 0.95.
        bounds: From where to where the statistic can be; the interval is cut there.

    Returns:
        The interval, around the statistic less its bias; or in some words why there is none.

    Example:
        >>> values = np.array([1.0, 2, 3, 4, 5])  # their mean: the interval is that of Student's t
        >>> without = (values.sum() - values) / 4
        >>> [round(end, 3) for end in jackknife(values.mean(), without, 0.95, (0, 5))]
        [1.037, 4.963]
        >>> jackknife(2.0, without[:3], 0.95, (0, 5))
        'needs 5 subjects'
    """
    n = len(without)
    if n < INTERVAL_SUBJECTS:
        return f"needs {INTERVAL_SUBJECTS} subjects"
    if math.isnan(whole):
        return "undefined"
    if np.isnan(without).any():
        return ONE_SUBJECT
    estimate = float(_unbiased(np.array(whole), without))
    error = math.sqrt((n - 1) / n * float(((without - without.mean()) ** 2).sum()))
    if error == 0:
        return "does not vary"
    reach = float(stdtrit(n - 1, 0.5 + level / 2)) * error
    low, high = np.clip([estimate - reach, estimate + reach], *bounds).tolist()
    return Interval(low, high)


def p_value(one: Array, other: Array, swaps: int, seed: int) -> float | str:
    """The two-sided p-value of no difference between two arms in :func:`mean_icc`.

    Args:
        one: Sums ``(K, S, 8, A)`` of the first arm, of K seeds and the S subjects that both arms tested.
        other: ``(L, S, 8, A)`` of the second. Of arms with unequal numbers of seeds each seed counts several times, so
            that they pair up; means over seeds stay what they are.
        swaps: Ways of swapping that are looked at: all, where there are no more than these, or so many random ones.
        seed: Of the random ones.

    Returns:
        The share of all ways that set the arms, each less its bias, at least as far apart as they are; of random ones,
        which are counted with one more, so that p is never 0 (Phipson & Smyth 2010). Or in some words why there is
        none.
    """
    subjects = one.shape[1]
    if subjects < P_SUBJECTS:
        return f"needs {P_SUBJECTS} subjects"
    seeds = math.lcm(len(one), len(other))
    one, other = (np.tile(sums[:, :, :OF_ICC], (seeds // len(sums), 1, 1, 1)) for sums in (one, other))
    if math.isnan(mean_icc(one.sum(1)) - mean_icc(other.sum(1))):
        return "undefined"
    observed = float(_apart(one, other, np.zeros((1, subjects), bool))[0])
    if math.isnan(observed):
        return ONE_SUBJECT
    swapped, every = _ways(subjects, swaps, seed)
    hits = 0
    for part in np.array_split(swapped, math.ceil(len(swapped) / CHUNK)):
        # What differs in the order of adding only is equal; where all is undefined, nothing speaks against the hit.
        hits += int((~(_apart(one, other, part) < observed - 1e-9)).sum())
    return hits / len(swapped) if every else (1 + hits) / (1 + len(swapped))


def _apart(one: Array, other: Array, swapped: npt.NDArray[np.bool_]) -> Array:
    """How far two arms ``(K, S, 6, A)``, swapped in the ways ``(R, S)``, are apart: ``(R,)``."""
    which = swapped[:, :, None, None, None]
    one, other = one.swapaxes(0, 1), other.swapaxes(0, 1)

    def unbiased(sums: Array) -> Array:
        """The headline of ``(R, S, K, 6, A)``, less its bias."""
        whole = sums.sum(1)
        without = whole[:, None] - sums  # as without_each, but for rounding, and at a cost that is linear in subjects
        icc = icc_of(whole)
        others = held(icc_of(without), icc[:, None])
        return _unbiased(mean(mean(icc, -1), -1), np.moveaxis(mean(mean(others, -1), -1), 1, 0))

    return abs(unbiased(np.where(which, other, one)) - unbiased(np.where(which, one, other)))


def _unbiased(whole: Array, without: Array) -> Array:
    """The jackknife's estimate ``(...)`` of a statistic ``(...)``, which is ``(n, ...)`` without each of n subjects."""
    n = len(without)
    estimate: Array = whole - (n - 1) * (without.mean(0) - whole)
    return estimate


def _ways(subjects: int, most: int, seed: int) -> tuple[npt.NDArray[np.bool_], bool]:
    """Ways ``(R, S)`` of swapping, and whether these are all.

    To swap the others instead gives the same distance, so in "all" the last subject is never swapped.
    """
    if 2 ** (subjects - 1) <= most:
        numbers = np.arange(2 ** (subjects - 1))
        return (numbers[:, None] >> np.arange(subjects)) % 2 == 1, True
    return np.random.default_rng(seed).random((most, subjects)) < 0.5, False
