"""Bytes of the files of a prepared dataset on a disk of this machine."""

import os
from pathlib import Path

from aulight.data.state import State, refuse_changed
from aulight.errors import VideoError


class Shards:
    """Files below a folder. Nothing stays open, so a fork or a copy reads as well as this.

    They are read, not mapped: a file that is cut off while it is mapped ends the process.

    Args:
        root: The folder.
        opened: Of a dataset its state when it was opened: files that are not there any more since it has changed are no
            damage to pass over. ``None``: of no dataset.
    """

    def __init__(self, root: Path, opened: State = None) -> None:
        self.root, self.opened = root, opened

    def read(self, shard: str, offset: int, size: int) -> bytes:
        """Some bytes of a file.

        Args:
            shard: Its name: a path below the folder, with ``/``.
            offset: Of the first byte.
            size: How many bytes.

        Raises:
            VideoError: When they are not there.
            AulightError: When the file is not, and the dataset has changed since it was opened.
        """
        path = self.root / shard
        try:
            with path.open("rb", buffering=0) as file:
                there = os.fstat(file.fileno()).st_size
                if there < offset + size:  # before there is room made for it
                    raise VideoError(f"{path}: cut off or damaged: ends at byte {there} of {offset + size}")
                file.seek(offset)
                found = file.read(size)
                while len(found) < size and (more := file.read(size - len(found))):
                    found += more
        except FileNotFoundError:
            self.refuse_changed()
            raise VideoError(f"{path}: no such video") from None
        except OSError as error:
            raise VideoError(f"{path}: cannot be read ({error.strerror})") from error
        return found

    def refuse_changed(self) -> None:
        """Raises AulightError when the dataset has changed since it was opened."""
        if self.opened is not None:
            refuse_changed(self.root, self.opened)
