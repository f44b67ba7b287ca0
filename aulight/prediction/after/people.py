"""What is known of each person in a video, in few numbers: means, time present, which AUs go together."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from aulight.facs import MAX_INTENSITY
from aulight.prediction.after.events import Array, Event, Track, aus_of, events_in, tracks_of
from aulight.prediction.after.records import OfUnit, Person
from aulight.prediction.rows import FILE
from aulight.settings.after import EventSettings

PARTS = 96
"""Of a video, in a strip."""

LEVELS = "0123456789"
"""Of intensities from 0 to 5, in a strip."""

Found = dict[tuple[int, str], list[Event]]


def _rounded(number: Any) -> float:
    return round(float(number), 4)


def _unit(values: Array, held: Array) -> OfUnit:
    numbers = values.astype(np.float64)
    sd = _rounded(numbers.std(ddof=1)) if len(numbers) > 1 else None
    return OfUnit(mean=_rounded(numbers.mean()), sd=sd, highest=_rounded(numbers.max()), seconds=_rounded(held.sum()))


def people_of(table: pd.DataFrame, settings: EventSettings | None) -> tuple[list[Person], Found, list[Track]]:
    """The people in the table of a film, who is seen longest first.

    Args:
        table: As :func:`aulight.prediction.after.events.tracks_of` takes it.
        settings: When an AU is present; ``None``: that is not looked for.

    Returns:
        They, their events by person and AU, and their tracks, in the same order as they.
    """
    tracks = sorted(tracks_of(table), key=lambda track: -len(track.order))
    people, found = list[Person](), Found()
    for track in tracks:
        aus = {}
        everywhere = np.arange(len(track.order))
        for au, values in track.values.items():
            known = np.flatnonzero(~np.isnan(values))
            if not len(known):
                continue
            unit = _unit(values[known], track.held(known, track.breaks(known, 0.0)))
            if settings is not None:
                events = found[track.face_id, au] = events_in(track, au, settings)
                unit = unit.model_copy(
                    update={
                        "present_s": _rounded(sum(event.offset - event.onset for event in events)),
                        "events": len(events),
                        "peak": _rounded(np.mean([event.peak for event in events])) if events else None,
                    }
                )
            aus[au] = unit
        held = track.held(everywhere, track.breaks(everywhere, 0.0))
        person = Person(
            face_id=track.face_id,
            frames=len(track.order),
            seconds=_rounded(held.sum()),
            quality=_quality(track.quality),
            aus=aus,
        )
        people.append(person)
    return people, found, tracks


def people_of_photos(table: pd.DataFrame) -> list[Person]:
    """All faces of photos as one: who is who is not known.

    Args:
        table: With ``file``, as ``predict`` writes it of photos.
    """
    seen = table[table["success"] == 1].drop(columns=FILE)
    known = {au: seen[f"{au}_r"].dropna().to_numpy(np.float64) for au in aus_of(list(seen.columns))}
    aus = {au: _unit(values, np.zeros(1)) for au, values in known.items() if len(values)}
    quality = _quality(seen["quality"].to_numpy(np.float64)) if "quality" in seen else None
    return [Person(face_id=None, frames=seen["frame"].nunique(), seconds=0.0, quality=quality, aus=aus)]


def _quality(values: Array | None) -> float | None:
    known = np.array([]) if values is None else values[~np.isnan(values)]
    return _rounded(known.mean(dtype=np.float64)) if len(known) else None


def together(tracks: Sequence[Track], found: Found) -> dict[str, tuple[float, float, float]]:
    """Of each pair of AUs the seconds in which both are present, either is, and both are known, of all people.

    Args:
        tracks: The people.
        found: Their events by person and AU.
    """
    times: dict[str, Array] = {}
    for track in tracks:
        aus = [au for au in track.values if (track.face_id, au) in found]
        everywhere = np.arange(len(track.order))
        held = track.held(everywhere, track.breaks(everywhere, 0.0)).astype(np.float32)
        present, known = (np.zeros((len(aus), len(held)), np.float32) for _ in range(2))
        for row, au in enumerate(aus):
            known[row] = ~np.isnan(track.values[au])
            for event in found[track.face_id, au]:
                present[row, event.first : event.last + 1] = 1
        present *= known
        both, one, all_known = (present * held) @ present.T, (present * held) @ known.T, (known * held) @ known.T
        for i, j in combinations(range(len(aus)), 2):
            mine = np.array([both[i, j], one[i, j] + one[j, i] - both[i, j], all_known[i, j]], np.float64)
            name = f"{aus[i]}+{aus[j]}"
            times[name] = times.get(name, np.zeros(3)) + mine
    return {name: (_rounded(a), _rounded(b), _rounded(c)) for name, (a, b, c) in times.items()}


def strips(track: Track, start: float, end: float) -> dict[str, str]:
    """Of each AU that has scores, its course as digits: see :class:`aulight.prediction.after.records.After`.

    Args:
        track: Of the person.
        start: Of the video, in seconds.
        end: Of its last frame.
    """
    lasts = track.usual or 1.0  # seconds of a frame, the last one as well; of the only one it does not matter
    begins, parts = (track.seconds - start) / (end - start + lasts) * PARTS, lasts / (end - start + lasts) * PARTS
    first = np.floor(begins + 1e-6).clip(0, PARTS - 1).astype(np.int64)
    last = np.ceil(begins + parts - 1e-6).astype(np.int64) - 1
    shown = last.clip(first, PARTS - 1)  # a frame of a short video is in several parts
    drawn = {}
    for au, values in track.values.items():
        highest = np.full(PARTS, np.nan)
        for more in range(int((shown - first).max(initial=0)) + 1):
            np.fmax.at(highest, np.minimum(first + more, shown), values)
        if not np.isnan(highest).all():
            levels = np.nan_to_num(highest / MAX_INTENSITY * (len(LEVELS) - 1)).round().astype(int)
            drawn[au] = "".join(
                "-" if np.isnan(value) else LEVELS[level] for value, level in zip(highest, levels, strict=True)
            )
    return drawn
