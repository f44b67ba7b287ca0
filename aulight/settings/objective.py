"""``conf/objective``: what stage one is asked."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from aulight.settings.group import AsList, EachOnce, Group, mistake


class ObjectiveSettings(Group):
    """Contrastive learning in the form that covers all objectives."""

    views: int = Field(ge=1, description="Independently augmented views of each clip")
    instance: float = Field(ge=0, description="Weight of the instance term")
    predictive: float = Field(ge=0, description="Weight of the predictive term")
    horizons: Annotated[list[Annotated[int, Field(ge=0)]], AsList, EachOnce] = Field(
        min_length=1, description="How far ahead is predicted, in samples of a clip"
    )
    context: int = Field(ge=0, description="Samples seen before the first prediction")
    temperature: float = Field(gt=0, description="What similarities are divided by")
    other_subjects: float = Field(ge=0, description="Weight of other subjects' frames, together against the own clip's")
    same_subject: float = Field(ge=0, description="Likewise of the same subject's other videos; 0: they play no part")
    projection: int = Field(ge=1, description="Width of the compared vectors")
    hidden: int = Field(ge=1, description="Width inside projector and predictors")
    spatial: bool = Field(description="Whether the encoder must keep a spatial map")

    @model_validator(mode="after")
    def _has_a_term(self) -> Self:
        if self.instance and self.views < 2:
            raise mistake("instance", "the instance term needs objective.views=2")
        if not self.instance and not self.predictive:
            raise mistake("instance", "more than 0 is needed here or in objective.predictive")
        return self
