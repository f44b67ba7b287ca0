"""Intervals and p-values over test subjects."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from aulight.scoring.agreement import METRICS, Array, mean, metrics


class Interval(NamedTuple):
    """From where to where a number lies."""

    low: float
    high: float


def resample(subjects: int, replicates: int, seed: int) -> npt.NDArray[np.int64]:
    """Draws bootstrap samples: ``(replicates, subjects)`` places of subjects, with replacement."""
    return np.random.default_rng(seed).integers(subjects, size=(replicates, subjects))


class Bootstrap:
    """Percentile intervals over the subjects of one dataset; the same draws serve all its cells.

    With one subject there is nothing to resample, and every interval is None.
    """

    def __init__(self, subjects: int, replicates: int, seed: int, level: float) -> None:
        draws = resample(subjects, replicates, seed)
        self.weights = np.stack([(draws == i).sum(1) for i in range(subjects)], axis=1).astype(np.float64)
        self.tails = (0.5 - level / 2, 0.5 + level / 2)

    def metrics(self, sums: Array) -> dict[str, Array]:
        """Metrics (R, A) of every replicate, averaged over the K seeds of sums (K, S, 8, A)."""
        of_seeds = [metrics(np.tensordot(self.weights, of_seed, 1)) for of_seed in sums]
        return {name: mean(np.stack([values[name] for values in of_seeds]), 0) for name in METRICS}

    def mean_icc(self, sums: Array) -> Array:
        """The mean over seeds of the mean over action units of the ICC, (R,)."""
        of_seeds = [mean(metrics(np.tensordot(self.weights, of_seed, 1))["icc"], -1) for of_seed in sums]
        return mean(np.stack(of_seeds), 0)

    def interval(self, replicates: Array) -> Interval | None:
        """The interval of replicates (R,), undefined ones left out."""
        defined = replicates[~np.isnan(replicates)]
        if self.weights.shape[1] < 2 or not len(defined):
            return None
        low, high = np.quantile(defined, self.tails)
        return Interval(float(low), float(high))

    def p_value(self, differences: Array) -> float | None:
        """The two-sided p-value of no difference, from paired replicates (R,), undefined ones left out.

        Twice the smaller of two shares: of replicates at or below 0, and of those at or above 0; both counted
        with one replicate more, so that p is never 0 (Davison & Hinkley 1997, chapter 4). It is below 1 - level
        where the interval leaves 0 out.
        """
        defined = differences[~np.isnan(differences)]
        if self.weights.shape[1] < 2 or not len(defined):
            return None
        fewer = 1 + min((defined <= 0).sum(), (defined >= 0).sum())
        return min(1.0, float(2 * fewer / (len(defined) + 1)))
