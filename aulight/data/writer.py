"""Writes a prepared dataset, which gets its name when it is whole.

Videos come as a file each and are packed into shards when all are there (:mod:`aulight.data.packing`).
"""

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

from aulight.data import fingerprint, segments
from aulight.data.description import DESCRIPTION, FORMAT, MOST, DatasetDescription, Plain, read_description
from aulight.data.noted import DIGESTS, SOURCE_COLUMNS
from aulight.data.packing import Loose, Packed, pack, remove_unused
from aulight.data.row_groups import GroupWriter
from aulight.data.store import BLENDSHAPE
from aulight.errors import AulightError
from aulight.facs import column
from aulight.files import flush, remove_leftovers, rename_flushed, whole, write_table
from aulight.foreign.yaml import write_yaml

FILE = DIGESTS[-1]
"""The column of ``videos.parquet`` with the digest of each video's file, as it was before it was packed."""

_RUNS = pa.schema([("video", pa.int32()), ("start", pa.int32()), ("stop", pa.int32())])


def partial_folder(root: Path) -> Path:
    """Where a dataset is built until it is whole."""
    return root.with_name(f".{root.name}.partial")


def notes_of(root: Path) -> Path:
    """Where it is noted what is in shards that are there, as long as the dataset does not know them."""
    return partial_folder(root) / "packed"


class Describer:
    """Describes videos in tables, one after another: what a new dataset and a longer one have in common.

    Attributes:
        place: Of a table's name, the file that it is written into.
        labels: Writes the table of labels.

    Args:
        place: Of a table's name, the file that it is written into.
    """

    def __init__(self, place: Callable[[str], Path]) -> None:
        self.place = place
        self._videos = list[Plain]()
        self._runs = list[npt.NDArray[np.int64]]()
        self._frames, self.labels = GroupWriter(place("frames")), GroupWriter(place("labels"))

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
        """Describes one video that is there already.

        Args:
            video_id: Its name.
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
                "frames": count,
                "fps": float(fps),
                **columns,
            }
        )
        self._runs.append(
            segments.runs_of(np.asarray(source_frame), np.asarray(face_confidence), len(self._videos) - 1)
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
            if len(labelled):  # a table without rows is as good as none
                self.labels.add(labelled.replace_schema_metadata())

    def close(self) -> None:
        """Writes what is left of the tables that grow with each video."""
        for table in (self._frames, self.labels):
            table.close()

    def write(self, packed: Packed, meta: Mapping[str, Any]) -> Plain:
        """Writes what is left to write of the tables, and gives all that ``dataset.yaml`` says."""
        videos = pd.DataFrame(self._videos)
        videos[FILE] = files_of(videos, packed)
        numbers = [name for name in SOURCE_COLUMNS[1:] if name in videos]
        videos[numbers] = videos[numbers].astype("Int64")  # which has no value where one is not known
        write_table(videos, self.place("videos"))
        write_arrow(packed.index, self.place("index"))
        write_runs(np.concatenate(self._runs), self.place("runs"))
        counts = {
            "videos": len(videos),
            "frames": int(videos["frames"].sum()),
            "subjects": int(videos["subject"].nunique()),
        }
        described: Any = {"format": FORMAT, **meta, **counts} | {"format": FORMAT}  # a copy has it before
        names = ("videos", "frames", *(["labels"] if self.labels.begun else []))
        return {**described, **fingerprint.noted(described, {name: self.place(name) for name in names})}


class StoreWriter(Describer):
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
        for table in (self.folder / DESCRIPTION, *self.folder.glob("*.parquet")):  # of the earlier writer
            table.unlink(missing_ok=True)  # they are made anew
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
            if kind is None:
                self._refuse_partial()
                given = [
                    Loose(row, video["video_id"], video["frames"], self._file(video), video.get(FILE))
                    for row, video in enumerate(self._videos)
                ]
                packed = pack(given, self.folder, notes_of(self.root))
                remove_unused(self.folder, set(packed.index["shard"].to_pylist()))
                meta = self.write(packed, self.meta)
                shutil.rmtree(notes_of(self.root))
                for path in self.folder.glob("*.parquet"):
                    flush(path)
                write_yaml(meta, self.folder / DESCRIPTION, MOST)  # from here on it is whole, but for its name
                give_name(self.root)
        finally:
            if not self.resume:
                shutil.rmtree(self.folder, ignore_errors=True)

    def _refuse_partial(self) -> None:
        """Somebody may have removed files while others were made: what is left must not get the final name."""
        if not self._videos:
            raise AulightError(f"{self.root}: no videos to store")
        tables = [self.place(name) for name in ("frames", *(["labels"] if self.labels.begun else []))]
        for path in (*tables, *map(self._file, self._videos)):
            if not path.is_file():
                name = path.relative_to(self.folder)
                raise AulightError(f"{self.root}: {name} was removed while it was made; give the same command again")

    def _file(self, video: Mapping[str, Any]) -> Path:
        return self.videos / f"{video['video_id']}.mp4"


def give_name(root: Path) -> None:
    """Gives a dataset its name that is whole but for that, and drops the files that its shards were made from.

    Args:
        root: Where it goes.
    """
    folder = partial_folder(root)
    if read_description(folder)["format"] > 1:
        shutil.rmtree(folder / "videos", ignore_errors=True)
    rename_flushed(folder, root)


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


def files_of(videos: pd.DataFrame, packed: Packed) -> "pd.Series[str]":
    """The digests of the videos' files: those that were noted, and of the others what they are."""
    noted = videos[FILE].tolist() if FILE in videos else [None] * len(videos)
    found = [known if isinstance(known, str) else packed.digests.get(row) for row, known in enumerate(noted)]
    return pd.Series(found, dtype="str")


def write_arrow(table: pa.Table, path: Path) -> None:
    """Writes a table, whole or not at all."""
    with whole(path) as temporary:
        pq.write_table(table, temporary)


def write_runs(runs: npt.NDArray[np.int64], path: Path) -> None:
    """Writes ``runs.parquet``: ``(runs, 3)``, of each its video, start and stop."""
    write_arrow(pa.table([pa.array(column, pa.int32()) for column in runs.T], schema=_RUNS), path)
