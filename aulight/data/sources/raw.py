"""A raw video and a raw dataset, as every layout gives them; and what reading a layout needs."""

import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from aulight.errors import AulightError, shorten


@dataclass(frozen=True)
class RawVideo:
    """One raw video.

    Attributes:
        video_id: Its name in the prepared dataset: unique, and a valid file name.
        subject: Whose face it shows.
        path: What :func:`aulight.data.video.raw.raw_frames` takes: a video file, a folder of images, or one in a zip
            file.
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
