"""Settings of ``aulight predict``: ``conf/predict``."""

import re
from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from aulight.settings.after import EventSettings
from aulight.settings.cluster import AddressSettings, ClusterSettings, Executor, SlurmSettings, chosen, unfit
from aulight.settings.group import ActionUnit, AsList, AsText, Choose, Count, FilePath, Group, Needed, mistake

WEBCAM = "webcam:"
TABLE = "table"
"""In place of a model: the landmarker's own scores, by a fixed table."""

NO_SIDES = "only model=table tells left from right; other models say one intensity of both sides"

PRESENT_FROM = 1.0
"""Intensity from which an AU is present, as ``conf/predict/predict.yaml`` has it: a trace, as FACS calls it."""

PART = ("start", "end", "every", "rate")
"""Settings that take a part of a film."""


def contradiction(
    start: float | None, end: float | None, every: int | None, rate: float | None
) -> tuple[str, str] | None:
    """Which of the settings of a part of a film does not fit the others, and what is needed; ``None`` for none."""
    if every is not None and rate is not None:
        return "every", f"not together with rate={rate:g}; one of the two"
    if end is not None and end <= (start or 0):
        return "end", f"more than start={start or 0:g} is needed"
    return None


def unusable(reference: Sequence[float], relative: bool) -> str | None:
    """Why a stretch cannot be where faces are at rest, and what is needed; ``None`` where it can.

    Args:
        reference: From and to, in seconds.
        relative: Whether the model has a reference.
    """
    if not 0 <= reference[0] < reference[1]:
        return "seconds from and to are needed, as [2,4]"
    return None if relative else "the model takes nobody's reference away; baseline=person is for any scores"


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
    input: Annotated[
        FilePath | list[FilePath],
        Needed("a path is needed, or a list of them"),
    ] = Field(description="Video, photo, folder of any of these, list, pattern as 'videos/**/*.mp4', or webcam:0")
    output: FilePath = Field(description="Folder to write into: <name>.csv and <name>.json for every video")
    model: FilePath | None = Field(
        description="Run directory, .ckpt, .aulight or .onnx; null: the one in the box; table: the landmarker's scores"
    )
    baseline: Literal["none", "rest", "person"] = Field(
        description="Taken away: rest: each person's own so far, with model=table; person: theirs over the whole film"
    )
    reference: Annotated[list[float] | None, AsList, Needed("seconds from and to are needed, as [2,4], or null")] = (
        Field(
            min_length=2,
            max_length=2,
            description="Of films: seconds from, to with faces at rest; null: all",
        )
    )
    coverage: Annotated[float | None, Needed("a share from 0.5 to 0.99 is needed, or null for no intervals")] = Field(
        ge=0.5, le=0.99, description="Of the prediction intervals, if the model has them; null: none"
    )
    pictures: Literal["auto", "film", "photos"] = Field(
        description="What pictures of a folder are: a film, or photos, each on its own; auto: by what is in them"
    )
    columns: Annotated[
        list[
            Literal["box", "pose", "quality", "gaze", "landmarks2d", "landmarks3d", "blendshapes", "sides", "presence"]
        ],
        AsList,
        Needed(
            "a list is needed, of box, pose, quality, gaze, landmarks2d, landmarks3d, blendshapes, sides, presence; "
            "or []"
        ),
    ] = Field(description="What the tables say of faces beside the AUs, where they are found; docs/columns.md")
    present_from: float = Field(gt=0, le=5, description="Intensity from which an AU is present, of columns=[presence]")
    min_quality: float | None = Field(
        ge=0, le=1, description="Faces of less quality get no intensities; null: all get them"
    )
    format: Literal["csv", "parquet"] = Field(description="Of the tables")
    overlay: bool = Field(description="Write <name>.overlay.mp4: the video with its faces and bars of intensities")
    plot: bool = Field(description="Write <name>.png: intensities over time")
    explain: ActionUnit | None = Field(description="Number of an AU: where in the face it is seen, in the overlay")
    events: EventSettings | None = Field(description="Write <name>.events.csv of films: events of each AU; null: none")
    elan: bool = Field(description="Write <name>.eaf: the events as tiers for ELAN; needs pympi-ling")
    summary: bool | None = Field(
        description="Write summary.csv, cooccurrence.csv, index.html of all in output; null: of several, or if there"
    )
    thumbnails: bool = Field(description="Faces at the strongest moments, in plots and index.html")
    fps: float = Field(gt=0, description="Frames per second of pictures, which do not tell it")
    start: float | None = Field(ge=0, description="Of films: second to begin at, by the video's own clock; null: 0")
    end: float | None = Field(gt=0, description="Of films: second to end before; null: at its end")
    every: Count | None = Field(description="Of films: score each so many-th frame; null: all")
    rate: float | None = Field(gt=0, description="Of films: score so many frames a second; null: all")
    rotate: Literal[0, 90, 180, 270] = Field(description="Turn pictures by so many degrees, clockwise, once upright")
    max_frames: Count | None = Field(description="Frames of a webcam; null: until it is stopped")
    device: Annotated[
        str,
        Field(pattern=r"^(auto|cpu|cuda(:[0-9]+)?)$"),
        Needed("auto, cpu, cuda, or one of several GPUs as cuda:1 is needed", ("auto", "cpu", "cuda", "cuda:<number>")),
    ] = Field(description="Where the network runs; auto: on a GPU where there is one")
    precision: Annotated[Literal["auto", "32", "bf16"], AsText] = Field(
        description="What the network computes in; auto: bf16 where measured to be faster, else 32"
    )
    workers: Count | None = Field(
        description="Processes for the videos of a folder; null: one for each CPU; on a GPU for two, 4 at most"
    )
    executor: Executor = Field(description="Where the workers are: here, or those of a dask scheduler")
    cluster: ClusterSettings = Field(description="The cluster, with executor=dask")
    patience_s: float = Field(gt=0, description="Seconds without progress after which a worker is taken for hung")

    @property
    def chosen_cluster(self) -> AddressSettings | SlurmSettings | None:
        """Where the workers are; ``None``: on this machine."""
        return chosen(self.executor, self.cluster)

    @property
    def camera(self) -> int | None:
        """Number of the webcam that is the input; ``None`` for videos."""
        one = self.input
        return int(one.removeprefix(WEBCAM)) if isinstance(one, str) and one.startswith(WEBCAM) else None

    @property
    def inputs(self) -> list[str]:
        """What is to be scored, as it was given, one after the other."""
        return [self.input] if isinstance(self.input, str) else self.input

    @property
    def by_table(self) -> bool:
        """Whether the scores are the landmarker's own."""
        return self.model == TABLE

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.inputs:
            raise mistake("input", "a path is needed, or a list of them")
        webcam = any(given.startswith(WEBCAM) for given in self.inputs)
        if webcam and not (len(self.inputs) == 1 and re.fullmatch("[0-9]{1,4}", self.inputs[0].removeprefix(WEBCAM))):
            raise mistake("input", "the number of a camera is needed, for example webcam:0")
        if webcam and (part := next((name for name in PART if getattr(self, name) is not None), None)):
            raise mistake(part, "only of videos; max_frames=<number> ends a webcam")
        if webcam and self.executor != "local":
            raise mistake("executor", "only of videos; what a webcam sees is scored here")
        if (wrong_workers := unfit(self.executor, self.cluster, self.workers)) is not None:
            raise wrong_workers
        if webcam and self.pictures != "auto":
            raise mistake("pictures", "only of pictures; what a webcam sees is a film")
        if (wrong := contradiction(self.start, self.end, self.every, self.rate)) is not None:
            raise mistake(*wrong)
        if self.max_frames is not None and not webcam:
            raise mistake("max_frames", "only of a webcam; of videos, end=<seconds>")
        if "sides" in self.columns and not self.by_table:
            raise mistake("columns", NO_SIDES, shown="[sides]")
        if self.present_from != PRESENT_FROM and "presence" not in self.columns:
            raise mistake("present_from", "needs presence among columns")
        if self.by_table and self.explain is not None:
            raise mistake("explain", "not with model=table; blendshapes say nothing of where")
        if not self.by_table and self.baseline == "rest":
            raise mistake("baseline", "only with model=table; baseline=person takes each person's rest from any scores")
        if self.baseline == "person" and webcam:
            raise mistake("baseline", "only of files, whose end is known; with model=table, baseline=rest")
        if self.baseline == "person" and self.explain is not None:
            raise mistake("explain", "not with baseline=person; heat is made before a person's rest is known")
        if self.reference is not None and (problem := unusable(self.reference, not self.by_table)) is not None:
            raise mistake("reference", problem)
        if self.reference is not None and webcam:
            raise mistake("reference", "only of files; of a webcam all frames so far tell where a face lies")
        if self.reference is not None and self.explain is not None:
            raise mistake("reference", "not with explain, for which all frames so far tell where a face lies")
        if self.elan and self.events is None:
            raise mistake("elan", "needs events; leave events=null out")
        if self.min_quality is not None and "quality" not in self.columns:
            raise mistake("min_quality", "needs quality among columns")
        if self.min_quality is not None and self.faces.find == "none":
            raise mistake("min_quality", "quality is of faces that are found; not with faces=none")
        if self.by_table and self.faces.find == "none":
            problem = "not with model=table, whose scores are those of the face landmarker"
            raise mistake("faces", problem, shown="none")
        return self
