"""Bytes of the shards of a prepared dataset, wherever they lie: here on a disk of this machine."""

import mmap
import os
from pathlib import Path
from typing import Protocol

from aulight.errors import VideoError


class Shelf(Protocol):
    """Where the bytes of videos come from; one that is unpickled or forked opens what it needs anew."""

    def read(self, shard: str, offset: int, size: int) -> bytes | memoryview:
        """Some bytes of a shard.

        Args:
            shard: Its name, as the dataset's index has it: a path below the dataset, with ``/``.
            offset: Of the first byte.
            size: How many bytes.

        Raises:
            VideoError: When they are not there.
        """


class Shards:
    """Shards below a folder, mapped into memory: processes share what the system has read of them.

    Args:
        root: The dataset's folder.
        limit: How many shards stay mapped.
    """

    def __init__(self, root: Path, limit: int = 64) -> None:
        self.root, self.limit = root, limit
        self._mapped: dict[str, mmap.mmap] = {}

    def __reduce__(self) -> tuple[type["Shards"], tuple[Path, int]]:
        return Shards, (self.root, self.limit)

    def read(self, shard: str, offset: int, size: int) -> memoryview:
        """Some bytes of a shard, without a copy; as :meth:`Shelf.read`."""
        mapped = self._mapped.pop(shard, None)
        if mapped is None:
            while len(self._mapped) >= self.limit:
                del self._mapped[next(iter(self._mapped))]  # closed with the last view of it
            mapped = self._map(shard)
        self._mapped[shard] = mapped  # the last is the one used last
        if not 0 <= offset <= offset + size <= len(mapped):
            raise VideoError(f"{self.root / shard}: cut off or damaged: ends at byte {len(mapped)} of {offset + size}")
        return memoryview(mapped)[offset : offset + size]

    def _map(self, shard: str) -> mmap.mmap:
        path = self.root / shard
        try:
            with path.open("rb") as file:
                if not os.fstat(file.fileno()).st_size:  # which cannot be mapped
                    raise VideoError(f"{path}: the file is empty")
                return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError:
            raise VideoError(f"{path}: no such video") from None
        except OSError as error:
            raise VideoError(f"{path}: cannot be read ({error.strerror})") from error
