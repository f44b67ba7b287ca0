"""``conf/model``: a network, or one of the baselines that train none."""

import re
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from aulight.settings.group import AsList, Choose, FilePath, Group, Name, Needed, mistake

DEFAULT = "default"
"""What the model in the box is called wherever a model is asked for; a folder or file of that name is ``./default``."""

BACKBONES = ("resnet_tiny", "resnet18", "resnet34", "seresnet_tiny", "seresnet18", "seresnet34", "timm:<name>")


def _known_backbone(name: str) -> str:
    # no `timm:hf-hub:...`, for which timm would go to the network, and no `timm:local-dir:...`
    if name not in BACKBONES[:-1] and not re.fullmatch(r"timm:\w[\w.-]*", name, re.ASCII):
        raise ValueError(name)
    return name


Backbone = Annotated[
    str, AfterValidator(_known_backbone), Needed(f"one of {', '.join(BACKBONES)} is needed", BACKBONES)
]
Colour = Annotated[list[Annotated[float, Field(ge=-1000, le=1000)]], AsList]
Deviation = Annotated[list[Annotated[float, Field(gt=0, le=1000)]], AsList]


class NetworkSettings(Group):
    """All that is needed to build an encoder, and to build it again from a checkpoint.

    ``NetworkSettings(**plain)`` takes a plain dict and ``model_dump()`` gives it back, lists as lists.
    """

    kind: ClassVar[Literal["network"]] = "network"

    backbone: Backbone = Field(description="Network that turns a frame into a map")
    temporal: Literal["gru", "convgru", "none"] = Field(
        description="Recurrence over frames: gru, convgru (keeps the spatial map), none"
    )
    size: int = Field(ge=1, le=1024, description="Height and width of the frames, in pixels; videos are decoded to it")
    embedding: int = Field(ge=1, le=2**20, description="Channels of a frame's embedding")
    hidden: int = Field(ge=1, le=2**20, description="Channels of the recurrent state")
    skip: bool = Field(description="Whether a frame's own embedding stands beside the recurrent state in its features")
    norm: Literal["batch", "group"] = Field(description="Normalisation in the backbone and after the embedding")
    small_input: bool = Field(description="3x3 stem without pooling, for larger backbones on small faces")
    mean: Colour = Field(min_length=3, max_length=3, description="Of each colour channel, on pixels of 0 to 1")
    std: Deviation = Field(
        min_length=3, max_length=3, description="Standard deviation of each colour channel, on pixels of 0 to 1"
    )
    # networks of an earlier aulight do not say these
    margin: int = Field(default=0, ge=0, le=500, description="Pixels at each side of the frames that are not looked at")
    contrast: Literal["fixed", "picture"] = Field(
        default="fixed", description="fixed: mean and std alone; picture: then each picture's own are taken out"
    )

    @property
    def seen(self) -> int:
        """Height and width of what the network looks at, in pixels."""
        return self.size - 2 * self.margin

    @property
    def keeps_map(self) -> bool:
        """Whether its features are a map of the face, not one vector a frame."""
        return self.temporal == "convgru"

    @model_validator(mode="after")
    def _norm_fits(self) -> Self:
        if self.backbone.startswith("timm:"):
            for key, as_it_is in (("norm", "batch"), ("small_input", False)):
                if getattr(self, key) != as_it_is:
                    raise mistake(key, f"a network of timm has its own; {key}={str(as_it_is).lower()} is needed")
        if self.seen < 1:
            raise mistake("margin", f"less than half of size={self.size} is needed")
        # of a map, groups of 16 channels are normalised together
        if self.norm == "group" and self.keeps_map and self.embedding % max(1, self.embedding // 16):
            raise mistake("embedding", "a multiple of 16 is needed with model.norm=group")
        return self


class RidgeSettings(Group):
    """Ridge regression from features that nothing is learned for."""

    arm: Name = Field(description="What reports call this")
    relative: bool = Field(description="Beside each feature, its difference to the subject's median over all frames")
    penalties: Annotated[list[Annotated[float, Field(gt=0)]], Needed("a list of numbers above 0 is needed")] = Field(
        min_length=1, description="Penalties, of which the best on validation subjects is taken"
    )


class BlendshapesSettings(RidgeSettings):
    """No network: the landmarker's scores, which ``aulight prepare`` keeps."""

    kind: ClassVar[Literal["blendshapes"]] = "blendshapes"


class FrozenSettings(RidgeSettings):
    """A network of timm that stays as it is, with weights of the user's."""

    kind: ClassVar[Literal["frozen"]] = "frozen"

    timm: Annotated[
        str,
        Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.\-]*$"),  # no `hf-hub:...`, for which timm would go to the network
        Needed("the plain name of a network of timm is needed"),
    ] = Field(description="Name of the network in timm")
    weights: FilePath | None = Field(description="File of its weights: .safetensors, or what torch saved")
    size: int = Field(ge=1, le=1024, description="Height and width of the frames, in pixels; videos are decoded to it")
    mean: Colour = Field(min_length=3, max_length=3, description="Of each colour channel, on pixels of 0 to 1")
    std: Deviation = Field(
        min_length=3, max_length=3, description="Standard deviation of each colour channel, on pixels of 0 to 1"
    )


ModelSettings = Annotated[
    NetworkSettings | BlendshapesSettings | FrozenSettings,
    Choose(
        "settings of a network (backbone, temporal, size, ...) or of a baseline (arm, relative, penalties, ...) are "
        "needed"
    ),
]
