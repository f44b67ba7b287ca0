"""Pools the runs of one arm and label fraction: predictions to sums a test subject."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from aulight.errors import AulightError
from aulight.report.collect import Run, read_predictions
from aulight.report.labels import Labels
from aulight.runs.record import LAST, RECORD
from aulight.scoring.agreement import SUMS, Array, sums_of

PREDICTORS = ("model", "rounded", "all_zero", "mean")
"""What is scored: predictions as they are and rounded, 0, and the mean of the drawn labels.

``last``, what the last checkpoint predicts, comes to them where all runs have it.
"""


@dataclass(frozen=True)
class Cell:
    """The runs of one (dataset, arm, labels) as sums.

    Attributes:
        labels: How many were asked for.
        runs: Its runs.
        seeds: Their K seeds, sorted.
        sums: Those of :func:`aulight.scoring.agreement.sums_of` by predictor, one of :data:`PREDICTORS` or ``last``,
            (K, S, 8, A); zeros for subjects that a seed did not test.
        folds: (K, S), the fold that tested a subject, -1 for none.
    """

    labels: Labels
    runs: list[Run]
    seeds: list[int]
    sums: dict[str, Array]
    folds: npt.NDArray[np.int64]

    @property
    def tested(self) -> npt.NDArray[np.bool_]:
        """(K, S): whether a seed tested a subject."""
        return self.folds >= 0


def cells_of(runs: Sequence[Run]) -> dict[tuple[str, Labels], Cell]:
    """Reduces the runs of one dataset to sums per subject; keys are (arm, labels).

    Raises:
        AulightError: For predictions that cannot be used, and for two runs that test the same subject with the same
            arm, labels and seed.
    """
    per_run = {run.name: _sums_by_subject(run) for run in runs}
    subjects = sorted({subject for of_run in per_run.values() for subject in of_run})
    place = {subject: i for i, subject in enumerate(subjects)}

    by_count: dict[int | None, list[float]] = {}
    for run in runs:
        by_count.setdefault(run.label_count, []).append(run.record.label_fraction)
    shares = {count: float(np.mean(shares)) for count, shares in by_count.items()}
    groups: dict[tuple[str, Labels], list[Run]] = {}
    for run in runs:
        count = run.label_count
        labels = Labels(run.record.label_fraction if count is None else shares[count], count)
        groups.setdefault((run.record.arm, labels), []).append(run)
    cells = {}
    for key, group in groups.items():
        seeds = sorted({run.record.seed for run in group})
        shape = (len(seeds), len(subjects))
        has_last = all("last" in sums for run in group for sums in per_run[run.name].values())
        predictors = (*PREDICTORS, "last") if has_last else PREDICTORS
        sums = {name: np.zeros((*shape, SUMS, len(group[0].aus))) for name in predictors}
        folds = np.full(shape, -1, dtype=np.int64)
        owner: dict[tuple[int, str], Run] = {}
        for run in group:
            seed = run.record.seed
            for subject, of_subject in per_run[run.name].items():
                if other := owner.get((seed, subject)):
                    arm, labels = key
                    raise AulightError(
                        f"{other.name} and {run.name} both test subject {subject} with {arm}, "
                        f"{labels} labels, seed {seed}: give runs= a folder that holds one of them"
                    )
                owner[seed, subject] = run
                at = seeds.index(seed), place[subject]
                folds[at] = run.record.fold
                for name in predictors:
                    sums[name][at] = of_subject[name]
        cells[key] = Cell(key[1], group, seeds, sums, folds)
    return cells


def _sums_by_subject(run: Run) -> dict[str, dict[str, Array]]:
    """The sums (8, A) of each predictor, by subject."""
    table = read_predictions(run)
    constant = np.array([run.record.train_label_mean.get(au, np.nan) for au in run.aus])
    if np.isnan(constant).any():
        raise AulightError(f"{run.path / RECORD}: train_label_mean lacks an action unit; run it again")
    found: dict[str, dict[str, Array]] = {}
    for subject, preds, target in _by_subject(run, table):
        predicted = (preds, np.rint(preds), np.zeros_like(preds), np.broadcast_to(constant, preds.shape))
        found[subject] = {name: sums_of(x, target) for name, x in zip(PREDICTORS, predicted, strict=True)}
    if (run.path / LAST).is_file():
        for subject, preds, target in _by_subject(run, read_predictions(run, name=LAST)):
            found[subject]["last"] = sums_of(preds, target)
    return found


def _by_subject(run: Run, table: pd.DataFrame) -> Iterator[tuple[str, Array, Array]]:
    """Predictions and labels ``(frames, AUs)`` of each subject."""
    for subject, rows in table.groupby("subject"):
        pred, true = (rows[[f"{au}_{kind}" for au in run.aus]].to_numpy() for kind in ("pred", "true"))
        yield str(subject), pred, true
