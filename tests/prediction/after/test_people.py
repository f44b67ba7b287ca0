"""Strips of a film's course, by a slow loop over its parts."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aulight.prediction.after.events import Array, tracks_of
from aulight.prediction.after.make import make_after
from aulight.prediction.after.people import PARTS, strips
from aulight.prediction.after.records import Asked
from aulight.prediction.videos import Video
from tests.prediction.after.test_events import table


def _slowly(values: Array, found: Array) -> str:
    """The highest intensity of the frames that are shown in each part, as a digit."""
    signs = ""
    for part in range(PARTS):
        begin, end = part * len(values) / PARTS, (part + 1) * len(values) / PARTS  # in frames
        shown = [k for k in range(len(values)) if k < end - 1e-4 and k + 1 > begin + 1e-4 and found[k]]
        signs += str(round(max(values[k] for k in shown) / 5 * 9)) if shown else "-"
    return signs


@pytest.mark.parametrize("frames", [1, 2, 5, 75, 95, 96, 97, 200, 1000])
def test_a_strip_shows_every_frame_for_as_long_as_it_lasts(frames: int) -> None:
    rng = np.random.default_rng(frames)
    values, found = rng.uniform(0, 5, frames).astype(np.float32).astype(float), rng.random(frames) > 0.3
    found[0] = found[-1] = True
    film = table(np.where(found, values, np.nan), success=found.astype(int))
    end = 0.04 * (frames - 1)
    strip = strips(tracks_of(film)[0], 0.0, end)["AU12"]
    assert strip == _slowly(values, found)


def test_a_film_without_a_gap_has_none_in_its_strip() -> None:
    strip = strips(tracks_of(table(np.zeros(75)))[0], 0.0, 0.04 * 74)["AU12"]
    assert strip == "0" * PARTS


def test_of_very_many_people_the_longest_seen_are_kept(tmp_path: Path) -> None:
    """A record of the whole must stay below what is read of one; person 599 is seen in 600 frames, 0 in one."""
    people, frames = np.nonzero(np.arange(600)[:, None] >= np.arange(600))
    film = pd.DataFrame({"frame": frames + 1, "face_id": people, "timestamp": frames / 25, "success": 1})
    film = film.assign(quality=0.987, **{f"AU{au:02d}_r": np.float32(1.2345) for au in range(1, 19)})
    events = {"enter": 1.0, "leave": 0.5, "min_s": 0.04, "merge_s": 0.0}
    asked = Asked(events=events, elan=False, faces=False)
    after = make_after(film, tmp_path, Video(tmp_path / "a.mp4", "a"), tmp_path, asked)
    assert [person.face_id for person in after.people] == list(range(599, 99, -1))
    assert after.more_people == 100
    assert len(json.dumps(after.model_dump(mode="json"), indent=1)) < 3_000_000
    assert pd.read_csv(tmp_path / "a.events.csv")["face_id"].nunique() == 600
