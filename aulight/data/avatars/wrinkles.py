"""What FACS looks for beside movement: furrows, bulges and pouches, as relief and shade driven by action units.

Lines across the forehead (1, 2), the glabella's (4), crow's feet and the raised cheek (6), the pouch of the lower lid
(7), lines on the nose's root and beside it (9), the nasolabial furrow (10, 12), dimples (14), the corner's hook (15),
the chin's boss (17), the cheek's pull (20), lips that bulge (23, 24). With age some of them stay at rest.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from aulight.data.avatars.actions import AVATAR_AUS
from aulight.data.avatars.chart import COLUMNS, DOWN, ROWS, TOP, Chart, Map, chart
from aulight.data.avatars.compiled import compiled
from aulight.data.avatars.identity import Person
from aulight.data.avatars.skin import Skin, cloud, spot

Line = tuple[tuple[tuple[float, float], ...], float, float]
"""Places on the left side of the base head (decimetres), how wide a furrow is, and its depth (less than 0: a bulge)."""

_AT_REST = {1: 0.5, 2: 0.45, 4: 0.35, 6: 0.4, 10: 0.4, 12: 0.35, 15: 0.3, 7: 0.25}


def _lines(rng: np.random.Generator) -> dict[int, list[Line]]:
    """Somebody's furrows."""

    def j(value: float) -> float:
        return value + float(rng.normal(0, 0.008))

    forehead = [7.645 + 0.082 * k + float(rng.normal(0, 0.012)) for k in range(int(rng.integers(3, 5)))]
    glabella = j(0.062)
    found: dict[int, list[Line]] = {
        1: [(((-0.08, y), (0.05, j(y)), (0.16, j(y) + 0.018), (0.30, j(y))), 0.020, 0.013) for y in forehead],
        2: [(((0.18, y), (0.32, j(y) + 0.03), (0.46, j(y) + 0.035), (0.60, y - 0.02)), 0.020, 0.014) for y in forehead],
        4: [
            (((glabella - 0.01, 7.38), (glabella, 7.46), (glabella + 0.02, 7.57)), 0.020, 0.013),
            (((0.13, 7.45), (0.15, 7.50), (0.17, 7.56)), 0.02, 0.006),
            (((-0.06, 7.355), (0.06, 7.355)), 0.022, 0.006),
            (((0.10, 7.42), (0.16, 7.44)), 0.05, -0.012),
        ],
        6: [
            (((0.545, 7.30), (0.61, 7.345), (0.67, j(7.38))), 0.013, 0.010),
            (((0.55, 7.272), (0.62, 7.275), (0.69, j(7.28))), 0.013, 0.011),
            (((0.545, 7.24), (0.61, 7.205), (0.67, j(7.175))), 0.013, 0.010),
            (((0.53, 7.215), (0.57, 7.165), (0.62, j(7.12))), 0.013, 0.007),
            (((0.20, 7.175), (0.30, 7.135), (0.42, 7.14), (0.52, 7.175)), 0.020, 0.013),
            (((0.40, 7.02), (0.50, 7.05)), 0.11, -0.030),
        ],
        7: [
            (((0.20, 7.205), (0.31, 7.175), (0.45, 7.20)), 0.014, 0.009),
            (((0.22, 7.225), (0.31, 7.205), (0.43, 7.222)), 0.016, -0.006),
        ],
        9: [
            (((0.02, 7.33), (0.08, 7.315), (0.12, 7.28)), 0.014, 0.012),
            (((0.04, 7.27), (0.10, 7.235), (0.13, 7.19)), 0.014, 0.013),
            (((0.06, 7.205), (0.11, 7.165), (0.14, 7.12)), 0.014, 0.010),
            (((-0.05, 7.375), (0.05, 7.375)), 0.016, 0.012),
            (((0.17, 7.02), (0.22, 6.95), (0.25, 6.86)), 0.024, 0.017),
            (((0.17, 7.13), (0.24, 7.11)), 0.045, -0.010),
        ],
        10: [
            (((0.17, 6.99), (0.235, 6.91), (0.285, 6.80), (0.30, 6.72)), 0.026, 0.020),
            (((0.27, 6.98), (0.34, 6.90)), 0.07, -0.014),
        ],
        12: [
            (((0.185, 6.965), (0.27, 6.88), (0.345, 6.75), (j(0.37), 6.63)), 0.027, 0.022),
            (((0.36, 6.93), (0.46, 6.88)), 0.10, -0.022),
        ],
        14: [
            (((0.325, 6.66), (0.345, 6.60), (0.335, 6.53)), 0.020, 0.018),
            (((0.37, 6.66), (0.39, 6.56)), 0.05, -0.012),
        ],
        15: [
            (((0.265, 6.59), (0.30, 6.535), (0.31, 6.46)), 0.022, 0.014),
            (((0.20, 6.46), (0.26, 6.47)), 0.05, -0.012),
        ],
        17: [
            (((-0.06, 6.435), (0.08, 6.43), (0.15, 6.40)), 0.022, 0.013),
            (((-0.02, 6.345), (0.06, 6.345)), 0.075, -0.022),
        ],
        18: [(((x, 6.73), (x * 1.15, 6.79)), 0.010, 0.006) for x in (0.05, 0.11, 0.17)],
        20: [
            (((0.315, 6.69), (0.345, 6.61), (0.33, 6.52)), 0.022, 0.010),
            (((0.38, 6.70), (0.415, 6.60), (0.40, 6.48)), 0.026, 0.009),
        ],
        23: [
            *((((x, 6.72), (x * 1.1, 6.77)), 0.009, 0.006) for x in (0.04, 0.09, 0.14, 0.19)),
            (((-0.02, 6.465), (0.12, 6.475)), 0.022, 0.007),
        ],
        24: [
            (((-0.05, 6.745), (0.1, 6.75), (0.2, 6.71)), 0.035, -0.010),
            (((-0.05, 6.45), (0.12, 6.46), (0.2, 6.49)), 0.030, 0.010),
            (((0.29, 6.65), (0.31, 6.59)), 0.018, 0.010),
        ],
        28: [(((-0.02, 6.72), (0.12, 6.72), (0.22, 6.67)), 0.03, -0.008)],
    }  # fmt: skip
    return found


@dataclass(frozen=True)
class Wrinkle:
    """What one side's action unit adds to the texture.

    Attributes:
        au: Place of the AU in :data:`AVATAR_AUS`.
        side: 1 left, -1 right.
        top: Row of the box on the chart.
        left: Column of the box.
        change: ``(h, w, 3)`` float32: slopes to the left of the head and up, and the shade.
        at_rest: Its share that is there at rest.
    """

    au: int
    side: int
    top: int
    left: int
    change: Map
    at_rest: float


def wrinkles(person: Person) -> list[Wrinkle]:
    """Somebody's furrows, of each AU and side that has some."""
    on = chart()
    rng = np.random.default_rng([*person.seed, 4])
    peel = cloud(rng, 5)
    depth = float(np.clip(rng.normal(0.95, 0.2), 0.6, 1.4)) * (0.8 + 0.5 * person.age)
    lines = _lines(rng)
    found = []
    for au, of_au in lines.items():
        for side in (1, -1):
            height, shade = _drawn(on, of_au, side)
            if au == 17:  # the skin of the chin puckers like an orange's
                boss = spot(on, 0, 6.35, 0.16, 0.10) * (on.x * side > -0.02)
                height += 0.006 * boss * peel
                shade += 0.15 * boss * np.clip(-peel, 0, 1)
            rows, columns = np.nonzero((np.abs(height) > 1e-4) | (shade > 0.01))
            top, bottom = max(rows.min() - 3, 0) & ~1, min(rows.max() + 4, ROWS) & ~1
            left, right = max(columns.min() - 3, 0) & ~1, min(columns.max() + 4, COLUMNS) & ~1
            box = (slice(top, bottom), slice(left, right))
            drawn = cv2.GaussianBlur(np.stack([height[box], shade[box]], -1), (0, 0), 0.8) * np.float32(depth)
            east, north = slopes(drawn[..., 0], on.across[box])
            change = np.stack([east, north, drawn[..., 1]], -1)
            rest = _AT_REST.get(au, 0.0) * max(person.age - 0.15, 0) * float(rng.uniform(0.4, 1.1))
            found.append(Wrinkle(AVATAR_AUS.index(au), side, int(top), int(left), change, rest))
    return found


def slopes(height: Map, across: Map) -> tuple[Map, Map]:
    """Of heights on the chart, in decimetres a decimetre: to the head's left, and up."""
    down, right = np.gradient(height)
    return np.asarray(right / across, np.float32), np.asarray(-down / DOWN, np.float32)


def _drawn(on: Chart, lines: list[Line], side: int) -> tuple[Map, Map]:
    """Heights and shades of one side's lines."""
    height, shade = np.zeros((ROWS, COLUMNS), np.float32), np.zeros((ROWS, COLUMNS), np.float32)
    for points, wide, deep in lines:
        xs, ys = np.array(points).T
        reach = 3.0 * wide
        first = int((TOP - ys.max() - reach) / DOWN)
        band = slice(first, int((TOP - ys.min() + reach) / DOWN) + 2)  # a row of the chart has one height
        x = on.x[band] * side
        near = (on.z[band] > 0.35) & (x > xs.min() - reach) & (x < xs.max() + reach)
        rows, columns = np.nonzero(near)
        rows += first
        along = np.linspace(0, 1, len(points))
        fine = np.linspace(0, 1, 16)
        curve_x, curve_y = np.interp(fine, along, xs), np.interp(fine, along, ys)
        px, py = side * on.x[rows, columns][:, None], on.y[rows, columns][:, None]
        away = (px - curve_x) ** 2 + (py - curve_y) ** 2
        best = away.argmin(1)
        distance = np.sqrt(away[np.arange(len(best)), best]) / wide
        ends = np.sin(np.pi * (0.12 + 0.76 * fine[best])) ** 0.6 if deep > 0 else 1.0
        groove = np.exp(-(distance**2))
        swell = np.exp(-(((distance - 1.5) / 0.7) ** 2)) if deep > 0 else 0.0
        height[rows, columns] -= deep * ends * (groove - 0.35 * swell)
        if deep > 0:
            shade[rows, columns] += 14 * deep * ends * groove
        else:
            shade[rows, columns] += 1.5 * deep * groove  # what bulges is lighter
    return height, shade


class Surface:
    """Somebody's texture, frame by frame.

    Args:
        painted: The skin.
        furrows: The wrinkles.
        half: Whether half the resolution does.
    """

    def __init__(self, painted: Skin, furrows: list[Wrinkle], half: bool) -> None:
        east, north = slopes(painted.relief, chart().across)
        base = np.concatenate([painted.colour, np.stack([east, north, painted.gloss], -1)], -1)
        self._furrows: list[Wrinkle] = []
        for one in furrows:
            change = one.change
            if half:
                size = (change.shape[1] // 2, change.shape[0] // 2)
                change = np.asarray(cv2.resize(change, size, interpolation=cv2.INTER_AREA), np.float32)
                one = Wrinkle(one.au, one.side, one.top // 2, one.left // 2, change, one.at_rest)
            self._furrows.append(one)
        if half:
            parts = [
                cv2.resize(base[..., k : k + 3], (COLUMNS // 2, ROWS // 2), interpolation=cv2.INTER_AREA)
                for k in (0, 3)
            ]
            base = np.concatenate(parts, -1)
        self._base = np.ascontiguousarray(base, np.float32)
        for one in self._furrows:
            if one.at_rest:
                add(self._base, one.top, one.left, one.change, one.at_rest)
        self._now = self._base.copy()
        self._changed: list[Wrinkle] = []

    def at(self, left: npt.NDArray[np.float64], right: npt.NDArray[np.float64]) -> Map:
        """The texture ``(rows, columns, 6)`` at activations 0..1 ``(20,)`` of either side; changed by the next call."""
        for one in self._changed:
            height, width = one.change.shape[:2]
            box = (slice(one.top, one.top + height), slice(one.left, one.left + width))
            self._now[box] = self._base[box]
        self._changed.clear()
        for one in self._furrows:
            share = float((left if one.side > 0 else right)[one.au])
            if share > 0.01:
                add(self._now, one.top, one.left, one.change, share)
                self._changed.append(one)
        return self._now


@compiled
def add(surface: Map, top: int, left: int, change: Map, share: float) -> None:
    """Adds a share of a wrinkle to a texture, which is changed."""
    part = np.float32(share)
    for row in range(change.shape[0]):
        for column in range(change.shape[1]):
            keeps = np.float32(1) - part * change[row, column, 2]
            keeps = max(keeps, np.float32(0.25))
            red = np.float32(1) - (np.float32(1) - keeps) * np.float32(0.75)
            surface[top + row, left + column, 0] *= red
            surface[top + row, left + column, 1] *= keeps
            surface[top + row, left + column, 2] *= keeps
            surface[top + row, left + column, 3] += part * change[row, column, 0]
            surface[top + row, left + column, 4] += part * change[row, column, 1]
