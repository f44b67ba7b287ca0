"""The stage-two runs below a folder, and what they predicted."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from aulight.errors import AulightError
from aulight.facs import column
from aulight.foreign.parquet import checked
from aulight.foreign.yaml import read_yaml
from aulight.prediction.default import PORTRAITS
from aulight.report.records import Command
from aulight.runs.record import RECORD, FinetuneRecord, FinishedFinetune, OriginRecord, Record, complete, read_record

VALIDATION = "validation.parquet"
LABELS_USED = "labels_used.parquet"


BOXED = "the default model"
"""What stage two started from with ``pretrained=default``, in place of a stage one."""


@dataclass(frozen=True)
class Run:
    """A finished stage-two run.

    Attributes:
        path: The run directory.
        name: Its path relative to the folder that was searched.
        record: What its ``run.yaml`` says.
    """

    path: Path
    name: str
    record: FinishedFinetune

    @property
    def dataset(self) -> str:
        """The dataset's name."""
        return self.record.dataset.name

    @property
    def aus(self) -> tuple[str, ...]:
        """Columns of the predicted action units, for example ``AU01``."""
        return tuple(map(column, self.record.dataset.aus))

    @property
    def label_count(self) -> int | None:
        """How many labels were asked for; None where a share of them was."""
        asked = self.record.config.get("label_count")
        return asked if isinstance(asked, int) else None

    @property
    def validation_frames(self) -> int | None:
        """How many labelled frames of validation subjects chose the checkpoint; None where nobody knows."""
        if self.record.validation_frames is not None or not (self.path / VALIDATION).is_file():
            return self.record.validation_frames
        known = read_predictions(self, name=VALIDATION)[[f"{au}_true" for au in self.aus]].notna().any(axis=1)
        return int(known.sum())  # of a run of 0.1.0

    @property
    def stage_one(self) -> str | None:
        """Whose videos stage one learned from, or :data:`BOXED` and on what it was trained; None without either."""
        return None if self.record.stage_one is None else _told(self.record.stage_one)


def collect(runs: Path) -> tuple[list[Run], dict[str, str]]:
    """Finds the stage-two runs below a folder.

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
    for folder, name, record in _records(runs):
        if not isinstance(record, FinetuneRecord):
            continue
        if record.done:
            found.append(Run(folder, name, complete(record, FinishedFinetune, folder)))
        else:
            unfinished[name] = record.outcome or "unknown"
    if not found:
        others = f" ({len(unfinished)} unfinished)" if unfinished else ""
        raise AulightError(f"runs={runs}: no finished stage-two run below it{others}; run aulight finetune first")
    first = {run.dataset: run for run in reversed(found)}
    for run in found:
        other = first[run.dataset]
        if run.record.dataset.fingerprint != other.record.dataset.fingerprint:
            raise AulightError(
                f"{other.name} and {run.name} used different versions of dataset {run.dataset} "
                f"({other.record.dataset.fingerprint} and {run.record.dataset.fingerprint}): "
                "report them from separate folders"
            )
        if run.aus != other.aus:
            raise AulightError(
                f"{other.name} and {run.name} predict different action units of {run.dataset} "
                f"({' '.join(other.aus)} and {' '.join(run.aus)}): report them from separate folders"
            )
    return found, unfinished


def commands(runs: Path) -> list[Command]:
    """How each finished run below a folder was started, stage one first.

    Args:
        runs: Folder that :func:`collect` has read.
    """
    found = []
    for folder, name, record in _records(runs):
        if record.done:
            found.append((record.stage, Command(run=name, command=_typed(folder, record), git=record.git)))
    return [command for _, command in sorted(found, key=lambda item: item[0])]


def _records(runs: Path) -> Iterator[tuple[Path, str, Record]]:
    """Directory, name and record of each run, in the order of their paths."""
    for file in sorted(runs.rglob(RECORD)):
        folder = file.parent
        if (record := read_record(folder)) is not None:
            yield folder, folder.relative_to(runs).as_posix() if folder != runs else runs.resolve().name, record


def _typed(folder: Path, record: Record) -> str | None:
    """The command that has this one run again; None where Hydra kept no overrides."""
    try:
        overrides = read_yaml(folder / ".hydra/overrides.yaml")
        return shlex.join(["aulight", record.command, *map(str, overrides)])
    except (AulightError, TypeError):
        return None


def _told(origin: OriginRecord) -> str:
    if origin.dataset == PORTRAITS and not origin.own_frames:
        return f"{BOXED}, trained on labelled rendered faces of {origin.subjects:,} people"
    if not origin.own_frames:
        return f"{origin.dataset} ({origin.subjects} subjects)"
    others = f" and {origin.unlabelled_subjects} unlabelled subjects" if origin.unlabelled_subjects else ""
    return f"the training folds' own frames without labels{others}"


def read_predictions(run: Run, videos: Sequence[str] | None = None, name: str = "predictions.parquet") -> pd.DataFrame:
    """Reads what a run predicted for the test subjects, or in :data:`VALIDATION` for those that validated it.

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
        table = pd.read_parquet(checked(file), columns=["video_id", "subject", "frame", *values], filters=chosen)
    except FileNotFoundError as error:
        raise AulightError(f"{run.name}: finished, but has no {name}; run it again") from error
    except (OSError, ValueError) as error:  # pyarrow's errors are of these two kinds
        raise AulightError(f"{file}: {' '.join(str(error).split())[:150]}; run it again") from error
    if twice := table.loc[table.duplicated(["video_id", "frame"]), ["video_id", "frame"]].to_numpy().tolist():
        raise AulightError(f"{file}: video {twice[0][0]} has frame {twice[0][1]} twice; run it again")
    for value in values:
        table[value] = table[value].to_numpy(dtype=np.float64, na_value=np.nan)
        if value.endswith("_pred") and not np.isfinite(table[value]).all():
            raise AulightError(f"{file}: {value} is not finite everywhere; the run diverged; leave it out")
    return table


def read_labels_used(run: Run) -> pd.DataFrame | None:
    """The labels that a run of stage two learned from, a row a frame and a column an AU; ``None`` where none were kept.

    Raises:
        AulightError: When the file is unreadable or lacks a column.
    """
    file = run.path / LABELS_USED
    if not file.is_file():
        return None
    try:
        table = pd.read_parquet(checked(file), columns=list(run.aus))
        return table.astype("Float64")
    except (OSError, ValueError, TypeError) as error:
        raise AulightError(f"{file}: {' '.join(str(error).split())[:150]}; run it again") from error
