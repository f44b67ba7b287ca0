"""The movement of crops, against the one that the film was made with; and how much of the film is held for it."""

import weakref
from collections.abc import Iterator

import numpy as np

from aulight.data.faces.aligner import FaceAligner
from aulight.data.faces.crop import AlignedFrame
from aulight.data.faces.people import MOST_AHEAD
from aulight.data.video.types import RawFrame
from tests.data.faces.astronaut import LENGTH, NOSE, SIZE, apply, film, moving, pupils


def test_crop_neither_trembles_nor_lags(moved: list[AlignedFrame]) -> None:
    with FaceAligner(SIZE, blendshapes=True, max_faces=4, smooth_s=0) as raw:
        unsmoothed = pupils(list(raw.align(film(LENGTH))))
    eyes = pupils(moved)
    tremble, before = (np.abs(np.diff(places, 2, axis=0)).mean() for places in (eyes, unsmoothed))
    assert tremble < 0.15
    assert tremble < before / 4
    # what a lag leaves: an error along the velocity
    velocity = np.gradient(np.stack([apply(moving(frame.time_s), NOSE[None])[0, 0] for frame in moved]))
    scale = np.hypot(*moved[0].matrix[0, :2])
    error = (eyes - eyes.mean(0)).mean(1)[:, 0] / scale
    assert abs(error @ velocity / (velocity @ velocity)) < 0.05, "frames"


def test_memory_does_not_grow_with_the_video(aligner: FaceAligner) -> None:
    alive, most = 0, 0

    def gone() -> None:
        nonlocal alive
        alive -= 1

    def many() -> Iterator[RawFrame]:
        nonlocal alive
        still = next(film(1)).image
        for number in range(150):
            image = still.copy()
            weakref.finalize(image, gone)
            alive += 1
            yield RawFrame(number, number / 240, image)
            del image

    for _ in aligner.align(many()):
        most = max(most, alive)
    assert MOST_AHEAD <= most <= MOST_AHEAD + 3
