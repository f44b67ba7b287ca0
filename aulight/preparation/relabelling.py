"""Other labels and subjects for a dataset that is there, and what of the old ones they must not lose unasked."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pandas as pd

from aulight.data.sources.placing import place_labels
from aulight.data.sources.raw import RawDataset
from aulight.data.store import PreparedDataset
from aulight.data.writer import label_rows
from aulight.errors import AulightError, shorten
from aulight.preparation.recipe import Recipe
from aulight.spelling import fold


@dataclass(frozen=True)
class Replaceable:
    """What of a dataset may go or change for good.

    Attributes:
        labels: Labels that the tables lack, or give other intensities.
        subjects: Who is in a video, where the table says otherwise.
    """

    labels: bool = False
    subjects: bool = False


NOTHING = Replaceable()


def placed(data: PreparedDataset, raw: RawDataset) -> tuple[pd.DataFrame | None, list[str]]:
    """The labels of raw data, on the frames that a dataset has.

    Args:
        data: The dataset.
        raw: The raw data of no other videos than it has.

    Returns:
        Rows of ``labels.parquet``, ``None`` for none; and notes.
    """
    notes, tables = list[str](), list[pd.DataFrame]()
    labelled = [video for video in raw.videos if video.labels is not None]
    frames = data.frames_of([video.video_id for video in labelled], ["source_frame", "time_s"]) if labelled else ()
    for video, table in zip(labelled, frames, strict=True):
        labels, about = place_labels(video, table["source_frame"].to_numpy(), table["time_s"].to_numpy())
        notes += about
        if labels is not None:
            tables.append(label_rows(video.video_id, labels))
    return pd.concat(tables, ignore_index=True) if tables else None, notes


def refuse_loss(
    data: PreparedDataset,
    labels: pd.DataFrame | None,
    raw: RawDataset,
    recipe: Recipe,
    may: Replaceable,
    anew: Collection[str],
) -> None:
    """Refuses tables that lack or change what a dataset knows, unless they may.

    Args:
        data: The dataset.
        labels: Its labels to be, as :func:`placed` gives them.
        raw: The raw data, which say who is in which video.
        recipe: With the names of the tables.
        may: What may go.
        anew: Videos that are made anew, whose labels are placed anew.

    Raises:
        AulightError: With how many labels or subjects there are, would go and would change.
    """
    if not may.labels:
        _refuse_lost_labels(data, labels, recipe, anew)
    if not may.subjects:
        _refuse_changed_subjects(data, {video.video_id: video.subject for video in raw.videos}, recipe)


def _refuse_lost_labels(
    data: PreparedDataset, labels: pd.DataFrame | None, recipe: Recipe, anew: Collection[str]
) -> None:
    if labels is not None and data.has_labels and data.labels.equals(labels):
        return
    before = _known(data.labels if data.has_labels else None, anew)
    after = _known(labels, anew).reindex(before.index)
    gone = after.isna()
    changed = ~gone & (after != before)
    if not (gone | changed).any():
        return
    frames = before.index.to_frame(index=False).groupby(["video_id", "frame"]).ngroup().to_numpy()
    lost, other = len(set(frames[gone.to_numpy()])), len(set(frames[changed.to_numpy()]))
    what = [f"{lost:,} would lose labels"] * bool(lost) + [f"{other:,} would have others"] * bool(other)
    given = f"labels={','.join(map(str, recipe.labels))}" if recipe.labels else f"the labels in {recipe.folder}"
    every = "give all tables (labels=[first.csv,second.csv]), or " if recipe.format in ("folder", "affwild2") else ""
    raise AulightError(
        f"{given}: of {len(set(frames)):,} labelled frames in {data.root} {' and '.join(what)}; "
        f"{every}add labels_replace=true if that is meant"
    )


def _known(labels: pd.DataFrame | None, anew: Collection[str]) -> "pd.Series[float]":
    """Known intensities by video, frame and AU, without those of some videos."""
    names = ["video_id", "frame", "au"]
    if labels is None:
        index = pd.MultiIndex.from_arrays([[], [], []], names=names)
        return pd.Series(dtype=float, index=index)
    labels = labels[~labels["video_id"].isin(list(anew))]
    columns = [name for name in labels if name not in names]
    rows = labels.melt(["video_id", "frame"], columns, "au", "value").dropna(subset="value")
    return rows.set_index(names)["value"].astype(float)


def _refuse_changed_subjects(data: PreparedDataset, subjects: Mapping[str, str], recipe: Recipe) -> None:
    """A video that was a subject of its own, with its copies, may get one."""
    was = dict(zip(data.videos["video_id"], data.videos["subject"], strict=True))
    of_their_own = {fold(video) for video in was}
    wrong = [
        f"{video} from {before} to {subjects[video]}"
        for video, before in was.items()
        if fold(before) != fold(subjects[video]) and fold(before) not in of_their_own
    ]
    if wrong:
        given = f"subjects={recipe.subjects}" if recipe.subjects is not None else f"the subjects in {recipe.folder}"
        raise AulightError(
            f"{given}: would change who is in {len(wrong):,} of {len(was):,} videos in {data.root} "
            f"({shorten(wrong, 3)}); list them all as they were, or add subjects_replace=true if that is meant"
        )
