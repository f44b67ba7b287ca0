"""Whether there is a model at all, which is told before torch is imported."""

from pathlib import Path

from aulight.errors import AulightError
from aulight.prediction.default import default_model
from aulight.runs.record import RECORD
from aulight.settings.model import DEFAULT


def check_there(model: str | Path) -> Path:
    """Where a model is.

    Args:
        model: A run directory or a file, as a user gives it, or ``default`` for the one in the box.

    Raises:
        AulightError: When there is none.
    """
    if str(model) == DEFAULT:
        return default_model()
    path = Path(model).expanduser()
    try:
        folder, file = path.is_dir(), path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        folder = file = False
    if folder and not (path / RECORD).is_file():
        raise AulightError(f"{path}: not a run directory ({RECORD} is missing); give one of `aulight finetune`")
    if not folder and not file:
        raise AulightError(
            f"{path}: no such model; give a run directory of `aulight finetune` or a file of `aulight export`"
        )
    return path
