"""Intensities of a video over time."""

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from aulight.drawing.bars import FACES, MOST
from aulight.drawing.doubtful import mark_doubtful, stretches
from aulight.drawing.names import au_name
from aulight.drawing.style import styled
from aulight.facs import MAX_INTENSITY

_BINS = 1300
"""Pixels that a row of :func:`timeline` is wide, or nearly."""


@styled
def timeline(table: pd.DataFrame, columns: Sequence[str], title: str, note: str, unit: str = "seconds") -> Figure:
    """Intensities in a video over time: a row per action unit, a line per face, a band where there are intervals.

    Grey is where no face was found, and yellow where faces are seen badly; an action unit that is empty in all other
    frames is said to have no scores. Of many faces, those that were found in most frames are drawn. Where frames are
    more than pixels, the line goes through the least and the greatest value in each pixel.

    Args:
        table: A row per frame and face, in order: ``frame``, ``face_id``, ``timestamp`` (seconds), ``success`` (0, 1),
            ``quality`` where it is known, ``AU01_r`` ... and, where there are intervals, ``AU01_lo``, ``AU01_hi`` ...
        columns: Names of the action units, ``AU01`` ...
        title: Of the figure.
        note: What is to be known of it; may be empty.
        unit: What ``timestamp`` counts.
    """
    figure = Figure(figsize=(10, 1.3 + 0.55 * len(columns)))
    rows = figure.subplots(len(columns), 1, squeeze=False, sharex=True, sharey=True)[:, 0]
    gaps = _gaps(table)
    found = table[table["success"] == 1]
    counts = found.groupby("face_id").size().sort_values(ascending=False, kind="stable")
    faces = {int(face): found[found["face_id"] == face] for face in sorted(counts.index[:MOST])}
    for axes, name in zip(rows, columns, strict=True):
        axes.broken_barh(gaps, (-1, MAX_INTENSITY + 2), color="#e4e4e4", linewidth=0)
        for face, mine in faces.items():
            _curve(axes, mine, name, _face_colour(face))
        if faces and found[f"{name}_r"].isna().all():
            axes.text(0.5, 0.5, "no scores", transform=axes.transAxes, ha="center", va="center", fontsize=8)
        axes.tick_params(axis="y", labelsize=7, length=2)
        axes.set_ylabel("\n".join(au_name(name)), rotation=0, ha="right", va="center", fontsize=8)
    rows[0].set_ylim(-0.25, MAX_INTENSITY + 0.25)
    rows[0].set_yticks(range(MAX_INTENSITY + 1), ["0", *[""] * (MAX_INTENSITY - 1), str(MAX_INTENSITY)])
    start, end = (table["timestamp"].min(), table["timestamp"].max()) if len(table) else (0.0, 1.0)
    rows[0].set_xlim((start, end) if start < end else (start - 0.5, start + 0.5))
    if len(table) and start == end:
        rows[0].set_xticks([start])
    if not faces:
        words = "no face was found" if len(table) else "no frames"
        rows[len(rows) // 2].text(0.5, 0.5, words, transform=rows[len(rows) // 2].transAxes, ha="center", va="center")
    handles: list[Artist] = []
    if len(counts) > 1:
        handles += [Line2D([], [], color=_face_colour(face), label=f"face {face}") for face in faces]
    if len(counts) > len(faces):
        handles.append(Line2D([], [], linestyle="none", label=f"{len(counts) - len(faces)} more,\nnot drawn"))
    if gaps:
        handles.append(Patch(color="#e4e4e4", label="no face"))
    handles += mark_doubtful(rows, table)
    if handles:
        figure.legend(handles=handles, loc="outside right upper", fontsize=8)
    figure.suptitle("\n".join(textwrap.wrap(title, 100) + textwrap.wrap(note, 100)), fontsize=10)
    figure.supxlabel(unit, fontsize=10)
    return figure


def _face_colour(face_id: int) -> tuple[float, float, float]:
    red, green, blue = FACES[face_id % len(FACES)]
    return red / 255, green / 255, blue / 255


def _gaps(table: pd.DataFrame) -> list[tuple[float, float]]:
    """Start and length in seconds of the stretches of frames without any face."""
    frames = table.groupby("frame")[["timestamp", "success"]].max()
    return stretches(frames["timestamp"].to_numpy(np.float64), frames["success"].to_numpy() == 0)


def _curve(axes: Axes, face: pd.DataFrame, name: str, colour: Any) -> None:
    """One face's intensities of one action unit, broken where frames are missing."""
    kinds = ("r", "lo", "hi") if f"{name}_lo" in face else ("r", "r", "r")
    seconds, value, low, high = (
        face[column].to_numpy(np.float64) for column in ("timestamp", *(f"{name}_{kind}" for kind in kinds))
    )
    if len(face) > 2 * _BINS:
        bins = np.rint((seconds - seconds[0]) / (seconds[-1] - seconds[0]) * (_BINS - 1)).astype(int)
        least, greatest = _binned(np.fmin, value, bins), _binned(np.fmax, value, bins)
        low, high = _binned(np.fmin, low, bins), _binned(np.fmax, high, bins)
        seconds = np.linspace(seconds[0], seconds[-1], _BINS)
    else:
        breaks = np.flatnonzero(np.diff(face["frame"]) > 1) + 1
        seconds, value, low, high = (np.insert(numbers, breaks, np.nan) for numbers in (seconds, value, low, high))
        least = greatest = value
    unknown = np.isnan(np.concatenate([[np.nan], least, [np.nan]]))
    alone = ~unknown[1:-1] & unknown[:-2] & unknown[2:]  # no line goes there
    axes.fill_between(seconds, low, high, color=colour, alpha=0.25, linewidth=0)
    axes.vlines(seconds[alone], low[alone], high[alone], color=colour, alpha=0.25, linewidth=4)
    axes.plot(np.repeat(seconds, 2), np.column_stack([least, greatest]).ravel(), color=colour, linewidth=1)
    axes.plot(seconds[alone], least[alone], ".", color=colour, markersize=4)


def _binned(extreme: np.ufunc, numbers: Any, bins: Any) -> Any:
    """The extreme in each bin; NaN where there is nothing in it."""
    found = np.full(_BINS, np.nan)
    extreme.at(found, bins, numbers)  # fmin and fmax pass over NaN
    return found


def breaks_of(seconds: Any) -> Any:
    """Places before which a gap of more than one and a half usual steps lies."""
    steps = np.diff(seconds)
    return np.flatnonzero(steps > 1.5 * np.median(steps)) + 1 if len(steps) else np.array([], dtype=int)
