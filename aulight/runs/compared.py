"""Settings of two runs, or of a run and the command that goes on with it, laid side by side."""

from collections.abc import Mapping, Sequence
from typing import Any


def differences(old: Mapping[str, Any], new: Mapping[str, Any], free: Sequence[str]) -> list[str]:
    """How settings differ that may not differ between a run and its continuation, a text for each.

    Args:
        old: The settings of the run, plain.
        new: Those of the command, plain.
        free: Names of the settings and groups that may differ.
    """
    before, now = filled(dotted(old)), filled(dotted(new))
    keys = [key for key in before | now if not any(key == name or key.startswith(f"{name}.") for name in free)]
    pairs = [(key, before.get(key), now.get(key)) for key in keys]
    return [f"{key} was {was}, is {is_now}" for key, was, is_now in pairs if not same_setting(was, is_now)]


_LATER: dict[str, dict[str, object]] = {
    "model.backbone": {"model.margin": 0, "model.contrast": "fixed"},
    "augment.frame": {"augment.on": "albumentations"},
    "label_seed": {
        "ccc_share": 1.0,
        "amplitude": "none",
        "reference": 0,
        "pseudo.runs": None,
        "pseudo.true_share": 0.25,
        "pseudo.apart": 1.0,
    },
}
"""Settings that an earlier aulight did not have, as they were nevertheless: of a network, both stages, stage two."""


def filled(flat: dict[str, object]) -> dict[str, object]:
    """Settings by their dotted names, with those that the aulight which wrote them did not have."""
    later = [settings for name, settings in _LATER.items() if name in flat]
    return {name: value for settings in later for name, value in settings.items()} | flat


def same_setting(one: object, other: object) -> bool:
    """Whether two plain values are the same setting.

    An earlier aulight kept numbers as they were typed: 1 for 1.0, and for a name the number that it looks like, as in
    ``trainer.precision=32``.
    """
    return one == other or str(one) == str(other)


def dotted(config: Mapping[str, Any], prefix: str = "") -> dict[str, object]:
    """Nested settings by their dotted names, for example ``clip.length``."""
    flat: dict[str, object] = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        flat |= dotted(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return flat
