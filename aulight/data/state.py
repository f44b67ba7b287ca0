"""Whether a dataset is still what it was when it was opened."""

from pathlib import Path

from aulight.data.description import DESCRIPTION
from aulight.errors import AulightError

State = tuple[int, int, int] | None
"""Of ``dataset.yaml`` the inode, the size and the time; ``None`` where it is not there."""


def state_of(root: Path) -> State:
    """What is another once ``dataset.yaml`` is.

    Args:
        root: The dataset's folder.
    """
    try:
        found = (root / DESCRIPTION).stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def refuse_changed(root: Path, before: State) -> None:
    """Raises when a dataset is another than it was.

    Args:
        root: Its folder.
        before: :func:`state_of` it.
    """
    if state_of(root) != before:
        raise AulightError(f"{root}: `aulight prepare` has changed it meanwhile; give the same command again")
