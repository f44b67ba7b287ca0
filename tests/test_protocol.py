"""The trust centre: who is learned from, and which labels are drawn, against slow loops."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from aulight import datasets, protocol
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


# -- protocols ---------------------------------------------------------------------------------------------------


def videos(subjects: list[str], **columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"subject": subjects, **columns}, dtype="str")


def fold_of(subjects: list[str], name: str, fold: int = 1, **settings: Any) -> protocol.Split:
    plain: dict[str, Any] = {"folds": 3, "validation": 0.2, "seed": 0}
    return protocol.split(videos(subjects), "faces", name, fold, **plain | settings)


_SUBJECTS = st.lists(st.text("abcS019_", min_size=1, max_size=4), min_size=3, max_size=20, unique=True)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), subjects=_SUBJECTS, name=st.sampled_from(["kfold", "loso"]), seed=st.integers(0, 2**40))
def test_every_labelled_subject_is_tested_once(data: st.DataObject, subjects: list[str], name: str, seed: int) -> None:
    labelled = data.draw(st.lists(st.sampled_from(subjects), min_size=3, unique=True))
    count = data.draw(st.integers(2, len(labelled))) if name == "kfold" else len(labelled)
    share = data.draw(st.floats(0.01, 0.99))
    tested: list[str] = []
    for fold in range(1, count + 1):
        repeated = data.draw(st.permutations(subjects * 2))  # several videos a subject, in any order
        wanted: dict[str, Any] = {"folds": count, "validation": share, "seed": seed, "labelled": labelled}
        if count == 2 and len(labelled) == 3 and fold == 1:
            with pytest.raises(AulightError, match="fold 1 of protocol kfold leaves 1 labelled subjects"):
                protocol.split(videos(repeated), "faces", name, fold, **wanted)
            tested += fold_of(subjects, name, 2, **wanted).train + fold_of(subjects, name, 2, **wanted).validation
            continue
        one = protocol.split(videos(repeated), "faces", name, fold, **wanted)
        assert one == fold_of(subjects, name, fold, **wanted)
        assert (one.name, one.fold) == (name, fold)
        parts = [set(part) for part in (one.train, one.validation, one.test, one.unlabelled)]
        assert sum(map(len, parts)) == len(subjects)
        assert set.union(*parts) == set(subjects)
        assert parts[3] == set(subjects) - set(labelled)
        assert len(labelled) // count <= len(one.test) <= -(-len(labelled) // count)
        rest = len(labelled) - len(one.test)
        assert len(one.validation) == min(max(1, round(share * rest)), rest - 1)
        assert not set(one.stage_one) & (parts[1] | parts[2])
        tested += one.test
    assert sorted(tested) == sorted(labelled)


def test_leave_one_out_goes_through_the_subjects_in_order() -> None:
    assert [fold_of(["c", "a", "b"], "loso", fold).test for fold in (1, 2, 3)] == [("a",), ("b",), ("c",)]


def test_the_work_grows_with_the_subjects_and_not_with_their_square() -> None:
    """The oracle is how often names are hashed."""
    hashed = 0

    class Name(str):
        __slots__ = ()

        def __hash__(self) -> int:
            nonlocal hashed
            hashed += 1
            return super().__hash__()

    names = [f"p{number:03}" for number in range(400)]
    found = protocol.split(videos(names), "d", "kfold", 1, 4, 0.2, 0, [Name(name) for name in names[:300]])
    assert len(found.test) == 75
    assert found.unlabelled == tuple(names[300:])
    assert hashed < 10 * len(names)


def test_seeds_of_a_protocol_draw_other_subjects() -> None:
    subjects = [f"s{i:02d}" for i in range(30)]
    tests = [fold_of(subjects, "kfold", seed=seed).test for seed in range(5)]
    assert len(set(tests)) == 5
    # where the tests are given, only the validation subjects are drawn
    disfa = [fold_of(DISFA, "disfa", seed=seed) for seed in range(5)]
    assert len({one.test for one in disfa}) == 1
    assert len({one.validation for one in disfa}) == 5
    counts = pd.Series([s for seed in range(300) for s in fold_of(DISFA, "disfa", seed=seed).validation]).value_counts()
    assert chisquare(counts).pvalue > 0.01
    assert len(counts) == 18


# of the publications: P1, P2, P3, of which fold 1 tests P3, fold 2 P2 and fold 3 P1
P1 = "002 010 001 026 027 032 030 009 016"
P2 = "013 018 011 028 012 006 031 021 024"
P3 = "003 029 023 025 008 005 007 017 004"
DISFA = sorted(f"SN{number}" for part in (P1, P2, P3) for number in part.split())


@pytest.mark.parametrize(("fold", "part"), [(1, P3), (2, P2), (3, P1)])
def test_disfa_tests_the_published_folds(fold: int, part: str) -> None:
    one = fold_of(DISFA, "disfa", fold)
    assert one.test == tuple(sorted(f"SN{number}" for number in part.split()))
    assert len(DISFA) == 27
    assert (len(one.train), len(one.validation), one.unlabelled, one.notes) == (14, 4, (), ())


def test_bp4d_trains_on_odd_and_tests_on_even_subjects() -> None:
    subjects = [f"F{i:03d}" for i in range(1, 24)] + [f"M{i:03d}" for i in range(1, 19)]
    one = fold_of(subjects, "bp4d")
    assert one.test == tuple(subject for subject in subjects if subject[-1] in "02468")
    assert len(one.test) == 20
    assert sorted(one.train + one.validation) == [subject for subject in subjects if subject[-1] in "13579"]
    assert len(one.train) + len(one.validation) == 21


def test_missing_and_unlabelled_subjects_are_said() -> None:
    there = [subject for subject in DISFA if subject not in ("SN004", "SN010")]
    one = fold_of(there, "disfa", labelled=[subject for subject in there if subject not in ("SN003", "SN001")])
    assert one.test == ("SN005", "SN007", "SN008", "SN017", "SN023", "SN025", "SN029")
    assert one.unlabelled == ("SN001", "SN003")
    assert one.notes == (
        "protocol disfa: SN004, SN010 not in the dataset",
        "protocol disfa: 23 of 25 subjects have labels; the others are for stage one only",
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((DISFA, "nope"), r"data\.protocol\.name=nope: one of own, disfa, bp4d, kfold, loso"),
        (
            (["SN001", "SN002", "SN014"], "disfa"),
            r"dataset faces: subject SN014 is none of protocol disfa \(SN001 to SN0",
        ),
        ((["F001", "M001", "M019"], "bp4d"), r"subject M019 is none of protocol bp4d \(F001 to M018\)"),
        ((DISFA, "disfa", 4), "fold=4: protocol disfa has folds 1 to 3"),
        ((DISFA, "disfa", 0), "fold=0: protocol disfa"),
        ((["F001", "F002"], "bp4d", 2), "fold=2: protocol bp4d has one fold"),
        ((["a", "b", "c"], "own", 2), "fold=2: protocol own has one fold"),
        ((["a", "b", "c"], "loso", 4), "fold=4: protocol loso has folds 1 to 3"),
        ((["SN001", "SN002", "SN013"], "disfa"), "protocol disfa, fold 1: no test subjects"),
        ((["SN001", "SN003"], "disfa"), "fold 1 of protocol disfa leaves 1 labelled subjects"),
        ((["a", "b"], "kfold"), r"data\.protocol\.folds=3: dataset faces has 2 labelled subjects"),
        (([], "loso"), "fold=1: protocol loso has folds 1 to 0"),
    ],
)
def test_what_does_not_fit_a_protocol_is_named(arguments: Any, message: str) -> None:
    with pytest.raises(AulightError, match=message):
        fold_of(*arguments)


@pytest.mark.parametrize(
    ("setting", "value"), [("folds", 1), ("folds", 28), ("validation", 0.0), ("validation", 1.0), ("validation", -0.1)]
)
def test_settings_of_a_protocol_out_of_range_are_named(setting: str, value: float) -> None:
    with pytest.raises(AulightError, match=rf"data\.protocol\.{setting}={value}: "):
        fold_of(DISFA, "kfold", 1, **{setting: value})


# -- one video in two parts --------------------------------------------------------------------------------------


def shown(
    dataset: str = "faces", collection: str | None = None, videos: Mapping[str, tuple[str, set[str]]] | None = None
) -> protocol.Shown:
    """Videos, by name: who is in each, and its digests; where none are given, one of each subject of ``split()``."""
    if videos is None:
        videos = {f"video_{name}": (name, {f"of {name}"}) for name in "abcde"}
    contents = [[*digests, *[""] * (3 - len(digests))] for _, digests in videos.values()]
    return protocol.Shown(
        dataset,
        datasets.collection(dataset) if collection is None else collection,
        pd.Series([*videos], dtype="str"),
        pd.Series([subject for subject, _ in videos.values()], dtype="str"),
        datasets.digests(contents).reshape(-1, 3),
    )


def _numbered(name: str, videos: list[tuple[str, set[int]]]) -> dict[str, tuple[str, set[str]]]:
    return {f"{name}{place}": (who, set(map(str, digests))) for place, (who, digests) in enumerate(videos)}


@settings(max_examples=200, deadline=None)
@given(videos=st.lists(st.tuples(st.sampled_from("abcdex"), st.sets(st.integers(0, 9), max_size=3)), max_size=6))
def test_a_video_in_two_parts_is_refused(videos: list[tuple[str, set[int]]]) -> None:
    part = {"a": "training", "b": "training", "e": "training", "c": "validation", "d": "test"}  # x is in none
    twice = any(
        one_digests & other_digests and one in part and other in part and part[one] != part[other]
        for one, one_digests in videos
        for other, other_digests in videos
    )
    everything = shown("faces", None, _numbered("v", videos))
    if not twice:
        protocol.check_contents(everything, split())
        return
    of_one = r"v\d \(subject ., (training|validation|test)\)"
    with pytest.raises(AulightError, match=f"dataset faces: {of_one} is the same video as {of_one}; give both one sub"):
        protocol.check_contents(everything, split())


@pytest.mark.parametrize("names", [("P1", "p1"), ("\u00e9 1", "e\u0301  1")])
def test_subjects_whose_names_are_one_are_refused(names: tuple[str, str]) -> None:
    one, other = names
    for parts in ({"train": (one, other)}, {"train": (one, "x"), "test": (other,)}):
        with pytest.raises(AulightError, match=r"protocol own: subjects .+ and .+ are one name in two spellings; "):
            split(**parts)


# -- whom stage one saw ------------------------------------------------------------------------------------------


def test_stage_one_of_the_same_fold_passes_and_says_where_it_was() -> None:
    one = split(unlabelled=("e", "f"))
    seen: protocol.TrainedOn = {"dataset": "faces", "subjects": list(one.stage_one)}
    assert protocol.check_stage_one(seen, shown("Faces"), one) == {
        "dataset": "faces",
        "own_frames": True,
        "subjects": 4,
        "unlabelled_subjects": 2,
    }
    others = protocol.check_stage_one({"dataset": "others", "subjects": ["c", "d", "x"]}, shown(), one)
    assert (others["own_frames"], others["subjects"]) == (False, 3)


@pytest.mark.parametrize(("subjects", "part"), [(["a", "c"], "validation"), (["d"], "test"), (["c", "d"], "test")])
def test_stage_one_that_saw_who_is_scored_is_refused(subjects: list[str], part: str) -> None:
    for spelt in (subjects, [f"\u200b{name.upper()} " for name in subjects], [f"video_{name}" for name in subjects]):
        with pytest.raises(
            AulightError,
            match=f"stage one saw videos of {subjects[-1]}, of the {part} subjects of fold 1 of faces; .*fold=1",
        ):
            protocol.check_stage_one({"dataset": "faces", "subjects": spelt}, shown(), split())


@settings(max_examples=300, deadline=None)
@given(
    seen=st.lists(
        st.tuples(st.sampled_from("abcdexy"), st.sets(st.integers(0, 9), min_size=1, max_size=2)), max_size=3
    ),
    now=st.lists(st.tuples(st.sampled_from("abcde"), st.sets(st.integers(0, 9), min_size=1, max_size=2)), max_size=4),
    older=st.booleans(),
)
def test_stage_one_that_saw_a_video_of_who_is_scored_is_refused_whatever_the_names(
    seen: list[tuple[str, set[int]]], now: list[tuple[str, set[int]]], older: bool
) -> None:
    """An older one tells what it saw in a list."""
    one, two = (shown(name, None, _numbered(name, videos)) for name, videos in (("one", seen), ("two", now)))
    tested = {who for who, digests in now if who in "cd" and any(digests & others for _, others in seen)}
    saw = one.trained_on()
    if older:
        saw["contents"] = sorted({str(digest) for _, digests in seen for digest in digests})
    if not tested:
        protocol.check_stage_one(saw, two, split())
        return
    who = f"{max(tested)}, of the {'test' if 'd' in tested else 'validation'} subjects of fold 1 of two, in one"
    with pytest.raises(AulightError, match=f"stage one saw videos of {who}; run stage one on .* fold=1, under another"):
        protocol.check_stage_one(saw, two, split())


DISFA_PLUS_NAMES = (
    *("disfa+", "DISFA+", "disfa_plus", "DISFAPlus", "DISFA Plus", "disfaplus_left", "Disfa-+", "my_disfa_plus"),
    *(
        "faces_disfa+",
        "MyDISFA.Plus2",
        "lab-DISFA-plus-64px",
        "d i s f a +",
        "\uff24\uff29\uff33\uff26\uff21\uff0b",
        "disfa\u207a",
    ),
    *("extended DISFA", "DISFA_extended"),
)


@pytest.mark.parametrize("plus", DISFA_PLUS_NAMES)
@pytest.mark.parametrize("plain", ["disfa", "DISFA", "disfa_right", "my-disfa", "faces of Disfa 2"])
def test_disfa_plus_and_disfa_do_not_mix(plus: str, plain: str) -> None:
    for before, now in ((plus, plain), (plain, plus)):
        with pytest.raises(AulightError, match=r"all people of DISFA\+ are in DISFA"):
            protocol.check_stage_one({"dataset": before, "subjects": ["x"]}, shown(now), split())
        seen: protocol.TrainedOn = {"dataset": "m", "collection": datasets.collection(before), "subjects": ["x"]}
        with pytest.raises(AulightError, match=r"all people of DISFA\+ are in DISFA"):
            protocol.check_stage_one(seen, shown("n", datasets.collection(now)), split())
    for both in (plus, plain):
        assert protocol.check_stage_one({"dataset": both, "subjects": ["a"]}, shown(both), split())["own_frames"]


@pytest.mark.parametrize(
    "before",
    [
        datasets.collection("disfa_right"),
        datasets.collection("mine", "disfa"),
        datasets.collection("mine", "folder", "/data/DISFA/Videos_RightCamera"),
        datasets.collection("mine", "folder", "C:\\Disfa Dataset"),
        datasets.collection("mine", "folder", "/cam2", ["a", "RightVideoSN004_Comp"]),
    ],
)
def test_people_of_disfa_are_known_by_their_numbers(before: str) -> None:
    """The other camera's videos show the same people, in other pictures."""
    one = split(train=("SN001", "SN002"), validation=("SN003",), test=("SN004",), unlabelled=())
    now = shown("disfa", None, {"SN004_left": ("SN004", {"1"}), "SN003_left": ("SN003", {"2"})})
    for name, refused in (("RightVideoSN004_Comp", True), ("sn4", True), ("RightVideoSN002_Comp", False)):
        seen: protocol.TrainedOn = {"dataset": "mine", "collection": before, "subjects": [name], "contents": ["9"]}
        if refused:
            with pytest.raises(AulightError, match=r"stage one saw videos of SN004, of the test subjects .*, in mine;"):
                protocol.check_stage_one(seen, now, one)
        else:
            assert not protocol.check_stage_one(seen, now, one)["own_frames"]


@pytest.mark.parametrize(
    ("others", "collection"),
    [
        (("mine", "folder", "/home/me/disfa_tools/raw"), "mine"),
        (("mine", "folder", "/data/DISFA+/Videos"), "disfa+"),
        (("mine", "disfa", "/data/DISFA Plus"), "disfa+"),
        (("\u60a3\u8005",), "\u60a3\u8005"),
        (("mine-v2",), "minev2"),
        (("bp4d_plus",), "bp4d+"),
    ],
)
def test_collections_of_people(others: tuple[str, ...], collection: str) -> None:
    assert datasets.collection(*others) == collection


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
    labels, frames, everyones = [], [], []
    for number, (subject, content) in enumerate(videos):
        for frame, (labelled, confidence, first, second) in enumerate(content):
            frames.append((f"v{number}", frame, confidence))
            if labelled:
                labels.append((f"v{number}", frame, first, second))
            unknown = first is None and second is None
            if labelled and confidence > 0 and not unknown:
                everyones.append((f"v{number}", frame, subject, first, second))
    shuffle.shuffle(labels)
    intensities = {"AU01": "Int8", "AU12": "Int8"}
    tables = (
        pd.DataFrame(labels, columns=["video_id", "frame", "AU01", "AU12"]).astype({"video_id": "str"} | intensities),
        pd.DataFrame(frames, columns=["video_id", "frame", "face_confidence"]).astype({"video_id": "str"}),
        pd.DataFrame([(f"v{i}", subject) for i, (subject, _) in enumerate(videos)], columns=["video_id", "subject"]),
    )
    usable = protocol.usable_labels(*tables, subjects)
    assert list(usable.columns) == ["video_id", "frame", "subject", "AU01", "AU12"]
    assert [str(dtype) for dtype in usable.dtypes[3:]] == ["Int8", "Int8"]
    rows = usable.astype(object).where(usable.notna(), None)
    assert list(rows.itertuples(index=False, name=None)) == [row for row in everyones if row[2] in subjects]
    assert protocol.labelled_subjects(*tables) == sorted({subject for _, _, subject, _, _ in everyones})


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


def test_a_draw_of_labels_is_the_same_in_every_version() -> None:
    """Oracle: the first of NumPy's permutation; runs of one seed are compared across versions."""
    labels = pd.DataFrame({"frame": range(10)})
    drawn = protocol.draw_labels(labels, 3, None, 4)
    assert drawn["frame"].tolist() == sorted(np.random.default_rng(3).permutation(10)[:4].tolist())
