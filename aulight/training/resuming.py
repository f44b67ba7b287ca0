"""What a run goes on from: a checkpoint of stage one, or its own last one."""

import math
import os
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins import TorchCheckpointIO
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from torch import Tensor

from aulight.datasets import DIGITS
from aulight.errors import AulightError, one_line, shorten, shown
from aulight.files import whole
from aulight.foreign.checkpoint import read_checkpoint
from aulight.nets.encoder import Encoder
from aulight.nets.finite import not_finite
from aulight.protocol import TrainedOn
from aulight.runs.ahead import checkpoint_of
from aulight.settings.model import NetworkSettings

Plain = dict[str, Any]
"""As torch and Lightning keep it."""


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
    file = checkpoint_of(path)
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
    if not _says_what(trained_on):
        raise AulightError(f"pretrained={file}: what it says of the videos it saw is damaged; run stage one again")
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


def _says_whose(trained_on: Plain) -> TypeGuard[TrainedOn]:
    subjects = trained_on.get("subjects")
    names = [trained_on.get("dataset"), *subjects] if isinstance(subjects, list) and subjects else [None]
    return all(isinstance(name, str) for name in names)


def _says_what(trained_on: Any) -> bool:
    """Whether it says what was in the videos, or nothing of it as those of an earlier aulight, but nothing odd."""
    collection, contents = trained_on.get("collection", ""), trained_on.get("contents", [""])
    whole = isinstance(contents, str) and contents.isascii() and len(contents) % DIGITS == 0
    if isinstance(contents, list):
        whole = all(isinstance(content, str) and content.isascii() for content in contents)
    steps = trained_on.get("steps_s", [1.0, 1.0])
    timed = isinstance(steps, list) and len(steps) == 2 and all(isinstance(step, float) and step > 0 for step in steps)
    return isinstance(collection, str) and bool(contents) and whole and timed


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
    """Writes beside the checkpoint and renames, and reads it where it is now.

    Lightning's own way to write goes through the system's temporary folder, which is a copy, not a rename, where that
    is on another file system; and of a run whose folder has been moved it forgets which checkpoint was the best.
    """

    def load_checkpoint(self, path: Any, *arguments: Any, **options: Any) -> Plain:
        """Reads it, with other checkpoints of the run that it tells of beside it."""
        checkpoint: Plain = super().load_checkpoint(path, *arguments, **options)
        here = Path(path).resolve().parent
        for state in checkpoint.get("callbacks", {}).values():
            if "dirpath" in state:
                paths = {key: _beside(here, state[key]) for key in state if key.endswith("_path")}
                bests = {_beside(here, best): score for best, score in state["best_k_models"].items()}
                state |= paths | {"best_k_models": bests, "dirpath": str(here)}
        return checkpoint

    def save_checkpoint(self, checkpoint: Plain, path: Any, storage_options: Any = None) -> None:
        """Writes it whole."""
        path = Path(path)
        with whole(path) as temporary:
            try:
                torch.save(checkpoint, temporary)
            except RuntimeError as error:  # torch's word for a disk that is full
                with temporary.open("ab", buffering=0) as file:
                    file.write(bytes(1 << 20))  # the system's own
                    os.fsync(file.fileno())
                raise AulightError(f"{path}: cannot be written ({one_line(error)})") from error


def _beside(here: Path, path: str) -> str:
    return str(here / Path(path).name) if path else path


class Best(ModelCheckpoint):
    """The checkpoint with the best ICC on validation subjects, which training tells after each validation.

    While the ICC is not defined, the last network is kept; Lightning would keep the first. Its state in a checkpoint
    has the name that it had when it was Lightning's own.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(
            folder, "best", "val/icc", mode="max", save_on_train_epoch_end=False, enable_version_counter=False
        )

    @property
    def state_key(self) -> str:
        """As Lightning's own."""
        return super().state_key.replace(type(self).__qualname__, ModelCheckpoint.__qualname__, 1)

    def check_monitor_top_k(self, trainer: pl.Trainer, current: Tensor | None = None) -> bool:
        """Whether a network is to be kept in the place of the one before."""
        better = super().check_monitor_top_k(trainer, current)
        return better or (self.score is None and current is not None and bool(current.isnan()))

    @property
    def score(self) -> float | None:
        """The best ICC; ``None`` where it was never defined."""
        score = -math.inf if self.best_model_score is None else float(self.best_model_score)
        return None if score == -math.inf else score  # Lightning's word for NaN


class Reseed(Callback):
    """Makes torch's random numbers depend on (seed, epoch), so that a resumed epoch draws what it would have drawn."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Seeds torch."""
        torch.manual_seed(self.seed * 1_000_003 + trainer.current_epoch * 1009 + trainer.global_rank)


class LastMetrics(Callback):
    """Keeps the last metrics in the checkpoint: a run that was killed after its last step has them still."""

    def __init__(self) -> None:
        self._saved: dict[str, float] = {}

    def of(self, trainer: pl.Trainer) -> dict[str, float]:
        """The last metrics that were logged, be it before the run was resumed."""
        return self._saved | {key: float(value) for key, value in trainer.callback_metrics.items()}

    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: Plain) -> None:
        """Puts them in."""
        checkpoint["metrics"] = self.of(trainer)

    def on_load_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: Plain) -> None:
        """Takes them out."""
        self._saved = dict(checkpoint.get("metrics", {}))


def step_of(checkpoint: Path) -> int:
    """The optimiser step of a checkpoint.

    Raises:
        AulightError: When it is damaged.
    """
    try:
        return read_checkpoint(checkpoint).step
    except AulightError as error:
        raise AulightError(f"{error}; move the run directory away, or run it under another name=") from error
