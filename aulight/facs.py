"""Facial action units: numbers, names, and the sets that the datasets code.

Names follow the Facial Action Coding System (Ekman, Friesen & Hager, 2002).
"""

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


def column(au: int) -> str:
    """Name of an AU's column in every table, for example ``AU01``."""
    return f"AU{au:02d}"
