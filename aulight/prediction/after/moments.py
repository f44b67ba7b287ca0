"""Pictures of the moments in which an action unit is strongest, kept while frames go by."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from aulight.data.marks import FACE, MARK
from aulight.data.video.types import Frames
from aulight.facs import au_of, short_name
from aulight.files import told_of
from aulight.prediction.after.records import Moment
from aulight.prediction.rows import Scored

MOST = 5
"""Pictures of a video."""

SIDE = 96
"""Of each, in pixels."""

APART = 0.04
"""Share of the video that lies between two of them at least."""

LEAST = 0.5
"""By how much an intensity rises above its median for a picture."""


class _Best(NamedTuple):
    value: float
    frame: int
    person: int
    seconds: float
    crop: Frames


class Moments:
    """Holds of each AU the face at its strongest so far.

    Args:
        columns: Names of the AUs.
        photos: Whether the frames are photos, which have no time.
    """

    def __init__(self, columns: Sequence[str], photos: bool) -> None:
        self._columns, self._photos, self._frame = columns, photos, 0
        self._best: dict[str, _Best] = {}

    def add(self, scored: Scored) -> None:
        """The next frame."""
        self._frame += 1
        number = self._frame if scored.frame.place is None else scored.frame.place + 1  # as the table has it
        for person in scored.seen:
            small: Frames | None = None
            for au, value in zip(self._columns, scored.values[person].tolist(), strict=True):
                if value > (self._best[au].value if au in self._best else -math.inf):  # also: is not NaN
                    small = _small(scored.faces[person].crop) if small is None else small
                    seconds = float(self._frame) if self._photos else scored.frame.time_s
                    self._best[au] = _Best(value, number, person, seconds, small)

    def chosen(self, table: pd.DataFrame) -> list[tuple[Moment, Frames]]:
        """The moments that stand out most from the AU's median, apart from each other, in order of time.

        Args:
            table: Of the frames; intensities are taken from it.
        """
        seen = table[table["success"] == 1]
        rows = seen.set_index(["frame", "face_id"])
        reach = APART * (self._frame if self._photos else float(np.ptp(table["timestamp"]))) if len(table) else 0.0
        ranked = list[tuple[float, Moment, Frames]]()
        for au, best in self._best.items():
            value = float(rows.at[(best.frame, best.person), f"{au}_r"])  # type: ignore[arg-type]
            above = value - float(seen[f"{au}_r"].median()) if len(seen) > 1 else value
            moment = Moment(au=au, face_id=best.person, frame=best.frame, seconds=best.seconds, value=round(value, 2))
            if above >= LEAST:
                ranked.append((above, moment, best.crop))
        kept = list[tuple[Moment, Frames]]()
        for _, moment, crop in sorted(ranked, key=lambda entry: -entry[0]):
            if all(abs(moment.seconds - other.seconds) > reach for other, _ in kept) and len(kept) < MOST:
                kept.append((moment, crop))
        return sorted(kept, key=lambda entry: entry[0].frame)


def _small(crop: Frames) -> Frames:
    import cv2

    how = cv2.INTER_AREA if len(crop) > SIDE else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(crop, (SIDE, SIDE), interpolation=how), np.uint8)


def write_faces(pictures: Sequence[Frames], file: Path) -> None:
    """Writes pictures side by side as a jpg that is known as aulight's.

    Args:
        pictures: ``(96, 96, 3)`` uint8 RGB each.
        file: The jpg.
    """
    from PIL import Image

    with told_of(file):
        Image.fromarray(np.concatenate(list(pictures), 1)).save(
            file, "JPEG", quality=80, comment=f"{MARK}{FACE}".encode()
        )


def by_time(moments: Sequence[tuple[Moment, Frames]]) -> Mapping[float, tuple[str, Frames]]:
    """What :func:`aulight.drawing.timeline.timeline` shows above its curves."""
    return {moment.seconds: (f"{short_name(au_of(moment.au))} {moment.value:.1f}", crop) for moment, crop in moments}
