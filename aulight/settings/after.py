"""Settings of what ``aulight predict`` makes of its tables."""

from typing import Self

from pydantic import Field, model_validator

from aulight.settings.group import Group, mistake


class EventSettings(Group):
    """When an AU's intensity counts as an event."""

    enter: float = Field(gt=0, le=5, description="Intensity that an event reaches")
    leave: float = Field(ge=0, le=5, description="Intensity at which it begins and below which it ends")
    min_s: float = Field(ge=0, description="Seconds that it lasts at least")
    merge_s: float = Field(ge=0, description="Seconds of a pause, or without a face, that do not end it")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.leave > self.enter:
            raise mistake("leave", f"at most enter={self.enter:g} is needed")
        return self
