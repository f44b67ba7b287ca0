"""What is put on a head: glasses, and hair that falls beside the face without hiding it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aulight.data.avatars.raster import Floats, Numbers
from aulight.data.avatars.shading import FRAME, HAIR, LENS


@dataclass(frozen=True)
class Piece:
    """Something that moves with the head.

    Attributes:
        points: ``(n, 3)`` float32 decimetres, on the person's head at rest.
        triangles: ``(t, 3)`` int32, numbers of these points; seen from both sides.
        material: Of :mod:`aulight.data.avatars.shading`.
        texture: ``(n, 2)`` float32 places in the texture.
    """

    points: Floats
    triangles: Numbers
    material: int
    texture: Floats


def _grid(rows: int, columns: int, closed: bool = False) -> Numbers:
    """Triangles of a grid of points, row by row; ``closed``: its last column is joined to the first."""
    found = []
    for row in range(rows - 1):
        for column in range(columns if closed else columns - 1):
            a, b = row * columns + column, row * columns + (column + 1) % columns
            found += [(a, b, b + columns), (a, b + columns, a + columns)]
    return np.array(found, np.int32)


def glasses(rng: np.random.Generator, shape: Floats, eyes: Floats) -> list[Piece]:
    """Frames and lenses before somebody's eyes.

    Args:
        rng: Decides their form.
        shape: ``(V, 3)`` the head.
        eyes: ``(2, 3)`` the middles of the eyeballs.
    """
    wide, high = rng.uniform(0.20, 0.25), rng.uniform(0.14, 0.20)
    thick, round_ = rng.choice([0.018, 0.034]), rng.uniform(0.5, 1.0)
    turn = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    cosine, sine = np.cos(turn), np.sin(turn)
    outline = np.stack([np.sign(cosine) * np.abs(cosine) ** round_, np.sign(sine) * np.abs(sine) ** round_], 1)
    front = shape[:, 2][(np.abs(shape[:, 0]) < 0.03) & (np.abs(shape[:, 1] - eyes[:, 1].mean()) < 0.1)].max() + 0.06
    pieces = []
    middles = eyes[:, :2] * np.array([1.06, 1.0]) - np.array([0.0, 0.03])
    for x, y in middles.tolist():
        rings = [np.array([x, y]) + outline * (wide + grow, high + grow) for grow in (0, thick)]
        flat = np.concatenate(rings)
        depth = front - 0.10 - 0.35 * np.clip(np.abs(flat[:, 0]) - 0.15, 0, 1) ** 2
        points = np.column_stack([flat, depth]).astype(np.float32)
        pieces.append(_piece(points, _grid(2, len(turn), closed=True), FRAME))
        lens = np.vstack([points[: len(turn)], [[x, y, front - 0.10]]]).astype(np.float32)
        fan = np.array([(len(turn), k, (k + 1) % len(turn)) for k in range(len(turn))], np.int32)
        pieces.append(_piece(lens, fan, LENS))
        side = np.sign(x)
        ends = [(side * (abs(x) + wide), y + 0.04, front - 0.16), (side * 0.80, y + 0.05, 0.2)]
        arm = [(ex, ey + up, ez) for up in (-thick / 2 - 0.008, thick / 2 + 0.008) for ex, ey, ez in ends]
        pieces.append(_piece(np.array(arm, np.float32), _grid(2, 2), FRAME))
    inner = np.abs(middles[:, 0]).mean() - wide
    across = np.linspace(-inner, inner, 5)
    arch = middles[:, 1].mean() + 0.05 + 0.03 * np.cos(across / inner * np.pi / 2)
    bridge = [(x, y + up, front - 0.09) for up in (-0.012, 0.014) for x, y in zip(across, arch, strict=True)]
    pieces.append(_piece(np.array(bridge, np.float32), _grid(2, 5), FRAME))
    return pieces


def long_hair(rng: np.random.Generator, shape: Floats, skin: npt.NDArray[np.int64]) -> Piece:
    """Hair that falls from the temples backwards to the shoulders.

    Args:
        rng: Decides its form.
        shape: ``(V, 3)`` the head.
        skin: Numbers of the skin's points.
    """
    rows, columns = 26, 46
    first = rng.uniform(1.22, 1.5)
    angles = np.linspace(first, 2 * np.pi - first, columns)
    end = rng.uniform(5.5, 6.6)
    heights = np.linspace(8.12, end, rows)
    points = shape[skin]
    centre = np.array([0.0, 0.15])
    offset = points[:, [0, 2]] - centre
    around, radius = np.arctan2(offset[:, 0], offset[:, 1]) % (2 * np.pi), np.hypot(offset[:, 0], offset[:, 1])
    volume = rng.uniform(0.03, 0.13)
    table = np.zeros((rows, columns))
    head = points[:, 1] > 6.9
    for row, height in enumerate(heights):
        at = max(height, 7.15)
        for column, angle in enumerate(angles):
            close = head & (np.abs(points[:, 1] - at) < 0.16)
            close &= np.abs((around - angle + np.pi) % (2 * np.pi) - np.pi) < 0.22
            table[row, column] = radius[close].max() if close.any() else 0.8
    for _ in range(3):  # smooth
        padded = np.pad(table, 1, mode="edge")
        table = (padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:] + 2 * table) / 6
    fall = np.clip((7.3 - heights) / 1.2, 0, 1)[:, None]
    waves = 0.035 * np.interp(np.arange(columns), np.arange(0, columns, 3), rng.normal(0, 1, len(range(0, columns, 3))))
    table = (
        table + volume * np.clip((8.15 - heights) / 0.3, 0.15, 1)[:, None] + waves[None] * (0.4 + fall) + 0.05 * fall
    )
    inward = np.clip((6.4 - heights) / 0.8, 0, 1)[:, None] * 0.12
    x = (table - inward) * np.sin(angles)[None] + centre[0]
    z = (table - inward) * np.cos(angles)[None] + centre[1] - 0.05 * fall
    ends = 0.12 * np.interp(np.arange(columns), np.arange(0, columns, 2), rng.normal(0, 1, len(range(0, columns, 2))))
    high = heights[:, None] + fall * ends[None]
    points = np.stack([x, high, z], -1).reshape(-1, 3).astype(np.float32)
    across = np.abs(np.linspace(-2, 2, columns) % 1)
    texture = np.stack(
        np.broadcast_arrays(0.86 + 0.13 * across[None], (0.06 + 0.2 * np.linspace(0, 1, rows))[:, None]), -1
    )
    return _piece(points, _grid(rows, columns), HAIR, texture.reshape(-1, 2))


def _piece(points: Floats, triangles: Numbers, material: int, texture: npt.ArrayLike | None = None) -> Piece:
    both = np.concatenate([triangles, triangles[:, ::-1]]) if material != LENS else triangles
    place = np.zeros((len(points), 2)) if texture is None else np.asarray(texture)
    return Piece(points, both, material, place.astype(np.float32))
