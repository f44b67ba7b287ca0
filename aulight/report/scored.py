"""Scores of pooled runs: the records and baselines of a report."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from aulight.facs import MAX_INTENSITY
from aulight.report.beside import Coverage, Covered, Validated
from aulight.report.collect import VALIDATION, Run, read_predictions
from aulight.report.labels import Labels
from aulight.report.pool import Cell
from aulight.report.presence import presence_of
from aulight.report.records import Pooled, Record, Scores
from aulight.scoring.agreement import METRICS, Array, mean, metrics, sums_of
from aulight.scoring.conformal import calibrate, coverage
from aulight.scoring.intervals import Interval, held, jackknife, without_each

NOMINAL = 0.9
"""Coverage of the prediction intervals that reports check."""

BOUNDS = {"icc": (-1.0, 1.0), "mae": (0.0, float(MAX_INTENSITY)), "mse": (0.0, float(MAX_INTENSITY**2))}
"""From where to where the scores with an interval can be."""


def record_of(cell: Cell, level: float) -> Record:
    """Scores of the predictions of a cell, also by other conventions, and those of their prediction intervals."""
    rounded, fold_mean, subject_mean = _conventions(cell)
    return Record(
        **vars(_pooled(cell, level, "model", cell.runs[0].record.arm)),
        icc_rounded=rounded,
        icc_fold_mean=fold_mean,
        icc_subject_mean=subject_mean,
        stage_one=sources(cell.runs),
        coverage=_coverage(cell.runs),
        no_validation_icc=sum(_undefined_on_validation(run) for run in cell.runs),
        presence=presence_of(cell.runs),
        validation=_validated(cell),
    )


def last_of(cell: Cell, level: float) -> Pooled | None:
    """Scores of the last checkpoint, which nobody chose; None where some of the runs do not know them."""
    if "last" not in cell.sums:
        return None
    return replace(_pooled(cell, level, "last", cell.runs[0].record.arm), validation_frames=0)


def baselines_of(cells: Mapping[tuple[str, Labels], Cell], level: float) -> list[Pooled]:
    """The mean predictor at each fraction, and once the all-zero predictor, over all that was tested."""

    def extent(cell: Cell) -> tuple[int, int]:
        return int(cell.tested.sum(1).max()), len(cell.seeds)

    rows = []
    for labels in dict.fromkeys(labels for _, labels in cells):
        cell = max((cells[key] for key in cells if key[1] == labels), key=extent)
        rows.append(replace(_pooled(cell, level, "mean", "mean"), validation_frames=0, stage_one_runs=None))
    cell = max(cells.values(), key=extent)
    best = int(cell.tested.sum(1).argmax())
    runs = [run for run in cell.runs if run.record.seed == cell.seeds[best]]
    one = slice(best, best + 1)
    sums = {name: values[one] for name, values in cell.sums.items()}
    only = replace(cell, runs=runs, seeds=[cell.seeds[best]], sums=sums, folds=cell.folds[one])
    zero = replace(_pooled(only, level, "all_zero", "all_zero"), label_fraction=None, label_count=None)
    zero = replace(zero, labelled_frames=0, validation_frames=0, steps=[], seeds=[])
    return [*rows, replace(zero, stage_one_runs=None, label_draws=None)]


def sources(runs: Iterable[Run]) -> list[str]:
    """Whose videos stage one learned from, or the model in its place, sorted, without runs that had neither."""
    return sorted({run.stage_one for run in runs if run.stage_one})


def _pooled(cell: Cell, level: float, predictor: str, arm: str) -> Pooled:
    sums = cell.sums[predictor]
    first = cell.runs[0]
    pooled = metrics(sums.sum(1))["icc"]  # (K, A)
    per_seed = mean(pooled, 1)
    return Pooled(
        **vars(_scores(sums, level)),
        dataset=first.dataset,
        arm=arm,
        label_fraction=cell.labels.fraction,
        label_count=cell.labels.number,
        labelled_frames=round(float(np.mean([run.record.labelled_frames for run in cell.runs]))),
        validation_frames=_mean_of([run.validation_frames for run in cell.runs]),
        steps=sorted({run.record.steps for run in cell.runs}),
        seeds=cell.seeds,
        test_subjects=int(cell.tested.any(0).sum()),
        icc_seed_sd=_spread(per_seed),
        icc_per_seed=[number(value) for value in per_seed],
        per_au={au: _scores(sums[..., i : i + 1], level) for i, au in enumerate(first.aus)},
        undefined_aus=[au for i, au in enumerate(first.aus) if np.isnan(pooled[:, i]).any()],
        runs=[run.name for run in cell.runs],
        stage_one_runs=_stage_one_runs(cell.runs),
        label_draws=_different(cell.runs, [run.record.label_seed for run in cell.runs]),
        last=predictor == "last",
    )


def _scores(sums: Array, level: float) -> Scores:
    """Scores of sums (K, S, 8, A) as means over action units, then over seeds."""
    sums = sums[:, labelled(sums)]
    whole, without = metrics(sums.sum(1)), metrics(without_each(sums))  # (K, A), (S, K, A)
    values = {name: mean(mean(whole[name], -1)) for name in METRICS}
    ends = {
        name: interval_or_why(
            jackknife(float(values[name]), mean(mean(held(without[name], whole[name]), -1), -1), level, bounds)
        )
        for name, bounds in BOUNDS.items()
    }
    return Scores(
        icc=number(values["icc"]),
        mae=number(values["mae"]),
        mse=number(values["mse"]),
        pearson=number(values["pearson"]),
        icc_ci=ends["icc"][0],
        mae_ci=ends["mae"][0],
        mse_ci=ends["mse"][0],
        no_icc_ci=ends["icc"][1],
        subjects=sums.shape[1],
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


def _spread(per_seed: Array) -> float | None:
    """Standard deviation over seeds; None for one, and where one of them is undefined."""
    return number(np.float64(np.std(per_seed, ddof=1))) if len(per_seed) > 1 else None


def _validated(cell: Cell) -> Validated | None:
    """Scores on validation subjects, the frames of all folds together; None where a run kept no predictions of them."""
    if not all((run.path / VALIDATION).is_file() for run in cell.runs):
        return None
    sums, subjects = dict[int, Array](), set[str]()
    for run in cell.runs:
        table = read_predictions(run, name=VALIDATION)
        preds, true = (table[[f"{au}_{kind}" for au in run.aus]].to_numpy() for kind in ("pred", "true"))
        sums[run.record.seed] = sums.get(run.record.seed, 0.0) + sums_of(preds, true)
        subjects |= set(table["subject"])
    whole = metrics(np.stack([sums[seed] for seed in cell.seeds]))  # (K, A)
    icc = mean(whole["icc"], 1)
    return Validated(
        **{name: number(mean(mean(whole[name], 1))) for name in METRICS},
        icc_seed_sd=_spread(icc),
        icc_per_seed=[number(value) for value in icc],
        subjects=len(subjects),
    )


def _conventions(cell: Cell) -> tuple[float | None, float | None, float | None]:
    """The ICC by other conventions, each averaged over action units, then over seeds.

    Rounded predictions; the mean of the folds' ICCs; the mean of the subjects' ICCs. A fold or subject whose labels
    are constant is left out.
    """
    rounded = mean(metrics(cell.sums["rounded"].sum(1))["icc"], 1)
    by_fold, by_subject = [], []
    for sums, folds in zip(cell.sums["model"], cell.folds, strict=True):
        of_folds = np.stack([sums[folds == fold].sum(0) for fold in np.unique(folds[folds >= 0])])
        by_fold.append(mean(mean(metrics(of_folds)["icc"])))
        by_subject.append(mean(mean(metrics(sums)["icc"])))
    return number(mean(rounded)), number(mean(np.array(by_fold))), number(mean(np.array(by_subject)))


def _coverage(runs: Sequence[Run]) -> Coverage | None:
    """What prediction intervals that were calibrated on validation subjects hold on test subjects.

    Each run is calibrated on its own; shares and widths are means over runs, and over the AUs that have both. ``None``
    for runs of an earlier aulight, which kept no predictions for validation subjects.
    """
    aus, found, validating = runs[0].aus, [], list[int]()
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
        validating.append(validated["subject"].nunique())
    share, width = (mean(np.array(values)) for values in zip(*found, strict=True))
    per_au = {au: Covered(share=number(share[i]), width=number(width[i])) for i, au in enumerate(aus)}
    return Coverage(
        nominal=NOMINAL,
        share=number(mean(share)),
        width=number(mean(width)),
        per_au=per_au,
        validation_subjects=min(validating),
    )


def labelled(sums: Array) -> npt.NDArray[np.bool_]:
    """(S,): who of the subjects of sums (K, S, 8, A) has labels."""
    return np.asarray(sums[:, :, 0].any((0, 2)))


def interval_or_why(ends: Interval | str) -> tuple[Interval | None, str | None]:
    """An interval, or why there is none; the other one is None."""
    return (None, ends) if isinstance(ends, str) else (ends, None)


def _undefined_on_validation(run: Run) -> bool:
    return run.record.validation is not None and math.isnan(run.record.validation.icc)


def number(value: Array | np.float64) -> float | None:
    """What JSON can say: NaN becomes None."""
    return None if np.isnan(value) else float(value)
