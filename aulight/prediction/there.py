"""Whether there is a model at all, which is told before torch is imported."""

from pathlib import Path

from aulight.errors import AulightError
from aulight.runs.record import RECORD


def check_there(model: str | Path) -> Path:
    """Where a model is.

    Args:
        model: A run directory or a file, as a user gives it.

    Raises:
        AulightError: When there is none.
    """
    path = Path(model).expanduser()
    if path.is_dir() and not (path / RECORD).is_file():
        raise AulightError(f"{path}: not a run directory ({RECORD} is missing); give one of `aulight finetune`")
    if not path.is_dir() and not path.is_file():
        raise AulightError(
            f"{path}: no such model; give a run directory of `aulight finetune` or a file of `aulight export`"
        )
    return path
