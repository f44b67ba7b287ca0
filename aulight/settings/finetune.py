"""Settings of ``aulight finetune``."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from aulight.settings.group import NAMES_THE_RUN, AsList, FilePath, Group, Name, Needed, Seed, mistake
from aulight.settings.model import NetworkSettings
from aulight.settings.training import LoaderSettings, OptimSettings, TrainingSettings


class FinetuneLoaderSettings(LoaderSettings):
    """How clips and whole videos are read."""

    chunk: int = Field(ge=1, description="Frames of a whole video scored at a time")


class FinetuneOptimSettings(OptimSettings):
    """The optimiser of a regressor and of the encoder below it."""

    encoder_lr_factor: float = Field(ge=0, description="The encoder's rate as a share of the regressor's")


class PseudoSettings(Group):
    """What finished runs say of videos without labels, as labels."""

    runs: Annotated[
        Annotated[list[FilePath], Field(min_length=1), AsList] | None,
        Needed("a list of run directories, or of patterns of them, is needed, or null"),
        NAMES_THE_RUN,
    ] = Field(description="Finished runs that label what has no label: directories, or patterns; null: none")
    true_share: float = Field(gt=0, lt=1, description="Share of the clips of a batch that end at a drawn label")
    apart: float = Field(
        gt=0, description="Most that the runs may differ for a label, in standard deviations of the drawn labels"
    )


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
    reference: int = Field(
        ge=0, le=1000, description="Frames a clip that show its person's own rest, taken away; 0: none is"
    )
    pseudo: PseudoSettings = Field(description="Labels for videos that have none")
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
        if (problem := self.reference_problem) is not None:
            raise mistake("reference", problem)
        if self.pseudo.runs is not None and self.model.kind != "network":
            raise mistake("pseudo.runs", f"model={self.model.kind} trains no network; null is needed")
        if self.pseudo.runs is not None and self.loader.batch_size * self.pseudo.true_share < 1:
            raise mistake("pseudo.true_share", f"less than one clip of loader.batch_size={self.loader.batch_size}")
        if self.label_fraction is None and self.label_count is None:
            raise mistake("label_fraction", "a share is needed, or a number as label_count=")
        if self.label_fraction is not None and self.label_count is not None:
            raise mistake("label_count", f"given beside label_fraction={self.label_fraction}; set one of them to null")
        return self

    @property
    def reference_problem(self) -> str | None:
        """Why there can be no reference with the model, which may be that of stage one."""
        if not self.reference:
            return None
        if not isinstance(self.model, NetworkSettings):
            return f"model={self.model.kind} trains no network; 0 is needed"
        return (
            "a model with skip=true is needed, or 0" if self.model.temporal != "none" and not self.model.skip else None
        )
