"""``run.yaml``: what a run was and how it ended, as its writer and all its readers know it.

A run that has just begun, failed early or is of an earlier aulight lacks some fields: they are ``None``, and are not
written. What a later aulight adds is kept.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError

from aulight.errors import AulightError, one_line
from aulight.foreign.yaml import read_yaml
from aulight.runs.compared import dotted, filled
from aulight.settings.model import ModelSettings, NetworkSettings
from aulight.settings.walk import kind_of

RECORD = "run.yaml"
"""Its name in the run directory."""

LAST = "predictions_last.parquet"
"""There as well: what the last checkpoint predicts for test subjects; ``predictions.parquet`` is by the chosen one."""

MOST_NAMES = 10_000
"""Subjects that a record names of stage one, whose checkpoint names all: a YAML file of very many cannot be read."""

ADVICE = "move the run directory away, or run it under another name="
"""What to do about a record that cannot be used."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True, coerce_numbers_to_str=True)


class DatasetRecord(_Part):
    """The prepared dataset that a run was made on.

    Attributes:
        name: What it is called.
        fingerprint: Of what it says of itself and of its tables.
        videos: How many of them stage one saw.
        aus: Numbers of its AUs, of stage two.
        fps: Frames per second, of stage two.
        crop_size: Side of its faces in pixels; an earlier aulight did not keep it.
        alignment: How its faces were aligned, in its words; ``None`` as well where it does not say.
        smooth_s: Standard deviation over which the place of the crop was smoothed, in seconds; ``None`` as well where
            faces were not looked for.
    """

    name: str | None = None
    fingerprint: str
    videos: int | None = None
    aus: list[int] | None = None
    fps: float | None = None
    crop_size: int | None = None
    alignment: str | None = None
    smooth_s: float | None = None


class ProtocolRecord(_Part):
    """Who was for what, by subject.

    Attributes:
        train: Whose labels stage two was given.
        validation: Who chose the checkpoint.
        test: Who was scored.
        name: Of the protocol; ``None`` for a stage one without.
        fold: Which of its folds.
        stage_one: Whose videos stage one saw; ``None`` as well where they are more than :data:`MOST_NAMES`.
    """

    train: list[str] | None = None
    validation: list[str] | None = None
    test: list[str] | None = None
    name: str | None = None
    fold: int | None = None
    stage_one: list[str] | None = None


class OriginRecord(_Part):
    """Whose videos the stage one below a stage two had seen.

    Attributes:
        dataset: Name of its dataset.
        own_frames: Whether that is the dataset of stage two.
        subjects: How many subjects it saw.
        unlabelled_subjects: How many of them stage two does not see.
    """

    dataset: str
    own_frames: bool
    subjects: int
    unlabelled_subjects: int


class ValidationRecord(_Part):
    """How the chosen checkpoint did on validation subjects, as it is used: means over AUs, NaN where undefined.

    An earlier aulight kept ``icc`` alone.
    """

    icc: float
    mae: float | None = None
    mse: float | None = None
    pearson: float | None = None


class TestRecord(_Part):
    """Scores on test subjects: means over AUs, and ``per_au`` the ICC of each; NaN where undefined.

    An earlier aulight did not keep ``pearson``.
    """

    __test__ = False  # no test of pytest's

    icc: float
    mae: float
    mse: float
    pearson: float | None = None
    per_au: dict[str, float]


class AmplitudeRecord(_Part):
    """What ``amplitude=crossfit`` did to an action unit (:class:`aulight.scoring.amplitude.Amplitude`).

    Attributes:
        slope: That its intensities were multiplied by.
        offset: That was added then.
        kept: Share of its amplitude that the head keeps for people it did not see.
        subjects: How many labelled people show it.
    """

    slope: float
    offset: float
    kept: float
    subjects: int


class HardwareRecord(_Part):
    """What a run computes on.

    Attributes:
        precision: As resolved, for example ``bf16-mixed`` or ``32-true``.
        accelerator: ``cpu``, ``cuda`` or ``mps``.
        devices: Names of the GPUs of its first machine, or that of its CPU.
        processes: Their number on all machines.
        speeds: Where bf16 and fp32 were measured, the milliseconds of either, ``fp32_ms`` and ``bf16_ms``.
    """

    precision: str
    accelerator: str
    devices: list[str]
    processes: int
    speeds: dict[str, float] | None = None


class RunRecord(_Part):
    """What every run says of itself.

    Attributes:
        command: ``pretrain`` or ``finetune``.
        config: Its settings, in plain containers.
        wall_s: Seconds that it has taken, all its parts together.
        outcome: ``running``, ``done``, ``interrupted`` or ``failed: <why>``.
        versions: Package to version.
        git: Revision of aulight, where that is a checkout.
        peak_rss_mb: Most memory that one of its processes had.
        peak_gpu_mb: Most memory that it had on a GPU; ``None`` without one.
        hardware: What its network is trained on; an earlier aulight did not keep it.
        hardware_before: What it was trained on before it went on on other hardware, in this order.
    """

    stage: ClassVar[int]
    """1 or 2."""

    command: str
    config: dict[str, Any] = {}
    wall_s: float = 0.0
    outcome: str | None = None
    versions: dict[str, str] | None = None
    git: str | None = None
    peak_rss_mb: int | None = None
    peak_gpu_mb: int | None = None
    hardware: HardwareRecord | None = None
    hardware_before: list[HardwareRecord] | None = None

    @property
    def done(self) -> bool:
        """Whether it has nothing left to do."""
        return self.outcome == "done"

    @property
    def name(self) -> str:
        """What the run is called."""
        return str(self.config["name"])

    @property
    def settings(self) -> dict[str, object]:
        """The settings by their dotted names, for example ``clip.length``."""
        return filled(dotted(self.config))

    @property
    def is_network(self) -> bool:
        """Whether its model is a network, and not the blendshapes baseline."""
        model = kind_of(ModelSettings)
        assert model.choose is not None
        return model.choose.meant(model.groups, self.config["model"]) is NetworkSettings

    def plain(self) -> dict[str, Any]:
        """What ``run.yaml`` holds, in plain containers."""
        return self.model_dump(exclude_unset=True)

    def updated(self, **fields: Any) -> Self:
        """The record with other values of some fields, which may be plain."""
        assert fields.keys() <= type(self).model_fields.keys(), fields
        parts = {key: value.model_dump(exclude_unset=True) for key, value in fields.items() if isinstance(value, _Part)}
        return type(self).model_validate(self.plain() | fields | parts)


class PretrainRecord(RunRecord):
    """A run of stage one.

    Attributes:
        seed: Of the run.
        dataset: What it was made on.
        protocol: Whose videos it saw.
        wandb_id: Of its page on Weights & Biases.
        steps: Of the optimiser.
        skipped: Videos that could not be read: the message, and how often it was met.
        train: The last values of what was logged.
    """

    stage: ClassVar[int] = 1

    command: str = "pretrain"
    seed: int | None = None
    dataset: DatasetRecord | None = None
    protocol: ProtocolRecord | None = None
    wandb_id: str | None = None
    steps: int | None = None
    skipped: dict[str, int] | None = None
    train: dict[str, float] | None = None


class FinetuneRecord(RunRecord):
    """A run of stage two.

    Attributes:
        arm: What reports call it.
        fold: Of the protocol.
        label_fraction: Share of the training subjects' labelled frames that was drawn, in (0, 1].
        labelled_frames: Their number.
        validation_frames: How many labelled frames of validation subjects chose the checkpoint, or the penalty.
        label_seed: Of the draw.
        seed: Of the run.
        train_label_mean: Mean of the drawn labels, by the AU's column.
        dataset: What it was made on.
        protocol: Who trained, validated and was tested.
        stage_one: Whose videos the stage one below it had seen; ``None`` from scratch.
        stage_one_sha256: Of the checkpoint of stage one that it was built on; ``None`` from scratch.
        wandb_id: Of its page on Weights & Biases.
        steps: Of the optimiser.
        penalty: Of the baselines that train no network: the chosen one.
        weights_sha256: Of model=frozen: that of the file of weights.
        amplitude: Of amplitude=crossfit: what was done to each action unit of the chosen checkpoint, by its column.
        teachers: Of pseudo.runs: SHA-256 of the checkpoint of each run directory.
        pseudo_frames: Likewise, how many frames they have labelled.
        skipped: Videos that could not be read: the message, and how often it was met.
        validation: Scores on validation subjects.
        test: Scores on test subjects.
        last: Those of the last checkpoint, which was chosen by nobody; ``None`` where no network was trained.
    """

    stage: ClassVar[int] = 2

    command: str = "finetune"
    arm: str | None = None
    fold: int | None = None
    label_fraction: float | None = None
    labelled_frames: int | None = None
    validation_frames: int | None = None
    label_seed: int | None = None
    seed: int | None = None
    train_label_mean: dict[str, float] | None = None
    dataset: DatasetRecord | None = None
    protocol: ProtocolRecord | None = None
    stage_one: OriginRecord | None = None
    stage_one_sha256: str | None = None
    wandb_id: str | None = None
    steps: int | None = None
    penalty: float | None = None
    weights_sha256: str | None = None
    amplitude: dict[str, AmplitudeRecord] | None = None
    teachers: dict[str, str] | None = None
    pseudo_frames: int | None = None
    skipped: dict[str, int] | None = None
    validation: ValidationRecord | None = None
    test: TestRecord | None = None
    last: TestRecord | None = None


Record = PretrainRecord | FinetuneRecord


class LabelledDatasetRecord(DatasetRecord):
    """The dataset of a stage two that has begun its work."""

    name: str
    aus: list[int]
    fps: float


class BegunFinetune(FinetuneRecord):
    """A run of stage two that has begun its work, be it finished or not: these fields are there."""

    versions: dict[str, str]
    arm: str
    fold: int
    label_fraction: float
    labelled_frames: int
    label_seed: int
    seed: int
    train_label_mean: dict[str, float]
    dataset: LabelledDatasetRecord


class FinishedFinetune(BegunFinetune):
    """A finished run of stage two: these fields are there as well."""

    steps: int


Kind = TypeVar("Kind", bound=RunRecord)


def read_record(folder: Path) -> Record | None:
    """What a run directory says of its run; ``None`` where it says nothing.

    Raises:
        AulightError: When it cannot be read.
    """
    path = folder / RECORD
    if not path.is_file():
        return None
    try:
        plain = read_yaml(path)
    except AulightError as error:
        raise AulightError(f"{error}; {ADVICE}") from error
    if not isinstance(plain, dict) or not plain.keys() & {"command", "config"}:
        raise AulightError(f"{path}: not the record of a run; {ADVICE}")
    if plain.get("command") == "finetune":
        return _checked(FinetuneRecord, plain, path)
    return _checked(PretrainRecord, plain, path)


def complete(record: RunRecord, kind: type[Kind], folder: Path) -> Kind:
    """The record as one in which more fields are known to be there, for example as a :class:`FinishedFinetune`.

    Args:
        record: What :func:`read_record` gave.
        kind: A class of records of the same stage.
        folder: The run directory, for messages.

    Raises:
        AulightError: When it lacks one, with its name.
    """
    return _checked(kind, record.plain(), folder / RECORD)


def check_settings(record: RunRecord, folder: Path) -> None:
    """Refuses settings that do not tell a run's ``name`` and whether it ``is_network``.

    Args:
        record: What :func:`read_record` gave.
        folder: The run directory, for messages.

    Raises:
        AulightError: With what they lack.
    """
    try:
        _ = record.name, record.is_network
    except KeyError as error:
        raise AulightError(f"{folder / RECORD}: lacks the key 'config.{error.args[0]}'; {ADVICE}") from error
    except PydanticCustomError as error:
        raise AulightError(f"{folder / RECORD}: config.model: {one_line(error)}; {ADVICE}") from error


def _checked(kind: type[Kind], plain: Mapping[str, Any], path: Path) -> Kind:
    try:
        return kind.model_validate(plain)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    key = ".".join(map(str, first["loc"]))
    if first["type"] == "missing":
        raise AulightError(f"{path}: lacks the key '{key}'; {ADVICE}")
    raise AulightError(f"{path}: {key}: {one_line(first['msg'])}; {ADVICE}")
