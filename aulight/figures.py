"""Every plot: label efficiency, bars per action unit, intensities over time, alone and against the truth.

Functions take what ``summary.json`` holds, so that a notebook can draw the same from a report's files. No
pyplot and no global state: figures are plain objects, saved by Agg.
"""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, NullLocator

from aulight.facs import AU_NAMES, MAX_INTENSITY
from aulight.overlay import FACES, MOST
from aulight.results import LABELS, Timeline, arms, percent

# Okabe and Ito's palette, told apart with every kind of colour vision; markers and dashes say it again.
# https://jfly.uni-koeln.de/color/
_LOOKS = {
    "pretrained": {"color": "#0072B2", "marker": "o", "linestyle": "-"},
    "scratch": {"color": "#D55E00", "marker": "s", "linestyle": "--"},
    "scratch_equal_compute": {"color": "#009E73", "marker": "D", "linestyle": "-."},
    "blendshapes": {"color": "#CC79A7", "marker": "^", "linestyle": ":"},
}
_MORE_LOOKS = (
    {"color": "#E69F00", "marker": "v", "linestyle": (0, (5, 1))},
    {"color": "#56B4E9", "marker": "P", "linestyle": (0, (3, 1, 1, 1))},
    {"color": "#000000", "marker": "X", "linestyle": (0, (1, 1))},
)
_STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "figure.dpi": 150,
    "pdf.fonttype": 42,
    "figure.constrained_layout.use": True,
}


def _styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    @wraps(draw)
    def styled(*args: Any, **kwargs: Any) -> Figure:
        with mpl.rc_context(_STYLE):
            return draw(*args, **kwargs)

    return styled


def _looks(names: list[str]) -> dict[str, dict[str, Any]]:
    others = [name for name in names if name not in _LOOKS]
    return {name: _LOOKS.get(name) or _MORE_LOOKS[others.index(name) % len(_MORE_LOOKS)] for name in names}


def _value(number: float | None) -> float:
    return np.nan if number is None else number


def _ends(record: Mapping[str, Any]) -> tuple[float, float]:
    """Ends of the interval around a record's ICC; both at the ICC where there is none."""
    low, high = record["icc_ci"] or (record["icc"], record["icc"])
    return _value(low), _value(high)


def _interval_note(summary: Mapping[str, Any], what: str) -> str:
    return f"{what}: {100 * summary['bootstrap']['level']:g}% bootstrap intervals over test subjects"


@_styled
def label_efficiency(summary: Mapping[str, Any]) -> Figure:
    """ICC against the share of labels: a line with an interval band for each arm, a panel per dataset.

    ``scratch_equal_compute``, and an arm that was run at one fraction only, is a marker with an error bar.
    Small dots are seeds.
    """
    datasets = list(summary["datasets"])
    looks = _looks(arms(summary["records"]))
    figure = Figure(figsize=(6.4 if len(datasets) == 1 else 4.4 * len(datasets), 4.6))
    panels = figure.subplots(1, len(datasets), squeeze=False, sharey=True)[0]
    for axes, dataset in zip(panels, datasets, strict=True):
        mine = [record for record in summary["records"] if record["dataset"] == dataset]
        fractions = sorted({record["label_fraction"] for record in mine})
        names = arms(mine)
        for i, arm in enumerate(names):
            records = sorted((r for r in mine if r["arm"] == arm), key=lambda r: float(r["label_fraction"]))
            look = looks[arm]
            x = np.array([record["label_fraction"] for record in records])
            if len(fractions) == 1:  # side by side, as there is no line to follow
                x *= 1.04 ** (i - (len(names) - 1) / 2)
            y = np.array([_value(record["icc"]) for record in records])
            low, high = np.array([_ends(record) for record in records]).T
            if arm == "scratch_equal_compute" or len(records) == 1:
                gap = np.nan_to_num(np.maximum([y - low, high - y], 0))
                # Hollow, so that a line's marker below it can be seen.
                fill = "none" if arm == "scratch_equal_compute" else look["color"]
                bar = {"capsize": 4, "markersize": 8, "markerfacecolor": fill, "markeredgewidth": 2}
                axes.errorbar(x, y, gap, color=look["color"], marker=look["marker"], ls="none", zorder=4, **bar)
            else:
                axes.fill_between(x, low, high, color=look["color"], alpha=0.15, linewidth=0)
                axes.plot(x, y, **look, markersize=6, linewidth=2, zorder=3)
            for place, record in zip(x, records, strict=True):
                seeds = [_value(value) for value in record["icc_per_seed"]]
                if len(seeds) > 1:
                    axes.plot(
                        [place] * len(seeds),
                        seeds,
                        ".",
                        color=look["color"],
                        markersize=4,
                        alpha=0.6,
                        zorder=2,
                    )
        axes.set_xscale("log")
        axes.set_xlim(fractions[0] / 1.35, fractions[-1] * 1.35)
        axes.xaxis.set_major_locator(FixedLocator(fractions))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticks(fractions, _spaced(fractions))
        axes.set_xlabel("labelled share of the training frames")
        if len(datasets) > 1:
            axes.set_title(dataset)
    low_end, high_end = panels[0].get_ylim()
    panels[0].set_ylim(min(low_end, 0), max(high_end, 0.05))
    panels[0].set_ylabel("ICC(3,1), mean over action units")
    handles = [
        Line2D(
            [],
            [],
            color=look["color"],
            marker=str(look["marker"]),
            linestyle="none" if arm == "scratch_equal_compute" else look["linestyle"],
            linewidth=2,
            markeredgewidth=2 if arm == "scratch_equal_compute" else 1,
            markerfacecolor="none" if arm == "scratch_equal_compute" else look["color"],
            label=LABELS.get(arm, arm),
        )
        for arm, look in looks.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=min(4, len(handles)))
    figure.supxlabel(_interval_note(summary, "Bands and bars") + "; dots: seeds", fontsize=8, color="#555555")
    return figure


def _spaced(fractions: list[float]) -> list[str]:
    """Labels of the ticks; one that would run into its left neighbour stays empty."""
    labels: list[str] = []
    last = -np.inf
    span = np.log10(fractions[-1] / fractions[0]) or 1.0
    for fraction in fractions:
        place = np.log10(fraction)
        room = place - last > 0.07 * span
        labels.append(percent(fraction) if room else "")
        last = place if room else last
    return labels


@_styled
def per_au(summary: Mapping[str, Any], fractions: Mapping[str, float]) -> Figure:
    """Bars of the ICC of each action unit and their mean, side by side for the arms; a row per dataset.

    Args:
        summary: What ``summary.json`` holds.
        fractions: The label fraction to show for each dataset.
    """
    looks = _looks(arms(summary["records"]))
    widest = max(len(summary["datasets"][dataset]["aus"]) for dataset in fractions)
    figure = Figure(figsize=(max(6.4, 1.6 + 0.75 * (widest + 1)), 4.2 * len(fractions)))
    rows = figure.subplots(len(fractions), 1, squeeze=False)[:, 0]
    for axes, (dataset, fraction) in zip(rows, fractions.items(), strict=True):
        mine = [r for r in summary["records"] if r["dataset"] == dataset and r["label_fraction"] == fraction]
        aus = summary["datasets"][dataset]["aus"]
        names = arms(mine)
        width = 0.8 / max(1, len(names))
        # A wider gap sets the mean apart.
        centres = np.append(np.arange(len(aus)), len(aus) + 0.3)
        for i, arm in enumerate(names):
            record = next(r for r in mine if r["arm"] == arm)
            parts = [*(record["per_au"][au] for au in aus), record]
            height = np.array([_value(part["icc"]) for part in parts])
            low, high = np.array([_ends(part) for part in parts]).T
            x = centres + (i - (len(names) - 1) / 2) * width
            colour = looks[arm]["color"]
            axes.bar(x, height, width * 0.92, color=colour, label=LABELS.get(arm, arm))
            shown = ~np.isnan(height)
            gap = np.maximum([height - low, high - height], 0)[:, shown]
            axes.errorbar(x[shown], height[shown], gap, fmt="none", ecolor="#333333", elinewidth=1, capsize=1.5)
            for place in x[~shown]:
                word = {"rotation": 90, "ha": "center", "va": "bottom", "fontsize": 7, "color": colour}
                axes.text(place, 0.01, "undefined", **word)
        axes.axhline(0, color="#333333", linewidth=0.8)
        axes.axvline(len(aus) - 0.35, color="#bbbbbb", linewidth=0.8)
        axes.set_xticks(centres, [*(_au_label(au) for au in aus), "mean"], fontsize=8)
        axes.set_xlim(-0.6, centres[-1] + 0.6)
        axes.tick_params(axis="x", length=0)
        axes.set_ylabel("ICC(3,1)")
        where = f"{dataset}: " if len(fractions) > 1 else ""
        axes.set_title(f"{where}{percent(fraction)} of the labels", loc="left")
    handles = {label: bar for axes in rows for bar, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles, loc="outside upper center", ncols=min(4, len(handles)))
    figure.supxlabel(_interval_note(summary, "Error bars"), fontsize=8, color="#555555")
    return figure


def _au_name(column: str) -> tuple[str, str]:
    number = int(column.removeprefix("AU"))
    return f"AU{number}", AU_NAMES.get(number, "")


def _au_label(column: str) -> str:
    short, name = _au_name(column)
    return "\n".join([short, *name.split()])


@_styled
def against_truth(line: Timeline) -> Figure:
    """Predicted against true intensity over time: a panel per action unit, a line per arm."""
    columns = min(3, len(line.aus))
    rows = -(-len(line.aus) // columns)
    figure = Figure(figsize=(10, 1.2 + 1.5 * rows))
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    # Frames without a face are missing: lines break there.
    breaks = _breaks(line.seconds)
    seconds = np.insert(line.seconds, breaks, np.nan)
    looks = _looks(list(line.preds))
    for i, axes in enumerate(panels.flat):
        if i >= len(line.aus):
            axes.set_visible(False)
            panels[rows - 2, i % columns].tick_params(labelbottom=True)
            continue
        _panel(axes, line, i, breaks, seconds, looks)
    panels[0, 0].set_ylim(-0.15, MAX_INTENSITY + 0.15)
    panels[0, 0].set_yticks(range(MAX_INTENSITY + 1))
    panels[0, 0].set_xlim(line.seconds.min(), line.seconds.max())
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(handles))
    figure.supylabel("intensity", fontsize=10)
    about = f"video {line.video_id}, subject {line.subject}, {percent(line.label_fraction)} of the labels"
    figure.supxlabel(f"seconds ({about}, seed {line.seed})", fontsize=10)
    return figure


def _panel(
    axes: Axes,
    line: Timeline,
    i: int,
    breaks: Any,
    seconds: Any,
    looks: Mapping[str, Mapping[str, Any]],
) -> None:
    true = np.insert(line.true[:, i], breaks, np.nan)
    axes.fill_between(seconds, true, color="#000000", alpha=0.13, linewidth=0, step="mid")
    axes.step(seconds, true, where="mid", color="#555555", linewidth=1, label="true")
    for rank, (arm, preds) in enumerate(line.preds.items()):
        values = np.insert(preds[:, i], breaks, np.nan)
        look = {"color": looks[arm]["color"], "linewidth": 1.3, "zorder": 3 - 0.1 * rank}
        axes.plot(seconds, values, label=LABELS.get(arm, arm), **look)
    axes.set_title(" ".join(_au_name(line.aus[i])), loc="left", fontsize=9, pad=3)


_BINS = 1300
"""Pixels that a row of :func:`timeline` is wide, or nearly."""


@_styled
def timeline(table: pd.DataFrame, columns: Sequence[str], title: str, note: str) -> Figure:
    """Intensities in a video over time: a row per action unit, a line per face, a band where there are intervals.

    Grey is where no face was found. Of many faces, those that were found in most frames are drawn. Where frames are
    more than pixels, the line goes through the least and the greatest value in each pixel.

    Args:
        table: A row per frame and face, in order: ``frame``, ``face_id``, ``timestamp`` (seconds), ``success`` (0, 1),
            ``AU01_r`` ... and, where there are intervals, ``AU01_lo``, ``AU01_hi`` ...
        columns: Names of the action units, ``AU01`` ...
        title: Of the figure.
        note: What is to be known of it; may be empty.
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
        axes.tick_params(axis="y", labelsize=7, length=2)
        axes.set_ylabel("\n".join(_au_name(name)), rotation=0, ha="right", va="center", fontsize=8)
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
    if handles:
        figure.legend(handles=handles, loc="outside right upper", fontsize=8)
    figure.suptitle("\n".join(textwrap.wrap(title, 100) + textwrap.wrap(note, 100)), fontsize=10)
    figure.supxlabel("seconds", fontsize=10)
    return figure


def _face_colour(face_id: int) -> tuple[float, float, float]:
    red, green, blue = FACES[face_id % len(FACES)]
    return red / 255, green / 255, blue / 255


def _gaps(table: pd.DataFrame) -> list[tuple[float, float]]:
    """Start and length in seconds of the stretches of frames without any face."""
    frames = table.groupby("frame")[["timestamp", "success"]].max()
    seconds = frames["timestamp"].to_numpy(np.float64)
    step = np.median(np.diff(seconds)) if len(seconds) > 1 else 1.0
    edges = np.append(seconds, seconds[-1:] + step) - step / 2
    changes = np.flatnonzero(np.diff(np.concatenate([[0], frames["success"].to_numpy() == 0, [0]])))
    return [(edges[start], edges[end] - edges[start]) for start, end in changes.reshape(-1, 2)]


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


def _breaks(seconds: Any) -> Any:
    """Places before which a gap of more than one and a half usual steps lies."""
    steps = np.diff(seconds)
    return np.flatnonzero(steps > 1.5 * np.median(steps)) + 1 if len(steps) else np.array([], dtype=int)


def save(figure: Figure, file: Path) -> None:
    """Write a figure as the kind of file that its suffix names; the same figure gives the same bytes."""
    with mpl.rc_context(_STYLE):
        figure.savefig(file, metadata={"CreationDate": None} if file.suffix == ".pdf" else None)
