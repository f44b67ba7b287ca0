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

_COLUMN = re.compile(r"AU[ _]?(0?[1-9]|[1-9][0-9])(?:_r)?", re.IGNORECASE)


def column(au: int) -> str:
    """Name of an AU's column in every table, for example ``AU01``."""
    return f"AU{au:02d}"


def is_column(name: str) -> bool:
    """Whether a column is one of an AU's intensities, as :func:`column` or as people and programs write it.

    ``AU01``, ``AU1``, ``au01``, ``AU 1``, ``AU_01``, OpenFace's ``AU01_r``; not its ``AU01_c``, which is of occurrence.
    """
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


AU_SIGNS: dict[int, str] = {
    1: "inner ends of the brows go up; lines across the middle of the forehead",
    2: "outer ends of the brows go up, arched; lines at the sides of the forehead",
    4: "brows go down and together; furrows between them",
    5: "eyes are wider; more white is seen above the iris",
    6: "cheeks go up; crow's feet; skin below the eyes bunches and the opening narrows from outside",
    7: "lids tighten; the lower lid rises and straightens, and the opening narrows",
    9: "wrinkles along the nose; the middle of the upper lip and the inner brows are pulled in",
    10: "the middle of the upper lip goes straight up; the fold from nose to mouth deepens like a pouch",
    12: "corners of the lips go up and out; the fold from nose to mouth deepens",
    14: "corners of the lips tighten inwards; dimples beside them",
    15: "corners of the lips go down; a pouch below them",
    17: "chin boss and lower lip are pushed up; wrinkled chin, mouth like an upturned U",
    20: "corners of the lips are pulled sideways; lips flat and long",
    23: "lips tighten and narrow; their red parts roll in, fine lines around them",
    24: "lips are pressed together, thinner; no chin boss pushed up is needed for it",
    25: "lips are apart; teeth or the inside of the mouth may be seen",
    26: "the lower jaw hangs, relaxed; room between the teeth",
    28: "lips are sucked in over the teeth; their red parts vanish",
    43: "lids are closed or nearly so, for longer than a blink",
    45: "lids close and open again within half a second",
}
"""What to look for in a face, in our words."""
