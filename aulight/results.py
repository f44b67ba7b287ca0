"""Pool the predictions of stage-two runs: agreement per action unit, intervals, comparisons, tables.

Every number follows from eight sums per test subject and action unit. They add up, so the folds of a seed
are pooled exactly, and a bootstrap replicate is a weighted sum over subjects. Nothing here needs torch.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import yaml

from aulight.conformal import calibrate, coverage
from aulight.errors import AulightError
from aulight.facs import column
from aulight.runs import IRRELEVANT, dotted

Array = npt.NDArray[np.float64]

ARMS = ("pretrained", "scratch_equal_compute", "scratch", "blendshapes")
"""Order of the known arms in tables and figures; others follow by name."""

LABELS = {
    "pretrained": "pretrained",
    "scratch": "scratch",
    "scratch_equal_compute": "scratch, equal compute",
    "blendshapes": "blendshapes, ridge",
    "all_zero": "baseline: all zero",
    "mean": "baseline: label mean",
}
"""How arms and baselines are called in tables and figures."""

METRICS = ("icc", "mae", "mse", "pearson")
VARIANTS = {
    "icc": "pooled (headline)",
    "icc_rounded": "rounded predictions",
    "icc_fold_mean": "mean of folds",
    "icc_subject_mean": "mean of subjects",
}
"""Conventions by which the ICC has been published, and how tables call them."""
TIMELINE_SECONDS = 20
NOMINAL = 0.9
"""Coverage of the prediction intervals that reports check."""
INTERVALS = f"Prediction intervals for {100 * NOMINAL:g}% coverage"
_PREDICTORS = ("model", "rounded", "all_zero", "mean")
# Settings that may differ between runs that are pooled: what changes no result, and what names the run.
_FREE_SETTINGS = (*IRRELEVANT, "seed", "label_seed", "fold", "pretrained", "stage_one_run")


@dataclass(frozen=True)
class Run:
    """A finished stage-two run, as its ``run.yaml`` describes it.

    Attributes:
        path: The run directory.
        name: Its path relative to the folder that was searched.
        dataset: The dataset's name.
        fingerprint: The dataset's fingerprint.
        aus: Columns of the predicted action units, for example ``AU01``.
        fps: Frames per second of the dataset's videos.
        arm: How the network was initialised and trained, for example ``pretrained``.
        label_fraction: Share of the training frames whose labels were used, in (0, 1].
        labelled_frames: Their number.
        fold: Which fold of the protocol was tested.
        seed: The training seed.
        steps: Stage-two training steps.
        train_label_mean: Mean of the drawn labels per action unit.
        versions: Versions of the packages it ran with.
        settings: The resolved config, flattened to dotted keys.
        stage_one: Whose videos stage one learned from, ``None`` without stage one.
    """

    path: Path
    name: str
    dataset: str
    fingerprint: str
    aus: tuple[str, ...]
    fps: float
    arm: str
    label_fraction: float
    labelled_frames: int
    fold: int
    seed: int
    steps: int
    train_label_mean: dict[str, float]
    versions: dict[str, str]
    settings: dict[str, str]
    stage_one: str | None


def collect(runs: Path) -> tuple[list[Run], dict[str, str]]:
    """Find the stage-two runs below a folder.

    Args:
        runs: Folder that holds run directories at any depth, or one run directory.

    Returns:
        The finished runs, sorted by name; and of those that are not finished the name and the outcome.

    Raises:
        AulightError: When there is no such folder, no finished run in it, a ``run.yaml`` that cannot be used,
            or runs that must not be pooled: two versions of a dataset, or different action units.
    """
    if not runs.is_dir():
        raise AulightError(f"runs={runs}: no such folder; give the folder that holds the stage-two runs")
    found: list[Run] = []
    unfinished: dict[str, str] = {}
    for file in sorted(runs.rglob("run.yaml")):
        try:
            meta = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise AulightError(f"{file}: not readable as YAML; remove the run or run it again") from error
        if not isinstance(meta, dict):
            raise AulightError(f"{file}: empty or not a mapping; remove the run or run it again")
        if meta.get("command") != "finetune":
            continue
        name = _name(file, runs)
        if meta.get("outcome") == "done":
            found.append(_run(file, name, meta))
        else:
            unfinished[name] = str(meta.get("outcome", "unknown"))
    if not found:
        others = f" ({len(unfinished)} unfinished)" if unfinished else ""
        raise AulightError(f"runs={runs}: no finished stage-two run below it{others}; run aulight finetune first")
    first = {run.dataset: run for run in reversed(found)}
    for run in found:
        other = first[run.dataset]
        if run.fingerprint != other.fingerprint:
            raise AulightError(
                f"{other.name} and {run.name} used different versions of dataset {run.dataset} "
                f"({other.fingerprint} and {run.fingerprint}): report them from separate folders"
            )
        if run.aus != other.aus:
            raise AulightError(
                f"{other.name} and {run.name} predict different action units of {run.dataset} "
                f"({' '.join(other.aus)} and {' '.join(run.aus)}): report them from separate folders"
            )
    return found, unfinished


def commands(runs: Path) -> list[dict[str, str | None]]:
    """How each finished run below a folder was started, stage one first.

    Args:
        runs: Folder that `collect` has read.

    Returns:
        For each run ``run``, its name; ``command``, as it can be typed to have this one run again, None where the
        run has no ``.hydra/overrides.yaml``; and ``git``, the revision of aulight that it ran from, where known.
    """
    found = []
    for file in sorted(runs.rglob("run.yaml")):
        meta = yaml.safe_load(file.read_text(encoding="utf-8"))
        if meta.get("outcome") != "done":
            continue
        command = meta.get("command")
        try:
            overrides = yaml.safe_load((file.parent / ".hydra/overrides.yaml").read_text(encoding="utf-8"))
            typed = shlex.join(["aulight", str(command), *map(str, overrides)])
        except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError):
            typed = None
        line = {"run": _name(file, runs), "command": typed, "git": meta.get("git")}
        found.append((command != "pretrain", line))
    return [line for _, line in sorted(found, key=lambda item: item[0])]


def _name(file: Path, runs: Path) -> str:
    """The name of a run by its ``run.yaml``."""
    return file.parent.relative_to(runs).as_posix() if file.parent != runs else runs.resolve().name


def _run(file: Path, name: str, meta: Mapping[str, Any]) -> Run:
    try:
        dataset = meta["dataset"]
        return Run(
            path=file.parent,
            name=name,
            dataset=str(dataset["name"]),
            fingerprint=str(dataset["fingerprint"]),
            aus=tuple(column(au) if isinstance(au, int) else str(au) for au in dataset["aus"]),
            fps=float(dataset["fps"]),
            arm=str(meta["arm"]),
            label_fraction=float(meta["label_fraction"]),
            labelled_frames=int(meta["labelled_frames"]),
            fold=int(meta["fold"]),
            seed=int(meta["seed"]),
            steps=int(meta["steps"]),
            train_label_mean={au: float(mean) for au, mean in meta["train_label_mean"].items()},
            versions={package: str(version) for package, version in meta["versions"].items()},
            settings={key: str(value) for key, value in dotted(meta["config"]).items()},
            stage_one=_source(meta.get("stage_one")),
        )
    except KeyError as error:
        raise AulightError(f"{file}: lacks the key {error}; remove the run or run it again") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise AulightError(f"{file}: {error}; remove the run or run it again") from error


def _source(stage_one: Mapping[str, Any] | None) -> str | None:
    """Whose videos stage one learned from, as a reader is told."""
    if not stage_one:
        return None
    if not stage_one["own_frames"]:
        return f"{stage_one['dataset']} ({stage_one['subjects']} subjects)"
    others = stage_one["unlabelled_subjects"]
    return "the training folds' own frames without labels" + (f" and {others} unlabelled subjects" if others else "")


def read_predictions(run: Run, videos: Sequence[str] | None = None, name: str = "predictions.parquet") -> pd.DataFrame:
    """Read what a run predicted for the test subjects, or in ``validation.parquet`` for those that validated it.

    Args:
        run: The run.
        videos: Only these videos; None reads all.
        name: Of the file in the run directory.

    Returns:
        ``video_id, subject, frame`` and per action unit ``<AU>_true`` (NaN where unknown) and ``<AU>_pred``,
        both float64.

    Raises:
        AulightError: When the file is missing, unreadable, lacks a column, holds a frame twice, or holds
            predictions that are not numbers (a run that diverged).
    """
    file = run.path / name
    values = [f"{au}_{kind}" for au in run.aus for kind in ("true", "pred")]
    chosen = None if videos is None else [("video_id", "in", list(videos))]
    try:
        table = pd.read_parquet(file, columns=["video_id", "subject", "frame", *values], filters=chosen)
    except FileNotFoundError as error:
        raise AulightError(f"{run.name}: finished, but has no {name}; run it again") from error
    except (OSError, ValueError) as error:  # pyarrow's errors are of these two kinds
        raise AulightError(f"{file}: {' '.join(str(error).split())[:150]}; run it again") from error
    if twice := table.loc[table.duplicated(["video_id", "frame"]), ["video_id", "frame"]].to_numpy().tolist():
        raise AulightError(f"{file}: video {twice[0][0]} has frame {twice[0][1]} twice; run it again")
    for value in values:
        table[value] = table[value].to_numpy(dtype=np.float64, na_value=np.nan)
        if value.endswith("_pred") and not np.isfinite(table[value]).all():
            raise AulightError(f"{file}: {value} is not finite everywhere; the run diverged, remove it")
    return table


def _sums(preds: Array, target: Array) -> Array:
    """Return n, sum x, y, xx, yy, xy, |x - y|, (x - y)^2 over known rows of (N, A): (8, A)."""
    known = ~np.isnan(target)
    x, y = np.where(known, preds, 0.0), np.where(known, target, 0.0)
    parts = (known.astype(np.float64), x, y, x * x, y * y, x * y, np.abs(x - y), (x - y) ** 2)
    return np.stack([part.sum(0) for part in parts])


def _metrics(sums: Array) -> dict[str, Array]:
    """ICC(3,1), MAE, MSE and Pearson's correlation from sums (..., 8, A), each (..., A).

    The same numbers as aulight.metrics gives: for two raters ICC(3,1) is 2 cov / (var + var), 0 where one
    of the two is constant and NaN where both are.
    """
    n, x, y, xx, yy, xy, absolute, squared = np.moveaxis(sums, -2, 0)
    count = np.maximum(n, 1)
    var_x, var_y = xx - x * x / count, yy - y * y / count
    # What is left of a constant's variance after the subtraction is of the order of 1e-16 of its square.
    var_x, var_y = np.where(var_x > 1e-12 * xx, var_x, 0.0), np.where(var_y > 1e-12 * yy, var_y, 0.0)
    cov = np.where((var_x == 0) | (var_y == 0), 0.0, xy - x * y / count)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "icc": 2 * cov / (var_x + var_y),
            "mae": absolute / n,
            "mse": squared / n,
            "pearson": np.clip(cov / np.sqrt(var_x * var_y), -1, 1),
        }


def _mean(values: Array, axis: int) -> Array:
    """Mean over the defined values, NaN where there is none."""
    defined = ~np.isnan(values)
    total: Array = np.where(defined, values, 0.0).sum(axis)
    with np.errstate(invalid="ignore"):
        mean: Array = total / defined.sum(axis)
    return mean


@dataclass(frozen=True)
class _Cell:
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


def _cells(runs: Sequence[Run]) -> dict[tuple[str, float], _Cell]:
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
                name: _sums(x, target) for name, x in zip(_PREDICTORS, predicted, strict=True)
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
        cells[key] = _Cell(group, seeds, sums, folds)
    return cells


def resample(subjects: int, replicates: int, seed: int) -> npt.NDArray[np.int64]:
    """Draw bootstrap samples: `(replicates, subjects)` places of subjects, with replacement."""
    return np.random.default_rng(seed).integers(subjects, size=(replicates, subjects))


class _Bootstrap:
    """Percentile intervals over the subjects of one dataset; the same draws serve all its cells.

    With one subject there is nothing to resample, and every interval is None.
    """

    def __init__(self, subjects: int, replicates: int, seed: int, level: float) -> None:
        draws = resample(subjects, replicates, seed)
        self.weights = np.stack([(draws == i).sum(1) for i in range(subjects)], axis=1).astype(np.float64)
        self.tails = (0.5 - level / 2, 0.5 + level / 2)

    def metrics(self, sums: Array) -> dict[str, Array]:
        """Metrics (R, A) of every replicate, averaged over the K seeds of sums (K, S, 8, A)."""
        of_seeds = [_metrics(np.tensordot(self.weights, of_seed, 1)) for of_seed in sums]
        return {name: _mean(np.stack([values[name] for values in of_seeds]), 0) for name in METRICS}

    def mean_icc(self, sums: Array) -> Array:
        """The mean over seeds of the mean over action units of the ICC, (R,)."""
        of_seeds = [_mean(_metrics(np.tensordot(self.weights, of_seed, 1))["icc"], -1) for of_seed in sums]
        return _mean(np.stack(of_seeds), 0)

    def interval(self, replicates: Array) -> list[float] | None:
        """The interval of replicates (R,), undefined ones left out."""
        defined = replicates[~np.isnan(replicates)]
        if self.weights.shape[1] < 2 or not len(defined):
            return None
        return [float(end) for end in np.quantile(defined, self.tails)]

    def p_value(self, differences: Array) -> float | None:
        """The two-sided p-value of no difference, from paired replicates (R,), undefined ones left out.

        Twice the smaller of two shares: of replicates at or below 0, and of those at or above 0; both counted
        with one replicate more, so that p is never 0 (Davison & Hinkley 1997, chapter 4). It is below 1 - level
        where the interval leaves 0 out.
        """
        defined = differences[~np.isnan(differences)]
        if self.weights.shape[1] < 2 or not len(defined):
            return None
        fewer = 1 + min((defined <= 0).sum(), (defined >= 0).sum())
        return min(1.0, float(2 * fewer / (len(defined) + 1)))


def _number(value: Any) -> float | None:
    """What JSON can say: NaN becomes None."""
    return None if np.isnan(value) else float(value)


def _record(cell: _Cell, bootstrap: _Bootstrap, predictor: str, arm: str) -> dict[str, Any]:
    sums = cell.sums[predictor]
    run = cell.runs[0]
    pooled = _metrics(sums.sum(1))  # (K, A)
    per_seed = {name: _mean(values, 1) for name, values in pooled.items()}
    replicates = bootstrap.metrics(sums)
    per_au = {}
    for i, au in enumerate(run.aus):
        of_au: dict[str, Any] = {name: _number(_mean(pooled[name][:, i], 0)) for name in METRICS}
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
        **{name: _number(_mean(values, 0)) for name, values in per_seed.items()},
        "icc_ci": bootstrap.interval(bootstrap.mean_icc(sums)),
        "mae_ci": bootstrap.interval(_mean(replicates["mae"], 1)),
        "mse_ci": bootstrap.interval(_mean(replicates["mse"], 1)),
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
    share, width = (_mean(np.array(values), 0) for values in zip(*found, strict=True))
    per_au = {au: {"share": _number(share[i]), "width": _number(width[i])} for i, au in enumerate(runs[0].aus)}
    return {"nominal": NOMINAL, "share": _number(_mean(share, 0)), "width": _number(_mean(width, 0)), "per_au": per_au}


def _sources(runs: Sequence[Run]) -> list[str]:
    return sorted({run.stage_one for run in runs if run.stage_one})


def _variants(cell: _Cell) -> dict[str, Array]:
    """The ICC by other conventions, each averaged over action units, then over seeds.

    Rounded predictions; the mean of the folds' ICCs; the mean of the subjects' ICCs (which counts a subject
    with constant labels as 0, or not at all where the prediction is constant as well).
    """
    rounded = _mean(_metrics(cell.sums["rounded"].sum(1))["icc"], 1)
    by_fold, by_subject = [], []
    for sums, folds in zip(cell.sums["model"], cell.folds, strict=True):
        of_folds = np.stack([sums[folds == fold].sum(0) for fold in np.unique(folds[folds >= 0])])
        by_fold.append(_mean(_mean(_metrics(of_folds)["icc"], 0), 0))
        by_subject.append(_mean(_mean(_metrics(sums)["icc"], 0), 0))
    return {
        "icc_rounded": _mean(rounded, 0),
        "icc_fold_mean": _mean(np.array(by_fold), 0),
        "icc_subject_mean": _mean(np.array(by_subject), 0),
    }


def _compared(one: dict[str, Any], other: dict[str, Any], bootstrap: _Bootstrap, drawn: Array) -> dict[str, Any]:
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


def _arm_rank(arm: str) -> tuple[int, str]:
    return (ARMS.index(arm) if arm in ARMS else len(ARMS), arm)


def arms(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """The arms of some records, in the order of tables and figures."""
    return sorted({record["arm"] for record in records}, key=_arm_rank)


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
        cells = _cells(mine)
        order = sorted(cells, key=lambda key: (key[1], _arm_rank(key[0])))
        cells = {key: cells[key] for key in order}
        subjects = cells[order[0]].folds.shape[1]
        bootstrap = _Bootstrap(subjects, replicates, seed, level)
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


def _baselines(cells: Mapping[tuple[str, float], _Cell], bootstrap: _Bootstrap) -> list[dict[str, Any]]:
    """The mean predictor at each fraction, and once the all-zero predictor, over all that was tested."""

    def coverage(cell: _Cell) -> tuple[int, int]:
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
    zero = _record(_Cell(runs, [cell.seeds[best]], sums, cell.folds[one]), bootstrap, "all_zero", "all_zero")
    return [*rows, zero | {"label_fraction": None, "labelled_frames": 0, "steps": [], "seeds": []}]


def _warnings(cell: _Cell, subjects: int) -> list[str]:
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
    keys = [key for key in keys if not any(f"{key}.".startswith(f"{free}.") for free in _FREE_SETTINGS)]
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


@dataclass(frozen=True)
class Timeline:
    """Predicted against true intensities of one test video.

    Attributes:
        dataset: The dataset's name.
        video_id: The video.
        subject: Who is in it.
        aus: Columns of the A action units.
        label_fraction: The label fraction of the runs that predicted it.
        seed: Their seed.
        seconds: (N,) time of the frames.
        true: (N, A) labels, NaN where unknown.
        preds: (N, A) predictions by arm.
    """

    dataset: str
    video_id: str
    subject: str
    aus: tuple[str, ...]
    label_fraction: float
    seed: int
    seconds: Array
    true: Array
    preds: dict[str, Array]


def timelines(
    runs: Sequence[Run], dataset: str, fraction: float, count: int, videos: Sequence[str] | None = None
) -> list[Timeline]:
    """Test videos as every arm predicts them: chosen ones, or the most expressive.

    The most expressive are those of the highest mean label, one per subject. Of a longer video, the most expressive
    20 seconds.

    Args:
        runs: Finished runs.
        dataset: The dataset's name.
        fraction: The label fraction; without runs at it the list is empty.
        count: How many of the most expressive videos.
        videos: Ids of the videos to show instead; those that are no test videos of this dataset are left out.
    """
    mine = [run for run in runs if run.dataset == dataset and run.label_fraction == fraction]
    if not mine or (count < 1 and videos is None):
        return []
    names = sorted({run.arm for run in mine}, key=_arm_rank)
    seed = min(
        {run.seed for run in mine},
        key=lambda seed: (-len({run.arm for run in mine if run.seed == seed}), seed),
    )
    by_arm = {name: [run for run in mine if run.arm == name and run.seed == seed] for name in names}
    by_arm = {name: of_arm for name, of_arm in by_arm.items() if of_arm}
    aus = mine[0].aus
    truth = [f"{au}_true" for au in aus]
    first = next(iter(by_arm.values()))
    table = pd.concat([read_predictions(run)[["video_id", "subject", *truth]] for run in first])
    table["strength"] = _mean(table[truth].to_numpy(), 1)
    strength = table.groupby(["subject", "video_id"])["strength"].mean().sort_values(ascending=False)
    ranked = strength.reset_index()
    if videos is None:
        best = ranked.drop_duplicates("subject").head(count)
    else:
        best = ranked[ranked["video_id"].isin(videos)].sort_values("video_id", key=lambda ids: ids.map(videos.index))

    out = []
    for video, subject in zip(best["video_id"], best["subject"], strict=True):
        frames = {
            arm: pd.concat([read_predictions(run, [video]) for run in of_arm]).set_index("frame").sort_index()
            for arm, of_arm in by_arm.items()
        }
        base = frames[next(iter(by_arm))]
        length = max(1, round(TIMELINE_SECONDS * mine[0].fps))
        if len(base) > length:
            strength = pd.Series(_mean(base[truth].to_numpy(), 1)).fillna(0).rolling(length).mean()
            end = int(strength.to_numpy()[length - 1 :].argmax()) + length
            base = base.iloc[end - length : end]
        preds = {arm: f[[f"{au}_pred" for au in aus]].reindex(base.index).to_numpy() for arm, f in frames.items()}
        out.append(
            Timeline(
                dataset=dataset,
                video_id=str(video),
                subject=str(subject),
                aus=aus,
                label_fraction=fraction,
                seed=seed,
                seconds=base.index.to_numpy(dtype=np.float64) / mine[0].fps,
                true=base[truth].to_numpy(),
                preds=preds,
            )
        )
    return out


def _rows(summary: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Records and baselines in the order of the tables: by dataset and fraction, the all-zero row last."""
    rows = [*summary["records"], *summary["baselines"]]

    def key(row: Mapping[str, Any]) -> tuple[str, float, tuple[int, str]]:
        arm_rank = (9, "") if row["arm"] == "mean" else _arm_rank(row["arm"])
        return row["dataset"], np.inf if row["label_fraction"] is None else row["label_fraction"], arm_rank

    return sorted(rows, key=key)


def flat(summary: Mapping[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Records and baselines as two long tables of numbers: one row each, and one row per action unit."""

    def ends(row: Mapping[str, Any], name: str) -> dict[str, float | None]:
        low, high = row[f"{name}_ci"] or (None, None)
        return {f"{name}_low": low, f"{name}_high": high}

    whole, per_au = [], []
    for row in _rows(summary):
        head = {name: row[name] for name in ("dataset", "arm", "label_fraction", "labelled_frames")}
        lists = {"seeds": " ".join(map(str, row["seeds"])), "undefined_aus": " ".join(row["undefined_aus"])}
        scores = {name: row[name] for name in METRICS} | {"icc_seed_sd": row["icc_seed_sd"]}
        intervals = ends(row, "icc") | ends(row, "mae") | ends(row, "mse")
        variants = {name: row.get(name) for name in VARIANTS if name != "icc"}
        whole.append(head | lists | scores | intervals | variants)
        for au, of_au in row["per_au"].items():
            scores = {name: of_au[name] for name in METRICS}
            per_au.append(head | {"au": au} | scores | ends(of_au, "icc") | ends(of_au, "mae") | ends(of_au, "mse"))
    return pd.DataFrame(whole), pd.DataFrame(per_au)


def percent(fraction: float | None) -> str:
    """A label fraction as a reader expects it, for example ``2%``."""
    return "–" if fraction is None else f"{100 * fraction:.4g}%"


def remarks(summary: Mapping[str, Any]) -> list[str]:
    """What a reader must know: unfinished runs, undefined values, uneven pools; a line each."""
    lines = [f"{name} left out: {outcome}" for name, outcome in summary["unfinished"].items()]
    lines += summary["warnings"]
    for record in summary["records"]:
        if aus := record["undefined_aus"]:
            where = f"{record['dataset']}, {record['arm']}, {percent(record['label_fraction'])} labels"
            lines.append(
                f"{where}: ICC undefined for {', '.join(aus)} (labels and predictions constant); "
                f"the mean is over the other action units"
            )
    return lines


def decimals(value: float | None) -> str:
    """A number as tables show it, with three decimals; a dash for None."""
    return "–" if value is None else f"{value:.3f}".replace("-0.000", "0.000")


def interval(ends: Sequence[float] | None) -> str:
    """The ends of an interval as tables show them; a dash for None."""
    return "–" if ends is None else f"[{decimals(ends[0])}, {decimals(ends[1])}]"


def p_value(value: float | None) -> str:
    """A p-value as tables show it."""
    return "<0.001" if value is not None and value < 0.0005 else decimals(value)


def level(summary: Mapping[str, Any]) -> str:
    """How tables call the intervals, for example ``95% interval``."""
    return f"{100 * summary['bootstrap']['level']:g}% interval"


def _head(summary: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, str]:
    """What the first cells of a row say: dataset, where there are several, labels and arm."""
    first = {"Dataset": row["dataset"]} if len(summary["datasets"]) > 1 else {}
    return first | {"Labels": percent(row["label_fraction"]), "Arm": LABELS.get(row["arm"], row["arm"])}


def tables(summary: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """The tables of the report by title, as text.

    The headline, arms side by side, each metric by action unit, ICC variants, the coverage of prediction intervals,
    and published numbers beside ours.
    """
    rows = _rows(summary)
    headline = [
        _head(summary, row)
        | {
            "Labelled frames": str(row["labelled_frames"]),
            "Seeds": str(len(row["seeds"]) or "–"),
            "ICC(3,1)": decimals(row["icc"]),
            level(summary): interval(row["icc_ci"]),
            "Seed sd": decimals(row["icc_seed_sd"]),
            "MAE": decimals(row["mae"]),
            "MSE": decimals(row["mse"]),
            "Pearson": decimals(row["pearson"]),
        }
        for row in rows
    ]
    out = {"Mean over action units": pd.DataFrame(headline)}
    same = [found for found in summary["comparisons"] if found["label_fraction"] == found["against"]["label_fraction"]]
    if same:
        out["Arms side by side"] = side_by_side(summary, same)
    for dataset in summary["datasets"]:
        of_dataset = f", {dataset}" if len(summary["datasets"]) > 1 else ""
        mine = [row for row in rows if row["dataset"] == dataset]
        for metric in ("icc", "mae", "mse"):
            lines = [
                {"Labels": percent(row["label_fraction"]), "Arm": LABELS.get(row["arm"], row["arm"])}
                | {au: decimals(of_au[metric]) for au, of_au in row["per_au"].items()}
                | {"Mean": decimals(row[metric])}
                for row in mine
            ]
            title = {"icc": "ICC(3,1)", "mae": "MAE", "mse": "MSE"}[metric]
            out[f"{title} by action unit{of_dataset}"] = pd.DataFrame(lines)
    variants = [
        _head(summary, row) | {"Convention": title, "ICC(3,1)": decimals(row[name])}
        for row in summary["records"]
        for name, title in VARIANTS.items()
    ]
    out["ICC(3,1) by other published conventions"] = pd.DataFrame(variants)
    if calibrated := [record for record in summary["records"] if record.get("coverage")]:
        aus = sorted({au for record in calibrated for au in record["coverage"]["per_au"]})
        out[INTERVALS] = pd.DataFrame(
            _head(summary, record)
            | {"Covered": decimals(record["coverage"]["share"]), "Mean width": decimals(record["coverage"]["width"])}
            | {au: decimals(record["coverage"]["per_au"].get(au, {}).get("share")) for au in aus}
            for record in calibrated
        )
    if summary.get("reference"):
        out["Beside published numbers"] = _beside(summary)
    return out


def side_by_side(summary: Mapping[str, Any], comparisons: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Some of the comparisons of a summary as a table of text."""
    lines = []
    for found in comparisons:
        against = found["against"]
        other = LABELS.get(against["arm"], against["arm"])
        if against["label_fraction"] != found["label_fraction"]:
            other += f", {percent(against['label_fraction'])}"
        lines.append(
            _head(summary, found)
            | {
                "Against": other,
                "ICC(3,1)": decimals(found["icc"]),
                "Its ICC": decimals(found["against_icc"]),
                "Difference": decimals(found["difference"]),
                level(summary): interval(found["difference_ci"]),
                "p": p_value(found["difference_p"]),
            }
        )
    return pd.DataFrame(lines)


def _beside(summary: Mapping[str, Any]) -> pd.DataFrame:
    """Our records and the rows of the reference, by dataset and label fraction, unknown fractions last."""
    published = summary["reference"]
    aus = sorted({au for row in published for au in row["per_au"]})
    ours = [
        row
        | {"source": f"ours: {LABELS.get(row['arm'], row['arm'])}"}
        | {"per_au": {au: of_au["icc"] for au, of_au in row["per_au"].items()}}
        for row in summary["records"]
    ]
    rows = [*ours, *published]
    rows.sort(key=lambda row: (row["dataset"], np.inf if row["label_fraction"] is None else row["label_fraction"]))
    lines = [
        ({"Dataset": row["dataset"]} if len(summary["datasets"]) > 1 else {})
        | {"Labels": percent(row["label_fraction"]), "Source": row["source"]}
        | {"ICC(3,1)": decimals(row["icc"]), "MAE": decimals(row["mae"]), "MSE": decimals(row["mse"])}
        | {f"ICC {au}": decimals(row["per_au"].get(au)) for au in aus}
        for row in rows
    ]
    return pd.DataFrame(lines)


def text_columns(table: pd.DataFrame) -> int:
    """Number of leading columns that hold names and are set flush left."""
    return sum(name in ("Dataset", "Labels", "Arm", "Against", "Convention", "Source") for name in table.columns)


def markdown(table: pd.DataFrame) -> str:
    """A table of text in Markdown, columns padded to read well as plain text."""
    cells = [[str(name) for name in table.columns], *table.astype(str).to_numpy().tolist()]
    cells = [[cell.replace("|", "\\|") for cell in row] for row in cells]
    widths = [max(len(row[i]) for row in cells) for i in range(len(table.columns))]
    left = text_columns(table)
    padded = [
        [cell.ljust(w) if i < left else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))]
        for row in cells
    ]
    rule = ["-" * w + ("-" if i < left else ":") for i, w in enumerate(widths)]
    lines = [f"| {' | '.join(row)} |" for row in padded]
    return "\n".join([lines[0], f"|-{'|-'.join(rule)}|", *lines[1:]]) + "\n"


_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "–": "--",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


def latex_escape(text: str) -> str:
    """Text as LaTeX prints it literally."""
    return "".join(_LATEX.get(sign, sign) for sign in text)


def latex(table: pd.DataFrame, caption: str) -> str:
    """A table of text as a LaTeX table; it needs the package booktabs."""
    left = text_columns(table)
    rows = [[str(name) for name in table.columns], *table.astype(str).to_numpy().tolist()]
    lines = [" & ".join(map(latex_escape, row)) for row in rows]
    body = " \\\\\n".join(lines[1:])
    return (
        "\\begin{table}\n\\centering\n\\small\n"
        f"\\caption{{{latex_escape(caption)}}}\n"
        f"\\begin{{tabular}}{{{'l' * left}{'r' * (len(table.columns) - left)}}}\n\\toprule\n"
        f"{lines[0]} \\\\\n\\midrule\n{body} \\\\\n\\bottomrule\n\\end{{tabular}}\n\\end{{table}}\n"
    )
