"""Strips of a film's course, by a slow loop over its parts."""

import numpy as np
import pytest

from aulight.prediction.after.events import Array, tracks_of
from aulight.prediction.after.people import PARTS, strips
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
