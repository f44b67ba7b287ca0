"""Intensities of a video over time."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from aulight.data.video.types import Frames
from aulight.drawing.bars import FACES, MOST
from aulight.drawing.doubtful import mark_doubtful, stretches
from aulight.drawing.names import au_name
from aulight.drawing.style import styled
from aulight.facs import MAX_INTENSITY

_BINS = 1300
"""Pixels that a row of :func:`timeline` is wide, or nearly."""


STILL = 0.5
"""By how much an intensity changes at least in a video for its AU to have a row of its own."""


@styled
def timeline(
    table: pd.DataFrame,
    columns: Sequence[str],
    title: str,
    note: str,
    unit: str = "seconds",
    faces: Mapping[float, tuple[str, Frames]] | None = None,
) -> Figure:
    """Intensities in a video over time: a row per action unit, a line per face, a band where there are intervals.

    Grey is where no face was found, and yellow where faces are seen badly. Action units that hardly move, those without
    scores and those whose intervals are all of the scale are named: the first share one row, and such intervals are not
    drawn. Of many faces, those that were found in most frames are drawn. Where frames are more than pixels, the line
    goes through the least and the greatest value in each pixel. Of a video without a face there is one sentence.

    Args:
        table: A row per frame and face, in order: ``frame``, ``face_id``, ``timestamp`` (seconds), ``success`` (0, 1),
            ``quality`` where it is known, ``AU01_r`` ... and, where there are intervals, ``AU01_lo``, ``AU01_hi`` ...
        columns: Names of the action units, ``AU01`` ...
        title: Of the figure.
        note: What is to be known of it; may be empty.
        unit: What ``timestamp`` counts.
        faces: Pictures that are shown above, by their timestamps: what is written to them, and RGB of any size.
    """
    head = textwrap.wrap(title, 100) + textwrap.wrap(note, 100)
    found = table[table["success"] == 1]
    if found.empty:
        return _sentence("\n".join(head), "no face was found" if len(table) else "no frames")
    counts = found.groupby("face_id").size().sort_values(ascending=False, kind="stable")
    people = {int(face): found[found["face_id"] == face] for face in sorted(counts.index[:MOST])}
    empty = [name for name in columns if found[f"{name}_r"].isna().all()]
    still = [name for name in columns if name not in empty and _is_still(list(people.values()), name)]
    wide = [name for name in columns if name not in empty and _says_nothing(found, name)]
    moving = [name for name in columns if name not in (*empty, *still)]
    pictures = dict(faces or {})
    if not moving and not still:
        return _sentence("\n".join(head), "no scores")

    count = len(moving) + bool(still)
    heights = [1.1] * bool(pictures) + [0.6] * count
    figure = Figure(figsize=(10, 1.2 + 0.17 * len(head) + sum(heights)))
    rows = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    strip, rows = (rows[0], rows[1:]) if pictures else (None, rows)
    gaps = _gaps(table)
    for axes, names in zip(rows, [*([name] for name in moving), *([still] if still else [])], strict=True):
        axes.broken_barh(gaps, (-1, MAX_INTENSITY + 2), color=_GREY, linewidth=0)
        for face, mine in people.items():
            for name in names:
                _curve(axes, mine, name, _face_colour(face), band=name not in wide)
        axes.tick_params(axis="y", labelsize=7, length=2)
        axes.set_ylim(-0.4, MAX_INTENSITY + 0.25)
        axes.set_yticks(range(MAX_INTENSITY + 1), ["0", *[""] * (MAX_INTENSITY - 1), str(MAX_INTENSITY)])
        axes.set_ylabel("\n".join(_row_name(names)), rotation=0, ha="right", va="center", fontsize=8)
        axes.spines["bottom"].set_visible(axes is rows[-1])
        axes.tick_params(axis="x", length=3 if axes is rows[-1] else 0, labelbottom=axes is rows[-1])
    start, end = table["timestamp"].min(), table["timestamp"].max()
    limits = (start, end) if start < end else (start - 0.5, start + 0.5)
    for axes in rows:
        axes.set_xlim(limits)
        axes.set_xticks([start] if start == end else rows[-1].get_xticks(), minor=False)
        axes.set_xlim(limits)
    if strip is not None:
        _faces_above(strip, pictures, limits)
        for axes in rows:
            for seconds in pictures:
                axes.axvline(seconds, color="#999999", linewidth=0.6, linestyle=(0, (2, 2)), zorder=0)
    handles: list[Artist] = []
    if len(counts) > 1:
        handles += [Line2D([], [], color=_face_colour(face), label=f"face {face}") for face in people]
    if len(counts) > len(people):
        handles.append(Line2D([], [], linestyle="none", label=f"{len(counts) - len(people)} more,\nnot drawn"))
    if gaps:
        handles.append(Patch(color=_GREY, label="no face"))
    handles += mark_doubtful(rows, table)
    if handles:
        figure.legend(handles=handles, loc="outside right upper", fontsize=8)
    figure.suptitle("\n".join(head), fontsize=10)
    said = [f"no scores: {', '.join(empty)}"] if empty else []
    said += [f"intervals not drawn, for they are all of 0 to 5: {', '.join(wide)}"] if wide else []
    figure.supxlabel("\n".join([unit, *(line for text in said for line in textwrap.wrap(text, 110))]), fontsize=9)
    return figure


_GREY = "#e4e4e4"


def _sentence(title: str, sentence: str) -> Figure:
    figure = Figure(figsize=(10, 1.5))
    figure.suptitle(title, fontsize=10)
    figure.text(0.5, 0.4, sentence, ha="center", va="center", fontsize=12)
    return figure


def _is_still(people: Sequence[pd.DataFrame], name: str) -> bool:
    """Whether no face moves an AU; of films of few frames none counts as still."""
    values = [face[f"{name}_r"] for face in people if len(face) > 1]
    return bool(values) and all(not of.max() - of.min() >= STILL for of in values)


def _says_nothing(found: pd.DataFrame, name: str) -> bool:
    """Whether the intervals of an AU are all of the scale."""
    if f"{name}_lo" not in found:
        return False
    low, high = found[f"{name}_lo"].dropna(), found[f"{name}_hi"].dropna()
    return bool(len(low)) and bool((low <= 0).all()) and bool((high >= MAX_INTENSITY).all())


def _row_name(names: Sequence[str]) -> Sequence[str]:
    if len(names) == 1:
        return au_name(names[0])
    return ["hardly move:", *textwrap.wrap(", ".join(au_name(name)[0].removeprefix("AU") for name in names), 24)]


def _faces_above(axes: Axes, pictures: Mapping[float, tuple[str, Frames]], limits: tuple[float, float]) -> None:
    """Pictures over their moments, moved aside where they would lie over each other."""
    axes.set_axis_off()
    axes.set_xlim(limits)
    axes.set_ylim(0, 1)
    wide, span = 0.105, limits[1] - limits[0]
    moments = sorted(pictures)
    places = [min(max((seconds - limits[0]) / span, wide / 2), 1 - wide / 2) for seconds in moments]
    for one in range(1, len(places)):
        places[one] = max(places[one], places[one - 1] + wide)
    limit = 1 - wide / 2
    for one in reversed(range(len(places))):
        places[one] = limit = min(places[one], limit)
        limit -= wide
    for seconds, place in zip(moments, places, strict=True):
        text, picture = pictures[seconds]
        side = axes.inset_axes((place - wide / 2, 0.0, wide, 0.78))
        side.imshow(picture, aspect="equal")
        side.set_axis_off()
        axes.text(place, 0.82, text, transform=axes.transAxes, ha="center", va="bottom", fontsize=7)
        axes.plot(
            [place, (seconds - limits[0]) / span], [0, -0.12], transform=axes.transAxes, color="#999999",
            linewidth=0.6, clip_on=False,
        )  # fmt: skip


def _face_colour(face_id: int) -> tuple[float, float, float]:
    red, green, blue = FACES[face_id % len(FACES)]
    return red / 255, green / 255, blue / 255


def _gaps(table: pd.DataFrame) -> list[tuple[float, float]]:
    """Start and length in seconds of the stretches of frames without any face."""
    frames = table.groupby("frame")[["timestamp", "success"]].max()
    return stretches(frames["timestamp"].to_numpy(np.float64), frames["success"].to_numpy() == 0)


def _curve(axes: Axes, face: pd.DataFrame, name: str, colour: Any, band: bool) -> None:
    """One face's intensities of one action unit, broken where frames are missing, with its intervals or without."""
    kinds = ("r", "lo", "hi") if band and f"{name}_lo" in face else ("r", "r", "r")
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
