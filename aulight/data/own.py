"""What aulight itself has written, which is no raw data: looked for wherever videos and pictures are."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aulight.data.description import is_store
from aulight.data.video.write import MARK
from aulight.errors import AulightError
from aulight.files import sha256
from aulight.foreign.json import read_json
from aulight.foreign.whole_file import read_bytes

_LARGEST = 1 << 22  # bytes of a run's record that is opened; real ones are far smaller
_END = 1 << 12  # bytes of an mp4 of aulight's in which its comment is: what is said of all of it comes last

OVERLAY, CROPS = "overlay", "crops"
"""What videos are that are no raw ones: with bars of intensities, and aligned faces."""

_RUN = re.compile(r"^command: (pretrain|finetune)\s*$", re.MULTILINE)


def is_own_folder(folder: Path) -> bool:
    """Whether a folder is a prepared dataset, one being made, a run directory, or what a coder was given."""
    return (
        is_store(folder)
        or ((folder / "settings.yaml").is_file() and (folder / "parts").is_dir() and (folder / "videos").is_dir())
        or _is_run(folder)
        or ((folder / "to_label.csv").is_file() and (folder / "images").is_dir())
    )


def store_around(path: Path) -> Path | None:
    """The prepared dataset, whole or being made, that a path lies in or is, once links are followed."""
    path = path.resolve()
    found = (
        folder for folder in (path, *path.parents) if is_store(folder) or re.fullmatch(r"\..+\.partial", folder.name)
    )
    return next(found, None)


def without_own(entries: Iterable[Path]) -> list[Path]:
    """What is in a folder without pictures and videos that `predict` and `report` wrote: records beside them say it."""
    entries = list(entries)
    names, own = {path.name for path in entries}, set[str]()
    for path in entries:
        made = {f"{path.stem}.png", f"{path.stem}.overlay.mp4"}
        if path.suffix == ".json" and (made & names or path.name == "summary.json"):
            own |= _files_of(path)
    return [path for path in entries if path.name not in own]


def made_as(path: Path) -> str | None:
    """What a video was made as, :data:`OVERLAY` or :data:`CROPS`, wherever it lies; ``None`` for a raw one.

    Raises:
        OSError: When it cannot be read.
    """
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _END))
        end = file.read(_END)
    return next((made for made in (OVERLAY, CROPS) if f"{MARK}{made}".encode() in end), None)


def refuse_foreign(paths: Iterable[Path], known: Mapping[str, Sequence[str] | None]) -> None:
    """Refuses to write where there is something that aulight did not write, or that was changed since.

    Args:
        paths: What is to be written.
        known: By name the SHA-256 that a file may have to be aulight's; ``None`` for any.

    Raises:
        AulightError: For the first path that is there and not known.
    """
    for path in paths:
        if path.is_symlink() or path.exists():
            told = known.get(path.name, ())
            if not path.is_file() or (told is not None and sha256(path) not in told):
                raise AulightError(f"{path}: there already, and not as aulight wrote it; give another output=")


def _is_run(folder: Path) -> bool:
    path = folder / "run.yaml"
    try:
        return path.is_file() and _RUN.search(read_bytes(path, _LARGEST).decode()) is not None
    except (AulightError, ValueError):
        return False


def _files_of(record: Path) -> set[str]:
    """The files that a record of aulight's lists; none of any other file."""
    try:
        plain: Any = read_json(record)
    except AulightError:
        return set()
    if not isinstance(plain, dict) or not {"aulight", "versions"} & plain.keys():
        return set()
    files = plain.get("files")
    return {file for file in files if isinstance(file, str)} if isinstance(files, list) else set()
