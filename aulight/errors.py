"""What a user can do wrong, as exceptions whose message is the one line that the command line prints."""

import re
import sys
from collections.abc import Iterable
from pathlib import Path

INTERRUPTED = 130
"""Exit status of a command that Ctrl-C ended: the shell's own."""


_UNPRINTED = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What moves a terminal's cursor, ends a line, turns its direction or is no UTF-8; names of files may have it."""

_FROM_LOADER = "Traceback (most recent call last)"


def printable(text: object) -> str:
    """A text as one line that a terminal shows as it is: newlines and other control characters by their numbers."""
    return _UNPRINTED.sub(lambda sign: sign[0].encode("unicode_escape").decode(), str(text))


def encodable(text: object) -> str:
    """A text that UTF-8 has: names of files may hold bytes that are none, which become their numbers."""
    return str(text).encode(errors="backslashreplace").decode()


def say(text: object, error: bool = False) -> None:
    """Prints one line, whatever is in the names of files that it tells of.

    Args:
        text: The line.
        error: Whether it goes to standard error.
    """
    print(printable(text), file=sys.stderr if error else sys.stdout, flush=True)


class AulightError(Exception):
    """A mistake the user can mend; the message says what, which file or key, and what to do.

    Args:
        *lines: Of the message, most often one; each stays one, whatever is in the names that it tells of.
    """

    def __init__(self, *lines: str) -> None:
        super().__init__(*lines)

    def __str__(self) -> str:
        """The lines of the message."""
        # torch puts the traceback of a loader process before the message, which was made printable there
        return "\n".join(line if _FROM_LOADER in line else printable(line) for line in self.args)


class VideoError(AulightError):
    """A video file that cannot be read as expected; ``data.on_error=skip`` passes over it."""

    def of(self, path: Path) -> str:
        """The message, with the video in front where it does not name it: who raised it may not know."""
        return str(self) if str(self).startswith(printable(str(path))) else f"{path}: {self}"


class RunsFailed(AulightError):
    """Runs of a sweep failed; the message lists them, a line each."""


class VideosFailed(AulightError):
    """Some videos could not be read to their end, and the others are done; the message lists them, a line each."""


def one_line(error: object) -> str:
    """The message on one line, without the traceback that a loader process puts before it."""
    text = str(error)
    if text.startswith("Caught ") and _FROM_LOADER in text:
        text = text.strip().splitlines()[-1].partition(": ")[2]
    return " ".join(text.split())


def shown(text: object, most: int = 60) -> str:
    """What a stranger wrote, for a message: as it is where that is short and printable, else cut and escaped."""
    text = str(text)
    if len(text) <= most and text.isprintable():
        return text
    return repr(text[:most]) + ("..." if len(text) > most else "")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, of a GPU or of the system."""
    if isinstance(error, AulightError):
        return False  # it says what is wrong; a damaged file may claim more than there is memory
    kinds = {kind.__name__ for kind in type(error).__mro__}  # torch's own, which is not imported for this
    return bool(kinds & {"MemoryError", "OutOfMemoryError"}) or "DefaultCPUAllocator: can't allocate" in str(error)


def reason(error: BaseException) -> str:
    """Why something failed, on one line, with advice where memory ran out; the error's name where it says nothing."""
    said = one_line(error)
    if is_out_of_memory(error):
        what = said.rpartition("DefaultCPUAllocator: ")[2].partition(". ")[0]
        advice = "in training make loader.batch_size smaller, or clip.length or model.size; elsewhere workers=1"
        return f"out of memory{f' ({what})' if what else ''}: {advice}"
    return said or type(error).__name__


LISTED = 20
"""Most lines or names that a message lists."""


def shorten(names: Iterable[str], most: int = LISTED) -> str:
    """Names in one line, the first few of many."""
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def shorten_lines(lines: list[str]) -> list[str]:
    """The first few of many lines, and how many more there are."""
    return lines if len(lines) <= LISTED else [*lines[:LISTED], f"and {len(lines) - LISTED} more"]
