"""The tables of a prepared dataset in a bucket, copied to this machine: where they did not change, once."""

import hashlib
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from aulight.data.description import DESCRIPTION, read_description
from aulight.data.remote.objects import Forbidden, Objects, Stamp
from aulight.errors import AulightError, VideoError, say
from aulight.files import alone, whole_folder

PIECE = 2**23
"""Bytes of a table that are asked for at once."""

UNUSED_S = 7 * 24 * 3600
"""A copy of what has changed since is removed when nobody has opened it for so many seconds."""

ALWAYS = ("videos", "frames")
"""Names of the tables that there are."""

TABLES = (*ALWAYS, "labels", "index", "runs")
"""Names of the tables that there may be."""

_TRIES = 3


class Copy(NamedTuple):
    """The tables of a dataset as they were when they were copied.

    Attributes:
        folder: Where the copy is.
        changed: The file that is another once the dataset is, and what it was.
    """

    folder: Path
    changed: tuple[str, Stamp]


class _Changed(Exception):
    """The dataset is another one meanwhile."""


def copy_tables(objects: Objects, cache: Path) -> Copy:
    """Copies ``dataset.yaml`` and the tables of a dataset, or takes the copy that is there.

    Args:
        objects: What lies below the dataset's URL.
        cache: Folder of all copies.

    Raises:
        AulightError: When there is no dataset, it may not be read, nobody answers, or it changes all the time.
    """
    name = hashlib.sha256(objects.url.encode()).hexdigest()[:16]
    cache.mkdir(parents=True, exist_ok=True)
    for _ in range(_TRIES):
        stamps = _stamps(objects)
        if DESCRIPTION not in stamps:
            raise AulightError(
                f"{objects.url}: no prepared dataset there ({DESCRIPTION} is missing); look at data.root="
            )
        folder = cache / f"{name}-{hashlib.sha256(repr(stamps).encode()).hexdigest()[:16]}"
        with alone(folder, None):  # one process copies, the others wait
            if not folder.is_dir():
                _remove_unused(cache, name)
                _copy(objects, stamps, folder)
            if folder.is_dir():
                os.utime(folder)  # and not a file in it: that would look like a change to who has it open
                return Copy(folder, (DESCRIPTION, stamps[DESCRIPTION]))
    raise AulightError(f"{objects.url}: changes while it is read; give the same command again once it is uploaded")


def _stamps(objects: Objects) -> dict[str, Stamp]:
    """Of ``dataset.yaml`` and the tables, as far as there are any."""
    found = {}
    for name in (DESCRIPTION, *map(_file, TABLES)):
        with suppress(VideoError) if name in _NEEDED else suppress(VideoError, Forbidden):
            found[name] = objects.stamp(name)
    return found


def _file(table: str) -> str:
    return f"{table}.parquet"


_NEEDED = (DESCRIPTION, *map(_file, ALWAYS))


def _copy(objects: Objects, stamps: dict[str, Stamp], folder: Path) -> None:
    """Makes a folder with the tables; none where the dataset changes meanwhile."""
    say(f"{objects.url}: fetching its tables ({sum(stamp.size for stamp in stamps.values()) / 1e6:.1f} MB)")
    with suppress(_Changed, FileExistsError), whole_folder(folder) as made:  # another machine may share the cache
        try:
            for name, stamp in stamps.items():
                _fetch(objects, name, stamp.size, made / name)
            # a table that was replaced is under this name until the next prepare, where that was killed
            description = read_description(made)
            revision = description.get("revision", 0)
            for table in TABLES:
                hidden = f".{table}.{revision}.parquet"
                if revision:
                    with suppress(VideoError, Forbidden):
                        _fetch(objects, hidden, objects.stamp(hidden).size, made / hidden)
                named, there = table in description.get("tables", {}), _file(table) in stamps
                if named and not there and not (made / hidden).is_file():
                    objects.stamp(_file(table))  # it is there and may not be read, or has just gone
        except VideoError as error:
            raise _Changed from error
        if _stamps(objects) != stamps:
            raise _Changed


def _fetch(objects: Objects, name: str, size: int, to: Path) -> None:
    with to.open("wb") as file:
        for offset in range(0, size, PIECE):
            file.write(objects.read(name, offset, min(PIECE, size - offset)))


def _remove_unused(cache: Path, name: str) -> None:
    """Removes copies of former states of a dataset."""
    for folder in cache.glob(f"{name}-*"):
        if (folder / DESCRIPTION).is_file() and time.time() - folder.stat().st_mtime > UNUSED_S:
            shutil.rmtree(folder, ignore_errors=True)
