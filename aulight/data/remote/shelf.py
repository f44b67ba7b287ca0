"""Bytes of a prepared dataset's files in a bucket, through the cache of this machine, and some ahead of their time."""

import hashlib
import os
import queue
import threading
from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import NamedTuple

from aulight.data.remote.cache import Cache
from aulight.data.remote.objects import Objects, Stamp
from aulight.errors import AulightError, VideoError

BLOCK = 2**21
"""Bytes that are asked for at once of a file of which no parts are listed."""

THREADS = 4
"""Threads of a process that fetch ahead."""

MOST_AHEAD = 32
"""Parts that wait to be fetched ahead; what is more is fetched when it is wanted."""

RECENT = 4
"""Parts that a process keeps in memory: a reader comes back to the one that it has read last."""


class Part(NamedTuple):
    """Bytes of a file that belong together: a segment.

    Attributes:
        shard: The file, as a path below the dataset with ``/``.
        offset: Of the first byte.
        size: How many bytes.
        digest: Their SHA-256 in hex, or the first digits of it; ``None``: not known.
    """

    shard: str
    offset: int
    size: int
    digest: str | None = None


class RemoteFile(NamedTuple):
    """A file of a dataset in a bucket, which is read in blocks; as a text its URL.

    Attributes:
        shards: Who reads it.
        name: The path below the dataset, with ``/``.
    """

    shards: "RemoteShards"
    name: str

    def __str__(self) -> str:
        return self.shards.objects.address(self.name)

    def read(self, offset: int, size: int) -> bytes:
        """Some bytes; raises as :meth:`RemoteShards.read` does."""
        return self.shards.read(self.name, offset, size)

    def digest(self) -> str:
        """Hex SHA-256 of all of it, for which it is fetched."""
        found, size = hashlib.sha256(), self.shards.size(self.name)
        for offset in range(0, size, BLOCK):
            found.update(self.read(offset, min(BLOCK, size - offset)))
        return found.hexdigest()


@dataclass
class _Process:
    """What one process has: nothing of it crosses a fork."""

    pid: int = field(default_factory=os.getpid)
    lock: threading.Lock = field(default_factory=threading.Lock)
    coming: dict[str, "Future[bytes | None]"] = field(default_factory=dict)
    recent: OrderedDict[str, bytes] = field(default_factory=OrderedDict)
    stamps: dict[str, Stamp] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    wanted: "queue.Queue[Part]" = field(default_factory=lambda: queue.Queue(MOST_AHEAD))
    threads: list[threading.Thread] = field(default_factory=list)


class RemoteShards:
    """Reads files of a dataset in a bucket. May be pickled, forked, and used by several threads.

    Args:
        objects: What lies below the dataset's URL.
        cache: Where the parts are kept that were fetched.
        changed: A file that changes with the dataset, and what it was when the dataset was opened.
    """

    def __init__(self, objects: Objects, cache: Cache, changed: tuple[str, Stamp] | None = None) -> None:
        self.objects, self.cache, self.changed = objects, cache, changed
        self._process = _Process()

    def __reduce__(self) -> tuple[type["RemoteShards"], tuple[Objects, Cache, tuple[str, Stamp] | None]]:
        return RemoteShards, (self.objects, self.cache, self.changed)

    def read(self, shard: str, offset: int, size: int, digest: str | None = None) -> bytes:
        """Some bytes of a file.

        Args:
            shard: The file, as a path below the dataset with ``/``.
            offset: Of the first byte.
            size: How many bytes.
            digest: Their SHA-256 in hex, or the first digits of it, where they are a part that is always asked for as a
                whole; else blocks are asked for that they lie in.

        Raises:
            VideoError: When they are not there, or are not what the digest says.
            AulightError: When nobody answers, or the dataset has changed since it was opened.
        """
        if digest is not None:
            return self._part(Part(shard, offset, size, digest))
        whole = self.size(shard)
        if not 0 <= offset <= offset + size <= whole:
            raise VideoError(
                f"{self.objects.address(shard)}: cut off or damaged: ends at byte {whole} of {offset + size}"
            )
        first, last = offset // BLOCK, max(offset, offset + size - 1) // BLOCK
        blocks = [self._part(self._block(shard, number, whole)) for number in range(first, last + 1)] if size else []
        self._follow(shard, last, whole)
        content = blocks[0] if len(blocks) == 1 else b"".join(blocks)
        return content[offset - first * BLOCK :][:size]

    def size(self, shard: str) -> int:
        """Bytes of a file; raises as :meth:`read` does."""
        return self._stamp(shard).size

    def ahead(self, wanted: Iterable[Part]) -> None:
        """Has threads fetch what will be read soon, as far as they are not busy; what goes wrong is told when it is."""
        process = self._own()
        for part in wanted:
            if self._key(part) in self.cache:
                continue
            try:
                process.wanted.put_nowait(part)
            except queue.Full:
                return
            with process.lock:
                if len(process.threads) < THREADS:
                    # they die with the process, be it in the middle of a wait
                    thread = threading.Thread(target=self._fetch_ahead, args=(process,), daemon=True)
                    process.threads.append(thread)
                    thread.start()

    def _fetch_ahead(self, process: _Process) -> None:
        while True:
            part = process.wanted.get()
            key = self._key(part)
            future, is_mine = self._claim(process, key)
            if is_mine:
                if key in self.cache:
                    self._settle(process, key, future, None)
                else:
                    self._fetch(process, part, key, future)

    def _follow(self, shard: str, block: int, whole: int) -> None:
        """Fetches ahead of one who reads block after block."""
        process = self._own()
        before, process.last[shard] = process.last.get(shard), block
        if before == block - 1:
            numbers = range(block + 1, min(block + 3, -(-whole // BLOCK)))
            self.ahead(self._block(shard, number, whole) for number in numbers)

    def _block(self, shard: str, number: int, whole: int) -> Part:
        return Part(shard, number * BLOCK, min(BLOCK, whole - number * BLOCK))

    def _part(self, part: Part) -> bytes:
        """A part: from memory, from the cache, from a thread that is fetching it, or from the bucket."""
        process, key = self._own(), self._key(part)
        while True:
            future, is_mine = self._claim(process, key)
            if is_mine:
                self._fetch(process, part, key, future)
            content = future.result()
            if content is not None:  # else a thread found it in the cache
                with process.lock:
                    process.recent[key] = content
                    process.recent.move_to_end(key)
                    while len(process.recent) > RECENT:
                        process.recent.popitem(last=False)
                return content

    def _claim(self, process: _Process, key: str) -> tuple["Future[bytes | None]", bool]:
        """What a part will be, and whether it is for the caller to see to it."""
        with process.lock:
            if (content := process.recent.get(key)) is not None:
                done = Future[bytes | None]()
                done.set_result(content)
                return done, False
            if (coming := process.coming.get(key)) is not None:
                return coming, False
            process.coming[key] = future = Future[bytes | None]()
            return future, True

    def _settle(self, process: _Process, key: str, future: "Future[bytes | None]", content: bytes | None) -> None:
        with process.lock:
            del process.coming[key]
        future.set_result(content)

    def _fetch(self, process: _Process, part: Part, key: str, future: "Future[bytes | None]") -> None:
        try:
            if (content := self.cache.get(key)) is None:
                content = self._checked(part)
                self.cache.add(key, content)
        except BaseException as error:
            with process.lock:
                del process.coming[key]
            future.set_exception(error)
            if not isinstance(error, Exception):
                raise
        else:
            self._settle(process, key, future, content)

    def _checked(self, part: Part) -> bytes:
        """A part as the bucket has it."""
        try:
            content = self.objects.read(part.shard, part.offset, part.size)
            if part.digest is not None and not hashlib.sha256(content).hexdigest().startswith(part.digest):
                raise VideoError(
                    f"{self.objects.address(part.shard)}: damaged: bytes {part.offset} to {part.offset + part.size} "
                    "are not those that were prepared; upload it again, or pass over it with data.on_error=skip"
                )
        except VideoError:
            if self.changed is not None and self.objects.stamp(self.changed[0]) != self.changed[1]:
                raise AulightError(
                    f"{self.objects.url}: has changed since it was opened; give the same command again"
                ) from None
            raise
        return content

    def _stamp(self, shard: str) -> Stamp:
        stamps = self._own().stamps
        if shard not in stamps:
            stamps[shard] = self.objects.stamp(shard)
        return stamps[shard]

    def _key(self, part: Part) -> str:
        what = part.digest or str(self._stamp(part.shard))
        text = "\0".join([self.objects.url, part.shard, str(part.offset), str(part.size), what])
        return hashlib.sha256(text.encode()).hexdigest()

    def _own(self) -> _Process:
        if self._process.pid != os.getpid():
            self._process = _Process()
        return self._process
