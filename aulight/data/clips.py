"""Which frames make a clip. Arithmetic only: what is chosen depends on (seed, epoch, index) and nothing else.

So a clip is the same on any number of workers or ranks, and a run that was cut off goes on with the same clips.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pandas as pd

from aulight.errors import AulightError
from aulight.nets.tracks import held

SAME_RATE = 0.01
"""Share by which the rates of two videos differ that count as one."""

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Clip:
    """Frames of one video.

    Attributes:
        video: Row of the dataset's videos.
        frames: ``(T,)`` positions in the video, in time order; in front of them those for a reference, if any.
        targets: ``(T, AUs)`` float32 intensities, NaN where unknown or not drawn; ``None`` in stage one.
    """

    video: int
    frames: Indices
    targets: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Timeline:
    """When the frames of a video were taken, and in which of them there is a face.

    Attributes:
        times: ``(frames,)`` float64 seconds, in order.
        faces: ``(frames,)`` bool.
        anew: ``(frames,)`` bool, whether the face is the first after one elsewhere.
    """

    times: npt.NDArray[np.float64]
    faces: npt.NDArray[np.bool_]
    anew: npt.NDArray[np.bool_]


def timelines(frames: pd.DataFrame, elsewhere: Mapping[str, Sequence[int]]) -> dict[str, Timeline]:
    """Those of videos, by their ids.

    Args:
        frames: Rows of :attr:`PreparedDataset.frames`.
        elsewhere: As :attr:`PreparedDataset.elsewhere`.
    """
    found = {}
    for video, rows in frames.groupby("video_id"):
        rows = rows.sort_values("frame")
        times = np.maximum.accumulate(rows["time_s"].to_numpy(np.float64))
        anew = np.isin(rows["frame"].to_numpy(), elsewhere.get(str(video), ()))
        found[str(video)] = Timeline(times, rows["face_confidence"].to_numpy(np.float64) > 0, anew)
    return found


Choose = Callable[[int, int], Clip]
"""Which clip is at a place of an epoch."""

Numbers = npt.NDArray[np.int32]
"""Rows, frames: half the memory of Python's own size, and of a million videos each loader process has some."""


@lru_cache(maxsize=2)
def _permutation(seed: int, turn: int, count: int) -> Numbers:
    order = np.arange(count, dtype=np.int32)
    np.random.default_rng([seed, turn]).shuffle(order)
    return order


def _in_turn(seed: int, number: int, count: int) -> int:
    """Element ``number`` of an endless row of shuffled passes over ``range(count)``: all come equally often."""
    turn, place = divmod(number, count)
    return int(_permutation(seed, turn, count)[place])


def check_stride(stride: Sequence[int]) -> None:
    """Raises AulightError unless ``1 <= stride[0] <= stride[1]``."""
    if not 1 <= stride[0] <= stride[1]:
        raise AulightError(f"clip.stride={list(stride)}: [least, most] frames between samples, both at least 1")


class UnlabelledClips:
    """Windows of unlabelled video for stage one: every video in turn, start and stride at random.

    Args:
        segments: ``video, start, stop``: runs of frames with a face (``PreparedDataset.segments``).
        length: Frames a clip, T.
        stride: Least and most frames from one sample to the next, at the dataset's rate; shortened where a run is too
            short.
        clips_per_epoch: How many indices make an epoch.
        seed: Of all draws.
        rates: ``(videos,)`` frames of each video of the dataset to one at its rate, so that samples are as far apart
            in time; ``None``: all have one rate.

    Raises:
        AulightError: When no run is long enough.
    """

    def __init__(
        self,
        segments: pd.DataFrame,
        length: int,
        stride: Sequence[int],
        clips_per_epoch: int,
        seed: int,
        rates: npt.NDArray[np.float64] | None = None,
    ) -> None:
        check_stride(stride)
        long_enough = segments[segments["stop"] - segments["start"] >= length].sort_values(["video", "start"])
        if long_enough.empty:
            raise AulightError(f"clip.length={length}: no run of that many frames with a face in any video")
        self.length, self.stride, self.clips_per_epoch, self.seed = length, stride, clips_per_epoch, seed
        self._start = long_enough["start"].to_numpy(np.int32)
        self._stop = long_enough["stop"].to_numpy(np.int32)
        self._videos, first = np.unique(long_enough["video"].to_numpy(np.int32), return_index=True)
        self._first = np.append(first, len(long_enough))  # runs of video v: _first[v] .. _first[v + 1]
        of_video = np.ones(len(self._videos)) if rates is None else rates[self._videos]
        self._rate = np.where(np.abs(of_video - 1) < SAME_RATE, 1.0, of_video)

    def __call__(self, epoch: int, index: int) -> Clip:
        """The clip at a place of an epoch; an index past the epoch's end gives a spare clip."""
        v = _in_turn(self.seed, epoch * self.clips_per_epoch + index, len(self._videos))
        runs = slice(self._first[v], self._first[v + 1])
        start, span = self._start[runs], self._stop[runs] - self._start[runs]
        rng = np.random.default_rng([self.seed, epoch, index])
        stride = self._rate[v] * int(rng.integers(self.stride[0], self.stride[1], endpoint=True))
        longest = (int(span.max()) - 1) / max(self.length - 1, 1)
        if stride > longest:
            stride = math.floor(longest)
        samples = np.floor(max(stride, 1) * np.arange(self.length) + 0.5).astype(np.int64)
        starts = np.maximum(span - samples[-1], 0)  # possible starts in each run
        draw = int(rng.integers(starts.sum()))
        run = int(np.searchsorted(starts.cumsum(), draw, side="right"))
        begin = int(start[run]) + draw - int(starts[:run].sum())
        return Clip(int(self._videos[v]), begin + samples)


class MixedClips:
    """Clips of two kinds in a fixed share, spread evenly, so that each batch and each process has of both.

    Args:
        first: The clip at a place of an epoch that has ``share`` as many clips.
        second: Likewise for the others.
        share: Of the first kind, in (0, 1).
    """

    def __init__(self, first: Choose, second: Choose, share: float) -> None:
        self.first, self.second, self.share = first, second, share

    def __call__(self, epoch: int, index: int) -> Clip:
        """The clip at a place of an epoch; an index past the epoch's end gives a spare clip."""
        before, now = (math.floor(count * self.share + 1e-9) for count in (index, index + 1))
        return self.first(epoch, before) if now > before else self.second(epoch, index - before)


class LabelledClips:
    """Clips that end at a labelled frame, for stage two: every drawn label in turn.

    The network is causal, so frames after the last label of a clip would get no gradient: there are none. Samples are
    the frames nearest to their times. At the start of a video, or after a longer time without a face
    (:mod:`aulight.nets.tracks`), the clip repeats the first frame there is; where a face is lost for a moment, the last
    frame that shows it. So it is in whole videos (:mod:`aulight.nets.recurrence`).

    Args:
        labels: The drawn rows: ``video`` (row of the dataset's videos), ``frame`` and AU columns.
        columns: The AU columns.
        videos: The timelines of their videos, by row of the dataset's videos.
        length: Frames a clip, T.
        stride: Least and most frames from one sample to the next, at the dataset's rate.
        fps: That rate, in frames per second.
        clips_per_epoch: How many indices make an epoch.
        seed: Of all draws.
        reference: How many frames with a face come in front of each clip, from anywhere in its video, without labels
            (:mod:`aulight.nets.reference`).
        alone: Whether the last frame of a clip is the only one whose label counts, where all frames have one.
    """

    def __init__(
        self,
        labels: pd.DataFrame,
        columns: list[str],
        videos: Mapping[int, Timeline],
        length: int,
        stride: Sequence[int],
        fps: float,
        clips_per_epoch: int,
        seed: int,
        reference: int = 0,
        alone: bool = False,
    ) -> None:
        check_stride(stride)
        self.alone = alone
        self.length, self.stride, self.clips_per_epoch, self.seed = length, stride, clips_per_epoch, seed
        self._fps = fps
        self._video = labels["video"].to_numpy(np.int64)
        self._frame = labels["frame"].to_numpy(np.int64)
        self._values = labels[columns].astype("Float32").to_numpy(np.float32, na_value=np.nan)
        self._row = {place: row for row, place in enumerate(zip(self._video, self._frame, strict=True))}
        self._reference = reference
        self._faces = {video: np.flatnonzero(of.faces) for video, of in videos.items()} if reference else {}
        self._times = {video: of.times for video, of in videos.items()}
        self._held = {video: held(of.times, of.faces, stride[0] / fps, of.anew) for video, of in videos.items()}

    def __call__(self, epoch: int, index: int) -> Clip:
        """The clip at a place of an epoch; an index past the epoch's end gives a spare clip."""
        anchor = _in_turn(self.seed, epoch * self.clips_per_epoch + index, len(self._frame))
        rng = np.random.default_rng([self.seed, epoch, index])
        stride = int(rng.integers(self.stride[0], self.stride[1], endpoint=True))
        video, last = int(self._video[anchor]), int(self._frame[anchor])
        times, (seen, first) = self._times[video], self._held[video]
        wanted = times[last] - stride / self._fps * np.arange(self.length)[::-1]
        # of two frames as near the one before, as streams have it
        near = np.searchsorted((times[1:] + times[:-1]) / 2, wanted - 1e-6)
        frames = seen[np.maximum(near, first[last])]
        targets = np.full((self.length, self._values.shape[1]), np.nan, dtype=np.float32)
        for t, frame in enumerate(frames):
            # count a repeated frame once
            repeated = t + 1 < self.length and (self.alone or frames[t + 1] == frame)
            row = None if repeated else self._row.get((video, int(frame)))
            if row is not None:
                targets[t] = self._values[row]
        if self._reference:
            there = self._faces[video]
            others = rng.choice(there, self._reference, replace=len(there) < self._reference)
            frames = np.concatenate([np.sort(others), frames])
            targets = np.concatenate([np.full((self._reference, targets.shape[1]), np.nan, np.float32), targets])
        return Clip(video, frames, targets)
