"""Scores of pooled runs: the records and baselines of a report."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from aulight.report.collect import VALIDATION, Run, read_predictions
from aulight.report.labels import Labels
from aulight.report.pool import Cell
from aulight.report.records import Coverage, Covered, Pooled, Record, Scores
from aulight.scoring.agreement import METRICS, Array, mean, metrics
from aulight.scoring.conformal import calibrate, coverage
from aulight.scoring.intervals import Bootstrap

NOMINAL = 0.9
"""Coverage of the prediction intervals that reports check."""


def record_of(cell: Cell, bootstrap: Bootstrap) -> Record:
    """Scores of the predictions of a cell, also by other conventions, and those of their prediction intervals."""
    rounded, fold_mean, subject_mean = _conventions(cell)
    return Record(
        **vars(_pooled(cell, bootstrap, "model", cell.runs[0].record.arm)),
        icc_rounded=rounded,
        icc_fold_mean=fold_mean,
        icc_subject_mean=subject_mean,
        stage_one=sources(cell.runs),
        coverage=_coverage(cell.runs),
    )


def last_of(cell: Cell, bootstrap: Bootstrap) -> Pooled | None:
    """Scores of the last checkpoint, which nobody chose; None where some of the runs do not know them."""
    if "last" not in cell.sums:
        return None
    found = _pooled(cell, bootstrap, "last", cell.runs[0].record.arm)
    return replace(found, validation_frames=0)


def baselines_of(cells: Mapping[tuple[str, Labels], Cell], bootstrap: Bootstrap) -> list[Pooled]:
    """The mean predictor at each fraction, and once the all-zero predictor, over all that was tested."""

    def extent(cell: Cell) -> tuple[int, int]:
        return int(cell.tested.sum(1).max()), len(cell.seeds)

    rows = []
    for labels in dict.fromkeys(labels for _, labels in cells):
        cell = max((cells[key] for key in cells if key[1] == labels), key=extent)
        rows.append(replace(_pooled(cell, bootstrap, "mean", "mean"), validation_frames=0, stage_one_runs=None))
    cell = max(cells.values(), key=extent)
    best = int(cell.tested.sum(1).argmax())
    runs = [run for run in cell.runs if run.record.seed == cell.seeds[best]]
    one = slice(best, best + 1)
    sums = {name: values[one] for name, values in cell.sums.items()}
    zero = _pooled(
        replace(cell, runs=runs, seeds=[cell.seeds[best]], sums=sums, folds=cell.folds[one]),
        bootstrap,
        "all_zero",
        "all_zero",
    )
    zero = replace(zero, label_fraction=None, label_count=None, labelled_frames=0, validation_frames=0)
    return [*rows, replace(zero, steps=[], seeds=[], stage_one_runs=None, label_draws=None)]


def sources(runs: Iterable[Run]) -> list[str]:
    """Whose videos stage one learned from, as a reader is told; sorted, without runs that had none."""
    return sorted({run.stage_one for run in runs if run.stage_one})


def _pooled(cell: Cell, bootstrap: Bootstrap, predictor: str, arm: str) -> Pooled:
    sums = cell.sums[predictor]
    first = cell.runs[0]
    pooled = metrics(sums.sum(1))  # (K, A)
    per_seed = {name: mean(values, 1) for name, values in pooled.items()}
    replicates = bootstrap.metrics(sums)
    icc = per_seed["icc"]
    return Pooled(
        dataset=first.dataset,
        arm=arm,
        label_fraction=cell.labels.fraction,
        label_count=cell.labels.number,
        labelled_frames=round(float(np.mean([run.record.labelled_frames for run in cell.runs]))),
        validation_frames=_mean_of([run.validation_frames for run in cell.runs]),
        steps=sorted({run.record.steps for run in cell.runs}),
        seeds=cell.seeds,
        test_subjects=int(cell.tested.any(0).sum()),
        **{name: _number(mean(per_seed[name])) for name in METRICS},
        icc_ci=bootstrap.interval(bootstrap.mean_icc(sums)),
        mae_ci=bootstrap.interval(mean(replicates["mae"], 1)),
        mse_ci=bootstrap.interval(mean(replicates["mse"], 1)),
        icc_seed_sd=float(np.std(icc, ddof=1)) if len(icc) > 1 else None,
        icc_per_seed=[_number(value) for value in icc],
        per_au={
            au: Scores(
                **{name: _number(mean(pooled[name][:, i])) for name in METRICS},
                icc_ci=bootstrap.interval(replicates["icc"][:, i]),
                mae_ci=bootstrap.interval(replicates["mae"][:, i]),
                mse_ci=bootstrap.interval(replicates["mse"][:, i]),
            )
            for i, au in enumerate(first.aus)
        },
        undefined_aus=[au for i, au in enumerate(first.aus) if np.isnan(pooled["icc"][:, i]).any()],
        runs=[run.name for run in cell.runs],
        stage_one_runs=_stage_one_runs(cell.runs),
        label_draws=_different(cell.runs, [run.record.label_seed for run in cell.runs]),
        last=predictor == "last",
    )


def _mean_of(numbers: Sequence[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return round(float(np.mean(known))) if len(known) == len(numbers) else None


def _stage_one_runs(runs: Sequence[Run]) -> int | None:
    """How many different stage-one runs the seeds were built on; None without stage one, or where it is not known."""
    checkpoints = [run.record.stage_one_sha256 for run in runs]
    if None in checkpoints:  # a run of 0.1.0 tells where it was
        checkpoints = [run.record.config.get("pretrained") for run in runs]
    return None if None in checkpoints else _different(runs, checkpoints)


def _different(runs: Sequence[Run], values: Sequence[object]) -> int:
    """How many seeds differ in the values of their runs, fold by fold."""
    by_seed: dict[int, set[tuple[int, object]]] = {}
    for run, value in zip(runs, values, strict=True):
        by_seed.setdefault(run.record.seed, set()).add((run.record.fold, value))
    return len({frozenset(of_seed) for of_seed in by_seed.values()})


def _conventions(cell: Cell) -> tuple[float | None, float | None, float | None]:
    """The ICC by other conventions, each averaged over action units, then over seeds.

    Rounded predictions; the mean of the folds' ICCs; the mean of the subjects' ICCs (which counts a subject
    with constant labels as 0, or not at all where the prediction is constant as well).
    """
    rounded = mean(metrics(cell.sums["rounded"].sum(1))["icc"], 1)
    by_fold, by_subject = [], []
    for sums, folds in zip(cell.sums["model"], cell.folds, strict=True):
        of_folds = np.stack([sums[folds == fold].sum(0) for fold in np.unique(folds[folds >= 0])])
        by_fold.append(mean(mean(metrics(of_folds)["icc"])))
        by_subject.append(mean(mean(metrics(sums)["icc"])))
    return _number(mean(rounded)), _number(mean(np.array(by_fold))), _number(mean(np.array(by_subject)))


def _coverage(runs: Sequence[Run]) -> Coverage | None:
    """What prediction intervals that were calibrated on validation subjects hold on test subjects.

    Each run is calibrated on its own; shares and widths are means over runs, and over the AUs that have both. ``None``
    for runs of an earlier aulight, which kept no predictions for validation subjects.
    """
    aus, found = runs[0].aus, []
    for run in runs:
        if not (run.path / VALIDATION).is_file():
            return None
        validated = read_predictions(run, name=VALIDATION)
        known, tested = (
            (table[[f"{au}_pred" for au in aus]].to_numpy(), table[[f"{au}_true" for au in aus]].to_numpy())
            for table in (validated, read_predictions(run))
        )
        intervals = calibrate(*known, aus, validated["subject"].to_numpy())
        found.append(coverage(intervals, *tested, NOMINAL))
    share, width = (mean(np.array(values)) for values in zip(*found, strict=True))
    per_au = {au: Covered(share=_number(share[i]), width=_number(width[i])) for i, au in enumerate(aus)}
    return Coverage(nominal=NOMINAL, share=_number(mean(share)), width=_number(mean(width)), per_au=per_au)


def _number(value: Array | np.float64) -> float | None:
    """What JSON can say: NaN becomes None."""
    return None if np.isnan(value) else float(value)
