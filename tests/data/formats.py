"""Prepared datasets as bytes: what is in their shards, a video that is damaged, and the same dataset in format 1."""

import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from aulight.data.index import SCHEMA
from aulight.data.places import Segments
from aulight.data.store import PreparedDataset


def segments(data: PreparedDataset, row: int) -> list[bytes]:
    """The mp4s of a video."""
    place = data.file(row)
    assert isinstance(place, Segments)
    return [part.read() for part in place.parts]


def members(root: Path) -> dict[str, bytes]:
    """All files in the shards, as any tar program finds them."""
    found = dict[str, bytes]()
    for path in sorted((root / "shards").iterdir()):
        with tarfile.open(path) as shard:
            for member in shard:
                file = shard.extractfile(member)
                assert file is not None
                assert member.name not in found
                found[member.name] = file.read()
    return found


def unpack(root: Path, folder: Path) -> Path:
    """Writes the videos of a dataset, none of which has more than a segment, as ``<video_id>.mp4``; the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in members(root).items():
        video, segment = name.rsplit("/", 1)
        assert segment == "00000.mp4"
        (folder / f"{video}.mp4").write_bytes(content)
    return folder


def spoil(data: PreparedDataset, row: int, content: bytes = b"") -> None:
    """Overwrites the first segment of a video: with some bytes, and zeros after them."""
    place = data.file(row)
    assert isinstance(place, Segments)
    _, offset, size, _ = place.parts[0].part
    path = data.root / place.parts[0].part.shard
    whole = path.read_bytes()
    path.unlink()  # which other datasets may have, too
    path.write_bytes(whole[:offset] + content[:size].ljust(size, b"\0") + whole[offset + size :])


def point(data: PreparedDataset, others: Mapping[int, int]) -> None:
    """Has the index give in place of some videos the bytes of others, all of one segment."""
    path = data.root / "index.parquet"
    table = pd.read_parquet(path)
    rows = np.array([others.get(row, row) for row in range(len(table))])
    for column in ("shard", "offset", "bytes", "digest"):
        table[column] = table[column].to_numpy()[rows]
    path.unlink()
    kinds = dict.fromkeys(("video", "first", "frames", "shard", "bytes"), "int32")
    pq.write_table(pa.Table.from_pandas(table.astype(kinds), SCHEMA, preserve_index=False), path)


MARK = bytes(8)
"""At the end of a video that a test knows again: no box of an mp4, and none that the encoder writes."""


def mark(path: Path) -> None:
    """Makes a video known again, before it is packed."""
    with path.open("ab") as file:
        file.write(MARK)


def as_format_1(root: Path, files: Path | None = None) -> PreparedDataset:
    """Makes a dataset what earlier versions wrote, with its files as they were before they were packed.

    Args:
        root: The dataset's folder.
        files: Has them as ``<video_id>.mp4``; ``None``: they are those in the shards, none of which was cut.
    """
    if files is None:
        unpack(root, root / "videos")
    else:
        (root / "videos").mkdir()
        for path in files.glob("*.mp4"):
            (root / "videos" / path.name).write_bytes(path.read_bytes())
    videos = pd.read_parquet(root / "videos.parquet")
    videos.insert(2, "path", "videos/" + videos["video_id"] + ".mp4")
    videos.to_parquet(root / "videos.parquet", index=False)
    described = yaml.safe_load((root / "dataset.yaml").read_text())
    del described["fingerprint"], described["tables"]
    (root / "dataset.yaml").write_text(yaml.safe_dump(described | {"format": 1}, sort_keys=False))
    for path in (*(root / "shards").iterdir(), root / "index.parquet", root / "runs.parquet"):
        path.unlink()
    (root / "shards").rmdir()
    return PreparedDataset(root)
