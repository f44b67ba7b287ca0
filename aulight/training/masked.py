"""Stage one by filling gaps: frames are hidden, and found from those before and after them."""

import copy

import numpy as np
import torch
from torch import Tensor, nn

from aulight.data.batches import ClipBatch
from aulight.nets.heads import Projector
from aulight.protocol import TrainedOn
from aulight.settings.model import NetworkSettings
from aulight.settings.objective import MaskedSettings
from aulight.settings.training import OptimSettings
from aulight.training.pretraining import places
from aulight.training.teacher import Taught, Teacher, apart


class Masked(Taught):
    """Masked frames, found in the space of a teacher (as data2vec, Baevski et al., 2022, does with parts of pictures).

    Of some frames the embedding is replaced by one that is learned, the same for all. The encoder's recurrence goes
    through the clip as it always does, a second one like it from the end, and from both comes what the teacher says of
    the hidden frames, of the other view if there are two. What is compared has length 1; with ``within`` it counts
    without its clip's mean.

    Args:
        encoder: As of :class:`Pretraining`, as the next ones.
        objective: Likewise.
        optim: Likewise.
        trained_on: Likewise.
    """

    def __init__(
        self,
        encoder: NetworkSettings,
        objective: MaskedSettings,
        optim: OptimSettings,
        trained_on: TrainedOn | None = None,
    ) -> None:
        super().__init__(encoder, objective, optim, trained_on)
        self.objective, norm, width, hidden = objective, encoder.norm, objective.projection, objective.hidden
        self.backwards = copy.deepcopy(self.encoder.temporal)
        self.token = nn.Parameter(torch.zeros(encoder.embedding, 1, 1))
        self.predictor = Projector(2 * self.encoder.temporal.channels, hidden, width, norm)
        # a random map at first, and a running mean of it ever after: it has nothing to learn from
        self.projector = Projector(encoder.embedding, hidden, width, norm).requires_grad_(False)
        self.teacher = Teacher(self.encoder, self.projector, objective.momentum)

    def training_step(self, batch: ClipBatch, batch_idx: int) -> Tensor:
        """One step on clips ``(B, V, T, H, W, 3)`` uint8; logs the loss."""
        asked, pixels = self.objective, self.pixels(batch)
        hidden = self._hidden(batch).to(self.device)
        embedding = torch.where(hidden[:, :, None, None, None], self.token, self.encoder.embed(pixels))
        before, _ = self.encoder.temporal(embedding)
        after, _ = self.backwards(embedding.flip(1))
        found = self.predictor(places(torch.cat([before, after.flip(1)], 2)))
        target = self.teacher(pixels).roll(len(pixels) // asked.views, 0)  # the other view's
        return self.summed({"masked": apart(found, target, asked.within)[hidden].mean()}, {"masked": 1.0})

    def _hidden(self, batch: ClipBatch) -> Tensor:
        """Which frames ``(V B, T)`` are hidden: of each clip as many, of all its frames alike.

        They are drawn by the clip and the epoch alone, so that no number of processes changes them.
        """
        steps = batch["frames"].shape[1]
        count = min(steps - 1, max(1, round(self.objective.share * steps)))
        hidden = np.zeros((self.objective.views, len(batch["frames"]), steps), bool)
        for place, (video, frames) in enumerate(zip(batch["video"].tolist(), batch["frames"].tolist(), strict=True)):
            rng = np.random.default_rng([self.current_epoch, video, *frames])
            for view in hidden:
                view[place, rng.permutation(steps)[:count]] = True
        return torch.from_numpy(hidden).flatten(0, 1)
