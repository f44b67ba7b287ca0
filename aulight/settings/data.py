"""``conf/data``: a dataset that is made up, or one that ``aulight prepare`` made of raw videos."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from aulight.settings.group import CHANGES_NO_RESULT, AsText, Choose, FilePath, Group, Name, Seed, is_url, mistake

OnError = Literal["raise", "skip"]


class ProtocolSettings(Group):
    """Who trains, who validates and who is tested."""

    name: Literal["own", "disfa", "bp4d", "kfold", "loso"] = Field(description="How the subjects are split")
    folds: int = Field(ge=1, description="Number of folds, of kfold alone")
    validation: float = Field(gt=0, lt=1, description="Share of the subjects not tested that validate")
    seed: Seed = Field(description="Of the draw of validation subjects and of the folds of kfold")

    @model_validator(mode="after")
    def _tests_a_part(self) -> Self:
        if self.name == "kfold" and self.folds < 2:
            raise mistake("folds", "at least 2 are needed with name=kfold: those who are tested cannot train")
        return self


class _DataSettings(Group):
    """What all datasets have."""

    name: Name = Field(description="What the dataset is called in records and reports")
    root: Annotated[FilePath, CHANGES_NO_RESULT] = Field(description="Folder of the prepared dataset, or its URL")
    on_error: OnError = Field(description="What to do with a prepared video that cannot be read")
    protocol: ProtocolSettings = Field(description="Who trains, who validates and who is tested")

    @model_validator(mode="after")
    def _tells_no_secret(self) -> Self:
        """An URL is written to records and sent to the bucket alone: what opens it must not be in it."""
        if is_url(self.root) and ("@" in self.root or "?" in self.root):
            problem = "no user, password or signature may be in it; credentials are read from the environment"
            raise mistake("root", problem, shown="an URL")
        return self


def _refuse_url(data: _DataSettings) -> None:
    if is_url(data.root):
        raise mistake("root", "a folder is needed; for a dataset at an URL add data=folder")


class GeneratorSettings(Group):
    """What the synthetic dataset is made with, where it is not there yet."""

    size: Literal["smoke", "default", "large"] = Field(description="How many faces, and how large")
    seed: Seed = Field(description="Decides every pixel and label")


class SyntheticSettings(_DataSettings):
    """Drawn faces with known intensities, made on first use."""

    kind: ClassVar[str] = "synthetic"

    size: Literal["smoke", "default", "large"] = Field(description="How many faces, and how large")
    seed: Seed = Field(description="Decides every pixel and label")
    synthetic: GeneratorSettings | None = Field(description="What it is made with on first use; null: it is there")

    @model_validator(mode="after")
    def _is_called_synthetic(self) -> Self:
        """A dataset of the user's own that is not there must not be made up."""
        _refuse_url(self)
        if self.synthetic is not None and self.name != "synthetic":
            raise mistake("name", "names a dataset of yours; add data=folder")
        return self


class AvatarGeneratorSettings(GeneratorSettings):
    """What avatars are made with, where they are not there yet."""

    rig: Literal["first", "second"] = Field(description="What moves the faces; second: another set, not to train on")


class AvatarsSettings(_DataSettings):
    """Faces in three dimensions with known intensities, made on first use."""

    kind: ClassVar[str] = "synthetic"

    format: Literal["avatars"] = Field(description="Tells them from other datasets")
    size: Literal["smoke", "default", "large"] = Field(description="How many faces, and how large")
    seed: Seed = Field(description="Decides every pixel and label")
    rig: Literal["first", "second"] = Field(description="What moves the faces; second: another set, not to train on")
    synthetic: AvatarGeneratorSettings | None = Field(
        description="What it is made with on first use; null: it is there"
    )

    @model_validator(mode="after")
    def _is_called_avatars(self) -> Self:
        """A dataset of the user's own that is not there must not be made up."""
        _refuse_url(self)
        if self.synthetic is not None and self.name != "avatars":
            raise mistake("name", "names a dataset of yours; add data=folder")
        return self


class _PreparedSettings(_DataSettings):
    """What all datasets have that were prepared from raw videos."""

    kind: ClassVar[str] = "prepared"

    source: Annotated[Annotated[str, AsText] | None, CHANGES_NO_RESULT] = Field(
        description="Folder of the raw data, for prepare"
    )
    cache: Annotated[FilePath | None, CHANGES_NO_RESULT] = Field(
        description="Folder for what is fetched of a dataset at an URL; null: remote/ in the cache of aulight"
    )
    cache_gb: Annotated[float, CHANGES_NO_RESULT] = Field(gt=0, description="Most GB of its videos that are kept there")
    faces: Literal["mediapipe", "none"] = Field(description="Find and align faces, or none: they are aligned already")
    synthetic: None = Field(description="Null: nothing of it is made up")


class DisfaReader(Group):
    """How DISFA is read."""

    camera: Literal["left", "right", "both"] = Field(description="Whose videos, of the two cameras")
    drop_untracked: bool = Field(description="Make the labels of frames unknown where the face was lost")


class DisfaSettings(_PreparedSettings):
    """DISFA."""

    format: Literal["disfa"] = Field(description="Layout of the raw data")
    reader: DisfaReader = Field(description="How the raw data are read, for prepare")


class Bp4dReader(Group):
    """How BP4D and BP4D+ are read."""

    plus: bool = Field(description="BP4D+ instead of BP4D")
    fps: float = Field(gt=0, description="Frames per second of the images, which do not tell it")


class Bp4dSettings(_PreparedSettings):
    """BP4D or BP4D+."""

    format: Literal["bp4d"] = Field(description="Layout of the raw data")
    reader: Bp4dReader = Field(description="How the raw data are read, for prepare")


class AffWild2Reader(Group):
    """How Aff-Wild2 is read."""

    pictures: Literal["videos", "cropped_aligned"] = Field(description="Its videos, or the crops that come with it")
    fps: float = Field(gt=0, description="Frames per second of the crops, which do not tell it")


class AffWild2Settings(_PreparedSettings):
    """Aff-Wild2."""

    format: Literal["affwild2"] = Field(description="Layout of the raw data")
    reader: AffWild2Reader = Field(description="How the raw data are read, for prepare")


class FolderReader(Group):
    """How a folder of videos is read."""

    fps: float = Field(gt=0, description="Frames per second of folders of images, which do not tell it")
    pictures: Annotated[Literal["auto", "film", "photos"], CHANGES_NO_RESULT] = Field(
        description="What images of a folder are: a film, or photos, each a video of its own; auto: by what is in them"
    )


class FolderSettings(_PreparedSettings):
    """A folder of the user's own videos."""

    format: Literal["folder"] = Field(description="Layout of the raw data")
    reader: FolderReader = Field(description="How the raw data are read, for prepare")


PreparedSettings = DisfaSettings | Bp4dSettings | AffWild2Settings | FolderSettings

DataSettings = Annotated[
    AvatarsSettings | SyntheticSettings | DisfaSettings | Bp4dSettings | AffWild2Settings | FolderSettings,
    Choose("settings of a dataset are needed, as the files in conf/data have them", by="format"),
]


def _is_folder(data: _DataSettings) -> _DataSettings:
    if is_url(data.root):
        raise mistake("root", "a folder is needed: at an URL a dataset is read by pretrain and finetune alone")
    return data


LocalDataSettings = Annotated[DataSettings, AfterValidator(_is_folder)]
