"""Who is who: the people of a video told apart by where their faces are."""

import numpy as np

from aulight.data.faces.pose import Array, displacement


class People:
    """Tells apart the people of a video: a number for each, by where the faces are, never by how they look.

    A person may move by :attr:`SPEED` while not seen, and somewhat while seen. Each face goes to whom it fits best.
    One that fits several who are out of sight is nobody known: rather a new person than a confusion of two.

    Args:
        most: How many people are remembered; of more, those that were not seen for longest are forgotten.
    """

    NEAR = 0.1
    """Crop sides (of about 24 cm) that a seen face moves in any case; a standard deviation, as the next."""
    SPEED = 1.0
    """Crop sides a second."""
    REACH = 3.0
    """Standard deviations beyond which it is somebody else."""
    DOUBT = 2.0
    """Difference in log likelihood below which two people are not told apart, unless one was twice as near."""

    def __init__(self, most: int | None = None) -> None:
        self._most, self._count = most, 0
        self._last: dict[int, tuple[Array, float]] = {}  # pose and time of each person, who was seen last at the end

    def name(self, poses: list[Array], time_s: float) -> list[int]:
        """Who is who in the next frame: for each ``pose`` of a face the number of its person, from 0."""
        fits = []
        for face, pose in enumerate(poses):
            for person, (last, last_s) in self._last.items():
                sigma = self.NEAR + self.SPEED * (time_s - last_s)
                distance = displacement(last, pose)
                if distance < self.REACH * sigma:
                    fits.append((0.5 * (distance / sigma) ** 2 + 3 * np.log(sigma), distance, face, person))
        names: dict[int, int] = {}
        taken: dict[int, tuple[float, float]] = {}
        for misfit, distance, face, person in sorted(fits):
            if face not in names and person not in taken:
                names[face], taken[person] = person, (misfit, distance)
        for misfit, distance, face, person in fits:
            if person not in taken and face in names:  # another, out of sight, whom it fits as well?
                best, nearest = taken[names[face]]
                if misfit - best < self.DOUBT and distance < 2 * nearest:
                    del names[face]
        for face, pose in enumerate(poses):
            person = names.setdefault(face, self._count)
            self._count = max(self._count, person + 1)
            self._last.pop(person, None)
            self._last[person] = pose, time_s
        while self._most is not None and len(self._last) > self._most:
            del self._last[next(iter(self._last))]
        return [names[face] for face in range(len(poses))]


MOST_AHEAD = 32
"""Frames that are held at a time, however many there are in a second."""
