"""A raw video and a raw dataset, as the readers of all layouts give them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd


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
        left_out: By the names of videos that several files would be, a line with these files.
    """

    aus: tuple[int, ...]
    videos: list[RawVideo]
    notes: list[str]
    left_out: Mapping[str, str] = field(default_factory=dict)
