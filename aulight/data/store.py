"""The prepared dataset on disk: tables, checks, fingerprint.

``<root>/dataset.yaml``, ``videos.parquet``, ``frames.parquet``, ``labels.parquet`` (where there are labels) and
``videos/<video_id>.mp4``. A store is built under a temporary name and renamed when whole, so one that is there under
its own name is complete. What writes it, and how its tables are replaced, is in :mod:`aulight.data.writer`.
"""

import hashlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from aulight.data import fingerprint, row_groups, segments
from aulight.data.description import DESCRIPTION, RESTORE, read_description
from aulight.data.kept import Kept
from aulight.data.listing import missing_files
from aulight.data.noted import ELSEWHERE
from aulight.data.remote.shelf import RemoteFile, RemoteShards
from aulight.errors import AulightError
from aulight.facs import MAX_INTENSITY, column
from aulight.foreign.parquet import checked

BLENDSHAPE = "blendshape_"
"""What the names of blendshape scores begin with in ``frames.parquet``."""

FINGERPRINT = 16
"""Digits of :attr:`PreparedDataset.fingerprint`."""

_Read = TypeVar("_Read")
_Rows = TypeVar("_Rows", pa.Table, pa.RecordBatch)


class _Kind(NamedTuple):
    words: str
    fits: Callable[[pa.DataType], bool]


_TEXT = _Kind("a text", lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind))
_WHOLE = _Kind("a whole number", pa.types.is_integer)
_NUMBER = _Kind("a number", lambda kind: pa.types.is_floating(kind) or pa.types.is_integer(kind))

_VIDEOS = {"video_id": _TEXT, "subject": _TEXT, "path": _TEXT, "frames": _WHOLE, "fps": _NUMBER}
_FRAMES = {
    "video_id": _TEXT,
    "frame": _WHOLE,
    "source_frame": _WHOLE,
    "time_s": _NUMBER,
    "face_confidence": _NUMBER,
}
_LABELS = {"video_id": _TEXT, "frame": _WHOLE}


def next_table(root: Path, name: str, revision: int) -> Path:
    """Where a table is, or is being written, that is to replace an older one in this revision of a dataset.

    It has this name until it gets its own, which comes after ``dataset.yaml`` says that this revision is there.
    """
    return root / f".{name}.{revision}.parquet"


class PreparedDataset:
    """A prepared dataset, checked when opened; tables are read when first asked for.

    Attributes:
        root: Its folder.
        meta: ``dataset.yaml``.
        name: The dataset's name.
        aus: The AUs its labels have columns for; empty when unlabelled.
        fps: Nominal frames per second.
        videos: One row a video: ``video_id, subject, path, frames, fps`` and further columns
            (:data:`aulight.data.noted.NOTED`, but not in older datasets).

    Args:
        root: Its folder.
        shelf: Where its videos are when they are not in that folder.

    Raises:
        AulightError: When it is not a prepared dataset, is of a newer format, or its parts do not agree.
    """

    def __init__(self, root: Path, shelf: RemoteShards | None = None) -> None:
        self.root, self.shelf = root, shelf
        self._state = _state(root)
        self.meta = read_description(root)
        self.name = str(self.meta["name"])
        self.aus = tuple(self.meta["aus"])
        self.fps = float(self.meta["fps"])
        self.videos = self._table("videos", _VIDEOS)
        self._check(self.meta["videos"], self.meta["frames"])

    def _read(self, name: str, read: Callable[[Path], _Read]) -> _Read:
        """Reads one of the tables, as it was when the dataset was opened.

        Raises:
            AulightError: When it is missing or damaged, or `prepare` has replaced the tables meanwhile.
        """
        path = self.root / f"{name}.parquet"
        revision = self.meta.get("revision", 0)
        try:
            try:
                found = read(checked(next_table(self.root, name, revision) if revision else path))
            except FileNotFoundError:  # it has its own name already
                found = read(checked(path))
        except AulightError as error:
            raise AulightError(f"{error}; {RESTORE}") from error
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            self._refuse_changed()
            raise AulightError(f"{path}: missing or damaged; {RESTORE}") from error
        self._refuse_changed()
        return found

    def _refuse_changed(self) -> None:
        """Raises when what was just read may be of later tables than what was read before."""
        if _state(self.root) != self._state:
            raise AulightError(f"{self.root}: `aulight prepare` has changed it meanwhile; give the same command again")

    def _table(self, name: str, kinds: Mapping[str, _Kind], only: Callable[[str], bool] = bool) -> pd.DataFrame:
        """A table of known columns, and of those others that are wanted by name."""
        path = self.root / f"{name}.parquet"

        def read(place: Path) -> tuple[pa.Schema, pd.DataFrame]:
            with pq.ParquetFile(place) as file:
                names = [name for name in file.schema_arrow.names if name in kinds or only(name)]
                return file.schema_arrow, file.read(columns=names).to_pandas()

        schema, table = self._read(name, read)
        if lacking := [column for column in kinds if column not in table]:
            raise AulightError(f"{path}: has no column {', '.join(lacking)}; {RESTORE}")
        for key, kind in kinds.items():
            if not kind.fits(schema.field(key).type) or table[key].isna().any():
                raise AulightError(f"{path}: column {key} is not {kind.words} in every row; {RESTORE}")
        return table

    def _check(self, videos: int, frames: int) -> None:
        path = self.root / "videos.parquet"
        there = (len(self.videos), int(self.videos["frames"].sum()))
        if there != (videos, frames):
            raise AulightError(
                f"{path}: {there[0]} videos and {there[1]} frames, dataset.yaml says {videos} and {frames}; {RESTORE}"
            )
        self._kept = Kept(self.root, frames)
        # of each video the first of its rows in frames.parquet
        self._first = self._kept.array("first", (videos,), np.int64, self._checked)
        self._refuse_changed()

    def _checked(self) -> npt.NDArray[np.int64]:
        """Refuses videos whose frames or files are not there; of each the first of its rows in ``frames.parquet``."""
        path, names = self.root / "videos.parquet", self.videos["video_id"]
        twice = names[names.duplicated()]
        if len(twice):
            raise AulightError(f"{path}: video {twice.iat[0]} is listed twice; {RESTORE}")
        rows_of = self._stretches()
        for name, count in zip(names, self.videos["frames"], strict=True):
            if len(rows_of.get(name, ())) != count:
                raise AulightError(
                    f"{self.root / 'frames.parquet'}: does not have the {count} frames of video {name}; {RESTORE}"
                )
        if others := rows_of.keys() - set(names):
            raise AulightError(
                f"{self.root / 'frames.parquet'}: video {min(others)} is not in videos.parquet; {RESTORE}"
            )
        if odd := [path for path in self.videos["path"] if Path(path).is_absolute() or ".." in Path(path).parts]:
            raise AulightError(f"{path}: {odd[0]} is not in the dataset's folder; {RESTORE}")
        # at an URL, one that is missing is told when it is read
        if self.shelf is None and (missing := missing_files(self.root, self.videos["path"])):
            raise AulightError(
                f"{self.root / missing[0]}: missing ({len(missing)} of {len(names)} videos are); {RESTORE}"
            )
        return np.array([rows_of[name].start if name in rows_of else 0 for name in names], np.int64)

    def _stretches(self) -> dict[str, range]:
        """The rows of ``frames.parquet`` that each video has."""
        found, row = dict[str, range](), 0
        with self._frames_file(["video_id"]) as (file, whole):
            for batch in file.iter_batches(row_groups.ROWS, columns=["video_id"]):
                names = whole(batch)["video_id"].to_pandas().to_numpy()
                starts = [0, *(np.flatnonzero(names[1:] != names[:-1]) + 1).tolist()]
                for start, stop in zip(starts, [*starts[1:], len(names)], strict=True):
                    before = found.get(names[start], range(row + start, row + start))
                    if before.stop != row + start:
                        path = self.root / "frames.parquet"
                        raise AulightError(f"{path}: frames of video {names[start]} are not together; {RESTORE}")
                    found[names[start]] = range(before.start, row + stop)
                row += len(names)
        return found

    @contextmanager
    def _frames_file(self, columns: Sequence[str]) -> Iterator[tuple[pq.ParquetFile, Callable[[_Rows], _Rows]]]:
        """``frames.parquet``, opened for some columns, and what refuses rows of it in which one has no value.

        Raises:
            AulightError: When it is damaged, also while it is read.
        """
        path, kinds = self.root / "frames.parquet", {name: _FRAMES[name] for name in columns if name in _FRAMES}

        def refuse(wrong: Iterable[str]) -> None:
            for name in wrong:
                raise AulightError(f"{path}: column {name} is not {kinds[name].words} in every row; {RESTORE}")

        def whole(rows: _Rows) -> _Rows:
            refuse(name for name in kinds if rows[name].null_count)
            return rows

        with self._read("frames", pq.ParquetFile) as file:  # from here on it is this file, whatever gets its name
            schema = file.schema_arrow
            refuse(
                key for key, kind in kinds.items() if key not in schema.names or not kind.fits(schema.field(key).type)
            )
            try:
                yield file, whole
            except (OSError, ValueError, pa.ArrowException) as error:
                raise AulightError(f"{path}: missing or damaged; {RESTORE}") from error

    @property
    def columns(self) -> list[str]:
        """Names of the label columns, in the order of :attr:`aus`."""
        return [column(au) for au in self.aus]

    @cached_property
    def people(self) -> npt.NDArray[np.int64]:
        """Who is in each of :attr:`videos`, as a number; where nobody is named, somebody of that video alone."""
        named = self.videos["subject"].astype(str).str.strip()
        numbers = pd.factorize(named)[0].astype(np.int64)
        return np.where(named == "", len(named) + np.arange(len(named)), numbers)

    @cached_property
    def frames(self) -> pd.DataFrame:
        """``video_id, frame, source_frame, time_s, face_confidence``: one row a frame, in order."""
        return self._table("frames", _FRAMES, only=lambda _: False)

    @property
    def elsewhere(self) -> dict[str, list[int]]:
        """Of each video the frames whose face is the first after one elsewhere, as far as that was noted."""
        if ELSEWHERE not in self.videos:
            return {}
        noted = self.videos.set_index("video_id")[ELSEWHERE].dropna()
        return {str(video): [int(frame) for frame in str(frames).split()] for video, frames in noted.items()}

    @cached_property
    def blendshapes(self) -> pd.DataFrame:
        """``video_id, frame`` and the landmarker's scores 0..1 by name, NaN where no face was found.

        Raises:
            AulightError: When the dataset was prepared without them.
        """
        kinds = {name: _FRAMES[name] for name in ("video_id", "frame")}
        table = self._table("frames", kinds, only=lambda name: name.startswith(BLENDSHAPE))
        names = [name for name in map(str, table) if name.startswith(BLENDSHAPE)]
        if not names:
            raise AulightError(
                f"{self.root}: has no blendshape scores; "
                "prepare the raw videos under another data.name= with data.faces=mediapipe faces.blendshapes=true"
            )
        return table.rename(columns={name: name.removeprefix(BLENDSHAPE) for name in names})

    @cached_property
    def labels(self) -> pd.DataFrame:
        """``video_id, frame, AU..`` with nullable Int8 intensities 0..5, one row a labelled frame.

        Raises:
            AulightError: When the dataset has no labels, or they do not fit its other tables.
        """
        path = self.root / "labels.parquet"
        if not self.has_labels:
            raise AulightError(f"{self.root}: has no labels (labels.parquet is missing)")
        labels = self._table("labels", _LABELS)
        if list(labels.columns[2:]) != self.columns:
            raise AulightError(
                f"{path}: columns {list(labels.columns[2:])}, dataset.yaml lists {self.columns}; {RESTORE}"
            )
        try:
            labels[self.columns] = values = labels[self.columns].astype("Int8")
        except (TypeError, ValueError) as error:
            raise AulightError(f"{path}: intensities that are not whole numbers ({error})") from error
        if ((values < 0) | (values > MAX_INTENSITY)).any(axis=None):
            raise AulightError(f"{path}: intensities outside 0..{MAX_INTENSITY}")
        length = labels["video_id"].map(self.videos.set_index("video_id")["frames"]).fillna(0)
        for what, wrong in (
            ("is not in the dataset", (labels["frame"] < 0) | (labels["frame"] >= length)),
            ("is listed twice", labels.duplicated(["video_id", "frame"])),
        ):
            if wrong.any():
                video, frame = labels.loc[wrong, ["video_id", "frame"]].iloc[0]
                raise AulightError(f"{path}: frame {frame} of video {video} {what}; {RESTORE}")
        return labels

    @cached_property
    def segments(self) -> pd.DataFrame:
        """Runs of frames a clip may be cut from: ``video`` (row in :attr:`videos`), ``start``, ``stop``.

        Within a run every frame shows a face and follows its predecessor in the raw video
        (:func:`aulight.data.segments.usual_step`). Memory grows with the number of runs, not of frames.
        """
        runs = self._kept.array("runs", (None, 3), np.int64, self._runs)
        self._refuse_changed()
        return pd.DataFrame(runs, columns=["video", "start", "stop"], copy=False)

    def _runs(self) -> npt.NDArray[np.int64]:
        runs = []
        tables = self.frames_of(self.videos["video_id"], ["frame", "source_frame", "face_confidence"])
        for row, table in enumerate(tables):
            if not np.array_equal(table["frame"], np.arange(len(table))):
                path, name = self.root / "frames.parquet", self.videos["video_id"].iat[row]
                raise AulightError(f"{path}: frames of video {name} are not numbered from 0, in order; {RESTORE}")
            found = segments.runs(table["source_frame"].to_numpy(), table["face_confidence"].to_numpy() > 0)
            runs.append(np.insert(found, 0, row, axis=1))
        return np.concatenate(runs).astype(np.int64)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the description and of what is in the tables: equal for equal content, whatever the folders.

        Raises:
            AulightError: When a table is damaged.
        """
        known = self._kept.array("fingerprint", (FINGERPRINT,), np.uint8, self._hashed)
        self._refuse_changed()
        return known.tobytes().decode()

    def _hashed(self) -> npt.NDArray[np.uint8]:
        digest = hashlib.sha256(fingerprint.described(self.meta))
        for name in ("videos", "frames", "labels"):
            if name != "labels" or self.has_labels:
                digest.update(self._read(name, fingerprint.content))
        return np.frombuffer(digest.hexdigest()[:FINGERPRINT].encode(), np.uint8)

    @cached_property
    def has_labels(self) -> bool:
        """Whether there are labels."""
        places = (next_table(self.root, "labels", self.meta.get("revision", 0)), self.root / "labels.parquet")
        return any(place.is_file() for place in places) and self._read("labels", pq.read_metadata).num_rows > 0

    def frames_of(self, videos: Iterable[str], columns: Sequence[str] | None = None) -> Generator[pd.DataFrame]:
        """The rows of ``frames.parquet`` of some videos, one video at a time in memory, and all read in one go.

        Args:
            videos: Their names, best in the order of :attr:`videos`, for no part of the file to be read twice.
            columns: Which columns; ``None``: all.

        Raises:
            AulightError: When the table is damaged, or was replaced since the dataset was opened.
        """
        with self._frames_file(columns or list(_FRAMES)) as (file, whole):
            wanted = (range(first, first + count) for first, count in self._rows_of(videos))
            for rows in row_groups.stretches(file, wanted, columns or file.schema_arrow.names):
                yield whole(rows).to_pandas()

    def _rows_of(self, videos: Iterable[str]) -> Iterator[tuple[int, int]]:
        """Of each video its first row in ``frames.parquet``, and how many it has."""
        counts = self.videos["frames"].to_numpy()
        if videos is self.videos["video_id"]:
            yield from zip(self._first.tolist(), counts.tolist(), strict=True)
            return
        for video in videos:
            row = self._row_of[video]
            yield int(self._first[row]), int(counts[row])

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {str(video): row for row, video in enumerate(self.videos["video_id"])}

    def path(self, row: int) -> Path:
        """The video file of a row of :attr:`videos`, of a dataset in a folder."""
        return self.root / str(self.videos["path"].iat[row])

    def file(self, row: int) -> Path | RemoteFile:
        """The same wherever it is."""
        return self.path(row) if self.shelf is None else RemoteFile(self.shelf, str(self.videos["path"].iat[row]))

    def rows(self, subjects: Sequence[str]) -> npt.NDArray[np.int64]:
        """Rows of :attr:`videos` that show one of these subjects."""
        return np.flatnonzero(self.videos["subject"].isin(list(subjects)).to_numpy())


def _state(root: Path) -> tuple[int, int, int] | None:
    """What is another once ``dataset.yaml`` is."""
    try:
        found = (root / DESCRIPTION).stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
