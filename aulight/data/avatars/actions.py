"""What action units do to a face: the table from their intensities to shifts of points.

The scale, after FACS (Ekman, Friesen & Hager, 2002), whose letters A to E are 1 to 5: 1 is a trace, so little that it
is seen only beside the face at rest; 2 slight; 3 marked; 4 severe; 5 the strongest that a face of this kind shows. C
and D cover the most of the way, so that the share of the strongest movement is not proportional to the intensity:
:data:`LEVELS`. What the strongest is differs from person to person (0.8 to 1.2 of the table), and so do the sides.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from aulight.data.avatars.assets import Assets, Shape
from aulight.data.avatars.compiled import compiled
from aulight.data.avatars.identity import ANCESTRIES
from aulight.data.avatars.raster import Floats

Rig = Literal["first", "second"]
Array = npt.NDArray[np.float64]

AVATAR_AUS: tuple[int, ...] = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 18, 20, 23, 24, 25, 26, 28, 43)
"""The action units that avatars show, in the order of all arrays."""

LEVELS = (0.0, 0.10, 0.26, 0.52, 0.80, 1.0)
"""Shares of an action unit's strongest movement at the intensities 0 to 5."""

# Of each AU the units at intensity 5. A name that ends in _ stands for a left and a right unit; what is not in ARKit's
# set (lower case with a dash) is ours: soft pulls, below.
_FIRST: dict[int, dict[str, float]] = {
    1: {"browInnerUp": 1.7, "inner-up": 0.6},
    2: {"browOuterUp_": 1.15},
    4: {"browDown_": 1.05, "brow-in": 1.0},
    5: {"eyeWide_": 1.35},
    6: {"cheekSquint_": 1.25, "eyeSquint_": 0.45, "cheek-up": 1.0},
    7: {"eyeSquint_": 1.5},
    9: {"noseSneer_": 1.5, "browDown_": 0.25, "mouthUpperUp_": 0.35, "nose-up": 1.0, "cheekSquint_": 0.25},
    10: {"mouthUpperUp_": 1.35, "cheekSquint_": 0.2},
    12: {"mouthSmile_": 1.0},
    14: {"mouthDimple_": 1.6, "corner-in": 1.0},
    15: {"mouthFrown_": 1.7},
    17: {"mouthShrugLower": 1.3, "mouthShrugUpper": 0.35},
    18: {"mouthPucker": 1.15},
    20: {"mouthStretch_": 1.35},
    23: {"mouthRollUpper": 0.45, "mouthRollLower": 0.55, "mouthPucker": 0.3},
    24: {"mouthPress_": 1.25, "mouthShrugLower": 0.25},
    25: {"mouthLowerDown_": 1.2, "mouthUpperUp_": 0.75, "jawOpen": 0.09},
    26: {"jawOpen": 0.8},
    28: {"mouthRollUpper": 0.95, "mouthRollLower": 1.15, "jawOpen": 0.1, "mouthClose": 0.1},
    43: {"eyeBlink_": 1.0},
}
_SECOND: dict[int, dict[str, float]] = {
    1: {"eyebrows-_-inner-up": 1.0},
    2: {"eyebrows-_-extern-up": 1.0},
    4: {"eyebrows-_-down": 1.0},
    5: {"eye-_-opened-up": 1.7},
    6: {"eye-_-slit": 0.5, "cheek-up": 1.2},
    7: {"eye-_-slit": 1.0},
    9: {"nose-_-elevation": 1.0, "nose-compression": 0.6},
    10: {"mouth-elevation": 0.8},
    12: {"mouth-corner-puller": 1.0},
    14: {"mouth-retraction": 0.2, "corner-in": 1.7},
    15: {"mouth-depression": 1.0},
    17: {"chin-up": 1.0, "lower-lip-up": 1.0},
    18: {"mouth-pursing": 1.0},
    20: {"mouth-retraction": 1.1},
    23: {"mouth-compression": 0.5, "mouth-pursing": 0.4},
    24: {"mouth-compression": 0.5, "mouth-retraction": 0.2},
    25: {"mouth-part-later": 0.8},
    26: {"mouth-open": 0.8},
    28: {"mouth-compression": 1.0, "mouth-parling": 0.4},
    43: {"eye-_-closure": 1.0},
}
_PULLS: dict[str, tuple[tuple[float, float, float], tuple[float, float], tuple[float, float, float]]] = {
    "inner-up": ((0.16, 7.52, 1.40), (0.17, 0.16), (-0.008, 0.05, 0.0)),
    "brow-in": ((0.20, 7.47, 1.42), (0.15, 0.10), (-0.045, -0.028, 0.012)),
    "cheek-up": ((0.47, 7.02, 1.22), (0.21, 0.15), (0.01, 0.065, 0.045)),
    "nose-up": ((0.12, 6.95, 1.48), (0.12, 0.13), (0.0, 0.04, 0.01)),
    "chin-up": ((0.07, 6.36, 1.50), (0.13, 0.10), (0.0, 0.045, 0.02)),
    "lower-lip-up": ((0.07, 6.54, 1.56), (0.12, 0.06), (0.0, 0.028, 0.025)),
    "corner-in": ((0.29, 6.61, 1.32), (0.07, 0.09), (0.012, 0.004, -0.05)),
}
"""Of each the middle on the left side of the base head, how wide it is to the side and up, and the shift there; in
decimetres."""


@dataclass(frozen=True)
class Shapes:
    """All shapes of a rig, one after another, as compiled code reads them.

    Attributes:
        names: Of the shapes.
        starts: ``(K + 1,)`` where each begins in the others.
        index: Numbers of points.
        delta: Their shifts, decimetres.
        left: ``(20, K)`` weights of the shapes at the left intensity 5 of :data:`AVATAR_AUS`.
        right: The same of the right.
    """

    names: tuple[str, ...]
    starts: npt.NDArray[np.int64]
    index: npt.NDArray[np.int64]
    delta: Floats
    left: Array
    right: Array

    def weights(self, left: Array, right: Array) -> Array:
        """Of the shapes ``(frames, K)``, from activations 0..1 ``(frames, 20)`` of either side."""
        return left @ self.left + right @ self.right


def _pull(assets: Assets, name: str, side: int) -> Shape:
    middle, (wide, high), shift = _PULLS[name]
    skin = assets.of_part("skin")
    points = assets.points[skin]
    x, y, z = points[:, 0] * side - middle[0], points[:, 1] - middle[1], points[:, 2] - middle[2]
    share = np.exp(-((x / wide) ** 2) - (y / high) ** 2 - (z / 0.35) ** 2)
    far = share > 0.01
    return skin[far], (share[far, None] * (np.array(shift) * (side, 1, 1))).astype(np.float32)


def _sided(assets: Assets, folder: str, name: str, word: str) -> tuple[str, Shape]:
    """The name and the shape of one side, ``Left`` or ``Right``, of an entry of the tables."""
    if name in _PULLS:
        return f"{name}-{word}", _pull(assets, name, 1 if word == "Left" else -1)
    if "_" in name:
        full = name.replace("_", word if folder == "unit/" else word.lower())
        return full, assets.shapes[folder + full]
    index, delta = assets.shapes[folder + name]  # of the whole face: cut in the middle, softly
    left = 1 / (1 + np.exp(-assets.points[index, :1] / 0.035))
    return f"{name}-{word}", (index, (delta * (left if word == "Left" else 1 - left)).astype(np.float32))


def rig(assets: Assets, which: Rig, ancestry: Array) -> Shapes:
    """The shapes of a rig and the table that leads to them.

    Args:
        assets: The head.
        which: ``first``: the face units; ``second``: MakeHuman's older expression units, never for training.
        ancestry: ``(3,)`` shares of :data:`~aulight.data.avatars.identity.ANCESTRIES`; the older units are for one
            each.
    """
    table = _FIRST if which == "first" else _SECOND
    folder = "unit/" if which == "first" else f"second/{ANCESTRIES[int(np.argmax(ancestry))]}/"
    shapes: dict[str, Shape] = {}
    weights: tuple[list[tuple[int, str, float]], list[tuple[int, str, float]]] = ([], [])
    for row, au in enumerate(AVATAR_AUS):
        for name, weight in table[au].items():
            for of_side, word in zip(weights, ("Left", "Right"), strict=True):
                full, shape = _sided(assets, folder, name, word)
                shapes[full] = shape
                of_side.append((row, full, weight))
    # what is not coded: the same units in both rigs; eyeballs turn by themselves
    ball = np.zeros(len(assets.points), bool)
    ball[assets.of_part("eye")] = True
    for name, (index, delta) in assets.shapes.items():
        if name.startswith("unit/"):
            free = ~ball[index]
            shapes[name.removeprefix("unit/")] = (index[free], delta[free])
    names = tuple(shapes)
    sizes = [len(shape[0]) for shape in shapes.values()]
    tables = np.zeros((2, len(AVATAR_AUS), len(names)))
    for hand in (0, 1):
        for row, name, weight in weights[hand]:
            tables[hand, row, names.index(name)] += weight
    return Shapes(
        names,
        np.cumsum([0, *sizes]),
        np.concatenate([shape[0] for shape in shapes.values()]),
        np.concatenate([shape[1] for shape in shapes.values()]).astype(np.float32),
        tables[0],
        tables[1],
    )


def activation(intensities: Array) -> Array:
    """Shares 0..1 of the strongest movement, from intensities 0..5: :data:`LEVELS`, straight between."""
    return np.interp(intensities, np.arange(len(LEVELS)), LEVELS)


@compiled
def deform(
    points: Floats, starts: npt.NDArray[np.int64], index: npt.NDArray[np.int64], delta: Floats, weights: Array,
    out: Floats,
) -> None:  # fmt: skip
    """Adds the shapes of a rig, each by its weight ``(K,)``, to points ``(V, 3)``; ``out`` is changed."""
    out[:] = points
    for k in range(len(weights)):
        weight = np.float32(weights[k])
        if abs(weight) < 1e-4:
            continue
        for j in range(starts[k], starts[k + 1]):
            for axis in range(3):
                out[index[j], axis] += weight * delta[j, axis]


@compiled
def over_eyeball(points: Floats, lid: npt.NDArray[np.int64], eyes: Floats, radii: Floats, out: Floats) -> None:
    """Pushes points of the lids out of the eyeballs, along the ball's radius, so that lids slide over it.

    Args:
        points: ``(V, 3)``; the same array as ``out``.
        lid: Numbers of the points of lids and lashes, of both eyes.
        eyes: ``(2, 3)`` the middles of the eyeballs, right one first.
        radii: ``(2,)``.
        out: Changed.
    """
    for k in lid:
        side = 1 if points[k, 0] > 0 else 0
        x, y, z = points[k, 0] - eyes[side, 0], points[k, 1] - eyes[side, 1], points[k, 2] - eyes[side, 2]
        distance = np.sqrt(x * x + y * y + z * z)
        least = radii[side] * np.float32(1.04)
        if z > 0 and 1e-6 < distance < least:
            out[k, 0] = eyes[side, 0] + x / distance * least
            out[k, 1] = eyes[side, 1] + y / distance * least
            out[k, 2] = eyes[side, 2] + z / distance * least
