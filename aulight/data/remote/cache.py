"""Bytes that were fetched, kept in files on this machine within a bound: those used longest ago go first.

All processes of a machine share them. An entry gets its name when it is whole, and holds its own digest: one that was
damaged since counts as none.
"""

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from aulight.errors import AulightError
from aulight.files import scratch

_DIGEST_BYTES = 32
_LEFT = 0.9
"""Share of the bound that is left when entries are removed, so that it is not done for each new one."""


class Cache:
    """Entries by names; may be pickled and forked, and used by several threads and processes.

    Beside the entries there is what is on its way: at most one entry for each thread that adds.

    Args:
        folder: Where they are; made if it is not there.
        most_bytes: Of all entries together.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.folder, self.most_bytes = folder, most_bytes

    def __contains__(self, key: str) -> bool:
        return self._path(key).is_file()

    def get(self, key: str) -> bytes | None:
        """The bytes of an entry, which is now the one used last; ``None`` where it is not there, or damaged."""
        path = self._path(key)
        try:
            data = path.read_bytes()
            os.utime(path)
        except OSError:  # it may be removed at any time
            return None
        content, digest = data[:-_DIGEST_BYTES], data[-_DIGEST_BYTES:]
        if hashlib.sha256(content).digest() == digest:
            return content
        path.unlink(missing_ok=True)
        return None

    def add(self, key: str, content: bytes) -> None:
        """Keeps bytes, once there is room for them; what is larger than the bound is not kept.

        Args:
            key: The entry's name: letters and digits, at least three.
            content: The bytes.

        Raises:
            AulightError: When the folder cannot be written to.
        """
        size = len(content) + _DIGEST_BYTES
        if size > self.most_bytes:
            return
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            making = self.folder / "making"
            making.mkdir(exist_ok=True)
            with scratch(making) as folder:
                made = folder / "entry"
                made.write_bytes(content + hashlib.sha256(content).digest())
                with self._locked():
                    self._make_room(size)
                    made.replace(path)
        except OSError as error:
            raise AulightError(
                f"{self.folder}: cannot be written ({error.strerror}); give another data.cache= or a smaller "
                "data.cache_gb="
            ) from error

    def _path(self, key: str) -> Path:
        return self.folder / "parts" / key[:2] / key

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """No other process or thread is in this block; where the file system has no locks, bytes may be miscounted."""
        with (self.folder / "lock").open("ab") as file:
            with contextlib.suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX)
            try:
                yield
            finally:  # not by closing alone: a process that was forked meanwhile has it open as well
                with contextlib.suppress(OSError):
                    fcntl.flock(file, fcntl.LOCK_UN)

    def _make_room(self, size: int) -> None:
        """Counts an entry that is to be added, and removes others where it would be too many.

        The count is written before the entry has its name: a process that is killed in between leaves too high a count,
        which is put right when entries are next looked through.
        """
        counted = self.folder / "bytes"
        try:
            used = int(counted.read_text())
        except (OSError, ValueError):
            used = self.most_bytes  # not known
        if used + size > self.most_bytes:
            used = self._evict(size)
        counted.write_text(str(used + size))

    def _evict(self, size: int) -> int:
        """Removes entries until some bytes more are well within the bound; how many bytes are left."""
        found = []
        for folder in (self.folder / "parts").iterdir():
            with os.scandir(folder) as entries:
                for entry in entries:
                    with contextlib.suppress(FileNotFoundError):
                        state = entry.stat()
                        found.append((state.st_mtime_ns, entry.path, state.st_size))
        used = sum(state[2] for state in found)
        if used + size <= self.most_bytes:
            return used
        for _, path, bytes_of_it in sorted(found):
            if used + size <= _LEFT * self.most_bytes or not used:
                break
            with contextlib.suppress(FileNotFoundError):
                Path(path).unlink()
            used -= bytes_of_it
        return used
