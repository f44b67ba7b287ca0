"""Figures: what they show, and that no text runs into other text."""

from collections.abc import Callable
from io import BytesIO
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from aulight import figures
from aulight.facs import DISFA_AUS, column
from aulight.results import Timeline

AUS = [column(au) for au in DISFA_AUS]


def record(arm: str, fraction: float, icc: float, seeds: int = 1, undefined: str = "") -> dict[str, Any]:
    ends = [icc - 0.05, icc + 0.04]
    per_au = {au: {"icc": None, "icc_ci": None} if au == undefined else {"icc": icc, "icc_ci": ends} for au in AUS}
    return {
        "dataset": "made",
        "arm": arm,
        "label_fraction": fraction,
        "icc": icc,
        "icc_ci": ends,
        "icc_per_seed": [icc + 0.01 * k for k in range(seeds)],
        "per_au": per_au,
    }


def summary(records: list[dict[str, Any]]) -> dict[str, Any]:
    return {"records": records, "datasets": {"made": {"aus": AUS}}, "bootstrap": {"level": 0.95}}


FRACTIONS = (0.01, 0.02, 0.1, 1.0)
USUAL = summary(
    [record("pretrained", f, 0.6 + 0.1 * f, 3) for f in FRACTIONS]
    + [record("scratch", f, 0.3 + 0.4 * f, 3) for f in FRACTIONS]
    + [record("scratch_equal_compute", 0.02, 0.5, 3)]
)
ODD = summary(
    [
        record(arm, f, -0.1 + 0.2 * k, undefined="AU05" if k else "")
        for k, arm in enumerate(("pretrained", "scratch", "dense", "predictive"))
        for f in (0.005, 0.01, 0.02, 0.021, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0)
    ]
)
ONE = summary([record("pretrained", 0.02, 0.5), record("scratch", 0.02, 0.4)])


def timeline(aus: list[str]) -> Timeline:
    frames = np.r_[0:60, 90:160]
    true = np.tile(np.rint(2.5 + 2.5 * np.sin(frames / 20))[:, None], (1, len(aus)))
    true[5:9] = np.nan
    preds = {"pretrained": true * 0.8, "scratch": true * 0.4 + 1}
    return Timeline("made", "video_1", "S1", tuple(aus), 0.02, 0, frames / 25, true, preds)


AssertTidy = Callable[[Figure], None]


@pytest.fixture
def assert_tidy(monkeypatch: pytest.MonkeyPatch) -> AssertTidy:
    """Checks that every two texts that are drawn lie apart, and all inside the figure."""
    drawn: dict[Text, Bbox] = {}  # saving draws twice, the layout is right the second time
    draw = Text.draw

    def spy(text: Text, renderer: RendererBase) -> None:
        if text.get_visible() and text.get_text().strip():
            drawn[text] = text.get_window_extent(renderer)
        draw(text, renderer)

    def check(figure: Figure) -> None:
        drawn.clear()
        with monkeypatch.context() as patch:
            patch.setattr(Text, "draw", spy)
            figure.savefig(BytesIO(), format="png")
        assert len(drawn) > 5
        boxes = [(text.get_text(), box) for text, box in drawn.items()]
        for name, box in boxes:
            assert box.x0 >= -1, name
            assert box.y0 >= -1, name
            assert box.x1 <= figure.bbox.x1 + 1, name
            assert box.y1 <= figure.bbox.y1 + 1, name
        for (one, of_one), (other, of_other) in combinations(boxes, 2):
            assert not of_one.padded(-1).overlaps(of_other.padded(-1)), (one, other)

    return check


@pytest.mark.parametrize("content", [USUAL, ODD, ONE])
def test_no_text_overlaps(assert_tidy: AssertTidy, content: dict[str, Any]) -> None:
    assert_tidy(figures.label_efficiency(content))
    assert_tidy(figures.per_au(content, {"made": 0.02}))


@pytest.mark.parametrize("aus", [AUS, AUS[:5], AUS[:1]])
def test_no_text_overlaps_in_timelines(assert_tidy: AssertTidy, aus: list[str]) -> None:
    assert_tidy(figures.timeline(timeline(aus)))


def test_label_efficiency_shows_fractions_and_arms() -> None:
    figure = figures.label_efficiency(USUAL)
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1%", "2%", "10%", "100%"]
    lines = [line for line in axes.lines if len(np.asarray(line.get_xdata())) == 4]
    drawn = [np.asarray(line.get_ydata()) for line in lines]
    assert np.allclose(drawn, [[r["icc"] for r in USUAL["records"][i : i + 4]] for i in (0, 4)])
    assert len(axes.collections) == 3  # two bands, and the error bar of equal compute
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "pretrained",
        "scratch, equal compute",
        "scratch",
    ]


def test_per_au_shows_each_unit_and_the_mean() -> None:
    (axes,) = figures.per_au(USUAL, {"made": 0.02}).axes
    ticks = [label.get_text().split("\n")[0] for label in axes.get_xticklabels()]
    assert ticks == [f"AU{au}" for au in DISFA_AUS] + ["mean"]
    heights = [bar.get_height() for bars in axes.containers[::2] for bar in bars]
    assert len(axes.patches) == 3 * 13
    assert heights[:13] == pytest.approx([0.602] * 13)


def test_undefined_is_said_and_not_drawn_as_zero() -> None:
    (axes,) = figures.per_au(ODD, {"made": 0.02}).axes
    assert [text.get_text() for text in axes.texts] == ["undefined"] * 3


def test_timeline_breaks_where_frames_are_missing() -> None:
    panel = figures.timeline(timeline(AUS)).axes[0]
    for line in panel.lines:
        assert np.flatnonzero(np.isnan(np.asarray(line.get_xdata()))).tolist() == [60]
    assert [line.get_label() for line in panel.lines] == ["true", "pretrained", "scratch"]


def test_saved_files_are_the_same_twice(tmp_path: Path) -> None:
    for suffix in ("png", "pdf"):
        files = [tmp_path / f"{name}.{suffix}" for name in "ab"]
        for file in files:
            figures.save(figures.timeline(timeline(AUS)), file)
        assert files[0].read_bytes() == files[1].read_bytes()
    picture = imread(tmp_path / "a.png")
    assert picture.shape[:2] == (1080, 1500)
