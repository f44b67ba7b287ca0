"""Which label belongs to which frame, by number or by time."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from aulight.data.sources.raw import RawVideo
from aulight.errors import shorten, shorten_lines
from aulight.facs import au_of


def place_labels(
    raw: RawVideo, numbers: npt.NDArray[np.int64], times: npt.NDArray[np.float64]
) -> tuple[dict[int, Any] | None, list[str]]:
    """Puts the labels of a video on its frames.

    Labels by frame go to the frame of that number. Labels by time go to the nearest frame, when that is no more than
    half a frame interval (the median one) away.

    Args:
        raw: The video.
        numbers: ``(frames,)`` number of each frame in the raw video, unique.
        times: ``(frames,)`` seconds since the start of its file, ascending.

    Returns:
        AU number to ``(frames,)`` Int8 array, NA where unknown, or ``None`` for an unlabelled video; and a note on
        every label that found no frame, or that all frames should have had.
    """
    if raw.labels is None:
        return None, []
    table, notes = raw.labels, list[str]()
    if table.index.name == "time_s":
        places = _nearest(table.index.to_numpy(np.float64), times, raw.fps)
    else:
        places = pd.Index(numbers).get_indexer(table.index)
    names = [f"{raw.video_id} {table.index.name} {label}" for label in table.index.tolist()]
    if raw.rows:
        names = [f"row {row} of the labels, {name}" for row, name in zip(raw.rows, names, strict=True)]
    first: dict[int, int] = {}
    for label, place in enumerate(places.tolist()):
        if place >= 0 and first.setdefault(place, label) != label:
            notes.append(f"{names[label]}: not used, frame {numbers[place]} has a label already")
    lost = np.flatnonzero(places < 0)
    if raw.complete:
        if len(table) != len(numbers):
            less = "rows are not used" if len(table) > len(numbers) else "frames have no label"
            notes.append(
                f"{raw.video_id}: {len(numbers)} frames but {len(table)} rows of labels; they are aligned from the "
                f"first on, the last {abs(len(numbers) - len(table))} {less}"
            )
    elif raw.rows:
        notes += [f"{names[label]}: not used, the video has no frame there" for label in lost]
    elif len(lost):
        missing = shorten([str(number) for number in table.index[lost]], 8)
        notes.append(f"{raw.video_id}: {len(lost)} of {len(table)} labelled frames have no picture: {missing}")
    there, chosen = np.array(list(first), np.int64), np.array(list(first.values()), np.int64)
    placed = {}
    for name, values in table.items():
        intensities = pd.array([pd.NA] * len(numbers), dtype="Int8")
        intensities[there] = values.array[chosen]
        placed[au_of(str(name))] = intensities
    return placed, shorten_lines(notes)


def _nearest(
    wanted: npt.NDArray[np.float64], times: npt.NDArray[np.float64], fps: float | None
) -> npt.NDArray[np.int64]:
    """Place of the nearest frame for each time, -1 where it is further than half an interval."""
    interval = float(np.median(np.diff(times))) if len(times) > 1 else 1 / (fps or 25)
    after = np.searchsorted(times, wanted).clip(1, max(len(times) - 1, 1))
    places = after - 1
    if len(times) > 1:
        places = np.where(times[after] - wanted < wanted - times[places], after, places)
    return np.where(np.abs(times[places] - wanted) <= interval / 2 + 1e-6, places, -1)
