"""Who is seen, and how: looks, head pose, gaze, blinks and light, drawn at random."""

from dataclasses import dataclass

import cv2
import numpy as np

from aulight.data.synthetic.motion import Array
from aulight.datasets import DISFA_AUS

_SKIN = np.array([[246, 216, 196], [232, 190, 160], [212, 164, 128], [176, 124, 90], [140, 96, 70], [108, 74, 56]])
_HAIR = np.array([[28, 24, 24], [52, 36, 28], [92, 62, 42], [130, 76, 44], [176, 138, 86], [150, 146, 142]])
_IRIS = np.array([[60, 38, 24], [92, 62, 34], [78, 96, 58], [70, 104, 140], [96, 112, 120]])


@dataclass(frozen=True)
class Identity:
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


def identity(rng: np.random.Generator) -> Identity:
    """Draws who somebody is."""
    u = rng.uniform
    tone = u(0, len(_SKIN) - 1.001)
    skin = _SKIN[int(tone)] + (tone % 1) * (_SKIN[int(tone) + 1] - _SKIN[int(tone)]) + rng.normal(0, 5, 3)
    # Dark skin seldom comes with fair hair or light eyes.
    hair = _HAIR[rng.integers(0, len(_HAIR) if tone < 2.5 else 3)] + u(-8, 8, 3)
    rosy = skin * (0.80, 0.58, 0.56) + (16, 6, 8)
    return Identity(
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
class View:
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


def view_of(rng: np.random.Generator, frames: int, fps: float) -> View:
    """Draws how somebody is seen over a video of so many frames."""
    time = np.arange(frames) / fps
    blink = np.zeros(frames)
    for start in rng.uniform(0, time[-1] + 0.5, rng.poisson(0.1 * time[-1])):
        np.maximum(blink, np.clip(1.4 - np.abs(time - start) / 0.12, 0, 1), out=blink)
    return View(
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


def still(frames: int) -> View:
    """A view from the front that does not move, for pictures."""
    zero = np.zeros(frames)
    return View(*(zero,) * 12, noise=0.0)
