"""Settings of ``aulight report``."""

from typing import Annotated

from pydantic import Field

from aulight.settings.group import FilePath, Group, Name, Needed, Seed


class UncertaintySettings(Group):
    """Intervals and p-values over test subjects."""

    level: float = Field(gt=0, lt=1, description="Level of the intervals")
    swaps: int = Field(
        ge=1,
        description="Ways of swapping two arms behind a p-value: all where there are no more, or so many random ones",
    )
    seed: Seed = Field(description="Of the random ones")


class ReportSettings(Group):
    """``conf/report.yaml``."""

    runs: FilePath = Field(description="Folder with the runs, at any depth")
    output: FilePath | None = Field(description="Folder of the report; null: <runs>/report")
    uncertainty: UncertaintySettings = Field(description="Intervals and p-values over test subjects")
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
