"""A prepared video, and the pictures of a raw one."""

from pathlib import Path

import numpy as np
import pytest

from aulight.data.video.write import write_video
from tests.data.video.films import COUNT, LENGTH, Coded, Frames


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory, coded: Coded) -> Path:
    path = tmp_path_factory.mktemp("video") / "coded.mp4"
    assert write_video(path, coded(5, LENGTH), 25) == LENGTH
    return path


@pytest.fixture(scope="module")
def pictures(coded: Coded) -> list[Frames]:
    """Coded pictures with noise in one corner: a file of them has bytes to break all over."""
    noise = np.random.default_rng(0).integers(-25, 25, (COUNT, 64, 64, 1))
    return [(frame + grain).clip(0, 255).astype(np.uint8) for frame, grain in zip(coded(5, COUNT), noise, strict=True)]
