"""What videos are made of, and what their files are called."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

VIDEO_SUFFIXES = frozenset(
    {
        ".3g2", ".3gp", ".apng", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".gif",
        ".m2t", ".m2ts", ".m4v", ".mkv", ".mod", ".mov", ".mp4", ".mpe", ".mpeg", ".mpg",
        ".mts", ".mxf", ".ogv", ".qt", ".tod", ".ts", ".vob", ".webm", ".wmv",
    }
)  # fmt: skip
"""What raw video files are called, in small letters."""

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""What raw images are called, in small letters."""

RAW_SUFFIXES = frozenset({".arw", ".cr2", ".cr3", ".dng", ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".srw"})
"""What cameras call pictures that only few programs can develop, in small letters."""

UNREADABLE_SUFFIXES = RAW_SUFFIXES | {".avif", ".heic", ".heif", ".hif"}
"""What pictures are called that cannot be read, in small letters."""

USUAL_FPS = 25.0
"""Frames per second of a video that does not tell them and has no two frames that would."""

MOST_FPS = 1000.0
"""As much is no rate but the unit of a clock."""

MOST_PIXELS = 2**27
"""Most pixels of a picture or of a frame: four times 8K. A header can claim any number, and memory is asked for it."""

Frames = npt.NDArray[np.uint8]

Stored = Callable[[Frames], object]
"""Is shown pictures as they are stored, ``(H, W, 3)`` uint8 RGB."""


@dataclass(frozen=True)
class RawFrame:
    """One frame of a raw video.

    Attributes:
        number: Its position in a video file, from 0; what an image is numbered by its name.
        time_s: Seconds since the start of the file, as players count them: the first frame is later than 0 where the
            sound starts earlier. Of images, seconds since the first.
        image: ``(H, W, 3)`` uint8 RGB, upright.
        name: Of its file, where it is a photo and no frame of a film.
        place: Its place in the film, from 0, where only a part of it is read.
        between: Whether it is there for a recurrence alone, that goes on in smaller steps than what is wanted.
    """

    number: int
    time_s: float
    image: Frames
    name: str | None = None
    place: int | None = None
    between: bool = False


@dataclass(frozen=True)
class RawInfo:
    """What a raw video says of itself.

    Attributes:
        fps: Frames per second, by the usual step between two.
        frames: About how many frames it has; ``None`` where it does not say.
        note: What is odd about it, or ``None``.
    """

    fps: float
    frames: int | None
    note: str | None = None
