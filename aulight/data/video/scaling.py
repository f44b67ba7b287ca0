"""How square pictures get to a size: the same way whichever library has decoded them, or they would look different."""

import numpy as np

from aulight.data.video.types import Frames

UNFIT_WIDTHS = frozenset({8, 12, 16, 24, 48, 72})
"""Widths that decord, which read prepared videos before, could not decode to: it mistook the padding of their rows."""


def fit_multiple(size: int) -> int:
    """How many times a size is decoded to, to be averaged down: once, unless decord could not decode to that."""
    return next(k for k in range(1, 9) if k * size not in UNFIT_WIDTHS)


def averaged(frames: Frames, times: int) -> Frames:
    """Square frames ``(T, S, S, 3)`` made smaller by a whole number of times."""
    if times == 1:
        return frames
    side = frames.shape[1] // times
    blocks = frames.reshape(-1, side, times, side, times, 3)
    return np.asarray(blocks.mean((2, 4)).round(), np.uint8)
