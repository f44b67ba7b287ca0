"""How a person's face is at rest: of each intensity, what a tenth of their frames lie at or below."""

import numpy as np
import numpy.typing as npt

from aulight.facs import MAX_INTENSITY

REST = 0.1
"""Share of a person's frames that lie at or below their rest."""

_STEPS = 5000
"""Of the scale of intensities, in which frames are counted: memory does not grow with their number."""


class Rest:
    """One person's rest, from the frames so far; it is known to 0.001 of an intensity.

    Frames that say nothing of an intensity do not count for it.

    Args:
        count: Of how many intensities.
    """

    def __init__(self, count: int) -> None:
        self._counts = np.zeros((count, _STEPS), np.int64)

    def add(self, values: npt.NDArray[np.floating]) -> None:
        """Counts more frames: ``(frames, count)`` intensities in 0..5, NaN for none."""
        known = ~np.isnan(values)
        steps = np.floor(np.where(known, values, 0).astype(np.float64) / MAX_INTENSITY * _STEPS + 1e-6)
        frame, row = np.nonzero(known)
        np.add.at(self._counts, (row, np.clip(steps, 0, _STEPS - 1).astype(np.int64)[frame, row]), 1)

    @property
    def level(self) -> npt.NDArray[np.float64]:
        """The rest ``(count,)`` in 0..5; 0 where nothing is known of it."""
        reached = self._counts.cumsum(1) >= REST * self._counts.sum(1, keepdims=True) - 1e-6
        level: npt.NDArray[np.float64] = reached.argmax(1) * (MAX_INTENSITY / _STEPS)
        return level

    def above(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Counts the next frame ``(count,)``: what it is above the rest that is known then, within 0..5."""
        self.add(values[None])
        return np.maximum(values - self.level.astype(np.float32), 0)
