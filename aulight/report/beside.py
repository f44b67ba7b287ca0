"""What stands beside the scores of a record: those of validation, prediction intervals, how often each AU is there."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Validated:
    """Scores on validation subjects, by which settings are chosen: as those on test subjects, None where undefined.

    They flatter somewhat, since each run's checkpoint was chosen on the same subjects.

    Attributes:
        icc: ICC(3,1).
        pearson: Correlation, the ceiling of the ICC.
        mae: Mean absolute error.
        mse: Mean squared error.
        icc_seed_sd: Standard deviation of the ICC over seeds; None for one.
        icc_per_seed: The ICC of each seed of the record.
        subjects: How many validated.
    """

    icc: float | None
    pearson: float | None
    mae: float | None
    mse: float | None
    icc_seed_sd: float | None
    icc_per_seed: list[float | None]
    subjects: int


@dataclass(frozen=True, kw_only=True)
class Covered:
    """Prediction intervals of one action unit on test subjects.

    Attributes:
        share: Of the true intensities that lie inside; None where there are none.
        width: Mean width of the intervals.
    """

    share: float | None
    width: float | None


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Prediction intervals on test subjects.

    Attributes:
        nominal: The share of true intensities that was asked for.
        share: The share that lies inside, a mean over action units.
        width: Mean width, likewise; 5 where the intervals say nothing.
        per_au: Both for each action unit, by its column.
        validation_subjects: How many calibrated them, the fewest of a run; an earlier aulight did not say.
    """

    nominal: float
    share: float | None
    width: float | None
    per_au: dict[str, Covered]
    validation_subjects: int | None = None


@dataclass(frozen=True, kw_only=True)
class Presence:
    """How often an action unit is there, that is of intensity 1 or more.

    Attributes:
        share: Of the labelled test frames; None where there are none.
        subjects: How many test subjects show it.
        learned_from: In how many labelled frames that were learned from, a mean over runs; None where nobody knows.
    """

    share: float | None
    subjects: int
    learned_from: int | None
