"""Writes a prepared dataset whole, and gives a finished one other labels and subjects."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from aulight.data.store import BLENDSHAPE, FORMAT, DatasetDescription, PreparedDataset
from aulight.errors import AulightError
from aulight.facs import column
from aulight.files import remove_leftovers, write_table, write_yaml


def partial_folder(root: Path) -> Path:
    """Where a dataset is built until it is whole."""
    return root.with_name(f".{root.name}.partial")


class StoreWriter:
    """Builds a prepared dataset; use as a context manager, and nothing half-made ever has the final name.

    Videos are written by the caller into :attr:`videos` (a folder), then described by :meth:`add`.

    Args:
        root: The dataset's final folder; must not exist yet.
        meta: What ``dataset.yaml`` says beyond the format and the counts; may be added to as long as this is open.
        resume: Keep what an earlier, interrupted writer left in :attr:`folder`, and leave it there if this one fails.
        replace: Put the new dataset in the place of one that is there, once it is whole.

    Attributes:
        folder: Where it is built.
        videos: Its folder of videos.

    Raises:
        AulightError: When ``root`` is already there and is not to be replaced.
    """

    def __init__(self, root: Path, meta: DatasetDescription, resume: bool = False, replace: bool = False) -> None:
        if root.exists() and not replace:
            raise AulightError(f"{root}: already there; remove it to make it anew")
        self.root = root
        self.meta = meta.copy()
        self.resume = resume
        self.folder = partial_folder(root)
        self.videos = self.folder / "videos"
        self._videos: list[dict[str, object]] = []
        self._frames: pq.ParquetWriter | None = None
        self._labels: pq.ParquetWriter | None = None

    def __enter__(self) -> "StoreWriter":
        if not self.resume:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.videos.mkdir(parents=True, exist_ok=True)
        remove_leftovers(self.videos)
        for table in self.folder.glob("*.parquet"):  # of the earlier writer: they are made anew
            table.unlink()
        return self

    def add(
        self,
        video_id: str,
        subject: str,
        fps: float,
        source_frame: npt.NDArray[np.int64],
        face_confidence: npt.NDArray[np.float32],
        time_s: npt.NDArray[np.float64] | None = None,
        labels: Mapping[int, Any] | None = None,
        blendshapes: Mapping[str, npt.NDArray[np.float32]] | None = None,
        **columns: object,
    ) -> None:
        """Describes one video that is already in the folder :attr:`videos`.

        Args:
            video_id: Its name without ``.mp4``.
            subject: Whose face it shows.
            fps: Frames per second.
            source_frame: ``(frames,)`` number of each frame in the raw video.
            face_confidence: ``(frames,)`` 0..1, 0 where no face was found.
            time_s: ``(frames,)`` seconds since the start; ``None``: ``source_frame / fps``.
            labels: AU number to ``(frames,)`` intensities 0..5, NA where unknown; frames with no known AU get no row.
            blendshapes: Name to ``(frames,)`` scores 0..1, NaN where no face was found.
            **columns: Further columns of ``videos.parquet``.
        """
        count = len(source_frame)
        frame = np.arange(count)
        time_s = source_frame / fps if time_s is None else time_s
        self._videos.append(
            {
                "video_id": video_id,
                "subject": subject,
                "path": f"videos/{video_id}.mp4",
                "frames": count,
                "fps": float(fps),
                **columns,
            }
        )
        table = pa.table(
            {
                "video_id": pa.array([video_id] * count, pa.string()),
                "frame": pa.array(frame, pa.int64()),
                "source_frame": pa.array(source_frame, pa.int64()),
                "time_s": pa.array(time_s, pa.float64()),
                "face_confidence": pa.array(face_confidence, pa.float32()),
                **{
                    f"{BLENDSHAPE}{name}": pa.array(scores, pa.float32())
                    for name, scores in (blendshapes or {}).items()
                },
            }
        )
        if self._frames is None:
            self._frames = pq.ParquetWriter(self.folder / "frames.parquet", table.schema)
        self._frames.write_table(table)
        if labels is not None:
            labelled = pa.Table.from_pandas(label_rows(video_id, labels), preserve_index=False)
            labelled = labelled.replace_schema_metadata()
            if self._labels is None:
                self._labels = pq.ParquetWriter(self.folder / "labels.parquet", labelled.schema)
            self._labels.write_table(labelled.cast(self._labels.schema))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for writer in (self._frames, self._labels):
            if writer is not None:
                writer.close()
        if kind is not None or not self._videos:
            if not self.resume:
                shutil.rmtree(self.folder, ignore_errors=True)
            if kind is not None:
                return
            raise AulightError(f"{self.root}: no videos to store")
        videos = pd.DataFrame(self._videos)
        write_table(videos, self.folder / "videos.parquet")
        meta = {
            "format": FORMAT,
            **self.meta,
            "videos": len(videos),
            "frames": int(videos["frames"].sum()),
            "subjects": int(videos["subject"].nunique()),
        }
        write_yaml(meta, self.folder / "dataset.yaml")
        old = self.root.with_name(f".{self.root.name}.old")
        if self.root.exists():
            self.root.rename(old)
        self.folder.rename(self.root)
        shutil.rmtree(old, ignore_errors=True)


def label_rows(video_id: str, labels: Mapping[int, Any]) -> pd.DataFrame:
    """Rows of ``labels.parquet`` for one video: its frames with at least one known AU.

    Args:
        video_id: The video.
        labels: AU number to ``(frames,)`` intensities 0..5, NA where unknown.
    """
    columns = {column(au): pd.Series(values).astype("Int8").array for au, values in labels.items()}
    table = pd.DataFrame(columns)
    known = table.notna().any(axis=1)
    table.insert(0, "frame", np.arange(len(table)))
    table.insert(0, "video_id", video_id)
    return table[known]


def replace_labels(
    data: PreparedDataset,
    aus: Sequence[int],
    labels: pd.DataFrame | None,
    subjects: Mapping[str, str],
    source: Mapping[str, Any],
) -> None:
    """Gives a finished dataset other labels and subjects; its videos and frames stay.

    Interrupted between the files it leaves a dataset that either is whole or is refused when opened.

    Args:
        data: The dataset.
        aus: The AUs of the new labels.
        labels: The new ``labels.parquet``; ``None`` for none.
        subjects: ``video_id`` to subject, for every video.
        source: What ``dataset.yaml`` says of the raw data from now on.
    """
    path = data.root / "labels.parquet"
    if labels is None:
        path.unlink(missing_ok=True)
    else:
        write_table(labels, path)
    videos = data.videos.assign(subject=data.videos["video_id"].map(dict(subjects)))
    write_table(videos, data.root / "videos.parquet")
    meta = {**data.meta, "aus": list(aus), "source": dict(source), "subjects": int(videos["subject"].nunique())}
    write_yaml(meta, data.root / "dataset.yaml")
