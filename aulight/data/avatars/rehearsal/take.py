"""What the datasets of a rehearsal have in common."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from aulight.data.avatars.raw import WIDEST
from aulight.data.avatars.scene import performance

Codes = npt.NDArray[np.int64]


class Take(Protocol):
    """What one process films in one go."""

    @property
    def frames(self) -> int:
        """How many frames that is."""

    def film(self, report: Callable[[int], None]) -> None:
        """Writes the files, unless they are there, and tells of so many more frames."""


def acted(seed: int, subject: int, video: int, frames: int, fps: float) -> Codes:
    """What somebody shows: ``(frames, 20)`` 0..5 of :data:`~aulight.data.avatars.actions.AVATAR_AUS`."""
    acting, _ = performance(seed, subject, video, frames, fps, WIDEST)
    return np.round(acting.intensities).astype(np.int64)
