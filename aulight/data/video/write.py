"""Writes prepared videos, whose random access is exact and cheap.

It is so for closed groups of pictures without B-frames, in mp4: the frames lie in the order in which they are shown,
and each needs none but those from the key frame before it on. So that is all that is written here, and all that
:class:`aulight.data.video.prepared.Reader` is pointed at.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2

from aulight.data.marks import MARK
from aulight.data.video.types import Frames
from aulight.errors import VideoError
from aulight.files import whole

GOP = 12
"""Frames from one key frame to the next, as it always was: a random access decodes at most this many; more save space,
fewer time."""

SLOWEST, FASTEST = 1e-4, 1000.0
"""Frames per second that a file can be played at; others are played at the nearest."""

_AVX2 = 11  # of cv::CpuFeatures

X264 = "asm=avx2" if cv2.checkHardwareSupport(_AVX2) else "asm=auto"
"""Every h264 file is written with this. Where x264 uses AVX-512, its macroblock tree reads memory that nobody has
written, and the same pictures become other bytes from one time to the next; by AVX2 they are always the same."""

TICKS = 90_000
"""Of the clock by which frames are told when they are shown, in a second: the usual one, of which most rates are whole
numbers of ticks."""

LONGEST_SIDE = 16384
"""Pixels: x264 has no wider nor higher pictures."""

MOST_TICKS = 2**31 - 1
"""From one frame to the next: mp4 has no more."""


def write_video(
    path: Path,
    frames: Iterable[Frames],
    fps: float,
    crf: int = 18,
    times: Sequence[float] | None = None,
    made: str | None = None,
    gop: int = GOP,
) -> int:
    """Encodes frames as h264 mp4 whose random access is exact: closed GOPs, no B-frames.

    Args:
        path: Where the file goes.
        frames: RGB frames ``(H, W, 3)`` uint8, all of one size, H and W even.
        fps: Frames per second; beyond :data:`SLOWEST` and :data:`FASTEST` those.
        crf: x264 quality, 0 (lossless) to 51.
        times: When each frame is shown, in seconds from 0 on, as far as ``frames`` has come; ``None``: by ``fps``, one
            after another. The first is shown from 0 on, since players may leave out a time without pictures; where
            times do not rise, a frame is shown for a moment.
        made: What it is, in a word, where nobody is to take it for a raw video: :mod:`aulight.data.own` reads it.
        gop: Frames from one key frame to the next.

    Returns:
        How many frames were written.

    Raises:
        VideoError: Without frames, for an odd size, when the sizes differ or the encoder does not take them.
    """
    import av

    try:
        return _written(path, frames, fps, crf, times, made, gop)
    except av.FFmpegError as error:
        if isinstance(error, OSError):  # of the disk
            raise
        raise VideoError(f"{path}: cannot be encoded ({error.strerror})") from error


def _written(
    path: Path,
    frames: Iterable[Frames],
    fps: float,
    crf: int,
    times: Sequence[float] | None,
    made: str | None,
    gop: int,
) -> int:
    """As :func:`write_video` has it."""
    import av

    count, ticks = 0, -1
    with whole(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        stream: Any = None
        if made is not None:
            container.metadata["comment"] = f"{MARK}{made}"
        for frame in frames:
            height, width = frame.shape[:2]
            if stream is None:
                if height % 2 or width % 2:
                    raise VideoError(f"{path}: h264 needs an even width and height, got {width}x{height}")
                rate = Fraction(min(max(fps, SLOWEST), FASTEST)).limit_denominator(1001 if fps > 1 else 1_000_000)
                stream = container.add_stream("libx264", rate=rate)
                stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
                if times is not None:
                    stream.codec_context.time_base = Fraction(1, TICKS)
                stream.thread_count = 1  # the same bytes however many cores there are
                stream.options = {
                    "crf": str(crf),
                    "preset": "veryfast",
                    "x264-params": f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes=0:open-gop=0:{X264}",
                }
            elif (height, width) != (stream.height, stream.width):
                raise VideoError(
                    f"{path}: frame {count} is {width}x{height}, the ones before {stream.width}x{stream.height}"
                )
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            if times is not None:
                wanted = round(times[count] * TICKS) if count else 0
                ticks = min(max(wanted, ticks + 1), max(ticks, 0) + MOST_TICKS)
                picture.pts, picture.time_base = ticks, Fraction(1, TICKS)
            for packet in stream.encode(picture):
                container.mux(packet)
            count += 1
        if stream is None:
            raise VideoError(f"{path}: no frames to write")
        for packet in stream.encode():
            container.mux(packet)
    return count
