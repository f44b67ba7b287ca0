"""The movement of a crop without the landmarker's trembling, and without a lag."""

import math
from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np

from aulight.data.faces.people import MOST_AHEAD
from aulight.data.faces.pose import Array, displacement, middle_square
from aulight.data.faces.sightings import Sighted, Sighting
from aulight.data.video.types import RawFrame

JUMP = 0.4
"""Crop sides from one frame to the next beyond which nothing is smoothed: a cut to another picture."""


class _Movement:
    """How one person moves: where they were and, of the frames that are held, where they will be."""

    def __init__(self) -> None:
        # time, size of picture, run without loss or jump, and pose of faces near the next frame
        self._near: deque[tuple[float, tuple[int, ...], int, Array]] = deque()
        self._held: tuple[float, tuple[int, ...], Array] | None = None  # time, size and pose of the last face before
        self._place, self._run = -2, 0

    def see(self, place: int, frame: RawFrame, face: Sighting) -> None:
        """A face in the newest frame, ``place`` frames after the first."""
        shape, lost = frame.image.shape, self._place != place - 1
        if lost or self._near[-1][1] != shape or displacement(self._near[-1][3], face.pose) > JUMP:
            self._run += 1
        self._near.append((frame.time_s, shape, self._run, face.pose))
        self._place = place

    def pose(self, frame: RawFrame, seen: bool, smooth_s: float) -> Array:
        """The pose with which the next frame is cut."""
        now = frame.time_s
        while len(self._near) > 1 and self._near[0][0] < now - 3 * smooth_s:
            self._near.popleft()
        if seen:
            run = next(run for time_s, _, run, _ in self._near if time_s == now)
            near = [(time_s - now, pose) for time_s, _, other, pose in self._near if other == run]
            pose = _fit(np.array([time for time, _ in near]), np.array([pose for _, pose in near]), smooth_s)
            self._held = now, frame.image.shape, pose
            return pose
        known = [] if self._held is None else [self._held]
        known += [(time_s, shape, pose) for time_s, shape, _, pose in self._near if time_s > now]
        known = [place for place in known if place[1] == frame.image.shape]
        nearest = min(known, key=lambda place: abs(place[0] - now), default=None)
        return middle_square(frame.image) if nearest is None else nearest[2]

    def missing_s(self, now: float) -> float:
        """Seconds since they were last seen before a frame or in it; infinite before the first time."""
        return math.inf if self._held is None else now - self._held[0]

    def comes(self, now: float) -> bool:
        """Whether they are seen in a frame that is held."""
        return self._near[-1][0] > now


def steadied(
    seen: Iterable[Sighted], smooth_s: float, keep_s: float | None
) -> Iterator[tuple[RawFrame, dict[int, tuple[Sighting | None, Array]]]]:
    """Adds the poses with which crops are cut: where a face is, and for ``keep_s`` where it was.

    With ``None``, it is one person, number 0, who is in every frame.
    """
    ahead: deque[Sighted] = deque()  # frames to come
    moves: dict[int, _Movement] = {}

    def steady() -> tuple[RawFrame, dict[int, tuple[Sighting | None, Array]]]:
        frame, faces = ahead.popleft()
        poses = {}
        for person, move in list(moves.items()):
            face = faces.get(person)
            if face is not None or keep_s is None or move.missing_s(frame.time_s) <= keep_s:
                poses[person] = face, move.pose(frame, face is not None, smooth_s)
            elif not move.comes(frame.time_s):
                del moves[person]
        if keep_s is None and not poses:
            poses[0] = None, middle_square(frame.image)
        return frame, poses

    for place, (frame, faces) in enumerate(seen):
        for person, face in faces.items():
            moves.setdefault(person, _Movement()).see(place, frame, face)
        ahead.append((frame, faces))
        while ahead and (frame.time_s - ahead[0][0].time_s >= 3 * smooth_s or len(ahead) == MOST_AHEAD):
            yield steady()
    while ahead:
        yield steady()


OUTLIER = 0.02
"""Crop sides off the smoothed movement at which a frame counts half: the landmarker errs now and then."""

_RIDGE = np.diag([0, 1e-9, 1e-9])
"""Has fewer than three frames give a straight line or a constant."""


def _fit(times: Array, poses: Array, sigma: float) -> Array:
    """The value at time 0 of parabolas fitted to poses ``(n, 4)`` at ``times``, nearer ones weighing more.

    Unlike a mean, a parabola neither lags at the ends nor cuts the turns of a movement short. What lies far off it is
    given less weight, and the fit is made again.
    """
    now: Array = poses[np.abs(times).argmin()].copy()
    if sigma == 0:
        return now
    poses[:, 3] -= math.tau * np.round((poses[:, 3] - now[3]) / math.tau)
    times = times / sigma
    powers = np.stack([np.ones_like(times), times, times**2])
    weights = near = np.exp(-0.5 * times**2)
    unit = np.array([math.exp(-now[2]), math.exp(-now[2]), 1.0, 1.0]) / OUTLIER
    for _ in range(3):
        weighted = powers * weights
        fit = np.linalg.solve(weighted @ powers.T + _RIDGE, weighted @ poses)
        off = (poses - powers.T @ fit) * unit
        weights = near / (1 + np.einsum("ij,ij->i", off, off))
    return np.array(fit[0])
