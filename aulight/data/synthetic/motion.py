"""Expressions over time, as they come and go: onset, apex, offset."""

import numpy as np
import numpy.typing as npt

from aulight.datasets import DISFA_AUS

Array = npt.NDArray[np.float64]

Script = tuple[tuple[float, dict[int, float]], ...]
"""Of each expression the mean number of starts in a second, and the chance that each action unit takes part."""

# Whole expressions give the co-occurrence of real data; the single units keep each from being guessed from its
# companions.
_EXPRESSIONS: Script = (
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
UNCODED = (7, 10, 14, 18, 24)
DISTRACTIONS: Script = tuple((0.01, {au: 1.0}) for au in UNCODED)
_LONGEST_S = 5.0
# Expressions come in bursts: mean seconds of a lively stretch and of the calm one after it, in which nothing starts.
_LIVELY_S, _CALM_S = 6.0, 2.5


def play(rng: np.random.Generator, script: Script, aus: tuple[int, ...], frames: int, fps: float) -> Array:
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


def expressions(rng: np.random.Generator, frames: int, fps: float) -> Array:
    """Continuous intensities ``(frames, 12)`` in 0..5 of one video, as bodies allow them."""
    intensities = play(rng, _EXPRESSIONS, DISFA_AUS, frames, fps)
    smile, frown = DISFA_AUS.index(12), DISFA_AUS.index(15)
    intensities[:, frown] *= np.clip(1 - 2 * intensities[:, smile], 0, 1)  # 12 and 15 pull against each other
    part, jaw = DISFA_AUS.index(25), DISFA_AUS.index(26)
    intensities[:, part] = np.maximum(intensities[:, part], 0.7 * intensities[:, jaw])
    return intensities
