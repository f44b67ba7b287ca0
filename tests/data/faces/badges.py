"""Somebody beside whom there are small people, and badges that have something of a face."""

import cv2
import numpy as np

from aulight.data.avatars.sheet import Sitter
from aulight.data.video.types import Frames

KINDS = ("button", "portrait", "owl", "smiley", "stains", "dots")
WIDTHS = (32, 40, 48, 64)
"""Pixels of the small faces."""

_SIDE, _CELL = 512, 215
_FACE = 0.42
"""Share of a sitter's picture that the face is wide."""

Place = tuple[float, float, float, str]
"""Middle, reach in pixels, and what is there: a kind of badge, or how wide a face is."""


def badge(kind: str, side: int, draw: np.random.Generator) -> tuple[Frames, Frames]:
    """A round badge, lit from above, and where it is (255)."""
    c = _SIDE // 2
    picture, mask = np.zeros((_SIDE, _SIDE, 3), np.uint8), np.zeros((_SIDE, _SIDE), np.uint8)
    cv2.circle(mask, (c, c), c - 2, 255, -1)
    at = [round(c * (1 + share + draw.uniform(-0.06, 0.06))) for share in (-0.34, 0.34)]
    brow = round(c * (0.76 + draw.uniform(-0.06, 0.06)))
    picture[:] = draw.integers(60, 250, 3)
    ink = tuple(int(value * 0.3) for value in picture[0, 0])
    if kind == "stains":
        soft = draw.normal(0, 50, (8, 8, 3)).mean(2, keepdims=True) + draw.integers(80, 180, 3)
        picture = np.clip(cv2.resize(soft, (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC), 0, 255).astype(np.uint8)
    if kind == "button":
        for x in at:
            for y in at:
                cv2.circle(picture, (x, y), c // 8, ink, -1)
    if kind == "portrait":
        picture[:] = np.clip(np.array((224, 172, 140)) * draw.uniform(0.5, 1.1), 0, 255)
        ink = tuple(int(value * 0.35) for value in picture[0, 0])
        cv2.line(picture, (c, round(0.85 * c)), (round(1.05 * c), round(1.15 * c)), ink, c // 16)
        for x in at:
            cv2.line(picture, (x - c // 5, brow - c // 4), (x + c // 5, brow - c // 4), ink, c // 16)
    if kind == "smiley":
        picture[:], ink = (250, 210, 60), (20, 20, 20)
    if kind in ("portrait", "smiley", "dots"):
        for x in at:
            cv2.circle(picture, (x, brow), c // 8, ink, -1)
    if kind in ("portrait", "smiley"):
        cv2.ellipse(picture, (c, round(1.1 * c)), (round(0.45 * c), round(0.3 * c)), 0, 10, 170, ink, c // 12)
    if kind == "owl":
        for x in at:
            cv2.circle(picture, (x, brow), round(0.3 * c), (245, 245, 235), -1)
            cv2.circle(picture, (x, brow), c // 8, (15, 15, 15), -1)
        beak = np.array([(round(0.88 * c), c), (round(1.12 * c), c), (c, round(1.3 * c))])
        cv2.fillPoly(picture, [beak], (230, 140, 30))
    lit = np.clip(picture * np.linspace(1.15, 0.75, _SIDE)[:, None, None], 0, 255).astype(np.uint8)
    small = [cv2.resize(one, (side, side), interpolation=cv2.INTER_AREA) for one in (lit, mask)]
    return np.asarray(small[0], np.uint8), np.asarray(small[1], np.uint8)


def _person(sitter: Sitter, draw: np.random.Generator) -> Frames:
    """Somebody who smiles, shouts, turns, leans or wears a mask."""
    does = draw.integers(5)
    if does == 0:
        return sitter.shows({}, (float(draw.uniform(-0.7, 0.7)), float(draw.uniform(-0.2, 0.2)), 0.0))
    if does == 1:
        return sitter.shows({}, (0.0, float(draw.uniform(-0.3, 0.3)), float(draw.uniform(-0.4, 0.4))))
    if does == 2:
        return sitter.shows({26: 5.0, 25: 5.0, 1: 4.0, 43: float(draw.choice([0, 5]))})
    picture = sitter.shows({12: float(draw.integers(5))}).copy()
    if does == 3:
        picture[165:260, 75:225] = draw.integers(90, 240, 3)
    return picture


def scene(sitters: list[Sitter], draw: np.random.Generator) -> tuple[Frames, list[Place]]:
    """A picture ``(720, 1280, 3)``: somebody large, six badges and six small people."""
    rough = draw.integers(60, 200, (6, 10, 3)).astype(np.uint8)
    image = np.asarray(cv2.resize(rough, (1280, 720), interpolation=cv2.INTER_CUBIC), np.uint8)
    large = sitters[0].shows({12: float(draw.integers(5))})
    image[200:500, 60:360] = large
    places = list[Place]()
    for number, cell in enumerate(draw.permutation(12)):
        left, top = 430 + int(cell) % 4 * 210 + int(draw.integers(20)), 10 + int(cell) // 4 * 235
        if number < len(KINDS):
            side = int(draw.choice([60, 75, 90]))
            picture, mask = badge(KINDS[number], side, draw)
            place = image[top + 40 : top + 40 + side, left : left + side]
            place[mask > 127] = picture[mask > 127]
            places.append((left + side / 2, top + 40 + side / 2, 0.7 * side, KINDS[number]))
        else:
            wide = int(draw.choice(WIDTHS))
            side = round(wide / _FACE)
            person = cv2.resize(_person(sitters[int(draw.integers(len(sitters)))], draw), (side, side), None, 0, 0, 3)
            image[top : top + side, left : left + side] = person
            places.append((left + side / 2, top + side / 2, 0.4 * side, str(wide)))
    soft = cv2.GaussianBlur(image, (0, 0), 0.6)
    return np.clip(soft + draw.normal(0, 2, soft.shape), 0, 255).astype(np.uint8), places
