"""Facts of the datasets that are known by name: what DISFA and BP4D code, of whom, and how they are tested."""

import re
from collections.abc import Iterable

from aulight.spelling import fold

DISFA_AUS: tuple[int, ...] = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)

DISFA_TESTS: tuple[tuple[str, ...], ...] = (
    ("SN003", "SN029", "SN023", "SN025", "SN008", "SN005", "SN007", "SN017", "SN004"),
    ("SN013", "SN018", "SN011", "SN028", "SN012", "SN006", "SN031", "SN021", "SN024"),
    ("SN002", "SN010", "SN001", "SN026", "SN027", "SN032", "SN030", "SN009", "SN016"),
)
"""Test subjects of the three folds of DISFA that most publications use."""

DISFA_SUBJECTS = tuple(sorted(subject for fold in DISFA_TESTS for subject in fold))

DISFA_UNTRACKED: dict[str, tuple[tuple[int, int], ...]] = {
    "SN001": ((398, 420), (3190, 3243)),
    "SN002": ((800, 826),),
    "SN004": ((4541, 4555),),
    "SN006": ((1349, 1405),),
    "SN009": ((1736, 1808), (1851, 1885)),
    "SN011": ((4529, 4533), (4830, 4845)),
    "SN021": ((574, 616), (985, 1164), (1190, 1205), (1305, 1338), (1665, 1710), (1862, 2477), (2554, 4657),
              (4710, 4722)),
    "SN023": ((1021, 1049), (3378, 3557), (3584, 3668), (4547, 4621), (4741, 4772), (4825, 4845)),
    "SN025": ((4596, 4662), (4816, 4835)),
    "SN027": ((3461, 3494), (4738, 4785)),
    "SN028": ((1875, 1885), (4571, 4690)),
    "SN029": ((4090, 4543),),
    "SN030": ((939, 962), (1406, 1422), (2100, 2132), (2893, 2955)),
}  # fmt: skip
"""Frames, counted from 1 and both ends included, that publications leave out since the face was not tracked there."""

BP4D_AUS: tuple[int, ...] = (6, 10, 12, 14, 17)

BP4D_SUBJECTS = tuple(f"F{number:03d}" for number in range(1, 24)) + tuple(f"M{number:03d}" for number in range(1, 19))
"""Of BP4D; BP4D+ has others."""

BP4D_TESTS: tuple[tuple[str, ...], ...] = (tuple(subject for subject in BP4D_SUBJECTS if int(subject[1:]) % 2 == 0),)
"""Test subjects of the one fold of FERA 2015: those with even numbers."""

BP4D_TASKS = tuple(f"T{number}" for number in range(1, 9))
BP4D_PLUS_TASKS = ("T1", "T6", "T7", "T8")
"""The tasks of BP4D+ that are coded."""

_DISFA_PLUS, _DATA = r"disfa\+|extendeddisfa|disfaextended", "(raw|data|dataset|database|videos)?"


def collection(dataset: str, format: str = "", folder: str = "", videos: Iterable[str] = ()) -> str:
    """What tells collections of people apart, however a dataset and its folder are called: my-DISFA_Plus is disfa+.

    Args:
        dataset: The dataset's name.
        format: The layout of its raw data.
        folder: Where they were.
        videos: What its videos are called.
    """
    name, folders = _plain(dataset), [_plain(part) for part in re.split(r"[/\\]", folder)]
    if re.search(_DISFA_PLUS, name) or any(re.fullmatch(f"({_DISFA_PLUS}){_DATA}", part) for part in folders):
        return "disfa+"
    disfa = "disfa" in name or format == "disfa" or any(re.fullmatch(f"disfa{_DATA}", part) for part in folders)
    return "disfa" if disfa or any(re.search(r"videosn\d{3}_comp", fold(video)) for video in videos) else name


def _plain(name: str) -> str:
    return re.sub(r"[^\w+]|_", "", fold(name)).replace("plus", "+")


def person(subject: str, collection: str) -> str:
    """What is equal for all names of a person: people of DISFA have numbers, which its files are named by."""
    number = re.search(r"sn0*(\d+)", fold(subject)) if collection == "disfa" else None
    return f"sn{number[1]}" if number else fold(subject)
