"""What a coder sees: a frame as a picture, a short clip around it, and a person's face at rest."""

import io
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from aulight.data.store import BLENDSHAPE, PreparedDataset
from aulight.data.video.prepared import ReaderCache
from aulight.data.video.types import Frames
from aulight.data.video.write import X264

AROUND_S = 0.5
"""Seconds of a clip before its frame, and after it."""

KEPT = 256
"""Pictures and clips, each, that are kept for when they are asked for again."""

LOOKED_AT = 64
"""Frames of a person among which the one at rest is looked for, where there are no blendshape scores."""

_TICKS = 90_000
_SMALL = 32  # pixels, across, of pictures that are compared

_Made = TypeVar("_Made")


class Clip(NamedTuple):
    """A clip, each of whose frames a player can stop at.

    Attributes:
        video: An mp4 file.
        times: When each frame is shown, in seconds from the clip's start.
        at: The place of the frame that it is cut around.
    """

    video: bytes
    times: list[float]
    at: int


class Views:
    """Pictures and clips of prepared videos; to be used by several threads at once.

    Args:
        data: The dataset.
    """

    def __init__(self, data: PreparedDataset) -> None:
        self._data = data
        self._names = [str(name) for name in data.videos["video_id"]]
        self._lengths: list[int] = data.videos["frames"].tolist()
        self._readers = ReaderCache(limit=2)
        self._reading = threading.Lock()  # a reader is one thread's at a time
        self._tables: OrderedDict[Hashable, npt.NDArray[np.float64]] = OrderedDict()
        self._stills: OrderedDict[Hashable, bytes] = OrderedDict()
        self._clips: OrderedDict[Hashable, Clip] = OrderedDict()
        self._rests: dict[str, tuple[int, int]] = {}

    def times(self, row: int) -> npt.NDArray[np.float64]:
        """When each frame of a video is shown, ``(frames,)`` in seconds from the start of its raw file."""

        def read() -> npt.NDArray[np.float64]:
            (table,) = self._data.frames_of([self._names[row]], ["time_s"])
            return table["time_s"].to_numpy(np.float64)

        with self._reading:
            return _kept(self._tables, row, read)

    def still(self, row: int, place: int) -> bytes:
        """A frame as a PNG file.

        Args:
            row: The video's place in the dataset.
            place: The frame's place in the video.

        Raises:
            VideoError: When the video cannot be read.
        """

        def make() -> bytes:
            return cv2.imencode(".png", cv2.cvtColor(self._frames(row, [place])[0], cv2.COLOR_RGB2BGR))[1].tobytes()

        with self._reading:
            return _kept(self._stills, (row, place), make)

    def clip(self, row: int, place: int) -> Clip:
        """The frames from half a second before a frame to half a second after it, as far as the video has them.

        Raises:
            VideoError: When the video cannot be read.
        """
        times = self.times(row)

        def make() -> Clip:
            places = np.flatnonzero(np.abs(times - times[place]) <= AROUND_S + 1e-6)
            since = (times[places] - times[places[0]]).tolist()
            return Clip(encoded(self._frames(row, places), since), since, int(np.flatnonzero(places == place)[0]))

        with self._reading:
            return _kept(self._clips, (row, place), make)

    def at_rest(self, subject: str, rows: Sequence[int]) -> tuple[int, int]:
        """The frame of a person that is nearest to the median over all their frames, by video and place.

        The median is one of blendshape scores where the dataset has them, which speak of the expression alone; else of
        small grey pictures.

        Args:
            subject: Who it is.
            rows: The videos that show them.

        Raises:
            VideoError: When a video cannot be read.
        """
        with self._reading:
            if subject not in self._rests:
                found = self._scored(rows) or self._looked_at(rows)
                places, what = [place for place, _ in found], np.stack([vector for _, vector in found])
                nearest = np.abs(what - np.median(what, axis=0)).sum(axis=1).argmin()
                self._rests[subject] = places[int(nearest)]
            return self._rests[subject]

    def _scored(self, rows: Sequence[int]) -> list[tuple[tuple[int, int], npt.NDArray[Any]]]:
        """Blendshape scores of all frames with a face; nothing where there are none."""
        found = list[tuple[tuple[int, int], npt.NDArray[Any]]]()
        names = [self._names[row] for row in rows]
        for row, table in zip(rows, self._data.frames_of(names, None), strict=True):
            scores = table.filter(regex=f"^{BLENDSHAPE}").to_numpy(np.float32)
            there = (table["face_confidence"].to_numpy() > 0) & (scores.shape[1] > 0) & ~np.isnan(scores).any(axis=1)
            found += [((row, int(place)), scores[place]) for place in np.flatnonzero(there)]
        return found

    def _looked_at(self, rows: Sequence[int]) -> list[tuple[tuple[int, int], npt.NDArray[Any]]]:
        """Small pictures of some frames with a face, else of any."""
        names = [self._names[row] for row in rows]
        seen = [
            (row, np.flatnonzero(table["face_confidence"].to_numpy() > 0))
            for row, table in zip(rows, self._data.frames_of(names, ["face_confidence"]), strict=True)
        ]
        places = [(row, int(place)) for row, there in seen for place in there] or [(rows[0], 0)]
        chosen = [places[i] for i in np.unique(np.linspace(0, len(places) - 1, LOOKED_AT).astype(int))]
        found = list[tuple[tuple[int, int], npt.NDArray[Any]]]()
        for row in dict.fromkeys(row for row, _ in chosen):
            mine = [place for where, place in chosen if where == row]
            for place, picture in zip(mine, self._frames(row, mine), strict=True):
                small = cv2.resize(
                    cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (_SMALL, _SMALL), interpolation=cv2.INTER_AREA
                )
                found.append(((row, place), small.ravel().astype(np.float32)))
        return found

    def _frames(self, row: int, places: Sequence[int] | npt.NDArray[np.int64]) -> Frames:
        reader = self._readers.get(self._data.file(row), frames=self._lengths[row])
        return reader.read(places)


def _kept(kept: OrderedDict[Hashable, _Made], key: Hashable, make: Callable[[], _Made]) -> _Made:
    """What was made before, or is made now, in place of what was not asked for longest."""
    if key not in kept:
        kept[key] = make()
    kept.move_to_end(key)
    if len(kept) > KEPT:
        kept.popitem(last=False)
    return kept[key]


def encoded(frames: Frames, times: Sequence[float]) -> bytes:
    """Encodes frames as an mp4 in which every frame is a key frame.

    Args:
        frames: ``(T, H, W, 3)`` uint8 RGB, H and W even.
        times: When each is shown, in seconds from 0 on, rising.
    """
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream: Any = container.add_stream("libx264", rate=25)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt, stream.thread_count = "yuv420p", 1
        stream.codec_context.time_base = Fraction(1, _TICKS)
        stream.options = {"crf": "18", "preset": "veryfast", "x264-params": f"keyint=1:bframes=0:{X264}"}
        for frame, time_s in zip(frames, times, strict=True):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.pts, picture.time_base = round(time_s * _TICKS), Fraction(1, _TICKS)
            for packet in stream.encode(picture):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return file.getvalue()
