"""Raw videos of any kind, read once, in order: video files by PyAV, folders of images by their numbers."""

import itertools
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from aulight.data.segments import mean_step
from aulight.data.video.avi import listed_frames
from aulight.data.video.images import image_frames, image_rate, images_of, is_beyond
from aulight.data.video.opened import Film, measured, opened
from aulight.data.video.part import EARLY_S, Part
from aulight.data.video.pictures import decoded, is_picture
from aulight.data.video.scaling import averaged, fit_multiple
from aulight.data.video.seeking import Inexact, decoded_from
from aulight.data.video.several import several_at
from aulight.data.video.types import MOST_PIXELS, USUAL_FPS, Frames, RawFrame, RawInfo, Stored
from aulight.data.video.upright import Upright
from aulight.errors import VideoError


def raw_info(
    path: Path, fps: float | None = None, exact: bool = True, report: Callable[[int], object] = int
) -> RawInfo:
    """What a raw video says of itself, without decoding it.

    Args:
        path: As :func:`raw_frames` takes it.
        fps: Frames per second of images that are numbered one by one; a video file says its own.
        exact: Whether to read the times of all frames, where the header may be wrong about their rate.
        report: Told of 0 more frames while they are read: that reading goes on.

    Raises:
        VideoError: When there is nothing to read.
        AulightError: For a folder of images without ``fps``.
    """
    images = images_of(path)
    if images is not None:
        numbers = np.array([number for number, _ in images[1]])
        beyond = next((name for _, name in images[1] if is_beyond(Path(name))), None)
        order = "its images are taken in the order of their names, as frames 0, 1, 2"
        note = None if beyond is None else f"{path}: {Path(beyond).name} has too large a number for a table; {order}"
        return RawInfo(image_rate(path, fps) / mean_step(numbers), len(numbers), note)
    if is_picture(path):
        return RawInfo(fps or USUAL_FPS, 1)
    if (several := several_at(path, fps)) is not None:
        return several.info()
    with opened(path) as film:
        said = film.stream.frames or round((film.container.duration or 0) / 1e6 * film.fps) or None
        rate, frames = measured(film, report) if exact else (film.fps, said)
        return RawInfo(rate, frames or said, film.note)


def raw_frames(
    path: Path, fps: float | None = None, square: int | None = None, stored: Stored | None = None
) -> Iterator[RawFrame]:
    """All frames of a raw video or a folder of images, once, in order, one at a time in memory.

    A video is turned upright as its file says and keeps its timestamps. Images are numbered by their names:
    ``0643.jpg``, ``643.png`` and ``frame_0643.jpg`` are frame 643. Names that are not all of one such kind, or have
    numbers beyond all tables, are put in natural order and numbered from 0. A single picture is a video of one frame;
    an animated png or webp, and a tiff of several pages, one of as many.

    Args:
        path: A video file, a picture, a folder of jpg or png, or such a folder inside a zip file
            (``F001.zip/F001/T1``).
        fps: Frames per second of images, and of the pages of a tiff; ignored for a video file.
        square: Square pictures of a video file are scaled to this side, just as prepared ones are decoded.
        stored: Is shown every picture as it is stored, before it is turned upright and its pixels are made square; not
            together with ``square``.

    Raises:
        VideoError: When the file is missing, empty or damaged, has no pictures or ends before its end. The frames
            before the damage have been given by then.
        AulightError: For a folder of images without ``fps``.
    """
    images = images_of(path)
    if images is not None:
        return image_frames(path, *images, image_rate(path, fps), stored)
    if is_picture(path):
        return _picture(path, stored)
    if (several := several_at(path, fps)) is not None:
        return several.frames(stored)
    return _video_frames(path, square, stored)


def part_frames(path: Path, fps: float, square: int | None, part: Part, rate: float) -> Iterator[RawFrame]:
    """The frames of a part of a raw video, as :meth:`Part.frames` gives them.

    What is before the part is not decoded where the file allows that exactly; else it is decoded and let go.

    Args:
        path: As of :func:`raw_frames`, as the next ones.
        fps: As there.
        square: As there.
        part: Which frames.
        rate: Frames per second of the video, as :func:`raw_info` has it.

    Raises:
        VideoError: As :func:`raw_frames`, and when the video ends before the part begins.
        AulightError: As there.
    """
    if images_of(path) is not None or is_picture(path) or several_at(path, fps) is not None:
        return part.frames(enumerate(raw_frames(path, fps, square)), rate, path)
    film = _video_frames(path, square, None, start_s=part.start_s)
    return part.frames(((frame.number, frame) for frame in film), rate, path)


def _picture(path: Path, stored: Stored | None) -> Iterator[RawFrame]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise VideoError(f"{path}: cannot be read ({error.strerror})") from error
    yield RawFrame(0, 0.0, decoded(data, f"{path}: the picture", stored))


def late_start(what: object, first_s: float, fps: float) -> str | None:
    """What is to be said of a video whose first frame is later than its sound; ``None`` where it is not.

    Args:
        what: The video, as the note is to call it.
        first_s: When its first frame is shown.
        fps: Frames per second.
    """
    if first_s * fps < 0.5:
        return None
    return (
        f"{what}: its first frame is at {first_s:.2f} s; times count from the start of the file, as players show them"
    )


def _video_frames(
    path: Path, square: int | None, stored: Stored | None, strict: bool = True, start_s: float | None = None
) -> Iterator[RawFrame]:
    """The frames of a video file, from a second on if that is given."""
    import av

    number, time_s, began_s, done = 0, -1.0, 0.0, 0
    if start_s:
        try:
            for frame in _from(path, square, start_s):
                yield frame
                done = frame.number + 1
        except Inexact:
            pass  # from the start, without those that were given
        else:
            return
    with opened(path) as film:
        _prepare(film, strict)
        picture, upright = _Picture(film.stream, square), Upright(path, film.container, film.stream)
        try:
            for frame, shown_s in _decoded(film):
                if number == 0:
                    began_s = film.starts_s(shown_s or 0.0)
                shown_s = number / film.fps if shown_s is None else shown_s - began_s
                time_s = shown_s if shown_s > time_s else time_s + 1 / film.fps
                if number >= done and (start_s is None or time_s >= start_s - EARLY_S):
                    image = picture(frame)
                    if stored is not None:
                        stored(image if image.shape[:2] == (frame.height, frame.width) else _rgb(frame, frame.width))
                    yield RawFrame(number, time_s, upright(frame, image))
                number += 1
        except av.FFmpegError as error:
            if number or not strict:
                where = f"after frame {number - 1}" if number else "from its first frame on"
                raise VideoError(f"{path}: damaged {where}") from error
        except EOFError as error:
            raise VideoError(f"{path}: ends at frame {number} of {error}, cut off or damaged") from error
    if number == 0:
        if not strict:
            raise VideoError(f"{path}: has no frames that can be decoded")
        # One that was cut out of a longer video may begin with frames that need others from before the cut.
        yield from _video_frames(path, square, stored, False, start_s)
    elif start_s is not None and time_s < start_s - EARLY_S:
        raise VideoError(f"{path}: start={start_s:g}: its last frame is at {time_s:.3f} s")


def _from(path: Path, square: int | None, start_s: float) -> Iterator[RawFrame]:
    """The frames of a video file from a second on, as :func:`_video_frames` gives them.

    Raises:
        Inexact: When that cannot be had without decoding all of it.
    """
    with opened(path) as film:
        _prepare(film, strict=True)
        picture, upright, began_s = _Picture(film.stream, square), Upright(path, film.container, film.stream), 0.0
        last_s = -1.0
        for number, frame in decoded_from(film, start_s):
            if number == 0:
                began_s = film.starts_s(frame.time)
            last_s = frame.time - began_s
            if last_s >= start_s - EARLY_S:
                yield RawFrame(number, last_s, upright(frame, picture(frame)))
        if last_s < start_s - EARLY_S:
            raise VideoError(f"{path}: start={start_s:g}: its last frame is at {last_s:.3f} s")


def _prepare(film: Film, strict: bool) -> None:
    """Sets up the decoder of a film that has just been opened."""
    film.stream.codec_context.thread_count = 1  # other cores are better used on other videos
    # a frame that claims to be huge is refused before memory is asked for it
    options = {"max_pixels": str(MOST_PIXELS)}
    if strict:  # or the decoder shows its guess at what is damaged
        options["err_detect"] = "explode"
    film.stream.codec_context.options = options


def _decoded(film: Film) -> Iterator[tuple[Any, float | None]]:
    """The frames of a video in the order in which they are shown, and when (s), where that is known.

    Raises:
        EOFError: With the number of frames that the file should have, when some are missing.
        av.FFmpegError: When a frame is damaged; those that are whole before it have been given by then.
    """
    import av

    container, stream = film.container, film.stream
    kind = container.format.name
    packets, end_s, cut = 0, 0.0, False
    stored_s: deque[float] = deque()  # avi only has the times of the frames as they are stored, not as they are shown
    damage: av.FFmpegError | None = None
    try:
        for packet in container.demux():
            ticks = packet.dts if packet.dts is not None else packet.pts
            if ticks is not None:
                end_s = max(end_s, float((ticks + (packet.duration or 0)) * packet.time_base))
            if packet.stream is stream:
                packets += packet.size > 0
                cut = packet.is_corrupt
                if kind == "avi" and packet.size:
                    stored_s.append(float(packet.dts * packet.time_base))
                for frame in packet.decode():
                    yield frame, stored_s.popleft() if stored_s else frame.time
    except av.FFmpegError as error:
        damage = error  # frames that still wait for their turn may wait for the damaged one: they are lost
    listed = len(stream.index_entries)  # all frames of an mp4 or avi, fewer of others
    lengths_s = {
        "avi": float(stream.frames / stream.average_rate) if stream.average_rate else 0.0,
        "matroska,webm": (container.duration or 0) / 1e6,
    }
    said_s = lengths_s.get(kind, 0.0)
    if kind == "avi" and said_s - end_s > 0.5 and 0 < stream.frames <= listed_frames(film.path, stream.index):
        said_s = end_s  # the index is there to its end, and the frames that are missing are empty
    # half a second: what is said of a length is not always exact
    if (cut or damage is None) and (packets < listed or said_s - end_s > 0.5):
        raise EOFError(max(listed, round(said_s * film.fps))) from damage
    if damage is not None:
        raise damage


def _rgb(frame: Any, width: int) -> Frames:
    """A decoded frame as RGB, so many pixels wide."""
    return np.asarray(frame.reformat(width=width, format="rgb24", threads=1).to_ndarray(), np.uint8)


STRETCH = 4
"""Most that pixels are wider than high, or the other way: more is a mistake, and would be a picture of any size."""


class _Picture:
    """Decoded frames as RGB, with square pixels; square pictures scaled to a side, if wished."""

    def __init__(self, stream: Any, side: int | None) -> None:
        self._stream, self._side = stream, side
        self._times = 1 if side is None else fit_multiple(side)
        self._scaled: Any = None  # as prepared videos are; another way to scale is some grey levels off

    def __call__(self, frame: Any) -> Frames:
        pixel = self._stream.sample_aspect_ratio or 1
        width = round(frame.width * pixel) if 1 / STRETCH <= pixel <= STRETCH else frame.width
        if self._side is None or not frame.width == width == frame.height:
            return _rgb(frame, width)
        if self._scaled is None:
            self._scaled = self._filter(self._times * self._side)
        self._scaled.push(frame)
        scaled: Frames = averaged(self._scaled.pull().to_ndarray()[None], self._times)[0]
        return scaled

    def _filter(self, side: int) -> Any:
        import av.filter

        graph = av.filter.Graph()
        nodes = [graph.add_buffer(template=self._stream), graph.add("scale", f"{side}:{side}:flags=bilinear")]
        nodes += [graph.add("format", "rgb24"), graph.add("buffersink")]
        for node, following in itertools.pairwise(nodes):
            node.link_to(following)
        graph.configure()
        return graph
