"""What is said of a model, wherever it is kept: in the header of its file, and in its card."""

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from aulight.data.alignment import Alignment, finds_faces
from aulight.errors import AulightError
from aulight.prediction.seal import OPEN
from aulight.settings.model import NetworkSettings
from aulight.settings.reading import read
from aulight.version import __version__

FORMAT = 1
"""Version of the description and of what goes with it; a reader refuses a newer one."""


def _known(score: Any) -> Any:
    return None if isinstance(score, float) and not math.isfinite(score) else score


Score = Annotated[float | None, BeforeValidator(_known)]
"""``None`` where it is not defined: JSON has no NaN."""


class Part(BaseModel):
    """A part of a description. What a later aulight says besides is kept, and written again with the rest."""

    model_config = ConfigDict(extra="allow", frozen=True)


class Architecture(Part):
    """The fields of :class:`aulight.settings.model.NetworkSettings` that give the network its shape."""

    model_config = ConfigDict(extra="forbid")  # one that is not known would be another network

    backbone: str
    temporal: str
    size: int
    embedding: int
    hidden: int
    skip: bool
    norm: str
    small_input: bool


class Normalisation(Part):
    """What pixels of 0..1 and intensities were scaled by, in training.

    Attributes:
        image_mean: Of each colour channel.
        image_std: Of each colour channel.
        label_mean: Of each AU, over the drawn labels.
        label_std: Likewise.
    """

    image_mean: tuple[float, float, float]
    image_std: tuple[float, float, float]
    label_mean: tuple[float, ...]
    label_std: tuple[float, ...]


class Dataset(Part):
    """What the labels are from; ``fps`` is the frames per second of its videos."""

    name: str
    fingerprint: str
    fps: float


class StageOne(Part):
    """What the encoder learned from without labels: :func:`aulight.protocol.check_stage_one` says it."""

    dataset: str
    own_frames: bool = False
    subjects: int
    unlabelled_subjects: int | None = None


class Subjects(Part):
    """How many people took part in what."""

    train: int
    validation: int
    test: int


class Validation(Part):
    """Mean ICC on the validation subjects, who chose the checkpoint."""

    icc: Score


class Scores(Part):
    """Of one AU on the test subjects, pooled over frames."""

    icc: Score
    mae: Score
    mse: Score


class MeanScores(Part):
    """The means over AUs, and the scores of each by its name, ``AU01`` ..."""

    labelled_frames: int
    icc: Score
    mae: Score
    mse: Score
    per_au: dict[str, Scores]


class Reach(Part):
    """How far prediction intervals reach: :meth:`aulight.scoring.conformal.Intervals.plain`."""

    levels: list[float]
    edges: list[float]
    reach: dict[str, list[list[float]] | None]


class ModelDescription(Part):
    """All that is known about a model.

    Attributes:
        format_version: Of the file it was read from; ``None`` if it was not read from one, as the next two.
        written_by: The aulight that wrote the file.
        created: The day on which it did, ``2026-01-31``.
        name: Of the run.
        aus: Numbers of its AUs, in the order of its outputs.
        architecture: The network.
        stride: Frames from one sample of the recurrence to the next.
        normalisation: What its inputs and outputs are scaled by.
        crop_size: Side of the faces that it learned from, in pixels.
        alignment: How they lay in their pictures; another text, or ``None``, of a dataset that was made elsewhere.
        smooth_s: Seconds over which their crops' movement was smoothed, where they were found.
        dataset: What the labels are from.
        stage_one: What it was pretrained on, or ``None``.
        arm: Of the comparison that the run was part of.
        fold: Of the protocol.
        label_fraction: Share of the labels of the training subjects that it saw.
        labelled_frames: How many that were.
        label_seed: Which were drawn.
        seed: Of training.
        subjects: How many people took part.
        validation: ``None`` for a checkpoint that the run did not choose, as the next two.
        test: On people that it had not seen.
        intervals: How far its prediction intervals reach; ``None`` as well for a run that kept nothing to calibrate on.
        versions: Of the packages that it was trained with.
        licence: Under which it is passed on.
    """

    format_version: int | None = None
    written_by: str | None = None
    created: str | None = None
    name: str
    aus: tuple[int, ...]
    architecture: Architecture
    stride: int
    normalisation: Normalisation
    crop_size: int
    alignment: Annotated[Alignment | str | None, Field(union_mode="left_to_right")] = None
    smooth_s: float = Field(default=0.1, ge=0)  # what all models had before it was said
    dataset: Dataset
    stage_one: StageOne | None
    arm: str
    fold: int
    label_fraction: float
    labelled_frames: int
    label_seed: int
    seed: int
    subjects: Subjects
    validation: Validation | None
    test: MeanScores | None
    intervals: Reach | None = None
    versions: dict[str, str]
    licence: str | None = None

    @property
    def encoder(self) -> NetworkSettings:
        """All that is needed to build its encoder.

        Raises:
            AulightError: When there is no such network.
        """
        mean, std = self.normalisation.image_mean, self.normalisation.image_std
        shape = {name: getattr(self.architecture, name) for name in Architecture.model_fields}
        return read(NetworkSettings, shape | {"mean": mean, "std": std}, "architecture")

    @property
    def finds_faces(self) -> bool:
        """Whether faces are to be found in a video, to be as those that it learned from."""
        return finds_faces(self.alignment)

    def plain(self) -> dict[str, Any]:
        """In containers that JSON can hold: what was given, without the defaults of the rest."""
        return self.model_dump(mode="json", exclude_unset=True)

    def header(self) -> dict[str, str]:
        """As the text that goes into a model's file, stamped with today's date, and the place of the seal."""
        now = {"format_version": FORMAT, "written_by": f"aulight {__version__}"}
        now["created"] = datetime.now(UTC).date().isoformat()
        text = json.dumps(self.model_copy(update=now).plain(), ensure_ascii=False, allow_nan=False)
        return {"aulight": text, "seal": OPEN.decode()}

    @classmethod
    def read(cls, text: str | None, path: Path) -> Self:
        """The description in the header of a file.

        Args:
            text: What :meth:`header` has under ``aulight``; ``None`` if there is nothing.
            path: The file, for what may be wrong.

        Raises:
            AulightError: When it is of a newer format.
            ValueError: When it is not a description.
        """
        said = json.loads(text or "{}")
        version = int(said["format_version"]) if "format_version" in said else 0
        if version > FORMAT:
            raise AulightError(
                f"{path}: format {version}, written by {said.get('written_by')}; "
                f"this aulight {__version__} reads up to {FORMAT}; update aulight"
            )
        if not version:
            raise ValueError("'format_version' is missing")
        try:
            return cls.model_validate(said)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            key = ".".join(map(str, first["loc"]))
            problem = "is missing" if first["type"] == "missing" else first["msg"]
            raise ValueError(f"'{key}' {problem}") from error
