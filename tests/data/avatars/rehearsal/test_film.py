"""Films in the manner of other people's files: the same bytes each time, or a dress rehearsal could not be resumed."""

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from aulight.data.avatars.rehearsal.film import film
from aulight.data.synthetic.dataset import render_video


@pytest.mark.parametrize("name", ["film.avi", "film.mp4"])
def test_same_pictures_same_bytes_whatever_is_in_memory(name: str, tmp_path: Path) -> None:
    rng, found = np.random.default_rng(0), set[bytes]()
    pictures = [cv2.resize(frame, (320, 180)) for frame in render_video(3, 96, 14)[0]]
    for _ in range(20):
        left = [np.full(rng.integers(100, 90_000), rng.integers(255), np.uint8) for _ in range(60)]
        del left[::2]  # memory that an encoder gets is not empty, and another each time
        with film(tmp_path / name, Fraction(20)) as add:
            for picture in pictures:
                add(picture)
        found.add((tmp_path / name).read_bytes())
    assert len(found) == 1
