"""Events as a file that ELAN opens: a tier for each action unit of each person, the peak as the annotation's value."""

import mimetypes
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aulight.errors import AulightError
from aulight.prediction.after.events import Event


def need_pympi() -> Any:
    """The module of pympi for ELAN.

    Raises:
        AulightError: Where it is not installed.
    """
    try:
        from pympi import Elan
    except ImportError as error:
        raise AulightError(
            'elan=true: pympi is not installed; pip install "aulight[elan]" or pip install pympi-ling'
        ) from error
    return Elan


def write_elan(file: Path, found: Mapping[tuple[int, str], Sequence[Event]], video: Path | None, output: Path) -> None:
    """Writes it; times are whole milliseconds.

    Args:
        file: Is not there yet.
        found: Events by person and AU; each pair gets a tier, also one without events.
        video: Where the video is; ``None`` where there is no file of it.
        output: The folder in which the file will lie, for the way from there to the video.
    """
    elan = need_pympi()
    document: Any = elan.Eaf(author="aulight")
    document.remove_tier("default")
    document.header = {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"}
    if video is not None:
        kind = mimetypes.guess_type(video.name)[0] or "video/*"
        below = Path(os.path.relpath(video.resolve(), output.resolve())).as_posix()
        document.add_linked_file(_text(video.resolve().as_uri()), _text(f"./{below}"), kind)
    several = len({person for person, _ in found}) > 1
    for (person, au), events in sorted(found.items()):
        tier = f"face {person} {au}" if several else au
        document.add_tier(tier)
        free = 0  # the end of the one before: annotations of a tier do not overlap
        for event in events:
            begin = max(free, round(1000 * event.onset), 0)
            free = max(begin + 1, round(1000 * event.offset))
            document.add_annotation(tier, begin, free, f"{event.peak:.2f}")
    document.to_file(str(file), pretty=True)


def _text(name: str) -> str:
    """A path as text that XML may hold."""
    return "".join(sign if sign.isprintable() else "?" for sign in name.encode(errors="replace").decode())
