"""Predicted against true intensities of a test video over time."""

from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aulight.drawing.names import au_name, model_name
from aulight.drawing.style import INK, NARROW, QUIET, Look, looks_of, styled
from aulight.drawing.timeline import breaks_of
from aulight.facs import MAX_INTENSITY
from aulight.scoring.agreement import Array

TIMELINE_SECONDS = 20


@dataclass(frozen=True)
class Timeline:
    """Predicted against true intensities of one test video.

    Attributes:
        dataset: The dataset's name.
        video_id: The video.
        subject: Who is in it.
        aus: Columns of the A action units.
        labels: How many labels the runs had that predicted it, for example ``2%``.
        seed: Their seed.
        seconds: (N,) time of the frames.
        true: (N, A) labels, NaN where unknown.
        preds: (N, A) predictions by arm.
    """

    dataset: str
    video_id: str
    subject: str
    aus: tuple[str, ...]
    labels: str
    seed: int
    seconds: Array
    true: Array
    preds: dict[str, Array]


@styled
def against_truth(line: Timeline, narrow: bool = False) -> Figure:
    """Predicted against true intensity over time: a panel per action unit, a line per arm; narrow for a phone."""
    columns = 1 if narrow else min(3, len(line.aus))
    rows = -(-len(line.aus) // columns)
    figure = Figure(figsize=(NARROW, 1.6 + 1.2 * rows) if narrow else (10, 1.2 + 1.5 * rows))
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    # Frames without a face are missing: lines break there.
    breaks = breaks_of(line.seconds)
    seconds = np.insert(line.seconds, breaks, np.nan)
    looks = looks_of(list(line.preds))
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
    figure.legend(handles, labels, loc="outside upper center", ncols=1 if narrow else len(handles))
    figure.supylabel("intensity", fontsize=10)
    about = f"video {line.video_id}, subject {line.subject}, {line.labels} of the labels"
    said = f"seconds ({about}, seed {line.seed})"
    figure.supxlabel(fill(said, 44) if narrow else said, fontsize=10)
    return figure


def _panel(
    axes: Axes,
    line: Timeline,
    i: int,
    breaks: Any,
    seconds: Any,
    looks: Mapping[str, Look],
) -> None:
    true = np.insert(line.true[:, i], breaks, np.nan)
    axes.fill_between(seconds, true, color=INK, alpha=0.13, linewidth=0, step="mid")
    axes.step(seconds, true, where="mid", color=QUIET, linewidth=1, label="true")
    for rank, (arm, preds) in enumerate(line.preds.items()):
        values = np.insert(preds[:, i], breaks, np.nan)
        label, colour = model_name(arm), looks[arm]["color"]
        axes.plot(seconds, values, label=label, color=colour, linewidth=1.3, zorder=3 - 0.1 * rank)
    axes.set_title(" ".join(au_name(line.aus[i])), loc="left", fontsize=9, pad=3)
