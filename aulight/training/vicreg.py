"""Stage one without negatives: vectors that agree, vary, and say different things."""

import torch
import torch.nn.functional as F
from torch import Tensor

from aulight.data.batches import ClipBatch
from aulight.nets.heads import Predictors, Projector
from aulight.protocol import TrainedOn
from aulight.settings.model import NetworkSettings
from aulight.settings.objective import VicregSettings
from aulight.settings.training import OptimSettings
from aulight.training.losses import gather_with_grad
from aulight.training.pretraining import Pretraining, centred, places, predictive


class Vicreg(Pretraining):
    """Variance, invariance and covariance (Bardes, Ponce & LeCun, 2022, https://arxiv.org/abs/2105.04906) on clips.

    - *instance*: the same frame has the same vector in both views.
    - *predictive*: the recurrent context at time t, through the predictor of horizon k, is the other view's at t + k.
    - *variance*: each number of the vectors has a standard deviation of 1 or more.
    - *covariance*: no two numbers of them go together.

    The latter two are over all moments of all clips of the batch, over all ranks: the first of them the mean of both
    views, the second their sum, as in the paper. With ``within`` vectors count without their clip's mean, so that the
    differences of people and places do not stand for those of moments.

    Args:
        encoder: As of :class:`Pretraining`, as the next ones.
        objective: Likewise.
        optim: Likewise.
        trained_on: Likewise.
    """

    def __init__(
        self,
        encoder: NetworkSettings,
        objective: VicregSettings,
        optim: OptimSettings,
        trained_on: TrainedOn | None = None,
    ) -> None:
        super().__init__(encoder, objective, optim, trained_on)
        self.objective, norm, width, hidden = objective, encoder.norm, objective.projection, objective.hidden
        self.projector = Projector(encoder.embedding, hidden, width, norm, free=True)
        self.predictors = Predictors(objective.horizons, self.encoder.temporal.channels, hidden, width, norm, free=True)
        if not objective.predictive:
            self.leave_out_recurrence(self.predictors)

    def training_step(self, batch: ClipBatch, batch_idx: int) -> Tensor:
        """One step on clips ``(B, 2, T, H, W, 3)`` uint8; logs the loss and its terms."""
        asked = self.objective
        embedding = self.encoder.embed(self.pixels(batch))
        views = self.projector(places(embedding))
        one, two = (centred(views) if asked.within else views).chunk(2)  # (B, T, places, D)
        terms = {"instance": F.mse_loss(one, two)}
        if asked.predictive:
            context, _ = self.encoder.temporal(embedding)
            terms["predictive"] = predictive(self.predictors, context, (two, one), asked.context, F.mse_loss)
        spreads = [spread(gather_with_grad(view).flatten(0, -2)) for view in (one, two)]
        (variance, covariance), (its_variance, its_covariance) = spreads
        terms |= {"variance": (variance + its_variance) / 2, "covariance": covariance + its_covariance}
        return self.summed(terms, asked.weights)


def spread(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """The two terms that keep vectors ``(N, D)`` from becoming one: variance and covariance, scalars."""
    with torch.autocast(vectors.device.type, enabled=False):  # sums over many vectors
        rest = vectors.float() - vectors.float().mean(0)
        covariance = rest.T @ rest / (len(rest) - 1)
        variances = covariance.diagonal()
        alike = (covariance.square().sum() - variances.square().sum()) / vectors.shape[1]
        return F.relu(1 - (variances + 1e-4).sqrt()).mean(), alike
