"""What a report answers first: verdicts by their bounds, and advice that numbers bear out."""

import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import scipy.stats
import yaml

from aulight.report import collect
from aulight.report.beside import Presence
from aulight.report.presence import presence_of
from aulight.report.questions import FEW_PRESENT, REACH, answers
from aulight.report.records import Comparison, Record, Scores, Side, Summary
from aulight.report.verdict import is_doubtful, verdict, word
from aulight.scoring.intervals import Interval

from .test_figures import AUS, record, summary

NOTHING: dict[str, None] = dict.fromkeys(("mse", "pearson", "mae_ci", "mse_ci"))


def scores(icc: float | None, low: float | None = None, high: float | None = None) -> Scores:
    ends = None if low is None or high is None else Interval(low, high)
    return Scores(**NOTHING, mae=0.5, icc=icc, icc_ci=ends, no_icc_ci=None if ends else "needs 5 subjects")


@pytest.mark.parametrize(
    ("icc", "said"),
    [(-0.2, "poor"), (0.499, "poor"), (0.5, "moderate"), (0.749, "moderate"), (0.75, "good"), (0.9, "excellent")],
)
def test_words_are_those_of_koo_and_li(icc: float, said: str) -> None:
    assert word(icc) == said


@pytest.mark.parametrize(
    ("of", "said"),
    [
        (scores(0.6, 0.55, 0.7), "moderate"),
        (scores(0.6, 0.3, 0.8), "poor to good"),
        (scores(0.95), "excellent, by itself (needs 5 subjects)"),
        (scores(None), "undefined: constant labels"),
        (replace(scores(None), mae=None), "undefined: no labels"),
    ],
)
def test_a_verdict_is_on_the_interval(of: Scores, said: str) -> None:
    assert verdict(of) == said


def test_doubtful_is_what_is_not_known_to_be_moderate() -> None:
    clear, doubtful = (scores(0.6, 0.5, 0.7), scores(0.6)), (scores(0.6, 0.49, 0.7), scores(0.4), scores(None))
    assert [is_doubtful(of) for of in (*clear, *doubtful)] == [False] * 2 + [True] * 3


def pair(one: Record, other: Record, gap: float, ends: tuple[float, float] | None) -> Comparison:
    return Comparison(
        dataset="made",
        arm=one.arm,
        label_fraction=one.label_fraction,
        against=Side(arm=other.arm, label_fraction=other.label_fraction),
        icc=one.icc,
        against_icc=other.icc,
        ratio=None,
        difference=gap,
        difference_ci=None if ends is None else Interval(*ends),
        no_difference_ci="needs 5 subjects" if ends is None else None,
        icc_per_seed=[],
        against_icc_per_seed=[],
        seeds_apart=False,
        intervals_apart=False,
    )


FEW = replace(record("pretrained", 0.02, 0.6), labelled_frames=100)
MANY = replace(record("pretrained", 1.0, 0.7), labelled_frames=1600)
SCRATCH = record("scratch", 0.02, 0.4)


def told(content: Summary, question: str) -> str:
    return "\n".join(answers(content, "made")[question])


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ((-0.15, -0.05), "Yes: from 100 to 1,600 labelled frames the mean ICC went up by 0.100 (0.025 for each d"),
        ((-0.15, 0.05), "That they help is not shown: from 100 to 1,600"),
        (None, "It is not known: from 100 to 1,600 labelled frames the mean ICC went up by 0.100"),
    ],
)
def test_more_labels_are_advised_where_they_helped(ends: tuple[float, float] | None, said: str) -> None:
    """Four doublings from 100 to 1600 frames: 0.1 / 4 each."""
    content = replace(summary([FEW, MANY]), comparisons=[pair(FEW, MANY, -0.1, ends)])
    assert f"More labels? {said}" in told(content, "What to do next?")


def test_one_share_of_labels_tells_nothing_of_more() -> None:
    assert "More labels? Runs with one share of labels cannot tell." in told(summary([FEW]), "What to do next?")


def test_aus_that_few_frames_show_are_named_with_how_many_frames_would_do() -> None:
    presence = {au: Presence(share=0.2, subjects=9, learned_from=50) for au in AUS}
    presence["AU05"] = Presence(share=0.01, subjects=2, learned_from=4)
    said = answers(summary([replace(FEW, presence=presence)]), "made")
    advice = "\n".join(said["What to do next?"])
    assert f"AU5 (4) (in brackets: how many). At the rate of the rarest, {FEW_PRESENT * 100 // 4:,} random" in advice
    assert "AU12" not in advice
    assert "rest on them: AU5 (2) (in brackets: people)" in "\n".join(said["On how many people?"])
    unknown = {au: replace(of, learned_from=None) for au, of in presence.items()}
    assert "Which AU?" not in told(summary([replace(FEW, presence=unknown)]), "What to do next?")


@pytest.mark.parametrize(("half", "people"), [(0.2, 6), (0.3, 9), (0.105, 12)])
def test_more_people_are_advised_where_the_interval_is_wide(half: float, people: int) -> None:
    """Oracle: the reach of Student's t for the same spread between people, one person after the other."""
    of = replace(FEW, icc=0.5, icc_ci=Interval(0.5 - half, 0.5 + half), test_subjects=people)
    spread = half / scipy.stats.t.ppf(0.975, people - 1) * math.sqrt(people)
    needed = people
    while scipy.stats.t.ppf(0.975, needed - 1) * spread / math.sqrt(needed) > REACH:
        needed += 1
    assert f"about {needed} that differ as these do" in told(summary([of]), "What to do next?")


def test_a_narrow_interval_asks_for_nobody_and_few_people_for_more() -> None:
    assert "More people? Not for the mean: 9 test people tell it to ±0.045." in told(summary([FEW]), "What to do next?")
    few = replace(FEW, icc_ci=None, no_icc_ci="needs 5 subjects", test_subjects=3)
    assert "More people? Yes: below 5 test people" in told(summary([few]), "What to do next?")
    assert "has no interval (needs 5 subjects)" in told(summary([few]), "May I trust it?")


def test_others_that_do_as_well_are_named() -> None:
    for ends, said in (((-0.05, 0.1), "that may be chance"), ((0.1, 0.3), "more than chance among people")):
        content = replace(summary([FEW, SCRATCH]), comparisons=[pair(FEW, SCRATCH, 0.2, ends)])
        assert f"0.200 above the model from scratch (difference [{ends[0]:.3f}, {ends[1]:.3f}]): {said}" in told(
            content, "May I trust it?"
        )


def test_presence_is_counted_in_frames_and_people(tmp_path: Path) -> None:
    """Oracle: counted by hand. Two runs test different people and learned from different frames."""
    tested: dict[str, list[int | None]] = {"S1": [0, 1, None, 5], "S2": [0, 0, 0, 0]}
    learned: list[list[int | None]] = [[1, 2, None], [0, 3, 4, 5]]
    for fold, (subject, labels) in enumerate(tested.items()):
        folder = tmp_path / f"run{fold}"
        folder.mkdir()
        meta = {
            "command": "finetune", "outcome": "done", "arm": "scratch", "label_fraction": 1.0, "labelled_frames": 3,
            "fold": fold, "seed": 0, "label_seed": 0, "steps": 1, "train_label_mean": {"AU12": 1.0}, "versions": {},
            "dataset": {"name": "made", "fingerprint": "f", "aus": [12], "fps": 25.0}, "config": {"model": {}},
        }  # fmt: skip
        (folder / "run.yaml").write_text(yaml.safe_dump(meta))
        table = pd.DataFrame({"video_id": "v", "subject": subject, "frame": range(4), "AU12_pred": 0.0})
        table["AU12_true"] = pd.array(labels, dtype="Int8")
        table.to_parquet(folder / "predictions.parquet")
        used = pd.DataFrame({"AU12": pd.array(learned[fold], dtype="Int8")})
        used.to_parquet(folder / "labels_used.parquet")
    runs, _ = collect.collect(tmp_path)
    assert presence_of(runs) == {"AU12": Presence(share=2 / 7, subjects=1, learned_from=2)}  # 2 and 3 frames: 2.5
    (tmp_path / "run1/labels_used.parquet").unlink()
    assert presence_of(runs)["AU12"].learned_from is None
