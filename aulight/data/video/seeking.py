"""From a later second of a video file on, without decoding all before it; exact, or not at all.

The times of all packets are read, which is far cheaper than to decode them. They give each frame its number, since a
packet is a frame in the formats and codecs below. Decoding then begins at the last key frame before what is wanted.
Every frame that comes must have the time of the next packet; at the first that does not, or with any damage, who reads
the video does so from its start instead.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aulight.data.video.opened import Film, opened

_FORMATS = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")
"""Formats that tell the time of every frame, and in which one can go to any of them."""

_CODECS = ("h264", "hevc", "av1", "vp9", "mpeg4", "mjpeg", "prores", "dnxhd", "ffv1", "png", "rawvideo")
"""Codecs of which each packet is one frame that is shown."""


class Inexact(Exception):
    """A video does not come as its packets say: it is to be read from its start."""


def decoded_from(film: Film, start_s: float) -> Iterator[tuple[int, Any]]:
    """The frames of a video from a key frame on that lies before a second, or at it.

    Args:
        film: The open file, of which nothing has been decoded.
        start_s: The second, by the clock on which the file begins at 0.

    Yields:
        The first frame of all, number 0, and then number and frame from the key frame on.

    Raises:
        Inexact: When the frames do not come as they should, be it before the first of them.
    """
    if film.container.format.name not in _FORMATS or film.stream.codec_context.name not in _CODECS:
        raise Inexact
    times, keys = _packets(film.path, film.stream.index)
    numbers = {ticks: number for number, ticks in enumerate(sorted(times))}
    if len(numbers) != len(times) or not keys:
        raise Inexact
    unit = film.stream.time_base
    first = next(_frames(film), None)
    if first is None or numbers.get(first.pts) != 0 or first.time is None:
        raise Inexact
    yield 0, first
    wanted = (start_s + film.starts_s(first.time)) / unit
    before = [ticks for ticks in keys if ticks <= wanted]
    if not before or max(before) <= first.pts:
        raise Inexact  # nothing is won
    expected = numbers[max(before)]
    film.container.seek(max(before), stream=film.stream, backward=True)
    for frame in _frames(film):
        if frame.pts is not None and frame.pts < max(before):
            continue  # shown before the key frame and stored after it: what it is made of may be missing
        if frame.is_corrupt or numbers.get(frame.pts) != expected:
            raise Inexact
        yield expected, frame
        expected += 1
    if expected != len(numbers):
        raise Inexact  # cut off, or damaged


def _packets(path: Path, stream: int) -> tuple[list[int], list[int]]:
    """The times of all packets of a stream, in its ticks, and those of key frames."""
    import av

    times, keys = list[int](), list[int]()
    with opened(path) as film:
        try:
            for packet in film.container.demux(film.container.streams[stream]):
                if not packet.size:
                    continue
                if packet.pts is None or packet.is_discard or packet.is_corrupt:
                    raise Inexact
                times.append(packet.pts)
                if packet.is_keyframe:
                    keys.append(packet.pts)
        except av.FFmpegError as error:
            raise Inexact from error
    return times, keys


def _frames(film: Film) -> Iterator[Any]:
    import av

    try:
        for packet in film.container.demux(film.stream):
            yield from packet.decode()
    except av.FFmpegError as error:
        raise Inexact from error
