"""Facts of the datasets, counted against what their publications say."""

import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from aulight import datasets
from aulight.spelling import fold

KNOWN = st.lists(st.tuples(st.integers(-1, 2), st.lists(st.integers(0, 12), max_size=3)), max_size=8)
"""Videos: the part of each, and its digests."""


def _contents(videos: list[tuple[int, list[int]]]) -> datasets.Digests:
    rows = [[*map(str, known), *[""] * (3 - len(known))] for _, known in videos]
    return datasets.digests(rows).reshape(-1, 3)


def test_disfa_has_its_27_subjects_of_whom_each_is_tested_once() -> None:
    # Mavadati et al. (2013): SN001 to SN032 without five numbers; a fold tests nine
    assert tuple(f"SN{n:03d}" for n in range(1, 33) if n not in (14, 15, 19, 20, 22)) == datasets.DISFA_SUBJECTS
    assert [len(fold) for fold in datasets.DISFA_TESTS] == [9, 9, 9]
    assert len(set().union(*datasets.DISFA_TESTS)) == 27


def test_untracked_frames_are_of_subjects_of_disfa_and_within_their_videos() -> None:
    assert datasets.DISFA_UNTRACKED.keys() <= set(datasets.DISFA_SUBJECTS)
    for ranges in datasets.DISFA_UNTRACKED.values():
        ends = [end for pair in ranges for end in pair]
        assert ends == sorted(ends)
        assert ends[0] >= 1
        assert ends[-1] <= 4845


def test_bp4d_has_41_subjects_of_whom_those_with_even_numbers_are_tested() -> None:
    # Zhang et al. (2014): 23 women and 18 men; Valstar et al. (2015) for the test subjects
    assert len(datasets.BP4D_SUBJECTS) == 41
    ((*tested,),) = datasets.BP4D_TESTS
    assert tested == [f"F{n:03d}" for n in range(2, 24, 2)] + [f"M{n:03d}" for n in range(2, 19, 2)]
    assert set(datasets.BP4D_PLUS_TASKS) < set(datasets.BP4D_TASKS)


@given(videos=KNOWN)
def test_videos_that_two_parts_share_are_those_of_a_slow_loop(videos: list[tuple[int, list[int]]]) -> None:
    """Oracle: every video against all before it; the digest that sorts first decides which of them is named."""
    wanted, first = None, dict[str, int]()
    for place, (part, known) in enumerate(videos):
        for digest in sorted({*map(str, known)}) if part >= 0 and wanted is None else ():
            other = first.setdefault(digest, place)
            if videos[other][0] != part:
                wanted = place, other
                break
    parts = np.array([part for part, _ in videos], np.int64)
    assert datasets.in_two_parts(_contents(videos), parts) == wanted


@given(videos=KNOWN, others=st.sets(st.integers(0, 12)))
def test_videos_that_are_known_again_are_those_of_sets(videos: list[tuple[int, list[int]]], others: set[int]) -> None:
    found = datasets.in_common(_contents(videos), datasets.digests([*map(str, others)]))
    assert found.tolist() == [bool(others & {*known}) for _, known in videos]


def test_digests_are_the_same_as_one_text_and_as_a_list() -> None:
    names = [f"{number:064x}" for number in np.random.default_rng(0).integers(0, 2**62, 50).tolist()]
    text = "".join(name[: datasets.DIGITS] for name in names)
    np.testing.assert_array_equal(datasets.digests(text), datasets.digests(names))
    assert [name.decode() for name in datasets.digests(text)] == [name[:16] for name in names]
    assert not len(datasets.digests(""))


@given(name=st.one_of(st.text(max_size=20), st.from_regex(r"(?i)a?[vV]ideo\s?sn\d{3}_\W?comp.?")))
def test_videos_of_disfa_are_known_in_any_spelling(name: str) -> None:
    """Oracle: every name is folded."""
    wanted = re.search(r"videosn\d{3}_comp", fold(name)) is not None
    assert (datasets.collection("mine", videos=["v0", name]) == "disfa") == wanted
