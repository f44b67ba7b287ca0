"""What videos are made of, and what their files are called."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

UNFIT_WIDTHS = frozenset({8, 12, 16, 24, 48, 72})
"""Widths that decord cannot decode to: it mistakes the padding of their rows."""

VIDEO_SUFFIXES = frozenset(
    {".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ts", ".webm", ".wmv"}
)
"""What raw video files are called, in small letters."""

IMAGE_SUFFIXES = frozenset({".jpeg", ".jpg", ".png"})
"""What raw images are called, in small letters."""

Frames = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class RawFrame:
    """One frame of a raw video.

    Attributes:
        number: Its position in a video file, from 0; what an image is numbered by its name.
        time_s: Seconds since the first frame.
        image: ``(H, W, 3)`` uint8 RGB, upright.
    """

    number: int
    time_s: float
    image: Frames


@dataclass(frozen=True)
class RawInfo:
    """What a raw video says of itself.

    Attributes:
        fps: Frames per second, on average.
        frames: About how many frames it has; ``None`` where it does not say.
    """

    fps: float
    frames: int | None


def multiple(size: int) -> int:
    """The least multiple of a size that decord can decode to."""
    return next(k for k in range(1, 9) if k * size not in UNFIT_WIDTHS)


def averaged(frames: Frames, times: int) -> Frames:
    """Square frames ``(T, S, S, 3)`` made smaller by a whole number of times."""
    if times == 1:
        return frames
    side = frames.shape[1] // times
    blocks = frames.reshape(-1, side, times, side, times, 3)
    return np.asarray(blocks.mean((2, 4)).round(), np.uint8)
