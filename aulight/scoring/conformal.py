"""Prediction intervals by split-conformal calibration on validation subjects.

Papadopoulos et al. 2002; Lei et al. 2018, *Distribution-Free Predictive Inference for Regression*: the interval around
a prediction reaches as far as a quantile of the absolute errors on frames that trained nothing. Frames of one person
are alike, so it is people that are counted, not frames: Lee, Barber & Willett 2023, *Distribution-free inference with
hierarchical data* (arXiv:2306.06342). Each of K subjects has the weight 1 / (K + 1), shared by their frames; the rest
belongs to the one who comes next, whose errors may be of any size. So 90% can be promised from 9 subjects on.

Since errors grow with intensity, frames are told apart by what is predicted for them (Vovk's Mondrian calibration). The
guarantee is for a frame of somebody new, drawn as the validation subjects were; it holds over people, not for each.
Validation subjects also chose the checkpoint, which flatters them a little.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from aulight.errors import AulightError

Array = npt.NDArray[np.float64]

LEVELS = tuple(round(0.5 + 0.01 * step, 2) for step in range(50))
"""Coverages that are calibrated, 0.5 to 0.99."""

EDGES = (0.5, 1.5, 2.5, 3.5)
"""Predicted intensities at which one group of frames ends and the next begins."""

LEAST = 200
"""Frames of a group below which it is calibrated together with the next lower one."""

SUBJECTS = 9
"""Likewise of subjects: fewer cannot promise 90%."""


@dataclass(frozen=True)
class Intervals:
    """How far prediction intervals reach.

    Attributes:
        columns: Names of the AUs, ``AU01`` ...
        reach: ``(AUs, groups, levels)``: to either side, for predictions between two of :data:`EDGES`, at each of
            :data:`LEVELS`; NaN for an AU that had no labels to calibrate on.
    """

    columns: tuple[str, ...]
    reach: Array

    def around(
        self, intensities: npt.NDArray[np.floating[Any]], coverage: float
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Both ends of the intervals around predictions.

        Args:
            intensities: ``(n, AUs)``, 0..5; NaN where nothing is predicted.
            coverage: Share of true intensities that are to lie inside; the next of :data:`LEVELS` from it on is taken.

        Returns:
            Lower and upper ends, ``(n, AUs)`` float32, in 0..5; NaN where there is no prediction or no calibration.

        Raises:
            AulightError: For a coverage outside :data:`LEVELS`.
        """
        if not LEVELS[0] <= coverage <= LEVELS[-1]:
            raise AulightError(f"coverage={coverage}: a share from {LEVELS[0]} to {LEVELS[-1]} is needed")
        level = int(np.searchsorted(LEVELS, round(coverage, 6)))
        reach = self.reach[np.arange(len(self.columns)), _group(intensities), level]
        low, high = intensities - reach, intensities + reach
        return low.clip(0, 5).astype(np.float32), high.clip(0, 5).astype(np.float32)

    def plain(self) -> dict[str, Any]:
        """In containers that JSON can hold; :func:`from_plain` reads them."""
        reach = {
            name: None if np.isnan(of_au).any() else of_au.round(4).tolist()
            for name, of_au in zip(self.columns, self.reach, strict=True)
        }
        return {"levels": list(LEVELS), "edges": list(EDGES), "reach": reach}


def from_plain(plain: Mapping[str, Any]) -> Intervals:
    """The intervals that :meth:`Intervals.plain` wrote.

    Raises:
        AulightError: When they were made for other levels or groups.
    """
    if list(plain["levels"]) != list(LEVELS) or list(plain["edges"]) != list(EDGES):
        raise AulightError("intervals: calibrated by another version of aulight; export the model again")
    unknown = np.full((len(EDGES) + 1, len(LEVELS)), np.nan)
    reach = [unknown if of_au is None else np.array(of_au, float) for of_au in plain["reach"].values()]
    return Intervals(tuple(plain["reach"]), np.array(reach))


def calibrate(preds: Array, truth: Array, columns: tuple[str, ...], subjects: npt.NDArray[Any]) -> Intervals:
    """Calibrates on frames of subjects that trained nothing.

    Args:
        preds: ``(n, AUs)``, 0..5.
        truth: ``(n, AUs)``, 0..5; NaN where unknown.
        columns: Names of the AUs.
        subjects: ``(n,)``: whose frames they are.
    """
    people = np.unique(subjects, return_inverse=True)[1]
    reach = np.full((len(columns), len(EDGES) + 1, len(LEVELS)), np.nan)
    for au in range(len(columns)):
        known = ~np.isnan(truth[:, au])
        errors, groups, whose = np.abs(preds[known, au] - truth[known, au]), _group(preds[known, au]), people[known]
        for together in _joined(groups, whose):
            mine = np.isin(groups, together)
            reach[au, together] = _quantiles(errors[mine], whose[mine])
    return Intervals(columns, reach)


def coverage(intervals: Intervals, preds: Array, truth: Array, nominal: float) -> tuple[Array, Array]:
    """The share of known intensities inside their intervals, and the mean width of these.

    Args:
        intervals: Calibrated on other subjects.
        preds: ``(n, AUs)``.
        truth: ``(n, AUs)``; NaN where unknown.
        nominal: The coverage that is asked for.

    Returns:
        Shares and widths, each ``(AUs,)``; NaN for AUs without labels.
    """
    low, high = (end.astype(np.float64) for end in intervals.around(preds, nominal))
    known = ~np.isnan(truth) & ~np.isnan(low)
    # the ends are float32: an intensity at the very end counts as inside
    inside = (truth >= low - 1e-6) & (truth <= high + 1e-6)
    count = np.where(known.any(0), known.sum(0), np.nan)
    return (inside & known).sum(0) / count, np.where(known, high - low, 0).sum(0) / count


def _group(intensities: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.int64]:
    group: npt.NDArray[np.int64] = np.digitize(intensities, EDGES)
    return group


def _joined(groups: npt.NDArray[np.int64], people: npt.NDArray[np.int64]) -> list[list[int]]:
    """The groups, from the highest on joined with lower ones until they have enough frames and subjects."""

    def enough(together: list[int]) -> bool:
        mine = np.isin(groups, together)
        return bool(mine.sum() >= LEAST and len(np.unique(people[mine])) >= SUBJECTS)

    joined: list[list[int]] = [[]]
    for group in reversed(range(len(EDGES) + 1)):
        if enough(joined[-1]):
            joined.append([])
        joined[-1].append(group)
    if len(joined) > 1 and not enough(joined[-1]):
        rest = joined.pop()
        joined[-1] += rest
    return joined


def _quantiles(errors: Array, people: npt.NDArray[np.int64]) -> Array:
    """The error that bounds each share of the errors, those of one more person included; 5 where it may be any."""
    if not len(errors):
        return np.full(len(LEVELS), np.nan)
    frames = np.bincount(people)
    order = np.argsort(errors)
    share = np.cumsum(1 / frames[people[order]] / (np.count_nonzero(frames) + 1))
    reach: Array = np.append(errors[order], 5.0)[np.searchsorted(share, np.array(LEVELS) - 1e-9)]
    return reach
