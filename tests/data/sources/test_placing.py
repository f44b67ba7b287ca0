"""Labels on frames, against a slow search."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from aulight.data.sources.placing import place_labels
from aulight.data.sources.raw import RawVideo


def _video(index: Sequence[float], by: str, rows: Sequence[int] = ()) -> RawVideo:
    """A video whose labels are 0, 1, ... 5, 0 ... in AU 1 and unknown in AU 12."""
    table = pd.DataFrame(
        {"AU01": pd.array(np.arange(len(index)) % 6, "Int8"), "AU12": pd.array([pd.NA] * len(index), "Int8")},
        index=pd.Index(np.array(index, np.int64 if by == "frame" else np.float64), name=by),
    )
    return RawVideo("v", "S", Path("v.mp4"), labels=table, rows=tuple(rows))


@given(
    st.lists(st.integers(0, 40), min_size=1, unique=True).map(sorted),
    st.lists(st.integers(0, 40), min_size=1, unique=True).map(sorted),
)
def test_labels_by_frame_are_where_a_search_finds_them(numbers: list[int], labelled: list[int]) -> None:
    placed, notes = place_labels(_video(labelled, "frame"), np.array(numbers), np.array(numbers) / 25)
    assert placed is not None
    expected = [labelled.index(number) % 6 if number in labelled else pd.NA for number in numbers]
    assert placed[1].tolist() == expected
    assert [str(values.dtype) for values in placed.values()] == ["Int8", "Int8"]
    assert placed[12].isna().all()
    lost = len(set(labelled) - set(numbers))
    assert [note.partition(" have ")[0] for note in notes] == (
        [f"v: {lost} of {len(labelled)} labelled frames"] if lost else []
    )


@given(
    st.lists(st.integers(0, 40), min_size=2, unique=True).map(sorted),
    st.lists(st.integers(0, 400), min_size=1, unique=True).map(sorted),
)
def test_labels_by_time_are_on_the_nearest_frame(numbers: list[int], tenths: list[int]) -> None:
    times, wanted = np.array(numbers) / 25, (np.array(tenths) + 0.3) / 250  # never halfway
    placed, notes = place_labels(_video(wanted.tolist(), "time_s", tenths), np.array(numbers), times)
    assert placed is not None
    half = float(np.median(np.diff(times))) / 2
    expected: dict[int, int] = {}
    unused = []
    for label, time in enumerate(wanted):
        distances = [round(abs(time - other), 9) for other in times]
        nearest = distances.index(min(distances))
        if min(distances) > half + 1e-6 or nearest in expected:
            unused.append(tenths[label])
        else:
            expected[nearest] = label % 6
    assert placed[1].tolist() == [expected.get(place, pd.NA) for place in range(len(numbers))]
    named = [int(note.split()[1]) for note in notes if note.startswith("row ")]
    assert set(named) <= set(unused)
    assert len(notes) == min(len(unused), 21)


def test_what_is_said_of_labels_without_a_frame() -> None:
    numbers = np.arange(10, 20)
    _, notes = place_labels(_video([3, 10, 25], "frame", [2, 3, 9]), numbers, (numbers - 10) / 25)
    assert notes == [
        "row 2 of the labels, v frame 3: not used, the video has no frame there",
        "row 9 of the labels, v frame 25: not used, the video has no frame there",
    ]
    _, notes = place_labels(_video([0.04, 0.05, 0.5], "time_s", [2, 3, 4]), numbers, (numbers - 10) / 25)
    assert notes == [
        "row 3 of the labels, v time_s 0.05: not used, frame 11 has a label already",
        "row 4 of the labels, v time_s 0.5: not used, the video has no frame there",
    ]


def test_a_video_of_one_frame_or_without_labels() -> None:
    placed, _ = place_labels(_video([0.0], "time_s"), np.array([7]), np.array([0.0]))
    assert placed is not None
    assert placed[1].tolist() == [0]
    assert place_labels(RawVideo("v", "S", Path("v.mp4")), np.arange(3), np.arange(3) / 25) == (None, [])
