"""How well coders agree on intensities: ICC(3,1), ICC(2,1), weighted kappa, share of equal scores.

All follow from sums that add up over people, so that intervals by the jackknife over people
(:func:`aulight.scoring.intervals.jackknife`) cost next to nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from aulight.facs import MAX_INTENSITY
from aulight.scoring.agreement import Array

MEASURES = ("icc31", "icc21", "kappa", "equal")

Weights = Literal["quadratic", "linear"]

_LEVELS = MAX_INTENSITY + 1


@dataclass(frozen=True)
class Sums:
    """What is needed of n frames that k coders have scored; of several people, they are added.

    Attributes:
        n: Frames.
        total: ``(k,)`` sums of each coder's scores.
        squares: Sum of the squares of all scores.
        rows: Sum over frames of the square of a frame's sum over coders.
        pairs: ``(k (k - 1) / 2, 6, 6)`` how often one coder gave the first score, and another the second.
    """

    n: int
    total: Array
    squares: float
    rows: float
    pairs: Array

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(
            self.n + other.n,
            self.total + other.total,
            self.squares + other.squares,
            self.rows + other.rows,
            self.pairs + other.pairs,
        )


def sums_of(scores: Array) -> Sums:
    """The sums of scores ``(n, k)``, whole numbers from 0 to 5 all of which are known.

    Raises:
        ValueError: For other numbers, or fewer than two coders.
    """
    scores = np.asarray(scores, np.float64)
    whole = scores.astype(np.int64)
    if scores.ndim != 2 or scores.shape[1] < 2 or (whole != scores).any() or ((whole < 0) | (whole >= _LEVELS)).any():
        raise ValueError(f"scores {scores.shape} must be (n, k >= 2) whole numbers from 0 to {MAX_INTENSITY}")
    pairs = np.zeros((len(list(combinations(range(scores.shape[1]), 2))), _LEVELS, _LEVELS))
    for pair, (one, other) in zip(pairs, combinations(whole.T, 2), strict=True):
        np.add.at(pair, (one, other), 1)
    return Sums(len(scores), scores.sum(0), float((scores**2).sum()), float((scores.sum(1) ** 2).sum()), pairs)


def added(sums: Iterable[Sums], coders: int) -> Sums:
    """All of them together; those of no frame, where there are none."""
    pairs = coders * (coders - 1) // 2
    return sum(sums, start=Sums(0, np.zeros(coders), 0.0, 0.0, np.zeros((pairs, _LEVELS, _LEVELS))))


def agreement(sums: Sums, weights: Weights) -> dict[str, float]:
    """Measures of agreement, by the names of :data:`MEASURES`.

    The ICCs are those of Shrout and Fleiss 1979, https://doi.org/10.1037/0033-2909.86.2.420, of single scores, from the
    mean squares of the two-way analysis of variance of n frames (BMS), k coders (JMS) and the rest (EMS)::

        ICC(3,1) = (BMS - EMS) / (BMS + (k - 1) EMS)
        ICC(2,1) = (BMS - EMS) / (BMS + (k - 1) EMS + k (JMS - EMS) / n)

    The first asks whether coders agree on differences between frames, the second also whether they agree on the
    level: one who always scores higher by one costs the second alone. Kappa is Cohen's, weighted by how far two scores
    are apart, and a mean over pairs of coders (Light's), as the share of equal scores is.

    Args:
        sums: Of the scores.
        weights: Of kappa.

    Returns:
        NaN for what is undefined: of fewer than two frames, an ICC where all scores are the same, kappa where both
        coders gave one and the same score alone; the share of equal scores without a frame.

    Example:
        >>> found = agreement(sums_of(np.array([[0.0, 1], [1, 2], [2, 3], [4, 4]])), "quadratic")
        >>> {name: round(value, 3) for name, value in found.items()}
        {'icc31': 0.945, 'icc21': 0.852, 'kappa': 0.812, 'equal': 0.25}
    """
    kappas = np.array([_kappa(pair, weights) for pair in sums.pairs])
    icc31, icc21 = _iccs(sums)
    equal = float(np.trace(sums.pairs, axis1=1, axis2=2).mean() / sums.n) if sums.n else np.nan
    return {"icc31": icc31, "icc21": icc21, "kappa": float(kappas.mean()), "equal": equal}


def bounds(measure: str, coders: int) -> tuple[float, float]:
    """From where to where a measure can be."""
    return {"icc31": (-1 / (coders - 1), 1.0), "icc21": (-1.0, 1.0), "kappa": (-1.0, 1.0), "equal": (0.0, 1.0)}[measure]


def _iccs(sums: Sums) -> tuple[float, float]:
    n, k = sums.n, len(sums.total)
    if n < 2:
        return np.nan, np.nan
    correction = float(sums.total.sum()) ** 2 / (n * k)
    whole = sums.squares - correction
    between = sums.rows / k - correction
    coders = float((sums.total**2).sum()) / n - correction
    rest = max(whole - between - coders, 0.0)
    if whole <= 1e-9 * max(sums.squares, 1.0):  # all the same
        return np.nan, np.nan
    bms, jms, ems = between / (n - 1), coders / (k - 1), rest / ((n - 1) * (k - 1))
    consistent = bms + (k - 1) * ems
    absolute = consistent + k * (jms - ems) / n
    tiny = 1e-12 * whole
    return (
        (bms - ems) / consistent if consistent > tiny else np.nan,
        (bms - ems) / absolute if absolute > tiny else np.nan,
    )


def _kappa(pair: Array, weights: Weights) -> float:
    n = pair.sum()
    levels = np.arange(_LEVELS)
    apart = np.abs(levels[:, None] - levels).astype(np.float64) ** (2 if weights == "quadratic" else 1)
    if n == 0:
        return np.nan
    by_chance = float((apart * np.outer(pair.sum(1), pair.sum(0))).sum() / n)
    return 1 - float((apart * pair).sum()) / by_chance if by_chance > 0 else np.nan
