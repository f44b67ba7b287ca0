"""Where prepared videos lie: as a file each, or in segments that are packed into shards."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from aulight.data.remote.shelf import Part, RemoteFile, RemoteShards
from aulight.data.shards import Shards
from aulight.data.video.mp4 import Part as Read

if TYPE_CHECKING:
    import pyarrow as pa

SHARDS = "shards"
"""The folder of shards below a dataset."""

Numbers = npt.NDArray[np.int64]


def shard_name(number: int) -> str:
    """The path of a shard below its dataset."""
    return f"{SHARDS}/{number:06d}.tar"


class Segment(NamedTuple):
    """A stretch of a video: a whole mp4 inside a shard.

    Attributes:
        shards: Who reads the shards.
        part: Where its bytes are, with the digest that they have.
        video: Of which video.
        first: The frame of the video with which it begins.
        frames: How many it has.
    """

    shards: Shards | RemoteShards
    part: Part
    video: str
    first: int
    frames: int

    def __str__(self) -> str:
        shards, name = self.shards, self.part.shard
        return f"{shards.root / name if isinstance(shards, Shards) else shards.objects.address(name)} ({self.video})"

    def read(self) -> bytes:
        """All of it; raises as :meth:`part_reader`'s function does."""
        shard, offset, size, digest = self.part
        if isinstance(self.shards, RemoteShards):
            return self.shards.read(shard, offset, size, digest)
        return self.shards.read(shard, offset, size)

    def piece(self, offset: int, size: int) -> bytes | memoryview:
        """Some of its bytes. At an URL all are fetched, whose digest is checked when they arrive.

        Raises:
            ValueError: When it does not have them.
            VideoError: When the shard does not.
            AulightError: When nobody answers.
        """
        if not 0 <= offset <= offset + size <= self.part.size:
            raise ValueError("bytes that are not in the segment")
        if isinstance(self.shards, RemoteShards):
            return memoryview(self.read())[offset : offset + size]
        return self.shards.read(self.part.shard, self.part.offset + offset, size)


@dataclass(frozen=True)
class Segments:
    """A video in shards; as a text the shard that it begins in, and its name.

    Attributes:
        parts: Its segments, in their order, one at least.
    """

    parts: tuple[Segment, ...]

    def __str__(self) -> str:
        return str(self.parts[0])

    def __len__(self) -> int:
        """How many frames it has."""
        return self.parts[-1].first + self.parts[-1].frames


Place = Path | RemoteFile | Segments
"""Where a video is."""


def reading(place: Path | RemoteFile | Segment) -> Read:
    """What gives bytes of a file or segment, by offset and size."""
    if isinstance(place, Segment):
        return place.piece
    return place.read if isinstance(place, RemoteFile) else partial(Shards(place.parent).read, place.name)


class Index(NamedTuple):
    """Where the segments of all videos are, one after another: columns of ``index.parquet``.

    Attributes:
        begins: ``(videos + 1,)`` the row of each video's first segment, and how many rows there are.
        first: ``(segments,)`` the frame that each begins with.
        frames: ``(segments,)`` how many it has.
        shard: ``(segments,)`` number of its shard.
        offset: ``(segments,)`` its first byte there.
        size: ``(segments,)`` its bytes.
        digest: ``(segments, 16)`` uint8: the first half of the SHA-256 of these.
    """

    begins: Numbers
    first: npt.NDArray[np.int32]
    frames: npt.NDArray[np.int32]
    shard: npt.NDArray[np.int32]
    offset: Numbers
    size: npt.NDArray[np.int32]
    digest: npt.NDArray[np.uint8]


class Files:
    """Where each video of a dataset is. Nothing but arrays, each as long as what is in it, however many there are.

    Args:
        shards: Who reads files below the dataset.
        names: ``(videos,)`` texts: their ids, or where there is no index, their paths below the dataset.
        index: Where their segments are; ``None`` where each is a file.
    """

    def __init__(self, shards: Shards | RemoteShards, names: "pa.Array", index: Index | None) -> None:
        self.shards, self.names, self.index = shards, names, index

    def __len__(self) -> int:
        return len(self.names)

    def refuse_changed(self, row: int) -> None:
        """Of a video that could not be read: that it is not there any more since the dataset has changed is no damage.

        What reads shards says so itself.

        Args:
            row: The video's.

        Raises:
            AulightError: When that is so.
        """
        place = self[row]
        if isinstance(place, Path) and not place.is_file() and isinstance(self.shards, Shards):
            self.shards.refuse_changed()

    def __getitem__(self, row: int) -> Place:
        name, index = self.names[row].as_py(), self.index
        if index is None:
            return self.shards.root / name if isinstance(self.shards, Shards) else RemoteFile(self.shards, name)
        rows = slice(int(index.begins[row]), int(index.begins[row + 1]))
        columns = (index.shard, index.offset, index.size, index.first, index.frames)
        return Segments(
            tuple(
                Segment(self.shards, Part(shard_name(shard), offset, size, digest.tobytes().hex()), name, first, frames)
                for shard, offset, size, first, frames, digest in zip(
                    *(column[rows].tolist() for column in columns), index.digest[rows], strict=True
                )
            )
        )
