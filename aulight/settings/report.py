"""Settings of ``aulight report``."""

from typing import Annotated

from pydantic import Field

from aulight.settings.group import FilePath, Group, Name, Needed, Seed


class BootstrapSettings(Group):
    """Intervals by resampling test subjects."""

    replicates: int = Field(ge=1, description="Number of samples")
    seed: Seed = Field(description="Of the samples")
    level: float = Field(gt=0, lt=1, description="Level of the intervals")


class ReportSettings(Group):
    """``conf/report.yaml``."""

    runs: FilePath = Field(description="Folder with the runs, at any depth")
    output: FilePath | None = Field(description="Folder of the report; null: <runs>/report")
    bootstrap: BootstrapSettings = Field(description="Intervals by resampling test subjects")
    bars_fraction: float | None = Field(
        gt=0, le=1, description="Label fraction of the per-AU bars and the timelines; null: 0.02, or the best covered"
    )
    timelines: int = Field(ge=0, description="Number of test videos whose intensities are drawn over time")
    videos: Annotated[list[Name] | None, Needed("give a list, for example videos=[{value}]")] = Field(
        description="Or their ids; null: the most expressive ones"
    )
    reference: FilePath | None = Field(
        description="CSV of published numbers: source,dataset,label_fraction,icc,mae,mse; AU01 ... for ICCs of AUs"
    )
