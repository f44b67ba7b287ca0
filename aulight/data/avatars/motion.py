"""How avatars move: expressions that come and go, left and right; and what moves without being coded."""

from dataclasses import dataclass

import cv2
import numpy as np

from aulight.data.avatars.actions import AVATAR_AUS, Array, activation
from aulight.data.avatars.figure import Pose
from aulight.data.synthetic.motion import Script, play

# Whole expressions give the co-occurrence of real data; the single units keep each from being guessed from its
# companions. Rates are starts in a second.
EXPRESSIONS: Script = (
    (0.140, {12: 1.0, 6: 0.8, 25: 0.5, 7: 0.15}),
    (0.050, {1: 1.0, 2: 0.95, 5: 0.6, 25: 0.6, 26: 0.6}),
    (0.035, {1: 0.8, 4: 0.8, 15: 0.9, 17: 0.6}),
    (0.040, {4: 1.0, 7: 0.6, 5: 0.3, 23: 0.5, 24: 0.3, 17: 0.3}),
    (0.040, {9: 1.0, 10: 0.5, 4: 0.5, 17: 0.4, 25: 0.3, 6: 0.2}),
    (0.035, {1: 0.8, 2: 0.5, 4: 0.7, 5: 0.7, 20: 1.0, 25: 0.8}),
    (0.050, {25: 1.0, 26: 0.7}),
    (0.030, {43: 1.0, 6: 0.3, 7: 0.3}),
    (0.030, {17: 0.8, 24: 0.6, 14: 0.6}),
    *((rate, {au: 1.0}) for au, rate in zip(AVATAR_AUS, (
        0.035, 0.040, 0.040, 0.045, 0.045, 0.035, 0.045, 0.040, 0.035, 0.045, 0.050, 0.045, 0.035, 0.045, 0.035, 0.040,
        0.035, 0.035, 0.030, 0.020), strict=True)),
)  # fmt: skip
SIDED = (1, 2, 4, 7, 9, 10, 12, 14, 15)
"""Those that people can do on one side alone."""

_ONE_SIDED: Script = tuple((0.008, {au: 1.0}) for au in SIDED)
_CLOSING = (23, 24, 28)
"""Lips that are drawn in or pressed together are not apart."""


@dataclass(frozen=True)
class Acting:
    """What somebody's face does in a video.

    Attributes:
        intensities: ``(frames, 20)`` 0..5 of :data:`~aulight.data.avatars.actions.AVATAR_AUS`: of the stronger side, as
            FACS codes it.
        left: ``(frames, 20)`` activations of the left side, with the person's own amplitude.
        right: Of the right.
        others: Weights ``(frames,)`` of shapes that are not coded.
        gaze: ``(frames, 2)`` radians.
        turn: ``(frames, 3)`` radians.
        shift: ``(frames, 3)`` decimetres.
    """

    intensities: Array
    left: Array
    right: Array
    others: dict[str, Array]
    gaze: Array
    turn: Array
    shift: Array

    def pose(self, frame: int) -> Pose:
        """What a frame shows."""
        others = {name: float(weights[frame]) for name, weights in self.others.items() if weights[frame]}
        gaze_x, gaze_y = self.gaze[frame].tolist()
        left, up, shoulder = self.turn[frame].tolist()
        x, y, z = self.shift[frame].tolist()
        return Pose(self.left[frame], self.right[frame], others, (gaze_x, gaze_y), (left, up, shoulder), (x, y, z))


def wander(rng: np.random.Generator, frames: int, fps: float, offset: float, spread: float, seconds: float) -> Array:
    """A random constant and a smooth random path ``(frames,)``, each of the given spread."""
    count = int(frames / fps / seconds) + 5
    knots = rng.standard_normal(count).astype(np.float32)
    fine = cv2.resize(knots[None], (count * 16, 1), interpolation=cv2.INTER_CUBIC)[0]
    at = (2 + np.arange(frames) / fps / seconds) * 16
    path = np.interp(at, np.arange(len(fine)), fine)
    return np.asarray(offset * rng.standard_normal() + spread * path)


def act(
    who: tuple[int, ...], rng: np.random.Generator, frames: int, fps: float, widest: float = np.deg2rad(40)
) -> Acting:
    """Draws what somebody does in a video.

    Args:
        who: Seed of the person, whose amplitudes and asymmetries are always the same.
        rng: Of the video.
        frames: Its length.
        fps: Frames a second.
        widest: The head does not turn further to a side, radians; half of it up and down.
    """
    both = play(rng, EXPRESSIONS, AVATAR_AUS, frames, fps)
    sides = [np.maximum(both, _spread(play(rng, _ONE_SIDED, SIDED, frames, fps))) for _ in range(2)]
    return moved(who, rng, sides, fps, widest)


def moved(
    who: tuple[int, ...], rng: np.random.Generator, sides: list[Array], fps: float, widest: float = np.deg2rad(40)
) -> Acting:
    """What becomes of wanted intensities: as bodies can, of this person, with all that is not coded.

    Args:
        who: As of :func:`act`, as the next.
        rng: As there.
        sides: ``(frames, 20)`` 0..5 of the left and of the right; changed in place.
        fps: As there.
        widest: As there.
    """
    frames = len(sides[0])
    own = np.random.default_rng([*who, 6])
    strength = own.uniform(0.82, 1.18, len(AVATAR_AUS))
    strength[AVATAR_AUS.index(43)] = 1  # closed is closed
    weaker = 1 - np.abs(own.normal(0, 0.08, len(AVATAR_AUS)))
    favours_left = own.random(len(AVATAR_AUS)) < 0.5
    for side in sides:
        _as_bodies_can(side)
    intensities = np.maximum(*sides)
    _agree(intensities, sides)
    left, right = (activation(side) * strength for side in sides)
    left, right = left * np.where(favours_left, 1, weaker), right * np.where(favours_left, weaker, 1)
    others, gaze = _uncoded(rng, frames, fps)
    for name in ("eyeBlinkLeft", "eyeBlinkRight"):
        others[name] = others[name] * (1 - left[:, AVATAR_AUS.index(43)])
    turn = np.stack(
        [
            np.clip(wander(rng, frames, fps, np.deg2rad(13), np.deg2rad(5), 1.5), -widest, widest),
            np.clip(wander(rng, frames, fps, np.deg2rad(6), np.deg2rad(3.5), 1.2), -widest / 2, widest / 2),
            wander(rng, frames, fps, np.deg2rad(3.5), np.deg2rad(2.5), 1.6),
        ],
        1,
    )
    shift = np.stack([wander(rng, frames, fps, 0.0, spread, 2.0) for spread in (0.12, 0.06, 0.15)], 1)
    return Acting(intensities, left, right, others, gaze, turn, shift)


def _spread(sided: Array) -> Array:
    """From columns of :data:`SIDED` to those of all AUs."""
    every = np.zeros((len(sided), len(AVATAR_AUS)))
    every[:, [AVATAR_AUS.index(au) for au in SIDED]] = sided
    return every


def _as_bodies_can(intensities: Array) -> None:
    """Weakens what pulls against each other; changed in place."""
    of = {au: intensities[:, k] for k, au in enumerate(AVATAR_AUS)}
    for weaker, stronger in ((15, 12), (18, 12), (18, 20), (18, 14), (5, 43), (5, 9), (2, 9), (43, 5)):
        of[weaker] *= np.clip(1.2 - 0.6 * of[stronger], 0, 1)
    closed = np.max([of[au] for au in _CLOSING], 0)
    for au in (25, 26, 10):
        of[au] *= np.clip(1.2 - 0.6 * closed, 0, 1)
    for au in _CLOSING:
        of[au] *= np.clip(1.2 - 0.6 * of[25], 0, 1) * np.clip(1.2 - 0.6 * of[26], 0, 1)
    np.maximum(of[25], 0.7 * of[26], out=of[25])  # a jaw that drops parts the lips


def _agree(intensities: Array, sides: list[Array]) -> None:
    """What has no sides is the same on both."""
    for k, au in enumerate(AVATAR_AUS):
        if au not in SIDED:
            for side in sides:
                side[:, k] = intensities[:, k]


def _uncoded(rng: np.random.Generator, frames: int, fps: float) -> tuple[dict[str, Array], Array]:
    """Blinks, gaze and the lids that follow it, speech, swallowing: weights of shapes, and the gaze."""
    time = np.arange(frames) / fps
    others: dict[str, Array] = {}
    blink = np.zeros(frames)
    for start in rng.uniform(0, time[-1] + 0.5, rng.poisson(0.25 * time[-1])):
        np.maximum(blink, np.clip(1.5 - np.abs(time - start) / 0.11, 0, 1), out=blink)
    gaze = np.zeros((frames, 2))
    jumps = np.sort(rng.uniform(0, time[-1], rng.poisson(0.7 * time[-1])))
    aims = np.cumsum(np.vstack([rng.normal(0, (0.16, 0.07), (1, 2)), rng.normal(0, (0.10, 0.05), (len(jumps), 2))]), 0)
    aims = np.clip(aims, (-0.5, -0.28), (0.5, 0.22))
    gaze[:] = aims[np.searchsorted(jumps, time)]
    gaze = cv2.blur(gaze.astype(np.float32), (1, 3), borderType=cv2.BORDER_REPLICATE).astype(np.float64)
    for side in ("Left", "Right"):
        others[f"eyeBlink{side}"] = blink
        others[f"eyeLookUp{side}"] = np.clip(gaze[:, 1], 0, None) / 0.4
        others[f"eyeLookDown{side}"] = np.clip(-gaze[:, 1], 0, None) / 0.4
    talks = np.zeros(frames)
    if rng.random() < 0.35:
        for start in rng.uniform(-2, time[-1], 1 + rng.poisson(time[-1] / 12)):
            length = rng.uniform(1, 4)
            np.maximum(talks, np.clip(4 * np.minimum(time - start, start + length - time), 0, 1), out=talks)
    if talks.any():
        for name, most in (("jawOpen", 0.12), ("mouthFunnel", 0.35), ("mouthPucker", 0.25), ("mouthStretchLeft", 0.15)):
            syllables = np.abs(wander(rng, frames, fps, 0.0, 0.6, 0.16))
            others[name] = most * talks * np.clip(syllables, 0, 1)
        others["mouthStretchRight"] = others["mouthStretchLeft"]
    swallow = np.zeros(frames)
    for start in rng.uniform(0, time[-1], rng.poisson(0.03 * time[-1])):
        np.maximum(swallow, np.clip(1.3 - np.abs(time - start) / 0.28, 0, 1), out=swallow)
    for name, most in (("mouthPressLeft", 0.25), ("mouthPressRight", 0.25), ("mouthShrugLower", 0.2)):
        others[name] = most * swallow
    drift = wander(rng, frames, fps, 0.05, 0.03, 3.0)
    others["jawLeft"], others["jawRight"] = np.clip(drift, 0, None), np.clip(-drift, 0, None)
    return others, gaze
