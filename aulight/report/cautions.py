"""What is to be said of a number where it stands: on its card, in its row."""

from aulight.facs import MAX_INTENSITY
from aulight.report.beside import Coverage
from aulight.report.records import Pooled, Record, Scores, Summary
from aulight.scoring.intervals import ONE_SUBJECT

FEW_FRAMES = 20
"""Labelled frames below which their number is said to be small."""


def cautions(summary: Summary, row: Pooled) -> list[str]:
    """What a reader must know before using the numbers of a row; a few words each."""
    said = []
    if row.label_fraction is not None and row.labelled_frames < FEW_FRAMES:
        said.append(f"trained on only {row.labelled_frames} labelled frame{'' if row.labelled_frames == 1 else 's'}")
    facts = summary.datasets.get(row.dataset)
    if facts is not None and row.test_subjects < facts.test_subjects:
        said.append(f"tested on {row.test_subjects} of {facts.test_subjects} subjects")
    if row.undefined_aus:
        others = ", not in the mean" if row.per_au.keys() - row.undefined_aus else ""
        said.append(f"ICC undefined for {', '.join(row.undefined_aus)}{others}")
    alone = [au for au, scores in row.per_au.items() if scores.no_icc_ci == ONE_SUBJECT]
    if alone and row.icc_ci is not None:
        said.append(f"one subject alone shows {', '.join(alone)}: held fixed in the interval")
    if isinstance(row, Record):
        if row.no_validation_icc:
            said.append(f"validation ICC undefined in {row.no_validation_icc} of {len(row.runs)} runs")
        if row.coverage is not None and says_nothing(row.coverage):
            validating = row.coverage.validation_subjects
            why = "" if validating is None else f" ({validating} validation subject{'' if validating == 1 else 's'})"
            said.append(f"prediction intervals are all of 0 to {MAX_INTENSITY}{why}")
    return said


def says_nothing(coverage: Coverage) -> bool:
    """Whether all prediction intervals reach from 0 to 5."""
    return coverage.width is not None and coverage.width > MAX_INTENSITY - 1e-6


def undefined(scores: Scores) -> str:
    """Why an ICC that is None is so."""
    return "undefined: no labels" if scores.mae is None else "undefined: constant labels"
