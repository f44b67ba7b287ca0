"""A recurrence over the frames of a video, whatever their rate, as it was trained on clips.

Clips have samples ``step_s`` apart, and repeat the first frame there is where they begin before it. So here

- a frame at time t continues the state of time t - ``step_s``: that of the frame then, or one between those of the two
  frames around it. At the rate of training these are interleaved sequences, which know nothing of each other;
- a track begins with its first frame, ``primed`` times over;
- where the face is not seen for a moment, or no frame comes for longer than a step, the last one with a face is seen
  again; what begins anew is said in :mod:`aulight.nets.tracks`.
"""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from aulight.nets.tracks import Times, Which, begins, patience_s

Step = Callable[[Tensor, Tensor | None], tuple[tuple[Tensor, ...], Tensor | None]]
"""Inputs ``(n, ...)`` and the states before them ``(n, ...)`` to outputs ``(n, ...)`` and the states after them. The
states are ``None`` before the first frame, and always where there are none."""

NEAR = 0.1
"""Share of the time from one frame to the next within which a frame's state is taken as it is."""


class Recurrence:
    """The state of one video, in constant memory.

    Args:
        step_s: Seconds from one sample of a clip to the next.
        primed: How often the first frame of a track is seen before it counts: one time less than a clip has samples.
    """

    def __init__(self, step_s: float, primed: int) -> None:
        self.step_s, self.primed = step_s, primed
        self._slack = min(1e-3, step_s / 20)  # of times that are written in milliseconds
        self._frame: Tensor | None = None  # the last one with a face, or the first of all
        self._seen_s, self._sample_s = -math.inf, -math.inf  # when there was a face, and a sample
        # Times and states of the last samples, which frames to come continue. The first is what stands before a track.
        self._times: Times = np.array([-math.inf])
        self._states: Tensor | None = None

    def push(
        self, frames: Tensor, times: Times, faces: Which, anew: Which, look: Callable[[Tensor], Tensor], step: Step
    ) -> tuple[Tensor, ...]:
        """What the step says of the next frames.

        Args:
            frames: ``(n, ...)``, at least one.
            times: ``(n,)`` seconds.
            faces: ``(n,)`` whether there is a face.
            anew: ``(n,)`` whether it is another person, or the face is elsewhere.
            look: What can be said of frames each on its own: to the inputs of ``step``.
            step: One step of the recurrence.

        Returns:
            Its outputs, each ``(n, ...)``; of no use for frames without a face.
        """
        sources, at, new, rows = self._plan(times, faces, begins(times, faces, self.step_s, self._seen_s, anew))
        # place 0 is the frame before; none is looked at twice
        shown = torch.cat([frames[:1] if self._frame is None else self._frame, frames])
        different, inverse = np.unique(sources, return_inverse=True)
        inputs = look(_taken(shown, different))
        self._frame = shown[sources[-1], None].clone()
        outputs = self._run(step, _taken(inputs, inverse), at, new)
        return tuple(_taken(output, rows) for output in outputs)

    def _plan(
        self, times: Times, faces: Which, new: Which
    ) -> tuple[npt.NDArray[np.int64], Times, Which, npt.NDArray[np.int64]]:
        """The samples: which frame each shows, when it is, and whether it begins a track; and the sample of each frame.

        Frame 0 is the one before these.
        """
        source, samples, rows = 0, list[tuple[int, float, bool]](), list[int]()
        for place, (now, face, begin) in enumerate(zip(times.tolist(), faces.tolist(), new.tolist(), strict=True)):
            first = self._sample_s == -math.inf
            if not (begin or first) and now - self._seen_s <= patience_s(self.step_s):
                while now - self._sample_s > self.step_s + self._slack:  # no frame came
                    self._sample_s += self.step_s
                    samples.append((source, self._sample_s, False))
            if face or first:
                source = place + 1
            if face:
                self._seen_s = now
            self._sample_s = now
            rows.append(len(samples))
            samples.append((source, now, begin or first))
        sources, at, started = zip(*samples, strict=True)
        return np.array(sources), np.array(at), np.array(started), np.array(rows)

    def _run(self, step: Step, inputs: Tensor, times: Times, new: Which) -> list[Tensor]:
        """The outputs of samples; those together that continue states which are there."""
        found, start = list[tuple[Tensor, ...]](), 0
        while start < len(times):
            if new[start]:
                self._begin(step, inputs[start, None])
                reach = times[start] - 2 * self._slack  # they all continue what stands before the track
            else:
                reach = self._times[-1]
            ready = (times[start:] - self.step_s <= reach + self._slack) & ~new[start:]
            ready[0] = True
            stop = start + int(np.append(ready, False).argmin())
            outputs, states = step(inputs[start:stop], self._before(times[start:stop] - self.step_s))
            self._keep(times[start:stop], states)
            found.append(outputs)
            start = stop
        return [torch.cat(parts) for parts in zip(*found, strict=True)]

    def _begin(self, step: Step, first: Tensor) -> None:
        state: Tensor | None = None
        for _ in range(self.primed):
            _, state = step(first, state)
        self._times, self._states = np.array([-math.inf]), state

    def _before(self, times: Times) -> Tensor | None:
        """The states at any times."""
        if self._states is None:
            return None
        lower = np.searchsorted(self._times, times + self._slack, side="right") - 1
        upper = np.minimum(lower + 1, len(self._times) - 1)
        early, late = self._times[lower], self._times[upper]
        between = np.isfinite(early) & (late > early)
        share = np.zeros(len(times))
        share[between] = (times[between] - early[between]) / (late[between] - early[between])
        share[share < NEAR] = 0
        lower, share = np.where(share > 1 - NEAR, upper, lower), np.where(share > 1 - NEAR, 0, share)
        states = _taken(self._states, lower)
        if share.any():
            weight = torch.as_tensor(share, dtype=states.dtype, device=states.device)
            weight = weight.reshape(-1, *[1] * (states.ndim - 1))
            states = torch.lerp(states, _taken(self._states, upper), weight)
        return states

    def _keep(self, times: Times, states: Tensor | None) -> None:
        """Notes what came of samples, and forgets what no frame to come continues."""
        if states is not None:
            before = torch.zeros_like(states[:1]) if self._states is None else self._states
            states = torch.cat([before, states])
        self._times = np.append(self._times, times)
        oldest = int(np.searchsorted(self._times, times[-1] - self.step_s + self._slack, side="right")) - 1
        self._times = self._times[oldest:]
        self._states = None if states is None else states[oldest:]


def _taken(values: Tensor, places: npt.NDArray[np.int64]) -> Tensor:
    """The values at some places; all of them as they are, where that is what is wanted."""
    if np.array_equal(places, np.arange(len(values))):
        return values
    return values[torch.as_tensor(places, device=values.device)]
