"""``metrics.csv`` in the run directory, kept across a resume."""

import csv
import io
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.loggers.csv_logs import ExperimentWriter

from aulight.data.sources.cells import read_text
from aulight.errors import AulightError
from aulight.files import whole


class _KeepingWriter(ExperimentWriter):
    """Goes on with the ``metrics.csv`` of an earlier part of the run instead of deleting it."""

    before_step: int = 0
    _begun = False

    def save(self) -> None:
        """Appends the rows that are new.

        Raises:
            AulightError: When the file is not there any more: rows that are gone would be missed by nobody.
        """
        path = Path(self.metrics_file_path)
        if self._begun and not path.is_file():
            raise AulightError(f"{path}: is gone while it is being written; give the same command again")
        super().save()
        self._begun = path.is_file()

    def _check_log_dir_exists(self) -> None:
        if Path(self.metrics_file_path).is_file():
            rows = self._rows()
            self.metrics_keys = sorted(rows[0]) if rows else []
            # rows from after the checkpoint come once more
            self._replace([row for row in rows if int(row["step"]) < self.before_step])

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        self._replace(self._rows())

    def _rows(self) -> list[dict[str, str]]:
        path = Path(self.metrics_file_path)
        reader = csv.DictReader(io.StringIO(read_text(path)))
        try:
            rows = [row for row in reader if row.get("step")]
            if any(len(row) > len(reader.fieldnames or ()) or not row["step"].isdecimal() for row in rows):
                raise csv.Error("a row does not fit its first")
        except csv.Error as error:
            raise AulightError(f"{path}: not as aulight writes it ({error}); take it out of the folder") from error
        return rows

    def _replace(self, rows: list[dict[str, str]]) -> None:
        with whole(Path(self.metrics_file_path)) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=self.metrics_keys)
            writer.writeheader()
            writer.writerows(rows)


class RunLogger(CSVLogger):
    """``metrics.csv`` in the run directory, kept across a resume.

    Args:
        folder: The run directory.
        before_step: Rows from this step on are dropped when resuming, since they will come again.
    """

    def __init__(self, folder: Path, before_step: int) -> None:
        super().__init__(str(folder.parent), name=folder.name, version="", flush_logs_every_n_steps=50)
        self._before_step = before_step

    @property
    def experiment(self) -> Any:
        """Lightning's writer."""
        if self._experiment is None:
            _KeepingWriter.before_step = self._before_step
            self._experiment = _KeepingWriter(log_dir=self.log_dir)
        return self._experiment

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: ``run.yaml`` has them."""
