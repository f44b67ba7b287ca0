"""What all objectives of stage one have in common: an encoder, clips in views, and terms that are summed up."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from aulight.data.batches import ClipBatch
from aulight.nets.encoder import Encoder
from aulight.nets.heads import Predictors
from aulight.protocol import TrainedOn
from aulight.settings.model import NetworkSettings
from aulight.settings.objective import ObjectiveSettings
from aulight.settings.training import OptimSettings
from aulight.training.optim import one_cycle


class Pretraining(pl.LightningModule):
    """An encoder that learns from clips without labels.

    Args:
        encoder: The network.
        objective: What it is asked; it goes together with the network and with the length of clips, as
            :class:`aulight.settings.pretrain.PretrainSettings` sees to.
        optim: Of :func:`one_cycle`.
        trained_on: Name of the ``dataset`` and ``subjects`` that it sees; the checkpoint tells them to stage two.
    """

    def __init__(
        self,
        encoder: NetworkSettings,
        objective: ObjectiveSettings,
        optim: OptimSettings,
        trained_on: TrainedOn | None = None,
    ) -> None:
        super().__init__()
        plain = {"encoder": encoder, "objective": objective, "optim": optim}
        self.save_hyperparameters(  # plain values, which a checkpoint gives back without running code
            {name: settings.model_dump() for name, settings in plain.items()} | {"trained_on": trained_on}
        )
        self.encoder = Encoder(encoder)
        self.optim = optim

    def pixels(self, batch: ClipBatch) -> Tensor:
        """What the encoder takes of a batch: ``(V B, T, 3, seen, seen)``, the views one after another."""
        return self.encoder.normalise(batch["clips"].transpose(0, 1).flatten(0, 1))

    def summed(self, terms: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
        """The loss: terms by their weights, each of them logged; one that is not there, or has no weight, is 0."""
        loss = torch.zeros((), device=self.device)
        for name, term in terms.items():
            if weights[name]:
                loss = loss + weights[name] * term
                self.log(f"train/{name}_loss", term.detach())
        self.log("train/loss", loss.detach(), prog_bar=True)
        return loss

    def leave_out_recurrence(self, predictors: Predictors) -> None:
        """Trains neither it nor what predicts from it: nothing is asked of them, and DDP would wait for gradients."""
        self.encoder.temporal.requires_grad_(False)
        predictors.requires_grad_(False)

    def configure_optimizers(self) -> Any:
        """AdamW with a one-cycle schedule over the whole run."""
        steps = int(self.trainer.estimated_stepping_batches)
        return one_cycle([{"params": list(self.parameters()), "lr": self.optim.lr}], steps, self.optim)


def places(features: Tensor) -> Tensor:
    """``(B, T, C, h, w)`` to ``(B, T, h * w, C)``: a vector a place."""
    return features.flatten(3).transpose(2, 3)


def predictive(
    predictors: Predictors,
    context: Tensor,
    targets: Iterable[Tensor],
    skip: int,
    apart: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """How far what is predicted is from what comes, scalar: the mean over two views and all horizons.

    Args:
        predictors: One for each horizon.
        context: ``(2 B, T, C, h, w)`` of the recurrence, the views one after another.
        targets: For each of the two what it is to find, ``(B, T, places, D)``.
        skip: Samples seen before the first prediction.
        apart: How far vectors are from others, scalar.
    """
    parts = []
    for past, target in zip(context.chunk(2), targets, strict=True):
        for horizon in predictors.horizons:
            seen = past[:, skip : past.shape[1] - horizon]
            parts.append(apart(predictors(places(seen), horizon), target[:, skip + horizon :]))
    return torch.stack(parts).mean()


def centred(vectors: Tensor) -> Tensor:
    """Vectors ``(B, T, ..., D)`` without what those of a clip share, which is who it is of and where."""
    return vectors - vectors.mean(1, keepdim=True)
