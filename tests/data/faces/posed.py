"""Avatars whose head and eyes are turned in known ways, before cameras that stand in known places."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aulight.data.avatars.camera import Camera
from aulight.data.avatars.figure import turned
from aulight.data.avatars.raw import view
from aulight.data.avatars.scene import Scene
from aulight.data.video.types import Frames

Array = npt.NDArray[np.float64]
FPS, LENGTH = 25.0, 80
WINKING = 0.3
"""Share of a lid's way from which nobody can tell where the eye looks."""

_SEEN = np.diag([1.0, -1.0, -1.0])
"""From x to the right, y up and z to the camera, as avatars have it, to y down and z away."""


@dataclass(frozen=True)
class Posed:
    """A picture of an avatar, and how it is turned.

    Attributes:
        subject: Who.
        image: ``(360, 640, 3)``.
        turn: ``(3, 3)`` of the head against the camera, as :class:`aulight.data.faces.head_pose.HeadPose` has it.
        looks: ``(3,)`` unit vector, where the eyes look, in the same frame.
        open: Whether the eyes are.
        mm: Millimetres that a pixel shows, between the eyes.
    """

    subject: int
    image: Frames
    turn: Array
    looks: Array
    open: bool
    mm: float


def posed(
    seed: int, people: int, frames: Sequence[int], angles: Sequence[float | None] = (None, None)
) -> Iterator[Posed]:
    """Pictures of people.

    Args:
        seed: Decides who they are and what they do.
        people: How many.
        frames: Numbers of the frames of each.
        angles: Of the cameras, radians to the head's left; ``None``: as ``python -m aulight.data.avatars raw`` has the
            first or second of them.
    """
    for subject in range(people):
        scene = Scene(seed, subject, 0, LENGTH, FPS, None, widest=float(np.deg2rad(25)))
        for number, angle in enumerate(angles):
            camera = view(seed, subject, number % 2)
            if angle is not None:
                camera = Camera(camera.distance, camera.zoom, camera.column, camera.row, angle)
            cos, sin = np.cos(camera.angle), np.sin(camera.angle)
            seen = _SEEN @ np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])
            for frame in frames:
                image, pose = scene.whole(frame, camera, number), scene.acting.pose(frame)
                left, up = pose.gaze
                head = scene.figure.turn.astype(np.float64)
                lids = max(pose.others.get("eyeBlinkLeft", 0.0), float(pose.left[-1]))
                yield Posed(
                    subject,
                    image,
                    seen @ head @ _SEEN,
                    seen @ head @ turned(left, -up, 0.0) @ (0, 0, 1),
                    lids < WINKING,
                    100 / camera.zoom,
                )
