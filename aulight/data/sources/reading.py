"""Raw datasets: which videos there are, who is in them, and which of their frames are labelled.

One file a layout. A reader lists files and reads label tables; it decodes nothing. What it finds is joined here by the
user's own tables of labels and subjects.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from aulight.data.own import store_around
from aulight.data.sources import affwild2, bp4d, disfa, folder
from aulight.data.sources.raw import RawDataset, RawVideo
from aulight.data.sources.tables import name_of, read_labels, read_subjects, video_names
from aulight.errors import AulightError, shorten, shorten_lines
from aulight.facs import MAX_INTENSITY, column
from aulight.spelling import ambiguous, clean, exactly, fold

_READERS: dict[str, Callable[..., RawDataset]] = {
    "disfa": disfa.read,
    "bp4d": bp4d.read,
    "affwild2": affwild2.read,
    "folder": folder.read,
}

FORMATS = tuple(_READERS)
"""Layouts that can be read."""

LABELLED = ("disfa", "bp4d")
"""Those that bring labels and subjects along."""

OCCURRENCE_STRETCHES = 20
"""From so many separate stretches at 1 on, and never more than 1, labels are taken for presence, not intensity."""


def read(
    format: str,
    source: Path | None,
    labels: Sequence[Path],
    subjects: Path | None,
    apart: Collection[Path] = (),
    **options: Any,
) -> RawDataset:
    """Lists the videos of a raw dataset, with their labels.

    Args:
        format: One of :data:`FORMATS`.
        source: Folder of the raw data.
        labels: CSVs of intensities, for a dataset that has none (:func:`aulight.data.sources.tables.read_labels`).
        subjects: CSV of who is in which video, likewise (:func:`aulight.data.sources.tables.read_subjects`).
        apart: Folders in which prepared datasets are: not looked into, where they are below ``source``.
        **options: Of the format: ``reader`` in ``conf/data/<name>.yaml``.

    Raises:
        AulightError: When the folder is not laid out as expected, a label cannot be read, or labels tell presence
            instead of intensity.
    """
    if source is None:
        raise AulightError("data.source: no value given; add data.source=<folder of the raw data>")
    source = source.expanduser()
    if not source.is_dir():
        problem = "a file; give the folder that it lies in" if source.exists() else "no such folder"
        raise AulightError(f"data.source={source}: {problem}")
    if (store := store_around(source)) is not None:
        raise AulightError(
            f"data.source={source}: lies in the prepared dataset {store}, whose videos would be taken for new people; "
            "give the folder of the raw videos"
        )
    if format not in FORMATS:
        raise AulightError(f"data.format={format}: one of {', '.join(FORMATS)}")
    dataset = _READERS[format](source, **options, **({"apart": apart} if format == "folder" else {}))
    for key, table in (("labels", labels[0] if labels else None), ("subjects", subjects)):
        if table is not None and format in LABELLED:
            raise AulightError(f"{key}={table}: {format} brings its own {key}; leave {key} out")
    try:
        if subjects is not None:
            dataset = _with_subjects(dataset, source, subjects.expanduser())
        for table in labels:
            dataset = _with_labels(dataset, source, table.expanduser())
    except AulightError as error:  # perhaps of a row on a video that was left out
        raise AulightError(
            *error.args, *shorten_lines([f"not used: {line}" for line in dataset.left_out.values()])
        ) from error
    dataset = _one_spelling(dataset, source)
    return replace(dataset, notes=dataset.notes + _check_intensities(dataset, labels[0] if labels else source))


def _with_subjects(dataset: RawDataset, source: Path, path: Path) -> RawDataset:
    """Says who is in which video, as far as a table tells it."""
    subjects, notes = read_subjects(path, video_names(dataset.videos, source))
    videos = [replace(video, subject=subjects.get(video.video_id, video.subject)) for video in dataset.videos]
    if alone := [video.video_id for video in videos if video.video_id not in subjects]:
        notes.append(
            f"{path.name}: {len(alone)} videos not listed, each taken for a subject of its own: {shorten(alone)}"
        )
    return replace(dataset, videos=videos, notes=dataset.notes + notes)


def _one_spelling(dataset: RawDataset, source: Path) -> RawDataset:
    """Gives one subject to those whose names, or whose videos' names, differ in spelling alone.

    Taken for two people they could train a model and test it. Who is in a video that has no row in the table of
    subjects, that table may tell of one that is spelt like it.
    """
    subject_of = {video.video_id: video.subject for video in dataset.videos}
    alike, notes = defaultdict[str, list[RawVideo]](list), list[str]()
    for video in dataset.videos:
        alike[fold(name_of(video, source))].append(video)
    for group in alike.values():
        known = {video.subject for video in group if video.subject != video.video_id} or {group[0].subject}
        if len(known) == 1 and (others := [v.video_id for v in group if v.subject == v.video_id not in known]):
            subject_of |= dict.fromkeys(others, *known)
            spelt = " and ".join(exactly(name_of(video, source)) for video in group)
            notes.append(f"videos {spelt}: one name in several spellings, taken for one subject, {min(known)}")
    for spellings in ambiguous(subject_of.values()):
        subject, spelt = clean(spellings[0]), " and ".join(map(exactly, spellings))
        subject_of |= {video: subject for video, before in subject_of.items() if before in spellings}
        notes.append(f"subjects {spelt}: one name in several spellings, taken for one subject, {subject}")
    videos = [replace(video, subject=subject_of[video.video_id]) for video in dataset.videos]
    return replace(dataset, videos=videos, notes=dataset.notes + shorten_lines(notes))


def _with_labels(dataset: RawDataset, source: Path, path: Path) -> RawDataset:
    """Adds the labels of a table to those of earlier ones."""
    aus, tables, notes = read_labels(path, video_names(dataset.videos, source))
    videos = []
    for video in dataset.videos:
        if video.video_id in tables:
            table = tables[video.video_id]
            rows, table = tuple(table["row"].tolist()), table.drop(columns="row")
            if video.labels is not None:
                if video.labels.index.name != table.index.name:
                    raise AulightError(f"{path}: gives {table.index.name}, another table of labels does not; use one")
                if len(both := video.labels.index.intersection(table.index)):
                    raise AulightError(
                        f"{path}: {table.index.name} {both[0]} of {video.video_id} is labelled in another table already"
                    )
                table, rows = pd.concat([video.labels, table]).astype("Int8"), video.rows + rows
            video = replace(video, labels=table, rows=rows)
        videos.append(video)
    aus = tuple(sorted({*dataset.aus, *aus}))
    names = [column(au) for au in aus]  # all videos have the same columns
    videos = [v if v.labels is None else replace(v, labels=v.labels.reindex(columns=names)) for v in videos]
    return replace(dataset, aus=aus, videos=videos, notes=dataset.notes + notes)


def _check_intensities(dataset: RawDataset, path: Path) -> list[str]:
    """Refuses labels that only tell whether an AU is there.

    Intensities of a small table may all be 0 and 1 by chance. What tells them apart is how often an AU is active and
    yet never above 1, so stretches at 1 are counted: neighbouring frames of one smile are no separate evidence.
    """
    stretches = 0
    for video in dataset.videos:
        if video.labels is None:
            continue
        values = video.labels.to_numpy(np.float32, na_value=np.nan)
        if np.nanmax(values, initial=0) > 1:
            return []
        active = values == 1
        stretches += int(active[:1].sum() + (active[1:] & ~active[:-1]).sum())
    if not dataset.aus:
        return []
    if stretches >= OCCURRENCE_STRETCHES:
        raise AulightError(
            f"{path}: no label is above 1, so these tell whether an AU is present (0 or 1), not how strong it is; "
            f"aulight learns intensities from 0 to {MAX_INTENSITY} and needs labels of those"
        )
    return [f"{path}: no label is above 1; labels that tell presence (0 or 1) instead of intensity are of no use here"]
