"""A part of a film: between two seconds, some of its frames alone, turned; each keeps its number and its time."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from aulight.data.video.types import Frames, RawFrame
from aulight.errors import VideoError

EARLY_S = 1e-6
"""Seconds by which a frame may be early and still count as on time: times are sums of rounded steps."""


@dataclass(frozen=True)
class Part:
    """Which frames of a film are wanted.

    With a recurrence, whose state goes on in steps of ``step_s``, frames that are wanted may lie too far apart for it.
    Then frames between them are given as well, at most a step apart, and say so (:attr:`RawFrame.between`).

    Attributes:
        start_s: Second from which on, by the film's own clock; ``None``: from its first frame on.
        end_s: Second before which; ``None``: to its end.
        every: Each so many-th frame, counted from the first that is in the part.
        rate: So many frames a second, from the first: the first frame at or after each tick.
        degrees: By which pictures are turned, clockwise: 0, 90, 180 or 270.
        step_s: Of the recurrence; ``None`` for none.
    """

    start_s: float | None = None
    end_s: float | None = None
    every: int | None = None
    rate: float | None = None
    degrees: int = 0
    step_s: float | None = None

    @property
    def whole(self) -> bool:
        """Whether it is all of the film, as it is."""
        return self == Part(step_s=self.step_s)

    def frames(self, film: Iterable[tuple[int, RawFrame]], fps: float, what: object) -> Iterator[RawFrame]:
        """The frames that are wanted.

        Args:
            film: The frames, each after its place in the film, from 0; those before the part may be missing.
            fps: Frames per second of the film.
            what: The film, as a message is to call it.

        Raises:
            VideoError: When the film ends before the part begins.
        """
        last_s, begin = -math.inf, None
        steps = _Steps(self, fps)
        for place, frame in film:
            last_s = frame.time_s
            if self.start_s is not None and frame.time_s < self.start_s - EARLY_S:
                continue
            if self.end_s is not None and frame.time_s >= self.end_s - EARLY_S:
                break
            begin = (place, frame.time_s) if begin is None else begin
            if (between := steps.take(place - begin[0], frame.time_s - begin[1])) is not None:
                image = turned(frame.image, self.degrees)
                yield replace(frame, image=image, place=place, between=between)
        if begin is None and last_s > -math.inf:
            if self.start_s is not None and last_s < self.start_s - EARLY_S:  # of pictures; films say it themselves
                raise VideoError(f"{what}: start={self.start_s:g}: its last frame is at {last_s:.3f} s")
            raise VideoError(f"{what}: no frame from {self.start_s or 0:g} s to {self.end_s:g} s")

    def count(self, frames: int, fps: float) -> int:
        """About how many of a film's frames are given."""
        length_s = frames / fps
        kept = min(length_s, math.inf if self.end_s is None else self.end_s) - (self.start_s or 0.0)
        steps = _Steps(self, fps)
        return max(0, round(kept * min(fps, steps.rate or fps / (steps.every or 1))))


class _Steps:
    """Tells which frames of a part are taken, and which of them are only between those that are wanted."""

    def __init__(self, part: Part, fps: float) -> None:
        self._every, self._rate = part.every, part.rate
        self.every, self.rate = part.every, part.rate  # with those between
        apart_s = part.every / fps if part.every else 1 / part.rate if part.rate else 0.0
        if part.step_s is not None and apart_s:
            parts = max(1, math.ceil(apart_s / part.step_s - 1e-3))
            self.every = None if part.every is None else max(1, part.every // parts)
            self.rate = None if part.rate is None else part.rate * parts
        self._last, self._last_between = -1, -1

    def take(self, places: int, seconds: float) -> bool | None:
        """Whether a frame is between only; ``None`` for one that is not taken.

        Args:
            places: How many frames after the first of the part it is.
            seconds: How long after it.
        """
        if self._every is not None and self.every is not None:
            after = places % self._every
            return None if after % self.every else after > 0
        if self._rate is not None and self.rate is not None:
            tick = math.floor((seconds + EARLY_S) * self._rate)
            inner = math.floor((seconds + EARLY_S) * self.rate)
            if tick > self._last:
                self._last, self._last_between = tick, inner
                return False
            if inner > self._last_between:
                self._last_between = inner
                return True
            return None
        return False


def turned(image: Frames, degrees: int) -> Frames:
    """A picture ``(H, W, 3)`` turned clockwise by 0, 90, 180 or 270 degrees."""
    return image if degrees == 0 else np.ascontiguousarray(np.rot90(image, -(degrees // 90)))
