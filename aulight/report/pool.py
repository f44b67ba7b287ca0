"""Pools the runs of one arm and label fraction: predictions to sums a test subject."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aulight.drawing.names import percent
from aulight.errors import AulightError
from aulight.report.collect import Run, read_predictions
from aulight.scoring.agreement import Array, sums_of
from aulight.settings.finetune import FinetuneSettings
from aulight.settings.group import CHANGES_NO_RESULT, NAMES_THE_RUN
from aulight.settings.walk import marked

_PREDICTORS = ("model", "rounded", "all_zero", "mean")
# Settings that may differ between runs that are pooled: what changes no result, and what names the run.
FREE_SETTINGS = marked(FinetuneSettings, CHANGES_NO_RESULT, NAMES_THE_RUN)


@dataclass(frozen=True)
class Cell:
    """The runs of one (dataset, arm, label fraction) as sums.

    Attributes:
        runs: Its runs.
        seeds: Their K seeds, sorted.
        sums: Eight sums by predictor, of shape (K, S, 8, A); zeros for subjects that a seed did not test.
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
    """Reduce the runs of one dataset to sums per subject; keys are (arm, label fraction)."""
    per_run: dict[str, dict[str, dict[str, Array]]] = {}
    for run in runs:
        table = read_predictions(run)
        constant = np.array([run.train_label_mean.get(au, np.nan) for au in run.aus])
        if np.isnan(constant).any():
            raise AulightError(f"{run.path / 'run.yaml'}: train_label_mean lacks an action unit; run it again")
        per_run[run.name] = {}
        for subject, rows in table.groupby("subject"):
            preds = rows[[f"{au}_pred" for au in run.aus]].to_numpy()
            target = rows[[f"{au}_true" for au in run.aus]].to_numpy()
            predicted = (preds, np.rint(preds), np.zeros_like(preds), np.broadcast_to(constant, preds.shape))
            per_run[run.name][str(subject)] = {
                name: sums_of(x, target) for name, x in zip(_PREDICTORS, predicted, strict=True)
            }
    subjects = sorted({subject for of_run in per_run.values() for subject in of_run})
    place = {subject: i for i, subject in enumerate(subjects)}

    groups: dict[tuple[str, float], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.arm, run.label_fraction), []).append(run)
    cells = {}
    for key, group in groups.items():
        seeds = sorted({run.seed for run in group})
        shape = (len(seeds), len(subjects))
        sums = {name: np.zeros((*shape, 8, len(group[0].aus))) for name in _PREDICTORS}
        folds = np.full(shape, -1, dtype=np.int64)
        owner: dict[tuple[int, str], Run] = {}
        for run in group:
            for subject, of_subject in per_run[run.name].items():
                if other := owner.get((run.seed, subject)):
                    raise AulightError(
                        f"{other.name} and {run.name} both test subject {subject} with {run.arm}, "
                        f"{percent(run.label_fraction)} labels, seed {run.seed}: remove one of them"
                    )
                owner[run.seed, subject] = run
                at = seeds.index(run.seed), place[subject]
                folds[at] = run.fold
                for name in _PREDICTORS:
                    sums[name][at] = of_subject[name]
        cells[key] = Cell(group, seeds, sums, folds)
    return cells
