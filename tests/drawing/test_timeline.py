"""What a video's timeline shows of AUs that do not move, of intervals that say nothing, and of faces above the curves.

tests/report/test_figures.py has the curves themselves.
"""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from aulight.datasets import DISFA_AUS
from aulight.drawing.names import au_name
from aulight.drawing.timeline import timeline
from aulight.facs import column

AUS = [column(au) for au in DISFA_AUS]


def predicted(frames: int, aus: list[str] = AUS) -> pd.DataFrame:
    """One face, whose AUs go up and down."""
    number = np.arange(1, frames + 1)
    table = pd.DataFrame({"frame": number, "face_id": 0, "timestamp": (number - 1) / 25, "success": 1})
    for place, au in enumerate(aus):
        values = 2.5 + 2 * np.sin(number / 20 + place)
        table[f"{au}_r"], table[f"{au}_lo"], table[f"{au}_hi"] = values, values - 0.5, values + 0.4
    return table


def texts(figure: object) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text))  # type: ignore[attr-defined]


def test_aus_that_hardly_move_share_one_row_and_intervals_that_say_nothing_are_not_drawn() -> None:
    table = predicted(200, AUS[:4])
    for au, level in ((AUS[1], 0.0), (AUS[2], 1.2)):
        table[f"{au}_r"] = level + 0.2 * np.sin(np.arange(200))
        table[f"{au}_lo"], table[f"{au}_hi"] = table[f"{au}_r"] - 0.1, table[f"{au}_r"] + 0.1
    table[f"{AUS[3]}_lo"], table[f"{AUS[3]}_hi"] = 0.0, 5.0
    figure = timeline(table, AUS[:4], "", "")
    names = [axes.get_ylabel().split("\n")[0] for axes in figure.axes]
    short = [au_name(au)[0] for au in AUS[:4]]
    assert names == [short[0], short[3], "hardly move:"]
    still = figure.axes[2]
    assert ", ".join(name.removeprefix("AU") for name in short[1:3]) in still.get_ylabel()
    means = [np.nanmean(np.asarray(line.get_ydata(), float)) for line in still.lines[::2]]
    assert means == pytest.approx([0.0, 1.2], abs=0.02)
    reach = [
        np.ptp(axes.collections[1].get_datalim(axes.transData).intervaly) - np.ptp(table[f"{au}_r"])
        for axes, au in zip(figure.axes[:2], (AUS[0], AUS[3]), strict=True)
    ]
    assert reach == pytest.approx([0.9, 0.0], abs=1e-6)
    assert f"all of 0 to 5: {AUS[3]}" in texts(figure)
    assert all(axes.get_ylim()[0] <= -0.3 for axes in figure.axes), "0 lies above the axis"


@pytest.mark.parametrize("seconds", [[0.0, 0.1, 0.2, 0.3, 0.4], [1.0, 4.0, 7.0], [7.96, 7.9], [3.0]])
def test_faces_of_a_timeline_stand_in_order_side_by_side(seconds: list[float]) -> None:
    shown = {at: (f"AU12 {at:.1f}", np.full((96, 96, 3), 40 * place, np.uint8)) for place, at in enumerate(seconds)}
    figure = timeline(predicted(200), AUS, "clip.mp4", "uncalibrated", "seconds", shown)
    figure.canvas.draw()
    (strip, *rows) = [axes for axes in figure.axes if not axes.images]
    edge, *boxes = [axes.get_window_extent() for axes in (strip, *strip.child_axes)]
    assert [axes.images[0].get_array()[0, 0, 0] for axes in strip.child_axes] == [  # type: ignore[index]
        40 * seconds.index(at) for at in sorted(seconds)
    ]
    assert edge.x0 - 1 <= boxes[0].x0
    assert boxes[-1].x1 <= edge.x1 + 1
    assert all(one.x1 <= other.x0 + 1 for one, other in itertools.pairwise(boxes))
    for axes in rows:
        assert sorted(seconds) == sorted(float(np.asarray(line.get_xdata())[0]) for line in axes.lines[2:])


def test_of_nothing_there_is_one_sentence() -> None:
    table = predicted(50)
    lost = table.assign(success=0, **dict.fromkeys(table.columns[4:], np.nan))
    nothing = table.assign(**dict.fromkeys(table.columns[4:], np.nan))
    for given, sentence in ((lost, "no face was found"), (table[:0], "no frames"), (nothing, "no scores")):
        figure = timeline(given, AUS, "clip.mp4", "")
        assert not figure.axes
        assert sorted(text.get_text() for text in figure.findobj(Text) if text.get_text()) == [
            "clip.mp4", sentence,
        ]  # fmt: skip
