"""What is said of a video: a row for each face of each frame, in the columns that OpenFace made known.

``frame`` (from 1), ``face_id``, ``timestamp`` (seconds), ``confidence`` (0 where no face is found), ``success`` (0 or
1); what else is said of the face (:mod:`aulight.prediction.columns`); ``AU01_r`` ... in 0..5, empty without a face or
where it is seen worse than was asked for; ``AU02_left``, ``AU02_right`` ..., the same of either side; ``AU01_c`` ..., 1
where an AU is present; then, if there are prediction intervals, ``AU01_lo``, ``AU01_hi`` ... Photos have their ``file``
in front.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from aulight.data.faces.crop import AlignedFrame
from aulight.data.video.types import RawFrame
from aulight.errors import encodable
from aulight.foreign.tables import KEYS
from aulight.prediction.columns import Columns
from aulight.scoring.conformal import Intervals

Values = npt.NDArray[np.float32]

Row = dict[str, Any]
"""What is said of one face of one frame, by column."""

OWN = "_own"
"""End of the names of columns that what references are of stands in, until they are taken away."""

FILE = "file"
"""Column of the names of photos."""


@dataclass(frozen=True)
class Scored:
    """A frame and what was made of it.

    Attributes:
        frame: The frame.
        faces: The people in it by their numbers, those included who are lost from sight (with confidence 0).
        values: The intensities of each, ``(AUs,)`` float32 in 0..5; of no use where confidence is 0. With ``own``, as
            they are before references are taken away, not clipped.
        heat: Where in the crop of each one AU was seen, ``(size, size)`` float32 in 0..1, if that was asked for.
        sides: The intensities of each on the left and the right, where what scores them tells these apart:
            :data:`aulight.prediction.untrained.SIDES`.
        own: Of each, what their reference is of, ``(AUs,)`` float32, where it is to be taken away in the end.
    """

    frame: RawFrame
    faces: dict[int, AlignedFrame]
    values: dict[int, Values]
    heat: dict[int, Values] = field(default_factory=dict)
    sides: dict[int, Values] = field(default_factory=dict)
    own: dict[int, Values] = field(default_factory=dict)

    @property
    def seen(self) -> list[int]:
        """The numbers of those whose face is found."""
        return [person for person, face in self.faces.items() if face.confidence > 0]


@dataclass
class Tally:
    """What was in frames.

    Attributes:
        frames: How many there are.
        seen: In how many of them there is a face that has a row.
        not_followed: In how many others there are faces, but none that is followed.
        elsewhere: How often a face elsewhere was taken for the one that is followed.
        crowded: In how many of the frames there were more faces than are looked for.
        emptied: Of how many faces nothing is said of AUs, since they are seen worse than was asked for.
    """

    frames: int = 0
    seen: int = 0
    not_followed: int = 0
    elsewhere: int = 0
    crowded: int = 0
    emptied: int = 0

    def add(self, scored: Scored) -> None:
        """The next frame."""
        self.frames += 1
        self.seen += bool(scored.seen)
        self.not_followed += not scored.seen and any(face.others for face in scored.faces.values())
        self.elsewhere += any(face.elsewhere for face in scored.faces.values())

    def __add__(self, other: "Tally") -> "Tally":
        mine, others = astuple(self), astuple(other)
        return Tally(*(one + another for one, another in zip(mine, others, strict=True)))

    @property
    def faceless(self) -> int:
        """Frames in which no face was found."""
        return self.frames - self.seen - self.not_followed


NOTHING_BESIDE = Columns()


class Table:
    """Makes the rows of one video, frame by frame.

    Args:
        columns: Names of the AUs.
        intervals: Calibration, if there is one.
        coverage: Of the intervals; ``None`` for none.
        files: Whether the frames are photos, whose names are to be told.
        beside: What else is said of faces.
        own: Whether there are columns for references, which are taken away in the end.

    Attributes:
        names: Of all columns, in order.
        beside: As given.
        emptied: Of how many faces so far nothing was said of AUs, since they are seen too badly.

    Raises:
        AulightError: For a coverage that is not calibrated.
    """

    def __init__(
        self,
        columns: Sequence[str],
        intervals: Intervals | None,
        coverage: float | None,
        files: bool = False,
        beside: Columns = NOTHING_BESIDE,
        own: bool = False,
    ) -> None:
        self._columns, self._count, self._own = columns, 0, own
        self.beside, self.emptied = beside, 0
        self._intervals = None if coverage is None else intervals
        self._coverage = coverage or 0.0
        self._files = files
        self.names = [*([FILE] if files else []), *KEYS, *beside.names, *(f"{au}_r" for au in columns)]
        self.names += beside.sides
        if beside.presence:
            self.names += [f"{au}_c" for au in columns]
        if self._intervals is not None:
            self.names += [f"{au}_{end}" for au in columns for end in ("lo", "hi")]
            self.around(np.full(len(columns), np.nan, np.float32))  # says what is wrong before the work
        if own:
            self.names += [f"{au}{OWN}" for au in columns]

    def around(self, values: Values) -> tuple[Values, Values] | None:
        """Both ends of the intervals around the intensities of one face, each ``(AUs,)``."""
        if self._intervals is None:
            return None
        low, high = self._intervals.around(values[None], self._coverage)
        return low[0], high[0]

    def values(self, scored: Scored, person: int) -> Values:
        """What is said of the AUs of somebody, ``(AUs,)``; NaN where their face is not there, or seen too badly."""
        face = scored.faces.get(person)
        if face is None or face.confidence == 0 or not self.beside.is_trusted(face):
            return np.full(len(self._columns), math.nan, np.float32)
        return scored.values[person]

    def rows(self, scored: Scored) -> Iterator[Row]:
        """The rows of the next frame: one for each face that is found, or one without."""
        self._count += 1
        place = scored.frame.place
        for person in scored.seen or [0]:
            confidence = scored.faces[person].confidence if person in scored.faces else 0.0
            found = confidence > 0
            face, values = scored.faces[person] if found else None, self.values(scored, person)
            self.emptied += face is not None and not self.beside.is_trusted(face)
            numbers = self.beside.values(face) + values.tolist()
            if self.beside.sides:
                said = face is not None and self.beside.is_trusted(face)
                numbers += scored.sides[person].tolist() if said else [math.nan] * len(self.beside.sides)
            if self.beside.presence:
                present = values >= self.beside.present_from
                numbers += np.where(np.isnan(values), math.nan, present).tolist()
            if (ends := self.around(values)) is not None:
                numbers += np.stack(ends, 1).ravel().tolist()
            if self._own:
                numbers += np.where(np.isnan(values), math.nan, scored.own.get(person, values)).tolist()
            keys = (
                *([encodable(scored.frame.name)] if self._files else []),
                self._count if place is None else place + 1,
                person,
                scored.frame.time_s,
                confidence,
                int(found),
            )
            yield dict(zip(self.names, (*keys, *numbers), strict=True))
