"""The prepared dataset on disk: tables, checks, fingerprint.

``<root>/dataset.yaml``, ``videos.parquet``, ``frames.parquet``, ``labels.parquet`` (where there are labels) and
``videos/<video_id>.mp4``. A store is built under a temporary name and renamed when whole, so one that is there under
its own name is complete; only its labels and subjects are ever replaced. What writes it is in
:mod:`aulight.data.writer`.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from aulight.errors import AulightError
from aulight.facs import MAX_INTENSITY, column
from aulight.foreign.yaml import read_yaml

FORMAT = 1
"""Version of the layout; a reader refuses a newer one."""

BATCH = 100_000
"""Rows of ``frames.parquet`` in memory at a time."""

BLENDSHAPE = "blendshape_"
"""What the names of blendshape scores begin with in ``frames.parquet``."""

FRAME_COLUMNS = ["video_id", "frame", "source_frame", "time_s", "face_confidence"]


class DatasetDescription(TypedDict, total=False):
    """What ``dataset.yaml`` says; older files lack some of it, and further keys are kept.

    Attributes:
        format: Version of the layout.
        name: The dataset's name.
        aus: The AUs its labels have columns for.
        fps: Nominal frames per second.
        crop_size: Side of the pictures in pixels.
        alignment: How faces lie in them, in words.
        source: Where it came from and how it was made; ``folder``, ``labels`` and ``subjects`` in it are places.
        skipped: Of raw videos that could not be read the reason, by their ids.
        videos: How many there are.
        frames: How many, of all videos.
        subjects: How many.
    """

    format: int
    name: str
    aus: list[int]
    fps: float
    crop_size: int
    alignment: str
    source: Mapping[str, Any]
    skipped: dict[str, str]
    videos: int
    frames: int
    subjects: int


class PreparedDataset:
    """A prepared dataset, checked when opened; tables are read when first asked for.

    Attributes:
        root: Its folder.
        meta: ``dataset.yaml``.
        name: The dataset's name.
        aus: The AUs its labels have columns for; empty when unlabelled.
        fps: Nominal frames per second.
        videos: One row a video: ``video_id, subject, path, frames, fps`` and further columns.

    Args:
        root: Its folder.

    Raises:
        AulightError: When it is not a prepared dataset, is of a newer format, or its parts do not agree.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        described = root / "dataset.yaml"
        if not described.is_file():
            raise AulightError(f"{root}: no prepared dataset there (dataset.yaml is missing); run `aulight prepare`")
        try:
            self.meta: DatasetDescription = read_yaml(described)
            self.name = str(self.meta["name"])
            self.aus = tuple(int(au) for au in self.meta["aus"])
            self.fps = float(self.meta["fps"])
            version, counts = int(self.meta["format"]), (self.meta["videos"], self.meta["frames"])
        except KeyError as error:
            raise AulightError(f"{described}: has no {error}; prepare the dataset again") from error
        except (OverflowError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise AulightError(f"{described}: not a dataset description ({reason}); prepare it again") from error
        if not all(1 <= au <= 99 for au in self.aus) or not 0 < self.fps < float("inf"):
            raise AulightError(
                f"{described}: not a dataset description (aus of 1 to 99 and fps above 0 are needed); prepare it again"
            )
        if version > FORMAT:
            raise AulightError(f"{described}: format {version}, this aulight reads up to {FORMAT}; update aulight")
        self.videos = self._table("videos", ["video_id", "subject", "path", "frames", "fps"])
        self._check(*counts)

    def _table(self, name: str, columns: Sequence[str], only: Sequence[str] | None = None) -> pd.DataFrame:
        path = self.root / f"{name}.parquet"
        try:
            there = pq.read_schema(path).names
            table = pd.read_parquet(path, columns=[c for c in there if only is None or c in only])
        except (OSError, pa.ArrowException) as error:
            raise AulightError(f"{path}: missing or damaged; prepare the dataset again") from error
        if lacking := [name for name in columns if name not in table]:
            raise AulightError(f"{path}: has no column {', '.join(lacking)}; prepare the dataset again")
        return table

    def _check(self, videos: int, frames: int) -> None:
        path = self.root / "videos.parquet"
        there = (len(self.videos), int(self.videos["frames"].sum()))
        if there != (videos, frames):
            raise AulightError(
                f"{path}: {there[0]} videos and {there[1]} frames, dataset.yaml says {videos} and {frames}; "
                "prepare the dataset again"
            )
        twice = self.videos.loc[self.videos["video_id"].duplicated(), "video_id"]
        if len(twice):
            raise AulightError(f"{path}: video {twice.iat[0]} is listed twice; prepare the dataset again")
        rows: Counter[Any] = Counter()
        for (names,) in self._frame_batches(["video_id"]):
            rows.update(names.value_counts().to_dict())
        for name, count in zip(self.videos["video_id"], self.videos["frames"], strict=True):
            if rows.pop(name, 0) != count:
                raise AulightError(
                    f"{self.root / 'frames.parquet'}: does not have the {count} frames of video {name}; "
                    "prepare the dataset again"
                )
        if rows:
            raise AulightError(
                f"{self.root / 'frames.parquet'}: video {next(iter(rows))} is not in videos.parquet; "
                "prepare the dataset again"
            )
        missing = [path for path in self.videos["path"] if not (self.root / path).is_file()]
        if missing:
            raise AulightError(
                f"{self.root / missing[0]}: missing ({len(missing)} of {videos} videos are); prepare the dataset again"
            )

    def _frame_batches(self, columns: list[str]) -> Iterator[list["pd.Series[Any]"]]:
        """Columns of ``frames.parquet``, :data:`BATCH` rows at a time."""
        path = self.root / "frames.parquet"
        try:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(BATCH, columns=columns):
                    yield [batch[name].to_pandas() for name in columns]
        except (OSError, KeyError, pa.ArrowException) as error:
            raise AulightError(f"{path}: missing or damaged; prepare the dataset again") from error

    @property
    def columns(self) -> list[str]:
        """Names of the label columns, in the order of :attr:`aus`."""
        return [column(au) for au in self.aus]

    @cached_property
    def frames(self) -> pd.DataFrame:
        """``video_id, frame, source_frame, time_s, face_confidence``: one row a frame, in order."""
        return self._table("frames", FRAME_COLUMNS, only=FRAME_COLUMNS)

    @cached_property
    def blendshapes(self) -> pd.DataFrame:
        """``video_id, frame`` and the landmarker's scores 0..1 by name, NaN where no face was found.

        Raises:
            AulightError: When the dataset was prepared without them.
        """
        names = [name for name in pq.read_schema(self.root / "frames.parquet").names if name.startswith(BLENDSHAPE)]
        if not names:
            raise AulightError(
                f"{self.root}: has no blendshape scores; "
                "prepare it again with data.faces=mediapipe faces.blendshapes=true"
            )
        table = self._table("frames", names, only=["video_id", "frame", *names])
        return table.rename(columns={name: name.removeprefix(BLENDSHAPE) for name in names})

    @cached_property
    def labels(self) -> pd.DataFrame:
        """``video_id, frame, AU..`` with nullable Int8 intensities 0..5, one row a labelled frame.

        Raises:
            AulightError: When the dataset has no labels, or they do not fit its other tables.
        """
        path = self.root / "labels.parquet"
        if not path.is_file():
            raise AulightError(f"{self.root}: has no labels (labels.parquet is missing)")
        labels = self._table("labels", ["video_id", "frame"])
        if list(labels.columns[2:]) != self.columns:
            raise AulightError(
                f"{path}: columns {list(labels.columns[2:])}, dataset.yaml lists {self.columns}; "
                "prepare the dataset again"
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
                raise AulightError(f"{path}: frame {frame} of video {video} {what}; prepare the dataset again")
        return labels

    @cached_property
    def segments(self) -> pd.DataFrame:
        """Runs of frames a clip may be cut from: ``video`` (row in :attr:`videos`), ``start``, ``stop``.

        Within a run every frame shows a face and follows its predecessor in the raw video. Read in batches: memory
        grows with the number of runs, not of frames.
        """
        row_of = {video_id: row for row, video_id in enumerate(self.videos["video_id"])}
        runs: list[list[int]] = []
        previous = (-1, -1, -1)
        columns = ["video_id", "frame", "source_frame", "face_confidence"]
        for names, *numbers in self._frame_batches(columns):
            frame, source, confidence = (values.to_numpy() for values in numbers)
            keep = np.flatnonzero(confidence > 0)
            video, frame, source = names.map(row_of).to_numpy()[keep], frame[keep], source[keep]
            if not len(keep):
                continue
            new = np.ones(len(keep), dtype=bool)
            new[1:] = (np.diff(video) != 0) | (np.diff(frame) != 1) | (np.diff(source) != 1)
            here = (int(video[0]), int(frame[0]) - 1, int(source[0]) - 1)
            new[0] = not runs or here != previous
            starts = np.flatnonzero(new)
            stops = np.append(starts, len(keep))
            if stops[0]:  # the batch begins with more of the last run
                runs[-1][2] = int(frame[stops[0] - 1]) + 1
            runs += [
                [int(video[a]), int(frame[a]), int(frame[b - 1]) + 1] for a, b in zip(starts, stops[1:], strict=True)
            ]
            previous = (int(video[-1]), int(frame[-1]), int(source[-1]))
        return pd.DataFrame(runs, columns=["video", "start", "stop"], dtype=np.int64)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the description and of what is in the tables: equal for equal content, whatever the folders.

        Raises:
            AulightError: When a table is damaged.
        """
        places = ("folder", "labels", "subjects")  # where it came from, not what it is
        source = {key: value for key, value in dict(self.meta.get("source") or {}).items() if key not in places}
        digest = hashlib.sha256(yaml.safe_dump({**self.meta, "source": source}).encode())
        for name in ("videos", "frames", "labels"):
            path = self.root / f"{name}.parquet"
            if path.is_file():
                try:
                    digest.update(_content(path))
                except (OSError, pa.ArrowException) as error:
                    raise AulightError(f"{path}: missing or damaged; prepare the dataset again") from error
        return digest.hexdigest()[:16]

    def frames_of(self, video_id: str) -> pd.DataFrame:
        """All columns of ``frames.parquet`` for one video, read on their own."""
        return pd.read_parquet(self.root / "frames.parquet", filters=[("video_id", "==", video_id)])

    def path(self, row: int) -> Path:
        """The video file of a row of :attr:`videos`."""
        return self.root / str(self.videos["path"].iat[row])

    def rows(self, subjects: Sequence[str]) -> npt.NDArray[np.int64]:
        """Rows of :attr:`videos` that show one of these subjects."""
        return np.flatnonzero(self.videos["subject"].isin(list(subjects)).to_numpy())


def _content(path: Path) -> bytes:
    """Hash of a table's columns, however its rows are grouped in the file."""
    with pq.ParquetFile(path) as file:
        digests = {name: hashlib.sha256(name.encode()) for name in file.schema_arrow.names}
        for batch in file.iter_batches(BATCH):
            for name, digest in digests.items():
                values = batch[name].to_pandas()
                if pd.api.types.is_numeric_dtype(values):
                    numbers = values.to_numpy(np.float64, na_value=np.nan)
                    digest.update(np.where(np.isnan(numbers), np.nan, numbers).tobytes())  # one NaN of many
                else:
                    digest.update("\0".join([*values.astype(str), ""]).encode())
    return b"".join(digest.digest() for digest in digests.values())
