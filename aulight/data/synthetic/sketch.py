"""Layers of paint and shade, recorded for all frames of a video and then drawn frame by frame."""

import cv2
import numpy as np
import numpy.typing as npt

from aulight.data.synthetic.looks import View
from aulight.data.synthetic.motion import Array

Image = npt.NDArray[np.uint8]

_SUPERSAMPLE = 2
_SHIFT = 4  # fractional bits of the coordinates that OpenCV draws with
_DEEPEST = 0.6  # the strongest darkening of a fold
_NEUTRAL = 200  # value of a shade layer that leaves the picture as it is; 255 lights it, less darkens it


class Sketch:
    """Shapes of one video, recorded for all its frames at once and then drawn frame by frame.

    Three layers: ``paint`` holds colours; ``crease`` and ``volume`` are grey and multiply the picture, the
    first hardly blurred (folds and furrows), the second much (cheeks, sockets, the sides of the nose).
    Coordinates are ``(points,)`` or ``(frames, points)``.
    """

    def __init__(self, view: View, pixels: int) -> None:
        self.view = view
        self.frames = len(view.roll)
        self.pixels = pixels
        self._shapes: list[tuple[str, npt.NDArray[np.int32], list[list[float]], list[bool], int]] = []

    def _project(self, x: npt.ArrayLike, y: npt.ArrayLike, depth: float, side: int) -> npt.NDArray[np.int32]:
        """Face coordinates to fixed-point pixels ``(frames, points, 2)``: a rounded head, orthographic."""
        view = self.view
        x, y = (np.broadcast_to(a, (self.frames, np.shape(a)[-1])) for a in np.broadcast_arrays(x, y))
        # Depth relative to the midpoint of the eyes, which alignment holds in place.
        z = depth - 0.45 * x**2 - 0.3 * y**2
        yaw, pitch = view.yaw[:, None], view.pitch[:, None]
        x, y = x * np.cos(yaw) + z * np.sin(yaw), y * np.cos(pitch) + z * np.sin(pitch)
        cosine, sine = np.cos(view.roll)[:, None], np.sin(view.roll)[:, None]
        zoom = 1 + view.zoom[:, None]
        column = (x * cosine - y * sine) * zoom + view.shift_x[:, None]
        row = (x * sine + y * cosine) * zoom + view.shift_y[:, None]
        points: Array = (np.stack([column, row], -1) + 1) * (side / 2) - 0.5
        fixed: npt.NDArray[np.int32] = np.round(points * 2**_SHIFT).astype(np.int32)
        return fixed

    def paint(
        self,
        x: npt.ArrayLike,
        y: npt.ArrayLike,
        colour: npt.ArrayLike,
        width: float = 0.0,
        depth: float = 0.0,
    ) -> None:
        """A polygon filled with a colour, or with a width a line."""
        self._add("paint", x, y, np.broadcast_to(colour, (self.frames, 3)), width, depth, [True] * self.frames)

    def shade(
        self,
        x: npt.ArrayLike,
        y: npt.ArrayLike,
        strength: npt.ArrayLike,
        width: float = 0.0,
        depth: float = 0.0,
        layer: str = "crease",
    ) -> None:
        """Darken (strength above 0) or lighten (below 0) a polygon, or with a width a line."""
        drop: Array = np.minimum(np.broadcast_to(np.asarray(strength), (self.frames,)), _DEEPEST)
        value = _NEUTRAL * (1 - drop)[:, None]
        self._add(layer, x, y, value, width, depth, (np.abs(drop) > 0.01).tolist())

    def _add(
        self,
        layer: str,
        x: npt.ArrayLike,
        y: npt.ArrayLike,
        colour: Array,
        width: float,
        depth: float,
        shown: list[bool],
    ) -> None:
        side = self.pixels * (1 if layer == "volume" else _SUPERSAMPLE)
        thickness = max(1, round(width * side / 2)) if width else 0
        points = self._project(x, y, depth, side)
        self._shapes.append((layer, points, np.clip(colour, 0, 255).tolist(), shown, thickness))

    def render(self, backdrop: Array, noise: npt.NDArray[np.float32] | None = None) -> Image:
        """Draw every frame: ``(frames, pixels, pixels, 3)`` RGB."""
        view, side = self.view, self.pixels * _SUPERSAMPLE
        grid = np.linspace(-1, 1, self.pixels, dtype=np.float32)
        out = np.empty((self.frames, self.pixels, self.pixels, 3), np.uint8)
        layers = {
            "paint": np.empty((side, side, 3), np.uint8),
            "crease": np.empty((side, side), np.uint8),
            "volume": np.empty((self.pixels, self.pixels), np.uint8),
        }
        for frame in range(self.frames):
            layers["paint"][:] = backdrop
            layers["crease"][:] = layers["volume"][:] = _NEUTRAL
            for layer, points, colours, shown, thickness in self._shapes:
                canvas, colour = layers[layer], colours[frame]
                if not shown[frame]:
                    continue
                if thickness:
                    cv2.polylines(canvas, [points[frame]], False, colour, thickness, cv2.LINE_AA, _SHIFT)
                else:
                    cv2.fillPoly(canvas, [points[frame]], colour, cv2.LINE_AA, _SHIFT)
            crease = cv2.GaussianBlur(layers["crease"], (3, 3), 0)
            picture = cv2.multiply(layers["paint"], cv2.merge([crease] * 3), scale=1 / _NEUTRAL)
            picture = cv2.resize(picture, (self.pixels, self.pixels), interpolation=cv2.INTER_AREA)
            light = 1 + view.light_x[frame] * grid[None] + view.light_y[frame] * grid[:, None]
            light = (np.maximum(light, 0.2) * (1 + view.brightness[frame])).astype(np.float32)
            volume = cv2.GaussianBlur(layers["volume"], (0, 0), 0.035 * self.pixels)
            gain = cv2.multiply(volume, light, scale=1 / _NEUTRAL, dtype=cv2.CV_32F)
            lit = cv2.multiply(picture, cv2.merge([gain] * 3), dtype=cv2.CV_32F)
            if noise is not None:
                lit += noise[frame]
            out[frame] = np.clip(lit, 0, 255)
        return out
