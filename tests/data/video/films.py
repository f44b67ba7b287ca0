"""What tests of videos share: how long they are, how frames are told apart and read until an error, and odd files."""

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
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


# ---- files that write_video does not write ----------------------------------------------------------------------

VP8 = {"deadline": "realtime", "cpu-used": "8"}
"""Fast."""


def mux(container: Any, packets: list[Any]) -> None:
    """Writes packets in the order of their times."""
    for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
        container.mux(packet)


def encoded(stream: Any, frames: Sequence[Frames], times_ms: Sequence[int] | None = None) -> list[Any]:
    """The packets of frames."""
    packets: list[Any] = []
    for number, frame in enumerate(frames):
        picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
        if times_ms is not None:
            picture.pts, picture.time_base = times_ms[number], Fraction(1, 1000)
        packets += stream.encode(picture)
    return [*packets, *stream.encode()]


def added(container: Any, codec: str, size: tuple[int, ...], times: bool = False) -> Any:
    """A stream of pictures; with ``times`` its clock has milliseconds."""
    stream = container.add_stream(codec, rate=25, options=VP8 if codec == "libvpx" else {})
    stream.width, stream.height = size
    stream.pix_fmt = {"mjpeg": "yuvj420p", "png": "rgb24"}.get(codec, "yuv420p")
    if times:
        stream.codec_context.time_base = Fraction(1, 1000)
    return stream


def silence(container: Any, seconds: float, start_s: float = 0) -> list[Any]:
    """The packets of a sound, in a stream of its own."""
    stream = container.add_stream("aac" if container.name.endswith(("mp4", "mov")) else "libopus", 48000)
    stream.layout = "mono"
    packets: list[Any] = []
    for first in range(0, round(seconds * 48000), 960):
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 960), np.float32), "fltp", "mono")
        sound.sample_rate, sound.pts, sound.time_base = 48000, first + round(start_s * 48000), Fraction(1, 48000)
        packets += stream.encode(sound)
    return [*packets, *stream.encode()]


def late(path: Path, frames: Sequence[Frames]) -> Path:
    """A video of 25 frames a second that starts half a second after its sound: ``ffmpeg -itsoffset 0.5``."""
    with av.open(str(path), "w") as container:
        times = [500 + 40 * number for number in range(len(frames))]
        packets = encoded(added(container, "libx264", frames[0].shape[1::-1], times=True), frames, times)
        mux(container, packets + silence(container, 0.5 + len(frames) / 25))
    return path
