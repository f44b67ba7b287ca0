"""How many steps stage two alone has, to see as many frames as both stages together."""

import math

from hydra import compose
from omegaconf import DictConfig

from aulight.runs.overrides import own_folders, typed_overrides

COUNTS = ("steps", "steps_per_epoch", "loader.batch_size", "objective.views", "clip.length", "reference")
"""Settings that the number of frames is made of."""

CHOICES = ("experiment", "debug")
"""Groups that may set them."""


def equal_steps() -> int:
    """``${equal_steps:}`` in the configuration of ``finetune``: its steps with the frames of both stages, whole epochs.

    Stage one is ``conf/pretrain.yaml`` with what was chosen and typed for stage two, as far as it decides how many
    frames there are: the same experiment, and steps, batches and clips.
    """
    typed = [_forced(override) for override in typed_overrides() if _counts(override)]
    stage_one, stage_two = (compose(command, [*typed, *own_folders()]) for command in ("pretrain", "finetune"))
    frames = stage_one.steps * _frames_a_step(stage_one) + stage_two.steps * _frames_a_step(stage_two)
    epoch = stage_two.steps_per_epoch * _frames_a_step(stage_two)
    return int(math.ceil(frames / epoch) * stage_two.steps_per_epoch)


def _frames_a_step(config: DictConfig) -> int:
    """Frames through the network in a step; each view of a clip counts, and those for a person's own reference."""
    views, beside = (config.objective.views, 0) if "objective" in config else (1, config.reference)
    return int(config.loader.batch_size * (views * config.clip.length + beside))


def _counts(override: str) -> bool:
    """Whether it may change the number of frames in either stage."""
    key = override.partition("=")[0].lstrip("+~")
    return key in CHOICES or any(count == key or count.startswith(f"{key}.") for count in COUNTS)


def _forced(override: str) -> str:
    """The same for a command that may lack a part of it, such as ``loader.chunk`` in a ``loader={...}``."""
    return override if override.partition("=")[0].lstrip("+~") in CHOICES else f"++{override.lstrip('+')}"
