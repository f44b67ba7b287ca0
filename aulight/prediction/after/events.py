"""Events of action units in the table of a film: when each begins, is strongest and ends.

An event is a stretch of frames at or above ``leave`` of which at least one is at or above ``enter`` (a threshold with
hysteresis). Each frame lasts until the next, so an event ends where the first frame below ``leave`` begins. Two events
with a pause of up to ``merge_s`` between them are one; those that are shorter than ``min_s`` are left out. Where the
face is lost for longer than ``merge_s``, or the film itself jumps, an event ends with the last frame that shows it, and
says that its end was not seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from aulight.errors import AulightError
from aulight.nets.tracks import LOST_S
from aulight.prediction.rows import FILE
from aulight.settings.after import EventSettings

Array = npt.NDArray[Any]

COLUMNS = (
    "face_id", "au", "onset", "apex", "offset", "duration", "peak", "area", "onset_seen", "offset_seen",
)  # fmt: skip
"""Of a table of events; times in seconds."""

_TINY = 1e-6  # seconds: what is lost where times are added up


class Event(NamedTuple):
    """One event of one action unit.

    Attributes:
        onset: Seconds; when it begins.
        apex: Seconds; its strongest frame, the first of several.
        offset: Seconds; when it has ended.
        peak: Intensity at the apex, 0..5.
        area: Intensity times seconds, from onset to offset.
        onset_seen: Whether the frame before shows the face, too; else it began where nobody saw.
        offset_seen: Whether the frame after does.
        first: Place of its first frame in the track.
        last: Place of its last frame.
    """

    onset: float
    apex: float
    offset: float
    peak: float
    area: float
    onset_seen: bool
    offset_seen: bool
    first: int
    last: int


@dataclass(frozen=True)
class Track:
    """One person in a film.

    Attributes:
        face_id: Who.
        order: ``(F,)`` int64, which of the film's frames show the face, from 0.
        seconds: ``(F,)`` float64, when.
        values: Of each AU ``(F,)`` float32 intensities, NaN where unknown.
        usual: Seconds from one frame of the film to the next, the median.
        quality: ``(F,)`` float32 in 0..1, where the table has it.
    """

    face_id: int
    order: Array
    seconds: Array
    values: dict[str, Array]
    usual: float
    quality: Array | None = None

    def breaks(self, known: Array, merge_s: float) -> Array:
        """``(N,)`` bool: before which of N frames the film or the face was away for too long; the first is one.

        Args:
            known: Places of the N frames in the track.
            merge_s: Seconds without the face that are not too long.
        """
        lost = np.diff(self.order[known]) > 1
        beyond = np.diff(self.seconds[known]) - self.usual
        return np.append(True, beyond > np.where(lost, merge_s, LOST_S) + _TINY)

    def held(self, known: Array, breaks: Array) -> Array:
        """``(N,)`` float64: how many seconds each of those frames lasts: to the next, or as usual before a break."""
        steps = np.append(np.maximum(np.diff(self.seconds[known]), 0), self.usual)
        return np.where(np.append(breaks[1:], True), self.usual, steps)


def aus_of(names: Sequence[str]) -> list[str]:
    """``AU01``, ... of the columns ``AU01_r``, ... among names of columns."""
    return [name[:-2] for name in names if name.startswith("AU") and name[2:-2].isdigit() and name.endswith("_r")]


def tracks_of(table: pd.DataFrame) -> list[Track]:
    """The people in the table of a film, by their numbers.

    Args:
        table: ``frame``, ``timestamp``, ``AU01_r``, ...; where there are several people or frames without a face, also
            ``face_id`` and ``success``; ``quality``, if it is there, is taken along.

    Raises:
        AulightError: For a table without frames, times or intensities, or of photos.
    """
    if missing := [name for name in ("frame", "timestamp") if name not in table]:
        raise AulightError(f"the table has no column {missing[0]}; one that aulight predict writes is needed")
    if not (aus := aus_of(list(table.columns))):
        raise AulightError("the table has no intensities (AU01_r, ...); one that aulight predict writes is needed")
    if FILE in table:
        raise AulightError("the table is of photos, each on its own; events are of films")
    frames, order = np.unique(table["frame"].to_numpy(), return_inverse=True)
    seconds = table["timestamp"].to_numpy(np.float64)
    of_film = np.zeros(len(frames))
    of_film[order] = seconds
    usual = float(np.median(np.diff(of_film))) if len(frames) > 1 else 0.0
    found = np.ones(len(table), bool) if "success" not in table else table["success"].to_numpy() == 1
    people = np.zeros(len(table), np.int64) if "face_id" not in table else table["face_id"].to_numpy(np.int64)
    tracks = []
    for person in np.unique(people[found]).tolist():
        mine = np.flatnonzero(found & (people == person))
        mine = mine[np.argsort(order[mine], kind="stable")]
        values = {au: table[f"{au}_r"].to_numpy(np.float32)[mine] for au in aus}
        quality = table["quality"].to_numpy(np.float32)[mine] if "quality" in table else None
        tracks.append(Track(person, order[mine], seconds[mine], values, max(usual, 0.0), quality))
    return tracks


def events_in(track: Track, au: str, settings: EventSettings) -> list[Event]:
    """The events of one action unit of one person, in order; none overlaps another."""
    known = np.flatnonzero(~np.isnan(track.values[au]))
    if not len(known):
        return []
    values, seconds = track.values[au][known], track.seconds[known]
    breaks = track.breaks(known, settings.merge_s)
    held, stretch = track.held(known, breaks), np.cumsum(breaks)
    above = values >= settings.leave
    firsts = np.flatnonzero(above & (~np.append(False, above[:-1]) | breaks))
    lasts = np.flatnonzero(above & (~np.append(above[1:], False) | np.append(breaks[1:], True)))
    reached = np.append(0, np.cumsum(values >= settings.enter))
    whole: list[tuple[int, int]] = []
    for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True):
        if reached[last + 1] == reached[first]:
            continue
        if whole and stretch[whole[-1][1]] == stretch[first]:
            before = whole[-1][1]
            if seconds[first] - (seconds[before] + held[before]) <= settings.merge_s + _TINY:
                whole[-1] = whole[-1][0], last
                continue
        whole.append((first, last))
    events = []
    for first, last in whole:
        end = float(seconds[last] + held[last])
        if end - seconds[first] < settings.min_s - _TINY:
            continue
        apex = first + int(values[first : last + 1].argmax())
        area = float((values[first : last + 1].astype(np.float64) * held[first : last + 1]).sum())
        seen = not breaks[first], last + 1 < len(known) and not breaks[last + 1]
        times = float(seconds[first]), float(seconds[apex]), end
        events.append(Event(*times, float(values[apex]), area, *seen, int(known[first]), int(known[last])))
    return events


def events_table(found: dict[tuple[int, str], list[Event]]) -> pd.DataFrame:
    """Events as a table with :data:`COLUMNS`, by person, onset and action unit.

    Args:
        found: By person and AU.
    """
    rows = [
        (person, au, event.onset, event.apex, event.offset, event.offset - event.onset, event.peak, event.area,
         int(event.onset_seen), int(event.offset_seen))
        for (person, au), events in found.items() for event in events
    ]  # fmt: skip
    kinds = dict.fromkeys(COLUMNS, "float64") | {"au": "object"}
    kinds |= dict.fromkeys(("face_id", "onset_seen", "offset_seen"), "int64")
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype(kinds)
    return table.sort_values(["face_id", "onset", "au"], ignore_index=True)


def events(
    table: pd.DataFrame,
    enter: float | None = None,
    leave: float | None = None,
    min_s: float | None = None,
    merge_s: float | None = None,
) -> pd.DataFrame:
    """The events of all action units of all people in the table of a film, as ``<name>.events.csv`` has them.

    Args:
        table: As ``aulight predict`` writes it, or a model's ``predict`` returns it.
        enter: Intensity that an event reaches. What is ``None`` is as ``aulight predict`` has it.
        leave: Intensity at which it begins and below which it ends.
        min_s: Seconds that it lasts at least.
        merge_s: Seconds of a pause, or without a face, that do not end it.

    Returns:
        A row for each event, with :data:`COLUMNS`: who, which AU, ``onset``, ``apex``, ``offset`` and ``duration`` in
        seconds, ``peak`` (0..5), ``area`` (intensity times seconds), and whether beginning and end were seen (1) or the
        face or the film was away (0).

    Raises:
        AulightError: For a table or for thresholds that cannot be used.
    """
    given = {"enter": enter, "leave": leave, "min_s": min_s, "merge_s": merge_s}
    settings = usual_settings({name: value for name, value in given.items() if value is not None})
    tracks = tracks_of(table)
    return events_table({(of.face_id, au): events_in(of, au, settings) for of in tracks for au in of.values})


def usual_settings(given: dict[str, float]) -> EventSettings:
    """The settings of ``conf/``, but for those that are given.

    Raises:
        AulightError: For what cannot be used.
    """
    from aulight.foreign.yaml import read_yaml
    from aulight.runs.composed import conf_dir
    from aulight.settings.reading import read

    usual = read_yaml(conf_dir() / "predict" / "predict.yaml")["events"]
    return read(EventSettings, usual | given)
