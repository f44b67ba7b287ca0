"""Reading and writing videos; the only file that imports a decoder or an encoder.

decord's random access is exact only on some files: closed groups of pictures without B-frames, in mp4. So that is
all :func:`write_video` makes, and all that :class:`Reader` is pointed at. Raw videos of any kind, and folders of
images, are read once, in order, by :func:`raw_frames`.
"""

import functools
import itertools
import os
import re
import zipfile
import zlib
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from aulight.errors import AulightError, VideoError

GOP = 12
"""Frames between key frames: a random access decodes at most this many; larger saves space, smaller time."""

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


def write_video(path: Path, frames: Iterable[Frames], fps: float, crf: int = 18) -> int:
    """Encodes frames as h264 mp4 whose random access is exact: closed GOPs of 12 frames, no B-frames.

    Args:
        path: Where the file goes; written under a temporary name and renamed when whole.
        frames: RGB frames ``(H, W, 3)`` uint8, all of one size, H and W even.
        fps: Frames per second.
        crf: x264 quality, 0 (lossless) to 51.

    Returns:
        How many frames were written.

    Raises:
        VideoError: Without frames, for an odd size, or when the sizes differ.
    """
    import av

    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp.mp4")
    count = 0
    try:
        with av.open(str(temporary), "w", format="mp4") as container:
            stream: Any = None
            for frame in frames:
                height, width = frame.shape[:2]
                if stream is None:
                    if height % 2 or width % 2:
                        raise VideoError(f"{path}: h264 needs an even width and height, got {width}x{height}")
                    stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
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
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return count


@functools.cache
def _decord_reader() -> Any:
    """Decord's reader, safe to drop in a fork of the process that opened it.

    Closing waits for the reader's thread, which a fork does not have: it would wait for ever.
    """
    import decord

    class VideoReader(decord.VideoReader):  # type: ignore[misc]  # decord has no types
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self._pid = os.getpid()
            super().__init__(*args, **kwargs)

        def __del__(self) -> None:
            if self._pid == os.getpid():
                super().__del__()

    return VideoReader


class Reader:
    """One open prepared video.

    Args:
        path: An mp4 as :func:`write_video` makes them.
        size: Decode to ``size x size`` pixels; ``None`` keeps the file's own.
        frames: How many frames the file must have; ``None`` does not check.

    Raises:
        VideoError: When the file cannot be opened or holds another number of frames.
    """

    def __init__(self, path: Path, size: int | None = None, frames: int | None = None) -> None:
        # Imported here: a fork of a process that has run decord can hang.
        import decord

        decord.logging.set_level(decord.logging.QUIET)  # what is wrong with a file is said by VideoError
        self.path = path
        if not path.is_file():
            raise VideoError(f"{path}: no such video")
        # Where decord cannot decode to a size, a multiple of it is decoded and averaged down.
        self._shrink = 1 if size is None else _multiple(size)
        self._side = -1 if size is None else self._shrink * size
        self._video = self._open()
        if frames is not None and len(self._video) != frames:
            raise VideoError(f"{path}: has {len(self._video)} frames, its table says {frames}; prepare it again")

    def _open(self) -> Any:
        import decord

        try:
            return _decord_reader()(str(self.path), width=self._side, height=self._side, num_threads=1)
        except (RuntimeError, decord.DECORDError) as error:
            raise VideoError(f"{self.path}: not a readable video; prepare it again or remove it") from error

    def __len__(self) -> int:
        return len(self._video)

    def read(self, indices: Sequence[int] | npt.NDArray[np.int64]) -> Frames:
        """Frames at any positions, in the order given, repeats allowed.

        Returns:
            ``(T, H, W, 3)`` uint8 RGB.

        Raises:
            VideoError: For a position outside the video or a damaged file.
        """
        import decord

        wanted = np.asarray(indices, dtype=np.int64)
        if wanted.size and (wanted.min() < 0 or wanted.max() >= len(self)):
            outside = wanted.min() if wanted.min() < 0 else wanted.max()
            raise VideoError(f"{self.path}: frame {outside} asked for, the video has frames 0 to {len(self) - 1}")
        unique, where = np.unique(wanted, return_inverse=True)
        if len(unique) and unique[-1] - unique[0] < GOP // 2 * len(unique):
            # decord seeks for every position that does not follow the last: reading straight through is faster
            unique, where = np.arange(unique[0], unique[-1] + 1), wanted - unique[0]
        try:
            frames: Frames = self._video.get_batch(unique.tolist()).asnumpy()
        except (RuntimeError, IndexError, decord.DECORDError) as error:
            if "size must exactly match" in str(error):
                raise VideoError(f"{self.path}: decord cannot read its width of pixels; decode to another") from error
            self._video = self._open()  # an error may come again, late, from its thread
            raise VideoError(
                f"{self.path}: damaged between frames {unique[0]} and {unique[-1]}; prepare it again or remove it"
            ) from error
        frames = frames if np.array_equal(where, np.arange(len(unique))) else frames[where]
        return _averaged(frames, self._shrink)


def _multiple(size: int) -> int:
    """The least multiple of a size that decord can decode to."""
    return next(k for k in range(1, 9) if k * size not in UNFIT_WIDTHS)


def _averaged(frames: Frames, times: int) -> Frames:
    """Square frames ``(T, S, S, 3)`` made smaller by a whole number of times."""
    if times == 1:
        return frames
    side = frames.shape[1] // times
    blocks = frames.reshape(-1, side, times, side, times, 3)
    return np.asarray(blocks.mean((2, 4)).round(), np.uint8)


class ReaderCache:
    """Keeps the last few videos open, in the process that opened them.

    A reader must not cross a fork and holds tens of MB, so the cache is empty in every new process (whether forked
    or unpickled) and bounded.

    Args:
        limit: How many videos stay open. An open reader of decord goes on decoding ahead, so more than one costs time
            wherever clips take the videos in turn.
        size: Decode to ``size x size`` pixels.
    """

    def __init__(self, limit: int = 1, size: int | None = None) -> None:
        self.limit = limit
        self.size = size
        self._open: OrderedDict[Path, Reader] = OrderedDict()
        self._pid = os.getpid()

    def __getstate__(self) -> dict[str, Any]:
        return {"limit": self.limit, "size": self.size}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]  # an unpickled cache starts empty, like a new one

    def __len__(self) -> int:
        return len(self._open)

    def get(self, path: Path, frames: int | None = None) -> Reader:
        """The open reader of a video; raises as :class:`Reader` does."""
        if self._pid != os.getpid():
            self._open, self._pid = OrderedDict(), os.getpid()
        reader = self._open.pop(path, None)
        if reader is None:
            while len(self._open) >= self.limit:
                self._open.popitem(last=False)
            reader = Reader(path, self.size, frames)
        self._open[path] = reader
        return reader


def stream_frames(path: Path, size: int | None = None, chunk: int = 64, frames: int | None = None) -> Iterator[Frames]:
    """A whole video once, in order, in pieces of at most ``chunk`` frames ``(n, H, W, 3)`` uint8 RGB.

    Raises:
        VideoError: As :class:`Reader` does.
    """
    reader = Reader(path, size, frames)
    for start in range(0, len(reader), chunk):
        yield reader.read(range(start, min(start + chunk, len(reader))))


def raw_info(path: Path, fps: float | None = None) -> RawInfo:
    """What a raw video says of itself, without reading it.

    Args:
        path: As :func:`raw_frames` takes it.
        fps: Frames per second of images; a video file says its own.

    Raises:
        VideoError: When there is nothing to read.
        AulightError: For images without ``fps``.
    """
    images = _images(path)
    if images is not None:
        return RawInfo(_image_rate(path, fps), len(images[1]))
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
        square: Square pictures of a video file are scaled to this side, just as :class:`Reader` decodes to a size.

    Raises:
        VideoError: When the file is missing, empty or damaged, has no pictures or ends before its end. The frames
            before the damage have been given by then.
        AulightError: For images without ``fps``.
    """
    images = _images(path)
    if images is None:
        return _video_frames(path, square)
    return _image_frames(path, *images, _image_rate(path, fps))


def _images(path: Path) -> tuple[Path | None, list[tuple[int, str]]] | None:
    """The zip file that holds a folder of images, and the number and path of each; ``None`` for a video file."""
    if path.is_dir():
        return None, _numbered(path, [str(entry) for entry in path.iterdir() if entry.is_file()])
    file = next((place for place in (path, *path.parents) if place.is_file()), None)
    if file is None:
        raise VideoError(f"{path}: no such video or folder")
    if file == path and not zipfile.is_zipfile(file):
        return None
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile) as error:
        raise VideoError(f"{file}: not a readable zip file") from error
    folder = PurePosixPath(path.relative_to(file).as_posix())
    return file, _numbered(path, [name for name in names if PurePosixPath(name).parent == folder])


def _numbered(path: Path, names: Iterable[str]) -> list[tuple[int, str]]:
    images = [Path(name) for name in names]
    images = [image for image in images if image.suffix.lower() in IMAGE_SUFFIXES and not image.name.startswith(".")]
    if not images:
        raise VideoError(f"{path}: no images ({', '.join(sorted(IMAGE_SUFFIXES))}) in it")
    parts = [re.fullmatch(r"(.*?)([0-9]+)", image.stem, re.DOTALL) for image in images]
    if len({part and part[1] for part in parts}) > 1 or parts[0] is None:
        return [(number, str(image)) for number, image in enumerate(sorted(images, key=_natural))]
    numbered = sorted((int(part[2]), image) for part, image in zip(parts, images, strict=True) if part)
    for (number, image), (next_number, other) in itertools.pairwise(numbered):
        if number == next_number:
            raise VideoError(f"{path}: {image.name} and {other.name} are both frame {number}; remove one")
    return [(number, str(image)) for number, image in numbered]


def _natural(image: Path) -> list[tuple[int, str]]:
    """Sorts ``a2`` before ``a10``."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"([0-9]+)", image.name)]


def _image_rate(path: Path, fps: float | None) -> float:
    if fps is None or not fps > 0:
        raise AulightError(f"{path}: images do not say how many frames per second they are; give fps")
    return fps


def _image_frames(path: Path, file: Path | None, numbered: list[tuple[int, str]], fps: float) -> Iterator[RawFrame]:
    import cv2

    with ExitStack() as stack:
        archive = None if file is None else stack.enter_context(zipfile.ZipFile(file))
        for number, name in numbered:
            try:
                data = Path(name).read_bytes() if archive is None else archive.read(name)
            except (OSError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:  # RuntimeError: it has a password
                raise VideoError(f"{path}: image {Path(name).name} cannot be read ({error})") from error
            # a jpg that is cut off has no end after the start of its data; not every version of OpenCV refuses it
            cut = data.startswith(b"\xff\xd8") and data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda")
            image = None if cut or not data else cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
            if image is None:
                raise VideoError(f"{path}: image {Path(name).name} is damaged")
            rgb: Any = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
            yield RawFrame(number, (number - numbered[0][0]) / fps, rgb)


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
        self._times = 1 if side is None else _multiple(side)
        self._scaled: Any = None  # decord's own filter; another way to scale is some grey levels off

    def __call__(self, frame: Any) -> Frames:
        pixel = self._stream.sample_aspect_ratio
        width = round(frame.width * pixel) if pixel else frame.width
        if self._side is None or not frame.width == width == frame.height:
            return np.asarray(frame.reformat(width=width, format="rgb24", threads=1).to_ndarray(), np.uint8)
        if self._scaled is None:
            self._scaled = self._filter(self._times * self._side)
        self._scaled.push(frame)
        scaled: Frames = _averaged(self._scaled.pull().to_ndarray()[None], self._times)[0]
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
