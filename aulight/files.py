"""The one way to write a file: under another name beside it, which is changed when the file is whole."""

import contextlib
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    import pandas as pd

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{16}\.tmp(\.\w+)?")


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Gives a file its name when it is whole, and never before: what was there of that name stays until then.

    In the block write to the path that is given. When the block ends well, what is there is on the disk (it survives a
    loss of power) and then renamed; ends it otherwise, it is removed.

    Args:
        path: Where the file goes; the folder is there.

    Yields:
        A path in the same folder with the same suffix, hidden, and unlike any that another process, be it in another
        container or on another machine, is writing to.
    """
    # no number of the process: containers that share a folder count theirs from 1 each
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(8)}.tmp{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Removes what processes that were killed while they wrote with :func:`whole` left in a folder.

    Args:
        folder: One that nobody else writes into now; where there is none, nothing is done.
    """
    for path in folder.iterdir() if folder.is_dir() else ():
        if _TEMPORARY.fullmatch(path.name):
            path.unlink(missing_ok=True)


def write_yaml(content: Mapping[str, Any], path: Path) -> None:
    """Writes plain values as YAML, in ASCII, keys in their order."""
    with whole(path) as temporary:
        temporary.write_text(yaml.safe_dump(dict(content), sort_keys=False))


def write_table(table: "pd.DataFrame", path: Path) -> None:
    """Writes a Parquet table, without its index."""
    with whole(path) as temporary:
        table.to_parquet(temporary, index=False)
