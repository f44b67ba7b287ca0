"""Who it is: the shape of a head, and what its owner looks like."""

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aulight.data.avatars.assets import Assets
from aulight.data.avatars.raster import Floats

ANCESTRIES = ("african", "asian", "caucasian")
EYES_AT = (0.0, 7.28, 1.25)
"""Where the middle between the eyes of every head is, in decimetres."""

_OPPOSITES = (
    ("decr", "incr"), ("down", "up"), ("in", "out"), ("backward", "forward"), ("concave", "convex"),
    ("compress", "uncompress"),
)  # fmt: skip
# Shapes that no adult has, that move the whole head, or that would be read as an action at rest.
_LEFT_OUT = re.compile(
    r"head-(trans|angle)|head-back|(mouth|nose)-trans-(in|out)|shape-|head-age|mouth-angles|septum|eye-trans-(up|down)"
    r"|eye-height|eyebrows-trans-(down|up)|eyebrows-angle|asym-(top|temple|ear|jaw-3)"
)
_LIVELY = re.compile(r"nose|chin|cheek|head-|mouth-(scale|upper|lower)|eye-scale|ear")


@dataclass(frozen=True)
class Person:
    """What is the same in all pictures of somebody.

    Attributes:
        shape: ``(V, 3)`` float32, decimetres, the face at rest.
        male: 0..1.
        ancestry: ``(3,)``, shares of :data:`ANCESTRIES`.
        age: 0 (twenty) to 1 (seventy).
        melanin: 0..1, of the skin.
        blood: How red the skin is, about 1.
        hair: ``(3,)`` linear colour.
        iris: ``(3,)`` linear colour.
        seed: Of everything else that is drawn for this person.
    """

    shape: Floats
    male: float
    ancestry: npt.NDArray[np.float64]
    age: float
    melanin: float
    blood: float
    hair: npt.NDArray[np.float64]
    iris: npt.NDArray[np.float64]
    seed: tuple[int, ...]


def person(assets: Assets, seed: tuple[int, ...]) -> Person:
    """Somebody; the same seed gives the same person."""
    rng = np.random.default_rng([*seed, 1])
    male = float(np.clip(rng.choice([0.08, 0.92]) + rng.normal(0, 0.08), 0, 1))
    main = rng.integers(3)
    ancestry = rng.dirichlet(np.where(np.arange(3) == main, 6.0, 0.4))
    age = float(rng.beta(1.1, 1.6))
    melanin = float(np.clip(ancestry @ (0.72, 0.3, 0.16) + rng.normal(0, 0.11), 0.0, 1.0))
    browns = np.array([[0.012, 0.008, 0.006], [0.03, 0.016, 0.009], [0.09, 0.045, 0.02], [0.28, 0.17, 0.08]])
    fair = float(ancestry[2]) * (1 - melanin)
    hair = browns[rng.choice(4, p=_normed([1.0, 0.5 + fair, fair * 1.2, fair**2 * 0.7]))] * rng.uniform(0.75, 1.3)
    grey = np.clip((age - 0.45) * 2 + rng.normal(0, 0.25), 0, 0.9)
    hair = hair + grey * (np.array([0.30, 0.29, 0.28]) - hair)
    irises = np.array([[0.030, 0.014, 0.006], [0.085, 0.042, 0.016], [0.10, 0.095, 0.04], [0.10, 0.17, 0.24]])
    iris = irises[rng.choice(4, p=_normed([0.8, 0.8, fair * 0.8, fair * 1.3]))] * rng.uniform(0.8, 1.3)
    shape = _shape(assets, rng, male, ancestry, age)
    return Person(shape, male, ancestry, age, melanin, float(rng.uniform(0.7, 1.3)), hair, iris, seed)


def _normed(weights: list[float]) -> npt.NDArray[np.float64]:
    total = np.array(weights)
    return np.asarray(total / total.sum())


def _shape(
    assets: Assets, rng: np.random.Generator, male: float, ancestry: npt.NDArray[np.float64], age: float
) -> Floats:
    shape = assets.points.copy()

    def add(name: str, weight: float) -> None:
        index, delta = assets.shapes[name]
        shape[index] += np.float32(weight) * delta

    weight = float(np.clip(rng.normal(0, 0.45), -0.9, 0.9))
    figures = {"averageweight": 1 - abs(weight), "minweight": max(-weight, 0), "maxweight": max(weight, 0)}
    for sex, of_sex in (("male", male), ("female", 1 - male)):
        for years, of_age in (("old", age), ("young", 1 - age)):
            for name, share in zip(ANCESTRIES, ancestry.tolist(), strict=True):
                add(f"macro/{name}-{sex}-{years}", of_sex * of_age * share)
            for figure, share in figures.items():
                name = f"macro/universal-{sex}-{years}-averagemuscle-{figure}"
                if name in assets.shapes and share:
                    add(name, of_sex * of_age * share)
    for (less, more), spread in sorted(_axes(assets).items()):
        value = float(np.clip(rng.normal(0, spread), -0.75, 0.75))
        names = [more] if value > 0 else [less]
        for name in names:
            if name.startswith("local/l-"):  # both sides alike but for a little
                add(name, abs(value) * rng.uniform(0.85, 1.15))
                add(name.replace("local/l-", "local/r-"), abs(value) * rng.uniform(0.85, 1.15))
            elif name:
                add(name, abs(value))
    eyes = assets.of_part("eye")
    middle = np.array([shape[eyes[assets.points[eyes, 0] * side > 0]].mean(0) for side in (-1, 1)]).mean(0)
    shape += (np.array(EYES_AT) - middle).astype(np.float32)
    return shape


def _axes(assets: Assets) -> dict[tuple[str, str], float]:
    """Pairs of opposite shapes, the first may be none, and how much people differ in them."""
    found: dict[tuple[str, str], float] = {}
    names = [name for name in assets.shapes if name.startswith("local/") and not name.startswith("local/r-")]
    for name in names:
        if _LEFT_OUT.search(name):
            continue
        spread = 0.16 if "asym" in name else 0.28 if _LIVELY.search(name) else 0.22
        stem, _, last = name.rpartition("-")
        for less, more in _OPPOSITES:
            if last == more and f"{stem}-{less}" in assets.shapes:
                found[f"{stem}-{less}", name] = spread
                break
            if last == less and f"{stem}-{more}" in assets.shapes:
                break
        else:
            if last == "r" and "asym" in name:
                found[f"{stem}-l", name] = spread
            elif "asym" not in name:
                found["", name] = spread * 0.8
    return found
