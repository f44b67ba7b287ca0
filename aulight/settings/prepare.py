"""Settings of ``aulight prepare``."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from aulight.settings.cluster import AddressSettings, ClusterSettings, Executor, SlurmSettings, chosen, unfit
from aulight.settings.data import LocalDataSettings, OnError, PreparedSettings
from aulight.settings.group import Count, FilePath, Group, Needed, missing, mistake

UNFIT_SIZES = (48, 72)
"""Widths from 32 on that decord, which read prepared videos before, could not decode to."""


_TABLE = Needed("the path of a CSV file is needed")


def _fit(size: int) -> int:
    if size in UNFIT_SIZES:
        raise ValueError(size)
    return size


class PrepareFacesSettings(Group):
    """How faces are found, with ``data.faces=mediapipe``."""

    blendshapes: bool = Field(description="Keep the landmarker's 52 scores of every frame, for model=blendshapes")
    max_faces: int = Field(ge=1, description="People looked for in a frame; one of them is followed")
    smooth_s: float = Field(ge=0, description="Over how many seconds the place of the crop is smoothed; 0: not at all")
    model: FilePath | None = Field(description="face_landmarker.task; null: the one in the cache")
    device: Annotated[
        str,
        Field(pattern=r"^(auto|cpu|torch|cuda(:[0-9]+)?)$"),
        Needed(
            "auto, cpu, torch, cuda, or one of several GPUs as cuda:1 is needed",
            ("auto", "cpu", "torch", "cuda", "cuda:<number>"),
        ),
    ] = Field(description="Where the networks run; auto: on a GPU where there is one; torch: on the CPU by torch")


class PrepareSettings(Group):
    """``conf/prepare.yaml``."""

    data: LocalDataSettings = Field(description="The dataset")
    data_dir: FilePath = Field(description="Folder of prepared datasets")
    labels: Annotated[str | list[Annotated[str, Field(min_length=1)]] | None, Field(min_length=1), _TABLE] = Field(
        description="CSV of intensities, or a list of them: video, frame (or time_s), AU01, AU02 ...; null: as before"
    )
    subjects: Annotated[str | None, Field(min_length=1), _TABLE] = Field(
        description="CSV of who is in which video: video, subject; null: as before, else a subject a video"
    )
    labels_replace: bool = Field(
        description="Let labels of a dataset that is there go, or change, where tables lack them"
    )
    subjects_replace: bool = Field(description="Let a table give people of a dataset that is there other names")
    crop_size: Annotated[
        int,
        Field(ge=32, multiple_of=2),
        AfterValidator(_fit),
        Needed("an even number from 32 on is needed, but not 48 or 72"),
    ] = Field(description="Side of the aligned face, in pixels")
    gop: int = Field(
        ge=1, le=250, description="A key frame every so many frames: 1 reads clips fastest, 12 takes less space"
    )
    faces: PrepareFacesSettings = Field(description="How faces are found, with data.faces=mediapipe")
    on_error: OnError = Field(description="What to do with a raw video that cannot be read")
    workers: Count | None = Field(description="Processes; null: one a CPU")
    executor: Executor = Field(description="Where the workers are: here, or those of a dask scheduler")
    cluster: ClusterSettings = Field(description="The cluster, with executor=dask")
    patience_s: float = Field(gt=0, description="Seconds without progress after which a worker is taken for hung")

    @property
    def chosen_cluster(self) -> AddressSettings | SlurmSettings | None:
        """Where the workers are; ``None``: on this machine."""
        return chosen(self.executor, self.cluster)

    @property
    def raw(self) -> PreparedSettings:
        """The dataset, which is to be prepared from raw videos."""
        assert isinstance(self.data, PreparedSettings)
        return self.data

    @model_validator(mode="after")
    def _has_raw_data(self) -> Self:
        if not isinstance(self.data, PreparedSettings):
            problem = "makes itself on first use; prepare reads disfa, bp4d, affwild2, folder"
            raise mistake("data", problem, shown=self.data.name)
        if not self.data.source:
            raise missing("data.source", "no value given; add data.source=<folder of the raw data>")
        if (wrong_workers := unfit(self.executor, self.cluster, self.workers)) is not None:
            raise wrong_workers
        if self.executor != "local" and self.faces.device != "cpu":
            raise mistake("faces.device", "only with executor=local; the workers of a cluster find faces on their CPUs")
        return self
