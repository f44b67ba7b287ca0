"""Crops: every pixel is where its matrix says, and an average of what it covers."""

from typing import Any

import cv2
import numpy as np
import pytest

from aulight.data.faces.aligner import FaceAligner
from aulight.data.faces.crop import AlignedFrame, crop_at, squares
from aulight.data.video.types import RawFrame
from tests.data.faces.astronaut import ASTRONAUT, SIZE, apply, film


def test_squares_keep_every_pixel_of_pictures_that_fit() -> None:
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    (frame,) = squares([RawFrame(7, 0.5, image)], 64)
    np.testing.assert_array_equal(frame.crop, image)
    np.testing.assert_allclose(frame.matrix, [[1, 0, 0], [0, 1, 0]], atol=1e-9)
    assert (frame.number, frame.time_s, frame.confidence) == (7, 0.5, 1.0)
    assert np.isnan(frame.blendshapes).all()
    assert frame.blendshapes.shape == (52,)


def test_squares_are_averaged_down_from_the_middle() -> None:
    image = np.random.default_rng(0).integers(0, 255, (192, 256, 3), dtype=np.uint8)
    (frame,) = squares([RawFrame(0, 0.0, image)], 64)
    blocks = image[:, 32:224].reshape(64, 3, 64, 3, 3).mean((1, 3))
    assert np.abs(frame.crop - blocks).max() <= 1
    np.testing.assert_allclose(apply(frame.matrix, np.array([[33.0, 1.0]])), [[0, 0]], atol=1e-9)


def test_the_matrix_says_where_a_pixel_of_the_picture_is_in_the_crop(moved: list[AlignedFrame]) -> None:
    for raw, aligned in zip(film(3), moved, strict=False):
        warped = cv2.warpAffine(raw.image, aligned.matrix, (SIZE, SIZE), flags=cv2.INTER_LINEAR)
        assert np.abs(cv2.blur(warped, (3, 3)).astype(int) - cv2.blur(aligned.crop, (3, 3))).mean() < 3


@pytest.mark.parametrize("side", [100.0, 200.0, 256.0, 300.0, 480.0, 1000.0])
@pytest.mark.parametrize("middle", [(700.0, 650.0), (60.3, 90.8), (1500.7, 1490.2), (-2000.0, 300.0)])
def test_crops_are_averages_of_what_they_cover(side: float, middle: tuple[float, float]) -> None:
    """Inside the picture, at its borders and beyond; the oracle takes 8 x 8 samples from every pixel of the crop."""
    picture = np.asarray(cv2.resize(ASTRONAUT, (1536, 1536), interpolation=cv2.INTER_CUBIC), np.uint8)
    pose = np.array([*middle, np.log(side), 0.4])
    crop, matrix = crop_at(picture, pose, 64)
    steps = (np.arange(8 * 64) + 0.5) / 8 - 0.5
    places = apply(
        np.asarray(cv2.invertAffineTransform(matrix), np.float64), np.stack(np.meshgrid(steps, steps), -1)
    ).astype(np.float32)
    samples: Any = cv2.remap(picture, places[..., 0], places[..., 1], cv2.INTER_LINEAR)
    expected = samples.reshape(64, 8, 64, 8, 3).mean((1, 3))
    assert np.abs(crop - expected).max() < 6
    assert np.abs(crop - expected).mean() < 0.3


def test_a_large_face_is_not_shrunk_by_skipping_pixels(aligner: FaceAligner) -> None:
    image = cv2.resize(ASTRONAUT[:300, 80:380], (1500, 1500), interpolation=cv2.INTER_CUBIC)
    rng = np.random.default_rng(0)
    noisy = (image + rng.normal(0, 30, image.shape)).clip(0, 255).astype(np.uint8)
    (clean,), (frame,) = (
        list(aligner.align([RawFrame(0, 0.0, np.asarray(picture, np.uint8))])) for picture in (image, noisy)
    )
    warped = cv2.warpAffine(noisy, frame.matrix, (SIZE, SIZE), flags=cv2.INTER_LINEAR)
    reference = cv2.warpAffine(image, frame.matrix, (SIZE, SIZE), flags=cv2.INTER_AREA)
    skipping, averaging = (np.std(picture.astype(int) - reference) for picture in (warped, frame.crop))
    assert averaging < skipping / 2
    assert clean.confidence == frame.confidence == 1
