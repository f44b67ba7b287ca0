"""What all figures share."""

import warnings
from collections.abc import Callable
from functools import wraps
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
# https://jfly.uni-koeln.de/color/
_LOOKS: dict[str, Look] = {
    "pretrained": {"color": "#0072B2", "marker": "o", "linestyle": "-"},
    "scratch": {"color": "#D55E00", "marker": "s", "linestyle": "--"},
    "scratch_equal_compute": {"color": "#009E73", "marker": "D", "linestyle": "-."},
    "blendshapes": {"color": "#CC79A7", "marker": "^", "linestyle": ":"},
}
_MORE_LOOKS: tuple[Look, ...] = (
    {"color": "#E69F00", "marker": "v", "linestyle": (0, (5, 1))},
    {"color": "#56B4E9", "marker": "P", "linestyle": (0, (3, 1, 1, 1))},
    {"color": "#000000", "marker": "X", "linestyle": (0, (1, 1))},
)
STYLE: dict[Any, Any] = {
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
    with mpl.rc_context(STYLE), told_of(file), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # a name in another script: boxes
        metadata = {".pdf": {"CreationDate": None}, ".png": {"Comment": f"{MARK}{PLOT}"}}
        figure.savefig(file, metadata=metadata.get(file.suffix))
