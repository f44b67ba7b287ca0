"""Settings of ``aulight predict``: ``conf/predict``."""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from aulight.settings.group import ActionUnit, AsText, Choose, Count, FilePath, Group, Needed, mistake

WEBCAM = "webcam:"
TABLE = "table"
"""In place of a model: the landmarker's own scores, by a fixed table."""


class FoundFaces(Group):
    """Faces that are looked for."""

    find: Literal["auto", "mediapipe", "none"] = Field(description="auto: as for the dataset that the model knows")
    all: bool = Field(description="Everybody, each as a person of their own, not only who is seen longest")
    max_faces: int = Field(ge=1, description="People looked for in a frame")
    landmarker: FilePath | None = Field(description="face_landmarker.task; null: the one in the cache")


class GivenFaces(Group):
    """Pictures that are aligned faces already."""

    find: Literal["none"] = Field(description="none: the pictures are aligned faces already")


FacesSettings = Annotated[FoundFaces | GivenFaces, Choose("settings of faces are needed, as faces=auto has them")]


class PredictSettings(Group):
    """``conf/predict/predict.yaml``."""

    faces: FacesSettings = Field(description="How faces are found")
    input: FilePath = Field(description="Video, folder of pictures, photo, folder of any of these, or webcam:0")
    output: FilePath = Field(description="Folder to write into: <name>.csv and <name>.json for every video")
    model: FilePath | None = Field(
        description="Run directory, .ckpt, .aulight or .onnx; null: the one in the box; table: the landmarker's scores"
    )
    baseline: Literal["none", "rest"] = Field(
        description="Of the landmarker's own scores; rest: each person's own, as seen so far, is taken away"
    )
    coverage: Annotated[float | None, Needed("a share from 0.5 to 0.99 is needed, or null for no intervals")] = Field(
        ge=0.5, le=0.99, description="Of the prediction intervals, if the model has them; null: none"
    )
    pictures: Literal["auto", "film", "photos"] = Field(
        description="What pictures of a folder are: a film, or photos, each on its own; auto: by what is in them"
    )
    format: Literal["csv", "parquet"] = Field(description="Of the tables")
    overlay: bool = Field(description="Write <name>.overlay.mp4: the video with its faces and bars of intensities")
    plot: bool = Field(description="Write <name>.png: intensities over time")
    explain: ActionUnit | None = Field(description="Number of an AU: where in the face it is seen, in the overlay")
    fps: float = Field(gt=0, description="Frames per second of pictures, which do not tell it")
    max_frames: Count | None = Field(description="Frames of a webcam; null: until it is stopped")
    device: Annotated[
        str,
        Field(pattern=r"^(auto|cpu|cuda(:[0-9]+)?)$"),
        Needed("auto, cpu, cuda, or one of several GPUs as cuda:1 is needed", ("auto", "cpu", "cuda", "cuda:<number>")),
    ] = Field(description="Where the network runs; auto: on a GPU where there is one")
    precision: Annotated[Literal["32", "bf16"], AsText] = Field(description="What the network computes in")
    workers: Count | None = Field(
        description="Processes for the videos of a folder; null: one for each CPU; on a GPU for two, 4 at most"
    )

    @property
    def camera(self) -> int | None:
        """Number of the webcam that is the input; ``None`` for videos."""
        return int(self.input.removeprefix(WEBCAM)) if self.input.startswith(WEBCAM) else None

    @property
    def by_table(self) -> bool:
        """Whether the scores are the landmarker's own."""
        return self.model == TABLE

    @model_validator(mode="after")
    def _fits(self) -> Self:
        webcam = self.input.startswith(WEBCAM)
        if webcam and not re.fullmatch("[0-9]{1,4}", self.input.removeprefix(WEBCAM)):
            raise mistake("input", "the number of a camera is needed, for example webcam:0")
        if self.max_frames is not None and not webcam:
            raise mistake("max_frames", "only of a webcam; videos are scored whole")
        if self.by_table and self.explain is not None:
            raise mistake("explain", f"not with model={TABLE}; blendshapes say nothing of where")
        if not self.by_table and self.baseline != "none":
            raise mistake("baseline", f"only with model={TABLE}; a model's intensities have their own 0")
        if self.by_table and self.faces.find == "none":
            problem = f"not with model={TABLE}, whose scores are those of the face landmarker"
            raise mistake("faces", problem, shown="none")
        return self
