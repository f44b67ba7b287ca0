"""Settings of ``aulight sample``."""

from typing import Annotated, Literal

from pydantic import Field

from aulight.settings.data import LocalDataSettings
from aulight.settings.group import ActionUnit, EachOnce, FilePath, Group, Needed, Seed

ActionUnits = Annotated[
    list[ActionUnit] | None,
    Field(min_length=1),
    Needed("a list of AU numbers is needed, for example aus=[1,4,12]"),
    EachOnce,
]


class DrawSettings(Group):
    """Which frames are drawn, for a coder: of ``conf/sample.yaml`` and ``conf/label.yaml``."""

    label_count: int = Field(ge=1, description="Frames to draw at random, among those with a face")
    seed: Seed = Field(description="Of the draw; smaller draws of one seed lie inside larger ones")
    spread: Literal["frames", "videos", "people"] = Field(
        description="Over what the draw is even: all frames are alike (the method), or videos are, or people"
    )
    min_distance_s: float | None = Field(
        ge=0,
        description="Least time between two drawn frames of a video, in seconds; null: 1, less where there is no room",
    )
    unlabelled_only: bool = Field(description="Leave out frames that have labels already")
    aus: ActionUnits = Field(description="AU numbers to code; null: the dataset's, else the 12 of DISFA")


class SampleSettings(DrawSettings):
    """``conf/sample.yaml``."""

    data: LocalDataSettings = Field(description="The dataset")
    data_dir: FilePath = Field(description="Folder of prepared datasets")
    output: FilePath = Field(description="Folder to make, with to_label.csv, images/ and contact sheets")
