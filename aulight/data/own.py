"""What aulight itself has written, which is no raw data: looked for wherever videos and pictures are."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aulight.data.description import is_store
from aulight.data.marks import made_as
from aulight.errors import AulightError
from aulight.files import sha256
from aulight.foreign.json import read_json
from aulight.foreign.whole_file import read_bytes

_LARGEST = 1 << 22  # bytes of a run's record that is opened; real ones are far smaller

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
    """What is in a folder without pictures and videos that aulight wrote: a mark or a record beside them says it.

    Videos with a mark are left in: whether they are wanted depends on where they lie.
    """
    entries = list(entries)
    names, own = {path.name for path in entries}, set[str]()
    for path in entries:
        made = {f"{path.stem}.png", f"{path.stem}.overlay.mp4", f"{path.stem}.faces.jpg"}
        if path.suffix == ".json" and (made & names or path.name == "summary.json"):
            own |= _files_of(path)
    return [path for path in entries if path.name not in own and not _is_marked_picture(path)]


def _is_marked_picture(path: Path) -> bool:
    try:
        return path.name.lower().endswith((".png", ".faces.jpg")) and path.is_file() and made_as(path) is not None
    except OSError:  # whoever reads it will say so
        return False


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
