"""Events of a track: one by hand, many by a slow loop, and the thresholds by scikit-image."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from skimage.filters import apply_hysteresis_threshold

import aulight
from aulight.errors import AulightError
from aulight.prediction.after.events import Array, Track, events_in, tracks_of
from aulight.settings.after import EventSettings

USUAL = EventSettings(enter=1.0, leave=0.5, min_s=0.2, merge_s=0.1)


def table(values: Array, step: float = 0.04, **columns: Array) -> pd.DataFrame:
    """A film of one person."""
    frames = np.arange(len(values))
    keys = {"frame": frames + 1, "face_id": 0, "timestamp": frames * step, "success": 1, "AU12_r": values}
    return pd.DataFrame(keys | columns)


def test_a_film_whose_events_are_known() -> None:
    """At 10 frames a second: a smile that begins and ends, one too short, two in one, and one that is cut off."""
    smile = [0, 0.2, 0.5, 1.5, 3.0, 2.0, 0.6, 0.4, 0, 0]  # from 0.2 to 0.7
    short = [0, 2.0, 0, 0, 0, 0, 0, 0, 0, 0]  # at 1.1, a tenth of a second
    low = [0.9, 0.9, 0.9, 0.9, 0, 0, 0, 0, 0, 0]  # never reaches 1
    pair = [1.2, 1.2, 0.1, 1.0, 1.4, 0, 0, 0, 0, 0]  # 3.0 to 3.5, with a pause of a tenth
    end = [0, 0, 0, 0, 0, 0, 0, 2.0, 2.0, 4.0]  # 4.7 until the film ends
    film = table(np.array([*smile, *short, *low, *pair, *end]), step=0.1)
    found = aulight.events(film)
    expected = pd.DataFrame(
        {
            "face_id": 0,
            "au": "AU12",
            "onset": [0.2, 3.0, 4.7],
            "apex": [0.4, 3.4, 4.9],
            "offset": [0.7, 3.5, 5.0],
            "duration": [0.5, 0.5, 0.3],
            "peak": [3.0, 1.4, 4.0],
            "area": [0.76, 0.49, 0.8],
            "onset_seen": [1, 1, 1],
            "offset_seen": [1, 1, 0],
        }
    )
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, rtol=1e-6)
    assert aulight.events(film, merge_s=0.0)["onset"].tolist() == pytest.approx([0.2, 3.0, 3.3, 4.7])
    assert aulight.events(film, min_s=0.0)["onset"].tolist() == pytest.approx([0.2, 1.1, 3.0, 4.7])
    assert aulight.events(film, enter=0.8)["onset"].tolist() == pytest.approx([0.2, 2.0, 3.0, 4.7])


@pytest.mark.parametrize(("lost", "pieces"), [(2, 1), (3, 2)])
def test_a_lost_face_ends_an_event_when_it_is_away_for_long(lost: int, pieces: int) -> None:
    """At 25 frames a second 0.1 s are two frames and a half. Rows without a face say so, or are not there."""
    film = table(np.full(60, 2.0))
    film.loc[30 : 30 + lost - 1, ["success", "AU12_r"]] = [0, np.nan]
    for given in (film, film[film["success"] == 1]):
        if len(given) < len(film):  # the film's own frames: another face is seen throughout
            given = pd.concat([given, film.assign(face_id=1, success=1, AU12_r=0.0)])
        found = aulight.events(given)
        assert len(found) == pieces
        assert found["onset_seen"].tolist() == [0] * pieces
        assert found["offset_seen"].tolist() == [0] * pieces
        if pieces == 2:
            assert found["offset"].tolist() == pytest.approx([1.2, 2.4])
            assert found["onset"].tolist() == pytest.approx([0.0, 1.32])


def test_frames_that_were_left_out_of_all_are_no_loss() -> None:
    """Every fifth frame was scored."""
    film = table(np.tile([0.0, 2, 2, 2, 0], 4), step=0.2)
    film["frame"] = 5 * film["frame"]
    found = aulight.events(film)
    assert found["onset"].tolist() == pytest.approx([0.2, 1.2, 2.2, 3.2])
    assert found["offset_seen"].all()


class Known(NamedTuple):
    onset: float
    apex: float
    offset: float
    peak: float
    area: float
    onset_seen: bool
    offset_seen: bool


def by_a_slow_loop(track: Track, au: str, settings: EventSettings) -> list[Known]:
    """Frame after frame, by the words of the module's head."""
    frames = [
        (int(order), float(seconds), float(value))
        for order, seconds, value in zip(track.order, track.seconds, track.values[au], strict=True)
        if not np.isnan(value)
    ]
    parts: list[list[tuple[float, float, float]]] = []  # begin, end, value of each frame, by unbroken part
    for place, (order, seconds, value) in enumerate(frames):
        away = 0.0 if not place else seconds - frames[place - 1][1] - track.usual
        most = settings.merge_s if place and order - frames[place - 1][0] > 1 else 0.5
        if not place or away > most + 1e-6:
            parts.append([])
        if parts[-1]:
            begin, _, before = parts[-1][-1]
            parts[-1][-1] = begin, seconds, before
        parts[-1].append((seconds, seconds + track.usual, value))
    found = []
    for part in parts:
        runs, place = [], 0
        while place < len(part):
            last = place
            while last < len(part) and part[last][2] >= settings.leave:
                last += 1
            if last > place and max(value for _, _, value in part[place:last]) >= settings.enter:
                runs.append([place, last - 1])
            place = max(last, place + 1)
        joined = list[list[int]]()
        for first, last in runs:
            if joined and part[first][0] - part[joined[-1][1]][1] <= settings.merge_s + 1e-6:
                joined[-1][1] = last
            else:
                joined.append([first, last])
        for first, last in joined:
            inside = part[first : last + 1]
            if inside[-1][1] - inside[0][0] < settings.min_s - 1e-6:
                continue
            peak = max(value for _, _, value in inside)
            apex = next(begin for begin, _, value in inside if value == peak)
            area = sum(value * (end - begin) for begin, end, value in inside)
            seen = first > 0, last < len(part) - 1
            found.append(Known(inside[0][0], apex, inside[-1][1], peak, area, *seen))
    return found


@pytest.mark.parametrize("seed", range(40))
def test_random_films_against_a_slow_loop(seed: int) -> None:
    """Faces that come and go, unknown values, steps that vary, jumps of the film."""
    draw = np.random.default_rng(seed)
    count = int(draw.integers(1, 400))
    steps = draw.choice([0.02, 0.04, 0.05, 0.12, 0.9], count, p=[0.2, 0.5, 0.2, 0.08, 0.02])
    values = np.clip(np.convolve(draw.normal(0, 2.5, count + 4), np.ones(5) / 5, "valid"), 0, 5)
    values[draw.random(count) < 0.03] = np.nan
    film = table(values, timestamp=np.cumsum(steps))
    away = np.flatnonzero(draw.random(count) < 0.02)
    gone = np.isin(np.arange(count), (away[:, None] + np.arange(int(draw.integers(1, 8)))).ravel())
    film.loc[gone, ["success", "AU12_r"]] = [0, np.nan]
    low, high = np.sort(draw.uniform(0.2, 2, 2)).tolist()
    settings = EventSettings(enter=high, leave=low, min_s=float(draw.choice([0, 0.1, 0.3])), merge_s=0.1)
    for track in tracks_of(film):
        found = events_in(track, "AU12", settings)
        expected = by_a_slow_loop(track, "AU12", settings)
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert one[:5] == pytest.approx(other[:5], rel=1e-5)
            assert one[5:7] == other[5:7]
            assert track.seconds[one.first] == one.onset


def test_thresholds_against_scikit_image() -> None:
    draw = np.random.default_rng(3)
    values = np.clip(np.convolve(draw.normal(0, 3, 3004), np.ones(5) / 5, "valid"), 0, 5).astype(np.float32)
    (track,) = tracks_of(table(values))
    inside = np.zeros(len(values), bool)
    for event in events_in(track, "AU12", EventSettings(enter=1.5, leave=0.7, min_s=0, merge_s=0)):
        inside[event.first : event.last + 1] = True
    hysteresis: Any = apply_hysteresis_threshold
    np.testing.assert_array_equal(inside, hysteresis(values, np.float32(0.7) - 1e-7, 1.5 - 1e-7))
    assert 0.1 < inside.mean() < 0.9


def test_faces_are_apart_and_nothing_gives_an_empty_table() -> None:
    both = pd.concat([table(np.full(50, 2.0)), table(np.r_[np.zeros(25), np.full(25, 3.0)], face_id=np.full(50, 7))])
    found = aulight.events(both.sort_values(["frame", "face_id"]))
    assert found[["face_id", "onset", "peak"]].to_numpy().tolist() == [[0, 0.0, 2.0], [7, 1.0, 3.0]]
    for empty in (table(np.zeros(50)), table(np.full(50, np.nan)), table(np.zeros(0))):
        nothing = aulight.events(empty)
        assert nothing.empty
        assert list(nothing.columns) == list(found.columns)


@pytest.mark.parametrize(
    ("given", "settings", "line"),
    [
        (pd.DataFrame({"AU12_r": [1.0]}), {}, "the table has no column frame"),
        (pd.DataFrame({"frame": [1], "timestamp": [0.0]}), {}, "the table has no intensities"),
        (table(np.ones(3)).assign(file="a.jpg"), {}, "the table is of photos"),
        (table(np.ones(3)), {"leave": 2.0}, "leave=2.0: at most enter=1 is needed"),
        (table(np.ones(3)), {"min_s": -1.0}, "min_s=-1.0: at least 0 is needed"),
    ],
)
def test_what_cannot_be_used_is_said(given: pd.DataFrame, settings: dict[str, float], line: str) -> None:
    with pytest.raises(AulightError, match=line):
        aulight.events(given, **settings)
