"""Settings of ``aulight finetune``."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from aulight.settings.group import NAMES_THE_RUN, FilePath, Name, Seed, mistake
from aulight.settings.training import LoaderSettings, OptimSettings, TrainingSettings


class FinetuneLoaderSettings(LoaderSettings):
    """How clips and whole videos are read."""

    chunk: int = Field(ge=1, description="Frames of a whole video scored at a time")


class FinetuneOptimSettings(OptimSettings):
    """The optimiser of a regressor and of the encoder below it."""

    encoder_lr_factor: float = Field(ge=0, description="The encoder's rate as a share of the regressor's")


class FinetuneSettings(TrainingSettings):
    """``conf/finetune.yaml``: stage two."""

    pretrained: Annotated[FilePath | None, NAMES_THE_RUN] = Field(
        description="Run directory or checkpoint of stage one; default: the model in the box; null: from scratch"
    )
    label_fraction: float | None = Field(
        gt=0, le=1, description="Share of the training subjects' labelled frames, drawn at random; null: label_count"
    )
    label_count: int | None = Field(ge=1, description="Their number instead; null: label_fraction")
    label_seed: Annotated[Seed, NAMES_THE_RUN] = Field(
        description="Of the draw; smaller draws of one seed lie inside larger ones"
    )
    subject_fraction: float | None = Field(
        None, ge=0, le=1, description="Share of the subjects that stage one saw, of an experiment"
    )
    arm: Name = Field(description="What reports call this")
    loss: Literal["mse", "smooth_l1", "ccc"] = Field(description="Over every labelled frame and known AU of a batch")
    ccc_share: float = Field(
        gt=0, le=1, description="Of loss=ccc: its share a in (1 - a) MSE + a (1 - CCC), by AU; 1: no MSE"
    )
    amplitude: Literal["none", "crossfit"] = Field(
        description="Slope and offset of each AU after training, from drawn labels by subject; none: as it was learned"
    )
    freeze: Literal["none", "backbone", "encoder"] = Field(description="What stays as it was loaded")
    label_std_floor: float = Field(ge=0, description="Least standard deviation that labels are divided by")
    loader: FinetuneLoaderSettings = Field(description="How clips and whole videos are read")
    optim: FinetuneOptimSettings = Field(description="The optimiser")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.pretrained is not None and self.model.kind != "network":
            raise mistake("pretrained", f"model={self.model.kind} trains no network; drop one of the two")
        if self.amplitude != "none" and self.model.kind != "network":
            raise mistake("amplitude", f"model={self.model.kind} trains no network; none is needed")
        if self.label_fraction is None and self.label_count is None:
            raise mistake("label_fraction", "a share is needed, or a number as label_count=")
        if self.label_fraction is not None and self.label_count is not None:
            raise mistake("label_count", f"given beside label_fraction={self.label_fraction}; set one of them to null")
        return self
