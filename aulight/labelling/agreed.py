"""The agreement of coders as tables, a figure and the lines that are printed."""

import io
import math
import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

from matplotlib.figure import Figure

from aulight.drawing.style import all_looks, styled
from aulight.facs import short_name
from aulight.labelling.address import page_address
from aulight.labelling.agreement import Row
from aulight.labelling.export import UNKNOWN, csv_bytes
from aulight.labelling.together import Frame
from aulight.scoring.coders import MEASURES
from aulight.scoring.intervals import Interval
from aulight.settings.label import CONSENSUS

TITLES = {"icc31": "ICC(3,1)", "icc21": "ICC(2,1)", "kappa": "weighted kappa", "equal": "equal scores"}

TABLE, WORST, FIGURE = "agreement.csv", "worst_frames.csv", "agreement.png"

PRINTED = 5
"""Of the worst frames."""


def table_csv(rows: Sequence[Row]) -> bytes:
    """A row for each set of coders and AU: the measures, and the ends of their intervals; empty where undefined."""
    header = ["coders", "au", "frames", "people"]
    header += [f"{name}{end}" for name in MEASURES for end in ("", "_low", "_high")]
    lines = []
    for row in rows:
        cells = [" ".join(row.coders), row.au, str(row.frames), str(row.people)]
        for name in MEASURES:
            ends = row.intervals[name]
            low, high = ends if isinstance(ends, Interval) else (math.nan, math.nan)
            cells += ["" if math.isnan(value) else f"{value:.4f}" for value in (row.values[name], low, high)]
        lines.append(cells)
    return csv_bytes(header, lines)


def table_lines(rows: Sequence[Row], level: float) -> list[str]:
    """The same as text, a block for each set of coders."""
    titles = "".join(f"  {title:<20}" for title in TITLES.values())
    lines, reasons = list[str](), set[str]()
    for coders, mine in groupby(rows, key=lambda row: row.coders):
        lines += [f"{', '.join(coders)}:", f"  {'':6}{'frames':>6}{'people':>7}{titles}"]
        for row in mine:
            cells = [f"{_number(row.values[name])} {_ends(row.intervals[name])}" for name in MEASURES]
            reasons |= {end for end in row.intervals.values() if isinstance(end, str)} - {"undefined"}
            lines.append(f"  {row.au:6}{row.frames:>6}{row.people:>7}" + "".join(f"  {cell:<20}" for cell in cells))
    none = f"; where there is none: {', '.join(sorted(reasons))}" if reasons else ""
    return [line.rstrip() for line in lines] + [f"{100 * level:g}% intervals by the jackknife over people{none}"]


def worst_csv(frames: Sequence[Frame], folder: Path) -> bytes:
    """The frames on which coders differ, with the pictures of the sample.

    Links into the consensus round are printed alone: a page's token is not for all who may read the folder.
    """
    header = ["video", "frame", "apart", "scores", "picture"]
    pictures = {path.name for path in (folder / "images").glob("*.png")}
    rows = []
    for frame in frames:
        video, number = frame.key
        named = (name for name in pictures if re.fullmatch(rf"[0-9]+_{re.escape(f'{video}_{number}')}\.png", name))
        picture = next((f"images/{name}" for name in named), "")
        rows.append([video, str(number), str(frame.apart), said_of(frame), picture])
    return csv_bytes(header, rows)


def said_of(frame: Frame) -> str:
    """Where coders differ in a frame: ``AU12 c1 4, c2 1; AU25 c1 0, c2 ?``."""
    texts = []
    for au in frame.differing:
        said = (f"{who} {UNKNOWN if score is None else score}" for who, score in frame.said[au].items())
        texts.append(f"{short_name(au)} {', '.join(said)}")
    return "; ".join(texts)


def link(folder: Path, frame: Frame) -> str:
    """Where the frame is in the page of the consensus round, while that is served."""
    return f"{page_address(folder, CONSENSUS)}#{quote(frame.key[0], safe='')}/{frame.key[1]}"


@styled
def figure(rows: Sequence[Row], level: float) -> Figure:
    """A panel a measure: a dot with its interval for each AU and set of coders; of many sets, the first seven."""
    aus = list(dict.fromkeys(row.au for row in rows))
    sets = list(dict.fromkeys(", ".join(row.coders) for row in rows))
    looks = dict(zip(sets, all_looks(), strict=False))
    drawn = Figure(figsize=(max(6.4, 0.55 * len(aus) * max(1, len(sets) / 2) + 2), 8.5))
    for axes, name in zip(drawn.subplots(len(MEASURES), 1, sharex=True), MEASURES, strict=True):
        for place, coders in enumerate(looks):
            shift = (place - (len(looks) - 1) / 2) * 0.7 / max(len(looks), 1)
            look = looks[coders]
            for row in rows:
                if ", ".join(row.coders) == coders and not math.isnan(row.values[name]):
                    at, ends = aus.index(row.au) + shift, row.intervals[name]
                    if isinstance(ends, Interval):
                        axes.vlines(at, ends.low, ends.high, color=look["color"], linewidth=1.5)
                    axes.plot(at, row.values[name], look["marker"], color=look["color"], markersize=5)
        axes.set_ylabel(TITLES[name])
        axes.set_ylim(min(0.0, *axes.get_ylim()), 1.02)
        axes.axvline(len(aus) - 1.5, color="#bbbbbb", linewidth=0.8)
    axes.set_xticks(range(len(aus)), aus)
    axes.set_xlim(-0.6, len(aus) - 0.4)
    for coders, look in looks.items():
        axes.plot([], [], look["marker"], color=look["color"], label=coders)
    drawn.legend(loc="outside upper center", ncols=3)
    drawn.supxlabel(f"lines: {100 * level:g}% intervals by the jackknife over people", fontsize=9)
    return drawn


def png(drawn: Figure) -> bytes:
    """A figure as a PNG file."""
    file = io.BytesIO()
    drawn.savefig(file, format="png")
    return file.getvalue()


def _number(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.2f}"


def _ends(ends: Interval | str) -> str:
    return f"[{ends.low:.2f}, {ends.high:.2f}]" if isinstance(ends, Interval) else ""
