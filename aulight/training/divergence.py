"""Training that has come to nothing ends at once, and none of it is kept."""

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor

from aulight.errors import AulightError
from aulight.nets.finite import not_finite

EVERY = 50
"""Steps from one look at the loss to the next on a GPU, which has to wait for it."""


class Divergence(Callback):
    """Ends training whose loss or weights are not finite, before they are scored or written into a checkpoint.

    With a precision of 16 bits that scales its gradients a loss may be infinite for a step, which is passed over then;
    there only the weights count.
    """

    def __init__(self) -> None:
        self._bad: Tensor | None = None

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Looks at the loss."""
        loss = outputs["loss"] if isinstance(outputs, dict) else outputs
        if not isinstance(loss, Tensor) or str(trainer.precision).startswith("16"):
            return
        bad = ~torch.isfinite(loss.detach())
        self._bad = bad if self._bad is None else self._bad | bad
        if bad.device.type == "cpu" or (batch_idx + 1) % EVERY == 0:
            self._look(trainer)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Looks at the weights that are to be scored while there is more to learn."""
        if trainer.state.fn == TrainerFn.FITTING:
            self._look(trainer, pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Looks at the weights that are to be kept."""
        self._look(trainer, pl_module)

    def _look(self, trainer: pl.Trainer, pl_module: pl.LightningModule | None = None) -> None:
        wrong = "the loss" if self._bad is not None and bool(self._bad) else None
        if wrong is None and pl_module is not None and (name := not_finite(pl_module.state_dict())) is not None:
            wrong = f"the weight {name}"
        # all processes at once, or some would wait for those that have ended
        if trainer.strategy.reduce_boolean_decision(wrong is not None, all=False):
            wrong = wrong or "the loss of another process"
            raise AulightError(
                f"training came to nothing by step {trainer.global_step}: {wrong} is not a finite number; "
                "give a smaller optim.lr, trainer.gradient_clip_val=1 or trainer.precision=32, and another name="
            )
