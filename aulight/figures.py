"""Every plot: label efficiency, bars per action unit, and predicted against true intensity over time.

Functions take what ``summary.json`` holds, so that a notebook can draw the same from a report's files. No
pyplot and no global state: figures are plain objects, saved by Agg.
"""

from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from aulight.facs import AU_NAMES, MAX_INTENSITY
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
def timeline(line: Timeline) -> Figure:
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


def _breaks(seconds: Any) -> Any:
    """Places before which a gap of more than one and a half usual steps lies."""
    steps = np.diff(seconds)
    return np.flatnonzero(steps > 1.5 * np.median(steps)) + 1 if len(steps) else np.array([], dtype=int)


def save(figure: Figure, file: Path) -> None:
    """Write a figure as the kind of file that its suffix names; the same figure gives the same bytes."""
    with mpl.rc_context(_STYLE):
        figure.savefig(file, metadata={"CreationDate": None} if file.suffix == ".pdf" else None)
