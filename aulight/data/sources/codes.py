"""Label files of one AU, as DISFA and BP4D have them: ``frame,intensity`` a line."""

import re
from pathlib import Path

from aulight.data.sources.cells import read_text
from aulight.errors import AulightError
from aulight.facs import MAX_INTENSITY

_LINE = re.compile(r"[ \t]*([0-9]{1,15})[ \t]*,[ \t]*(-?[0-9]{1,15})[ \t]*")


def read_codes(path: Path, unknown: int | None = None) -> tuple[list[int], list[int | None]]:
    """Reads a dataset's label file of one AU: ``frame,intensity`` a line, no header.

    Args:
        path: The file.
        unknown: The code for an unknown intensity, beside 0..5.

    Returns:
        Frames and intensities, ``None`` where unknown, in the order of the lines.

    Raises:
        AulightError: For a line that is anything else.
    """
    frames, values = list[int](), list[int | None]()
    text = read_text(path).rstrip()
    if not text:
        raise AulightError(f"{path}: empty; lines of frame,intensity are expected")
    for number, line in enumerate(text.split("\n"), start=1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise AulightError(
                f"{path} line {number}: {line[:40]!r} is not frame,intensity, two whole numbers (there is no header)"
            )
        frame, value = int(match[1]), int(match[2])
        if not (0 <= value <= MAX_INTENSITY or value == unknown):
            allowed = f"0 to {MAX_INTENSITY}" + (f", or {unknown} for unknown" if unknown is not None else "")
            raise AulightError(f"{path} line {number}: intensity {value} is not one of {allowed}")
        frames.append(frame)
        values.append(None if value == unknown else value)
    return frames, values
