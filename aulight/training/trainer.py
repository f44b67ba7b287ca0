"""Lightning's Trainer as both stages use it, and the process that it runs in."""

import logging
import os
import warnings
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.accelerators import CPUAccelerator
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from pytorch_lightning.loggers import Logger

from aulight.errors import AulightError, one_line
from aulight.runs.run import Run
from aulight.training.logs import RunLogger
from aulight.training.progress import Progress
from aulight.training.resuming import AtomicCheckpoints, Reseed, step_of

AUTO = "AULIGHT_AUTO_PRECISION"
"""Environment variable with what ``trainer.precision=auto`` takes, ``32`` or ``bf16-mixed``, whatever the hardware."""


class Layout(Callback):
    """How the backbone lies in memory, and whether it is compiled; neither changes what a checkpoint holds.

    Args:
        channels_last: Whether the channels of a place lie side by side.
        compiled: Whether torch compiles it.
    """

    def __init__(self, channels_last: bool, compiled: bool) -> None:
        self.channels_last, self.compiled = channels_last, compiled
        self._done = False

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Lays the encoder out, before training and not again before the tests that follow it."""
        if not self._done:
            encoder: Any = pl_module.encoder
            encoder.lay_out(self.channels_last)
            if self.compiled:
                encoder.backbone.compile()
        self._done = True


def make_trainer(
    run: Run,
    trainer: dict[str, Any],
    name: str,
    seed: int,
    epochs: int,
    progress_s: float,
    callbacks: list[Callback],
    tracker: Logger | None = None,
) -> pl.Trainer:
    """Lightning's Trainer with this project's checkpoints, logs and progress lines.

    Args:
        run: Where everything goes.
        trainer: Arguments of ``pl.Trainer``, and ``channels_last`` and ``compile`` of :class:`Layout`;
            ``precision: auto`` is that of :func:`auto_precision`.
        name: Of the run, for progress lines.
        seed: Of the run.
        epochs: Epochs of the run.
        progress_s: Seconds between progress lines.
        callbacks: Further callbacks.
        tracker: A logger beside ``metrics.csv``.

    Raises:
        AulightError: For arguments that the Trainer refuses, or a damaged checkpoint to go on from.
    """
    settings = dict(trainer)
    layout = Layout(settings.pop("channels_last"), settings.pop("compile"))
    if settings.get("precision") == "auto":
        settings["precision"] = auto_precision(settings["accelerator"])
    run.checkpoints.mkdir(parents=True, exist_ok=True)
    last = ModelCheckpoint(run.checkpoints, "last", save_on_train_epoch_end=True, enable_version_counter=False)
    before = 0 if run.last is None else step_of(run.last)
    _quiet()
    try:
        made = pl.Trainer(
            **settings,
            max_epochs=epochs,
            logger=[RunLogger(run.folder, before), *([] if tracker is None else [tracker])],
            callbacks=[*callbacks, last, layout, Reseed(seed), Progress(name, progress_s)],
            default_root_dir=run.folder,
            plugins=[AtomicCheckpoints()],
            use_distributed_sampler=False,  # the samplers here know their rank
            num_sanity_val_steps=0,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
    except (RuntimeError, TypeError, ValueError, MisconfigurationException) as error:
        raise AulightError(f"trainer: {one_line(error)}") from error
    if isinstance(made.accelerator, CPUAccelerator) and str(settings["precision"]).startswith("16"):
        raise AulightError("trainer.precision=16-mixed: a CPU does not compute in float16; use bf16-mixed or 32")
    return made


def auto_precision(accelerator: str) -> str:
    """What ``trainer.precision=auto`` is here: bf16-mixed where the hardware computes in it, else 32-true.

    Args:
        accelerator: ``auto``, ``cpu`` or ``gpu``.

    Raises:
        AulightError: When :data:`AUTO` is no such precision.
    """
    given = os.environ.get(AUTO)
    if not given:
        return "bf16-mixed" if _has_bf16(accelerator) else "32-true"
    if given not in ("32", "bf16-mixed"):
        raise AulightError(f"{AUTO}={given}: 32 or bf16-mixed is needed")
    return "32-true" if given == "32" else given


def accumulated(trainer: dict[str, Any]) -> int:
    """Batches whose gradients make a step.

    Raises:
        AulightError: When it is no such number.
    """
    batches = trainer["accumulate_grad_batches"]
    if not isinstance(batches, int) or isinstance(batches, bool) or batches < 1:
        raise AulightError(f"trainer.accumulate_grad_batches={batches}: a whole number from 1 on is needed")
    return batches


def prepare_process(threads: int | None, seed: int) -> None:
    """Settings of the whole process: threads, flushing of denormal numbers, seeds.

    Args:
        threads: Threads of torch on the CPU; ``None`` leaves torch's choice.
        seed: Of the network's first weights.
    """
    if threads:
        torch.set_num_threads(threads)
    torch.set_flush_denormal(True)  # features near 0 make evaluation on a CPU ten times slower otherwise
    torch.manual_seed(seed)


def whole_epochs(steps: int, steps_per_epoch: int) -> int:
    """Epochs of a run.

    Raises:
        AulightError: When the steps do not fill them.
    """
    epochs, rest = divmod(steps, steps_per_epoch)
    if rest or not epochs:
        raise AulightError(f"steps={steps}: a multiple of steps_per_epoch={steps_per_epoch} is needed")
    return epochs


def _has_bf16(accelerator: str) -> bool:
    if accelerator != "cpu" and torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu.get_capabilities().get("avx512_bf16", False))


def _quiet() -> None:
    """Silences what Lightning says about itself and choices that are meant here."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    for pattern in (
        ".*does not have many workers.*",
        ".*Checkpoint directory .* exists and is not empty.*",
        ".*Your `IterableDataset` has `__len__` defined.*",
        ".*The number of training batches .* is smaller than the logging interval.*",
        ".*isinstance.treespec, LeafSpec.. is deprecated.*",
        ".*Trying to infer the `batch_size`.*",
        ".*AMP with fp16 is not supported on CPU.*",  # said by make_trainer
        ".*The `srun` command is available on your system but is not used.*",
        ".*It is recommended to use `self.log.'probe/icc', .*",  # the first process alone computes it
    ):
        warnings.filterwarnings("ignore", pattern)
