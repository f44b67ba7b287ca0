"""Training losses: InfoNCE over the moments of a batch of clips, and regression on sparse labels."""

from typing import Any, NamedTuple

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from aulight.errors import AulightError
from aulight.training.candidates import Candidates


class InfoNCE(NamedTuple):
    """The loss and what to watch beside it, all of them scalars.

    Attributes:
        loss: Float32, mean over the queries.
        top1: Share of queries whose most similar candidate of all is the positive.
        top1_same: The same among the candidates of the query's own video: a network that only tells
            videos apart stays at `chance_same` here while `top1` and the loss look fine.
        chance: What `top1` is for random similarities.
        chance_same: What `top1_same` is for random similarities.
    """

    loss: Tensor
    top1: Tensor
    top1_same: Tensor
    chance: Tensor
    chance_same: Tensor


def info_nce(queries: Tensor, keys: Tensor, candidates: Candidates, temperature: float) -> InfoNCE:
    r"""Contrast each query with the moments of all clips (van den Oord et al. 2018, arxiv.org/abs/1807.03748).

    With s the cosine similarity, p the positive of query i, and w(i, c) the weight of candidate c::

        loss_i = -log( exp(s(i, p) / temperature) / sum over c of w(i, c) exp(s(i, c) / temperature) )

    Logits are float32 also under autocast, and of what is as large as they are one is kept for the gradient. Under DDP
    give the queries of this rank and the keys of all (`gather_with_grad`).

    Args:
        queries: `(Q, P, D)`, a vector for each of P places; the positive is that of the same place.
        keys: `(V, T, P, D)`, of T moments of each of V clips; a moment's places have its weight.
        candidates: Of the Q queries (:func:`aulight.training.candidates.weigh`).
        temperature: Above 0.

    Returns:
        The loss, and top-1 accuracies of the bare similarities of what has a weight, with their chance levels.
    """
    count, places = queries.shape[:2]
    weight = candidates.weight.flatten(1)  # (Q, V T)
    positives = candidates.positive[:, None] * places + torch.arange(places, device=queries.device)  # (Q, P)
    with torch.autocast(queries.device.type, enabled=False):
        queries = F.normalize(queries.float(), dim=-1).flatten(0, 1)
        keys = F.normalize(keys.float(), dim=-1).flatten(0, 2)
        logits = ((queries / temperature) @ keys.T).view(count, places, -1, places)  # of the key's moment and place
        with torch.no_grad():
            same = candidates.own.repeat_interleave(candidates.weight.shape[2], dim=1)
            top1, chance = _top1(logits, weight > 0, positives)
            top1_same, chance_same = _top1(logits, (weight > 0) & same, positives)
        logits = logits + weight.log()[:, None, :, None]
        loss = F.cross_entropy(logits.flatten(2).flatten(0, 1), positives.flatten())
    return InfoNCE(loss, top1, top1_same, chance, chance_same)


def _top1(logits: Tensor, among: Tensor, positives: Tensor) -> tuple[Tensor, Tensor]:
    """How often the largest of some logits `(Q, P, M, P)` is the positive, of the M moments `among` `(Q, M)`."""
    best = logits.masked_fill(~among[:, None, :, None], -torch.inf).flatten(2).argmax(2)
    return (best == positives).float().mean(), (1 / (among.sum(1) * logits.shape[3])).mean()


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(_ctx: Any, x: Tensor) -> Tensor:
        rows = [torch.empty_like(x) for _ in range(dist.get_world_size())]
        dist.all_gather(rows, x)
        return torch.cat(rows)

    @staticmethod
    def backward(_ctx: Any, *grads: Tensor) -> Tensor:
        # Every rank's loss has a gradient for the rows of this rank: their sum, of which DDP then takes
        # the mean over ranks, is the gradient of the mean loss.
        grad = grads[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(grad)
        return grad.chunk(dist.get_world_size())[dist.get_rank()]


def gather_with_grad(x: Tensor) -> Tensor:
    """Return the rows of all ranks in the order of the ranks, with gradients back to each where they have any.

    A loss that is a mean over the local queries against gathered keys gives under DDP, which averages
    gradients, what one process with the joined batch would give (batch norm in the network aside, unless
    it is synchronised).

    Args:
        x: `(B, ...)`, the same shape on every rank.

    Returns:
        `(world B, ...)`; `x` itself where no process group runs.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return x
    gathered: Tensor = _Gather.apply(x.contiguous())  # type: ignore[no-untyped-call]
    return gathered


def masked_regression(outputs: Tensor, targets: Tensor, mask: Tensor, kind: str = "mse") -> Tensor:
    """Regression loss, as a mean over the known entries.

    Args:
        outputs: Any shape.
        targets: The same shape; anything, NaN included, where unknown.
        mask: The same shape, bool; True where the target is known.
        kind: `mse` (squared error) or `smooth_l1` (Huber with a threshold of 1).

    Returns:
        Scalar float32; 0, with gradient 0 for every output, where nothing is known.

    Raises:
        AulightError: No loss of that name.
    """
    if kind not in ("mse", "smooth_l1"):
        raise AulightError(f"unknown regression loss {kind!r}: choose mse or smooth_l1")
    outputs = outputs.float()
    # Unknown entries become equal pairs before the loss sees them: a NaN there would spoil the gradient.
    targets = torch.where(mask, targets.float(), outputs.detach())
    loss = F.mse_loss if kind == "mse" else F.smooth_l1_loss
    return loss(outputs, targets, reduction="sum") / mask.sum().clamp(min=1)
