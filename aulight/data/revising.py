"""Replaces what is in a finished dataset by a single step.

New tables are written beside the old ones under the names of their revision, and ``dataset.yaml`` is then replaced by
one that names this revision: from that moment on they are the dataset's, whoever is killed. Only then do they get the
names of the old ones. Shards stay under their names; those that are new have numbers that no other had.
"""

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from aulight.data import fingerprint
from aulight.data.description import DESCRIPTION, FORMAT, MOST, DatasetDescription, read_description
from aulight.data.index import SCHEMA
from aulight.data.packing import Loose, Packed, pack, remove_unused
from aulight.data.places import SHARDS, Segments
from aulight.data.row_groups import GroupWriter
from aulight.data.store import PreparedDataset
from aulight.data.tables import next_table
from aulight.data.writer import FILE, Describer, files_of, notes_of, write_arrow, write_runs
from aulight.errors import AulightError
from aulight.files import ROOM, flush, remove_leftovers, write_table
from aulight.foreign.yaml import write_yaml

_NO_LABELS = pd.DataFrame({"video_id": pd.Series(dtype="string"), "frame": pd.Series(dtype="int64")})


class StoreReviser(Describer):
    """Describes all videos of a finished dataset anew, and replaces its tables by one step when all are there.

    Use as a context manager. What is new goes into further shards, as does all else that is in a shard with what was
    replaced, so that this one can go. Until the block has ended well, and whenever the process is killed before, the
    dataset is what it was.

    Args:
        data: The dataset.
        meta: What ``dataset.yaml`` says from now on, beyond the counts; may be added to as long as this is open.
        made: Of new and replaced videos the files.
    """

    def __init__(self, data: PreparedDataset, meta: DatasetDescription, made: Mapping[str, Path]) -> None:
        self.root = data.root
        self.meta = meta.copy()
        self._data, self._made = data, made
        self._revision = data.meta.get("revision", 0) + 1
        super().__init__(lambda name: next_table(self.root, name, self._revision))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with _undone(self._data):
            self.close()
            if error is not None:
                raise error
            meta = self.write(self._packed(), self.meta)
            if not self.labels.begun:
                write_table(_NO_LABELS, self.place("labels"))
            _commit(self.root, {**meta, "revision": self._revision})

    def _packed(self) -> Packed:
        """Packs what is new and what was beside something that goes; the rest stays where it is."""
        index = self._data.files.index
        assert index is not None  # it has been brought to shards before
        before = {str(name): row for row, name in enumerate(self._data.videos["video_id"])}
        stays = np.full(len(before), -1)  # of each video that had been there its row now
        for row, video in enumerate(self._videos):
            if video["video_id"] in before and video["video_id"] not in self._made:
                stays[before[video["video_id"]]] = row
        of = np.repeat(np.arange(len(before)), np.diff(index.begins))  # of each segment its video before
        going = np.isin(index.shard, index.shard[stays[of] < 0])
        moved = set(of[going].tolist())
        loose = list[Loose]()
        for row, video in enumerate(self._videos):
            name = video["video_id"]
            if name in self._made:
                loose.append(Loose(row, name, video["frames"], self._made[name], video.get(FILE)))
            elif before[name] in moved:
                place = self._data.file(before[name])
                assert isinstance(place, Segments)
                loose.append(Loose(row, name, video["frames"], place, video.get(FILE)))
        packed = pack(loose, self.root, notes_of(self.root), int(index.shard.max()) + 1)
        kept = ~np.isin(of, list(moved)) & (stays[of] >= 0)
        table = self._data.arrow("index", {}).filter(pa.array(kept)).select(SCHEMA.names)
        table = table.set_column(0, SCHEMA.field(0), pa.array(stays[of][kept], pa.int32()))
        both = pa.concat_tables([table.cast(SCHEMA), packed.index])
        return Packed(both.sort_by([("video", "ascending"), ("first", "ascending")]), packed.digests)


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
    labels = None if labels is None or labels.empty else labels
    meta = {**data.meta, **meta, "subjects": int(videos["subject"].nunique())}
    same = labels is None if not data.has_labels else labels is not None and data.labels.equals(labels)
    if same and meta == data.meta and data.videos.equals(videos):
        return
    revision = data.meta.get("revision", 0) + 1
    write_table(_NO_LABELS if labels is None else labels, next_table(data.root, "labels", revision))
    write_table(videos, next_table(data.root, "videos", revision))
    tables = {"videos": next_table(data.root, "videos", revision), "frames": data.read("frames", Path)}
    if labels is not None:
        tables["labels"] = next_table(data.root, "labels", revision)
    _commit(data.root, {**meta, "revision": revision, **fingerprint.noted(meta, tables)})


def bring_to_shards(data: PreparedDataset) -> None:
    """Packs the videos of a dataset of format 1, which is from then on of the format that is written now.

    Nothing is decoded or coded. Until all of it is there, and whenever the process is killed before, the dataset is
    what it was.

    Args:
        data: The dataset.

    Raises:
        AulightError: When it is damaged.
    """
    with _undone(data):
        _bring_to_shards(data)


def _bring_to_shards(data: PreparedDataset) -> None:
    root, revision = data.root, data.meta.get("revision", 0) + 1
    videos = data.videos.drop(columns="path")
    noted = videos[FILE].tolist() if FILE in videos else [None] * len(videos)
    loose = list[Loose]()
    for row, (name, frames) in enumerate(zip(videos["video_id"], videos["frames"].tolist(), strict=True)):
        place = data.file(row)
        assert isinstance(place, Path)  # as in a folder
        loose.append(Loose(row, str(name), frames, place, noted[row] if isinstance(noted[row], str) else None))
    packed = pack(loose, root, notes_of(root))
    videos[FILE] = files_of(videos, packed)

    def place_of(name: str) -> Path:
        return next_table(root, name, revision)

    write_table(videos, place_of("videos"))
    write_arrow(packed.index, place_of("index"))
    write_runs(data.segments.to_numpy(), place_of("runs"))
    tables = {"videos": place_of("videos"), "frames": data.read("frames", Path)}
    if not data.is_in_order:
        frames = GroupWriter(place_of("frames"))
        for table in data.frames_of(data.videos["video_id"], data.read("frames", pq.read_schema).names):
            frames.add(pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata())
        frames.close()
        tables["frames"] = place_of("frames")
    if data.has_labels:
        tables["labels"] = data.read("labels", Path)
    _commit(root, {**data.meta, "format": FORMAT, **fingerprint.noted(data.meta, tables), "revision": revision})


@contextmanager
def _undone(data: PreparedDataset) -> Iterator[None]:
    """Leaves nothing of tables that were not to be, when the block does not end well.

    Shards stay, for the same command to go on, but on a full disk: there they are what fills it.
    """
    try:
        yield
    except BaseException as error:
        settle(data.root)
        if isinstance(error, OSError) and error.errno in ROOM:
            with suppress(AulightError, OSError):  # the first error is the one to tell
                shutil.rmtree(notes_of(data.root), ignore_errors=True)
                drop_shards(PreparedDataset(data.root))  # as it is now
        raise


def _commit(root: Path, meta: Mapping[str, Any]) -> None:
    """Makes the tables of a revision those of the dataset: with the one file that says so."""
    for path in root.glob(f".*.{meta['revision']}.parquet"):
        flush(path)
    write_yaml(meta, root / DESCRIPTION, MOST)
    settle(root)


def drop_shards(data: PreparedDataset) -> None:
    """Removes shards of which neither the index of a dataset speaks, nor what is noted of a packing that goes on.

    Args:
        data: The dataset, into whose folder nobody else writes now.
    """
    index = data.files.index
    used = set() if index is None else set(np.unique(index.shard).tolist())
    remove_unused(data.root, used | {int(path.stem) for path in notes_of(data.root).glob("[0-9]*.parquet")})


def settle(root: Path) -> None:
    """Gives the tables of a dataset's revision their own names, and removes those of one that never was.

    That is what is left to do when a process was killed while it replaced them. What else it left goes as well.

    Args:
        root: The dataset's folder, which nobody else writes into now.

    Raises:
        AulightError: When ``dataset.yaml`` is damaged.
    """
    for folder in (root, root / "videos", root / SHARDS):
        remove_leftovers(folder)
    revision = read_description(root).get("revision", 0)
    for path in sorted(root.glob(".*.parquet")):
        match = re.fullmatch(r"\.(videos|frames|labels|index|runs)\.([0-9]+)\.parquet", path.name)
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
