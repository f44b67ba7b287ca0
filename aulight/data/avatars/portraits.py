"""Single crops of very many people, as unlike each other as can be: what a model for unseen faces learns from.

Where a video of :mod:`aulight.data.avatars.scene` shows one person in one place, here every few pictures are taken in
another place, and what is on the face is of four kinds: acted as in the videos, a whole expression, one unit alone, or
some units that have nothing to do with each other. People also differ in what their units do (how much each shape of
the rig has a part in it) and in how deep their wrinkles are, so that less is learned of this rig.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from aulight.data.avatars.actions import AVATAR_AUS, LEVELS, Array, Shapes
from aulight.data.avatars.assets import Assets, load_assets
from aulight.data.avatars.camera import crop_matrix, cut
from aulight.data.avatars.figure import Figure
from aulight.data.avatars.identity import person
from aulight.data.avatars.loosening import loosened
from aulight.data.avatars.motion import EXPRESSIONS, SIDED, act, moved
from aulight.data.avatars.raster import Floats
from aulight.data.avatars.render import Renderer
from aulight.data.avatars.scene import Image, camera, setting
from aulight.data.avatars.skin import paint, paint_eye
from aulight.data.avatars.wrinkles import Surface, wrinkles

PLACES = 6
"""In which each person is taken."""

TIMES = 8
"""How often in each."""

POINTS = 40
"""Of the left half of the face whose places are known; as many of the right half lie after them."""

_SECONDS = 1.0
"""From one time to the next."""

_ACTED, _WHOLE, _SINGLE, _MIXED = 0.30, 0.25, 0.28, 0.17


@dataclass(frozen=True)
class Portraits:
    """The pictures of one person.

    Attributes:
        pictures: ``(48, S, S, 3)`` uint8 RGB.
        intensities: ``(48, 20)`` float32 0..5, of the stronger side.
        left: ``(48, 20)`` float32 0..5, what is seen on the person's left, whose strongest may be weaker than others'.
        right: Of the right.
        points: ``(48, 80, 2)`` float32, columns and rows as shares of the crop, of :func:`points_of_face`.
        others: ``(48, 6)`` float32: turns of the head to the left, up and to the shoulder and gaze to the left and up,
            radians; how far a blink has closed the eyes.
    """

    pictures: Image
    intensities: Floats
    left: Floats
    right: Floats
    points: Floats
    others: Floats


def points_of_face(assets: Assets) -> npt.NDArray[np.int64]:
    """Numbers ``(80,)`` of points of the skin: of the left half of the face, then those that mirror them."""
    skin = assets.of_part("skin")
    at = assets.points[skin]
    on_face = (at[:, 2] > 1.0) & (at[:, 1] > 6.25) & (at[:, 1] < 7.75) & (np.abs(at[:, 0]) < 0.68)
    left = skin[on_face & (at[:, 0] > 0.01)]
    where = assets.points[left].astype(np.float64)
    lively = (np.abs(where[:, 1] - 6.62) < 0.2) & (where[:, 0] < 0.4)  # the mouth, then brows and lids
    lively |= (where[:, 1] > 7.15) & (where[:, 1] < 7.5)
    chosen = [int(np.argmax(where[:, 2]))]
    near = np.full(len(left), np.inf)
    for _ in range(POINTS - 1):  # each the farthest from those before, the lively parts counting double
        near = np.minimum(near, np.linalg.norm(where - where[chosen[-1]], axis=1) * np.where(lively, 2.0, 1.0))
        chosen.append(int(np.argmax(near)))
    mirrored = where[chosen] * (-1, 1, 1)
    other = [int(skin[np.linalg.norm(at - one, axis=1).argmin()]) for one in mirrored]
    return np.concatenate([left[chosen], np.array(other, np.int64)])


def portraits(seed: int, subject: int, pixels: int, loose: bool = False) -> Portraits:
    """Draws one person.

    Args:
        seed: Of the collection.
        subject: Who.
        pixels: Side of the crops.
        loose: Whether units also have pulls of the person's own, are weaker in some, and go without wrinkles in some.
    """
    assets, who = load_assets(), (seed, subject)
    rng = np.random.default_rng([*who, 30])
    somebody = person(assets, who)
    painted = paint(somebody)
    figure = Figure(somebody, "first", painted)
    figure.rig = _varied(figure.rig, rng)
    depth = np.clip(rng.normal(0.85, 0.35, len(AVATAR_AUS)), 0.2, 1.4)
    if loose:
        figure.rig = loosened(figure.rig, assets, rng)
        depth *= rng.uniform(0, 1.2)
    furrows = [replace(one, change=(one.change * depth[one.au]).astype(np.float32)) for one in wrinkles(somebody)]
    renderer = Renderer(figure, Surface(painted, furrows, True), paint_eye(somebody), pixels, pixels, times=2)
    known = points_of_face(assets)
    pictures, intensities, sides, points, others = [], [], [], [], []
    for _ in range(PLACES):
        acting = moved(who, rng, _wanted(who, rng), 1 / _SECONDS)
        place, lens = setting(rng, TIMES, 1 / _SECONDS), camera(rng, 38, 60)
        for time in range(TIMES):
            pose = acting.pose(time)
            figure.pose(pose)
            matrix = crop_matrix(cut(figure, lens), pixels)
            background = cv2.warpAffine(
                place.background, matrix, (pixels, pixels), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
            ).astype(np.float32)
            drawn = renderer.draw(pose, place.light(time), lens, background, matrix)
            pictures.append(np.clip(np.round(drawn), 0, 255).astype(np.uint8))
            intensities.append(acting.intensities[time])
            sides.append([_seen(acting.left[time]), _seen(acting.right[time])])
            on_crop = lens.project(figure.points[known])[:, :2] @ matrix[:, :2].T + matrix[:, 2]
            points.append((on_crop + 0.5) / pixels)
            blink = acting.others["eyeBlinkLeft"][time]
            others.append([*acting.turn[time], *acting.gaze[time], blink])
    both = np.array(sides, np.float32)
    return Portraits(
        np.stack(pictures), np.array(intensities, np.float32), both[:, 0], both[:, 1], np.array(points, np.float32),
        np.array(others, np.float32),
    )  # fmt: skip


def _seen(activations: Array) -> Array:
    """The intensities 0..5 and a little more whose usual activations these are."""
    return np.asarray(np.interp(activations, (*LEVELS, 1.2), (*range(len(LEVELS)), 6.0)))


def _varied(shapes: Shapes, rng: np.random.Generator) -> Shapes:
    """A rig in which each shape has another part in each unit, the same on both sides."""
    stems = [name.replace("Left", "").replace("Right", "") for name in shapes.names]
    known = sorted(set(stems))
    drawn = np.exp(rng.normal(0, 0.22, (len(AVATAR_AUS), len(known)))).clip(0.55, 1.6)
    drawn[AVATAR_AUS.index(43)] = 1  # closed is closed
    factors = drawn[:, [known.index(stem) for stem in stems]]
    return replace(shapes, left=shapes.left * factors, right=shapes.right * factors)


def _wanted(who: tuple[int, ...], rng: np.random.Generator) -> list[Array]:
    """Intensities ``(8, 20)`` of the left and of the right."""
    acted = act(who, rng, TIMES, 1 / _SECONDS)
    sides = [_seen(acted.left).clip(0, 5), _seen(acted.right).clip(0, 5)]
    for time in range(TIMES):
        kind = rng.random()
        if kind < _ACTED:
            continue
        wanted = np.zeros((2, len(AVATAR_AUS)))
        if kind < _ACTED + _WHOLE:
            units = EXPRESSIONS[int(rng.integers(9))][1]
            strength = rng.uniform(1.0, 5.0)
            for au, chance in units.items():
                if rng.random() < chance:
                    wanted[:, AVATAR_AUS.index(au)] = min(strength * rng.uniform(0.6, 1.4), 5.0)
        else:
            alone = kind < _ACTED + _WHOLE + _SINGLE
            for au in rng.choice(AVATAR_AUS, 1 if alone else rng.integers(2, 5), replace=False).tolist():
                on = (1.0, 1.0)
                if au in SIDED and rng.random() < 0.2:
                    on = ((1.0, 0.0), (0.0, 1.0), (1.0, 0.5), (0.5, 1.0))[int(rng.integers(4))]
                wanted[:, AVATAR_AUS.index(au)] = rng.uniform(0.5, 5.0) * np.array(on)
        sides[0][time], sides[1][time] = wanted
    return sides
