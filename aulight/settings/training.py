"""What ``aulight pretrain`` and ``aulight finetune`` have in common."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from aulight.settings.augment import AugmentSettings
from aulight.settings.data import DataSettings
from aulight.settings.group import (
    CHANGES_NO_RESULT,
    NAMES_THE_RUN,
    AsList,
    Count,
    FilePath,
    Group,
    Name,
    Needed,
    Seed,
    mistake,
)
from aulight.settings.logger import LoggerSettings
from aulight.settings.model import ModelSettings, NetworkSettings
from aulight.settings.trainer import TrainerSettings


class ClipSettings(Group):
    """What a clip is."""

    length: int = Field(ge=1, le=10_000, description="Samples a clip")
    stride: Annotated[list[Count], AsList] = Field(
        min_length=2,
        max_length=2,
        description="Least and most frames from one sample to the next, at the dataset's rate",
    )

    @model_validator(mode="after")
    def _least_before_most(self) -> Self:
        if self.stride[0] > self.stride[1]:
            raise mistake("stride", "[least, most] frames between samples are needed, in this order")
        return self


class LoaderSettings(Group):
    """How clips are read."""

    batch_size: int = Field(ge=1, description="Clips a step, over all devices")
    workers: Annotated[int, CHANGES_NO_RESULT] = Field(ge=0, description="Decoding processes a device")
    reader: Annotated[Literal["packets", "decord"], CHANGES_NO_RESULT] = Field(
        description="What decodes clips: packets, or decord as earlier versions; the pixels are the same"
    )


class OptimSettings(Group):
    """The optimiser, AdamW under a one-cycle schedule."""

    lr: float = Field(gt=0, description="Peak of the one-cycle schedule")
    weight_decay: float = Field(ge=0, description="How strongly weights are drawn to 0")
    warmup: float = Field(ge=0, lt=1, description="Share of the steps in which the rate rises")


class Experiment(Group):
    """Variables of the files in ``conf/experiment``, which other settings are made of.

    They are the only settings that need not be there: without an experiment there are none.
    """

    stage_one: Annotated[
        list[Annotated[int, Field(ge=0)]] | str | None,
        Field(min_length=1),
        Needed("the name of an objective or a list of seeds is needed"),
    ] = Field(None, description="Which stage one a stage two starts from: its objective, or its seed for each seed")
    stage_one_run: Annotated[Name | None, NAMES_THE_RUN] = Field(
        None, description="Name of the run of stage one that start=pretrained builds on"
    )
    arms: dict[Literal["pretrained", "scratch"], Name] | None = Field(
        None, description="What reports call runs on top of stage one, and from scratch"
    )
    network: Name | None = Field(None, description="Name of the network, in the names of runs")
    equal_steps: Annotated[int | None, CHANGES_NO_RESULT] = Field(
        None, ge=1, description="Of older runs: steps of stage two with the frames of both stages"
    )


class TrainingSettings(Experiment):
    """What both stages have."""

    data: DataSettings = Field(description="The dataset")
    model: ModelSettings = Field(description="What is trained")
    augment: AugmentSettings = Field(description="Random changes of the frames of a clip")
    trainer: TrainerSettings = Field(description="Lightning's Trainer")
    logger: Annotated[LoggerSettings, CHANGES_NO_RESULT] = Field(description="What is written beside metrics.csv")

    name: Annotated[Name, CHANGES_NO_RESULT] = Field(description="Of the run, and of its folder below root")
    runs: Annotated[FilePath, CHANGES_NO_RESULT] = Field(description="Folder of all runs")
    root: Annotated[FilePath, CHANGES_NO_RESULT] = Field(description="Folder of the runs of this command")
    data_dir: Annotated[FilePath, CHANGES_NO_RESULT] = Field(description="Folder of prepared datasets")
    fold: Annotated[int, NAMES_THE_RUN] = Field(ge=1, description="Of data.protocol: whose turn it is to be tested")
    seed: Annotated[Seed, NAMES_THE_RUN] = Field(description="Of first weights, clips and augmentation")

    steps: int = Field(ge=1, description="Steps of the optimiser; a multiple of steps_per_epoch")
    steps_per_epoch: int = Field(ge=1, description="Steps from one checkpoint to the next")
    clip: ClipSettings = Field(description="What a clip is")

    threads: Annotated[int | None, CHANGES_NO_RESULT] = Field(
        ge=1, description="Threads of torch on the CPU; null: torch's choice"
    )
    resume_on_other_hardware: Annotated[bool, CHANGES_NO_RESULT] = Field(
        description="Whether a run goes on where it is computed in another precision"
    )
    progress_s: Annotated[float, CHANGES_NO_RESULT] = Field(ge=0, description="Seconds between progress lines")

    @property
    def encoder(self) -> NetworkSettings:
        """The model, where it is a network."""
        assert isinstance(self.model, NetworkSettings)
        return self.model

    @property
    def epochs(self) -> int:
        """How many epochs the steps make."""
        return self.steps // self.steps_per_epoch

    @model_validator(mode="after")
    def _has_a_folder(self) -> Self:
        if self.name in (".", ".."):
            raise mistake("name", "a name is needed that a folder can have")
        return self

    @model_validator(mode="after")
    def _has_the_fold(self) -> Self:
        protocol = self.data.protocol
        if protocol.name == "kfold" and self.fold > protocol.folds:
            raise mistake("fold", f"protocol kfold has {protocol.folds} folds here")
        return self

    @model_validator(mode="after")
    def _has_a_stage_one(self) -> Self:
        """A list of an experiment says which stage one each seed starts from."""
        named = (self.name, Path(getattr(self, "pretrained", None) or "").name)
        if isinstance(self.stage_one, list) and self.seed >= len(self.stage_one) and self.stage_one_run in named:
            problem = f"stage_one={self.stage_one} says what seeds 0 to {len(self.stage_one) - 1} start from, no more; "
            raise mistake("seed", f"{problem}type a longer list")
        return self

    @model_validator(mode="after")
    def _whole_epochs(self) -> Self:
        if self.steps % self.steps_per_epoch:
            raise mistake("steps", f"a multiple of steps_per_epoch={self.steps_per_epoch} is needed")
        return self
