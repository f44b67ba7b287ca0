"""Stage one: learn how faces look and move, from videos without labels."""

import torch
from torch import Tensor

from aulight.data.batches import ClipBatch
from aulight.nets.heads import Predictors, Projector
from aulight.protocol import TrainedOn
from aulight.settings.model import NetworkSettings
from aulight.settings.objective import ContrastiveSettings
from aulight.settings.training import OptimSettings
from aulight.training.candidates import ClipIds, weigh
from aulight.training.losses import InfoNCE, gather_with_grad, info_nce
from aulight.training.pretraining import Pretraining, places


class Contrastive(Pretraining):
    """Contrastive learning on clips, in one form that covers the objectives of ``conf/objective``.

    Every clip comes in one or two views. Two terms, both InfoNCE (van den Oord et al., 2018) against all moments (and,
    with a spatial map, all places) of all clips of the batch over all ranks:

    - *instance*: an embedding finds the same frame in the other view.
    - *predictive*: the recurrent context at time t, through the predictor of horizon k, finds the embedding at t + k,
      in the other view if there are two.

    Other moments of the same video are the negatives that teach expression; those of other people mostly teach
    identity, and ``other_subjects`` turns them down, as :func:`aulight.training.candidates.weigh` tells.

    Args:
        encoder: As of :class:`Pretraining`, as the next ones.
        objective: Likewise.
        optim: Likewise.
        trained_on: Likewise.
        strangers: Whether every clip counts as one of a video and a subject of its own, whatever it is of: in runs that
            an earlier aulight began.
    """

    def __init__(
        self,
        encoder: NetworkSettings,
        objective: ContrastiveSettings,
        optim: OptimSettings,
        trained_on: TrainedOn | None = None,
        strangers: bool = False,
    ) -> None:
        super().__init__(encoder, objective, optim, trained_on)
        self.objective, self.strangers = objective, strangers
        norm, width, hidden = encoder.norm, objective.projection, objective.hidden
        self.projector = Projector(encoder.embedding, hidden, width, norm)
        self.predictors = Predictors(objective.horizons, self.encoder.temporal.channels, hidden, width, norm)
        if not objective.predictive:
            self.leave_out_recurrence(self.predictors)

    def training_step(self, batch: ClipBatch, batch_idx: int) -> Tensor:
        """One step on clips ``(B, V, T, H, W, 3)`` uint8; logs the loss and top-1 accuracies beside chance."""
        views, horizons, skip = self.objective.views, self.objective.horizons, self.objective.context
        embedding = self.encoder.embed(self.pixels(batch))
        context, _ = self.encoder.temporal(embedding)
        vectors = self.projector(places(embedding)).unflatten(0, (views, -1))  # (V, B, T, places, D)
        steps = vectors.shape[2]
        keys = [gather_with_grad(view) for view in vectors]  # (B over ranks, T, places, D)
        ids = self._ids(batch)

        terms: dict[str, list[InfoNCE]] = {"instance": [], "predictive": []}
        for source in range(views):
            target = keys[(source + 1) % views]
            if self.objective.instance:
                terms["instance"].append(self._nce(vectors[source], target, ids, 0))
            if self.objective.predictive:
                for horizon in horizons:
                    past = context.unflatten(0, (views, -1))[source][:, skip : steps - horizon]
                    queries = self.predictors(places(past), horizon)
                    terms["predictive"].append(self._nce(queries, target, ids, skip + horizon))

        loss = torch.zeros((), device=self.device)
        for name, parts in terms.items():
            if parts:
                weight = self.objective.instance if name == "instance" else self.objective.predictive
                mean = {
                    field: torch.stack([getattr(part, field) for part in parts]).mean() for field in InfoNCE._fields
                }
                loss = loss + weight * mean["loss"]
                self.log_dict({f"train/{name}_{field}": value.detach() for field, value in mean.items()})
        self.log("train/loss", loss.detach(), prog_bar=True)
        return loss

    def _ids(self, batch: ClipBatch) -> ClipIds:
        """Where the clips of all ranks are from, in the order of the keys."""
        told = torch.cat([batch["video"][:, None], batch["subject"][:, None], batch["frames"]], dim=1)
        told = gather_with_grad(told)
        video, subject, frames = told[:, 0], told[:, 1], told[:, 2:]
        if self.strangers:
            video = subject = torch.arange(len(told), device=told.device)
        return ClipIds(video, subject, frames)

    def _nce(self, queries: Tensor, keys: Tensor, ids: ClipIds, offset: int) -> InfoNCE:
        """Queries ``(B, t, places, D)`` against keys ``(V, T, places, D)``; the positive is ``offset`` moments on."""
        clips, moments = queries.shape[:2]
        device = queries.device
        clip = self.global_rank * clips + torch.arange(clips, device=device)
        moment = offset + torch.arange(moments, device=device)
        candidates = weigh(
            ids,
            clip.repeat_interleave(moments),
            moment.repeat(clips),
            other_subjects=self.objective.other_subjects,
            same_subject=self.objective.same_subject,
        )
        return info_nce(queries.flatten(0, 1), keys, candidates, self.objective.temperature)
