"""The run directory: what a run was, how it ended, and whether the same command has anything left to do."""

import functools
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from aulight.data.opening import open_dataset
from aulight.data.remembered import remembered
from aulight.errors import AulightError, reason, say
from aulight.files import alone, remove_leftovers, sha256, write_table
from aulight.foreign.yaml import write_yaml
from aulight.runs.ahead import meant_by
from aulight.runs.compared import differences
from aulight.runs.former import AUGMENTED, WEIGHED, formerly_augmented, formerly_weighed
from aulight.runs.machine import git_revision, is_first, peak_gpu_mb, peak_rss_mb, versions
from aulight.runs.record import ADVICE, LAST, RECORD, FinetuneRecord, PretrainRecord, Record, RunRecord, read_record
from aulight.settings.commands import settings_of
from aulight.settings.finetune import FinetuneSettings
from aulight.settings.group import CHANGES_NO_RESULT, is_url
from aulight.settings.model import DEFAULT, NetworkSettings
from aulight.settings.training import TrainingSettings
from aulight.settings.walk import marked

if TYPE_CHECKING:
    import pandas as pd

RECORDS: dict[str, type[Record]] = {"pretrain": PretrainRecord, "finetune": FinetuneRecord}

PSEUDO = "pseudo_labels.parquet"
"""Of stage two as well, where finished runs are its teachers."""

TABLES = ("labels_used.parquet", PSEUDO, "validation.parquet", "predictions.parquet", LAST)
"""Of stage two, in the run directory."""


class Run:
    """One run directory. As a context manager it records the outcome, whatever that is, in ``run.yaml``.

    Args:
        folder: The directory; may hold an earlier part of the same run.
        command: ``pretrain`` or ``finetune``.
        config: The settings as plain containers.
        typed: Those of them that were typed, as ``key=value``. On top of stage one the network is the checkpoint's,
            whatever the settings say; only one that was typed must be that of the run. The same goes for the weights of
            candidates in a stage one of an earlier aulight, and for what augments frames.

    Attributes:
        folder: The directory.
        checkpoints: Where its checkpoints are.
        record: What ``run.yaml`` holds.

    Raises:
        AulightError: When the directory holds a run with other settings that is done, is running or has a checkpoint.
    """

    def __init__(self, folder: Path, command: str, config: Mapping[str, Any], typed: Sequence[str] = ()) -> None:
        self.folder = folder
        self.checkpoints = folder / "checkpoints"
        self._machines: int = config.get("trainer", {}).get("num_nodes", 1)
        self.record: Record = RECORDS[command](command=command, config=dict(config), wall_s=0.0)
        earlier = read_record(folder)
        if earlier is None and self.is_first:  # another process may find what the first has just begun
            _refuse_foreign(folder)
        follows = config.get("pretrained") is not None and not typed_network(typed)
        if earlier is not None:
            if "config" not in earlier.model_fields_set:
                raise AulightError(f"{folder / RECORD}: not the record of a run; {ADVICE}")
            weighed = formerly_weighed(earlier.config, typed)
            augmented = formerly_augmented(earlier.config, typed)
            kept = [
                *(["model"] if follows else []),
                *(WEIGHED if weighed else []),
                *([AUGMENTED] if augmented else []),
            ]
            same_start = _same_start(earlier, config.get("pretrained"))
            if same_start:
                kept.append("pretrained")  # wherever it is now
            differing = differences(earlier.config, config, (*_free(command), *kept))
            got_nowhere = self.last is None and str(earlier.outcome).startswith(("failed", "interrupted"))
            if got_nowhere and (differing or weighed or augmented):
                return  # a second try with a setting put right
            if same_start is False and (earlier.done or self.last is not None):
                raise AulightError(
                    f"{folder}: was built on another stage one than {config['pretrained']} is now; give another name="
                )
            if differing:
                raise AulightError(
                    f"{folder}: holds a run with other settings ({'; '.join(differing[:4])}); give another name="
                )
            if follows:
                config = {**config, "model": earlier.config.get("model", config["model"])}
            if weighed:
                config = {**config, "objective": earlier.config["objective"]}
            if augmented:
                config = {**config, "augment": earlier.config["augment"]}
            self.record = earlier.updated(config=dict(config))

    @classmethod
    def begin(cls, folder: Path, settings: TrainingSettings, typed: Sequence[str] = ()) -> "Run":
        """The run of some settings; says so when it is done.

        Args:
            folder: The directory.
            settings: Of the command.
            typed: Settings as they were typed.

        Raises:
            AulightError: As for the class, and when it was done on another version of the dataset.
        """
        command = "finetune" if isinstance(settings, FinetuneSettings) else "pretrain"
        run = cls(folder, command, settings.model_dump(exclude_unset=True), typed)
        if run.done:
            if run.is_first:
                _remove_leftovers(folder)
            if is_url(settings.data.root) or Path(settings.data.root).expanduser().exists():
                run.check_data(open_dataset(settings.data).fingerprint)
            run.say(f"already done ({run.folder})")
        return run

    def build_on(self, network: NetworkSettings) -> None:
        """Puts the network of the checkpoint that the run builds on in the place of that of the settings."""
        config = {**self.record.config, "model": network.model_dump()}
        self.record = self.record.updated(config=config)

    def say(self, text: str) -> None:
        """Prints a line that begins with the run's name, once however many processes the run has."""
        if self.is_first:
            say(f"{self.record.name}: {text}")

    @property
    def is_first(self) -> bool:
        """Whether this is the process of the run that writes and speaks: the only one, or the first of all."""
        return is_first(self._machines)

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return self.record.done

    @property
    def last(self) -> Path | None:
        """The checkpoint to resume from, if there is one."""
        path = self.checkpoints / "last.ckpt"
        return path if path.is_file() else None

    def check_data(self, fingerprint: str) -> None:
        """Refuses to go on with a run on other data, or to take it for done.

        Raises:
            AulightError: When the run was begun on another version of the dataset.
        """
        before = fingerprint if self.record.dataset is None else self.record.dataset.fingerprint
        if before != fingerprint and (self.done or self.last is not None):
            raise AulightError(
                f"{self.folder}: was {'done' if self.done else 'begun'} on another version of the dataset, with other "
                f"labels, subjects or videos ({before}, now {fingerprint}); give another name="
            )

    def __enter__(self) -> Self:
        if self.is_first:
            self._alone = ExitStack()
            self.folder.mkdir(parents=True, exist_ok=True)
            taken = f"{self.folder}: another process is at work on this run"
            self._alone.enter_context(alone(self.folder / RECORD, taken))
            _remove_leftovers(self.folder)
        self._start, self._before = time.monotonic(), self.record.wall_s
        self.update(outcome="running", versions=versions(), git=git_revision())
        return self

    def update(self, **fields: Any) -> None:
        """Sets fields of ``run.yaml``, which is replaced as a whole; they may be plain."""
        self.record = self.record.updated(
            wall_s=round(self._before + time.monotonic() - self._start, 1),
            peak_rss_mb=max(peak_rss_mb(), self.record.peak_rss_mb or 0),
            peak_gpu_mb=peak_gpu_mb(),
            **fields,
        )
        if self.is_first:
            write_yaml(self.record.plain(), self.folder / RECORD)

    def write_table(self, table: "pd.DataFrame", name: str) -> None:
        """Writes a table into the directory, by the first process of the run alone."""
        if self.is_first:
            write_table(table, self.folder / name)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            outcome = "done"
        elif issubclass(kind, Exception):
            outcome = f"failed: {reason(error or kind())}"
        else:
            outcome = "interrupted"
        try:
            self.update(outcome=outcome)
        except OSError:
            if kind is None:
                raise  # else a full disk, perhaps, of which the first error tells more
        finally:
            if self.is_first:
                self._alone.close()
        if outcome == "interrupted":  # by Ctrl-C, which Lightning turns into SystemExit
            raise KeyboardInterrupt from error


def _same_start(earlier: RunRecord, pretrained: str | None) -> bool | None:
    """Whether a run was built on the checkpoint that is there now, by its content; ``None`` where that is not known."""
    if not isinstance(earlier, FinetuneRecord) or earlier.stage_one_sha256 is None or pretrained is None:
        return None
    file = meant_by(Path(pretrained))
    if pretrained == DEFAULT or not file.is_file():
        return None
    return remembered(file.absolute(), sha256) == earlier.stage_one_sha256  # many runs of a sweep ask for one


def _refuse_foreign(folder: Path) -> None:
    """Refuses a folder with files that a run would write over, and that no run has written."""
    for name in (RECORD, "metrics.csv", *TABLES, "checkpoints"):
        if os.path.lexists(folder / name):
            raise AulightError(f"{folder / name}: there already, and no run of aulight; give another name=")


def _remove_leftovers(folder: Path) -> None:
    for place in (folder, folder / "checkpoints"):
        remove_leftovers(place)
    (folder / ".lock").unlink(missing_ok=True)  # of 0.1.0


def typed_network(typed: Sequence[str]) -> list[str]:
    """Those of the typed settings that ask for a network."""
    asked = (setting.lstrip("+") for setting in typed)
    return [setting for setting in asked if setting.startswith(("model=", "model."))]


@functools.cache
def _free(command: str) -> tuple[str, ...]:
    """Names of the settings that may differ between a run and its continuation, since they change no result."""
    return marked(settings_of(command), CHANGES_NO_RESULT)
