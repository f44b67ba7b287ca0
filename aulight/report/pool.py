"""Pools the runs of one arm and label fraction: predictions to sums a test subject."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aulight.drawing.names import percent
from aulight.errors import AulightError
from aulight.report.collect import Run, read_predictions
from aulight.runs.record import RECORD
from aulight.scoring.agreement import SUMS, Array, sums_of

PREDICTORS = ("model", "rounded", "all_zero", "mean")
"""What is scored: predictions as they are and rounded, 0, and the mean of the drawn labels."""


@dataclass(frozen=True)
class Cell:
    """The runs of one (dataset, arm, label fraction) as sums.

    Attributes:
        runs: Its runs.
        seeds: Their K seeds, sorted.
        sums: Those of :func:`aulight.scoring.agreement.sums_of` by one of :data:`PREDICTORS`, (K, S, 8, A); zeros for
            subjects that a seed did not test.
        folds: (K, S), the fold that tested a subject, -1 for none.
    """

    runs: list[Run]
    seeds: list[int]
    sums: dict[str, Array]
    folds: npt.NDArray[np.int64]

    @property
    def tested(self) -> npt.NDArray[np.bool_]:
        """(K, S): whether a seed tested a subject."""
        return self.folds >= 0


def cells_of(runs: Sequence[Run]) -> dict[tuple[str, float], Cell]:
    """Reduces the runs of one dataset to sums per subject; keys are (arm, label fraction).

    Raises:
        AulightError: For predictions that cannot be used, and for two runs that test the same subject with the same
            arm, label fraction and seed.
    """
    per_run = {run.name: _sums_by_subject(run) for run in runs}
    subjects = sorted({subject for of_run in per_run.values() for subject in of_run})
    place = {subject: i for i, subject in enumerate(subjects)}

    groups: dict[tuple[str, float], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.record.arm, run.record.label_fraction), []).append(run)
    cells = {}
    for key, group in groups.items():
        seeds = sorted({run.record.seed for run in group})
        shape = (len(seeds), len(subjects))
        sums = {name: np.zeros((*shape, SUMS, len(group[0].aus))) for name in PREDICTORS}
        folds = np.full(shape, -1, dtype=np.int64)
        owner: dict[tuple[int, str], Run] = {}
        for run in group:
            seed = run.record.seed
            for subject, of_subject in per_run[run.name].items():
                if other := owner.get((seed, subject)):
                    arm, fraction = key
                    raise AulightError(
                        f"{other.name} and {run.name} both test subject {subject} with {arm}, "
                        f"{percent(fraction)} labels, seed {seed}: give runs= a folder that holds one of them"
                    )
                owner[seed, subject] = run
                at = seeds.index(seed), place[subject]
                folds[at] = run.record.fold
                for name in PREDICTORS:
                    sums[name][at] = of_subject[name]
        cells[key] = Cell(group, seeds, sums, folds)
    return cells


def _sums_by_subject(run: Run) -> dict[str, dict[str, Array]]:
    """The sums (8, A) of each predictor, by subject."""
    table = read_predictions(run)
    constant = np.array([run.record.train_label_mean.get(au, np.nan) for au in run.aus])
    if np.isnan(constant).any():
        raise AulightError(f"{run.path / RECORD}: train_label_mean lacks an action unit; run it again")
    found = {}
    for subject, rows in table.groupby("subject"):
        preds = rows[[f"{au}_pred" for au in run.aus]].to_numpy()
        target = rows[[f"{au}_true" for au in run.aus]].to_numpy()
        predicted = (preds, np.rint(preds), np.zeros_like(preds), np.broadcast_to(constant, preds.shape))
        found[str(subject)] = {name: sums_of(x, target) for name, x in zip(PREDICTORS, predicted, strict=True)}
    return found
