"""Who may be learned from, and which frames are labelled: the trust centre.

Everything that decides what a model sees of which subject is here, so that it can be read in one go: the split of a
dataset's subjects, and the random draw of labelled frames.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from aulight.errors import AulightError


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

    Raises:
        AulightError: When a subject is in two parts or a labelled part is empty.
    """

    name: str
    fold: int
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    unlabelled: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        parts = {part: set(getattr(self, part)) for part in ("train", "validation", "test", "unlabelled")}
        for first, second in [(a, b) for a in parts for b in parts if a < b]:
            if both := sorted(parts[first] & parts[second]):
                raise AulightError(f"protocol {self.name}: {', '.join(both)} in both {first} and {second}")
        for part in ("train", "validation", "test"):
            if not parts[part]:
                raise AulightError(f"protocol {self.name}, fold {self.fold}: no {part} subjects")

    @property
    def stage_one(self) -> tuple[str, ...]:
        """Subjects whose videos stage one may see, without labels: never a validation or test subject."""
        return self.unlabelled + self.train


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
    aus = [name for name in labels.columns if name.startswith("AU")]
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


def assert_subjects(table: pd.DataFrame, allowed: Sequence[str], what: str) -> None:
    """Last line of defence before training: every row of ``table`` is of an allowed subject.

    Raises:
        AssertionError: Otherwise; this is a bug, not a user's mistake.
    """
    strangers = set(table["subject"]) - set(allowed)
    if strangers:
        raise AssertionError(f"{what}: rows of {sorted(strangers)}, who are in another part of the split")
