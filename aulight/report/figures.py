"""Figures of a report: label efficiency, and each action unit."""

from collections.abc import Mapping
from functools import partial
from textwrap import fill
from typing import NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from aulight.drawing.names import au_label, model_name
from aulight.drawing.style import INK, NARROW, QUIET, looks_of, styled
from aulight.facs import au_of, short_name
from aulight.report.labels import Labels
from aulight.report.markup import count
from aulight.report.records import Scores, Summary, arms
from aulight.scoring.intervals import INTERVAL_SUBJECTS

EQUAL = "scratch_equal_compute"
"""The arm that costs as much as both stages."""


def _value(number: float | None) -> float:
    return np.nan if number is None else number


def _ends(scores: Scores) -> tuple[float, float]:
    """Ends of the interval around an ICC; both at the ICC where there is none."""
    low, high = scores.icc_ci or (scores.icc, scores.icc)
    return _value(low), _value(high)


def _interval_note(summary: Summary, what: str) -> str:
    how = summary.uncertainty
    if all(record.icc_ci is None for record in summary.records):
        return f"no intervals over {_tested(summary)}, {INTERVAL_SUBJECTS} are needed"
    return f"{what}: {100 * how.level:g}% {how.intervals} intervals over {_tested(summary)}"


def _tested(summary: Summary) -> str:
    """How many subjects were tested, for example ``40 test subjects``."""
    numbers = [(name, of.test_subjects) for name, of in summary.datasets.items()]
    if len(numbers) > 1:
        return f"test subjects ({', '.join(f'{name}: {number}' for name, number in numbers)})"
    return count(numbers[0][1], "test subject")


def _label(summary: Summary, arm: str) -> str:
    """What the legend calls an arm; with how many subjects it was tested on, where others were tested on more."""
    mine = [record for record in summary.records if record.arm == arm]
    fewer = [r.test_subjects for r in mine if r.test_subjects < summary.datasets[r.dataset].test_subjects]
    return model_name(arm) + (f" ({count(min(fewer), 'test subject')})" if fewer else "")


class Panel(NamedTuple):
    """A panel of the label efficiency.

    Attributes:
        dataset: Whose runs it shows.
        arms: Which of them.
        title: What it compares, in words; none where there is one panel.
    """

    dataset: str
    arms: list[str]
    title: str


def _of_equal_compute(summary: Summary) -> set[str]:
    """Datasets on which equal compute was run at several label fractions."""
    of = [record.dataset for record in summary.records if record.arm == EQUAL]
    return {dataset for dataset in of if of.count(dataset) > 1}


def _panels(summary: Summary) -> list[Panel]:
    """A panel per dataset; two where equal compute was run at several fractions: equal steps, and equal compute."""
    panels = []
    for dataset in summary.datasets:
        mine = [record for record in summary.records if record.dataset == dataset]
        where = f"{dataset}: " if len(summary.datasets) > 1 else ""
        if dataset in _of_equal_compute(summary):
            others = [arm for arm in arms(mine) if arm != EQUAL]
            paid = [arm for arm in arms(mine) if arm in ("pretrained", EQUAL)]
            panels.append(Panel(dataset, others, f"{where}the same steps with labels"))
            panels.append(Panel(dataset, paid, f"{where}the same compute in all"))
        else:
            panels.append(Panel(dataset, arms(mine), dataset if where else ""))
    return panels


@styled
def label_efficiency(summary: Summary, narrow: bool = False) -> Figure:
    """ICC against the share of labels: a line with an interval band for each arm, a panel per dataset.

    An arm that was run at one fraction only is a marker with an error bar, and so is ``scratch_equal_compute``; where
    this was run at several, it has a panel of its own, beside what it costs as much as. Small dots are seeds.

    Args:
        summary: What is drawn.
        narrow: For a phone: panels lie below each other.
    """
    shown = _panels(summary)
    looks = looks_of(arms(summary.records))
    number = len(shown)
    figure = Figure(figsize=(NARROW, 1.3 + 2.9 * number) if narrow else (6.4 if number == 1 else 4.4 * number, 4.6))
    shape = (number, 1) if narrow else (1, number)
    axes_of = figure.subplots(*shape, squeeze=False, sharey=True).ravel()
    for axes, panel in zip(axes_of, shown, strict=True):
        _curves(axes, summary, panel, narrow)
    low_end, high_end = axes_of[0].get_ylim()
    axes_of[0].set_ylim(min(low_end, 0), max(high_end, 0.05))
    for axes in axes_of if narrow else axes_of[:1]:
        axes.set_ylabel("ICC(3,1), mean over AUs" if narrow else "ICC(3,1), mean over action units")
    hollow = set() if _of_equal_compute(summary) else {EQUAL}
    handles = [
        Line2D(
            [],
            [],
            color=look["color"],
            marker=look["marker"],
            linestyle="none" if arm in hollow else look["linestyle"],
            linewidth=2,
            markeredgewidth=2 if arm in hollow else 1,
            markerfacecolor="none" if arm in hollow else look["color"],
            label=_label(summary, arm),
        )
        for arm, look in looks.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=1 if narrow else _columns(summary, number))
    _say_below(figure, _interval_note(summary, "Bands and bars") + "; dots: seeds", narrow)
    return figure


def _curves(axes: Axes, summary: Summary, panel: Panel, narrow: bool) -> None:
    """The lines and markers of one panel, over the label fractions of its dataset."""
    of_dataset = [record for record in summary.records if record.dataset == panel.dataset]
    looks = looks_of(arms(summary.records))
    ticks = {record.label_fraction: record.labels for record in of_dataset}
    fractions = sorted(ticks)
    for i, arm in enumerate(panel.arms):
        records = sorted((r for r in of_dataset if r.arm == arm), key=lambda r: r.label_fraction)
        look = looks[arm]
        x = np.array([record.label_fraction for record in records])
        if len(fractions) == 1:  # side by side, as there is no line to follow
            x *= 1.04 ** (i - (len(panel.arms) - 1) / 2)
        y = np.array([_value(record.icc) for record in records])
        low, high = np.array([_ends(record) for record in records]).T
        if len(records) == 1:
            gap = np.nan_to_num(np.maximum([y - low, high - y], 0))
            # Hollow, so that a line's marker below it can be seen.
            fill = "none" if arm == EQUAL else look["color"]
            bar = partial(axes.errorbar, capsize=4, markersize=8, markerfacecolor=fill, markeredgewidth=2)
            bar(x, y, gap, color=look["color"], marker=look["marker"], ls="none", zorder=4)
        else:
            axes.fill_between(x, low, high, color=look["color"], alpha=0.15, linewidth=0)
            axes.plot(x, y, **look, markersize=6, linewidth=2, zorder=3)
        for place, record in zip(x, records, strict=True):
            seeds = [_value(value) for value in record.icc_per_seed]
            if len(seeds) > 1:
                axes.plot([place] * len(seeds), seeds, ".", color=look["color"], markersize=4, alpha=0.6, zorder=2)
    axes.set_xscale("log")
    axes.set_xlim(fractions[0] / 1.35, fractions[-1] * 1.35)
    axes.xaxis.set_major_locator(FixedLocator(fractions))
    axes.xaxis.set_minor_locator(NullLocator())
    frames = {f: min(record.labelled_frames for record in of_dataset if record.label_fraction == f) for f in fractions}
    axes.set_xticks(fractions, _spaced({f: _tick(ticks[f], frames[f]) for f in fractions}, 0.15 if narrow else 0.07))
    axes.set_xlabel(
        "labelled training frames:\ntheir share and their number"
        if narrow
        else "labelled training frames: their share and their number"
    )
    axes.set_title(panel.title)


def _columns(summary: Summary, panels: int) -> int:
    """How many columns a legend has, so that it is no wider than the figure."""
    letters = max(len(_label(summary, arm)) for arm in arms(summary.records)) + 8  # its line, and a gap
    return max(1, min(len(arms(summary.records)), (90 if panels == 1 else 62 * panels) // letters))


def _say_below(figure: Figure, text: str, narrow: bool) -> None:
    figure.supxlabel(fill(text, 52) if narrow else text, fontsize=8, color=QUIET)


def _tick(labels: Labels, frames: int) -> str:
    """What was asked for, and how many labelled frames that were."""
    return f"{labels}\n{'labels' if labels.number is not None else frames}"


def _spaced(names: Mapping[float, str], least: float) -> list[str]:
    """Labels of the ticks, by label fraction; one nearer to its left neighbour than a share of the axis stays empty."""
    labels: list[str] = []
    last = -np.inf
    fractions = list(names)
    span = np.log10(fractions[-1] / fractions[0]) or 1.0
    for fraction in fractions:
        place = np.log10(fraction)
        room = place - last > least * span
        labels.append(names[fraction] if room else "")
        last = place if room else last
    return labels


@styled
def per_au(summary: Summary, narrow: bool = False) -> Figure:
    """Bars of the ICC of each action unit and their mean, side by side for the arms shown; a panel per dataset.

    Args:
        summary: What is drawn.
        narrow: For a phone: bars lie, a row an action unit.
    """
    bars = summary.bars
    widest = max(len(summary.datasets[dataset].aus) for dataset in bars)
    most = max(len(arms(summary.shown(dataset))) for dataset in bars)
    size = (NARROW, 1.4 + (0.2 + 0.16 * most) * (widest + 1)) if narrow else (max(6.4, 1.6 + 0.75 * (widest + 1)), 4.2)
    figure = Figure(figsize=(size[0], size[1] * len(bars)))
    for axes, dataset in zip(figure.subplots(len(bars), 1, squeeze=False)[:, 0], bars, strict=True):
        _bars(axes, summary, dataset, narrow)
        where = f"{dataset}: " if len(bars) > 1 else ""
        axes.set_title(f"{where}{bars[dataset]} of the labels", loc="left")
    handles = dict[str, Artist]()
    for axes in figure.axes:
        drawn, labels = axes.get_legend_handles_labels()
        handles |= dict(zip(labels, drawn, strict=True))
    columns = 1 if narrow else max(1, min(len(handles), int(14 * size[0]) // (max(map(len, handles)) + 6)))
    figure.legend(handles.values(), handles, loc="outside upper center", ncols=columns)
    _say_below(figure, _interval_note(summary, "Error bars"), narrow)
    return figure


def _bars(axes: Axes, summary: Summary, dataset: str, lying: bool) -> None:
    """The bars of one dataset."""
    mine, aus = summary.shown(dataset), summary.datasets[dataset].aus
    names, looks = arms(mine), looks_of(arms(summary.records))
    width = 0.8 / max(1, len(names))
    # A wider gap sets the mean apart.
    centres = np.append(np.arange(len(aus)), len(aus) + 0.3)
    for i, arm in enumerate(names):
        record = next(r for r in mine if r.arm == arm)
        parts: list[Scores] = [*(record.per_au[au] for au in aus), record]
        height = np.array([_value(part.icc) for part in parts])
        low, high = np.array([_ends(part) for part in parts]).T
        x = centres + (i - (len(names) - 1) / 2) * width
        colour = looks[arm]["color"]
        (axes.barh if lying else axes.bar)(x, height, width * 0.92, color=colour, label=_label(summary, arm))
        shown = ~np.isnan(height)
        gap = np.maximum([height - low, high - height], 0)[:, shown]
        error = partial(axes.errorbar, fmt="none", color="#333333", elinewidth=1, capsize=1.5)
        if lying:
            error(height[shown], x[shown], xerr=gap)
        else:
            error(x[shown], height[shown], yerr=gap)
        word = partial(axes.text, s="undefined", fontsize=7, color=colour)
        for place in x[~shown]:
            if lying:
                word(0.01, place, ha="left", va="center")
            else:
                word(place, 0.01, rotation=90, ha="center", va="bottom")
    (axes.axvline if lying else axes.axhline)(0, color=INK, linewidth=0.8)
    (axes.axhline if lying else axes.axvline)(len(aus) - 0.35, color="#bbbbbb", linewidth=0.8)
    ends = (-0.6, centres[-1] + 0.6)
    if lying:
        axes.set_yticks(centres, [*(short_name(au_of(au)) for au in aus), "mean"], fontsize=9)
        axes.set_ylim(*reversed(ends))
        axes.tick_params(axis="y", length=0)
        axes.grid(False, axis="y")
        axes.grid(True, axis="x")
        axes.set_xlabel("ICC(3,1)")
    else:
        axes.set_xticks(centres, [*(au_label(au) for au in aus), "mean"], fontsize=8)
        axes.set_xlim(*ends)
        axes.tick_params(axis="x", length=0)
        axes.set_ylabel("ICC(3,1)")
