"""Raw datasets: which videos there are, who is in them, and which of their frames are labelled.

One file a layout. A reader lists files and reads label tables; it decodes nothing.
"""

import importlib
import re
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from aulight.errors import AulightError
from aulight.facs import MAX_INTENSITY, column

FORMATS = ("disfa", "bp4d", "affwild2", "folder")
"""Layouts that can be read: the files of this folder."""

LABELLED = ("disfa", "bp4d")
"""Those that bring labels and subjects along."""

OCCURRENCE_STRETCHES = 20
"""From so many separate stretches at 1 on, and never more than 1, labels are taken for presence, not intensity."""

LISTED = 20
"""Most lines or names that a message lists."""


@dataclass(frozen=True)
class RawVideo:
    """One raw video.

    Attributes:
        video_id: Its name in the prepared dataset: unique, and a valid file name.
        subject: Whose face it shows.
        path: What :func:`aulight.data.video.raw_frames` takes: a video file, a folder of images, or one in a zip file.
        fps: Frames per second of images; ``None`` for a video file, which knows its own.
        labels: Index ``frame`` (number of the source frame, int64) or ``time_s`` (seconds, float64), columns ``AU01``
            ... Int8, NA where unknown; ``None`` when unlabelled.
        complete: Whether labels are meant to cover every frame, so that a difference in length is worth a note.
        columns: Further columns of ``videos.parquet``.
        rows: Of each label, its row in the table that it was read from, for messages; empty when there is no one table.
    """

    video_id: str
    subject: str
    path: Path
    fps: float | None = None
    labels: pd.DataFrame | None = None
    complete: bool = False
    columns: Mapping[str, Any] = field(default_factory=dict)
    rows: tuple[int, ...] = ()


@dataclass(frozen=True)
class RawDataset:
    """The raw videos of a dataset.

    Attributes:
        aus: The AUs that labels have columns for; empty without labels.
        videos: In a fixed order.
        notes: What was odd, one line each: missing subjects, files passed over and why.
    """

    aus: tuple[int, ...]
    videos: list[RawVideo]
    notes: list[str]


def read(format: str, source: Path | None, labels: Sequence[Path], subjects: Path | None, **options: Any) -> RawDataset:
    """Lists the videos of a raw dataset, with their labels.

    Args:
        format: One of :data:`FORMATS`.
        source: Folder of the raw data.
        labels: CSVs of intensities, for a dataset that has none (:func:`aulight.data.sources.tables.read_labels`).
        subjects: CSV of who is in which video, likewise (:func:`aulight.data.sources.tables.read_subjects`).
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
    if format not in FORMATS:
        raise AulightError(f"data.format={format}: one of {', '.join(FORMATS)}")
    dataset: RawDataset = importlib.import_module(f"{__name__}.{format}").read(source, **options)
    for key, table in (("labels", labels[0] if labels else None), ("subjects", subjects)):
        if table is not None and format in LABELLED:
            raise AulightError(f"{key}={table}: {format} brings its own {key}; leave {key} out")
    if subjects is not None:
        dataset = _with_subjects(dataset, source, subjects.expanduser())
    for table in labels:
        dataset = _with_labels(dataset, source, table.expanduser())
    return replace(dataset, notes=dataset.notes + _check_intensities(dataset, labels[0] if labels else source))


def place_labels(
    raw: RawVideo, numbers: npt.NDArray[np.int64], times: npt.NDArray[np.float64]
) -> tuple[dict[int, Any] | None, list[str]]:
    """Puts the labels of a video on its frames.

    Labels by frame go to the frame of that number. Labels by time go to the nearest frame, when that is no more than
    half a frame interval (the median one) away.

    Args:
        raw: The video.
        numbers: ``(frames,)`` number of each frame in the raw video, unique.
        times: ``(frames,)`` seconds since its first frame, ascending.

    Returns:
        AU number to ``(frames,)`` Int8 array, NA where unknown, or ``None`` for an unlabelled video; and a note on
        every label that found no frame, or that all frames should have had.
    """
    if raw.labels is None:
        return None, []
    table, notes = raw.labels, list[str]()
    if table.index.name == "time_s":
        places = _nearest(table.index.to_numpy(np.float64), times, raw.fps)
    else:
        places = pd.Index(numbers).get_indexer(table.index)
    names = [f"{raw.video_id} {table.index.name} {label}" for label in table.index.tolist()]
    if raw.rows:
        names = [f"row {row} of the labels, {name}" for row, name in zip(raw.rows, names, strict=True)]
    first: dict[int, int] = {}
    for label, place in enumerate(places.tolist()):
        if place >= 0 and first.setdefault(place, label) != label:
            notes.append(f"{names[label]}: not used, frame {numbers[place]} has a label already")
    lost = np.flatnonzero(places < 0)
    if raw.complete:
        if len(table) != len(numbers):
            less = "rows are not used" if len(table) > len(numbers) else "frames have no label"
            notes.append(
                f"{raw.video_id}: {len(numbers)} frames but {len(table)} rows of labels; they are aligned from the "
                f"first on, the last {abs(len(numbers) - len(table))} {less}"
            )
    elif raw.rows:
        notes += [f"{names[label]}: not used, the video has no frame there" for label in lost]
    elif len(lost):
        missing = shorten([str(number) for number in table.index[lost]], 8)
        notes.append(f"{raw.video_id}: {len(lost)} of {len(table)} labelled frames have no picture: {missing}")
    there, chosen = np.array(list(first), np.int64), np.array(list(first.values()), np.int64)
    placed = {}
    for name, values in table.items():
        intensities = pd.array([pd.NA] * len(numbers), dtype="Int8")
        intensities[there] = values.array[chosen]
        placed[int(str(name)[2:])] = intensities
    return placed, shorten_lines(notes)


def _nearest(
    wanted: npt.NDArray[np.float64], times: npt.NDArray[np.float64], fps: float | None
) -> npt.NDArray[np.int64]:
    """Place of the nearest frame for each time, -1 where it is further than half an interval."""
    interval = float(np.median(np.diff(times))) if len(times) > 1 else 1 / (fps or 25)
    after = np.searchsorted(times, wanted).clip(1, max(len(times) - 1, 1))
    places = after - 1
    if len(times) > 1:
        places = np.where(times[after] - wanted < wanted - times[places], after, places)
    return np.where(np.abs(times[places] - wanted) <= interval / 2 + 1e-6, places, -1)


def _with_subjects(dataset: RawDataset, source: Path, path: Path) -> RawDataset:
    from aulight.data.sources.tables import read_subjects, spellings

    subjects, notes = read_subjects(path, spellings(dataset.videos, source))
    videos = [replace(video, subject=subjects.get(video.video_id, video.subject)) for video in dataset.videos]
    if alone := [video.video_id for video in videos if video.video_id not in subjects]:
        notes.append(
            f"{path.name}: {len(alone)} videos not listed, each taken for a subject of its own: {shorten(alone)}"
        )
    return replace(dataset, videos=videos, notes=dataset.notes + notes)


def _with_labels(dataset: RawDataset, source: Path, path: Path) -> RawDataset:
    """Adds the labels of a table to those of earlier ones."""
    from aulight.data.sources.tables import read_labels, spellings

    aus, tables, notes = read_labels(path, spellings(dataset.videos, source))
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


# ---- what the readers share ---------------------------------------------------------------------------------------


_Key = TypeVar("_Key")


def add_once(found: MutableMapping[_Key, Path], key: _Key, path: Path, name: str) -> None:
    """Adds a file under its key.

    Raises:
        AulightError: When another one is there; ``name`` says what both would be.
    """
    if found.setdefault(key, path) != path:
        raise AulightError(f"{found[key]} and {path}: both would be {name}; rename or remove one")


def file_name(text: str) -> str:
    """A relative path as a video's name: ``/`` becomes ``__``; what is unusual in a file name becomes ``_``."""
    return re.sub(r"[^\w.-]", "_", text.replace("/", "__"))


def entries(folder: Path) -> list[Path]:
    """What is in a folder, sorted, without hidden files."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def wrong_layout(source: Path, expected: str) -> AulightError:
    """The error for a folder that holds something else than ``expected``."""
    names = [path.name + "/" * path.is_dir() for path in entries(source)]
    return AulightError(f"data.source={source}: expected {expected}; found {shorten(names, 8) or 'nothing'}")


def shorten(names: Iterable[str], most: int = LISTED) -> str:
    """Names in one line, the first few of many."""
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def shorten_lines(lines: list[str]) -> list[str]:
    """The first few of many lines, and how many more there are."""
    return lines if len(lines) <= LISTED else [*lines[:LISTED], f"and {len(lines) - LISTED} more"]
