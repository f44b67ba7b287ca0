"""Raw videos of any kind, read once, in order: video files by PyAV, folders of images by their numbers."""

import itertools
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from aulight.data.video.images import image_frames, image_rate, images_of
from aulight.data.video.scaling import averaged, fit_multiple
from aulight.data.video.types import Frames, RawFrame, RawInfo
from aulight.errors import VideoError


def raw_info(path: Path, fps: float | None = None) -> RawInfo:
    """What a raw video says of itself, without reading it.

    Args:
        path: As :func:`raw_frames` takes it.
        fps: Frames per second of images; a video file says its own.

    Raises:
        VideoError: When there is nothing to read.
        AulightError: For images without ``fps``.
    """
    images = images_of(path)
    if images is not None:
        return RawInfo(image_rate(path, fps), len(images[1]))
    with _open_raw(path) as (container, stream):
        rate = _rate(stream)
        return RawInfo(rate, stream.frames or round((container.duration or 0) / 1e6 * rate) or None)


def raw_frames(path: Path, fps: float | None = None, square: int | None = None) -> Iterator[RawFrame]:
    """All frames of a raw video or a folder of images, once, in order, one at a time in memory.

    A video is turned upright as its file says and keeps its timestamps. Images are numbered by their names:
    ``0643.jpg``, ``643.png`` and ``frame_0643.jpg`` are frame 643. Names that are not all of one such kind are put in
    natural order and numbered from 0.

    Args:
        path: A video file, a folder of jpg or png, or such a folder inside a zip file (``F001.zip/F001/T1``).
        fps: Frames per second of images; ignored for a video file.
        square: Square pictures of a video file are scaled to this side, just as prepared ones are decoded.

    Raises:
        VideoError: When the file is missing, empty or damaged, has no pictures or ends before its end. The frames
            before the damage have been given by then.
        AulightError: For images without ``fps``.
    """
    images = images_of(path)
    if images is None:
        return _video_frames(path, square)
    return image_frames(path, *images, image_rate(path, fps))


@contextmanager
def _open_raw(path: Path) -> Iterator[tuple[Any, Any]]:
    """An open video file and its stream of pictures."""
    import av

    if not path.stat().st_size:
        raise VideoError(f"{path}: the file is empty")
    try:
        container = av.open(str(path))
    except av.FFmpegError as error:
        raise VideoError(f"{path}: not a readable video, or one that is cut off") from error
    with container:
        stream = next(iter(container.streams.video), None)
        if stream is None or stream.codec_context is None:
            raise VideoError(f"{path}: has no pictures that can be decoded")
        yield container, stream


def _rate(stream: Any) -> float:
    return float(stream.average_rate or stream.guessed_rate or 25)


def _video_frames(path: Path, square: int | None, strict: bool = True) -> Iterator[RawFrame]:
    import av

    number, time_s, start_s = 0, -1.0, 0.0
    with _open_raw(path) as (container, stream):
        stream.codec_context.thread_count = 1  # other cores are better used on other videos
        if strict:  # or the decoder shows its guess at what is damaged
            stream.codec_context.options = {"err_detect": "explode"}
        rate = _rate(stream)
        picture = _Picture(stream, square)
        try:
            for frame, shown_s in _decoded(container, stream):
                if number == 0:
                    start_s = shown_s or 0.0
                shown_s = number / rate if shown_s is None else shown_s - start_s
                time_s = shown_s if shown_s > time_s else time_s + 1 / rate
                yield RawFrame(number, time_s, _upright(frame, picture(frame)))
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
        yield from _video_frames(path, square, strict=False)


def _decoded(container: Any, stream: Any) -> Iterator[tuple[Any, float | None]]:
    """The frames of a video in the order in which they are shown, and when (s), where that is known.

    Raises:
        EOFError: With the number of frames that the file should have, when some are missing.
        av.FFmpegError: When a frame is damaged; those that are whole before it have been given by then.
    """
    import av

    kind, rate = container.format.name, _rate(stream)
    packets, end_s, cut = 0, 0.0, False
    stored_s: deque[float] = deque()  # avi only has the times of the frames as they are stored, not as they are shown
    damage: av.FFmpegError | None = None
    try:
        for packet in container.demux():
            if packet.dts is not None:
                end_s = max(end_s, float((packet.dts + (packet.duration or 0)) * packet.time_base))
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
    said = {"avi": stream.frames, "matroska,webm": round((container.duration or 0) / 1e6 * rate)}.get(kind, 0)
    # half a second: what is said of a length is not always exact
    if (cut or damage is None) and (packets < listed or said - round(end_s * rate) > rate / 2):
        raise EOFError(max(listed, said)) from damage
    if damage is not None:
        raise damage


class _Picture:
    """Decoded frames as RGB, with square pixels; square pictures scaled to a side, if wished."""

    def __init__(self, stream: Any, side: int | None) -> None:
        self._stream, self._side = stream, side
        self._times = 1 if side is None else fit_multiple(side)
        self._scaled: Any = None  # decord's own filter; another way to scale is some grey levels off

    def __call__(self, frame: Any) -> Frames:
        pixel = self._stream.sample_aspect_ratio
        width = round(frame.width * pixel) if pixel else frame.width
        if self._side is None or not frame.width == width == frame.height:
            return np.asarray(frame.reformat(width=width, format="rgb24", threads=1).to_ndarray(), np.uint8)
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


def _upright(frame: Any, image: Frames) -> Frames:
    """The picture of a decoded frame, turned as its file says it is to be shown."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return image
    a, b, _, c, d = np.frombuffer(matrix, np.int32, 5)  # x' = ax + cy, y' = bx + dy
    if abs(b) > abs(a):
        image, a, d = image.swapaxes(0, 1), c, b
    return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])
