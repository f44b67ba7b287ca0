"""How arms, label fractions and action units are called in tables and figures."""

from aulight.facs import AU_NAMES, au_of, short_name

ARMS = ("pretrained", "default_model", "scratch_equal_compute", "scratch", "scratch_strong", "blendshapes", "frozen")
"""Order of the known arms in tables and figures; others follow by name."""

LABELS = {
    "pretrained": "with stage one",
    "default_model": "from the default model",
    "scratch": "from scratch",
    "scratch_equal_compute": "from scratch, equal compute",
    "scratch_strong": "from scratch, strong augmentation",
    "blendshapes": "regression from blendshapes",
    "frozen": "regression from a frozen network",
    "all_zero": "always 0",
    "mean": "always the mean label",
}
"""How arms and baselines are called wherever a reader meets them; an arm of a user's own has its own name."""


def model_name(arm: str) -> str:
    """What a reader is told of an arm, or of a baseline."""
    return LABELS.get(arm, arm)


def arm_rank(arm: str) -> tuple[int, str]:
    """The place of an arm in tables and figures: sort by it."""
    return (ARMS.index(arm) if arm in ARMS else len(ARMS), arm)


def percent(fraction: float | None) -> str:
    """A label fraction as a reader expects it, for example ``2%``."""
    return "–" if fraction is None else f"{100 * fraction:.4g}%"


def au_name(column: str) -> tuple[str, str]:
    """The two lines in which a figure calls an AU: ``AU12`` and ``lip corner puller``."""
    au = au_of(column)
    return short_name(au), AU_NAMES.get(au, "")


def au_label(column: str) -> str:
    """The same in one line."""
    short, name = au_name(column)
    return "\n".join([short, *name.split()])
