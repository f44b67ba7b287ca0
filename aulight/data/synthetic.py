"""Synthetic faces with known action-unit intensities: the embedded dataset, drawn by code alone.

One video is one subject. Expressions come and go over it (onset, apex, offset), and every action unit moves
what FACS says it moves: brows, lids, folds, lips, chin. What a network must learn to ignore is there as well:
who it is, head pose, gaze, blinks, movements that are not coded, light, sensor noise and h264. Geometry is
computed for all frames of a video at once; the loop over frames only draws.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from aulight.data.store import StoreWriter
from aulight.data.video import write_video
from aulight.errors import AulightError
from aulight.facs import AU_NAMES, DISFA_AUS, MAX_INTENSITY
from aulight.workers import worker_pool

Array = npt.NDArray[np.float64]
Image = npt.NDArray[np.uint8]

FPS = 25.0
_FONT = cv2.FONT_HERSHEY_SIMPLEX


@dataclass(frozen=True)
class Size:
    """How much data to make: crop side in pixels, frames of each video, and videos of each split."""

    pixels: int
    frames: int
    unlabelled: int
    train: int
    validation: int
    test: int

    def splits(self) -> list[str]:
        """Split of each video, in the order in which they are made."""
        names = ("unlabelled", "train", "validation", "test")
        return [name for name in names for _ in range(getattr(self, name))]


SIZES: dict[str, Size] = {
    "smoke": Size(pixels=64, frames=60, unlabelled=12, train=6, validation=3, test=3),
    "default": Size(pixels=64, frames=160, unlabelled=500, train=48, validation=20, test=40),
    "large": Size(pixels=112, frames=320, unlabelled=3000, train=300, validation=60, test=120),
}


# ------------------------------------------------------------------------------------------------------------
# Expressions: what the face does over time
# ------------------------------------------------------------------------------------------------------------

_Script = tuple[tuple[float, dict[int, float]], ...]

# Mean number of starts in a second, and the chance that each action unit takes part. Whole expressions give
# the co-occurrence of real data; the single units keep each from being guessed from its companions.
_EXPRESSIONS: _Script = (
    (0.160, {12: 1.0, 6: 0.75, 25: 0.45}),
    (0.060, {1: 1.0, 2: 0.9, 5: 0.6, 25: 0.6, 26: 0.6}),
    (0.040, {1: 0.7, 4: 0.8, 15: 0.9, 17: 0.6}),
    (0.040, {4: 1.0, 5: 0.5, 17: 0.5}),
    (0.040, {9: 1.0, 4: 0.5, 17: 0.4, 25: 0.3}),
    (0.040, {1: 0.6, 4: 0.6, 5: 0.7, 20: 1.0, 25: 0.8}),
    (0.060, {25: 1.0, 26: 0.7}),
    *((rate, {au: 1.0}) for au, rate in zip(DISFA_AUS, (
        0.035, 0.050, 0.050, 0.055, 0.045, 0.060, 0.035, 0.075, 0.060, 0.075, 0.030, 0.035), strict=True)),
)  # fmt: skip
# Movements that DISFA does not code, and that a network must tell from the ones above: lid tightener, upper
# lip raiser, dimpler, lip pucker, lip pressor.
_UNCODED = (7, 10, 14, 18, 24)
_DISTRACTIONS: _Script = tuple((0.01, {au: 1.0}) for au in _UNCODED)
_LONGEST_S = 5.0
# Expressions come in bursts: mean seconds of a lively stretch and of the calm one after it, in which nothing starts.
_LIVELY_S, _CALM_S = 6.0, 2.5


def _play(rng: np.random.Generator, script: _Script, aus: tuple[int, ...], frames: int, fps: float) -> Array:
    """Continuous intensities ``(frames, len(aus))`` in 0..5, from a Poisson process of expressions."""
    time = np.arange(frames) / fps
    intensities = np.zeros((frames, len(aus)))
    turns = np.cumsum(rng.exponential((_LIVELY_S, _CALM_S), (frames // 50 + 8, 2)).ravel()) - 2 * _LONGEST_S
    for rate, units in script:
        # Starting before the first frame makes the process stationary: a video may open in mid-expression.
        for _ in range(rng.poisson(rate * (time[-1] + _LONGEST_S))):
            start = rng.uniform(-_LONGEST_S, time[-1])
            if np.searchsorted(turns, start) % 2:
                continue
            onset, apex, offset = rng.uniform(0.25, 0.8), rng.gamma(1.6, 0.6), rng.uniform(0.4, 1.2)
            strength = 0.9 + rng.exponential(1.35)
            for au, chance in units.items():
                if rng.random() > chance:
                    continue
                elapsed = time - start - rng.uniform(0.0, 0.25)
                course = np.clip(elapsed / onset, 0, 1) * np.clip((onset + apex + offset - elapsed) / offset, 0, 1)
                peak = min(strength * rng.uniform(0.65, 1.35), 5.0)
                column = intensities[:, aus.index(au)]
                np.maximum(column, peak * course**2 * (3 - 2 * course), out=column)
    return intensities


def _expressions(rng: np.random.Generator, frames: int, fps: float) -> Array:
    """Continuous intensities ``(frames, 12)`` in 0..5 of one video, as bodies allow them."""
    intensities = _play(rng, _EXPRESSIONS, DISFA_AUS, frames, fps)
    smile, frown = DISFA_AUS.index(12), DISFA_AUS.index(15)
    intensities[:, frown] *= np.clip(1 - 2 * intensities[:, smile], 0, 1)  # 12 and 15 pull against each other
    part, jaw = DISFA_AUS.index(25), DISFA_AUS.index(26)
    intensities[:, part] = np.maximum(intensities[:, part], 0.7 * intensities[:, jaw])
    return intensities


# ------------------------------------------------------------------------------------------------------------
# Nuisances: who it is, and how the camera sees it
# ------------------------------------------------------------------------------------------------------------

_SKIN = np.array([[246, 216, 196], [232, 190, 160], [212, 164, 128], [176, 124, 90], [140, 96, 70], [108, 74, 56]])
_HAIR = np.array([[28, 24, 24], [52, 36, 28], [92, 62, 42], [130, 76, 44], [176, 138, 86], [150, 146, 142]])
_IRIS = np.array([[60, 38, 24], [92, 62, 34], [78, 96, 58], [70, 104, 140], [96, 112, 120]])


@dataclass(frozen=True)
class _Identity:
    """A subject's looks. Lengths are in half crops; the crop spans -1..1 both ways, y downwards."""

    skin: Array
    hair: Array
    lips: Array
    iris: Array
    backdrop: Array
    width: float
    squareness: float
    chin: float
    hairline: float
    beard: float
    eye_x: float
    eye_width: float
    iris_radius: float
    lid: float
    lower_lid: float
    tilt: float
    lid_crease: float
    brow: float
    brow_angle: float
    brow_arch: float
    brow_width: float
    brow_length: float
    nose: float
    nose_width: float
    mouth: float
    mouth_width: float
    mouth_curve: float
    upper_lip: float
    lower_lip: float
    age: float
    wrinkling: float
    glasses: bool
    freckles: Array
    blotches: Array
    gain: Array


def _identity(rng: np.random.Generator) -> _Identity:
    u = rng.uniform
    tone = u(0, len(_SKIN) - 1.001)
    skin = _SKIN[int(tone)] + (tone % 1) * (_SKIN[int(tone) + 1] - _SKIN[int(tone)]) + rng.normal(0, 5, 3)
    # Dark skin seldom comes with fair hair or light eyes.
    hair = _HAIR[rng.integers(0, len(_HAIR) if tone < 2.5 else 3)] + u(-8, 8, 3)
    rosy = skin * (0.80, 0.58, 0.56) + (16, 6, 8)
    return _Identity(
        skin=skin,
        hair=np.clip(hair, 8, 255),
        lips=skin + u(0.35, 1.1) * (rosy - skin),
        iris=_IRIS[rng.integers(0, len(_IRIS) if tone < 2.5 else 2)] + u(-8, 8, 3),
        backdrop=u(50, 200) + u(-25, 25, 3),
        width=u(0.73, 0.88),
        squareness=u(0.62, 0.95),
        chin=u(0.80, 0.89),
        hairline=u(-0.98, -0.82) if u() < 0.75 else u(-0.72, -0.60),
        beard=u(0.15, 0.7) if u() < 0.25 else 0.0,
        eye_x=u(0.36, 0.41),
        eye_width=u(0.19, 0.235),
        iris_radius=u(0.105, 0.122),
        lid=u(0.50, 0.85),
        lower_lid=u(0.65, 1.0),
        tilt=u(-0.03, 0.04),
        lid_crease=u(0.05, 0.4),
        brow=u(0.24, 0.33),
        brow_angle=u(-0.05, 0.05),
        brow_arch=u(0.0, 0.06),
        brow_width=u(0.018, 0.055),
        brow_length=u(0.19, 0.27),
        nose=u(0.16, 0.26),
        nose_width=u(0.10, 0.17),
        mouth=u(0.47, 0.56),
        mouth_width=u(0.22, 0.33),
        mouth_curve=u(-0.04, 0.04),
        upper_lip=u(0.02, 0.065),
        lower_lip=u(0.035, 0.09),
        age=u(0, 1) ** 1.5,
        wrinkling=u(0.5, 1.0),
        glasses=bool(u() < 0.15),
        freckles=np.stack([u(-0.6, 0.6, 5), u(-0.7, 0.75, 5)], -1)[: rng.integers(0, 6)],
        blotches=np.stack([u(-0.7, 0.7, 8), u(-0.8, 0.8, 8), u(0.06, 0.2, 8), u(-0.1, 0.1, 8)], -1),
        gain=u(0.85, 1.15, len(DISFA_AUS)),
    )


@dataclass(frozen=True)
class _View:
    """How a video is seen, each field ``(frames,)`` but the noise; all zeros: still, frontal, evenly lit."""

    shift_x: Array
    shift_y: Array
    roll: Array
    zoom: Array
    yaw: Array
    pitch: Array
    gaze_x: Array
    gaze_y: Array
    blink: Array
    brightness: Array
    light_x: Array
    light_y: Array
    noise: float


def _drift(rng: np.random.Generator, frames: int, offset: float, wander: float, jitter: float = 0.0) -> Array:
    """A random constant, a slow wander and a jitter from frame to frame, each of the given spread."""
    knots = rng.normal(0, 1, frames // 16 + 4)
    path = np.interp(np.linspace(1, len(knots) - 2, frames), np.arange(len(knots)), knots)
    smooth = cv2.blur(path[None], (11, 1), borderType=cv2.BORDER_REPLICATE)[0]
    return np.asarray(offset * rng.normal() + wander * smooth + jitter * rng.normal(0, 1, frames))


def _view(rng: np.random.Generator, frames: int, fps: float) -> _View:
    time = np.arange(frames) / fps
    blink = np.zeros(frames)
    for start in rng.uniform(0, time[-1] + 0.5, rng.poisson(0.1 * time[-1])):
        np.maximum(blink, np.clip(1.4 - np.abs(time - start) / 0.12, 0, 1), out=blink)
    return _View(
        shift_x=_drift(rng, frames, 0.025, 0.015, 0.003),
        shift_y=_drift(rng, frames, 0.025, 0.015, 0.003),
        roll=_drift(rng, frames, 0.03, 0.022, 0.003),
        zoom=_drift(rng, frames, 0.03, 0.02, 0.003),
        yaw=_drift(rng, frames, 0.18, 0.012),
        pitch=_drift(rng, frames, 0.11, 0.008),
        gaze_x=_drift(rng, frames, 0.30, 0.03),
        gaze_y=_drift(rng, frames, 0.12, 0.015),
        blink=blink,
        brightness=np.exp(_drift(rng, frames, 0.18, 0.07, 0.01)) - 1,
        light_x=_drift(rng, frames, 0.32, 0.02),
        light_y=_drift(rng, frames, 0.24, 0.015),
        noise=rng.uniform(2.0, 4.5),
    )


def _still(frames: int) -> _View:
    zero = np.zeros(frames)
    return _View(*(zero,) * 12, noise=0.0)


# ------------------------------------------------------------------------------------------------------------
# Drawing
# ------------------------------------------------------------------------------------------------------------

_SUPERSAMPLE = 2
_SHIFT = 4  # fractional bits of the coordinates that OpenCV draws with
_DEEPEST = 0.6  # the strongest darkening of a fold
_NEUTRAL = 200  # value of a shade layer that leaves the picture as it is; 255 lights it, less darkens it


class _Sketch:
    """Shapes of one video, recorded for all its frames at once and then drawn frame by frame.

    Three layers: ``paint`` holds colours; ``crease`` and ``volume`` are grey and multiply the picture, the
    first hardly blurred (folds and furrows), the second much (cheeks, sockets, the sides of the nose).
    Coordinates are ``(points,)`` or ``(frames, points)``.
    """

    def __init__(self, view: _View, pixels: int) -> None:
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


_EYE_Y = -0.12
_TURN = np.linspace(0, 2 * np.pi, 16, endpoint=False)
_Acts = dict[int, Array]
# Larger than life: at 64 pixels a true-to-life movement is so small beside the other changes within a video that
# contrastive pre-training finds those instead.
_CARICATURE = 1.8


def _draw(who: _Identity, coded: Array, uncoded: Array, sketch: _Sketch) -> None:
    """Record a subject's face at ``(frames, 12)`` intensities of ``DISFA_AUS``, ``(frames, 5)`` of others."""
    acts = {au: _CARICATURE * who.gain[i] * coded[:, [i]] / MAX_INTENSITY for i, au in enumerate(DISFA_AUS)}
    acts |= {au: uncoded[:, [i]] / MAX_INTENSITY for i, au in enumerate(_UNCODED)}
    jaw = 0.12 * acts[26]
    _head(who, jaw, sketch)
    _nose(who, acts, sketch)
    for side in (-1, 1):
        _eye(who, acts, side, sketch)
        _brow(who, acts, side, sketch)
        _cheek(who, acts, side, sketch)
    _forehead(who, acts, sketch)
    _mouth(who, acts, jaw, sketch)
    _chin(who, acts, jaw, sketch)
    for x, y in who.freckles:
        sketch.shade(x + np.array([0, 0.012]), np.array([y, y]), 0.25, width=0.02)
    for x, y, radius, strength in who.blotches:
        sketch.shade(x + radius * np.cos(_TURN), y + radius * np.sin(_TURN), strength, layer="volume")
    x = np.linspace(-1.1, 1.1, 13)
    y = who.hairline + 0.35 * x**2 - 0.05
    sketch.paint(np.append(x, [1.3, -1.3]), np.append(y, [-1.6, -1.6]), who.hair)


def _head(who: _Identity, jaw: Array, sketch: _Sketch) -> None:
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    cosine, sine = np.cos(turn), np.sin(turn)
    x = who.width * np.sign(cosine) * np.abs(cosine) ** np.where(sine > 0, who.squareness, 0.8)
    y = -0.1 + np.where(sine > 0, (who.chin + 0.1 + jaw) * sine, 1.2 * sine)
    sketch.paint(1.2 * cosine, -0.3 + 1.1 * sine, 0.8 * who.hair, depth=-0.5)
    sketch.paint([-0.45, 0.45, 0.6, -0.6], [0.5, 0.5, 1.5, 1.5], 0.62 * who.skin, depth=-0.4)  # the neck
    sketch.paint(x, y, who.skin)
    if who.beard:
        lower, top = sine > 0.15, who.nose + 0.11  # along the jaw, then back over the cheeks and upper lip
        beard_x = np.append(x[lower], [-0.5, -0.38, -0.2, 0.2, 0.38, 0.5])
        beard_y = np.append(y[:, lower], np.repeat([top + np.array([0.1, 0.05, 0, 0, 0.05, 0.1])], len(y), 0), 1)
        sketch.paint(beard_x, beard_y, who.skin + who.beard * (who.hair - who.skin))
    sketch.shade(np.append(x, x[0]), np.append(y, y[:, :1], 1), 0.22, width=0.10, layer="volume")


def _forehead(who: _Identity, acts: _Acts, sketch: _Sketch) -> None:
    worn, depth = 0.12 * who.age, 0.42 * who.wrinkling
    middle, outer = np.linspace(-0.2, 0.2, 9), np.linspace(-1, 1, 7)
    for k in range(3):
        y = -0.56 - 0.085 * k - 0.03 * acts[1] + 0.025 * np.cos(middle * 15)
        sketch.shade(middle, y, worn + depth * acts[1][:, 0], width=0.026)
        for side in (-1, 1):
            y = -0.54 - 0.085 * k - 0.06 * acts[2] + 0.06 * (outer - 0.1) ** 2
            sketch.shade(side * (0.44 + 0.17 * outer), y, worn + depth * acts[2][:, 0], width=0.026)
    for side in (-1, 1):  # the furrows of the glabella
        x = side * (0.06 + 0.02 * np.array([1, 0.4, 0, 0.5]) - 0.012 * acts[4])
        y = _EYE_Y + np.array([-0.34, -0.26, -0.18, -0.09]) + 0.03 * acts[4]
        sketch.shade(x, y, 0.08 * who.age + 0.5 * who.wrinkling * acts[4][:, 0], width=0.028)


def _brow(who: _Identity, acts: _Acts, side: int, sketch: _Sketch) -> None:
    along = np.linspace(0, 1, 9)  # from the inner end to the outer
    inner, outer = (1 - along) ** 1.3, np.sin(np.pi * 0.62 * np.minimum(along, 0.8)) ** 1.5
    x = who.eye_x + who.brow_length * (2 * along - 1) + 0.01 - 0.06 * acts[4] * (1 - along)
    y = _EYE_Y - who.brow + who.brow_angle * (1 - 2 * along)
    y = y - who.brow_arch * np.sin(np.pi * (along * 0.8 + 0.2)) - 0.15 * acts[1] * inner - 0.15 * acts[2] * outer
    y = y + acts[4] * (0.10 * inner + 0.05) + 0.04 * acts[9] * inner
    half = who.brow_width * (1 - 0.6 * along**2) * np.minimum(1, 0.6 + along * 3)
    colour = 0.75 * who.hair + 0.10 * who.skin
    sketch.paint(side * _loop(x, x), _loop(y - half, y + half), colour)


def _loop(upper: Array, lower: Array) -> Array:
    """Closed outline from an upper and a lower edge, both from left to right."""
    return np.concatenate([upper, lower[..., ::-1]], -1)


def _eye(who: _Identity, acts: _Acts, side: int, sketch: _Sketch) -> None:
    view, radius = sketch.view, who.iris_radius
    # Apertures in iris radii from the centre of the eye. At rest the upper lid always covers the top of the
    # iris, so that white above the iris means AU 5 in every face, however wide its eyes are.
    lid = who.lid + 1.15 * acts[5] - 0.12 * acts[6] - 0.2 * acts[9] - 0.1 * acts[4] - 0.15 * acts[7]
    low = who.lower_lid - 0.6 * acts[6] - 0.25 * acts[9] - 0.4 * acts[7]
    lid, low = np.maximum(lid, 0.15), np.maximum(low, 0.1)
    blink = view.blink[:, None]
    lid = lid * (1 - blink) - 0.8 * low * blink
    along = np.linspace(-1, 1, 13)
    arch = (1 - along**2) ** 0.7
    x = side * (who.eye_x + who.eye_width * along)
    axis = _EYE_Y - who.tilt * along
    gaze_y = 0.05 * view.gaze_y[:, None]
    # The upper lid follows the gaze up and down.
    upper, lower = axis - (radius * lid - gaze_y) * arch, axis + radius * low * arch
    upper = np.minimum(upper, lower)

    sketch.shade(x, axis - 0.02, 0.10, width=0.30, layer="volume")
    sketch.paint(_loop(x, x), _loop(upper, lower), 0.2 * who.skin + (180, 180, 180))
    iris_x, iris_y = side * who.eye_x + 0.10 * view.gaze_x[:, None], _EYE_Y + gaze_y
    for scale, colour in ((1.0, who.iris), (0.48, np.full(3, 14.0))):
        sketch.paint(iris_x + scale * radius * np.cos(_TURN), iris_y + scale * radius * np.sin(_TURN), colour)
    glint_x, glint_y = iris_x - 0.3 * radius, iris_y - 0.35 * radius
    sketch.paint(glint_x + 0.2 * radius * np.cos(_TURN), glint_y + 0.2 * radius * np.sin(_TURN), [235] * 3)
    # The lids are painted over what they hide.
    fold = np.minimum(axis - 1.9 * radius * np.maximum(arch, 0.2), upper - 0.01)
    bag = axis + 1.7 * radius * np.maximum(arch, 0.2) + 0 * lower
    sketch.paint(_loop(x, x), _loop(fold, upper), 0.94 * who.skin)
    sketch.paint(_loop(x, x), _loop(lower, bag), who.skin)
    sketch.shade(x, fold + 0.01, who.lid_crease, width=0.022)
    sketch.shade(x[2:], lower[:, 2:] + 0.01, 0.2, width=0.022)
    sketch.paint(x, upper, 0.2 * who.skin + 8, width=0.03)
    if who.glasses:
        ring = np.append(_TURN, 0)
        rim_x = side * who.eye_x + 0.30 * np.sign(np.cos(ring)) * np.abs(np.cos(ring)) ** 0.6
        rim_y = _EYE_Y + 0.03 + 0.24 * np.sign(np.sin(ring)) * np.abs(np.sin(ring)) ** 0.6
        sketch.paint(rim_x, rim_y, 0.7 * who.hair, 0.03, depth=0.08)
        bridge = side * np.array([0.0, who.eye_x - 0.29])
        sketch.paint(bridge, [_EYE_Y - 0.03] * 2, 0.7 * who.hair, 0.03, depth=0.1)


def _cheek(who: _Identity, acts: _Acts, side: int, sketch: _Sketch) -> None:
    smile, raised, sneer = acts[12][:, 0], acts[6][:, 0], acts[9][:, 0]
    worn, depth = 0.10 * who.age, 0.5 * who.wrinkling
    # Crow's feet fan out from the outer corner; a pouch line curves under the eye; the cheek's apple swells.
    reach = np.array([0, 0.06, 0.12])
    for slope in (-0.9, 0.0, 0.9):
        x = side * (who.eye_x + who.eye_width + 0.03 + reach)
        sketch.shade(x, _EYE_Y + 0.01 + slope * reach, worn + depth * raised, 0.024)
    along = np.linspace(-1, 1, 9)
    x = side * (who.eye_x + 0.01 + 0.21 * along)
    y = _EYE_Y + 0.20 + 0.05 * (1 - along**2) - 0.03 * acts[6] - 0.03 * along
    sketch.shade(x, y, 0.04 + worn + depth * raised, width=0.028)
    x, y = 0.46 + 0.17 * np.cos(_TURN), 0.22 - 0.05 * (acts[6] + acts[12]) + 0.11 * np.sin(_TURN)
    sketch.shade(side * x, y, -(0.04 + 0.12 * raised + 0.06 * smile), layer="volume")
    # The nasolabial fold: AU 9 deepens its upper part beside the nose, AU 12 its lower part round the mouth.
    worn, steps = 0.2 * who.age + 0.04, np.linspace(0, 1, 5)
    top_x, top_y = who.nose_width + 0.045, who.nose - 0.07 - 0.05 * acts[9]
    mid_x = who.nose_width + 0.12 + 0.05 * acts[12]
    mid_y = who.nose + 0.10 - 0.03 * (acts[12] + acts[9] + acts[10])
    end_x, end_y = who.mouth_width + 0.07 + 0.09 * acts[12], who.mouth - 0.02 - 0.07 * acts[12]
    x, y = top_x + (mid_x - top_x) * steps, top_y + (mid_y - top_y) * steps
    sketch.shade(side * x, y, worn + depth * (sneer + 0.5 * acts[10][:, 0]), width=0.032)
    x, y = mid_x + (end_x - mid_x) * steps, mid_y + (end_y - mid_y) * steps**1.4
    sketch.shade(side * x, y, worn + depth * (0.8 * smile + 0.3 * acts[10][:, 0]), width=0.032)


def _nose(who: _Identity, acts: _Acts, sketch: _Sketch) -> None:
    tip = who.nose - 0.05 * acts[9]
    wing = who.nose_width * (1 + 0.15 * acts[9])
    for side in (-1, 1):
        ridge = side * np.array([0.09, 0.08, 0.10])
        sketch.shade(ridge, [-0.2, 0.0, 0.12], 0.13, width=0.06, layer="volume")
        turn = np.linspace(-0.6, np.pi * 0.7, 7)
        x, y = wing - 0.05 + 0.055 * np.cos(turn), tip - 0.02 + 0.055 * np.sin(turn)
        sketch.shade(side * x, y, 0.25 + 0.15 * acts[9][:, 0], 0.028, depth=0.12)
        x, y = wing * 0.45 + 0.035 * np.cos(_TURN), tip + 0.03 + 0.018 * np.sin(_TURN)
        sketch.shade(side * x, y, 0.5, depth=0.14)
    sketch.shade(np.zeros(2), [-0.05, who.nose - 0.08], -0.10, width=0.06, depth=0.1, layer="volume")
    x = np.linspace(-1, 1, 5) * 0.085
    for k in range(3):  # wrinkles across the bridge
        y = _EYE_Y + 0.065 * k + 0.3 * np.abs(x)
        strength = 0.05 * who.age + 0.5 * who.wrinkling * acts[9][:, 0]
        sketch.shade(x, y, strength, width=0.024, depth=0.06)


def _mouth(who: _Identity, acts: _Acts, jaw: Array, sketch: _Sketch) -> None:
    along = np.linspace(-1, 1, 17)
    away, middle = np.abs(along), 1 - along**2
    stretch = 0.22 * acts[12] + 0.34 * acts[20] - 0.08 * acts[17] - 0.12 * acts[26] - 0.3 * acts[18]
    x = who.mouth_width * (1 + stretch - 0.08 * acts[14]) * along
    rest = who.mouth_curve * (1 - 0.7 * acts[20]) * (away**2 - 0.5)
    corners = -0.15 * acts[12] * away**1.6 + 0.11 * acts[15] * away**2.2 + 0.5 * jaw * away**2
    line = who.mouth - 0.06 * acts[17] * middle + 0.15 * jaw - 0.015 * acts[9] + rest + corners
    upper = line - (0.03 * acts[25] + 0.03 * acts[9] + 0.035 * acts[10]) * middle
    lower = upper + (0.095 * acts[25] + 1.1 * jaw) * (1 - away**2.2)
    plump = 1 - 0.35 * acts[20] - 0.15 * acts[12] - 0.45 * acts[24] + 0.2 * acts[18]
    bow = middle - 0.35 * np.exp(-((along / 0.14) ** 2))
    top = upper - 1.3 * who.upper_lip * plump * bow
    bottom = lower + who.lower_lip * plump * (1 - 0.35 * acts[17]) * middle
    sketch.paint(_loop(x, x), _loop(top, bottom), who.lips)
    sketch.paint(_loop(x, x), _loop(upper, lower), (56.0, 22.0, 24.0))
    inside = slice(3, -3)
    edge = upper[:, inside]
    teeth = np.minimum(0.6 * (lower - upper), 0.05)[:, inside]
    sketch.paint(_loop(x[:, inside], x[:, inside]), _loop(edge, edge + teeth), (206.0, 200.0, 190.0))
    sketch.paint(x, upper, 0.5 * who.lips, width=0.026)
    depth, steps, bracket = 0.5 * who.wrinkling, np.array([0.0, 0.5, 1.0]), np.linspace(-1, 1, 7)
    for side, end in ((-1, 0), (1, -1)):
        corner_x, corner_y = x[:, [end]], line[:, [end]]
        # Below the corners AU 15 draws a fold, down and out; beside them AU 20 draws upright brackets, and
        # a dimple comes and goes.
        fold_x, fold_y = corner_x + side * (0.01 + 0.06 * steps), corner_y + 0.02 + 0.14 * steps
        sketch.shade(fold_x, fold_y, 0.12 * who.age + depth * acts[15][:, 0], width=0.032)
        side_x, side_y = corner_x + side * (0.07 - 0.035 * bracket**2), corner_y + 0.01 + 0.11 * bracket
        sketch.shade(side_x, side_y, 0.05 * who.age + depth * acts[20][:, 0], width=0.028)
        dimple_x, dimple_y = corner_x + side * 0.04, corner_y - 0.03 + 0.05 * steps
        sketch.shade(dimple_x + 0 * steps, dimple_y, 0.5 * acts[14][:, 0], width=0.03)


def _chin(who: _Identity, acts: _Acts, jaw: Array, sketch: _Sketch) -> None:
    boss, depth = acts[17][:, 0], 0.5 * who.wrinkling
    rise = jaw - 0.045 * acts[17]
    along = np.linspace(-1, 1, 9)
    y = who.mouth + who.lower_lip + 0.055 + rise + 0.035 * along**2
    sketch.shade(0.15 * along, y, 0.10 + 0.08 * who.age + depth * boss, width=0.032)
    centre = who.chin - 0.10 + rise
    x, y = 0.13 * np.cos(_TURN), centre + 0.07 * np.sin(_TURN)
    sketch.shade(x, y, -0.05 - 0.12 * boss, layer="volume")
    for dent, up in ((-0.10, 0.0), (-0.04, -0.035), (0.04, -0.035), (0.10, 0.0), (-0.05, 0.03), (0.05, 0.03)):
        sketch.shade(np.array([dent, dent + 0.015]), centre + np.array([up, up + 0.01]), depth * boss, width=0.03)


def render_video(
    seed: int | Sequence[int], pixels: int = 64, frames: int = 160, fps: float = FPS
) -> tuple[Image, npt.NDArray[np.float32]]:
    """One subject's video and the intensities that it shows.

    Args:
        seed: The subject; the same seed gives the same video.
        pixels: Side of the square crop.
        frames: Length of the video.
        fps: Frames a second.

    Returns:
        Frames ``(frames, pixels, pixels, 3)`` uint8 RGB, and continuous intensities ``(frames, 12)`` float32
        in 0..5 of ``facs.DISFA_AUS`` in that order. Labels are these, rounded.
    """
    rng = np.random.default_rng(seed)
    who = _identity(rng)
    intensities = _expressions(rng, frames, fps)
    uncoded = _play(rng, _DISTRACTIONS, _UNCODED, frames, fps)
    view = _view(rng, frames, fps)
    sketch = _Sketch(view, pixels)
    _draw(who, intensities, uncoded, sketch)
    noise = rng.standard_normal((frames, pixels, pixels, 3), dtype=np.float32) * np.float32(view.noise)
    return sketch.render(who.backdrop, noise), intensities.astype(np.float32)


# ------------------------------------------------------------------------------------------------------------
# The dataset on disk
# ------------------------------------------------------------------------------------------------------------


def _make(job: tuple[Path, tuple[int, int], Size]) -> npt.NDArray[np.int8]:
    """Write one video; its labels ``(frames, 12)`` come back."""
    path, seed, size = job
    frames, intensities = render_video(seed, size.pixels, size.frames)
    write_video(path, frames, FPS, crf=23)
    return np.round(intensities).astype(np.int8)


def generate(root: Path, size: str = "default", seed: int = 0, workers: int | None = None) -> None:
    """Make the synthetic dataset as a prepared dataset, with a column ``split`` in ``videos.parquet``.

    One video per subject, so that no subject is in two splits; the unlabelled split has no rows in
    ``labels.parquet``. Interrupted, it leaves nothing behind under ``root``.

    Args:
        root: Folder of the dataset; must not exist.
        size: A key of ``SIZES``.
        seed: Decides every pixel and label, whatever the number of workers.
        workers: Processes that draw and encode; as many as there are CPUs where not given.

    Raises:
        AulightError: If the size is unknown or ``root`` exists.
    """
    if size not in SIZES:
        raise AulightError(f"size={size}: no such size of the synthetic dataset; choose one of {', '.join(SIZES)}")
    chosen = SIZES[size]
    splits = chosen.splits()
    names = [f"{split}_{index:05d}" for index, split in enumerate(splits)]
    meta = {
        "name": "synthetic",
        "aus": list(DISFA_AUS),
        "fps": FPS,
        "crop_size": chosen.pixels,
        "alignment": "drawn aligned, eyes level",
        "source": {"generator": "aulight.data.synthetic", "size": size, "seed": seed},
    }
    with StoreWriter(root, meta) as store:
        jobs = [(store.videos / f"{name}.mp4", (seed, index), chosen) for index, name in enumerate(names)]
        with worker_pool(workers) as pool:
            drawn = pool.map(_make, jobs)
            results = tqdm(drawn, total=len(jobs), desc="Drawing synthetic faces", unit="video")
            for index, labels in enumerate(results):
                store.add(
                    video_id=names[index],
                    subject=f"S{index:05d}",
                    fps=FPS,
                    source_frame=np.arange(chosen.frames),
                    face_confidence=np.ones(chosen.frames, np.float32),
                    labels=None if splits[index] == "unlabelled" else dict(zip(DISFA_AUS, labels.T, strict=True)),
                    split=splits[index],
                )


def contact_sheet(subjects: int = 3, pixels: int = 96, columns: int = 3, seed: int = 0) -> Image:
    """A picture of what the dataset shows: a labelled panel for every AU, subjects at rest, at 3 and at 5.

    Args:
        subjects: Rows of each panel; every panel shows other subjects.
        pixels: Side of a face.
        columns: Panels beside each other.
        seed: Which subjects.

    Returns:
        ``(height, width, 3)`` uint8 RGB.
    """
    margin, title = 8, 38
    levels = (0, 3, MAX_INTENSITY)
    rows = -(-len(DISFA_AUS) // columns)
    panel_width, panel_height = len(levels) * pixels + margin, subjects * pixels + title + margin
    sheet = np.full((rows * panel_height + margin, columns * panel_width + margin, 3), 255, np.uint8)
    for panel, au in enumerate(DISFA_AUS):
        left = margin + panel % columns * panel_width
        top = margin + panel // columns * panel_height
        cv2.putText(sheet, f"AU{au} {AU_NAMES[au]}", (left, top + 14), _FONT, 0.46, (0, 0, 0), 1, cv2.LINE_AA)
        for place, level in enumerate(levels):
            at = (left + place * pixels + pixels // 2 - 4, top + title - 6)
            cv2.putText(sheet, str(level), at, _FONT, 0.42, (90, 90, 90), 1, cv2.LINE_AA)
        intensities = np.zeros((len(levels), len(DISFA_AUS)))
        intensities[:, panel] = levels
        if au == 26:  # a jaw that drops parts the lips
            intensities[:, DISFA_AUS.index(25)] = 0.7 * intensities[:, panel]
        for row in range(subjects):
            who = _identity(np.random.default_rng([seed, panel, row]))
            sketch = _Sketch(_still(len(levels)), pixels)
            _draw(who, intensities, np.zeros((len(levels), len(_UNCODED))), sketch)
            strip = np.concatenate(list(sketch.render(who.backdrop)), 1)
            y = top + title + row * pixels
            sheet[y : y + pixels, left : left + strip.shape[1]] = strip
    return sheet


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m aulight.data.synthetic", description="Look at the faces.")
    parser.add_argument("--contact-sheet", type=Path, required=True, metavar="PNG", help="where the picture goes")
    path = parser.parse_args().contact_sheet
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(contact_sheet(), cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    _main()
