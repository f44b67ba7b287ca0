"""What both training commands need around Lightning's Trainer: progress, logs, checkpoints, resuming."""

import csv
import logging
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins import TorchCheckpointIO
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.accelerators import CPUAccelerator
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger, Logger
from pytorch_lightning.loggers.csv_logs import ExperimentWriter

from aulight.errors import AulightError, one_line
from aulight.runs import Run


class Progress(Callback):
    """Prints a line every few seconds (it stays readable with several jobs side by side) and logs the speed.

    ``frames/s`` counts frames through the encoder; ``data wait`` is the share of time spent waiting for the loader.

    Args:
        name: What the lines begin with.
        every_s: Seconds between lines.
    """

    def __init__(self, name: str, every_s: float) -> None:
        self.name, self.every_s = name, every_s

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the clocks."""
        self._begin = self._printed = self._mark = time.monotonic()
        self._first_step = trainer.global_step
        self._frames, self._wait = 0, 0.0
        if self._first_step:
            self._say(trainer, f"resumed at step {self._first_step}")

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: dict[str, Any], batch_idx: int
    ) -> None:
        """Notes how long the batch was waited for, and how many frames it has."""
        self._wait += time.monotonic() - self._mark
        # what this step uses: the schedule moves on in it
        self._rates = [group["lr"] for group in trainer.optimizers[0].param_groups]
        shape = batch["clips"].shape
        self._frames += shape[:-3].numel() * trainer.world_size  # all but C, H, W or H, W, C

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: dict[str, Any],
        batch_idx: int,
    ) -> None:
        """Logs and, from time to time, prints."""
        now = self._mark = time.monotonic()
        elapsed = max(now - self._begin, 1e-9)
        speed, wait = self._frames / elapsed, self._wait / elapsed
        pl_module.log_dict({"speed/frames_per_s": speed, "speed/data_wait": wait}, batch_size=1)
        pl_module.log("lr", self._rates[-1], batch_size=1)
        if len(self._rates) > 1:
            pl_module.log("lr_encoder", self._rates[0], batch_size=1)
        step, total = trainer.global_step, trainer.estimated_stepping_batches
        if now - self._printed >= self.every_s or step == total:
            self._printed = now
            left = elapsed / max(step - self._first_step, 1) * (total - step)
            values = trainer.callback_metrics
            shown = [f"{key.split('/')[1]} {values[key]:.3f}" for key in _SHOWN if key in values]
            self._say(
                trainer,
                f"step {step}/{int(total)}, {', '.join(shown)}, {speed:.0f} frames/s, data wait {wait:.0%}, "
                f"{duration(left)} left",
            )

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Time spent on validation is neither training nor waiting."""
        if not trainer.sanity_checking and hasattr(self, "_mark"):
            gone = time.monotonic() - self._mark
            self._begin += gone
            self._mark += gone

    def _say(self, trainer: pl.Trainer, text: str) -> None:
        if trainer.is_global_zero:
            print(f"{self.name}: {text}", flush=True)


_SHOWN = ("train/loss", "train/instance_top1_same", "train/predictive_top1_same", "probe/icc", "val/icc")


class _KeepingWriter(ExperimentWriter):
    """Goes on with the ``metrics.csv`` of an earlier part of the run instead of deleting it."""

    before_step: int = 0

    def _check_log_dir_exists(self) -> None:
        if Path(self.metrics_file_path).is_file():
            rows = self._rows()
            self.metrics_keys = sorted(rows[0]) if rows else []
            # rows from after the checkpoint come once more
            self._replace([row for row in rows if int(row["step"]) < self.before_step])

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        self._replace(self._rows())

    def _rows(self) -> list[dict[str, Any]]:
        with Path(self.metrics_file_path).open(newline="") as file:
            return [row for row in csv.DictReader(file) if row.get("step")]

    def _replace(self, rows: list[dict[str, Any]]) -> None:
        path = Path(self.metrics_file_path)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        with temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=self.metrics_keys)
            writer.writeheader()
            writer.writerows(rows)
        temporary.replace(path)


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


class _AtomicCheckpoints(TorchCheckpointIO):
    """Writes beside the checkpoint and renames.

    Lightning's own way goes through the system's temporary folder, which is a copy, not a rename, where that is on
    another file system.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.partial")
        torch.save(checkpoint, temporary)
        temporary.replace(path)


class Reseed(Callback):
    """Makes torch's random numbers depend on (seed, epoch), so that a resumed epoch draws what it would have drawn."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Seeds torch."""
        torch.manual_seed(self.seed * 1_000_003 + trainer.current_epoch * 1009 + trainer.global_rank)


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
            ``precision: auto`` is bf16-mixed where the device has it in hardware.
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
        settings["precision"] = "bf16-mixed" if _has_bf16(settings["accelerator"]) else "32-true"
    run.checkpoints.mkdir(parents=True, exist_ok=True)
    last = ModelCheckpoint(run.checkpoints, "last", save_on_train_epoch_end=True, enable_version_counter=False)
    before = 0 if run.last is None else _step_of(run.last)
    _quiet()
    try:
        made = pl.Trainer(
            **settings,
            max_epochs=epochs,
            logger=[RunLogger(run.folder, before), *([] if tracker is None else [tracker])],
            callbacks=[*callbacks, last, layout, Reseed(seed), Progress(name, progress_s)],
            default_root_dir=run.folder,
            plugins=[_AtomicCheckpoints()],
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


def duration(seconds: float) -> str:
    """Seconds in words: ``12 s``, ``3.4 min``."""
    return f"{seconds:.0f} s" if seconds < 60 else f"{seconds / 60:.1f} min"


def report_skipped(skipped: dict[str, int]) -> None:
    """Prints which files were unreadable, and how often that was met."""
    for message, times in sorted(skipped.items()):
        print(f"skipped {times} time{'s' if times > 1 else ''}: {message}", file=sys.stderr)


def _step_of(checkpoint: Path) -> int:
    try:
        return int(torch.load(checkpoint, map_location="cpu", weights_only=True)["global_step"])
    except Exception as error:
        raise AulightError(f"{checkpoint}: damaged ({type(error).__name__}); remove the run directory") from error


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
