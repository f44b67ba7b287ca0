"""Writes prepared videos, whose random access is exact.

With decord it is so only on some files: closed groups of pictures without B-frames, in mp4. So that is all that is
written here, and all that :class:`aulight.data.video.prepared.Reader` is pointed at.
"""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

from aulight.data.video.types import Frames
from aulight.errors import VideoError
from aulight.files import whole

GOP = 12
"""Frames between key frames: a random access decodes at most this many; larger saves space, smaller time."""

SLOWEST, FASTEST = 1e-4, 1000.0
"""Frames per second that a file can be played at; others are played at the nearest."""


def write_video(path: Path, frames: Iterable[Frames], fps: float, crf: int = 18) -> int:
    """Encodes frames as h264 mp4 whose random access is exact: closed GOPs of 12 frames, no B-frames.

    Args:
        path: Where the file goes.
        frames: RGB frames ``(H, W, 3)`` uint8, all of one size, H and W even.
        fps: Frames per second; beyond :data:`SLOWEST` and :data:`FASTEST` those.
        crf: x264 quality, 0 (lossless) to 51.

    Returns:
        How many frames were written.

    Raises:
        VideoError: Without frames, for an odd size, or when the sizes differ.
    """
    import av

    count = 0
    with whole(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        stream: Any = None
        for frame in frames:
            height, width = frame.shape[:2]
            if stream is None:
                if height % 2 or width % 2:
                    raise VideoError(f"{path}: h264 needs an even width and height, got {width}x{height}")
                rate = Fraction(min(max(fps, SLOWEST), FASTEST)).limit_denominator(1001 if fps > 1 else 1_000_000)
                stream = container.add_stream("libx264", rate=rate)
                stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
                stream.thread_count = 1  # the same bytes on every machine
                stream.options = {
                    "crf": str(crf),
                    "preset": "veryfast",
                    "x264-params": f"keyint={GOP}:min-keyint={GOP}:scenecut=0:bframes=0:open-gop=0",
                }
            elif (height, width) != (stream.height, stream.width):
                raise VideoError(
                    f"{path}: frame {count} is {width}x{height}, the ones before {stream.width}x{stream.height}"
                )
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                container.mux(packet)
            count += 1
        if stream is None:
            raise VideoError(f"{path}: no frames to write")
        for packet in stream.encode():
            container.mux(packet)
    return count
