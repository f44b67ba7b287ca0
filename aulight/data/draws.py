"""What augmentation draws: numbers of each frame, by the seed alone, for whoever applies them.

The numbers are those that albumentations itself would draw, so that a run does not depend on where frames are changed.
Transforms in a row become one warp, one table of grey levels, one look at whether a frame is grey and one noise.
"""

import functools
import random
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, TypedDict, get_args

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Values = tuple[float, ...]
Size = tuple[int, int]

SEEDS = 2**16
"""How many noise fields there are."""

STEP = 16
"""Numbers from the beginning of one noise field to that of the next."""


Drawn = Literal["where", "table", "grey", "noise"]

DRAWN: tuple[Drawn, ...] = get_args(Drawn)
"""The keys of :class:`Draws`, in the order in which they are applied."""


DRAWN_BYTES = 24 + 768 + 1 + 8
"""Their size for a frame, at most."""


class Draws(TypedDict, total=False):
    """What happens to the frames of a clip, in this order; a key is missing where its kind of change is.

    With further dimensions in front where clips and views are put together.

    Attributes:
        where: ``(T, 2, 3)`` float32, the affine map of pixels of the changed frame ``(x, y, 1)`` to those of the frame.
        table: ``(T, 3, 256)`` uint8, what each grey level of each channel becomes.
        grey: ``(T,)`` bool, whether colours are taken away.
        noise: ``(T, 2)`` float32, number of the field of :func:`noise_field`, and standard deviation in grey levels.
    """

    where: npt.NDArray[np.float32]
    table: npt.NDArray[np.uint8]
    grey: Bools
    noise: npt.NDArray[np.float32]


class Transform(NamedTuple):
    """A transform of a list of settings.

    Attributes:
        key: Its place there: ``augment.frame[2]``.
        name: As in albumentations.
        made: The object that albumentations made of it; its checked arguments are read here.
    """

    key: str
    name: str
    made: Any


@functools.cache
def noise_field(size: int) -> Floats:
    """``(SEEDS * STEP + size,)`` normal numbers; field ``k`` is the ``size`` of them from ``STEP * k`` on.

    Slices of one row, since to draw anew for every frame costs more than all the rest, and each device would draw
    other numbers.
    """
    return np.random.default_rng(0).standard_normal(SEEDS * STEP + size, dtype=np.float32)


def first_unknown(transforms: Sequence[Transform]) -> Transform | None:
    """The first transform that cannot be composed with those before it.

    Args:
        transforms: Of both levels, in order.
    """
    before, moved = 0, False
    for one in transforms:
        kind = _KINDS.get(one.name)
        if kind is None or not kind.knows(one.made):
            return one
        # A warp may come before tables and grey as well as after, where frames are continued beyond their edges.
        late = kind.rank < before if kind.rank else before == _NOISE
        again = (kind.rank == _NOISE and before == _NOISE) or (moved and one.name == "Affine")
        if late or again:
            return one
        before, moved = max(before, kind.rank), moved or one.name == "Affine"
    return None


def draw(levels: Sequence[tuple[Sequence[Transform], int, int]], frames: int, height: int, width: int) -> Draws:
    """Draws for the frames of a clip.

    Args:
        levels: Of each level its transforms, none of which is unknown; its seed; and for how many frames it draws anew,
            all of them or 1.
        frames: T.
        height: Pixels.
        width: Pixels.
    """
    draws, size = Draws(), (height, width)
    for transforms, seed, times in levels:
        for name, made in ((one.name, one.made) for one in transforms):
            # Each transform has generators of its own with the same seed, as albumentations.Compose gives them.
            kind, dice = _KINDS[name], Dice(seed, size)
            drawn = [kind.draw(made, dice) if _applies(made.p, dice.py) else None for _ in range(times)]
            there = np.array([values is not None for values in drawn])
            values = np.array([values or kind.still for values in drawn])
            if times < frames:
                there, values = np.repeat(there, frames), np.repeat(values, frames, 0)
            kind.add(draws, there, values, size)
    if "where" in draws:
        draws["where"] = _inverse(draws["where"])
    if "table" in draws:
        draws["table"] = np.ascontiguousarray(np.broadcast_to(draws["table"], (frames, 3, 256)))
    return draws


class Dice:
    """What a transform draws from, and the height and width of frames.

    Args:
        seed: Of its generators.
        size: Height and width.
    """

    def __init__(self, seed: int, size: Size) -> None:
        self.py, self.seed, self.size = random.Random(seed), seed, size

    @functools.cached_property
    def rng(self) -> np.random.Generator:
        """The generator that some ask besides; to make it costs more than to ask it."""
        return np.random.default_rng(self.seed)


def _applies(chance: float, py: random.Random) -> bool:
    return chance >= 1 or (chance > 0 and py.random() < chance)


def _no_more(_made: Any, _dice: Dice) -> Values:
    return ()


# ---- geometry ---------------------------------------------------------------------------------------------------


def _place(made: Any, dice: Dice) -> Values:
    (height, width), py = dice.size, dice.py
    if made.translate_px is not None:
        x, y = (float(py.randint(int(ends[0]), int(ends[1]))) for ends in made.translate_px.values())
    else:
        shares = [py.uniform(*ends) for ends in made.translate_percent.values()]
        x, y = float(int(shares[0] * width)), float(int(shares[1] * height))
    shear_x, shear_y = -py.uniform(*made.shear["x"]), -py.uniform(*made.shear["y"])
    scale_x, scale_y = py.uniform(*made.scale["x"]), py.uniform(*made.scale["y"])
    return x, y, shear_x, shear_y, scale_x, scale_y, py.uniform(*made.rotate)


def _places_well(made: Any) -> bool:
    simple = not (made.fit_output or made.keep_ratio or made.balanced_scale)
    linear = made.interpolation == 1 and made.border_mode == 1  # cv2.INTER_LINEAR, cv2.BORDER_REPLICATE
    narrow = all(abs(end) <= 30 for ends in made.shear.values() for end in ends)
    return simple and linear and narrow and all(end > 0 for ends in made.scale.values() for end in ends)


def _add_place(draws: Draws, there: Bools, values: Doubles, size: Size) -> None:
    """Of pixels that scale, turn, shear and shift about the middle."""
    x, y, shear_x, shear_y, scale_x, scale_y, rotate = values.T
    shear_x, shear_y, rotate = np.tan(np.deg2rad(shear_x)), np.tan(np.deg2rad(shear_y)), np.deg2rad(rotate)
    cos, sin = np.cos(rotate), np.sin(rotate)
    onwards = np.zeros((len(there), 2, 3))
    onwards[:, 0, 0], onwards[:, 0, 1] = scale_x * (cos - shear_x * sin), scale_y * (sin + shear_x * cos)
    onwards[:, 1, 0], onwards[:, 1, 1] = scale_x * (shear_y * cos - sin), scale_y * (shear_y * sin + cos)
    middle = np.array([size[1] / 2 - 0.5, size[0] / 2 - 0.5])
    onwards[:, :, 2] = np.stack([x, y], 1) + middle - onwards[:, :, :2] @ middle
    _move(draws, there, onwards)


def _add_flip(draws: Draws, there: Bools, _values: Doubles, size: Size) -> None:
    _move(draws, there, np.array([[-1.0, 0, size[1] - 1], [0, 1, 0]]))


def _add_upside_down(draws: Draws, there: Bools, _values: Doubles, size: Size) -> None:
    _move(draws, there, np.array([[1.0, 0, 0], [0, -1, size[0] - 1]]))


_SAME = np.array([[1.0, 0, 0], [0, 1, 0]])


def _move(draws: Draws, there: Bools, onwards: Doubles) -> None:
    """Goes on by an affine map of pixels before it to pixels after it, where it is there."""
    after: Any = np.where(there[:, None, None], onwards, _SAME)
    if "where" in draws:
        before: Any = draws["where"]
        shift = after[:, :, 2].copy()
        after = after[:, :, :2] @ before
        after[:, :, 2] += shift
    draws["where"] = after  # in float64, and turned round in the end


def _inverse(maps: Any) -> Floats:
    a, b, c, d = maps[:, 0, 0], maps[:, 0, 1], maps[:, 1, 0], maps[:, 1, 1]
    turned = np.stack([d, -b, -c, a], 1).reshape(-1, 2, 2) / (a * d - b * c)[:, None, None]
    back = np.concatenate([turned, -turned @ maps[:, :, 2:]], 2)
    return np.asarray(back, np.float32)


# ---- grey levels ------------------------------------------------------------------------------------------------

_LEVELS = np.arange(256, dtype=np.uint8)


def _light(made: Any, dice: Dice) -> Values:
    return 1.0 + dice.py.uniform(*made.contrast_limit), 255 * dice.py.uniform(*made.brightness_limit)


def _add_light(draws: Draws, _there: Bools, values: Doubles, _size: Size) -> None:
    gain, more = values.astype(np.float32).T[:, :, None, None]
    _recode(draws, _so_far(draws).astype(np.float32) * gain + more)


def _tint(made: Any, dice: Dice) -> Values:
    dice.rng.integers(0, SEEDS)  # a seed that constant noise does not use
    return tuple(dice.rng.uniform(*ends) for ends in made.noise_params["ranges"])


def _add_tint(draws: Draws, _there: Bools, values: Doubles, _size: Size) -> None:
    more = np.trunc(255 * values).astype(np.int16)
    _recode(draws, _so_far(draws).astype(np.int16) + more[:, :, None])


def _so_far(draws: Draws) -> npt.NDArray[np.uint8]:
    """``(T or 1, 3 or 1, 256)``: what the levels have become."""
    return draws.get("table", _LEVELS[None, None])


def _recode(draws: Draws, levels: npt.NDArray[Any]) -> None:
    """Cut off and rounded down, as albumentations does."""
    draws["table"] = levels.clip(0, 255, out=levels).astype(np.uint8)


def _add_grey(draws: Draws, there: Bools, _values: Doubles, _size: Size) -> None:
    draws["grey"] = there | draws.get("grey", np.False_)


# ---- noise ------------------------------------------------------------------------------------------------------


def _grain(made: Any, dice: Dice) -> Values:
    field = float(dice.rng.integers(0, SEEDS))
    least, most = made.noise_params["std_range"]
    return field, 255 * (least if least == most else dice.rng.uniform(least, most))


def _grains_well(made: Any) -> bool:
    kind = (made.noise_type, made.spatial_mode, made.approximation)
    return kind == ("gaussian", "per_pixel", 1) and all(end == 0 for end in made.noise_params["mean_range"])


def _add_grain(draws: Draws, _there: Bools, values: Doubles, _size: Size) -> None:
    draws["noise"] = values.astype(np.float32)


# ---- what is known ----------------------------------------------------------------------------------------------


class _Kind(NamedTuple):
    """How a transform is drawn and added to other draws.

    Attributes:
        rank: When it is applied, among kinds of change.
        draw: From its arguments and dice to numbers.
        still: Those where it is not applied.
        add: Adds ``(T,)`` whether it is applied and ``(T, numbers)`` to the draws of earlier transforms.
        knows: Whether it is known with these arguments.
    """

    rank: int
    draw: Callable[[Any, Dice], Values]
    still: Values
    add: Callable[[Draws, Bools, Doubles, Size], None]
    knows: Callable[[Any], bool] = lambda _: True


_PLACE, _TABLE, _GREY, _NOISE = range(4)

_KINDS = {
    "HorizontalFlip": _Kind(_PLACE, _no_more, (), _add_flip),
    "VerticalFlip": _Kind(_PLACE, _no_more, (), _add_upside_down),
    "Affine": _Kind(_PLACE, _place, (0, 0, 0, 0, 1, 1, 0), _add_place, _places_well),
    "RandomBrightnessContrast": _Kind(
        _TABLE, _light, (1, 0), _add_light, lambda made: made.brightness_by_max and not made.ensure_safe_range
    ),
    "RGBShift": _Kind(_TABLE, _tint, (0, 0, 0), _add_tint),
    "ToGray": _Kind(
        _GREY, _no_more, (), _add_grey, lambda made: made.method == "weighted_average" and made.num_output_channels == 3
    ),
    "AdditiveNoise": _Kind(_NOISE, _grain, (0, 0), _add_grain, _grains_well),
}
"""By name in albumentations."""
