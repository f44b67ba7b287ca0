"""What a run goes on from: a checkpoint of stage one, or its own last one."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins import TorchCheckpointIO
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from aulight.errors import AulightError, one_line
from aulight.files import whole
from aulight.nets.encoder import Encoder
from aulight.nets.finite import not_finite
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
        saved = torch.load(file, map_location="cpu", weights_only=True)
        if not isinstance(saved, dict):
            raise TypeError
        settings = saved["hyper_parameters"]
        network = NetworkSettings(**settings["encoder"])
        prefix = "encoder."
        weights = {k.removeprefix(prefix): v for k, v in saved["state_dict"].items() if k.startswith(prefix)}
    except Exception as error:
        reason = type(error).__name__
        raise AulightError(f"pretrained={file}: not a checkpoint of `aulight pretrain` ({reason})") from error
    if "objective" not in settings:
        raise AulightError(f"pretrained={file}: a checkpoint of `aulight finetune`; give one of `aulight pretrain`")
    if not settings.get("trained_on"):
        raise AulightError(f"pretrained={file}: does not say whose videos it was trained on; run stage one again")
    return StageOne(network, weights, settings["trained_on"], file)


def load_encoder(encoder: Encoder, weights: dict[str, Tensor], source: Path) -> None:
    """Loads weights strictly.

    Raises:
        AulightError: When they do not fit, naming what does not.
    """
    if (name := not_finite(weights)) is not None:
        raise AulightError(f"pretrained={source}: its weight {name} is not finite; run stage one again, to its end")
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
            try:
                torch.save(checkpoint, temporary)
            except RuntimeError as error:  # torch's word for a disk that is full
                with temporary.open("ab", buffering=0) as file:
                    file.write(bytes(1 << 20))  # the system's own
                    os.fsync(file.fileno())
                raise AulightError(f"{path}: cannot be written ({one_line(error)})") from error


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
        return int(torch.load(checkpoint, map_location="cpu", weights_only=True)["global_step"])
    except Exception as error:
        raise AulightError(f"{checkpoint}: damaged ({type(error).__name__}); remove the run directory") from error
