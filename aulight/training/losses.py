"""Training losses: InfoNCE over the frames of a batch of videos, and regression on sparse labels."""

from typing import Any, NamedTuple

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from aulight.errors import AulightError


class InfoNCE(NamedTuple):
    """The loss and what to watch beside it.

    Attributes:
        loss: Scalar, float32, mean over the queries.
        top1: Share of queries whose most similar candidate of all is the positive.
        top1_same: The same among the candidates of the query's own video: a network that only tells
            videos apart stays at `chance_same` here while `top1` and the loss look fine.
        chance: What `top1` is for random similarities.
        chance_same: What `top1_same` is for random similarities.
    """

    loss: Tensor
    top1: Tensor
    top1_same: Tensor
    chance: float
    chance_same: float


def info_nce(
    queries: Tensor,
    keys: Tensor,
    positives: Tensor,
    query_video: Tensor,
    temperature: float,
    other_video_weight: float = 1.0,
) -> InfoNCE:
    r"""Contrast each query with the keys of all videos (van den Oord et al. 2018, arxiv.org/abs/1807.03748).

    With s the cosine similarity, p the positive of query i, and w(v) = 1 for the query's own video and
    `other_video_weight` for the others::

        loss_i = -log( exp(s(i, p) / temperature) / sum over v, k of w(v) exp(s(i, (v, k)) / temperature) )

    A weight below 1 makes the other moments of the same video the negatives that count. Logits are float32
    also under autocast, and nothing larger than the N x (V K) logits is made. Under DDP give the queries of
    this rank and the keys of all (`gather_with_grad`).

    Args:
        queries: `(N, D)`.
        keys: `(V, K, D)`, K candidates from each of V videos.
        positives: `(N,)` int64, index of the positive into the V K keys; it lies in the query's own video.
        query_video: `(N,)` int64, index of the query's own video into V.
        temperature: Above 0.
        other_video_weight: 0 or more; at 0 the other videos play no part.

    Returns:
        The loss, and top-1 accuracies of the bare similarities (without the weight) with their chance levels.
    """
    videos, per_video, _ = keys.shape
    with torch.autocast(queries.device.type, enabled=False):
        queries = F.normalize(queries.float(), dim=-1)
        keys = F.normalize(keys.float(), dim=-1)
        logits = (queries / temperature) @ keys.flatten(0, 1).T  # (N, V K)
        by_video = logits.view(-1, videos, per_video)
        with torch.no_grad():
            rows = torch.arange(len(queries), device=queries.device)
            own_best = by_video[rows, query_video].argmax(1) + query_video * per_video
            top1 = (logits.argmax(1) == positives).float().mean()
            top1_same = (own_best == positives).float().mean()
        if other_video_weight != 1:
            others = query_video[:, None] != torch.arange(videos, device=queries.device)  # (N, V)
            weight = torch.tensor(other_video_weight, device=queries.device)
            by_video = by_video + torch.where(others, weight, 1.0).log()[:, :, None]
        loss = F.cross_entropy(by_video.flatten(1), positives)
    return InfoNCE(loss, top1, top1_same, 1 / (videos * per_video), 1 / per_video)


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
    """Return the rows of all ranks in the order of the ranks, with gradients back to each.

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
