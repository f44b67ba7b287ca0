"""Writes a prepared dataset whole, and replaces the tables of a finished one by a single step.

New tables are written beside the old ones under the names of their revision, and ``dataset.yaml`` is then replaced by
one that names this revision: from that moment on they are the dataset's, whoever is killed. Only then do they get the
names of the old ones.
"""

import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from aulight.data.description import DESCRIPTION, FORMAT, DatasetDescription, read_description
from aulight.data.noted import SOURCE_COLUMNS
from aulight.data.row_groups import GroupWriter
from aulight.data.store import BLENDSHAPE, PreparedDataset, next_table
from aulight.errors import AulightError
from aulight.facs import column
from aulight.files import flush, remove_leftovers, rename_flushed, write_table, write_yaml

_NO_LABELS = pd.DataFrame({"video_id": pd.Series(dtype="string"), "frame": pd.Series(dtype="int64")})


def partial_folder(root: Path) -> Path:
    """Where a dataset is built until it is whole."""
    return root.with_name(f".{root.name}.partial")


class _Tables:
    """Describes videos in tables, one after another: what a new dataset and a longer one have in common.

    Args:
        place: Of a table's name, the file that it is written into.
    """

    def __init__(self, place: Callable[[str], Path]) -> None:
        self._place = place
        self._videos: list[dict[str, object]] = []
        self._frames, self._labels = GroupWriter(place("frames")), GroupWriter(place("labels"))

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
        path: str | None = None,
        **columns: object,
    ) -> None:
        """Describes one video that is already in the folder ``videos``.

        Args:
            video_id: Its name.
            subject: Whose face it shows.
            fps: Frames per second.
            source_frame: ``(frames,)`` number of each frame in the raw video.
            face_confidence: ``(frames,)`` 0..1, 0 where no face was found.
            time_s: ``(frames,)`` seconds since the start; ``None``: ``source_frame / fps``.
            labels: AU number to ``(frames,)`` intensities 0..5, NA where unknown; frames with no known AU get no row.
            blendshapes: Name to ``(frames,)`` scores 0..1, NaN where no face was found.
            path: Its file below the dataset; ``None``: ``videos/<video_id>.mp4``.
            **columns: Further columns of ``videos.parquet``.
        """
        count = len(source_frame)
        frame = np.arange(count)
        time_s = source_frame / fps if time_s is None else time_s
        self._videos.append(
            {
                "video_id": video_id,
                "subject": subject,
                "path": path or f"videos/{video_id}.mp4",
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
        self._frames.add(table)
        if labels is not None:
            labelled = pa.Table.from_pandas(label_rows(video_id, labels), preserve_index=False)
            self._labels.add(labelled.replace_schema_metadata())

    def _close(self) -> None:
        for table in (self._frames, self._labels):
            table.close()

    def _write_videos(self) -> dict[str, int]:
        """Writes the table of videos, and gives the counts that ``dataset.yaml`` has."""
        videos = pd.DataFrame(self._videos)
        numbers = [name for name in SOURCE_COLUMNS[1:] if name in videos]
        videos[numbers] = videos[numbers].astype("Int64")  # which has no value where one is not known
        write_table(videos, self._place("videos"))
        return {
            "videos": len(videos),
            "frames": int(videos["frames"].sum()),
            "subjects": int(videos["subject"].nunique()),
        }


class StoreWriter(_Tables):
    """Builds a prepared dataset; use as a context manager, and nothing half-made ever has the final name.

    Videos are written by the caller into :attr:`videos` (a folder), as ``<video_id>.mp4``, then described by
    :meth:`add`.

    Args:
        root: The dataset's final folder; must not exist yet.
        meta: What ``dataset.yaml`` says beyond the format and the counts; may be added to as long as this is open.
        resume: Keep what an earlier, interrupted writer left in :attr:`folder`, and leave it there if this one fails.

    Attributes:
        folder: Where it is built.
        videos: Its folder of videos.

    Raises:
        AulightError: When ``root`` is already there.
    """

    def __init__(self, root: Path, meta: DatasetDescription, resume: bool = False) -> None:
        if root.exists():
            raise AulightError(f"{root}: already there; give another data.name= or data.root=")
        self.root = root
        self.meta = meta.copy()
        self.resume = resume
        self.folder = partial_folder(root)
        self.videos = self.folder / "videos"
        super().__init__(lambda name: self.folder / f"{name}.parquet")

    def __enter__(self) -> Self:
        if not self.resume:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.videos.mkdir(parents=True, exist_ok=True)
        for folder in (self.folder, self.videos):
            remove_leftovers(folder)
        for table in self.folder.glob("*.parquet"):  # of the earlier writer: they are made anew
            table.unlink()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._close()
            if kind is None:
                counts = self._write_videos() if self._videos else {}
                self._refuse_partial()
                write_yaml({"format": FORMAT, **self.meta, **counts}, self.folder / DESCRIPTION)
                rename_flushed(self.folder, self.root)
        finally:
            if not self.resume:
                shutil.rmtree(self.folder, ignore_errors=True)

    def _refuse_partial(self) -> None:
        """Somebody may have removed files while others were made: what is left must not get the final name."""
        if not self._videos:
            raise AulightError(f"{self.root}: no videos to store")
        tables = [self._place(name) for name in ("frames", "videos", *(["labels"] if self._labels.begun else []))]
        for path in (*tables, *(self.folder / str(video["path"]) for video in self._videos)):
            if not path.is_file():
                name = path.relative_to(self.folder)
                raise AulightError(f"{self.root}: {name} was removed while it was made; give the same command again")


class StoreReviser(_Tables):
    """Describes all videos of a finished dataset anew, and replaces its tables by one step when all are there.

    Use as a context manager. A video that is not in the dataset yet is put into its folder ``videos`` before, under a
    name that no video there has. Until the block has ended well, and whenever the process is killed before, the
    dataset is what it was.

    Args:
        data: The dataset.
        meta: What ``dataset.yaml`` says from now on, beyond the counts; may be added to as long as this is open.
    """

    def __init__(self, data: PreparedDataset, meta: DatasetDescription) -> None:
        self.root = data.root
        self.meta = meta.copy()
        self._revision = data.meta.get("revision", 0) + 1
        super().__init__(lambda name: next_table(self.root, name, self._revision))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        if kind is not None:
            settle(self.root)
            return
        if not self._labels.begun:
            write_table(_NO_LABELS, self._place("labels"))
        _commit(self.root, {**self.meta, **self._write_videos(), "revision": self._revision})


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
    data: PreparedDataset, meta: DatasetDescription, labels: pd.DataFrame | None, videos: pd.DataFrame
) -> None:
    """Gives a finished dataset other labels and another table of videos by one step; its frames stay.

    Where they are what the dataset has, nothing is written.

    Args:
        data: The dataset.
        meta: What ``dataset.yaml`` says from now on, beyond the number of subjects.
        labels: The new ``labels.parquet``; ``None`` for none.
        videos: The new ``videos.parquet``, of the same videos.
    """
    meta = {**data.meta, **meta, "subjects": int(videos["subject"].nunique())}
    same = labels is None if not data.has_labels else labels is not None and data.labels.equals(labels)
    if same and meta == data.meta and data.videos.equals(videos):
        return
    revision = data.meta.get("revision", 0) + 1
    write_table(_NO_LABELS if labels is None else labels, next_table(data.root, "labels", revision))
    write_table(videos, next_table(data.root, "videos", revision))
    _commit(data.root, {**meta, "revision": revision})


def _commit(root: Path, meta: Mapping[str, Any]) -> None:
    """Makes the tables of a revision those of the dataset: with the one file that says so."""
    for path in root.glob(f".*.{meta['revision']}.parquet"):
        flush(path)
    write_yaml(meta, root / DESCRIPTION)
    settle(root)


def settle(root: Path) -> None:
    """Gives the tables of a dataset's revision their own names, and removes those of one that never was.

    That is what is left to do when a process was killed while it replaced them. What else it left goes as well.

    Args:
        root: The dataset's folder, which nobody else writes into now.

    Raises:
        AulightError: When ``dataset.yaml`` is damaged.
    """
    for folder in (root, root / "videos"):
        remove_leftovers(folder)
    revision = read_description(root).get("revision", 0)
    for path in sorted(root.glob(".*.parquet")):
        match = re.fullmatch(r"\.(videos|frames|labels)\.([0-9]+)\.parquet", path.name)
        if match is None:
            continue
        place = root / f"{match[1]}.parquet"
        if int(match[2]) != revision:
            path.unlink()
        elif match[1] == "labels" and not pq.read_metadata(path).num_rows:  # what is read as none
            place.unlink(missing_ok=True)
            path.unlink()
        else:
            path.replace(place)
