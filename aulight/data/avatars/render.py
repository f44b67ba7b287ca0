"""A picture of a figure: what is seen, in which light, before which background, by which camera."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from aulight.data.avatars.camera import Array, Camera
from aulight.data.avatars.chart import Map
from aulight.data.avatars.figure import Figure, Pose, towards
from aulight.data.avatars.raster import Floats, fill
from aulight.data.avatars.shading import LIGHTS, cover, develop, shade
from aulight.data.avatars.wrinkles import Surface

_SHADOW_SIDE = 176
_BIAS = 0.035  # decimetres, by which a point must be behind another to lie in its shadow
_CURVE_STEPS = 4096


def camera_curve() -> Floats:
    """Grey levels of linear values from 0 to 2: sRGB with a soft shoulder."""
    linear = np.linspace(0, 2, _CURVE_STEPS + 1)
    bent = np.where(linear > 0.7, 0.7 + 0.3 * (1 - np.exp(-(linear - 0.7) / 0.3)), linear)
    levels = np.where(bent <= 0.0031308, bent * 12.92, 1.055 * bent ** (1 / 2.4) - 0.055)
    return (255 * levels).astype(np.float32)


@dataclass(frozen=True)
class Light:
    """What lights a frame; directions point to where it comes from, x to the head's left, y up, z to its front.

    Attributes:
        key: ``(3,)`` direction of the key light.
        key_colour: ``(3,)`` linear.
        sky: ``(3,)`` what comes from above.
        ground: ``(3,)`` what comes from below.
        fill: ``(3,)`` direction of the second light.
        fill_colour: ``(3,)`` linear.
        exposure: Of the camera.
    """

    key: Array
    key_colour: Array
    sky: Array
    ground: Array
    fill: Array
    fill_colour: Array
    exposure: float

    def packed(self, camera: Camera) -> Floats:
        """As :func:`shade` has it."""
        eye = np.array([np.sin(camera.angle), 0.0, np.cos(camera.angle)])
        parts = [_unit(self.key), self.key_colour, self.sky, self.ground, _unit(self.fill), self.fill_colour, eye]
        packed = np.concatenate([*parts, [_BIAS]]).astype(np.float32)
        assert len(packed) == LIGHTS
        return packed


def _unit(direction: Array) -> Array:
    return np.asarray(direction / np.linalg.norm(direction))


class Renderer:
    """Pictures of one figure, all of one size.

    Args:
        figure: Who is shown.
        surface: Their skin.
        eye: Their eyes' colours.
        height: Of the pictures.
        width: Of the pictures.
        times: Pixels that are drawn for each, along either side.
    """

    def __init__(self, figure: Figure, surface: Surface, eye: Map, height: int, width: int, times: int) -> None:
        self.figure, self.surface, self.eye = figure, surface, eye
        self.size, self.times = (height, width), times
        self._near = np.zeros((height * times, width * times), np.float32)
        self._seen = np.zeros((height * times, width * times), np.int32)
        self._linear = np.zeros((height * times, width * times, 4), np.float32)
        self._shadow = np.zeros((_SHADOW_SIDE, _SHADOW_SIDE), np.float32)
        self._nobody = np.zeros((_SHADOW_SIDE, _SHADOW_SIDE), np.int32)
        self._curve = camera_curve()
        self._picture = np.zeros((height, width, 3), np.float32)

    def draw(
        self,
        pose: Pose,
        light: Light,
        camera: Camera,
        background: Map,
        matrix: Array | None = None,
    ) -> npt.NDArray[np.float32]:
        """One picture.

        Args:
            pose: Of the figure.
            light: That falls on it.
            camera: That takes the picture.
            background: ``(height, width, 3)`` float32 linear.
            matrix: From the camera's picture to this one; the same, where not given.

        Returns:
            ``(height, width, 3)`` float32 RGB, 0..255; changed by the next call.
        """
        figure, times = self.figure, self.times
        figure.pose(pose)
        screen = camera.project(figure.points)
        if matrix is not None:
            screen[:, :2] = screen[:, :2] @ matrix[:, :2].T.astype(np.float32) + matrix[:, 2].astype(np.float32)
        screen[:, :2] = (screen[:, :2] + np.float32(0.5)) * times - np.float32(0.5)
        self._near[:] = 0
        self._seen[:] = -1
        fill(screen, figure.triangles, 0, figure.solid, False, self._near, self._seen)
        lights = light.packed(camera)
        sunlit = towards(figure.points, lights[:3], _SHADOW_SIDE)
        self._shadow[:] = 0
        fill(sunlit, figure.triangles, 0, figure.solid, False, self._shadow, self._nobody)
        texture = self.surface.at(pose.left, pose.right)
        up = np.ascontiguousarray(figure.turn[:, 1])
        shade(
            screen, sunlit, figure.normals, figure.attributes, figure.triangles, figure.materials, self._seen,
            self._near, times, self._shadow, texture, self.eye, figure.colours, lights, up, self._linear,
        )  # fmt: skip
        bright = float(light.sky.mean() + 0.5 * light.key_colour.mean())
        cover(
            screen, figure.triangles, figure.solid, len(figure.triangles), figure.alpha, figure.colours,
            figure.materials, self._near, bright, self._linear,
        )  # fmt: skip
        develop(self._linear, background, light.exposure, self._curve, times, self._picture)
        return self._picture


def blurred(picture: Map, move: Array) -> Map:
    """A picture blurred by a movement of so many pixels to the right and down."""
    length = float(np.hypot(*move))
    if length < 0.8:
        return picture
    reach = min(int(np.ceil(length / 2)), 8)
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    for share in np.linspace(-0.5, 0.5, 4 * reach + 1):
        kernel[round(reach + float(np.clip(move[1] * share, -reach, reach))),
               round(reach + float(np.clip(move[0] * share, -reach, reach)))] += 1  # fmt: skip
    return np.asarray(cv2.filter2D(picture, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE), np.float32)
