"""``conf/logger``: what is written beside ``metrics.csv``."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from aulight.settings.group import Choose, Group, Name, Needed


class CsvSettings(Group):
    """Nothing: only ``metrics.csv``, which has no settings."""

    kind: ClassVar[Literal["csv"]] = "csv"


def _listed(value: Any) -> Any:
    """One tag as a list of one."""
    return value if value is None or isinstance(value, list) else [value]


class WandbSettings(Group):
    """Weights & Biases."""

    kind: ClassVar[Literal["wandb"]] = "wandb"

    project: Name = Field(description="Project on Weights & Biases")
    entity: Name | None = Field(description="Team or user; null: your default")
    group: Name | None = Field(description="Group of the runs of a sweep; null: the last two folders of root")
    mode: Literal["auto", "online", "offline", "disabled"] = Field(description="auto is what WANDB_MODE says")
    tags: Annotated[
        list[Annotated[Name, Field(min_length=1, max_length=64)]] | None,
        BeforeValidator(_listed),
        Needed("a list of tags of 1 to 64 characters is needed"),
    ] = Field(description="Tags of the run")
    media: bool = Field(description="Of stage two: curves of intensities, and a short video of a face")


LoggerSettings = Annotated[CsvSettings | WandbSettings, Choose("the settings of logger=csv or logger=wandb are needed")]
