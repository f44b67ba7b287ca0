"""What is worth showing: the videos, and the stretches of them, in which labels are highest."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from aulight.scoring.agreement import Array, mean


def most_expressive(table: pd.DataFrame, truth: Sequence[str]) -> pd.DataFrame:
    """Videos by their mean label, the most expressive first.

    Args:
        table: A row a frame, with ``video_id`` and ``subject``.
        truth: Its columns of labels, NaN or NA where unknown.

    Returns:
        ``subject, video_id``, a row a video; ``drop_duplicates("subject")`` leaves the best of each subject.
    """
    videos = table[["subject", "video_id"]].assign(strength=_strength(table, truth))
    means = videos.groupby(["subject", "video_id"])["strength"].mean().sort_values(ascending=False)
    return means.reset_index()[["subject", "video_id"]]


def best_stretch(table: pd.DataFrame, truth: Sequence[str], length: int) -> slice:
    """The stretch of a video in which the sum of its labels is highest.

    Args:
        table: Its frames in order.
        truth: Columns of labels, NaN or NA where unknown, which counts as 0.
        length: How many frames; all of a shorter video.
    """
    length = max(1, min(length, len(table)))
    start = int(np.convolve(np.nan_to_num(_strength(table, truth)), np.ones(length), "valid").argmax())
    return slice(start, start + length)


def _strength(table: pd.DataFrame, truth: Sequence[str]) -> Array:
    """Mean label of each frame over its known AUs; NaN where none is known."""
    return mean(table[list(truth)].to_numpy(np.float64, na_value=np.nan), 1)
