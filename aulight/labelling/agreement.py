"""How well the coders of a sample agree, AU by AU, and the frames on which they differ most."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from aulight.errors import AulightError
from aulight.facs import column
from aulight.labelling.sample import Key
from aulight.labelling.store import Store
from aulight.labelling.together import by_frame
from aulight.scoring.agreement import Array, mean
from aulight.scoring.coders import MEASURES, Sums, Weights, added, agreement, bounds, sums_of
from aulight.scoring.intervals import Interval, jackknife
from aulight.settings.label import CONSENSUS

MEAN = "mean"
"""The AU of a row that is a mean over the AUs where a measure is defined."""


@dataclass(frozen=True)
class Row:
    """How well some coders agree on an AU.

    Attributes:
        coders: Their names.
        au: The AU's column, or :data:`MEAN`.
        frames: How many all of them have scored.
        people: Who is in these.
        values: By the names of :data:`aulight.scoring.coders.MEASURES`; NaN where undefined.
        intervals: Likewise, over people; or in some words why there is none.
    """

    coders: tuple[str, ...]
    au: str
    frames: int
    people: int
    values: dict[str, float]
    intervals: dict[str, Interval | str]


def rows_of(store: Store, level: float, weights: Weights) -> list[Row]:
    """The agreement of each pair of coders, and of all of them together where they are more than two.

    What a coder could not tell is left out, as are frames that not all of the coders have scored. Intervals are the
    jackknife's over people, since frames of one person are alike.

    Args:
        store: The scores.
        level: Of the intervals.
        weights: Of kappa.

    Raises:
        AulightError: When no two coders have scored an AU of the same frame.
    """
    scores, subjects, aus = by_frame(store.scores()), store.subjects, store.aus
    coders = sorted({who for of in scores.values() for said in of.values() for who in said} - {CONSENSUS})
    sets = [*combinations(coders, 2), *([tuple(coders)] if len(coders) > 2 else [])]
    rows = list[Row]()
    for some in sets:
        of_aus = [_by_person(scores, subjects, au, some) for au in aus]
        if any(of_aus):
            rows += _rows(some, aus, of_aus, level, weights)
    if not rows:
        raise AulightError(
            f"{store.path}: no AU of any frame has been scored by two coders yet ({len(coders)} have begun); "
            "the frames that go to every coder are those of shared="
        )
    return rows


def _by_person(
    scores: dict[Key, dict[int, dict[str, int | None]]], subjects: dict[Key, str], au: int, coders: Sequence[str]
) -> dict[str, Sums]:
    """The sums of each person of whom all these coders have scored a frame."""
    found = defaultdict[str, list[list[int]]](list)
    for key, of in scores.items():
        known = [score for who in coders if (score := of.get(au, {}).get(who)) is not None]
        if len(known) == len(coders):
            found[subjects[key]].append(known)
    return {subject: sums_of(np.array(known)) for subject, known in sorted(found.items())}


def _rows(
    coders: tuple[str, ...], aus: Sequence[int], of_aus: Sequence[dict[str, Sums]], level: float, weights: Weights
) -> list[Row]:
    k = len(coders)
    everybody = sorted({person for people in of_aus for person in people})
    wholes = [added(people.values(), k) for people in of_aus]
    # (AUs, people, measures): without each of all people, whether or not they are in frames of the AU
    whole = np.array([_values(sums, weights) for sums in wholes])
    without = np.array(
        [
            [
                _values(added((sums for who, sums in people.items() if who != left), k), weights)
                if left in people
                else values
                for left in everybody
            ]
            for people, values in zip(of_aus, whole, strict=True)
        ]
    )
    rows = []
    for au, people, sums, values, left in zip(aus, of_aus, wholes, whole, without, strict=True):
        mine = [place for place, person in enumerate(everybody) if person in people]
        rows.append(_row(coders, column(au), sums.n, len(people), values, left[mine], level))
    frames = max(sums.n for sums in wholes)
    rows.append(_row(coders, MEAN, frames, len(everybody), mean(whole), mean(without), level))
    return rows


def _values(sums: Sums, weights: Weights) -> list[float]:
    found = agreement(sums, weights)
    return [found[name] for name in MEASURES]


def _row(
    coders: tuple[str, ...], au: str, frames: int, people: int, values: Array, without: Array, level: float
) -> Row:
    named = dict(zip(MEASURES, values.tolist(), strict=True))
    intervals = {
        name: jackknife(value, without[:, place], level, bounds(name, len(coders)))
        for place, (name, value) in enumerate(named.items())
    }
    return Row(coders, au, frames, people, named, intervals)
