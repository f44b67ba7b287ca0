"""Which files of a dataset are not there."""

import os
from collections.abc import Iterable
from pathlib import Path


def missing_files(root: Path, paths: Iterable[str]) -> list[str]:
    """Which files below a folder are not there, by the lists of their folders: to ask for each takes far longer.

    Args:
        root: The folder.
        paths: Below it, with ``/``.
    """
    there, missing = dict[str, set[str]](), list[str]()
    for path in paths:
        folder, _, name = path.rpartition("/")
        if folder not in there:
            try:
                with os.scandir(root / folder) as entries:
                    there[folder] = {entry.name for entry in entries if entry.is_file()}
            except OSError:
                there[folder] = set()
        if name not in there[folder]:
            missing.append(path)
    return missing
