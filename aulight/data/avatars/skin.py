"""Skin, lips, brows, stubble and make-up, painted on the chart; and irises."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from aulight.data.avatars.chart import COLUMNS, DOWN, ROWS, TOP, Chart, Map, chart
from aulight.data.avatars.identity import Person

Array = npt.NDArray[np.float64]
EYE_SIDE = 96

# Skin from fair to dark, as sRGB of cheeks in even light.
_TONES = np.array([[236, 196, 174], [222, 175, 145], [196, 145, 110], [160, 109, 78], [116, 75, 52], [74, 46, 34]])


def linear(levels: npt.ArrayLike) -> Array:
    """Linear light of sRGB levels 0..255."""
    share = np.clip(np.asarray(levels, np.float64), 0, 255) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def cloud(rng: np.random.Generator, size: float) -> Map:
    """Noise of mean 0 and spread 1 on the chart; spots are ``size`` texels wide."""
    rows, columns = max(3, round(ROWS / size) + 2), max(3, round(COLUMNS / size) + 2)
    small = rng.standard_normal((rows, columns)).astype(np.float32)
    noise = np.asarray(cv2.resize(small, (COLUMNS, ROWS), interpolation=cv2.INTER_CUBIC), np.float32)
    return np.asarray((noise - noise.mean()) / noise.std(), np.float32)


def spot(on: Chart, x: float, y: float, wide: float, high: float) -> Map:
    """A soft spot 0..1 on the front of the head and on its mirror image, decimetres on the base head."""
    found = np.zeros((ROWS, COLUMNS), np.float32)
    rows = slice(max(int((TOP - y - 3 * high) / DOWN), 0), max(int((TOP - y + 3 * high) / DOWN), 0) + 1)
    near = ((np.abs(on.x[rows]) - x) / wide) ** 2 + ((on.y[rows] - y) / high) ** 2
    found[rows] = np.where(on.z[rows] > 0.3, np.exp(-near), 0)
    return found


def step(values: npt.NDArray[np.floating[Any]], start: float, end: float) -> Map:
    """0 before ``start``, 1 after ``end``, smooth between; backwards where ``end`` is the smaller."""
    share = np.clip((values - start) / (end - start), 0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)


@dataclass(frozen=True)
class Skin:
    """What is painted.

    Attributes:
        colour: ``(ROWS, COLUMNS, 3)`` float32 linear.
        relief: ``(ROWS, COLUMNS)`` float32, heights in decimetres.
        gloss: ``(ROWS, COLUMNS)`` float32.
        hair: ``(ROWS, COLUMNS)`` float32 0..1, where the hair of the head is.
    """

    colour: Map
    relief: Map
    gloss: Map
    hair: Map


def hairline(on: Chart, rng: np.random.Generator, person: Person) -> Map:
    """How far texels are behind the hairline, decimetres; negative on the face."""
    high = rng.uniform(7.74, 7.92) + 0.16 * person.age * person.male * rng.random()
    temples = rng.uniform(0.0, 0.30) * person.male * (0.3 + person.age)  # they recede
    x = np.abs(on.x)
    edge = high + temples * np.exp(-(((x - 0.34) / 0.14) ** 2)) - 0.30 * np.clip(x - 0.36, 0, 1) ** 1.2
    top = on.y - edge
    # beside the face it comes down before the ears, to where sideburns end
    beside = rng.uniform(0.66, 0.76) - on.z + np.clip(on.y - 7.55, -0.6, 0.5) * 0.8
    end = np.where(on.z > 0.0, rng.uniform(6.95, 7.25), 6.45)
    beside = np.minimum(beside, (on.y - end) * 1.5)
    ears = (x > 0.70) & (on.y > 6.78) & (on.y < 7.42) & (on.z > -0.22) & (on.z < 0.32)
    ragged = 0.012 * cloud(rng, 5) + 0.014 * _strands(rng)
    return np.where(ears, -1, np.maximum(top, beside) + ragged).astype(np.float32)


def paint(person: Person) -> Skin:
    """Paints somebody's skin."""
    on = chart()
    rng = np.random.default_rng([*person.seed, 2])
    tones = np.log(linear(_TONES))
    at = person.melanin * (len(_TONES) - 1)
    colour = np.exp([np.interp(at, np.arange(len(_TONES)), tones[:, k]) for k in range(3)])
    logs = np.broadcast_to(np.log(colour), (ROWS, COLUMNS, 3)).astype(np.float32).copy()
    fair = 1 - person.melanin
    # blood takes green and blue, melanin all and blue most
    blood = np.array([-0.02, -0.22, -0.17], np.float32)
    brown = np.array([-0.35, -0.5, -0.62], np.float32)
    cheeks = spot(on, 0.45, 6.95, 0.26, 0.22) + 0.9 * spot(on, 0.0, 6.9, 0.16, 0.13) + 0.5 * spot(on, 0, 6.3, 0.2, 0.12)
    ears = step(np.abs(on.x), 0.72, 0.8)
    red = (0.55 * cheeks + 0.5 * ears) * person.blood * (0.35 + 0.65 * fair)
    red = red + (0.10 * cloud(rng, 38) + 0.08 * cloud(rng, 14) + 0.05 * cloud(rng, 5)) * (0.4 + 0.6 * fair)
    dark = 0.07 * cloud(rng, 60) + 0.05 * cloud(rng, 20) + 0.03 * cloud(rng, 6) + 0.035 * cloud(rng, 2.2)
    sockets = spot(on, 0.31, 7.20, 0.16, 0.085) * rng.uniform(0.05, 0.3) * (0.6 + person.age)
    lids = spot(on, 0.32, 7.35, 0.17, 0.06) * rng.uniform(0.05, 0.28)
    crease = spot(on, 0.32, 7.372, 0.15, 0.011) * rng.uniform(0.1, 0.5)
    dark = dark + crease + 3.0 * spot(on, 0.078, 6.832, 0.036, 0.016)  # and nostrils
    dark = dark + sockets + lids + 0.12 * spot(on, 0.0, 6.5, 0.3, 0.3) * person.melanin
    freckles = np.clip(cloud(rng, 3.2) - rng.uniform(1.6, 3.4), 0, 1) * (spot(on, 0.28, 7.02, 0.35, 0.25) * fair)
    dark = dark + 0.5 * freckles * (rng.random() < 0.4) + 0.28 * person.age * np.clip(cloud(rng, 9) - 1.9, 0, 0.8)
    red = red + 0.5 * np.clip(cloud(rng, 4) - 2.6, 0, 1) * (rng.random() < 0.4)
    logs += red[..., None] * blood + dark[..., None] * brown
    for _ in range(rng.poisson(2.2)):
        x, y = rng.uniform(-0.6, 0.6), rng.uniform(6.25, 7.8)
        mole = np.exp(-((on.x - x) ** 2 + (on.y - y) ** 2) / rng.uniform(0.009, 0.02) ** 2) * (on.z > 0.5)
        logs += (rng.uniform(0.8, 1.8) * mole)[..., None] * brown
    relief = _pores(on, rng, person)
    gloss = 0.8 + 0.35 * (spot(on, 0, 7.0, 0.2, 0.5) + spot(on, 0, 7.75, 0.4, 0.2)) + 0.12 * cloud(rng, 4)
    gloss = np.asarray(np.clip(gloss * rng.uniform(0.55, 1.25), 0.1, 2), np.float32)
    _lips(on, rng, person, logs, relief, gloss)
    stubbled = _stubble(on, rng, person, logs)
    out = np.exp(logs).astype(np.float32)
    if person.male < 0.5 and rng.random() < 0.45:
        _make_up(on, rng, out)
    brows = _brows(on, rng, person, out)
    behind = hairline(on, rng, person)
    hair = step(behind, -0.05, 0.07)
    if person.male > 0.5 and rng.random() < 0.12:  # a shaved head
        hair = hair * np.float32(0.35)
    strands = 1 + 0.28 * _strands(rng)
    out += hair[..., None] * (person.hair * strands[..., None] - out).astype(np.float32)
    collar = rng.uniform(5.62, 5.82) - rng.uniform(0, 0.5) * np.clip(on.z - 0.3, 0, 1)
    away = np.where(on.y < 5.95, np.hypot(on.x, on.z + 0.05) - rng.uniform(0.78, 1.0), -1)
    cloth = step(np.maximum(collar - on.y, away).astype(np.float32), 0.0, 0.03)
    fabric = linear(rng.uniform(15, 225) + rng.normal(0, 28, 3)) * (1 + 0.08 * cloud(rng, 1.5))[..., None]
    out += cloth[..., None] * (fabric - out).astype(np.float32)
    relief *= 1 - cloth
    relief += 0.004 * cloth * cloud(rng, 25)
    gloss *= 1 - cloth
    gloss = np.where(hair > 0.5, np.float32(0.7), gloss * (1 - 0.6 * stubbled) * (1 - brows))
    return Skin(out, relief, gloss.astype(np.float32), hair)


def _pores(on: Chart, rng: np.random.Generator, person: Person) -> Map:
    """Heights of fine relief, decimetres."""
    fine = 0.0004 * cloud(rng, 2.0) + 0.0004 * cloud(rng, 4.5) + 0.0008 * (0.3 + person.age) * cloud(rng, 14)
    coarse = 0.0005 * (spot(on, 0.0, 6.95, 0.2, 0.2) + spot(on, 0.4, 7.0, 0.25, 0.2)) * cloud(rng, 2.4)
    return np.asarray((fine + coarse) * rng.uniform(0.7, 1.2), np.float32)


def _lips(on: Chart, rng: np.random.Generator, person: Person, logs: Map, relief: Map, gloss: Map) -> None:
    mask = cv2.GaussianBlur(on.lips, (0, 0), 1.6)
    full = np.log(linear([168, 96, 88])) * (1 - person.melanin) + np.log(linear([98, 56, 50])) * person.melanin
    full = full + rng.normal(0, 0.10) + np.array([0.0, rng.normal(0, 0.06), 0])
    strength = rng.uniform(0.45, 0.8)
    if person.male < 0.5 and rng.random() < 0.4:  # painted
        full = np.log(linear(rng.choice([[176, 40, 52], [150, 44, 70], [196, 92, 92], [120, 30, 40]])))
        strength = rng.uniform(0.6, 0.92)
    lines = np.interp(np.arange(COLUMNS), np.arange(0, COLUMNS, 2), rng.standard_normal(COLUMNS // 2))
    logs += (strength * mask)[..., None] * (full - logs).astype(np.float32)
    logs -= (0.05 * mask * lines[None])[..., None].astype(np.float32)
    relief += (0.0009 * mask * lines[None]).astype(np.float32)
    seam = np.exp(-(((on.y - 6.606) / 0.012) ** 2)) * step(np.abs(on.x), 0.27, 0.2) * (on.z > 1.0)
    logs -= (0.55 * seam)[..., None].astype(np.float32)
    gloss += (0.3 * mask).astype(np.float32)


def _stubble(on: Chart, rng: np.random.Generator, person: Person, logs: Map) -> Map:
    """Paints what grows on cheeks, lip and chin; gives where, 0..1."""
    none = np.zeros((ROWS, COLUMNS), np.float32)
    if person.male < 0.5:
        return none
    lip = step(np.abs(on.y - 6.77) - 0.045, 0.03, 0.0) * step(np.abs(on.x), 0.3, 0.22)
    jaw = step(on.y - 6.52 - 0.55 * np.clip(np.abs(on.x) - 0.28, 0, 0.4), 0.1, -0.06) * step(on.y, 6.0, 6.25)
    soul = 1 - spot(on, 0.0, 6.44, 0.22, 0.035) * 0.5
    where = np.clip(np.maximum(lip, jaw * soul), 0, 1) * (on.z > 0.25) * (1 - np.minimum(on.lips * 3, 1))
    where = np.asarray(cv2.GaussianBlur(where.astype(np.float32), (0, 0), 5), np.float32)
    length = rng.choice([0.12, 0.35, 1.0], p=[0.55, 0.3, 0.15])
    dots = np.clip(0.75 + 0.28 * cloud(rng, 1.3) + 0.16 * cloud(rng, 4), 0, 1.4)
    share = np.clip(where * length * dots, 0, 0.95)
    colour = np.log(person.hair * 0.9 + 0.004)
    logs += share[..., None] * (colour - logs).astype(np.float32) * np.float32(0.75)
    return np.asarray(share, np.float32)


def _make_up(on: Chart, rng: np.random.Generator, colour: Map) -> None:
    shadow = spot(on, 0.33, 7.37, 0.17, 0.05) * rng.uniform(0.1, 0.5)
    tint = linear(rng.choice([[96, 66, 72], [80, 60, 90], [110, 80, 60], [70, 80, 100]]))
    colour += shadow[..., None] * (tint - colour).astype(np.float32)
    line = spot(on, 0.32, 7.315, 0.17, 0.016) * rng.uniform(0.2, 0.7)
    colour -= line[..., None] * colour
    rouge = spot(on, 0.48, 6.98, 0.18, 0.12) * rng.uniform(0, 0.25)
    colour += rouge[..., None] * (linear([200, 90, 90]) - colour).astype(np.float32)


def _texel(on: Chart, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Columns and rows ``(n, 2)`` of places on the front of the base head."""
    rows = np.clip((TOP - y) / DOWN, 0, ROWS - 1)
    columns = [np.interp(one, on.x[int(row), 150:490], np.arange(150, 490)) for one, row in zip(x, rows, strict=True)]
    return np.stack([np.array(columns), rows], 1)


def _brows(on: Chart, rng: np.random.Generator, person: Person, colour: Map) -> Map:
    """Hairs, one by one, from the nose to the temples; gives how much they cover, 0..1."""
    thick = rng.uniform(0.035, 0.07) * (0.75 + 0.5 * person.male)
    high, arch, inner = rng.uniform(7.455, 7.50), rng.uniform(0.0, 0.06), rng.uniform(0.10, 0.15)
    outer, dense = rng.uniform(0.52, 0.60), rng.uniform(0.5, 1.0)
    cover = np.zeros((ROWS * 2, COLUMNS * 2), np.uint8)
    for side in (-1, 1):
        count = int(dense * 260)
        along = rng.beta(1.0, 1.15, count)
        across = rng.normal(0, 0.33, count)
        body = thick * (1 - 0.65 * along**2) * np.minimum(1, 0.55 + 2.5 * along)
        x = inner + along * (outer - inner)
        y = high + arch * np.sin(np.pi * np.minimum(along * 1.15, 1.1) * 0.75) - 0.05 * along**3 + across * body
        lean = np.pi / 2 - 1.15 * np.minimum(along * 1.8 + 0.12, 1.15) - across * 0.5
        reach = rng.uniform(0.035, 0.075, count)
        start = _texel(on, side * x, y) * 2
        end = _texel(on, side * (x + np.cos(lean) * reach), y + np.sin(lean) * reach) * 2
        for one, other, strength in zip(start, end, rng.uniform(90, 230, count), strict=True):
            points = np.round(np.stack([one, other]) * 16).astype(np.int32)
            cv2.polylines(cover, [points], False, float(strength), 1, cv2.LINE_AA, 4)
    share = cv2.resize(cover, (COLUMNS, ROWS), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    under = cv2.GaussianBlur(share, (0, 0), 3.0)
    share = np.clip(0.8 * share + 0.75 * under, 0, 0.96)
    hair = np.minimum(person.hair * rng.uniform(0.55, 0.95), 0.12)
    colour += share[..., None] * (hair - colour).astype(np.float32)
    return np.asarray(share, np.float32)


def _strands(rng: np.random.Generator) -> Map:
    """Streaks from the crown down, mean 0."""
    tall = rng.standard_normal((3, COLUMNS)).astype(np.float32)
    long = rng.standard_normal((4, COLUMNS // 5)).astype(np.float32)
    one = cv2.resize(tall, (COLUMNS, ROWS), interpolation=cv2.INTER_LINEAR)
    other = cv2.resize(long, (COLUMNS, ROWS), interpolation=cv2.INTER_CUBIC)
    return np.asarray(0.6 * one + 0.8 * other, np.float32).clip(-2, 2)


def paint_eye(person: Person) -> Map:
    """The eye's colours ``(EYE_SIDE, EYE_SIDE, 3)``, seen from before, the ball's radius being half a side."""
    rng = np.random.default_rng([*person.seed, 3])
    grid = np.linspace(-1, 1, EYE_SIDE)
    x, y = np.meshgrid(grid, grid)
    far, angle = np.hypot(x, y), np.arctan2(y, x)
    white = linear([236, 230, 224]) * rng.uniform(0.9, 1.1)
    white = white[None, None] * np.ones((EYE_SIDE, EYE_SIDE, 1))
    veins = np.clip(far - 0.5, 0, 0.5) * rng.uniform(0.1, 0.5)
    white = white * (1 - veins[..., None] * np.array([0.2, 0.9, 0.9]))
    rim, pupil = rng.uniform(0.44, 0.48), rng.uniform(0.13, 0.22)
    rays = np.interp(angle, np.linspace(-np.pi, np.pi, 90), np.append(noise := rng.standard_normal(89), noise[0]))
    inside = np.clip((far - pupil) / (rim - pupil), 0, 1)
    tint = person.iris * (1 + 0.22 * rays * (1 - inside) + 0.1 * rays)[..., None]
    tint = tint * (1.25 - 0.5 * inside)[..., None]
    tint *= (1 - 0.75 * np.clip((inside - 0.72) / 0.28, 0, 1))[..., None]  # the limbal ring

    def mix(under: Array, over: Array, share: Array) -> Array:
        return np.asarray(under + (over - under) * np.clip(share, 0, 1)[..., None])

    eye = mix(white, tint, (rim + 0.02 - far) / 0.04)
    eye = mix(eye, np.full(3, 0.004), (pupil + 0.015 - far) / 0.03)
    return eye.astype(np.float32)
