"""Who may be learned from, and which frames are labelled: the trust centre.

Everything that decides what a model sees of which subject is here, so that it can be read in one go: the split of a
dataset's subjects, whom stage one may have seen, and the random draw of labelled frames. Who the subjects of DISFA and
BP4D are, and which of them the published folds test, is in :mod:`aulight.datasets`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict

import numpy as np
import pandas as pd

from aulight import datasets
from aulight.datasets import Digests, collection, person
from aulight.errors import AulightError
from aulight.facs import is_column
from aulight.spelling import ambiguous, exactly

PROTOCOLS = ("own", "disfa", "bp4d", "kfold", "loso")


@dataclass(frozen=True)
class Split:
    """Which subjects are for what; no subject is in two parts.

    Attributes:
        name: The protocol's name.
        fold: The fold, counted from 1.
        train: Subjects whose drawn labels train the regressor.
        validation: Subjects that choose checkpoints and settings; never from the test fold.
        test: Subjects that are scored once, at the end.
        unlabelled: Subjects whose videos only stage one sees.
        notes: What a reader should know of it, for example subjects that the protocol names and the data lack.

    Raises:
        AulightError: When a subject is in two parts or a labelled part is empty.
    """

    name: str
    fold: int
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    unlabelled: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        parts = {part: set(getattr(self, part)) for part in ("train", "validation", "test", "unlabelled")}
        for first, second in [(a, b) for a in parts for b in parts if a < b]:
            if both := sorted(parts[first] & parts[second]):
                raise AulightError(f"protocol {self.name}: {', '.join(both)} in both {first} and {second}")
        if twice := ambiguous(set().union(*parts.values())):
            raise AulightError(
                f"protocol {self.name}: subjects {' and '.join(map(exactly, twice[0]))} are one name in two spellings; "
                "`aulight prepare` as before takes them for one"
            )
        for part in ("train", "validation", "test"):
            if not parts[part]:
                raise AulightError(f"protocol {self.name}, fold {self.fold}: no {part} subjects")

    @property
    def stage_one(self) -> tuple[str, ...]:
        """Subjects whose videos stage one may see, without labels: never a validation or test subject."""
        return self.unlabelled + self.train


def split(
    videos: pd.DataFrame,
    dataset: str,
    name: str,
    fold: int,
    folds: int,
    validation: float,
    seed: int,
    labelled: Iterable[str] | None = None,
) -> Split:
    """Splits the subjects of a dataset for one fold of a protocol.

    ``own`` takes the dataset's own parts (:func:`own_split`); ``disfa`` the three published folds; ``bp4d`` the one of
    FERA 2015 (odd ids train, even ids test); ``kfold`` as many as ``folds`` says, subjects shuffled by ``seed``;
    ``loso`` one for each subject, who is then tested. But for ``own``, validation subjects are drawn from those that
    the fold does not test.

    Args:
        videos: ``videos.parquet`` with the column ``subject`` (and ``split`` for ``own``).
        dataset: The dataset's name, for messages.
        name: One of :data:`PROTOCOLS`.
        fold: Which fold, from 1.
        folds: How many; of ``kfold`` alone.
        validation: Share of the subjects not tested that validate, in (0, 1); at least one.
        seed: Of the draw of validation subjects, with ``fold``, and of ``kfold``.
        labelled: Subjects with labels (:func:`labelled_subjects`); the others are for stage one alone. ``None``: all.

    Raises:
        AulightError: For an unknown protocol, a fold there is not, or subjects that do not fit the protocol.
    """
    if name not in PROTOCOLS:
        raise AulightError(f"data.protocol.name={name}: one of {', '.join(PROTOCOLS)}")
    if not 0 < validation < 1:
        raise AulightError(f"data.protocol.validation={validation}: a share between 0 and 1 is needed")
    if name == "own":
        _check_fold(name, fold, 1)
        return own_split(videos, dataset)
    subjects = sorted(set(videos["subject"].astype(str)))
    usable = subjects if labelled is None else sorted({*subjects} & {*labelled})
    notes = []
    if name in ("disfa", "bp4d"):
        known = datasets.DISFA_SUBJECTS if name == "disfa" else datasets.BP4D_SUBJECTS
        if strangers := [subject for subject in subjects if subject not in known]:
            raise AulightError(
                f"dataset {dataset}: subject {strangers[0]} is none of protocol {name} ({min(known)} to {max(known)}); "
                "data.protocol.name=kfold takes any subjects"
            )
        if missing := sorted(set(known) - set(subjects)):
            notes.append(f"protocol {name}: {', '.join(missing)} not in the dataset")
    if len(usable) < len(subjects):
        notes.append(
            f"protocol {name}: {len(usable)} of {len(subjects)} subjects have labels; the others are for stage one only"
        )
    tests = _tests(usable, dataset, name, folds, seed)
    _check_fold(name, fold, len(tests))
    test = {*usable} & {*tests[fold - 1]}
    rest = [subject for subject in usable if subject not in test]
    if len(rest) < 2:
        raise AulightError(
            f"dataset {dataset}: fold {fold} of protocol {name} leaves {len(rest)} labelled subjects that it does not "
            "test; training and validation need two"
        )
    count = min(max(1, round(validation * len(rest))), len(rest) - 1)
    drawn = set(np.random.default_rng((seed, fold)).permutation(rest)[:count])
    return Split(
        name=name,
        fold=fold,
        train=tuple(subject for subject in rest if subject not in drawn),
        validation=tuple(subject for subject in rest if subject in drawn),
        test=tuple(sorted(test)),
        unlabelled=tuple(sorted({*subjects} - {*usable})),
        notes=tuple(notes),
    )


def _check_fold(name: str, fold: int, folds: int) -> None:
    if not 1 <= fold <= folds:
        there = "one fold" if folds == 1 else f"folds 1 to {folds}"
        raise AulightError(f"fold={fold}: protocol {name} has {there} here")


def _tests(subjects: list[str], dataset: str, name: str, folds: int, seed: int) -> Sequence[Iterable[str]]:
    """Test subjects of every fold; ``disfa`` and ``bp4d`` may name some that are not among ``subjects``."""
    if name == "disfa":
        return datasets.DISFA_TESTS
    if name == "bp4d":
        return datasets.BP4D_TESTS
    if name == "loso":
        return [[subject] for subject in subjects]
    if not 2 <= folds <= len(subjects):
        raise AulightError(
            f"data.protocol.folds={folds}: dataset {dataset} has {len(subjects)} labelled subjects, "
            "and from 2 to as many folds as subjects are possible"
        )
    shuffled = np.random.default_rng(seed).permutation(subjects)
    return [part.tolist() for part in np.array_split(shuffled, folds)]


def own_split(videos: pd.DataFrame, name: str) -> Split:
    """The split that a dataset brings along in the column ``split`` of its videos.

    Args:
        videos: ``videos.parquet`` with the columns ``subject`` and ``split``.
        name: The dataset's name, for messages.

    Raises:
        AulightError: When there is no such column, or a subject is in two parts.
    """
    if "split" not in videos:
        raise AulightError(f"dataset {name}: videos.parquet has no column 'split', so it has no split of its own")
    subjects = {
        part: tuple(sorted(set(rows["subject"].astype(str)))) for part, rows in videos.groupby("split", sort=True)
    }
    unknown = set(subjects) - {"train", "validation", "test", "unlabelled"}
    if unknown:
        raise AulightError(f"dataset {name}: videos.parquet has the unknown split {', '.join(map(str, unknown))!r}")
    return Split(
        name="own",
        fold=1,
        train=subjects.get("train", ()),
        validation=subjects.get("validation", ()),
        test=subjects.get("test", ()),
        unlabelled=subjects.get("unlabelled", ()),
    )


class TrainedOn(TypedDict):
    """What stage one saw, as its checkpoint says it: as :class:`Shown`, ``contents`` all together, sorted.

    ``contents`` are one text, which loads at once for a million videos, and a list of an earlier aulight; ``steps_s``
    the shortest and the longest time from one sample of a clip to the next. An earlier aulight lacks the last three.
    """

    dataset: str
    subjects: list[str]
    collection: NotRequired[str]
    contents: NotRequired[str | list[str]]
    steps_s: NotRequired[list[float]]


@dataclass(frozen=True)
class Shown:
    """Which videos show whom.

    Attributes:
        dataset: The name of the dataset that they are of.
        collection: Of the people, for all that is known (:func:`collection`).
        videos: The videos' names.
        subjects: Who is in each.
        contents: ``(videos, digests)``, by which each is known again, whatever it is called; empty where not known.
    """

    dataset: str
    collection: str
    videos: pd.Series
    subjects: pd.Series
    contents: Digests

    def trained_on(self) -> TrainedOn:
        """What stage one says that has seen them."""
        known = np.unique(self.contents)
        return {
            "dataset": self.dataset,
            "subjects": sorted(self.subjects.unique().tolist()),
            "collection": self.collection,
            "contents": known[known != b""].tobytes().decode(),
        }


class Origin(TypedDict):
    """The same as stage two tells it; the fields are those of :class:`aulight.runs.record.OriginRecord`."""

    dataset: str
    own_frames: bool
    subjects: int
    unlabelled_subjects: int


def check_contents(shown: Shown, split: Split) -> None:
    """Refuses a split in which one video is in two parts, under two names.

    Raises:
        AulightError: When there is one, naming it.
    """
    parts = dict.fromkeys(split.stage_one, "training")
    parts |= {name: part for part in ("validation", "test") for name in getattr(split, part)}
    part = shown.subjects.map(parts)
    if (pair := datasets.in_two_parts(shown.contents, pd.factorize(part)[0])) is not None:
        one, other = (f"{shown.videos.iat[at]} (subject {shown.subjects.iat[at]}, {part.iat[at]})" for at in pair)
        raise AulightError(
            f"dataset {shown.dataset}: {one} is the same video as {other}; give both one subject, or leave one of them "
            "out"
        )


def check_stage_one(trained_on: TrainedOn, shown: Shown, split: Split) -> Origin:
    """Refuses a stage one that has seen, even without labels, whom stage two validates or tests on.

    By names within a collection of people; by what the videos hold, whatever anything is called.

    Args:
        trained_on: What stage one saw, as its checkpoint says.
        shown: All videos of the dataset of stage two.
        split: Its subjects.

    Returns:
        Where stage one's videos came from, for ``run.yaml``: ``dataset``, ``own_frames`` (whether that is the dataset
        of stage two), ``subjects`` (how many) and ``unlabelled_subjects`` (how many of them stage two does not see).

    Raises:
        AulightError: When it has. DISFA+ shows people of DISFA, so neither goes with the other.
    """
    source, dataset = trained_on["dataset"], shown.dataset
    before, now = trained_on.get("collection") or collection(source), shown.collection
    if {before, now} == {"disfa", "disfa+"}:
        raise AulightError(
            f"pretrained: stage one saw {source}, and all people of DISFA+ are in DISFA, so a test on {dataset} would "
            "be no test of new faces; run stage one on other videos"
        )
    seen = {person(name, now) for name in trained_on["subjects"]}
    contents = datasets.digests(trained_on.get("contents", ""))
    for part in ("test", "validation"):
        held_out, known = shown.subjects.isin(list(getattr(split, part))).to_numpy(bool), set[str]()
        same = datasets.in_common(shown.contents[held_out], contents)
        for video, subject, again in zip(shown.videos[held_out], shown.subjects[held_out], same, strict=True):
            # a subject may have got its name since then: until it has one, a video is a subject of its own
            if again or (before == now and {person(subject, now), person(video, now)} & seen):
                known.add(subject)
        if known:
            more = f" and {len(known) - 1} more" if len(known) > 1 else ""
            raise AulightError(
                f"pretrained: stage one saw videos of {min(known)}{more}, of the {part} subjects of fold {split.fold} "
                f"of {dataset}{'' if source == dataset else f', in {source}'}; "
                f"run stage one on the labelled dataset with fold={split.fold}, under another name="
            )
    return {
        "dataset": source,
        "own_frames": collection(source) == collection(dataset),
        "subjects": len(seen),
        "unlabelled_subjects": len(seen - {person(name, now) for name in split.train}),
    }


def labelled_subjects(labels: pd.DataFrame, frames: pd.DataFrame, videos: pd.DataFrame) -> list[str]:
    """Subjects with at least one frame that :func:`usable_labels` gives, sorted; arguments as there."""
    return sorted(set(usable_labels(labels, frames, videos, videos["subject"])["subject"].astype(str)))


def usable_labels(
    labels: pd.DataFrame, frames: pd.DataFrame, videos: pd.DataFrame, subjects: Iterable[str]
) -> pd.DataFrame:
    """Labelled frames of some subjects that show a face and have at least one known AU.

    Args:
        labels: ``labels.parquet``: ``video_id, frame, AU..``.
        frames: ``frames.parquet``, for ``face_confidence``.
        videos: ``videos.parquet``, for ``subject``.
        subjects: Whose frames.

    Returns:
        ``video_id, frame, subject, AU..`` sorted by video and frame.
    """
    aus = [name for name in labels.columns if is_column(name)]
    mine = videos.loc[videos["subject"].isin(list(subjects)), ["video_id", "subject"]]
    table = labels.merge(mine, on="video_id", validate="many_to_one")
    faces = frames.loc[frames["face_confidence"] > 0, ["video_id", "frame"]]
    table = table.merge(faces, on=["video_id", "frame"], validate="one_to_one")
    table = table[table[aus].notna().any(axis=1)]
    return table[["video_id", "frame", "subject", *aus]].sort_values(["video_id", "frame"], ignore_index=True)


def draw_labels(labels: pd.DataFrame, seed: int, fraction: float | None, count: int | None = None) -> pd.DataFrame:
    """Draws labelled frames uniformly at random; smaller draws of one seed lie inside larger ones.

    Args:
        labels: What may be drawn, as :func:`usable_labels` gives it.
        seed: ``label_seed``.
        fraction: Share of the rows, in (0, 1]; at least one row is drawn.
        count: Number of rows instead of a share.

    Returns:
        The drawn rows, sorted as they were.

    Raises:
        AulightError: For a share outside (0, 1], a count outside 1..rows, or both or neither given.
    """
    if (fraction is None) == (count is None):
        raise AulightError("label_fraction or label_count: give one, and set the other to null")
    if fraction is not None:
        if not 0 < fraction <= 1:
            raise AulightError(f"label_fraction={fraction}: a share in (0, 1] is needed")
        if labels.empty:
            raise AulightError("label_fraction: the training subjects have no labelled frames")
        count = max(1, round(fraction * len(labels)))
    assert count is not None
    if not 1 <= count <= len(labels):
        raise AulightError(f"label_count={count}: the training subjects have {len(labels)} labelled frames")
    chosen = np.random.default_rng(seed).permutation(len(labels))[:count]
    return labels.iloc[np.sort(chosen)].reset_index(drop=True)


def draw_subjects(subjects: Sequence[str], seed: int, fraction: float) -> list[str]:
    """Draws whose videos stage one sees, uniformly at random; smaller draws of one seed lie inside larger ones.

    Args:
        subjects: Whom it may see.
        seed: Of the run.
        fraction: Share of them, in (0, 1]; at least one is drawn.

    Returns:
        The drawn subjects, in the order given.

    Raises:
        AulightError: For a share outside (0, 1].
    """
    if not 0 < fraction <= 1:
        raise AulightError(f"subject_fraction={fraction}: a share in (0, 1] is needed")
    count = max(1, round(fraction * len(subjects)))
    chosen = np.random.default_rng(seed).permutation(len(subjects))[:count]
    return [subjects[place] for place in np.sort(chosen)]


def assert_subjects(table: pd.DataFrame, allowed: Sequence[str], what: str) -> None:
    """Last line of defence before training: every row of ``table`` is of an allowed subject.

    Raises:
        AssertionError: Otherwise; this is a bug, not a user's mistake.
    """
    strangers = set(table["subject"]) - set(allowed)
    if strangers:
        raise AssertionError(f"{what}: rows of {sorted(strangers)}, who are in another part of the split")
