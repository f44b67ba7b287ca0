"""The trust centre: who is learned from, and which labels are drawn, against slow loops."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from aulight import protocol
from aulight.errors import AulightError

PARTS = ("train", "validation", "test", "unlabelled")


def split(**parts: tuple[str, ...]) -> protocol.Split:
    plain: dict[str, Any] = {"train": ("a", "b"), "validation": ("c",), "test": ("d",), "unlabelled": ("e",)}
    return protocol.Split("own", 1, **plain | parts)


def table(rows: int) -> pd.DataFrame:
    return pd.DataFrame({"video_id": "v", "frame": range(rows), "subject": "a", "AU01": 1})


# -- the split ---------------------------------------------------------------------------------------------------


def test_stage_one_sees_the_unlabelled_and_the_training_subjects_only() -> None:
    assert split().stage_one == ("e", "a", "b")


@pytest.mark.parametrize("first", PARTS)
@pytest.mark.parametrize("second", PARTS)
def test_a_subject_in_two_parts_is_named(first: str, second: str) -> None:
    if first != second:
        with pytest.raises(AulightError, match=rf"protocol own: x in both ({first} and {second}|{second} and {first})"):
            split(**{first: ("x", "y"), second: ("z", "x")})


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_an_empty_part_is_named(part: str) -> None:
    with pytest.raises(AulightError, match=f"protocol own, fold 1: no {part} subjects"):
        split(**{part: ()})


def test_no_unlabelled_subjects_are_needed() -> None:
    assert split(unlabelled=()).stage_one == ("a", "b")


def test_own_split_is_the_column_of_the_videos() -> None:
    videos = pd.DataFrame(
        [("s2", "train"), ("s1", "train"), ("s2", "train"), ("s3", "test"), ("s4", "validation"), ("s5", "unlabelled")],
        columns=["subject", "split"],
    )
    own = protocol.own_split(videos, "faces")
    assert own == protocol.Split("own", 1, ("s1", "s2"), ("s4",), ("s3",), ("s5",))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("a", "train"), ("b", "holdout")], "dataset faces: .* unknown split 'holdout'"),
        ([("a", "train"), ("b", "test")], "no validation subjects"),
        ([("a", "train"), ("b", "validation"), ("a", "test")], "a in both "),
        ([("a", "train"), ("b", "validation"), ("c", None)], "no test subjects"),
    ],
)
def test_own_split_that_is_none_is_named(rows: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(AulightError, match=message):
        protocol.own_split(pd.DataFrame(rows, columns=["subject", "split"]), "faces")


def test_no_split_column_is_named() -> None:
    with pytest.raises(AulightError, match=r"dataset faces: videos\.parquet has no column 'split'"):
        protocol.own_split(pd.DataFrame({"subject": ["a"]}), "faces")


# -- usable labels -----------------------------------------------------------------------------------------------

_INTENSITY = st.sampled_from([None, None, 0, 1, 5])
_FRAME = st.tuples(st.booleans(), st.sampled_from([0.0, 0.2, 1.0]), _INTENSITY, _INTENSITY)


@settings(max_examples=60, deadline=None)
@given(
    videos=st.lists(st.tuples(st.sampled_from("abcd"), st.lists(_FRAME, max_size=6)), min_size=1, max_size=5),
    subjects=st.sets(st.sampled_from("abcdx")),
    shuffle=st.randoms(use_true_random=False),
)
def test_usable_labels_are_those_of_a_slow_loop(
    videos: list[tuple[str, list[tuple[bool, float, int | None, int | None]]]], subjects: set[str], shuffle: Any
) -> None:
    labels, frames, expected = [], [], []
    for number, (subject, content) in enumerate(videos):
        for frame, (labelled, confidence, first, second) in enumerate(content):
            frames.append((f"v{number}", frame, confidence))
            if labelled:
                labels.append((f"v{number}", frame, first, second))
            unknown = first is None and second is None
            if labelled and confidence > 0 and not unknown and subject in subjects:
                expected.append((f"v{number}", frame, subject, first, second))
    shuffle.shuffle(labels)
    intensities = {"AU01": "Int8", "AU12": "Int8"}
    usable = protocol.usable_labels(
        pd.DataFrame(labels, columns=["video_id", "frame", "AU01", "AU12"]).astype({"video_id": "str"} | intensities),
        pd.DataFrame(frames, columns=["video_id", "frame", "face_confidence"]).astype({"video_id": "str"}),
        pd.DataFrame([(f"v{i}", subject) for i, (subject, _) in enumerate(videos)], columns=["video_id", "subject"]),
        subjects,
    )
    assert list(usable.columns) == ["video_id", "frame", "subject", "AU01", "AU12"]
    assert [str(dtype) for dtype in usable.dtypes[3:]] == ["Int8", "Int8"]
    rows = usable.astype(object).where(usable.notna(), None)
    assert list(rows.itertuples(index=False, name=None)) == expected


# -- the draw ----------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(
    rows=st.integers(1, 3000),
    seed=st.integers(0, 2**32),
    shares=st.tuples(*[st.floats(0.0005, 1)] * 2) | st.sampled_from([(0.01, 0.02), (0.02, 0.1), (0.1, 1.0)]),
)
def test_smaller_draws_lie_inside_larger_ones(rows: int, seed: int, shares: tuple[float, float]) -> None:
    labels = table(rows)
    smaller, larger = (protocol.draw_labels(labels, seed, share) for share in sorted(shares))
    for share, drawn in zip(sorted(shares), (smaller, larger), strict=True):
        assert len(drawn) == max(1, round(share * rows))
        assert drawn["frame"].is_monotonic_increasing
        assert drawn["frame"].is_unique
        pd.testing.assert_frame_equal(drawn, labels.iloc[drawn["frame"]].reset_index(drop=True))
    assert set(smaller["frame"]) <= set(larger["frame"])
    pd.testing.assert_frame_equal(protocol.draw_labels(labels, seed, None, len(smaller)), smaller)


def test_one_two_and_ten_percent_are_nested() -> None:
    draws = [set(protocol.draw_labels(table(9600), 3, share)["frame"]) for share in (0.01, 0.02, 0.1, 1.0)]
    assert [len(drawn) for drawn in draws] == [96, 192, 960, 9600]
    assert draws[0] < draws[1] < draws[2] < draws[3]


def test_every_frame_is_drawn_equally_often() -> None:
    labels = table(50)
    draws = np.concatenate([protocol.draw_labels(labels, seed, 0.1)["frame"] for seed in range(2000)])
    counts = np.bincount(draws, minlength=50)
    assert counts.sum() == 2000 * 5
    assert chisquare(counts).pvalue > 0.01


def test_another_seed_draws_others_and_the_same_seed_the_same() -> None:
    labels = table(1000)
    pd.testing.assert_frame_equal(protocol.draw_labels(labels, 1, 0.05), protocol.draw_labels(labels, 1, 0.05))
    both = set(protocol.draw_labels(labels, 1, 0.05)["frame"]) & set(protocol.draw_labels(labels, 2, 0.05)["frame"])
    assert len(both) < 15


@pytest.mark.parametrize(
    ("rows", "fraction", "count", "message"),
    [
        (10, None, None, "label_fraction or label_count: give one"),
        (10, 0.5, 5, "label_fraction or label_count: give one"),
        (10, 0.0, None, r"label_fraction=0\.0: a share in \(0, 1\]"),
        (10, -0.1, None, r"label_fraction=-0\.1: "),
        (10, 1.01, None, r"label_fraction=1\.01: "),
        (10, float("nan"), None, "label_fraction=nan: "),
        (0, 0.5, None, "label_fraction: the training subjects have no labelled frames"),
        (10, None, 11, "label_count=11: the training subjects have 10 labelled frames"),
        (10, None, 0, "label_count=0: "),
        (0, None, 1, "label_count=1: the training subjects have 0 labelled frames"),
    ],
)
def test_a_draw_that_cannot_be_made_is_named(
    rows: int, fraction: float | None, count: int | None, message: str
) -> None:
    with pytest.raises(AulightError, match=message):
        protocol.draw_labels(table(rows), 0, fraction, count)


def test_a_row_of_another_subject_never_passes() -> None:
    protocol.assert_subjects(table(3), ["a", "b"], "drawn labels")
    with pytest.raises(AssertionError, match=r"drawn labels: rows of \['a'\]"):
        protocol.assert_subjects(table(3), ["b"], "drawn labels")
