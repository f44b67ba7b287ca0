"""Video files as FFmpeg opens them: which of their streams is the video, how fast it is, and from when times count."""

import contextlib
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aulight.data.video.types import MOST_FPS, MOST_PIXELS, USUAL_FPS
from aulight.errors import VideoError

TICK_S = 0.001
"""What the time from a first frame to a last may be off: some files round to milliseconds."""

_GUESSED = ("mpeg", "mpegts")
"""Formats in which a frame may be several packets (fields), so that those cannot be counted; their rates are right."""


@dataclass(frozen=True)
class Film:
    """An open video file.

    Attributes:
        path: The file.
        container: As PyAV opened it.
        stream: The one that is the video.
        others: How many more there are.
    """

    path: Path
    container: Any
    stream: Any
    others: int

    @property
    def fps(self) -> float:
        """Frames per second as the header has them, which may be wrong; :func:`measured` is not."""
        rates = (self.stream.average_rate, self.stream.guessed_rate)
        return next((float(rate) for rate in rates if rate and 0 < rate < MOST_FPS), USUAL_FPS)

    @property
    def note(self) -> str | None:
        """That there are other videos in the file, if there are."""
        if not self.others:
            return None
        size = f"{self.stream.width} x {self.stream.height}"
        which = f"stream {self.stream.index} ({size}) is read"
        return f"{self.path}: holds {self.others + 1} videos; {which}, the others are passed over"

    def starts_s(self, first_s: float) -> float:
        """When the file starts, on the clock of its timestamps (s): with the first of its pictures and sounds.

        Args:
            first_s: When its first frame is shown.
        """
        starts = [first_s]
        for stream in (self.stream, *self.container.streams.audio):
            if stream.start_time is not None and stream.time_base:
                start = float(stream.start_time * stream.time_base)
                starts.append(start if stream is self.stream else max(0.0, start))  # before 0 codecs warm up
        return min(starts)


@contextmanager
def opened(path: Path) -> Iterator[Film]:
    """Opens a video file.

    Raises:
        VideoError: When it is none, or has no pictures that can be decoded.
    """
    with _container(path) as container:
        films = [stream for stream in container.streams.video if not _is_cover(stream)]
        films = [stream for stream in films if stream.codec_context is not None]
        if len(films) > 1:
            counts = _up_to_two(path, films)
            films = [stream for stream, count in zip(films, counts, strict=True) if count == max(counts)]
        if not films:
            only = "has no pictures but a cover" if container.streams.video else "has no pictures that can be decoded"
            if any(stream.codec_context is None for stream in container.streams.video):
                only = "has no pictures that can be decoded"
            raise VideoError(f"{path}: {only}")
        stream = max(films, key=lambda stream: (_is_default(stream), stream.width * stream.height, -stream.index))
        if stream.width * stream.height > MOST_PIXELS:
            raise VideoError(f"{path}: claims {stream.width} x {stream.height} pixels, more than can be read")
        yield Film(path, container, stream, len(films) - 1)


@contextmanager
def _container(path: Path) -> Iterator[Any]:
    import av

    try:
        if not path.stat().st_size:
            raise VideoError(f"{path}: the file is empty")
        with path.open("rb"):  # says whether it may be
            pass
    except OSError as error:
        raise VideoError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        container = av.open(
            f"file:{path.absolute()}",  # or names with a colon or % would mean something else
            options={"protocol_whitelist": "file", "max_pixels": str(MOST_PIXELS)},  # lists may name what is elsewhere
            metadata_errors="replace",
        )
    except (av.FFmpegError, UnicodeError) as error:
        raise VideoError(f"{path}: not a readable video, or one that is cut off") from error
    with container:
        yield container


def _is_cover(stream: Any) -> bool:
    from av.stream import Disposition

    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def _is_default(stream: Any) -> bool:
    from av.stream import Disposition

    return bool(stream.disposition & Disposition.default)


def _up_to_two(path: Path, streams: list[Any]) -> list[int]:
    """How many frames each of some streams has, 2 for more: a cover that is not called one has a single frame."""
    counts = {stream.index: min(2, stream.frames) for stream in streams}
    if not all(counts.values()):
        counts = dict.fromkeys(counts, 0)
        for index, _ in _packets(path, list(counts)):
            counts[index] = min(2, counts[index] + 1)
            if all(count == 2 for count in counts.values()):
                break
    return list(counts.values())


def _packets(path: Path, streams: list[int]) -> Iterator[tuple[int, Fraction | None]]:
    """Of some streams, stream and time (s) of each packet, read up to the end of the file or where it is damaged."""
    import av

    with _container(path) as container, contextlib.suppress(av.FFmpegError):
        for packet in container.demux(*(container.streams[index] for index in streams)):
            if packet.size:
                ticks = packet.dts if packet.pts is None else packet.pts
                time = None if ticks is None else ticks * (packet.time_base or Fraction(0))
                yield packet.stream.index, time


def measured(film: Film, report: Callable[[int], object] = int) -> tuple[float, int | None]:
    """Frames per second by the times of the frames, and how many frames there are.

    A header may give the unit of the clock as a rate, as those of webm recorded by browsers do, or an average over
    pauses. Mp4 and avi list the
    times of their frames; other files are read through for them, without being decoded.

    Args:
        film: The open file.
        report: Told of 0 more frames for each that is read through: that reading goes on.
    """
    stream, said = film.stream, film.fps
    if film.container.format.name in _GUESSED and stream.average_rate:
        return said, round(float((stream.duration or 0) * (stream.time_base or 0)) * said) or None
    if stream.frames and len(stream.index_entries) and stream.time_base:
        entries = [entry for entry in stream.index_entries if entry.size and not entry.is_discard]
        times, frames = {entry.timestamp * stream.time_base for entry in entries}, len(entries)
    else:
        packets = list[Fraction | None]()
        for _, time in _packets(film.path, [stream.index]):
            packets.append(time)
            report(0)
        times, frames = {time for time in packets if time is not None}, len(packets)
    if len(times) < 2:
        return said, frames or None
    rate = _usual_rate(np.diff(np.array(sorted(map(float, times)))), said)
    return rate if rate <= MOST_FPS else said, frames


def _usual_rate(steps: npt.NDArray[np.float64], said: float) -> float:
    """Frames per second by the usual step: a pause, dropped frames or a late start do not count.

    It is a common rate (whole or half, or that over 1.001), where one is as near as the times are exact; else what is
    said, where that fits.

    Args:
        steps: From each frame to the next (s), all above 0.
        said: What the header says.
    """
    usual = steps[np.abs(steps - np.median(steps)) <= 0.25 * np.median(steps) + TICK_S]
    if 2 * len(usual) < len(steps):  # no step is usual
        step, exact, count = float(steps.mean()), 0.0, len(steps) + 1
    else:
        count = len(usual) + 1
        times, numbers = np.append(0, usual.cumsum()), np.arange(count) - len(usual) / 2
        step = float(numbers @ times / (numbers @ numbers))  # of the line through the times: ends count no more
        off = float(np.std(times - step * numbers))
        exact = TICK_S / count + 3 * off * math.sqrt(12 * (2 + len(steps) - count) / count**3)  # 3 standard errors
    half = round(2 / step) / 2
    common = [rate for rate in (half, half / 1.001) if rate and abs(1 / rate - step) <= exact]
    if common and not any(math.isclose(said, rate) for rate in common):
        return min(common, key=lambda rate: abs(1 / rate - step))
    return said if abs(1 / said - step) < 0.02 * step + TICK_S / count else 1 / step
