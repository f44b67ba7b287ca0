"""What readers of layouts share: looking through folders, and saying what was expected there."""

import re
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import TypeVar

from aulight.errors import AulightError, shorten

_Key = TypeVar("_Key")


def add_once(found: MutableMapping[_Key, Path], key: _Key, path: Path, name: str) -> None:
    """Adds a file under its key.

    Raises:
        AulightError: When another one is there; ``name`` says what both would be.
    """
    if found.setdefault(key, path) != path:
        raise AulightError(f"{found[key]} and {path}: both would be {name}; rename one")


def file_name(text: str) -> str:
    """A relative path as a video's name: ``/`` becomes ``__``; what is unusual in a file name becomes ``_``."""
    return re.sub(r"[^\w.-]", "_", text.replace("/", "__"))


def entries(folder: Path) -> list[Path]:
    """What is in a folder, sorted, without hidden files."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def wrong_layout(source: Path, expected: str, own: Sequence[str] = (), advice: str = "") -> AulightError:
    """The error for a folder that holds something else than ``expected``, or only what aulight made (``own``)."""
    names = [path.name + "/" * path.is_dir() for path in entries(source)]
    made = f"; passed over what aulight made: {shorten(own, 8)}" if own else ""
    said = f"data.source={source}: expected {expected}; found {shorten(names, 8) or 'nothing'}{made}"
    return AulightError(said + (f"; {advice}" if advice else ""))
