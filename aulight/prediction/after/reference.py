"""Takes each person's reference away from a table of a whole film, once all their frames are in it."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from aulight.facs import MAX_INTENSITY
from aulight.nets.reference import QUANTILE
from aulight.prediction.after.table import parts_of, write_parts
from aulight.prediction.rows import OWN
from aulight.prediction.writing import DIGITS
from aulight.scoring.conformal import Intervals

Stretch = Sequence[float]
"""From and to, in seconds."""

MIDDLE = 0.5
"""Quantile of a stretch in which a face is said to be at rest."""


class References:
    """The references of the people in a film.

    Args:
        columns: Names of the AUs.
        rest: When faces are at rest, where that is known; who is not seen then has a reference of all their frames.
        intervals: Calibration of intervals, where the table has them.
        coverage: Of these.
        present_from: Intensity from which an AU is present, where the table has columns of that.
    """

    def __init__(
        self,
        columns: Sequence[str],
        rest: Stretch | None,
        intervals: Intervals | None,
        coverage: float | None,
        present_from: float,
    ) -> None:
        self._columns, self._rest, self._present_from = columns, rest, present_from
        self._intervals, self._coverage = intervals, coverage
        self._own: defaultdict[int, list[npt.NDArray[np.float32]]] = defaultdict(list)
        self._at_rest: defaultdict[int, list[npt.NDArray[np.float32]]] = defaultdict(list)

    def add(self, part: pd.DataFrame) -> None:
        """The next rows."""
        own = part[[f"{au}{OWN}" for au in self._columns]].to_numpy(np.float32)
        people, seconds = (part[name].to_numpy(np.float64) for name in ("face_id", "timestamp"))
        known = ~np.isnan(own).any(1)
        for person in np.unique(people[known]):
            mine = known & (people == person)
            self._own[int(person)].append(own[mine])
            if self._rest is not None:
                then = mine & (self._rest[0] <= seconds) & (seconds <= self._rest[1])
                self._at_rest[int(person)].append(own[then])

    def levels(self) -> dict[int, npt.NDArray[np.float64]]:
        """The reference of each person, ``(AUs,)``."""
        found = {}
        for person, own in self._own.items():
            at_rest = np.concatenate(self._at_rest[person] or [own[0][:0]])
            values, share = (at_rest, MIDDLE) if len(at_rest) else (np.concatenate(own), QUANTILE)
            found[person] = np.quantile(values.astype(np.float64), share, axis=0)
        return found

    def less(self, part: pd.DataFrame, levels: dict[int, npt.NDArray[np.float64]]) -> pd.DataFrame:
        """Rows with the references taken away: intensities in 0..5 with all that hangs on them.

        Args:
            part: Of those that were added.
            levels: As :meth:`levels` gives them.
        """
        nothing = np.zeros(len(self._columns))
        away = np.array([levels.get(int(person), nothing) for person in part["face_id"]]).reshape(
            len(part), len(nothing)
        )
        said = part[[f"{au}_r" for au in self._columns]].to_numpy(np.float64)
        values = np.clip(said - away, 0, MAX_INTENSITY).astype(np.float32)
        new = {f"{au}_r": values[:, place] for place, au in enumerate(self._columns)}
        if self._intervals is not None and self._coverage is not None:
            for end, ends in zip(("lo", "hi"), self._intervals.around(values, self._coverage), strict=True):
                new |= {f"{au}_{end}": ends[:, place] for place, au in enumerate(self._columns)}
        for place, au in enumerate(self._columns):
            if f"{au}_c" in part:
                present = values[:, place] >= self._present_from
                new[f"{au}_c"] = np.where(np.isnan(values[:, place]), np.nan, present).astype(np.float32)
        return part.drop(columns=[f"{au}{OWN}" for au in self._columns]).assign(**new)


def take_references_away(file: Path, references: References) -> None:
    """Changes a table: each person's reference is taken away, and the columns that were for that as well.

    Args:
        file: The table.
        references: Of nobody yet.
    """
    made = file.with_name(f"{file.stem}.related{file.suffix}")
    for part in parts_of(file):
        references.add(part)
    levels = references.levels()
    write_parts(file, made, lambda part: references.less(part, levels).round(DIGITS))
    made.replace(file)
