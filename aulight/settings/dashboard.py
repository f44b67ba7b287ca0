"""Settings of ``aulight dashboard``."""

from pydantic import Field

from aulight.settings.group import Group, Name
from aulight.settings.sample import ActionUnits


class DashboardSettings(Group):
    """``conf/dashboard.yaml``."""

    project: Name = Field(description="Project on Weights & Biases")
    entity: Name | None = Field(description="Team or user; null: your default")
    name: Name = Field(description="Of the workspace; each call saves a new one")
    aus: ActionUnits = Field(description="AU numbers to show; null: those of DISFA and BP4D")
