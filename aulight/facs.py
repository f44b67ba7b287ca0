"""Facial action units: their numbers, names and columns in tables, and the range in which they are coded.

Names follow the Facial Action Coding System (Ekman, Friesen & Hager, 2002).
"""

import re

from aulight.errors import AulightError

AU_NAMES: dict[int, str] = {
    1: "inner brow raiser",
    2: "outer brow raiser",
    4: "brow lowerer",
    5: "upper lid raiser",
    6: "cheek raiser",
    7: "lid tightener",
    9: "nose wrinkler",
    10: "upper lip raiser",
    12: "lip corner puller",
    14: "dimpler",
    15: "lip corner depressor",
    17: "chin raiser",
    18: "lip pucker",
    20: "lip stretcher",
    23: "lip tightener",
    24: "lip pressor",
    25: "lips part",
    26: "jaw drop",
    28: "lip suck",
    43: "eyes closed",
    45: "blink",
}

MAX_INTENSITY = 5
"""Intensities go from 0 (not there) to this."""

_COLUMN = re.compile(r"AU(0?[1-9]|[1-9][0-9])", re.IGNORECASE)


def column(au: int) -> str:
    """Name of an AU's column in every table, for example ``AU01``."""
    return f"AU{au:02d}"


def is_column(name: str) -> bool:
    """Whether a column is one of an AU, as :func:`column` or as people write it: ``AU01``, ``AU1``, ``au01``."""
    return _COLUMN.fullmatch(name) is not None


def au_of(name: str) -> int:
    """Number of the AU that a column is of: :func:`column` backwards, for all that :func:`is_column` takes.

    Raises:
        AulightError: When it is no column of an AU.
    """
    match = _COLUMN.fullmatch(name)
    if match is None:
        raise AulightError(f"{name}: not a column of an AU; those are called AU01, AU02 ... AU99")
    return int(match[1])


def short_name(au: int) -> str:
    """What an AU is called in figures and messages, for example ``AU1``."""
    return f"AU{au}"
