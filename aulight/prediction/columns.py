"""What a table says of a face beside its AUs: under OpenFace's names and in its units where OpenFace has them.

How each is computed, and how far it can be trusted, is told in docs/columns.md.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from aulight.data.faces.crop import AlignedFrame
from aulight.data.faces.gaze import gaze, gaze_angles
from aulight.data.faces.head_pose import head_pose
from aulight.data.faces.ibug import IBUG, points_2d, points_3d
from aulight.data.faces.pose import BLENDSHAPES, Array, Face
from aulight.data.faces.quality import quality
from aulight.data.faces.sightings import Measured
from aulight.data.video.types import Frames
from aulight.errors import AulightError
from aulight.settings.predict import NO_SIDES, PRESENT_FROM

QUALITY = "quality"
PRESENCE = "presence"

_POINTS = range(len(IBUG))
_ARKIT = range(1, len(BLENDSHAPES))
"""Of the landmarker's scores those that ARKit has: the first is a neutral face."""

MEASURED: dict[str, list[str]] = {
    QUALITY: [QUALITY],
    "box": ["face_x", "face_y", "face_width", "face_height"],
    "pose": ["pose_Tx", "pose_Ty", "pose_Tz", "pose_Rx", "pose_Ry", "pose_Rz"],
    "gaze": [*(f"gaze_{eye}_{axis}" for eye in (0, 1) for axis in "xyz"), "gaze_angle_x", "gaze_angle_y"],
    "landmarks2d": [f"{axis}_{point}" for axis in "xy" for point in _POINTS],
    "landmarks3d": [f"{axis}_{point}" for axis in "XYZ" for point in _POINTS],
}
"""The columns of each group that is measured on a picture, in their order."""

SHAPES = "blendshapes"
SIDED = "sides"
GROUPS = (*MEASURED, SHAPES, SIDED, PRESENCE)
USUAL = ("box", "pose", QUALITY)
"""As ``conf/predict/predict.yaml`` has them."""


@dataclass(frozen=True)
class Columns:
    """What is said of a face beside the intensities of its AUs; :func:`columns_of` makes it.

    Attributes:
        groups: Of :data:`GROUPS`, in this order.
        present_from: Intensity from which an AU is present.
        min_quality: Below it, nothing is said of AUs; ``None``: it is said of all.
        sides: Names of the columns of left and right, after those of the AUs; none where they are not wanted.
    """

    groups: tuple[str, ...] = ()
    present_from: float = PRESENT_FROM
    min_quality: float | None = None
    sides: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """Of the columns before those of the AUs."""
        shapes = [BLENDSHAPES[number] for number in _ARKIT] if self.shapes else []
        return [name for group in self._measured for name in MEASURED[group]] + shapes

    @property
    def presence(self) -> bool:
        """Whether there are columns of what is present: ``AU01_c`` ..."""
        return PRESENCE in self.groups

    @property
    def shapes(self) -> bool:
        """Whether blendshapes are needed."""
        return SHAPES in self.groups

    @property
    def measure(self) -> "Callable[[Face, Frames], Measured] | None":
        """Measures a face on its picture ``(H, W, 3)``; ``None`` where nothing is to be measured."""
        return self._measure if self._measured else None

    @property
    def _measured(self) -> list[str]:
        return [group for group in self.groups if group in MEASURED]

    def values(self, face: AlignedFrame | None) -> list[float]:
        """What is said of a face under :attr:`names`; NaN where there is none."""
        if face is None:
            return [np.nan] * len(self.names)
        shapes = face.blendshapes[_ARKIT].tolist() if self.shapes else []
        return [*face.measured.tolist(), *shapes]

    def is_trusted(self, face: AlignedFrame) -> bool:
        """Whether a face is seen so well that something is to be said of its AUs."""
        return self.min_quality is None or float(face.measured[0]) >= self.min_quality

    def _measure(self, face: Face, image: Frames) -> Measured:
        height, width = image.shape[:2]
        pose = head_pose(face)
        found = list[Array]()
        for group in self._measured:
            match group:
                case "quality":
                    found.append(np.array([quality(face, pose, image).all]))
                case "box":
                    low, high = face.landmarks.min(0), face.landmarks.max(0)
                    found.append(np.concatenate([low, high - low]))
                case "pose":
                    found.append(np.array([*pose.place(width, height), *pose.angles]))
                case "gaze":
                    eyes = gaze(face, pose)
                    found.append(np.array([*eyes.ravel(), *gaze_angles(eyes)]))
                case "landmarks2d":
                    found.append(points_2d(face).T.ravel())
                case "landmarks3d":
                    found.append(points_3d(face, pose, width, height).T.ravel())
        return np.concatenate(found).astype(np.float32)


def columns_of(
    groups: Sequence[str], present_from: float, min_quality: float | None, found: bool, sides: Sequence[str] = ()
) -> Columns:
    """The columns that are wanted.

    Args:
        groups: Of :data:`GROUPS`.
        present_from: As of :class:`Columns`, as the next.
        min_quality: As there.
        found: Whether faces are found: of pictures that are aligned already, only what is present is known.
        sides: Columns of left and right, where what scores the faces tells them apart.

    Raises:
        AulightError: For others, for sides that nobody tells apart, and for a least quality where it is not measured.
    """
    if unknown := [group for group in groups if group not in GROUPS]:
        raise AulightError(f"columns={unknown[0]}: one of {', '.join(GROUPS)}")
    if SIDED in groups and not sides:
        raise AulightError(f"columns=[{SIDED}]: {NO_SIDES}")
    if min_quality is not None and not found:
        raise AulightError(f"min_quality={min_quality}: quality is of faces that are found; add faces=mediapipe")
    if min_quality is not None and QUALITY not in groups:
        raise AulightError(f"min_quality={min_quality}: needs quality among columns")
    known = [group for group in GROUPS if group in groups and (found or group == PRESENCE)]
    return Columns(tuple(known), present_from, min_quality, tuple(sides) if SIDED in groups else ())
