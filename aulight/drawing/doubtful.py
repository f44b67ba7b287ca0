"""Stretches of a timeline that are not to be trusted as others are: where all faces are seen badly."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch

LOW, COLOUR = 0.5, "#fbe6bf"
"""Quality below which a stretch is marked, and the colour that marks it."""


def mark_doubtful(rows: Iterable[Axes], table: pd.DataFrame) -> list[Patch]:
    """Marks where the best face of a frame has a quality below :data:`LOW`.

    Args:
        rows: Of a timeline, whose x is ``timestamp``.
        table: A row per frame and face, in order: ``frame``, ``timestamp`` and, where it is known, ``quality``.

    Returns:
        What the legend says of it; nothing where there is no such stretch.
    """
    if "quality" not in table:
        return []
    frames = table.groupby("frame")[["timestamp", "quality"]].max()
    badly = stretches(frames["timestamp"].to_numpy(np.float64), frames["quality"].to_numpy(np.float64) < LOW)
    if not badly:
        return []
    for axes in rows:
        low, high = axes.get_ylim()
        axes.broken_barh(badly, (low, high - low), color=COLOUR, linewidth=0, zorder=0)
    return [Patch(color=COLOUR, label=f"quality < {LOW}")]


def stretches(seconds: Any, within: Any) -> list[tuple[float, float]]:
    """Start and length in seconds of the stretches of frames that are within something.

    Args:
        seconds: ``(frames,)`` when each is.
        within: ``(frames,)`` whether it is.
    """
    step = np.median(np.diff(seconds)) if len(seconds) > 1 else 1.0
    edges = np.append(seconds, seconds[-1:] + step) - step / 2
    changes = np.flatnonzero(np.diff(np.concatenate([[0], within, [0]])))
    return [(edges[start], edges[end] - edges[start]) for start, end in changes.reshape(-1, 2)]
