"""What ``summary.json`` holds, as types: written by :meth:`Summary.text`, read by :func:`read`.

The order of the fields is that of the keys in the file. What an earlier aulight did not write has a default.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import AliasChoices, Field, TypeAdapter, ValidationError

from aulight.drawing.names import arm_rank
from aulight.errors import AulightError
from aulight.foreign.json import MOST_BYTES
from aulight.foreign.whole_file import read_bytes
from aulight.report.beside import Coverage, Presence, Validated
from aulight.report.labels import Labels
from aulight.scoring.intervals import Interval


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Agreement of predictions with labels; None where it is undefined.

    Attributes:
        icc: ICC(3,1).
        mae: Mean absolute error.
        mse: Mean squared error.
        pearson: Correlation.
        icc_ci: Interval of the ICC; None where there is none.
        mae_ci: That of the mean absolute error.
        mse_ci: That of the mean squared error.
        no_icc_ci: Why the ICC has no interval; None where it has one. An earlier aulight did not say.
        subjects: How many test subjects have such labels. An earlier aulight did not say.
    """

    icc: float | None
    mae: float | None
    mse: float | None
    pearson: float | None
    icc_ci: Interval | None
    mae_ci: Interval | None
    mse_ci: Interval | None
    no_icc_ci: str | None = None
    subjects: int | None = None


@dataclass(frozen=True, kw_only=True)
class Predictor:
    """Whose scores they are.

    Attributes:
        dataset: The dataset's name.
        arm: How the network was initialised and trained; of a baseline ``mean`` or ``all_zero``.
        label_fraction: Share of the training frames whose labels were used, a mean over runs where a number was asked
            for; None where none were.
        label_count: The number that was asked for; None where a share was, or nothing.
        labelled_frames: Their number, a mean over runs.
        validation_frames: How many labelled frames of validation subjects chose the checkpoint, likewise; 0 where
            nothing was chosen, None for runs that do not say.
        steps: Training steps of its runs.
        seeds: Seeds of its runs.
        test_subjects: How many subjects were tested.
    """

    dataset: str
    arm: str
    label_fraction: float | None
    label_count: int | None = None
    labelled_frames: int
    validation_frames: int | None = None
    steps: list[int]
    seeds: list[int]
    test_subjects: int

    @property
    def labels(self) -> Labels:
        """How many labels were asked for."""
        return Labels(self.label_fraction, self.label_count)


# Fields come in the order of the bases from the right: first whose scores they are, then the scores.
@dataclass(frozen=True, kw_only=True)
class Pooled(Scores, Predictor):
    """Scores over all folds, as means over action units and then over seeds; as they are, those of a baseline.

    Attributes:
        icc_seed_sd: Standard deviation of the ICC over seeds; None for one.
        icc_per_seed: The ICC of each seed.
        per_au: Scores of each action unit, by its column.
        undefined_aus: Columns whose ICC is undefined for a seed.
        runs: Names of the pooled runs.
        stage_one_runs: How many different stage-one runs the seeds were built on, those of all folds counted as one;
            None without stage one, and for runs that do not say.
        label_draws: How many different draws of labels the seeds had, likewise.
        last: Whether the checkpoint is the last one, which nobody chose.
    """

    icc_seed_sd: float | None
    icc_per_seed: list[float | None]
    per_au: dict[str, Scores]
    undefined_aus: list[str]
    runs: list[str]
    stage_one_runs: int | None = None
    label_draws: int | None = None
    last: bool = False


@dataclass(frozen=True, kw_only=True)
class Record(Pooled):
    """Scores of an arm at a label fraction.

    Attributes:
        icc_rounded: ICC of predictions rounded to whole intensities.
        icc_fold_mean: Mean of the folds' ICCs.
        icc_subject_mean: Mean of the subjects' ICCs.
        stage_one: Whose videos stage one learned from, or the model in its place, as a reader is told.
        coverage: Of prediction intervals; None for runs of an earlier aulight.
        no_validation_icc: Of how many runs the ICC on validation subjects is undefined, so that it chose nothing.
        presence: How often each action unit is there, by its column. An earlier aulight did not say.
        validation: Scores on validation subjects; None for runs, or in a report, of an earlier aulight.
    """

    label_fraction: float
    icc_rounded: float | None
    icc_fold_mean: float | None
    icc_subject_mean: float | None
    stage_one: list[str] = field(default_factory=list)
    coverage: Coverage | None = None
    no_validation_icc: int = 0
    presence: dict[str, Presence] = field(default_factory=dict)
    validation: Validated | None = None


@dataclass(frozen=True, kw_only=True)
class Side:
    """What a record is compared with."""

    arm: str
    label_fraction: float
    label_count: int | None = None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two records on the test subjects that every seed of both tested; all numbers are of these subjects alone.

    Attributes:
        dataset: Of both.
        arm: Of the first.
        label_fraction: Of the first.
        label_count: Of the first.
        against: The second.
        icc: Of the first.
        against_icc: Of the second.
        ratio: The first ICC by the second, where this is above 0.
        difference: The first ICC less the second.
        difference_ci: The interval of the paired difference.
        difference_p: The two-sided p-value of no difference.
        shared_subjects: How many these test subjects are. An earlier aulight did not say, and compared all.
        no_difference_ci: Why there is no interval; None where there is one.
        no_difference_p: Why there is no p-value; None where there is one.
        icc_per_seed: Of the first.
        against_icc_per_seed: Of the second.
        seeds_apart: Whether all seeds of the first lie above those of the second.
        intervals_apart: Whether its interval does.
    """

    dataset: str
    arm: str
    label_fraction: float
    label_count: int | None = None
    against: Side
    icc: float | None
    against_icc: float | None
    ratio: float | None
    difference: float | None
    difference_ci: Interval | None
    difference_p: float | None = None
    shared_subjects: int | None = None
    no_difference_ci: str | None = None
    no_difference_p: str | None = None
    icc_per_seed: list[float | None]
    against_icc_per_seed: list[float | None]
    seeds_apart: bool
    intervals_apart: bool

    @property
    def labels(self) -> Labels:
        """How many labels were asked for, of the first."""
        return Labels(self.label_fraction, self.label_count)

    @property
    def against_labels(self) -> Labels:
        """The same of the second."""
        return Labels(self.against.label_fraction, self.against.label_count)

    @property
    def same_fraction(self) -> bool:
        """Whether both sides had the same share, or number, of labels."""
        return self.labels == self.against_labels


@dataclass(frozen=True, kw_only=True)
class DatasetFacts:
    """A dataset that runs were scored on.

    Attributes:
        fingerprint: The dataset's fingerprint.
        aus: Columns of its action units.
        fps: Frames per second of its videos.
        test_subjects: How many subjects were tested.
    """

    fingerprint: str
    aus: list[str]
    fps: float
    test_subjects: int


@dataclass(frozen=True, kw_only=True)
class Uncertainty:
    """How intervals and p-values were made.

    Attributes:
        over: What was left out, swapped or drawn: ``subjects``.
        intervals: By which method.
        p_values: By which method.
        level: Of the intervals.
        draws: Ways of swapping behind a p-value, at most; of an earlier aulight the number of bootstrap samples.
        seed: Of the random ones.
    """

    over: str
    intervals: str = "bootstrap"
    p_values: str = "bootstrap"
    level: float
    draws: Annotated[int, Field(validation_alias=AliasChoices("draws", "replicates"))]
    seed: int


@dataclass(frozen=True, kw_only=True)
class Command:
    """How a run was started.

    Attributes:
        run: Its name.
        command: As it can be typed; None where it is not known.
        git: Revision of aulight that it ran from; None where it is not known.
    """

    run: str
    command: str | None
    git: str | None


@dataclass(frozen=True, kw_only=True)
class Published:
    """A row of published numbers; None where it does not say.

    Attributes:
        source: Who published it.
        dataset: The dataset, as our runs call it.
        label_fraction: Share of the labels.
        icc: ICC(3,1).
        mae: Mean absolute error.
        mse: Mean squared error.
        per_au: ICC of single action units, by their columns.
    """

    source: str
    dataset: str
    label_fraction: float | None
    icc: float | None
    mae: float | None
    mse: float | None
    per_au: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """All that a report says.

    Attributes:
        records: One for each dataset, arm and label fraction.
        last: The same for the last checkpoint of these runs, where all of them kept what it predicts.
        baselines: The same for predicting the mean of the drawn labels (``mean``) and 0 (``all_zero``).
        comparisons: Of two arms at one fraction, and of each arm with those at the largest fraction.
        datasets: Facts of each dataset by its name.
        versions: Versions that the runs had of each package.
        uncertainty: How intervals and p-values were made.
        notes: Where the videos of stage one came from, and what was left out of the reference.
        warnings: What a reader must know before comparing records.
        unfinished: Of runs that are not finished the name and the outcome.
        commands: How each run was started, and this report.
        reference: Published numbers; None where none were given.
        bars_fraction: The label fraction that is shown in detail, by dataset.
        bars_count: Where a number was asked for, that number.
        files: Names of the report's files.
        sha256: Of each of them but the summary; while they are put in place, also of what was there. 0.1.0 did not say.
    """

    records: list[Record]
    baselines: list[Pooled]
    comparisons: list[Comparison]
    datasets: dict[str, DatasetFacts]
    versions: dict[str, list[str]]
    uncertainty: Annotated[Uncertainty, Field(validation_alias=AliasChoices("uncertainty", "bootstrap"))]
    last: list[Pooled] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    unfinished: dict[str, str] = field(default_factory=dict)
    commands: list[Command] = field(default_factory=list)
    reference: list[Published] | None = None
    bars_fraction: dict[str, float] = field(default_factory=dict)
    bars_count: dict[str, int] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    sha256: dict[str, list[str]] = field(default_factory=dict)

    def text(self) -> str:
        """The content of ``summary.json``."""
        content = asdict(self)
        if self.reference is None:
            del content["reference"]
        return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @property
    def bars(self) -> dict[str, Labels]:
        """The labels that are shown in detail, by dataset."""
        return {dataset: Labels(share, self.bars_count.get(dataset)) for dataset, share in self.bars_fraction.items()}

    def shown(self, dataset: str) -> list[Record]:
        """The records of a dataset that are shown in detail, in the order of tables."""
        labels = self.bars.get(dataset)
        return [record for record in self.records if (record.dataset, record.labels) == (dataset, labels)]


def arms(records: Sequence[Predictor]) -> list[str]:
    """The arms of some records, in the order of tables and figures."""
    return sorted({record.arm for record in records}, key=arm_rank)


def read(path: Path) -> Summary:
    """Reads ``summary.json`` of a report, also of one that an earlier aulight wrote.

    Raises:
        AulightError: When it cannot be read, or is not what a report writes.
    """
    reader: TypeAdapter[Any] = TypeAdapter(Summary)
    try:
        summary: Summary = reader.validate_json(read_bytes(path, MOST_BYTES))
    except AulightError as error:
        raise AulightError(f"{error}; make it with `aulight report`") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise AulightError(f"{path}: {place or 'all of it'}: {first['msg']}; make the report again") from error
    return summary
