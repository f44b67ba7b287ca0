"""What is wrong with a film, noted while it is read, so that what came before is not lost."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from aulight.errors import AulightError, VideoError, reason
from aulight.processes import Item

MOST_TOLD = 5
"""Photos that are named when they cannot be read."""

ENDS_LIVE = (AulightError, OSError, RuntimeError)
"""Errors, as of a GPU without memory, that end what cannot be repeated; what was scored by then is kept."""


def told(problems: Sequence[str]) -> str | None:
    """What was wrong, once, though a film may have been read twice; ``None`` where nothing was."""
    different = list(dict.fromkeys(problems))
    more = f"; and {len(different) - MOST_TOLD} more" if len(different) > MOST_TOLD else ""
    return "; ".join(different[:MOST_TOLD]) + more if different else None


def until_damaged(
    frames: Iterator[Item], problems: list[str], path: Path, others: tuple[type[Exception], ...] = ()
) -> Iterator[Item]:
    """Ends where a video is damaged, and notes why: frames before that which are under way are not lost.

    Args:
        frames: Of the video.
        problems: What is wrong is added to them.
        path: Of the video.
        others: Errors that end it, too.
    """
    try:
        yield from frames
    except VideoError as error:
        problems.append(error.of(path))
    except others as error:
        problems.append(f"{path}: {reason(error)}")
