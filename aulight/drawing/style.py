"""What all figures share."""

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from io import StringIO
from pathlib import Path
from typing import Any, Literal, TypedDict

import matplotlib as mpl
from matplotlib.figure import Figure

from aulight.data.marks import MARK, PLOT
from aulight.files import told_of


class Look(TypedDict):
    """How an arm is drawn, in matplotlib's words."""

    color: str
    marker: str
    linestyle: Literal["-", "--", "-.", ":"] | tuple[int, tuple[int, ...]]


# Okabe and Ito's palette, told apart with every kind of colour vision; markers and dashes say it again.
# https://jfly.uni-koeln.de/color/ ; its black a little lighter, since SVG leaves #000000 unsaid, on dark pages too
_LOOKS: dict[str, Look] = {
    "pretrained": {"color": "#0072B2", "marker": "o", "linestyle": "-"},
    "scratch": {"color": "#D55E00", "marker": "s", "linestyle": "--"},
    "scratch_equal_compute": {"color": "#009E73", "marker": "D", "linestyle": "-."},
    "blendshapes": {"color": "#CC79A7", "marker": "^", "linestyle": ":"},
    "default_model": {"color": "#E69F00", "marker": "v", "linestyle": (0, (5, 1))},
    "scratch_strong": {"color": "#6a3d9a", "marker": "p", "linestyle": (0, (4, 2, 1, 2))},
    "frozen": {"color": "#8c8c00", "marker": "*", "linestyle": (0, (2, 2))},
}
_MORE_LOOKS: tuple[Look, ...] = (
    {"color": "#56B4E9", "marker": "P", "linestyle": (0, (3, 1, 1, 1))},
    {"color": "#010101", "marker": "X", "linestyle": (0, (1, 1))},
    {"color": "#8a5a2b", "marker": "<", "linestyle": (0, (1, 3))},
    {"color": "#a50026", "marker": "h", "linestyle": (0, (6, 2, 1, 1))},
    {"color": "#66a61e", "marker": ">", "linestyle": (0, (6, 2))},
    {"color": "#7570b3", "marker": "d", "linestyle": (0, (3, 2))},
)
INK, QUIET = "#1b1f24", "#555555"
"""Of text and lines, and of what is said beside a figure."""

NARROW = 3.6
"""Inches that a figure is wide on a phone, where its text is as large as the page's."""

_DARK = {
    "#ffffff": "#14171c",
    INK: "#e6e9ed",
    QUIET: "#9aa4b0",
    "#333333": "#c9d1d9",
    "#bbbbbb": "#56606b",
    "#dddddd": "#39414b",
    "#010101": "#ffffff",
    "#0072b2": "#5aa9e6",
    "#d55e00": "#ff8f4a",
    "#009e73": "#2ec4a0",
    "#cc79a7": "#e79ac7",
    "#e69f00": "#f0b93a",
    "#56b4e9": "#9bd7f5",
    "#8a5a2b": "#c9935a",
    "#6a3d9a": "#b692e0",
    "#8c8c00": "#cfcf4d",
    "#a50026": "#ff6f7d",
    "#66a61e": "#a3d95b",
    "#7570b3": "#a9a4f0",
}
"""Every colour of figures, and what it is on a dark page; two that differ in one look differ in the other."""

STYLE: dict[Any, Any] = {
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
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
    "svg.hashsalt": "aulight",
    "figure.constrained_layout.use": True,
}


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Makes a function draw in the style that all figures share."""

    @wraps(draw)
    def styled(*args: Any, **kwargs: Any) -> Figure:
        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return styled


def looks_of(names: list[str]) -> dict[str, Look]:
    """Colour, marker and line of each arm, the same in every figure."""
    others = [name for name in names if name not in _LOOKS]
    return {name: _LOOKS.get(name) or _MORE_LOOKS[others.index(name) % len(_MORE_LOOKS)] for name in names}


def all_looks() -> list[Look]:
    """Every look that there is, for what are no arms."""
    return [*_LOOKS.values(), *_MORE_LOOKS]


def save(figure: Figure, file: Path) -> None:
    """Write a figure as the kind of file that its suffix names; the same figure gives the same bytes."""
    with told_of(file), _saving():
        metadata = {".pdf": {"CreationDate": None}, ".png": {"Comment": f"{MARK}{PLOT}"}}
        figure.savefig(file, metadata=metadata.get(file.suffix))


def svg(figure: Figure) -> str:
    """A figure as SVG that follows the look of the page that it is on, light or dark."""
    text = StringIO()
    with _saving():
        figure.savefig(text, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    rules = "".join(
        f'[style*="{what}: {light}"] {{ {what}: {dark} !important }}\n'
        for light, dark in _DARK.items()
        for what in ("fill", "stroke")
    )
    look = f"<style>@media (prefers-color-scheme: dark) {{\n{rules}}}</style>"
    drawn = text.getvalue()
    start = drawn.index("<svg")
    return re.sub(r"(<svg[^>]*>)", rf"\1\n {look}", drawn[start:], count=1)


@contextmanager
def _saving() -> Iterator[None]:
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # a name in another script: boxes
        yield
