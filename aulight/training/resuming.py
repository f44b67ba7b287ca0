"""What a run goes on from: a checkpoint of stage one, or its own last one."""

from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins import TorchCheckpointIO
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from aulight.errors import AulightError, shorten, shown
from aulight.files import whole
from aulight.foreign.checkpoint import read_checkpoint
from aulight.nets.encoder import Encoder
from aulight.protocol import TrainedOn
from aulight.settings.model import NetworkSettings


class StageOne(NamedTuple):
    """What stage two takes from a checkpoint of stage one.

    Attributes:
        network: What it is.
        weights: Of the encoder.
        trained_on: Name of the ``dataset`` and ``subjects`` that it saw.
        file: The checkpoint.
    """

    network: NetworkSettings
    weights: dict[str, Tensor]
    trained_on: TrainedOn
    file: Path


def read_stage_one(path: Path) -> StageOne:
    """Reads a checkpoint of stage one.

    Args:
        path: The checkpoint, or a run directory that has ``checkpoints/last.ckpt``.

    Raises:
        AulightError: When there is no such file, it is not a checkpoint of stage one, or does not say what it saw.
    """
    file = path / "checkpoints" / "last.ckpt" if path.is_dir() else path
    if not file.is_file():
        raise AulightError(f"pretrained={path}: no checkpoint at {file}; give a stage-one run directory or .ckpt file")
    try:
        saved = read_checkpoint(file)
    except AulightError as error:
        raise AulightError(f"pretrained={error}; give one of `aulight pretrain`") from error
    prefix = "encoder."
    weights = {k.removeprefix(prefix): v for k, v in saved.weights.items() if k.startswith(prefix)}
    if "objective" not in saved.settings:
        raise AulightError(f"pretrained={file}: a checkpoint of `aulight finetune`; give one of `aulight pretrain`")
    trained_on = saved.settings.get("trained_on")
    if not isinstance(trained_on, dict) or not _says_whose(trained_on):
        raise AulightError(f"pretrained={file}: does not say whose videos it was trained on; run stage one again")
    _check_fit(saved.network, weights, file)
    return StageOne(saved.network, weights, trained_on, file)


def _check_fit(network: NetworkSettings, weights: dict[str, Tensor], file: Path) -> None:
    """Refuses a checkpoint whose network is none of its weights, before memory is taken for what it claims."""
    try:
        with torch.device("meta"):
            claimed = Encoder(network).state_dict()
    except (RuntimeError, TypeError) as error:
        raise AulightError(f"pretrained={file}: no encoder can be built of it ({shown(error, 200)})") from error
    names = sorted(claimed.keys() | weights.keys())
    others = [
        name for name in names if getattr(claimed.get(name), "shape", 0) != getattr(weights.get(name), "shape", 1)
    ]
    if others:
        raise AulightError(f"pretrained={file}: does not fit its encoder: {shorten(map(shown, others), 3)}")


def _says_whose(trained_on: dict[str, Any]) -> TypeGuard[TrainedOn]:
    subjects = trained_on.get("subjects")
    names = [trained_on.get("dataset"), *subjects] if isinstance(subjects, list) and subjects else [None]
    return all(isinstance(name, str) for name in names)


def load_encoder(encoder: Encoder, weights: dict[str, Tensor], source: Path) -> None:
    """Loads weights strictly.

    Raises:
        AulightError: When they do not fit, naming what does not.
    """
    try:
        encoder.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        raise AulightError(f"pretrained={source}: does not fit its encoder: {' '.join(str(error).split())}") from error


class AtomicCheckpoints(TorchCheckpointIO):
    """Writes beside the checkpoint and renames.

    Lightning's own way goes through the system's temporary folder, which is a copy, not a rename, where that is on
    another file system.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Writes it whole."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as temporary:
            torch.save(checkpoint, temporary)


class Reseed(Callback):
    """Makes torch's random numbers depend on (seed, epoch), so that a resumed epoch draws what it would have drawn."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Seeds torch."""
        torch.manual_seed(self.seed * 1_000_003 + trainer.current_epoch * 1009 + trainer.global_rank)


def step_of(checkpoint: Path) -> int:
    """The optimiser step of a checkpoint.

    Raises:
        AulightError: When it is damaged.
    """
    try:
        return read_checkpoint(checkpoint).step
    except AulightError as error:
        raise AulightError(f"{error}; move the run directory away, or run it under another name=") from error
