"""Reads a model, wherever it is kept."""

from pathlib import Path

import safetensors
import safetensors.torch

from aulight.errors import AulightError, one_line, shown
from aulight.prediction.description import ModelDescription
from aulight.prediction.model import Model
from aulight.prediction.network import build
from aulight.prediction.of_run import of_checkpoint, of_run
from aulight.prediction.onnx import of_onnx
from aulight.prediction.seal import check_seal
from aulight.prediction.there import check_there


def load(path: str | Path) -> Model:
    """Reads a trained model.

    Args:
        path: A run directory of ``aulight finetune`` (its best checkpoint is taken), a checkpoint inside one, or what
            ``aulight export`` wrote: ``model.aulight`` or ``model.onnx``; ``default`` is the model in the box.

    Raises:
        AulightError: When there is no model, it is not finished, is damaged, or is of a newer aulight.
    """
    path = check_there(path)
    if path.is_dir():
        return of_run(path)
    if path.suffix == ".ckpt":
        return of_checkpoint(path, path.resolve().parent.parent)
    return of_onnx(path) if path.suffix == ".onnx" else of_file(path)


def of_file(path: Path) -> Model:
    """The model of a ``.aulight`` file.

    Raises:
        AulightError: When it is damaged, not one, or of a newer format.
    """
    check_seal(path)
    try:
        with safetensors.safe_open(path, "pt") as file:
            about = ModelDescription.read((file.metadata() or {}).get("aulight"), path)
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no dict
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError, OverflowError) as error:
        told = shown(one_line(error), 200)
        raise AulightError(f"{path}: not as `aulight export` writes it ({told}); export it again") from error
    return build(about, weights, path)
