"""Stage one without negatives: find what a slow copy of the network says of the other view."""

import torch
from torch import Tensor

from aulight.data.batches import ClipBatch
from aulight.nets.heads import Predictors, Projector
from aulight.protocol import TrainedOn
from aulight.settings.model import NetworkSettings
from aulight.settings.objective import ByolSettings
from aulight.settings.training import OptimSettings
from aulight.training.pretraining import places, predictive
from aulight.training.teacher import Taught, Teacher, apart


class Byol(Taught):
    """Bootstrap your own latent (Grill et al., 2020, https://arxiv.org/abs/2006.07733) on clips.

    - *instance*: from a frame of one view, what the teacher says of the same frame of the other.
    - *predictive*: from the recurrent context at time t, what it says of the other view's frame at t + k.

    Both are squared distances of vectors of length 1. With ``within`` they count without their clip's mean, so that
    to know who is seen is of no help.

    Args:
        encoder: As of :class:`Pretraining`, as the next ones.
        objective: Likewise.
        optim: Likewise.
        trained_on: Likewise.
    """

    def __init__(
        self,
        encoder: NetworkSettings,
        objective: ByolSettings,
        optim: OptimSettings,
        trained_on: TrainedOn | None = None,
    ) -> None:
        super().__init__(encoder, objective, optim, trained_on)
        self.objective, norm, width, hidden = objective, encoder.norm, objective.projection, objective.hidden
        self.projector = Projector(encoder.embedding, hidden, width, norm, free=True)
        self.predictor = Projector(width, hidden, width, norm, free=True)
        self.predictors = Predictors(objective.horizons, self.encoder.temporal.channels, hidden, width, norm, free=True)
        self.teacher = Teacher(self.encoder, self.projector, objective.momentum)
        if not objective.predictive:
            self.leave_out_recurrence(self.predictors)
        if not objective.instance:
            self.projector.requires_grad_(False)
            self.predictor.requires_grad_(False)

    def training_step(self, batch: ClipBatch, batch_idx: int) -> Tensor:
        """One step on clips ``(B, 2, T, H, W, 3)`` uint8; logs the loss and its terms."""
        asked, pixels = self.objective, self.pixels(batch)
        embedding = self.encoder.embed(pixels)
        one, two = self.teacher(pixels).chunk(2)  # (B, T, places, D)
        terms = {}
        if asked.instance:
            found = self.predictor(self.projector(places(embedding))).chunk(2)
            terms["instance"] = torch.stack(list(map(self.apart, found, (two, one)))).mean()
        if asked.predictive:
            context, _ = self.encoder.temporal(embedding)
            terms["predictive"] = predictive(self.predictors, context, (two, one), asked.context, self.apart)
        return self.summed(terms, asked.weights)

    def apart(self, mine: Tensor, theirs: Tensor) -> Tensor:
        """How far what was found is from what was to be found, ``(B, T, places, D)`` each: the mean."""
        return apart(mine, theirs, self.objective.within).mean()
