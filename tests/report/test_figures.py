"""Figures: what they show, and that no text runs into other text."""

import re
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from aulight.datasets import DISFA_AUS
from aulight.drawing import against_truth, style, timeline
from aulight.drawing.against_truth import Timeline
from aulight.facs import AU_NAMES, column
from aulight.report import figures
from aulight.report.records import DatasetFacts, Record, Scores, Summary, Uncertainty
from aulight.scoring.intervals import Interval

AUS = [column(au) for au in DISFA_AUS]


def record(arm: str, fraction: float, icc: float, seeds: int = 1, undefined: str = "") -> Record:
    ends = Interval(icc - 0.05, icc + 0.04)
    others: dict[str, None] = dict.fromkeys(("mae", "mse", "pearson", "mae_ci", "mse_ci"))
    known, unknown = Scores(icc=icc, icc_ci=ends, **others), Scores(icc=None, icc_ci=None, **others)
    return Record(
        **vars(known),
        dataset="made",
        arm=arm,
        label_fraction=fraction,
        labelled_frames=100,
        steps=[300],
        seeds=list(range(seeds)),
        test_subjects=9,
        icc_seed_sd=None,
        icc_per_seed=[icc + 0.01 * k for k in range(seeds)],
        per_au={au: unknown if au == undefined else known for au in AUS},
        undefined_aus=[],
        runs=[],
        icc_rounded=None,
        icc_fold_mean=None,
        icc_subject_mean=None,
    )


def summary(records: list[Record]) -> Summary:
    return Summary(
        records=records,
        baselines=[],
        comparisons=[],
        datasets={"made": DatasetFacts(fingerprint="f1", aus=AUS, fps=25.0, test_subjects=9)},
        versions={},
        uncertainty=Uncertainty(
            over="subjects", intervals="jackknife", p_values="paired permutation", level=0.95, draws=1000, seed=0
        ),
        bars_fraction={"made": 0.02},
    )


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
EQUAL = summary(
    USUAL.records
    + [record("scratch_equal_compute", f, 0.4 + 0.3 * f, 3) for f in FRACTIONS if f != 0.02]
    + [record("scratch_strong", f, 0.35 + 0.3 * f, 3) for f in FRACTIONS]
)
ONE = summary([record("pretrained", 0.02, 0.5), record("scratch", 0.02, 0.4)])
COUNTED = replace(
    summary(
        [replace(record("pretrained", f, 0.5, 3), label_count=n) for f, n in ((0.02, 50), (0.04, 100))]
        + [record("pretrained", 1.0, 0.7), replace(record("scratch", 0.02, 0.4), label_count=50)]
    ),
    bars_count={"made": 50},
)


def example(aus: list[str]) -> Timeline:
    frames = np.r_[0:60, 90:160]
    true = np.tile(np.rint(2.5 + 2.5 * np.sin(frames / 20))[:, None], (1, len(aus)))
    true[5:9] = np.nan
    preds = {"pretrained": true * 0.8, "scratch": true * 0.4 + 1}
    return Timeline("made", "video_1", "S1", tuple(aus), "2%", 0, frames / 25, true, preds)


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
        assert len(drawn) > (5 if figure.axes else 1)  # or one sentence below a title
        boxes = [(text.get_text(), box) for text, box in drawn.items()]
        for name, box in boxes:
            assert box.x0 >= -1, name
            assert box.y0 >= -1, name
            assert box.x1 <= figure.bbox.x1 + 1, name
            assert box.y1 <= figure.bbox.y1 + 1, name
        for (one, of_one), (other, of_other) in combinations(boxes, 2):
            assert not of_one.padded(-1).overlaps(of_other.padded(-1)), (one, other)

    return check


@pytest.mark.parametrize("content", [USUAL, EQUAL, ODD, ONE, COUNTED])
def test_no_text_overlaps(assert_tidy: AssertTidy, content: Summary) -> None:
    for narrow in (False, True):
        assert_tidy(figures.label_efficiency(content, narrow))
        assert_tidy(figures.per_au(content, narrow))


@pytest.mark.parametrize("aus", [AUS, AUS[:5], AUS[:1]])
def test_no_text_overlaps_against_truth(assert_tidy: AssertTidy, aus: list[str]) -> None:
    for narrow in (False, True):
        assert_tidy(against_truth.against_truth(example(aus), narrow))


def test_label_efficiency_shows_fractions_and_arms() -> None:
    figure = figures.label_efficiency(USUAL)
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1%\n100", "2%\n100", "10%\n100", "100%\n100"]
    lines = [line for line in axes.lines if len(np.asarray(line.get_xdata())) == 4]
    drawn = [np.asarray(line.get_ydata()) for line in lines]
    assert np.allclose(drawn, [[r.icc or np.nan for r in USUAL.records[i : i + 4]] for i in (0, 4)])
    assert len(axes.collections) == 3  # two bands, and the error bar of equal compute
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "with stage one",
        "from scratch, equal compute",
        "from scratch",
    ]


def test_equal_compute_at_several_fractions_has_a_panel_beside_what_costs_as_much() -> None:
    steps, compute = figures.label_efficiency(EQUAL).axes
    assert (steps.get_title(), compute.get_title()) == ("the same steps with labels", "the same compute in all")
    iccs = {
        panel: [
            np.asarray(line.get_ydata()).tolist()
            for line in axes.lines
            if len(np.asarray(line.get_xdata())) == len(FRACTIONS)
        ]
        for panel, axes in (("steps", steps), ("compute", compute))
    }
    of = {arm: [r.icc for r in EQUAL.records if r.arm == arm] for arm in ("pretrained", "scratch", "scratch_strong")}
    equal = {r.label_fraction: r.icc for r in EQUAL.records if r.arm == "scratch_equal_compute"}
    assert iccs["steps"] == list(of.values())
    assert iccs["compute"] == [of["pretrained"], [equal[f] for f in FRACTIONS]]
    assert len(figures.label_efficiency(USUAL).axes) == 1  # a marker at its one fraction


def test_a_number_of_labels_is_shown_as_one() -> None:
    (axes,) = figures.label_efficiency(COUNTED).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["50\nlabels", "100\nlabels", "100%\n100"]
    (axes,) = figures.per_au(COUNTED).axes
    assert axes.get_title(loc="left") == "50 of the labels"
    assert len([bar for bars in axes.containers[::2] for bar in bars]) == 2 * (len(AUS) + 1)


def test_figures_say_how_many_subjects_there_are() -> None:
    few = [replace(r, test_subjects=3, icc_ci=None) if r.arm == "scratch" else r for r in USUAL.records]
    for content, note in (
        (USUAL, "95% jackknife intervals over 9 test subjects"),
        (replace(USUAL, records=few), "95% jackknife intervals over 9 test subjects"),
        (replace(USUAL, records=[replace(r, icc_ci=None) for r in USUAL.records]), "no intervals over 9 test subjects"),
    ):
        for figure in (figures.label_efficiency(content), figures.per_au(content)):
            assert note in texts(figure)
            legend = [text.get_text() for text in figure.legends[0].get_texts()]
            assert ("from scratch (3 test subjects)" in legend) == (content.records is few)


def test_per_au_shows_each_unit_and_the_mean() -> None:
    (axes,) = figures.per_au(USUAL).axes
    ticks = [label.get_text().split("\n")[0] for label in axes.get_xticklabels()]
    assert ticks == [f"AU{au}" for au in DISFA_AUS] + ["mean"]
    heights = [bar.get_height() for bars in axes.containers[::2] for bar in bars]
    assert len(axes.patches) == 3 * 13
    assert heights[:13] == pytest.approx([0.602] * 13)


def test_undefined_is_said_and_not_drawn_as_zero() -> None:
    (axes,) = figures.per_au(ODD).axes
    assert [text.get_text() for text in axes.texts] == ["undefined"] * 3


def test_against_truth_breaks_where_frames_are_missing() -> None:
    panel = against_truth.against_truth(example(AUS)).axes[0]
    for line in panel.lines:
        assert np.flatnonzero(np.isnan(np.asarray(line.get_xdata()))).tolist() == [60]
    assert [line.get_label() for line in panel.lines] == ["true", "with stage one", "from scratch"]


# ---- a video's own intensities ----------------------------------------------------------------------------------


def predicted(
    frames: int, aus: list[str] = AUS, faces: int = 1, intervals: bool = True, lost: tuple[int, int] | None = None
) -> pd.DataFrame:
    """What `predict` writes: later faces come later; nobody is found in the frames of ``lost``, without its end."""
    number = np.arange(1, frames + 1)
    parts = []
    for face in range(faces):
        part = pd.DataFrame({"frame": number, "face_id": face, "timestamp": (number - 1) / 25, "success": 1})
        for place, au in enumerate(aus):
            values = 2.5 + 2 * np.sin(number / 20 + place + face)
            part[f"{au}_r"] = values
            if intervals:
                part[f"{au}_lo"], part[f"{au}_hi"] = values - 0.5, values + 0.4
        part = part[part["frame"] > 10 * face]
        if lost is not None:
            gone = part["frame"].between(lost[0], lost[1] - 1)
            part.loc[gone, "success"] = 0
            part.loc[gone, part.columns[4:].tolist()] = np.nan
        parts.append(part)
    return pd.concat(parts).sort_values(["frame", "face_id"], ignore_index=True)


def without_scores(table: pd.DataFrame, au: str) -> pd.DataFrame:
    """The same where one action unit has none."""
    return table.assign(**{f"{au}_{kind}": np.nan for kind in ("r", "lo", "hi") if f"{au}_{kind}" in table})


NOTE = "uncalibrated: from blendshapes"
TABLES = {
    "no scores": without_scores(predicted(200, lost=(50, 70), faces=2, intervals=False), AUS[1]),
    "usual": predicted(200, lost=(50, 70)),
    "one AU": predicted(200, AUS[:1], intervals=False),
    "all AUs": predicted(100, [column(au) for au in AU_NAMES], faces=6),
    "no face": predicted(80, lost=(1, 81)),
    "one frame": predicted(1),
    "no frame": predicted(0),
}


def aus_of(table: pd.DataFrame) -> list[str]:
    return [str(name).removesuffix("_r") for name in table.columns if str(name).endswith("_r")]


def texts(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text))


@pytest.mark.parametrize(
    ("name", "title"), [*((name, "clip.mp4") for name in TABLES), ("usual", "a very long name of a video " * 8)]
)
def test_no_text_overlaps_in_timelines(assert_tidy: AssertTidy, name: str, title: str) -> None:
    table = TABLES[name]
    figure = timeline.timeline(table, aus_of(table), title, NOTE)
    assert_tidy(figure)
    assert NOTE in texts(figure)
    assert ("no face was found" in texts(figure)) == (name == "no face")
    assert ("no frames" in texts(figure)) == (name == "no frame")
    assert texts(figure).count("no scores") == (name == "no scores")


def test_timeline_shows_every_value_and_where_there_is_none() -> None:
    """The table is the oracle: lines hold its values, broken where there are none, bands its intervals."""
    table = predicted(200, lost=(50, 70))
    figure = timeline.timeline(table, AUS, "clip.mp4", "")
    assert len(figure.axes) == len(AUS)
    for axes, au in zip(figure.axes, AUS, strict=True):
        grey, band, _ = axes.collections
        assert np.allclose(grey.get_paths()[0].get_extents().intervalx, [(48.5) / 25, 68.5 / 25])
        x, y = np.asarray(axes.lines[0].get_data())[:, ::2]
        known = table[table["success"] == 1]
        assert np.allclose(x[~np.isnan(y)], known["timestamp"])
        assert np.allclose(y[~np.isnan(y)], known[f"{au}_r"])
        assert np.flatnonzero(np.isnan(y)).tolist() == [49]
        low, high = band.get_datalim(axes.transData).intervaly
        assert low == pytest.approx(known[f"{au}_lo"].min())
        assert high == pytest.approx(known[f"{au}_hi"].max())
    assert "no face" in texts(figure)


def test_timeline_draws_single_frames_as_dots() -> None:
    table = predicted(9, AUS[:1])
    table.loc[table["frame"].isin([2, 4]), "success"] = 0
    (axes,) = timeline.timeline(table, AUS[:1], "", "").axes
    assert np.allclose(axes.lines[1].get_xdata(), [0, 2 / 25])
    assert np.allclose(axes.lines[1].get_ydata(), table[f"{AUS[0]}_r"][[0, 2]])


def test_long_timelines_lose_no_peak() -> None:
    """Ten minutes with a peak and a dip of one frame each, and a gap: there with fewer points than frames."""
    table = predicted(15_000, AUS[:1], lost=(3000, 4000))
    value = f"{AUS[0]}_r"
    table.loc[7000, value], table.loc[9001, value] = 4.99, 0.01
    (axes,) = timeline.timeline(table, AUS[:1], "", "").axes
    x, y = (np.asarray(numbers) for numbers in axes.lines[0].get_data())
    assert len(x) < 3000
    assert (np.nanmax(y), np.nanmin(y)) == (4.99, 0.01)
    assert x[np.nanargmax(y)] == pytest.approx(7000 / 25, abs=0.3)
    assert x[np.nanargmin(y)] == pytest.approx(9001 / 25, abs=0.3)
    inside = (x > 3000 / 25 + 0.5) & (x < 3998 / 25 - 0.5)
    assert np.isnan(y[inside]).all()
    assert not np.isnan(y[x < 2998 / 25 - 0.5]).any()


def test_faces_of_a_timeline_have_their_colours_and_are_few() -> None:
    """Those that are there in most frames; the others are counted."""
    figure = timeline.timeline(predicted(100, AUS[:2], faces=6, intervals=False), AUS[:2], "", "")
    lines = figure.axes[1].lines[::2]
    colours = [(0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167)]
    assert np.allclose([line.get_color() for line in lines], np.array(colours) / 255)
    assert [len(np.asarray(line.get_xdata())) for line in lines] == [200, 180, 160, 140]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["face 0", "face 1", "face 2", "face 3", "2 more,\nnot drawn"]
    assert not timeline.timeline(predicted(100, AUS[:2]), AUS[:2], "", "").legends


def test_narrow_bars_are_those_of_the_wide_figure() -> None:
    (wide,), (narrow,) = figures.per_au(USUAL).axes, figures.per_au(USUAL, narrow=True).axes
    heights = [bar.get_height() for bars in wide.containers[::2] for bar in bars]
    assert [bar.get_width() for bars in narrow.containers[::2] for bar in bars] == heights
    assert [label.get_text() for label in narrow.get_yticklabels()] == [*(f"AU{au}" for au in DISFA_AUS), "mean"]
    assert figures.per_au(USUAL, narrow=True).get_figwidth() < 4


def test_every_colour_of_a_figure_has_one_for_the_dark() -> None:
    """So that nothing stays dark on dark; a page shows it in the browser's test."""
    for figure in (
        figures.label_efficiency(ODD),
        figures.per_au(ODD),
        figures.per_au(USUAL, narrow=True),
        against_truth.against_truth(example(AUS)),
    ):
        drawn = style.svg(figure)
        look, _, content = drawn.partition("</style>")
        colours = set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", content))
        assert len(colours) > 5
        assert colours <= set(re.findall(r'"fill: (#[0-9a-f]{6})"', look)), colours
        texts = re.findall(r'<g id="text_\d+">\s*<!--.*?-->\s*<g( style="fill: #[0-9a-f]{6}")?', content, re.DOTALL)
        assert len(texts) > 5
        assert all(texts)  # one without a colour is black, whatever the look
    assert style.svg(figures.label_efficiency(USUAL)) == style.svg(figures.label_efficiency(USUAL))


def test_saved_files_are_the_same_twice(tmp_path: Path) -> None:
    for suffix in ("png", "pdf"):
        files = [tmp_path / f"{name}.{suffix}" for name in "ab"]
        for file in files:
            style.save(against_truth.against_truth(example(AUS)), file)
        assert files[0].read_bytes() == files[1].read_bytes()
    picture = imread(tmp_path / "a.png")
    assert picture.shape[:2] == (1080, 1500)
