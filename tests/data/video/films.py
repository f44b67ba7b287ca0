"""What tests of videos share: how long they are, how frames are told apart, and read until there is an error."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from aulight.data.video.raw import raw_frames
from aulight.data.video.types import RawFrame
from aulight.errors import VideoError

Frames = npt.NDArray[np.uint8]
Coded = Callable[..., Iterator[Frames]]
Decode = Callable[[Frames], list[tuple[int, int]]]
COUNT = 90
"""Frames of a raw video."""
LENGTH = 101
"""Frames of a prepared one: not a multiple of the group of pictures."""


def numbers(decode: Decode, frames: Sequence[RawFrame]) -> list[int]:
    return [number for _, number in decode(np.stack([frame.image for frame in frames]))]


def until_error(path: Path, **options: Any) -> tuple[list[RawFrame], str]:
    """What is given before the error, and what it says."""
    frames: list[RawFrame] = []
    with pytest.raises(VideoError) as error:
        frames.extend(raw_frames(path, **options))  # extends one by one
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    return frames, str(error.value)
