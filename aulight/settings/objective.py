"""``conf/objective``: what stage one is asked."""

from abc import abstractmethod
from typing import Annotated, Self

from pydantic import Field, model_validator

from aulight.settings.group import AsList, Choose, EachOnce, Group, mistake


class _Objective(Group):
    """What all of them have."""

    views: int = Field(ge=1, description="Independently augmented views of each clip")
    projection: int = Field(ge=1, description="Width of the compared vectors")
    hidden: int = Field(ge=1, description="Width inside projector and predictors")

    @property
    def keeps_map(self) -> bool:
        """Whether the encoder must keep a spatial map."""
        return False

    @property
    def ahead(self) -> int:
        """Samples of a clip that are passed over: before the first prediction, and from there to what is predicted."""
        return 0

    @abstractmethod
    def too_short(self, length: int) -> str | None:
        """What clips of a length are too short for; ``None`` where they are not."""


class _Predictive(_Objective):
    """Of those with a term for the same frame in two views, and one for the frames that come."""

    instance: float = Field(ge=0, description="Weight of the instance term")
    predictive: float = Field(ge=0, description="Weight of the predictive term")
    horizons: Annotated[list[Annotated[int, Field(ge=0)]], AsList, EachOnce] = Field(
        min_length=1, description="How far ahead is predicted, in samples of a clip"
    )
    context: int = Field(ge=0, description="Samples seen before the first prediction")

    @property
    def ahead(self) -> int:
        """See there."""
        return self.context + max(self.horizons)

    def too_short(self, length: int) -> str | None:
        """See there."""
        needs = f"objective.context={self.context} and horizons up to {max(self.horizons)}"
        return None if length > self.ahead else needs

    @model_validator(mode="after")
    def _has_a_term(self) -> Self:
        if self.instance and self.views < 2:
            raise mistake("instance", "the instance term needs objective.views=2")
        if not self.instance and not self.predictive:
            raise mistake("instance", "more than 0 is needed here or in objective.predictive")
        return self


class ContrastiveSettings(_Predictive):
    """Contrastive learning in the form that covers three objectives."""

    temperature: float = Field(gt=0, description="What similarities are divided by")
    other_subjects: float = Field(ge=0, description="Weight of other subjects' frames, together against the own clip's")
    same_subject: float = Field(ge=0, description="Likewise of the same subject's other videos; 0: they play no part")
    spatial: bool = Field(description="Whether the encoder must keep a spatial map")

    @property
    def keeps_map(self) -> bool:
        """See there."""
        return self.spatial


class _OfTwoViews(_Predictive):
    """Of those that compare two views, no more and no fewer."""

    views: int = Field(ge=2, le=2, description="Independently augmented views of each clip")
    within: bool = Field(description="Whether vectors count without their clip's mean")

    def too_short(self, length: int) -> str | None:
        """See there. One moment alone is its clip's mean."""
        return super().too_short(length - self.within)


class VicregSettings(_OfTwoViews):
    """Variance, invariance, covariance."""

    variance: float = Field(ge=0, description="Weight of the variance term")
    covariance: float = Field(ge=0, description="Weight of the covariance term")

    @property
    def weights(self) -> dict[str, float]:
        """Of the terms."""
        return {name: getattr(self, name) for name in ("instance", "predictive", "variance", "covariance")}


class ByolSettings(_OfTwoViews):
    """A teacher that is a slow copy of the network."""

    momentum: float = Field(ge=0, lt=1, description="What the teacher keeps of itself in the first step; 1 in the last")

    @property
    def weights(self) -> dict[str, float]:
        """Of the terms."""
        return {"instance": self.instance, "predictive": self.predictive}


class MaskedSettings(_Objective):
    """Frames that are hidden, and found by a teacher's word of them."""

    views: int = Field(ge=1, le=2, description="Independently augmented views of each clip")
    share: float = Field(gt=0, lt=1, description="Share of a clip's frames that are hidden")
    momentum: float = Field(ge=0, lt=1, description="What the teacher keeps of itself in the first step; 1 in the last")
    within: bool = Field(description="Whether vectors count without their clip's mean")

    def too_short(self, length: int) -> str | None:
        """See there."""
        return None if length > 1 else "a frame that is hidden and one to find it from"


ObjectiveSettings = ContrastiveSettings | VicregSettings | ByolSettings | MaskedSettings

ChosenObjective = Annotated[
    ObjectiveSettings, Choose("settings of an objective are needed, as objective=instance_predictive has them")
]
