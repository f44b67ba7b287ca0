"""Facts of the datasets that are known by name: what DISFA and BP4D code, of whom, and how they are tested.

And by what people and videos are known again in other datasets: by names and by digests.
"""

import re
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from aulight.spelling import fold

DIGITS = 16
"""Digits of a digest that are kept: among a million videos two are taken for one with a chance of one in 10 million."""

Digests = npt.NDArray[np.bytes_]

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
    return "disfa" if disfa or any(map(_of_disfa, videos)) else name


def _of_disfa(video: str) -> bool:
    if video.isascii() and video.isprintable() and "comp" not in video.lower():  # for a million names
        return False
    return re.search(r"videosn\d{3}_comp", fold(video)) is not None


def _plain(name: str) -> str:
    return re.sub(r"[^\w+]|_", "", fold(name)).replace("plus", "+")


def person(subject: str, collection: str) -> str:
    """What is equal for all names of a person: people of DISFA have numbers, which its files are named by."""
    number = re.search(r"sn0*(\d+)", fold(subject)) if collection == "disfa" else None
    return f"sn{number[1]}" if number else fold(subject)


def digests(names: str | Sequence[str] | Sequence[Sequence[str]]) -> Digests:
    """The first digits of digests, as numpy keeps them: Python's own texts of a million videos take a gigabyte.

    Args:
        names: The digests; or one text of those digits of them all.
    """
    return np.frombuffer(names.encode(), f"S{DIGITS}") if isinstance(names, str) else np.array(names, f"S{DIGITS}")


def in_common(contents: Digests, others: Digests) -> npt.NDArray[np.bool_]:
    """Which videos have one of some digests.

    Args:
        contents: ``(videos, digests)``, empty where less is known of a video.
        others: ``(n,)``.
    """
    found: npt.NDArray[np.bool_] = (np.isin(contents, others) & (contents != b"")).any(axis=1)
    return found


def in_two_parts(contents: Digests, part: npt.NDArray[np.int64]) -> tuple[int, int] | None:
    """Places of the first video that has a digest in common with one of another part before it, and of that one.

    Args:
        contents: ``(videos, digests)``, empty where less is known of a video.
        part: ``(videos,)`` which each is in; -1: in none, and it is not looked at.
    """
    place, which = np.nonzero((contents != b"") & (part >= 0)[:, None])
    if not len(place):
        return None
    found = contents[place, which]
    order = np.argsort(found, kind="stable")
    begins = np.flatnonzero(np.append(True, found[order][1:] != found[order][:-1]))  # of the occurrences of a digest
    parts = part[place[order]]
    mixed = np.minimum.reduceat(parts, begins) != np.maximum.reduceat(parts, begins)
    doubtful = place[order][np.repeat(mixed, np.diff(begins, append=len(order)))]  # few, if any
    first = dict[bytes, int]()
    for at in np.unique(doubtful).tolist():
        for digest in sorted({*contents[at].tolist()} - {b""}):
            other = first.setdefault(digest, at)
            if part[at] != part[other]:
                return at, other
    return None
