"""What stands beside the scores of a record: its prediction intervals, and how often each action unit is there."""

from dataclasses import dataclass


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
