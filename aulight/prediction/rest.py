"""How a person's face is at rest: of each intensity, what a tenth of their frames lie at or below."""

import numpy as np
import numpy.typing as npt

from aulight.facs import MAX_INTENSITY

REST = 0.1
"""Share of a person's frames that lie at or below their rest."""

FEW = 500
"""Frames that are kept as they are: a passer-by, of whom a crowd has thousands, takes little memory."""

_STEPS = 5000
"""Of the scale of intensities, in which frames are counted: memory does not grow with their number."""


class Rest:
    """One person's rest, from the frames so far; it is known to 0.001 of an intensity.

    Frames that say nothing of an intensity do not count for it.

    Args:
        count: Of how many intensities.
    """

    def __init__(self, count: int) -> None:
        self._few = np.empty((0, count), np.int16)  # steps of the first frames, -1 for none
        self._counts: npt.NDArray[np.int32] | None = None  # of all, once they are many

    def add(self, values: npt.NDArray[np.floating]) -> None:
        """Counts more frames: ``(frames, count)`` intensities in 0..5, NaN for none."""
        known = ~np.isnan(values)
        steps = np.floor(np.where(known, values, 0).astype(np.float64) / MAX_INTENSITY * _STEPS + 1e-6)
        told = np.where(known, np.clip(steps, 0, _STEPS - 1), -1).astype(np.int16)
        if self._counts is None:
            self._few = told = np.concatenate([self._few, told])
            if len(told) <= FEW:
                return
            self._counts, self._few = np.zeros((told.shape[1], _STEPS), np.int32), self._few[:0]
        frame, row = np.nonzero(told >= 0)
        np.add.at(self._counts, (row, told[frame, row].astype(np.int64)), 1)

    @property
    def level(self) -> npt.NDArray[np.float64]:
        """The rest ``(count,)`` in 0..5; 0 where nothing is known of it."""
        if self._counts is None:
            known = (self._few >= 0).sum(0)
            ranks = np.maximum(np.ceil(REST * known - 1e-6).astype(np.int64) - 1, 0)
            steps = np.sort(np.where(self._few >= 0, self._few, _STEPS), 0)
            if not len(steps):
                return np.zeros(len(known))
            return np.where(known > 0, steps[ranks, np.arange(len(known))], 0) * (MAX_INTENSITY / _STEPS)
        reached = self._counts.cumsum(1) >= REST * self._counts.sum(1, keepdims=True) - 1e-6
        level: npt.NDArray[np.float64] = reached.argmax(1) * (MAX_INTENSITY / _STEPS)
        return level

    def above(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Counts the next frame ``(count,)``: what it is above the rest that is known then, within 0..5."""
        self.add(values[None])
        return np.maximum(values - self.level.astype(np.float32), 0)
