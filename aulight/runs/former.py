"""What an earlier aulight did otherwise, so that what it began goes on as it began.

Frames were augmented by albumentations alone, and nothing said so (today: ``augment.on``).

``objective.other_video_weight`` was the weight of each frame of each other clip of the batch, whatever it was of. Today
``objective.other_subjects`` is that of all of them together, and clips of one video or one person are known to be.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from aulight.settings.pretrain import PretrainSettings
from aulight.settings.training import TrainingSettings

Settings = TypeVar("Settings", bound=TrainingSettings)

FORMER = "other_video_weight"

WEIGHED = ("objective.other_video_weight", "objective.other_subjects", "objective.same_subject")
"""Settings that tell how candidates are weighed, then and now."""

AUGMENTED = "augment.on"
"""The setting that tells what augments frames, now."""

_WEIGHTS = re.compile(r"\+*objective[.=].*(other_video_weight|other_subjects|same_subject)")


def formerly_weighed(config: Mapping[str, Any], typed: Sequence[str] = ()) -> bool:
    """Whether a run's settings weigh candidates in the former way, and nothing that was typed asks for another."""
    objective = config.get("objective")
    asked = any(_WEIGHTS.match(setting) for setting in typed)
    return isinstance(objective, Mapping) and isinstance(objective.get(FORMER), int | float) and not asked


def as_begun(settings: PretrainSettings, config: Mapping[str, Any]) -> tuple[PretrainSettings, bool]:
    """The settings with which a run goes on, and whether all its clips count as of strangers.

    With those, the former weight of a frame is what all of them together have now, by the clips of a batch but one.

    Args:
        settings: Of the command.
        config: Those of the run, plain.
    """
    if not formerly_weighed(config):
        return settings, False
    together = config["objective"][FORMER] * (settings.loader.batch_size - 1)
    objective = settings.objective.model_copy(update={"other_subjects": float(together)})
    return settings.model_copy(update={"objective": objective}), True


def formerly_augmented(config: Mapping[str, Any], typed: Sequence[str] = ()) -> bool:
    """Whether a run's settings do not say what augments frames, and nothing that was typed does."""
    augment = config.get("augment")
    asked = any(setting.lstrip("+").partition("=")[0] == AUGMENTED for setting in typed)
    return isinstance(augment, Mapping) and "on" not in augment and not asked


def augmented_as_begun(settings: Settings, config: Mapping[str, Any]) -> Settings:
    """The settings with which a run goes on, frames augmented as at its beginning.

    Args:
        settings: Of the command.
        config: Those of the run, plain.
    """
    if not formerly_augmented(config):
        return settings
    augment = settings.augment.model_copy(update={"on": "albumentations"})
    return settings.model_copy(update={"augment": augment})
