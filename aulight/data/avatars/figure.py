"""Somebody as triangles, posed frame by frame: rest, action, gaze, the turn of the head."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aulight.data.avatars.accessories import Piece, glasses, long_hair
from aulight.data.avatars.actions import Array, Rig, deform, over_eyeball, rig
from aulight.data.avatars.assets import Assets, load_assets
from aulight.data.avatars.chart import place
from aulight.data.avatars.identity import Person
from aulight.data.avatars.raster import Floats, Numbers, fill
from aulight.data.avatars.reduction import PARTS
from aulight.data.avatars.shading import FRAME, HAIR, INSIDE, LASHES, LENS, TEETH, TONGUE, vertex_normals
from aulight.data.avatars.skin import Skin, linear

_NECK = np.array([0.0, 6.35, 0.15], np.float32)
"""What the head turns about, decimetres."""

_DIRECTIONS = 48
_SIDE = 96

SEEN_AT: dict[str, tuple[float, float, float]] = {
    "eye outer": (0.425, 7.280, 1.315), "eye inner": (0.177, 7.267, 1.378), "mouth corner": (0.25, 6.612, 1.374),
    "nose tip": (0.0, 6.969, 1.669), "nose base": (0.0, 6.81, 1.575), "nostril": (0.125, 6.83, 1.46),
    "bridge high": (0.0, 7.351, 1.507), "bridge": (0.0, 7.261, 1.514), "bridge low": (0.0, 7.196, 1.536),
    "nose back": (0.0, 7.148, 1.562),
}  # fmt: skip
"""Places on the left half of the base head that can be found on any picture of a face, decimetres."""


@dataclass(frozen=True)
class Pose:
    """What a frame shows of a figure.

    Attributes:
        left: ``(20,)`` activations 0..1 of the left side, in the order of
            :data:`~aulight.data.avatars.actions.AVATAR_AUS`.
        right: Of the right.
        others: Weights of further shapes of the rig, by their names.
        gaze: Radians to the head's left, and up.
        turn: Radians: to the left, up, and to the left shoulder.
        shift: ``(3,)`` decimetres.
    """

    left: Array
    right: Array
    others: dict[str, float]
    gaze: tuple[float, float]
    turn: tuple[float, float, float]
    shift: tuple[float, float, float]


class Figure:
    """Somebody as triangles.

    Args:
        person: Who.
        which: The rig that moves the face.
        painted: Their skin, which knows where hair grows.

    Attributes:
        triangles: ``(T, 3)`` int32, what is solid first.
        solid: How many triangles are.
        materials: ``(T,)`` uint8.
        attributes: ``(V, 3)`` of :func:`aulight.data.avatars.shading.shade`.
        alpha: ``(V,)`` how much lashes and lenses cover.
        colours: ``(9, 3)`` linear colours of materials.
        landmarks: Numbers of points by the names of :data:`SEEN_AT`, with ``left`` or ``right`` before what has a side.
    """

    def __init__(self, person: Person, which: Rig, painted: Skin) -> None:
        assets = load_assets()
        rng = np.random.default_rng([*person.seed, 5])
        self._assets, self.rig = assets, rig(assets, which, person.ancestry)
        skin = assets.of_part("skin")
        shape = person.shape.copy()
        self._find_eyes(assets, shape)
        over_eyeball(shape, self._lids, self._eyes, self._radii, shape)
        where = place(assets.points)
        rows = np.round(where[:, 1] * (painted.hair.shape[0] - 1)).astype(int)
        hairy = painted.hair[rows, np.round(where[:, 0] * (painted.hair.shape[1] - 1)).astype(int)].copy()
        behind = np.setdiff1d(np.arange(len(shape)), skin)
        hairy[behind] = 0
        ears = (np.abs(assets.points[:, 0]) > 0.70) & (assets.points[:, 1] < 7.5) & (assets.points[:, 2] > -0.25)
        hairy[ears] = 0
        normals = np.zeros_like(shape)
        vertex_normals(shape, assets.triangles, len(assets.triangles), normals)
        long = rng.random() < 0.75 * (1 - person.male) + 0.06 * person.male
        volume = rng.uniform(0.05, 0.20) * (0.6 if long else 1.0)
        tall = 0.4 + 0.6 * np.clip((assets.points[:, 1] - 7.2) / 0.9, 0, 1)
        shape += (normals * (np.clip(hairy - 0.25, 0, 0.75) / 0.75 * volume * tall)[:, None]).astype(np.float32)
        pieces = [long_hair(rng, shape, skin)] if long else []
        if rng.random() < 0.16 + 0.1 * person.age:
            pieces += glasses(rng, shape, self._eyes)
        materials = assets.parts.copy()
        materials[(assets.parts == 0) & (hairy[assets.triangles].min(1) > 0.6)] = HAIR
        # below the picture: the chest down, and the shoulders where the arms would be
        low = np.isin(np.arange(len(shape)), skin) & (assets.points[:, 1] < 5.6)
        drop = 12 * np.clip(5.0 - assets.points[:, 1], 0, 1) + 9 * np.clip(np.abs(assets.points[:, 0]) - 1.9, 0, 1)
        shape[:, 1] -= np.where(low, drop, 0).astype(np.float32)
        self._join(assets, shape, where, materials, pieces)
        self.landmarks = _landmarks(assets)
        self._open(skin)
        self._dress(rng, person)
        self._share = np.clip((self.rest[:, 1] - 5.65) / 0.85, 0, 1).astype(np.float32)
        self._share = self._share**2 * (3 - 2 * self._share)
        self._share[len(assets.points) :] = 1
        self._posed: Pose | None = None
        self.points = self.rest.copy()
        self.normals = np.zeros_like(self.rest)

    def _find_eyes(self, assets: Assets, shape: Floats) -> None:
        eyes = assets.of_part("eye")
        sides = [eyes[assets.points[eyes, 0] < 0], eyes[assets.points[eyes, 0] > 0]]
        corners = [(shape[of].min(0), shape[of].max(0)) for of in sides]
        self._eyes = np.array([(low + high) / 2 for low, high in corners], np.float32)
        self._radii = np.array([(high - low)[:2].mean() / 2 for low, high in corners], np.float32)
        self._balls = sides
        near = np.abs(np.abs(assets.points[:, 0]) - 0.31) < 0.24
        near &= (np.abs(assets.points[:, 1] - 7.28) < 0.16) & (assets.points[:, 2] > 1.15)
        parts = np.union1d(assets.of_part("skin"), assets.of_part("lashes"))
        self._lids = np.intersect1d(np.flatnonzero(near), parts).astype(np.int64)

    def _join(
        self, assets: Assets, shape: Floats, where: Floats, materials: npt.NDArray[np.uint8], pieces: list[Piece]
    ) -> None:
        points, texture, triangles, kinds = [shape], [where.copy()], [assets.triangles], [materials]
        count = len(shape)
        for piece in pieces:
            points.append(piece.points)
            texture.append(piece.texture)
            triangles.append(piece.triangles + count)
            kinds.append(np.full(len(piece.triangles), piece.material, np.uint8))
            count += len(piece.points)
        every, kind = np.concatenate(triangles), np.concatenate(kinds)
        clear = np.isin(kind, (LASHES, LENS))
        order = np.argsort(clear, kind="stable")
        self.triangles: Numbers = np.ascontiguousarray(every[order], np.int32)
        self.materials = np.ascontiguousarray(kind[order])
        self.solid = int((~clear).sum())
        self.rest: Floats = np.concatenate(points).astype(np.float32)
        self.attributes: Floats = np.ones((count, 3), np.float32)
        self.attributes[:, :2] = np.concatenate(texture)
        for of, eye, radius in zip(self._balls, self._eyes, self._radii, strict=True):
            self.attributes[of, 0] = (shape[of, 0] - eye[0]) / radius
            self.attributes[of, 1] = -(shape[of, 1] - eye[1]) / radius
        self.alpha: Floats = np.full(count, 0.04, np.float32)  # of lenses
        lashes = assets.of_part("lashes")
        skin = self._lids[np.isin(self._lids, assets.of_part("skin"))]
        away = np.linalg.norm(assets.points[lashes, None] - assets.points[skin][None], axis=2).min(1)
        self.alpha[lashes] = np.clip(1 - away / 0.045, 0, 1) * 0.85

    def _open(self, skin: npt.NDArray[np.int64]) -> None:
        """How open each point is to the sky."""
        normals = np.zeros_like(self.rest)
        vertex_normals(self.rest, self.triangles, self.solid, normals)
        k = np.arange(_DIRECTIONS) + 0.5
        z = 1 - 2 * k / _DIRECTIONS
        angle = np.pi * (1 + 5**0.5) * k
        spread = np.sqrt(1 - z * z)
        seen, all_ = np.zeros(len(self.rest)), np.full(len(self.rest), 1e-6)
        for direction in np.stack([spread * np.cos(angle), spread * np.sin(angle), z], 1):
            screen = towards(self.rest, direction.astype(np.float32), _SIDE)
            near, there = np.zeros((_SIDE, _SIDE), np.float32), np.zeros((_SIDE, _SIDE), np.int32)
            fill(screen, self.triangles, 0, self.solid, True, near, there)
            column, row = (np.clip(np.round(screen[:, k]).astype(int), 0, _SIDE - 1) for k in (0, 1))
            faces = np.clip(normals @ direction, 0, None)
            seen += faces * (screen[:, 2] + 0.06 > near[row, column])
            all_ += faces
        open_ = np.clip(0.15 + 0.85 * seen / all_, 0.3, 1)
        for part, value in ((INSIDE, 0.12), (TONGUE, 0.42), (TEETH, 0.9)):
            of = self._assets.of_part(PARTS[part])
            of = of[~np.isin(of, skin)]
            depth = np.clip((self._assets.points[of, 2] - 1.0) / 0.45, 0.2, 1)
            open_[of] = value * depth
        self.attributes[:, 2] = open_

    def _dress(self, rng: np.random.Generator, person: Person) -> None:
        colours = np.zeros((9, 3))
        colours[INSIDE] = (0.16, 0.035, 0.03)
        colours[TEETH] = linear([214, 204, 184]) * rng.uniform(0.8, 1.05)
        colours[TONGUE] = linear([178, 92, 88])
        colours[LASHES] = person.hair * 0.2
        colours[FRAME] = linear(rng.choice([[18, 18, 20], [60, 36, 20], [120, 110, 90], [40, 40, 70]]))
        colours[LENS] = 0.55
        self.colours: Floats = colours.astype(np.float32)

    def pose(self, pose: Pose) -> None:
        """Moves :attr:`points` and :attr:`normals` to what a frame shows, unless they are there."""
        if pose is self._posed:
            return
        self._posed = pose
        weights = self.rig.weights(pose.left[None], pose.right[None])[0]
        for name, weight in pose.others.items():
            if name in self.rig.names:
                weights[self.rig.names.index(name)] += weight
        deform(self.rest, self.rig.starts, self.rig.index, self.rig.delta, weights, self.points)
        look_x, look_y = pose.gaze
        about = turned(look_x, -look_y, 0.0)
        for of, eye in zip(self._balls, self._eyes, strict=True):
            self.points[of] = (self.points[of] - eye) @ about.T + eye
        over_eyeball(self.points, self._lids, self._eyes, self._radii, self.points)
        left, up, shoulder = pose.turn
        turn = turned(left, -up, -shoulder)
        self.turn = turn
        moved = (self.points - _NECK) @ turn.T + _NECK + np.array(pose.shift, np.float32)
        self.points += self._share[:, None] * (moved - self.points)
        vertex_normals(self.points, self.triangles, self.solid, self.normals)


def turned(left: float, down: float, clockwise: float) -> Floats:
    """A rotation ``(3, 3)``, radians: first to the shoulder, then down, then to the head's left."""
    cy, sy, cx, sx, cz, sz = (f(a) for a in (left, down, clockwise) for f in (np.cos, np.sin))
    y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return np.asarray(y @ x @ z, np.float32)


def towards(points: Floats, direction: Floats, side: int) -> Floats:
    """Points as seen from far away in a direction, the head filling a square: as :func:`fill` takes them.

    Nearness is in decimetres, so that what is nearer by a decimetre has one more.
    """
    right = np.array([direction[2], 0, -direction[0]], np.float32)
    right /= max(float(np.linalg.norm(right)), 1e-6)
    up = np.cross(direction, right)
    offset = points - np.array([0, 7.2, 0.5], np.float32)
    scale = np.float32(side / 3.6)
    out = np.empty_like(points)
    out[:, 0] = offset @ right * scale + side / 2
    out[:, 1] = side / 2 - offset @ up * scale
    out[:, 2] = offset @ direction + 10
    return out


def _landmarks(assets: Assets) -> dict[str, int]:
    """The points of the skin that are nearest to :data:`SEEN_AT`."""
    skin = assets.of_part("skin")
    found = {}
    for name, at in SEEN_AT.items():
        for side, word in ((1, "left "), (-1, "right ")) if at[0] else ((1, ""),):
            away = np.linalg.norm(assets.points[skin] - np.array(at) * (side, 1, 1), axis=1)
            found[word + name] = int(skin[away.argmin()])
    return found
