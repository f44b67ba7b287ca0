"""The video with boxes and bars: drawn while frames are scored, or after them where the table changes at its end."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aulight.data.video.types import Frames, RawFrame
from aulight.drawing.annotate import Shown, annotate
from aulight.facs import column
from aulight.prediction.after.table import numbers_of
from aulight.prediction.rows import Scored, Table

_EACH = 7
"""Numbers that are kept of a face: the side of its crop, and the matrix to it."""


class Overlay:
    """Draws the frames of one video and what is said of them.

    Args:
        columns: Names of the AUs.
        note: What is to be known beside the numbers, in ASCII.
        explained: Number of the AU whose heat is shown, if any.
    """

    def __init__(self, columns: Sequence[str], note: str, explained: int | None) -> None:
        self._columns = columns
        self._note = note if explained is None else f"{note}, heat: {column(explained)}"
        self._places = array("d")

    def now(self, scored: Scored, table: Table, number: int) -> Frames:
        """A frame with what the table says of it now.

        Args:
            scored: The frame.
            table: What makes its rows.
            number: Of the photo, from 1.
        """
        shown = []
        for person in scored.seen:
            face, values = scored.faces[person], table.values(scored, person)
            low, high = table.around(values) or (None, None)
            shown.append(Shown(person, face.matrix, len(face.crop), values, low, high, scored.heat.get(person)))
        return self._drawn(scored.frame, shown, number)

    def keep(self, scored: Scored) -> None:
        """Keeps where the faces of a frame are, for :meth:`after`: some bytes each."""
        for person in scored.seen:
            face = scored.faces[person]
            self._places.extend([len(face.crop), *face.matrix.ravel().tolist()])

    def after(self, frames: Iterable[RawFrame], file: Path) -> Iterator[Frames]:
        """The frames, read once more, with what their table says of them in the end.

        Args:
            frames: Those that have rows, in order; each was kept.
            file: The table.
        """
        ends = (f"{au}_{end}" for end in ("lo", "hi") for au in self._columns)
        names = ["frame", "face_id", "success", *(f"{au}_r" for au in self._columns), *ends]
        place = 0
        of_frames = groupby(numbers_of(file, names), key=lambda row: float(row[0]))
        for number, (frame, (_, rows)) in enumerate(zip(frames, of_frames, strict=False), 1):
            shown = []
            for row in rows:
                if row[2] == 1:
                    kept = np.array(self._places[place : place + _EACH])
                    shown.append(_shown(row, kept, len(self._columns)))
                    place += _EACH
            yield self._drawn(frame, shown, number)

    def _drawn(self, frame: RawFrame, shown: list[Shown], number: int) -> Frames:
        seconds, place = frame.time_s, frame.number if frame.place is None else frame.place
        clock = f"{int(seconds // 60)}:{seconds % 60:06.3f}  frame {place + 1}"
        when = clock if frame.name is None else f"photo {number}"
        return annotate(frame.image, self._columns, shown, self._note, when)


def _shown(row: npt.NDArray[Any], kept: npt.NDArray[np.float64], aus: int) -> Shown:
    values, *ends = np.split(row[3:].astype(np.float32), range(aus, len(row) - 3, aus))
    low, high = ends or (None, None)
    return Shown(int(row[1]), kept[1:].reshape(2, 3), int(kept[0]), values, low, high, None)
