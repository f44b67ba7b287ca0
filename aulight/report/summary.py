"""What ``summary.json`` holds: records, baselines, comparisons, warnings."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aulight.drawing.names import LABELS, arm_rank, arms, percent
from aulight.errors import AulightError
from aulight.report.collect import Run, read_predictions
from aulight.report.pool import FREE_SETTINGS, Cell, cells_of
from aulight.scoring.agreement import METRICS, Array, mean, metrics
from aulight.scoring.conformal import calibrate, coverage
from aulight.scoring.intervals import Bootstrap

NOMINAL = 0.9
"""Coverage of the prediction intervals that reports check."""


def _number(value: Any) -> float | None:
    """What JSON can say: NaN becomes None."""
    return None if np.isnan(value) else float(value)


def _record(cell: Cell, bootstrap: Bootstrap, predictor: str, arm: str) -> dict[str, Any]:
    sums = cell.sums[predictor]
    run = cell.runs[0]
    pooled = metrics(sums.sum(1))  # (K, A)
    per_seed = {name: mean(values, 1) for name, values in pooled.items()}
    replicates = bootstrap.metrics(sums)
    per_au = {}
    for i, au in enumerate(run.aus):
        of_au: dict[str, Any] = {name: _number(mean(pooled[name][:, i], 0)) for name in METRICS}
        intervals = {f"{name}_ci": bootstrap.interval(replicates[name][:, i]) for name in METRICS[:3]}
        per_au[au] = of_au | intervals
    icc = per_seed["icc"]
    record: dict[str, Any] = {
        "dataset": run.dataset,
        "arm": arm,
        "label_fraction": run.label_fraction,
        "labelled_frames": round(float(np.mean([run.labelled_frames for run in cell.runs]))),
        "steps": sorted({run.steps for run in cell.runs}),
        "seeds": cell.seeds,
        "test_subjects": int(cell.tested.any(0).sum()),
        **{name: _number(mean(values, 0)) for name, values in per_seed.items()},
        "icc_ci": bootstrap.interval(bootstrap.mean_icc(sums)),
        "mae_ci": bootstrap.interval(mean(replicates["mae"], 1)),
        "mse_ci": bootstrap.interval(mean(replicates["mse"], 1)),
        "icc_seed_sd": float(np.std(icc, ddof=1)) if len(icc) > 1 else None,
        "icc_per_seed": [_number(value) for value in icc],
        "per_au": per_au,
        "undefined_aus": [au for i, au in enumerate(run.aus) if np.isnan(pooled["icc"][:, i]).any()],
        "runs": [run.name for run in cell.runs],
    }
    if predictor == "model":
        record |= {name: _number(value) for name, value in _variants(cell).items()}
        record["stage_one"] = _sources(cell.runs)
        record["coverage"] = _coverage(cell.runs)
    return record


def _coverage(runs: Sequence[Run]) -> dict[str, Any] | None:
    """What prediction intervals that were calibrated on validation subjects hold on test subjects.

    Each run is calibrated on its own; shares and widths are means over runs, and over the AUs that have both. ``None``
    for runs of an earlier aulight, which kept no predictions for validation subjects.
    """
    found = []
    for run in runs:
        if not (run.path / "validation.parquet").is_file():
            return None
        validated = read_predictions(run, name="validation.parquet")
        known, tested = (
            (table[[f"{au}_pred" for au in run.aus]].to_numpy(), table[[f"{au}_true" for au in run.aus]].to_numpy())
            for table in (validated, read_predictions(run))
        )
        intervals = calibrate(*known, run.aus, validated["subject"].to_numpy())
        found.append(coverage(intervals, *tested, NOMINAL))
    share, width = (mean(np.array(values), 0) for values in zip(*found, strict=True))
    per_au = {au: {"share": _number(share[i]), "width": _number(width[i])} for i, au in enumerate(runs[0].aus)}
    return {"nominal": NOMINAL, "share": _number(mean(share, 0)), "width": _number(mean(width, 0)), "per_au": per_au}


def _sources(runs: Sequence[Run]) -> list[str]:
    return sorted({run.stage_one for run in runs if run.stage_one})


def _variants(cell: Cell) -> dict[str, Array]:
    """The ICC by other conventions, each averaged over action units, then over seeds.

    Rounded predictions; the mean of the folds' ICCs; the mean of the subjects' ICCs (which counts a subject
    with constant labels as 0, or not at all where the prediction is constant as well).
    """
    rounded = mean(metrics(cell.sums["rounded"].sum(1))["icc"], 1)
    by_fold, by_subject = [], []
    for sums, folds in zip(cell.sums["model"], cell.folds, strict=True):
        of_folds = np.stack([sums[folds == fold].sum(0) for fold in np.unique(folds[folds >= 0])])
        by_fold.append(mean(mean(metrics(of_folds)["icc"], 0), 0))
        by_subject.append(mean(mean(metrics(sums)["icc"], 0), 0))
    return {
        "icc_rounded": mean(rounded, 0),
        "icc_fold_mean": mean(np.array(by_fold), 0),
        "icc_subject_mean": mean(np.array(by_subject), 0),
    }


def _compared(one: dict[str, Any], other: dict[str, Any], bootstrap: Bootstrap, drawn: Array) -> dict[str, Any]:
    """Compares two records; ``drawn`` are the replicates (R,) of the difference of their ICCs."""
    seeds, other_seeds = one["icc_per_seed"], other["icc_per_seed"]
    defined = None not in (one["icc"], other["icc"])
    return {
        "dataset": one["dataset"],
        "arm": one["arm"],
        "label_fraction": one["label_fraction"],
        "against": {"arm": other["arm"], "label_fraction": other["label_fraction"]},
        "icc": one["icc"],
        "against_icc": other["icc"],
        "ratio": one["icc"] / other["icc"] if defined and other["icc"] > 0 else None,
        "difference": one["icc"] - other["icc"] if defined else None,
        "difference_ci": bootstrap.interval(drawn),
        "difference_p": bootstrap.p_value(drawn),
        "icc_per_seed": seeds,
        "against_icc_per_seed": other_seeds,
        "seeds_apart": None not in [*seeds, *other_seeds] and min(seeds) > max(other_seeds),
        "intervals_apart": None not in (one["icc_ci"], other["icc_ci"]) and one["icc_ci"][0] > other["icc_ci"][1],
    }


def summarise(runs: Sequence[Run], replicates: int = 2000, seed: int = 0, level: float = 0.95) -> dict[str, Any]:
    """Pool runs into what ``summary.json`` holds: plain dicts, lists and numbers, None where undefined.

    Within one (dataset, arm, label fraction, seed) the test frames of all folds are put together; ICC(3,1),
    MAE, MSE and Pearson's correlation are taken per action unit over known labels, then averaged over the
    action units where they are defined, then over seeds. Intervals are percentiles over bootstrap samples
    of subjects; they say how much the choice of test subjects matters, not the choice of seeds.

    Args:
        runs: Finished runs, as `collect` gives them.
        replicates: Number of bootstrap samples.
        seed: Seed of the bootstrap.
        level: Level of the intervals, in (0, 1).

    Returns:
        A dict with the keys:

        - ``records``: one for each (dataset, arm, label_fraction);
        - ``baselines``: the same for predicting 0 (``all_zero``) and the mean of the drawn labels (``mean``);
        - ``comparisons``: of two arms at one fraction, and of each arm with those at the largest fraction:
          ratio and difference of the ICC, the paired bootstrap interval and two-sided p-value of the difference
          (twice the smaller share of replicates on one side of 0), and whether all seeds of the first, or its
          interval, lie above those of the second;
        - ``datasets``, ``versions``, ``bootstrap``: what is behind it;
        - ``notes``: where the videos of stage one came from;
        - ``warnings``: what a reader must know before comparing records.

    Raises:
        AulightError: For runs that cannot be pooled, and for settings out of range.
    """
    if replicates < 1:
        raise AulightError(f"bootstrap.replicates={replicates}: at least 1 is needed")
    if not 0 < level < 1:
        raise AulightError(f"bootstrap.level={level}: a number between 0 and 1 is needed")
    packages = sorted({package for run in runs for package in run.versions})
    summary: dict[str, Any] = {
        "records": [],
        "baselines": [],
        "comparisons": [],
        "datasets": {},
        "versions": {p: sorted({run.versions[p] for run in runs if p in run.versions}) for p in packages},
        "bootstrap": {"over": "subjects", "replicates": replicates, "seed": seed, "level": level},
        "notes": [],
        "warnings": [],
    }
    for dataset in sorted({run.dataset for run in runs}):
        mine = [run for run in runs if run.dataset == dataset]
        cells = cells_of(mine)
        order = sorted(cells, key=lambda key: (key[1], arm_rank(key[0])))
        cells = {key: cells[key] for key in order}
        subjects = cells[order[0]].folds.shape[1]
        bootstrap = Bootstrap(subjects, replicates, seed, level)
        records = {key: _record(cell, bootstrap, "model", key[0]) for key, cell in cells.items()}
        summary["records"] += records.values()
        summary["baselines"] += _baselines(cells, bootstrap)
        summary["warnings"] += [line for cell in cells.values() for line in _warnings(cell, subjects)]
        for arm in arms(list(records.values())):
            if sources := _sources([run for run in mine if run.arm == arm]):
                name = LABELS.get(arm, arm)
                summary["notes"].append(f"{dataset}, {name}: stage one learned from {', or '.join(sources)}")
        summary["datasets"][dataset] = {
            "fingerprint": mine[0].fingerprint,
            "aus": list(mine[0].aus),
            "fps": mine[0].fps,
            "test_subjects": subjects,
        }
        drawn = {key: bootstrap.mean_icc(cell.sums["model"]) for key, cell in cells.items()}
        largest = max(fraction for _, fraction in cells)
        for i, key in enumerate(order):
            pairs = [other for other in order[i + 1 :] if other[1] == key[1]]
            if key[1] < largest:
                pairs += [other for other in order if other[1] == largest]
            for other in pairs:
                difference = drawn[key] - drawn[other]
                summary["comparisons"].append(_compared(records[key], records[other], bootstrap, difference))
    return summary


def _baselines(cells: Mapping[tuple[str, float], Cell], bootstrap: Bootstrap) -> list[dict[str, Any]]:
    """The mean predictor at each fraction, and once the all-zero predictor, over all that was tested."""

    def coverage(cell: Cell) -> tuple[int, int]:
        return int(cell.tested.sum(1).max()), len(cell.seeds)

    rows = []
    for fraction in dict.fromkeys(fraction for _, fraction in cells):
        cell = max((cells[key] for key in cells if key[1] == fraction), key=coverage)
        rows.append(_record(cell, bootstrap, "mean", "mean"))
    cell = max(cells.values(), key=coverage)
    best = int(cell.tested.sum(1).argmax())
    runs = [run for run in cell.runs if run.seed == cell.seeds[best]]
    one = slice(best, best + 1)
    sums = {name: values[one] for name, values in cell.sums.items()}
    zero = _record(Cell(runs, [cell.seeds[best]], sums, cell.folds[one]), bootstrap, "all_zero", "all_zero")
    return [*rows, zero | {"label_fraction": None, "labelled_frames": 0, "steps": [], "seeds": []}]


def _warnings(cell: Cell, subjects: int) -> list[str]:
    run = cell.runs[0]
    name = f"{run.dataset}, {LABELS.get(run.arm, run.arm)}, {percent(run.label_fraction)} labels"
    lines = []
    for seed, tested in zip(cell.seeds, cell.tested, strict=True):
        if tested.sum() < subjects:
            folds = sorted({run.fold for run in cell.runs if run.seed == seed})
            lines.append(
                f"{name}, seed {seed}: {tested.sum()} of {subjects} test subjects "
                f"(only fold {', '.join(map(str, folds))})"
            )
    keys = sorted({key for run in cell.runs for key in run.settings})
    keys = [key for key in keys if not any(f"{key}.".startswith(f"{free}.") for free in FREE_SETTINGS)]
    differing = [key for key in keys if len({run.settings.get(key) for run in cell.runs}) > 1]
    if differing:
        lines.append(f"{name}: pools runs with different {', '.join(differing[:5])}")
    if len(sources := _sources(cell.runs)) > 1:
        lines.append(f"{name}: pools runs whose stage one learned from {', or '.join(sources)}")
    return lines


def comparison(
    summary: Mapping[str, Any],
    arm: str,
    fraction: float,
    against: str,
    against_fraction: float | None = None,
    dataset: str | None = None,
) -> dict[str, Any]:
    """Look up one of the comparisons of a summary.

    Args:
        summary: What `summarise` gave, or ``summary.json``.
        arm: The first arm.
        fraction: Its label fraction.
        against: The second arm.
        against_fraction: Its label fraction; None is the same.
        dataset: The dataset; None is the only or first one.

    Raises:
        AulightError: When the runs of one side are missing.
    """
    name = dataset or next(iter(summary["datasets"]))
    other_fraction = fraction if against_fraction is None else against_fraction
    wanted = (name, arm, fraction, {"arm": against, "label_fraction": other_fraction})
    for found in summary["comparisons"]:
        if (found["dataset"], found["arm"], found["label_fraction"], found["against"]) == wanted:
            return dict(found)
    raise AulightError(
        f"no runs to compare {arm} at {percent(fraction)} labels with {against} at {percent(other_fraction)} on {name}"
    )


def choose_fraction(records: Sequence[Mapping[str, Any]]) -> float:
    """The fraction for per-AU pictures: 2% where it was run, otherwise the smallest that most arms have."""
    fractions = sorted({float(record["label_fraction"]) for record in records})
    if 0.02 in fractions:
        return 0.02
    return max(fractions, key=lambda f: (sum(record["label_fraction"] == f for record in records), -f))
