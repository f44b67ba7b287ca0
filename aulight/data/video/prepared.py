"""Reads prepared videos at any frame, by decoding no more than it must.

Where its frames lie in a file is known from its tables (:mod:`aulight.data.video.mp4`), so the decoder gets them one
by one, from the key frame before each that is wanted; it stays the same from file to file. Pictures are scaled as
decord did it, which read these files before: bit for bit.
"""

import itertools
import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aulight.data.places import Place, Segment, Segments, reading
from aulight.data.remote.shelf import RemoteFile, RemoteShards
from aulight.data.video.by_decord import DAMAGED, DecordReader, places_in
from aulight.data.video.mp4 import Track, track_of
from aulight.data.video.scaling import averaged, fit_multiple
from aulight.data.video.types import Frames
from aulight.errors import VideoError

Places = npt.NDArray[np.int64]


class Decoder:
    """Decodes frames of videos that were encoded alike, to one size.

    It has no thread of its own: a fork of its process may use it, or drop it.

    Args:
        track: Of one of the videos.
        size: Side of the pictures; ``None``: as they are.
    """

    def __init__(self, track: Track, size: int | None) -> None:
        import av
        import av.filter

        self._packet, self._error = av.Packet, av.FFmpegError
        self._codec: Any = av.CodecContext.create("h264", "r")
        self._codec.extradata, self._codec.thread_count = track.extradata, 1
        # Sizes that decord could not decode to were made from a multiple, and still are.
        self._shrink = 1 if size is None else fit_multiple(size)
        side = None if size is None else self._shrink * size
        self._width, self._height = side or track.width, side or track.height
        self._graph: Any = av.filter.Graph()
        self._graph.threads = 1
        buffer = self._graph.add_buffer(
            width=track.width, height=track.height, format=av.VideoFormat("yuv420p"), time_base=Fraction(1, 1)
        )
        scale = self._graph.add("scale", f"{self._width}:{self._height}:flags=bilinear")
        nodes = [buffer, scale, self._graph.add("format", "rgb24"), self._graph.add("buffersink")]
        for node, following in itertools.pairwise(nodes):
            node.link_to(following)
        self._graph.configure()
        self._fed: tuple[Track | None, int] = (None, -1)  # the last frame that the decoder got

    def at(self, track: Track) -> int:
        """The last frame that was decoded of a video, from which it can go on; -1 where it must begin anew."""
        return self._fed[1] if self._fed[0] is track else -1

    def decode(self, track: Track, data: Sequence[tuple[int, bytes | memoryview]], wanted: Places) -> Frames:
        """Some frames of a video.

        Args:
            track: The video's.
            data: Of each frame that is to be decoded its number and bytes, in order.
            wanted: Ascending numbers of those of them that are shown.

        Raises:
            ValueError: When one of them is damaged.
        """
        shown = np.empty((len(wanted), self._height, self._width, 3), np.uint8)
        place = {int(number): at for at, number in enumerate(wanted)}
        self._fed = (None, -1)
        try:
            for number, coded in data:
                packet = self._packet(bytes(coded))
                packet.pts = packet.dts = number
                self._show(self._codec.decode(packet), place, shown)
            if place:  # some decoders give a frame when they have the next
                self._show(self._codec.decode(None), place, shown)
                self._codec.flush_buffers()
            elif data:
                self._fed = (track, data[-1][0])
        except self._error as error:
            self._codec.flush_buffers()
            raise ValueError("damaged") from error
        if place:
            raise ValueError("frames that did not come")
        return averaged(shown, self._shrink)

    def _show(self, frames: Sequence[Any], place: dict[int, int], shown: Frames) -> None:
        for frame in frames:
            if frame.is_corrupt:
                self._codec.flush_buffers()
                raise ValueError("damaged")
            if (at := place.pop(frame.pts, None)) is not None:
                self._graph.push(frame)
                shown[at] = self._graph.pull().to_ndarray()


class Decoders:
    """The decoders of a process, by what they must know of videos: those of a dataset were mostly encoded alike.

    Args:
        size: To which they decode.
        limit: How many there are at most.
    """

    def __init__(self, size: int | None, limit: int = 4) -> None:
        self.size, self._limit = size, limit
        self._kept: OrderedDict[tuple[bytes, int, int], Decoder] = OrderedDict()

    def of(self, track: Track) -> Decoder:
        """One for a video."""
        key = (track.extradata, track.width, track.height)
        decoder = self._kept.pop(key, None) or Decoder(track, self.size)
        self._kept[key] = decoder
        if len(self._kept) > self._limit:
            self._kept.popitem(last=False)
        return decoder


class Reader:
    """One prepared video, or a segment of one.

    Args:
        path: An mp4 as :func:`aulight.data.video.write.write_video` makes them.
        size: Decode to ``size x size`` pixels; ``None`` keeps the file's own.
        frames: How many frames the file must have; ``None`` does not check.
        decoders: Those of other videos, to be used for this as well; of the same size.

    Raises:
        VideoError: When the file cannot be opened or holds another number of frames.
    """

    def __init__(
        self,
        path: Path | RemoteFile | Segment,
        size: int | None = None,
        frames: int | None = None,
        decoders: Decoders | None = None,
    ) -> None:
        self.path, self._part = path, reading(path)
        self._first = path.first if isinstance(path, Segment) else 0
        # errors that say too little: those of a bucket or a shard say what is wrong with which
        self._unclear = (ValueError, VideoError) if isinstance(path, Path) else (ValueError,)
        self._decoders = decoders or Decoders(size)
        if isinstance(path, Path) and not path.is_file():
            raise VideoError(f"{path}: no such video")
        try:
            self._track = track_of(self._part)
        except self._unclear as error:
            raise VideoError(f"{path}: not a readable video; {DAMAGED}") from error
        if frames is not None and len(self) != frames:
            raise VideoError(f"{path}: has {len(self)} frames, its table says {frames}; {DAMAGED}")

    def __len__(self) -> int:
        return len(self._track.sizes)

    def read(self, indices: Sequence[int] | Places) -> Frames:
        """Frames at any positions, in the order given, repeats allowed.

        Returns:
            ``(T, H, W, 3)`` uint8 RGB.

        Raises:
            VideoError: For a position outside the video or a damaged file.
        """
        wanted = places_in(self.path, len(self), indices)
        unique, where = np.unique(wanted, return_inverse=True)
        decoder = self._decoders.of(self._track)
        needed = frames_needed(self._track, unique, decoder.at(self._track))
        try:
            frames = decoder.decode(self._track, self._coded(needed), unique)
        except self._unclear as error:
            first, last = unique[0] + self._first, unique[-1] + self._first
            raise VideoError(f"{self.path}: damaged between frames {first} and {last}; {DAMAGED}") from error
        return frames if np.array_equal(where, np.arange(len(unique))) else frames[where]

    def _coded(self, needed: Places) -> list[tuple[int, bytes | memoryview]]:
        """The bytes of frames, read in one go: they lie within some hundred kilobytes."""
        if not len(needed):
            return []
        starts, sizes = self._track.offsets[needed], self._track.sizes[needed]
        begin, end = int(starts.min()), int((starts + sizes).max())
        data = memoryview(self._part(begin, end - begin))
        places = zip(needed.tolist(), (starts - begin).tolist(), sizes.tolist(), strict=True)
        return [(number, data[start : start + size]) for number, start, size in places]


def frames_needed(track: Track, wanted: Places, decoded: int = -1) -> Places:
    """Which frames must be decoded to see some: each, and those from the key frame before it on.

    Args:
        track: The video's.
        wanted: Ascending numbers.
        decoded: The frame that was decoded last, after which it can go on; -1 for none.
    """
    if not len(wanted):
        return wanted
    keys = track.keys[np.searchsorted(track.keys, wanted, side="right") - 1]
    before = np.append(decoded if decoded < wanted[0] else -1, wanted[:-1])
    begins = np.maximum(keys, before + 1)
    return np.concatenate([np.arange(begin, last + 1) for begin, last in zip(begins, wanted, strict=True)])


class ReaderCache:
    """Keeps what is known of the last few videos or segments, and their decoders; an unpickled one starts empty.

    Args:
        limit: Of how many. To know it of another takes a hundredth of the time that a clip takes.
        size: Decode to ``size x size`` pixels.
        decord: Whether decord reads those of this machine. It decodes ahead in each that is open, so that one is.
    """

    def __init__(self, limit: int = 8, size: int | None = None, decord: bool = False) -> None:
        self.limit, self.size, self.decord = 1 if decord else limit, size, decord
        self._open: OrderedDict[Path | RemoteFile | Segment, Reader | DecordReader] = OrderedDict()
        self._decoders = Decoders(size)
        self._pid = os.getpid()

    def __reduce__(self) -> tuple[type["ReaderCache"], tuple[int, int | None, bool]]:
        return ReaderCache, (self.limit, self.size, self.decord)

    def __len__(self) -> int:
        return len(self._open)

    def get(self, place: Place, frames: int | None = None) -> "Reader | DecordReader | Joined":
        """The reader of a video; raises as :class:`Reader` does, for segments when they are read."""
        if not isinstance(place, Segments):
            return self.opened(place, frames)
        if frames is not None and len(place) != frames:
            raise VideoError(f"{place}: has {len(place)} frames, its table says {frames}; {DAMAGED}")
        return Joined(place, self)

    def opened(self, path: Path | RemoteFile | Segment, frames: int | None = None) -> Reader | DecordReader:
        """The reader of a file or of one segment; raises as :class:`Reader` does."""
        if self.decord and self._pid != os.getpid():  # its readers must not cross a fork
            self._open, self._pid = OrderedDict(), os.getpid()
        reader = self._open.pop(path, None)
        if reader is None:
            while len(self._open) >= self.limit:
                self._open.popitem(last=False)
            if self.decord and not isinstance(path, RemoteFile):
                reader = DecordReader(path, self.size, frames)
            else:
                reader = Reader(path, self.size, frames, self._decoders)
        self._open[path] = reader
        return reader


class Joined:
    """A video in segments, of which no more are opened than are read.

    Args:
        place: The video.
        cache: Has their readers.
    """

    def __init__(self, place: Segments, cache: ReaderCache) -> None:
        self.path, self._cache = place, cache
        self._first = np.array([part.first for part in place.parts], np.int64)

    def __len__(self) -> int:
        return len(self.path)

    def read(self, indices: Sequence[int] | Places) -> Frames:
        """Frames at any positions, in the order given, repeats allowed.

        Returns:
            ``(T, H, W, 3)`` uint8 RGB.

        Raises:
            VideoError: For a position outside the video or a damaged segment.
        """
        wanted = places_in(self.path, len(self), indices)
        within = np.searchsorted(self._first, wanted, side="right") - 1
        shown: Frames | None = None
        for number in np.unique(within) if len(wanted) else [0]:
            part, here = self.path.parts[number], within == number
            frames = self._cache.opened(part, part.frames).read(wanted[here] - part.first)
            if shown is None:
                if len(frames) == len(wanted):
                    return frames
                shown = np.empty((len(wanted), *frames.shape[1:]), np.uint8)
            elif frames.shape[1:] != shown.shape[1:]:
                raise VideoError(f"{part}: pictures of another size than before; {DAMAGED}")
            shown[here] = frames
        assert shown is not None  # there is one segment at least
        return shown


def open_video(place: Place, size: int | None = None, frames: int | None = None) -> Reader | Joined:
    """The reader of one video wherever it is; raises as :class:`Reader` does.

    Args:
        place: The video.
        size: As for :class:`Reader`, as the next.
        frames: How many it must have.
    """
    reader = ReaderCache(limit=2, size=size).get(place, frames)
    assert not isinstance(reader, DecordReader)  # which was not asked for
    return reader


def stream_frames(
    place: Place, size: int | None = None, chunk: int = 64, frames: int | None = None
) -> Iterator[Frames]:
    """A whole video once, in order, in pieces of at most ``chunk`` frames ``(n, H, W, 3)`` uint8 RGB.

    Raises:
        VideoError: As :class:`Reader` does.
    """
    reader = open_video(place, size, frames)
    for start in range(0, len(reader), chunk):
        if isinstance(place, Segments):
            _fetch_ahead(place, start, start + chunk)
        yield reader.read(range(start, min(start + chunk, len(reader))))


def _fetch_ahead(place: Segments, start: int, stop: int) -> None:
    """Has the segment after one at an URL fetched, where reading comes to that."""
    for part, following in itertools.pairwise(place.parts):
        if start <= part.first < stop and isinstance(following.shards, RemoteShards):
            following.shards.ahead([following.part])
