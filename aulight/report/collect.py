"""The stage-two runs below a folder, and what they predicted."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from aulight.errors import AulightError
from aulight.facs import column
from aulight.runs.record import dotted


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
