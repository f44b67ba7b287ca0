"""Progress lines, and the speed that they tell."""

import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from aulight.data.batches import ClipBatch
from aulight.errors import say
from aulight.runs.outlook import Outlook


class Progress(Callback):
    """Prints a line every few seconds (it stays readable with several jobs side by side) and logs the speed.

    ``frames/s`` counts frames through the encoder; ``data wait`` is the share of time spent waiting for the loader. The
    first run of a sweep also says how long the steps of all its runs will take at the speed of its first ones.

    Args:
        name: What the lines begin with.
        every_s: Seconds between lines.
    """

    def __init__(self, name: str, every_s: float) -> None:
        self.name, self.every_s = name, every_s
        self._outlook = Outlook.of(name)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the clocks."""
        self._begin = self._printed = self._mark = time.monotonic()
        self._first_step = trainer.global_step
        self._frames, self._wait = 0, 0.0
        if self._first_step:
            self._say(trainer, f"resumed at step {self._first_step}")

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Time since the last step or validation, of a probe or a checkpoint, is neither training nor waiting."""
        self._pass_over()

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: ClipBatch, batch_idx: int
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
        batch: ClipBatch,
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
            if self._outlook is not None:  # once, by the first steps
                whole = duration(elapsed / max(step - self._first_step, 1) * self._outlook.steps)
                self._say(trainer, f"at this speed the steps of all {self._outlook.runs} runs take about {whole}")
                self._outlook = None

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Time spent on validation is neither training nor waiting."""
        if not trainer.sanity_checking and hasattr(self, "_mark"):
            self._pass_over()

    def _pass_over(self) -> None:
        gone = time.monotonic() - self._mark
        self._begin += gone
        self._mark += gone

    def _say(self, trainer: pl.Trainer, text: str) -> None:
        if trainer.is_global_zero:
            say(f"{self.name}: {text}")


_SHOWN = ("train/loss", "train/instance_top1_same", "train/predictive_top1_same", "probe/icc", "val/icc")


def duration(seconds: float) -> str:
    """Seconds in words: ``12 s``, ``3.4 min``."""
    return f"{seconds:.0f} s" if seconds < 60 else f"{seconds / 60:.1f} min"


def report_skipped(skipped: dict[str, int]) -> None:
    """Prints which files were unreadable, and how often that was met."""
    for message, times in sorted(skipped.items()):
        say(f"skipped {times} time{'s' if times > 1 else ''}: {message}", error=True)
