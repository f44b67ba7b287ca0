"""The texture: the head's surface unrolled round an upright axis, and what lies at each texel.

Skin, brows and wrinkles are painted on it as functions of the place on the base head, so that one painting fits all
heads, whatever their shape.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from aulight.data.avatars.assets import Assets, load_assets
from aulight.data.avatars.raster import Floats, fill
from aulight.data.avatars.reduction import PARTS

ROWS, COLUMNS = 512, 640
TOP, BOTTOM = 8.55, 5.45  # decimetres
_AXIS_Z, _REACH = 0.3, 2.0  # where the axis is; radians from the front to either edge

Map = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Chart:
    """What lies at each texel, all ``(ROWS, COLUMNS)`` float32; decimetres on the base head.

    Attributes:
        x: To the head's left.
        y: Up.
        z: To the front.
        lips: 0..1.
        across: Decimetres from one texel to the next to the head's left.
    """

    x: Map
    y: Map
    z: Map
    lips: Map
    across: Map


DOWN = (TOP - BOTTOM) / (ROWS - 1)
"""Decimetres from one texel to the one below."""


def place(points: Floats) -> Floats:
    """Where points ``(V, 3)`` of the base head lie in the texture: ``(V, 2)`` column and row, 0..1, clipped."""
    angle = np.arctan2(points[:, 0], points[:, 2] - _AXIS_Z)
    column = (angle / _REACH + 1) / 2
    row = (TOP - points[:, 1]) / (TOP - BOTTOM)
    return np.asarray(np.clip(np.stack([column, row], 1), 0, 1), np.float32)


@cache
def chart() -> Chart:
    """The chart of the base head."""
    assets: Assets = load_assets()
    where = place(assets.points)
    radius = np.hypot(assets.points[:, 0], assets.points[:, 2] - _AXIS_Z)
    screen = np.stack([where[:, 0] * (COLUMNS - 1), where[:, 1] * (ROWS - 1), 1 + radius], 1).astype(np.float32)
    skin = assets.triangles[assets.parts == PARTS.index("skin")]
    spread = np.ptp(where[skin, 0], axis=1)
    skin = np.ascontiguousarray(skin[spread < 0.3])  # those that cross the edge behind are not drawn
    near, seen = np.zeros((ROWS, COLUMNS), np.float32), np.full((ROWS, COLUMNS), -1, np.int32)
    fill(screen, skin, 0, len(skin), True, near, seen)
    values = np.concatenate([assets.points, assets.lips[:, None]], 1)
    found = np.zeros((ROWS, COLUMNS, 4), np.float32)
    rows, columns = np.nonzero(seen >= 0)
    corners = screen[skin[seen[rows, columns]], :2]  # (n, 3, 2)
    at = np.stack([columns, rows], 1)[:, None]
    one, two, three = (corners[:, k] - at[:, 0] for k in range(3))

    def area(first: Floats, second: Floats) -> Floats:
        return np.asarray(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0], np.float32)

    shares = np.stack([area(two, three), area(three, one), area(one, two)], 1)
    shares /= shares.sum(1, keepdims=True)
    found[rows, columns] = (values[skin[seen[rows, columns]]] * shares[..., None]).sum(1)
    _spread(found, seen >= 0)
    x, y, z, lips = (np.ascontiguousarray(found[..., k]) for k in range(4))
    across = np.maximum(np.hypot(x, z - _AXIS_Z), 0.3) * (2 * _REACH / (COLUMNS - 1))
    return Chart(x, y, z, lips, across.astype(np.float32))


def _spread(values: npt.NDArray[np.float32], known: npt.NDArray[np.bool_]) -> None:
    """Gives texels where nothing lies (holes of eyes and mouth, edges) what lies nearest in their column."""
    rows = np.arange(len(values))
    for column in range(values.shape[1]):
        there = np.flatnonzero(known[:, column])
        if len(there):
            nearest = there[np.abs(rows[:, None] - there[None]).argmin(1)]
            values[:, column] = values[nearest, column]
