"""The prepared dataset on disk: what is in it, checked when it is opened.

``<root>/dataset.yaml``, ``videos.parquet``, ``frames.parquet``, ``labels.parquet`` (where there are labels),
``index.parquet``, ``runs.parquet`` and ``shards/000000.tar`` ...; in place of the last three format 1 has
``videos/<video_id>.mp4``. A store is built under a temporary name and renamed when whole, so one that is there under
its own name is complete. :mod:`aulight.data.writer` writes it, :mod:`aulight.data.revising` replaces its tables.
"""

import itertools
from collections.abc import Generator, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from aulight.data import fingerprint, former, row_groups, segments
from aulight.data.description import RESTORE
from aulight.data.index import read_index
from aulight.data.kept import Kept
from aulight.data.noted import ELSEWHERE
from aulight.data.places import Files, Place
from aulight.data.remote.shelf import RemoteShards
from aulight.data.shards import Shards
from aulight.data.tables import FRAMES, NUMBER, TEXT, WHOLE, Tables
from aulight.errors import AulightError
from aulight.facs import MAX_INTENSITY, column
from aulight.files import sha256

BLENDSHAPE = "blendshape_"
"""What the names of blendshape scores begin with in ``frames.parquet``."""

_VIDEOS = {"video_id": TEXT, "subject": TEXT, "frames": WHOLE, "fps": NUMBER}
_LABELS = {"video_id": TEXT, "frame": WHOLE}
_RUNS = {"video": WHOLE, "start": WHOLE, "stop": WHOLE}


class PreparedDataset(Tables):
    """A prepared dataset, checked when opened; tables are read when first asked for.

    Attributes:
        root: Its folder.
        meta: ``dataset.yaml``.
        name: The dataset's name.
        aus: The AUs its labels have columns for; empty when unlabelled.
        fps: Nominal frames per second.
        videos: One row a video: ``video_id, subject, frames, fps`` and further columns
            (:data:`aulight.data.noted.NOTED`, but not in older datasets); ``path`` in format 1.
        files: Where each of them is.

    Args:
        root: Its folder.
        shelf: Where its videos are when they are not in that folder.

    Raises:
        AulightError: When it is not a prepared dataset, is of a newer format, or its parts do not agree.
    """

    def __init__(self, root: Path, shelf: RemoteShards | None = None) -> None:
        super().__init__(root)
        self._is_local = shelf is None
        self.name = str(self.meta["name"])
        self.aus = tuple(self.meta["aus"])
        self.fps = float(self.meta["fps"])
        self.videos = self.table("videos", _VIDEOS if self.is_indexed else {**_VIDEOS, "path": TEXT})
        names, counts = self._checked_videos()
        self._kept = Kept(root, int(counts.sum()))
        if self.is_indexed:
            self._first = np.cumsum(counts) - counts
            index, listed = read_index(self, names, counts, self._is_local), names
        else:
            self._first = self._kept.array("first", counts.shape, np.int64, self._looked_at)
            index, listed = None, self.videos["path"].to_numpy(object)
        self.files = Files(shelf or Shards(root, self.state), pa.array(listed, pa.large_string()), index)
        self.refuse_changed()

    @property
    def is_indexed(self) -> bool:
        """Whether its videos are in shards: from format 2 on."""
        return self.meta["format"] > 1

    @property
    def is_in_order(self) -> bool:
        """Whether ``frames.parquet`` has its rows in the order of :attr:`videos`, as from format 2 on."""
        counts = self.videos["frames"].to_numpy(np.int64)
        return bool((self._first == np.cumsum(counts) - counts).all())

    def _checked_videos(self) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.int64]]:
        """Names and lengths of the videos, which are as many as the description and the other tables say."""
        path, names = self.root / "videos.parquet", self.videos["video_id"]
        counts = self.videos["frames"].to_numpy(np.int64)
        there, said = (len(names), int(counts.sum())), (self.meta["videos"], self.meta["frames"])
        if there != said:
            raise AulightError(
                f"{path}: {there[0]} videos and {there[1]} frames, dataset.yaml says {said[0]} and {said[1]}; {RESTORE}"
            )
        if (counts < 1).any():
            raise AulightError(f"{path}: video {names[counts < 1].iat[0]} has no frames; {RESTORE}")
        twice = names[names.duplicated()]
        if len(twice):
            raise AulightError(f"{path}: video {twice.iat[0]} is listed twice; {RESTORE}")
        if self.is_indexed and (rows := self.rows_in("frames")) != there[1]:
            raise AulightError(
                f"{self.root / 'frames.parquet'}: {rows} rows, dataset.yaml says {there[1]} frames; {RESTORE}"
            )
        return names.to_numpy(object), counts

    def _looked_at(self) -> npt.NDArray[np.int64]:
        """Refuses a dataset without index whose frames or files are not there; each video's first row of frames."""
        names, counts = self.videos["video_id"].to_numpy(object), self.videos["frames"].to_numpy(np.int64)
        found = former.first_rows(self, names, counts)
        former.refuse_missing(self.root, self.videos["path"].tolist(), self._is_local)
        return found

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
        table = self.arrow("frames", FRAMES, only=lambda _: False)
        if self.is_indexed:
            names, ends = self.videos["video_id"].to_numpy(object), np.cumsum(self.videos["frames"].to_numpy(np.int64))
            for start in range(0, len(table), row_groups.ROWS):  # all names at once would be as large as the table
                rows = np.arange(start, min(start + row_groups.ROWS, len(table)))
                there = table["video_id"].slice(start, len(rows))
                self._refuse_others(there, names[np.searchsorted(ends, rows, side="right")])
        found: pd.DataFrame = table.to_pandas()
        return found

    def _refuse_others(self, there: pa.ChunkedArray, wanted: str | npt.NDArray[np.object_]) -> None:
        """Refuses rows of frames that are of other videos than the table of videos has in their places."""
        expected = wanted if isinstance(wanted, str) else pa.array(wanted, there.type)
        if not pc.all(pc.equal(there, expected)).as_py():
            path = self.root / "frames.parquet"
            raise AulightError(f"{path}: frames are not in the order of videos.parquet; {RESTORE}")

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
        kinds = {name: FRAMES[name] for name in ("video_id", "frame")}
        table = self.table("frames", kinds, only=lambda name: name.startswith(BLENDSHAPE))
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
        labels = self.table("labels", _LABELS)
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
        if self.is_indexed:
            table = self.table("runs", _RUNS, only=lambda _: False).astype(np.int64)
            wrong = (table["video"] < 0) | (table["video"] >= len(self.videos)) | (table["start"] < 0)
            length = self.videos["frames"].to_numpy()[table["video"].where(~wrong, 0)]
            if (wrong | (table["start"] >= table["stop"]) | (table["stop"] > length)).any():
                raise AulightError(f"{self.root / 'runs.parquet'}: frames that no video has; {RESTORE}")
            return table
        runs = self._kept.array("runs", (None, 3), np.int64, self._runs)
        self.refuse_changed()
        return pd.DataFrame(runs, columns=["video", "start", "stop"], copy=False)

    def _runs(self) -> npt.NDArray[np.int64]:
        runs = []
        tables = self.frames_of(self.videos["video_id"], ["frame", "source_frame", "face_confidence"])
        for row, table in enumerate(tables):
            if not np.array_equal(table["frame"], np.arange(len(table))):
                path, name = self.root / "frames.parquet", self.videos["video_id"].iat[row]
                raise AulightError(f"{path}: frames of video {name} are not numbered from 0, in order; {RESTORE}")
            runs.append(segments.runs_of(table["source_frame"].to_numpy(), table["face_confidence"].to_numpy(), row))
        return np.concatenate(runs)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the description and of what is in the tables: equal for equal content, whatever the folders.

        Raises:
            AulightError: When a table is damaged.
        """
        known = self._kept.array("fingerprint", (fingerprint.DIGITS,), np.uint8, self._hashed)
        self.refuse_changed()
        return known.tobytes().decode()

    def _hashed(self) -> npt.NDArray[np.uint8]:
        names = ("videos", "frames", *(["labels"] if self.has_labels else []))
        found = self.meta.get("fingerprint")
        if found is not None:
            files = {name: self.read(name, sha256) for name in names}
            found = found if self.meta.get("tables") == fingerprint.known_by(self.meta, files) else None
        if found is None:
            found = fingerprint.of(self.meta, (self.read(name, fingerprint.content) for name in names))
        return np.frombuffer(found.encode(), np.uint8)

    @cached_property
    def has_labels(self) -> bool:
        """Whether there are labels."""
        return self.has_rows("labels")

    def frames_of(self, videos: Iterable[str], columns: Sequence[str] | None = None) -> Generator[pd.DataFrame]:
        """The rows of ``frames.parquet`` of some videos, one video at a time in memory, and all read in one go.

        Args:
            videos: Their names, best in the order of :attr:`videos`, for no part of the file to be read twice.
            columns: Which columns; ``None``: all.

        Raises:
            AulightError: When the table is damaged, or was replaced since the dataset was opened.
        """
        with self.frames_file(columns or list(FRAMES)) as (file, whole):
            wanted = list(columns or file.schema_arrow.names)
            read = list(dict.fromkeys([*wanted, "video_id"])) if self.is_indexed else wanted
            of_each, places = itertools.tee(self._rows_of(videos))
            stretches = row_groups.stretches(file, (range(first, first + count) for _, first, count in places), read)
            for (video, *_), rows in zip(of_each, stretches, strict=True):
                if self.is_indexed:
                    self._refuse_others(rows["video_id"], video)
                yield whole(rows.select(wanted)).to_pandas()

    def _rows_of(self, videos: Iterable[str]) -> Iterator[tuple[str, int, int]]:
        """Of each video its name, its first row in ``frames.parquet``, and how many it has."""
        counts = self.videos["frames"].to_numpy()
        if videos is self.videos["video_id"]:
            yield from zip(self.videos["video_id"], self._first.tolist(), counts.tolist(), strict=True)
            return
        for video in videos:
            row = self._row_of[video]
            yield video, int(self._first[row]), int(counts[row])

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {str(video): row for row, video in enumerate(self.videos["video_id"])}

    def file(self, row: int) -> Place:
        """Where the video of a row of :attr:`videos` is."""
        return self.files[row]

    def rows(self, subjects: Sequence[str]) -> npt.NDArray[np.int64]:
        """Rows of :attr:`videos` that show one of these subjects."""
        return np.flatnonzero(self.videos["subject"].isin(list(subjects)).to_numpy())
