"""What videos are made of, and what their files are called."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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
        name: Of its file, where it is a photo and no frame of a film.
    """

    number: int
    time_s: float
    image: Frames
    name: str | None = None


@dataclass(frozen=True)
class RawInfo:
    """What a raw video says of itself.

    Attributes:
        fps: Frames per second, on average.
        frames: About how many frames it has; ``None`` where it does not say.
    """

    fps: float
    frames: int | None
