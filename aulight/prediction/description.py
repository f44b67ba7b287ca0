"""What is said of a model, wherever it is kept: in the header of its file, and in its card."""

import json
import math
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import from_json

from aulight.data.alignment import Alignment, finds_faces
from aulight.errors import AulightError, one_line, shown
from aulight.facs import column
from aulight.prediction.default import CAUTION, RENDERED
from aulight.prediction.seal import OPEN
from aulight.scoring.conformal import from_plain
from aulight.settings.group import ActionUnit, Seed
from aulight.settings.model import NetworkSettings
from aulight.settings.reading import read
from aulight.version import __version__

FORMAT = 1
"""Version of the description and of what goes with it; a reader refuses a newer one."""


LONGEST = 2**20
"""Characters of a description: what later versions add is kept, but not without end."""


def _known(score: Any) -> Any:
    return None if isinstance(score, float) and not math.isfinite(score) else score


Score = Annotated[float | None, BeforeValidator(_known)]
"""``None`` where it is not defined: JSON has no NaN."""


def _line(text: str) -> str:
    if re.search(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]", text):  # a terminal may obey them
        raise ValueError("has signs in it that are not to be seen")
    return text


Line = Annotated[str, Field(max_length=1000), AfterValidator(_line)]
"""Text that can be told in a message."""

Number = Annotated[int, Field(ge=0, le=2**53)]
"""How many there are of something."""


Scale = Annotated[float, Field(ge=1e-6)]
"""A standard deviation, by which something is divided."""


class Part(BaseModel):
    """A part of a description. What a later aulight says besides is kept, and written again with the rest.

    A stranger may have written it, so every value is of its kind, and no larger than makes sense.
    """

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False)


class Architecture(Part):
    """The fields of :class:`aulight.settings.model.NetworkSettings` that give the network its shape."""

    model_config = ConfigDict(extra="forbid")  # one that is not known would be another network

    backbone: Line
    temporal: Line
    size: int
    embedding: int
    hidden: int
    skip: bool
    norm: Line
    small_input: bool
    margin: int = 0  # not said by an earlier aulight, as the next
    contrast: Line = "fixed"


class Normalisation(Part):
    """What pixels of 0..1 and intensities were scaled by, in training.

    Attributes:
        image_mean: Of each colour channel.
        image_std: Of each colour channel.
        label_mean: Of each AU, over the drawn labels.
        label_std: Likewise.
    """

    image_mean: tuple[float, float, float]
    image_std: tuple[Scale, Scale, Scale]
    label_mean: tuple[float, ...]
    label_std: tuple[Scale, ...]


class Dataset(Part):
    """What the labels are from; ``fps`` is the frames per second of its videos."""

    name: Line
    fingerprint: Line
    fps: float = Field(gt=0, le=1e6)


class StageOne(Part):
    """What the encoder learned from without labels: :func:`aulight.protocol.check_stage_one` says it."""

    dataset: Line
    own_frames: bool = False
    subjects: Number
    unlabelled_subjects: Number | None = None


class Subjects(Part):
    """How many people took part in what."""

    train: Number
    validation: Number
    test: Number


class Validation(Part):
    """Means over AUs on the validation subjects, who chose the checkpoint by so many labelled frames.

    An earlier aulight said the ICC alone.
    """

    icc: Score
    mae: Score = None
    mse: Score = None
    pearson: Score = None
    labelled_frames: Number | None = None


class Scores(Part):
    """Of one AU on the test subjects, pooled over frames."""

    icc: Score
    mae: Score
    mse: Score


class MeanScores(Part):
    """The means over AUs, and the scores of each by its name, ``AU01`` ..."""

    labelled_frames: Number
    icc: Score
    mae: Score
    mse: Score
    per_au: dict[str, Scores]


class Reach(Part):
    """How far prediction intervals reach: :meth:`aulight.scoring.conformal.Intervals.plain`."""

    levels: list[float]
    edges: list[float]
    reach: dict[str, list[list[Annotated[float, Field(ge=0)]]] | None]


class ModelDescription(Part):
    """All that is known about a model.

    Attributes:
        format_version: Of the file it was read from; ``None`` if it was not read from one, as the next two.
        written_by: The aulight that wrote the file.
        created: The day on which it did, ``2026-01-31``.
        name: Of the run.
        aus: Numbers of its AUs, in the order of its outputs.
        architecture: The network.
        stride: Frames from one sample of the recurrence to the next, at the dataset's rate.
        step_s: The same in seconds; 0.1.0 did not say it, and it follows from the rate.
        primed: How often a stream sees the first frame of a track before it counts, as its clips did and as it was
            scored. Models of 0.1.0 were scored without, and are streamed so: 0.
        normalisation: What its inputs and outputs are scaled by.
        reference: Of a network that each person's own reference is taken away from (:mod:`aulight.nets.reference`),
            that of its training people, for somebody of whom nothing is known: a part of an intensity for each AU.
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
    written_by: Line | None = None
    created: Line | None = None
    name: Line
    aus: tuple[ActionUnit, ...] = Field(min_length=1)
    architecture: Architecture
    stride: int = Field(ge=1, le=10_000)
    step_s: float | None = Field(default=None, ge=1e-4, le=1e6)
    primed: int = Field(default=0, ge=0, le=10_000)
    normalisation: Normalisation
    reference: tuple[float, ...] | None = None
    crop_size: int = Field(ge=1, le=8192)
    alignment: Annotated[Alignment | Line | None, Field(union_mode="left_to_right")] = None
    smooth_s: float = Field(default=0.1, ge=0, le=3600)  # 0.1 is what all models had before it was said
    dataset: Dataset
    stage_one: StageOne | None
    arm: Line
    fold: Number
    label_fraction: float = Field(ge=0, le=1)
    labelled_frames: Number
    label_seed: Seed
    seed: Seed
    subjects: Subjects
    validation: Validation | None
    test: MeanScores | None
    intervals: Reach | None = None
    versions: dict[Line, Line]
    licence: str | None = None

    @model_validator(mode="after")
    def _fits_its_aus(self) -> Self:
        if len(set(self.aus)) < len(self.aus):
            raise ValueError("'aus' has one twice")
        for name in ("label_mean", "label_std"):
            if len(getattr(self.normalisation, name)) != len(self.aus):
                raise ValueError(f"'normalisation.{name}' is not a number for each of {len(self.aus)} AUs")
        if self.reference is not None and len(self.reference) != len(self.aus):
            raise ValueError(f"'reference' is not a number for each of {len(self.aus)} AUs")
        if (of := self.intervals) is not None:
            if list(of.reach) != [column(au) for au in self.aus]:
                raise ValueError("'intervals.reach' is not of these AUs, in their order")
            shape = [len(of.levels)] * (len(of.edges) + 1)
            if any(groups is not None and [*map(len, groups)] != shape for groups in of.reach.values()):
                raise ValueError("'intervals.reach' has not a number for each group and level")
        return self

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
    def seconds_a_step(self) -> float:
        """Seconds from one sample of the recurrence to the next."""
        said = self.stride / self.dataset.fps if self.step_s is None else self.step_s
        return max(said, 1e-3)  # no video is faster, and a stranger may claim anything

    @property
    def caution(self) -> str | None:
        """What is to be said wherever its numbers are shown, in ASCII; ``None`` where it learned from real faces."""
        return CAUTION if self.dataset.name in RENDERED else None

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
        if not text:
            raise ValueError("it has no description")
        if len(text) > LONGEST:
            raise ValueError(f"a description of {len(text)} characters")
        said = from_json(text)
        version = said.get("format_version", 0) if isinstance(said, dict) else 0
        if type(version) is not int or version < 1:
            raise ValueError("'format_version' is missing, or no whole number from 1 on")
        if version > FORMAT:
            raise AulightError(
                f"{path}: format {shown(version)}, written by {shown(said.get('written_by'))}; "
                f"this aulight {__version__} reads up to {FORMAT}; update aulight"
            )
        return cls.checked(text, path)

    @classmethod
    def checked(cls, text: str | bytes, path: Path) -> Self:
        """The description that a JSON text gives.

        Args:
            text: As of :meth:`read`, whatever its format.
            path: As there.

        Raises:
            AulightError: When it is of a network that cannot be built, or of intervals of another version.
            ValueError: When it is not a description.
        """
        try:
            about = cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            key = shown(".".join(map(str, first["loc"])), 100)
            problem = "is missing" if first["type"] == "missing" else first["msg"].removeprefix("Value error, ")
            raise ValueError(f"'{key}' {problem}" if first["loc"] else one_line(problem)[:200]) from error
        try:
            _ = about.encoder
            if about.intervals is not None:
                from_plain(about.intervals.model_dump())
        except AulightError as error:
            raise AulightError(f"{path}: {shown(error, 300)}") from error
        return about
