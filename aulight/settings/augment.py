"""``conf/augment``: random changes of frames, by transforms of albumentations."""

from typing import Literal

from pydantic import ConfigDict, Field

from aulight.settings.group import Group, Name


class TransformSettings(Group):
    """A transform of albumentations: its name, and its arguments, which albumentations checks."""

    model_config = ConfigDict(extra="allow")

    name: Name = Field(description="Name of the transform, as in albumentations")


class AugmentSettings(Group):
    """Two levels of random change, and where they are made."""

    on: Literal["auto", "loader", "device", "albumentations"] = Field(
        description="Who changes frames: the loader, the device of the network, or albumentations in the loader"
    )
    clip: list[TransformSettings] = Field(
        description="Transforms drawn once for a whole clip: a list of {name: ..., p: ..., ...}"
    )
    frame: list[TransformSettings] = Field(description="Transforms drawn anew for every frame")
