"""The camera: where points come to lie on its picture, and where a face is cut out of that."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aulight.data.avatars.figure import Figure
from aulight.data.avatars.identity import EYES_AT
from aulight.data.avatars.raster import Floats
from aulight.data.faces.pose import pose_of

Array = npt.NDArray[np.float64]
WIDTH, HEIGHT = 640, 360
"""Of whole pictures, pixels."""

_STABLE = {
    33: "right eye outer", 133: "right eye inner", 362: "left eye inner", 263: "left eye outer", 168: "bridge high",
    6: "bridge", 197: "bridge low", 195: "nose back", 98: "right nostril", 2: "nose base", 327: "left nostril",
}  # fmt: skip
"""The landmarks by which faces are aligned, and the points of a figure that lie there."""


@dataclass(frozen=True)
class Camera:
    """A pinhole before the face, which looks level.

    Attributes:
        distance: Decimetres to the middle between the eyes of a head that is not shifted.
        zoom: Pixels that a decimetre there has.
        column: Where that middle is, pixels.
        row: Likewise.
        angle: Radians that it stands to the head's left.
    """

    distance: float
    zoom: float
    column: float = WIDTH / 2
    row: float = HEIGHT / 2
    angle: float = 0.0

    def view(self, points: Floats) -> Floats:
        """Points ``(V, 3)`` as this camera has them: x to the right, y up, z to it."""
        offset = points - np.array(EYES_AT, np.float32)
        cos, sin = np.float32(np.cos(self.angle)), np.float32(np.sin(self.angle))
        out = offset.copy()
        out[:, 0] = offset[:, 0] * cos - offset[:, 2] * sin
        out[:, 2] = offset[:, 0] * sin + offset[:, 2] * cos
        return out

    def project(self, points: Floats) -> Floats:
        """``(V, 3)``: column, row, nearness."""
        at = self.view(points)
        nearness = 1 / np.maximum(np.float32(self.distance) - at[:, 2], np.float32(0.5))
        scale = np.float32(self.zoom * self.distance) * nearness
        return np.stack([self.column + at[:, 0] * scale, self.row - at[:, 1] * scale, nearness], 1).astype(np.float32)


def cut(figure: Figure, camera: Camera) -> Array:
    """The square of a face on the picture that ``prepare`` would cut out: ``pose`` of its ``Face``."""
    numbers = [figure.landmarks[name] for name in _STABLE.values()]
    seen = camera.project(figure.points[numbers])
    landmarks = np.zeros((478, 2))
    landmarks[list(_STABLE)] = seen[:, :2] + 0.5  # landmarks are counted from the corner of the first pixel
    return pose_of(landmarks)


def crop_matrix(pose: Array, size: int) -> Array:
    """``(2, 3)`` from pixels of the picture to those of a crop, both with their centres at whole numbers."""
    side, angle = np.exp(pose[2]), pose[3]
    cos, sin = np.cos(angle), np.sin(angle)
    turn = size * np.array([[cos, sin], [-sin, cos]]) / side
    return np.column_stack([turn, turn @ (0.5 - pose[:2]) + (size - 1) / 2])
