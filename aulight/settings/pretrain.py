"""Settings of ``aulight pretrain``."""

from typing import Self

from pydantic import Field, model_validator

from aulight.settings.group import Group, Seed, mistake
from aulight.settings.model import NetworkSettings
from aulight.settings.objective import ChosenObjective, MaskedSettings
from aulight.settings.training import LoaderSettings, OptimSettings, TrainingSettings


class ProbeSettings(Group):
    """Ridge regression on frozen features, scored on validation subjects."""

    every_epochs: int = Field(ge=1, description="Epochs from one look to the next")
    label_fraction: float = Field(gt=0, le=1, description="Share of the training subjects' labels it is fitted on")
    label_seed: Seed = Field(description="Of their draw")
    penalty: float = Field(gt=0, description="Of the ridge regression, on standardised features")


class PretrainSettings(TrainingSettings):
    """``conf/pretrain.yaml``: stage one."""

    objective: ChosenObjective = Field(description="What stage one is asked")
    subject_fraction: float = Field(gt=0, le=1, description="Share of the subjects it may see, drawn at random")
    keep_every_epochs: int = Field(ge=1, description="Epochs after which a checkpoint is kept for good")
    loader: LoaderSettings = Field(description="How clips are read")
    optim: OptimSettings = Field(description="The optimiser")
    probe: ProbeSettings | None = Field(description="A look at what was learned so far; null: none")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not isinstance(self.model, NetworkSettings):
            raise mistake("model", "trains no network, so no stage one; for finetune alone", shown=self.model.arm)
        if self.objective.keeps_map and not self.model.keeps_map:
            problem = f"model.temporal={self.model.temporal} keeps no map; use model.temporal=convgru"
            raise mistake("objective.spatial", problem)
        if isinstance(self.objective, MaskedSettings) and self.model.temporal == "none":
            raise mistake("model.temporal", "hidden frames are found from others by a recurrence: gru or convgru")
        if (needs := self.objective.too_short(self.clip.length)) is not None:
            raise mistake("clip.length", f"too short for {needs}")
        moments = self.clip.length - self.objective.ahead
        if self.model.norm == "batch" and not self.objective.keeps_map and self.loader.batch_size * moments == 1:
            problem = "one clip with one moment to predict has no mean: more are needed, or model.norm=group"
            raise mistake("loader.batch_size", problem)
        return self
