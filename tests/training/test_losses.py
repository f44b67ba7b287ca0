import math
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn
from torch.nn.parallel import DistributedDataParallel

from aulight.errors import AulightError
from aulight.training.losses import gather_with_grad, info_nce, masked_regression


def _batch(queries: int, videos: int, per_video: int, dim: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    positives = torch.randint(videos * per_video, (queries,))
    return (
        torch.randn(queries, dim, requires_grad=True),
        torch.randn(videos, per_video, dim, requires_grad=True),
        positives,
        positives // per_video,
    )


@pytest.mark.parametrize("weight", [1.0, 0.1, 0.0, 2.5])
def test_info_nce_equals_slow_loop(weight: float) -> None:
    queries, keys, positives, query_video = _batch(7, 3, 4, 5)
    tau, total, hits, hits_same = 0.2, 0.0, 0, 0
    for i in range(7):
        similar = []
        denominator = 0.0
        for v in range(3):
            for k in range(4):
                a, b = queries[i].detach().double(), keys[v, k].detach().double()
                s = float(a @ b / (a.norm() * b.norm()))
                similar.append(s)
                denominator += (1.0 if v == query_video[i] else weight) * math.exp(s / tau)
        total -= math.log(math.exp(similar[positives[i]] / tau) / denominator)
        hits += max(similar) == similar[positives[i]]
        own = similar[4 * int(query_video[i]) : 4 * int(query_video[i]) + 4]
        hits_same += max(own) == similar[positives[i]]
    result = info_nce(queries, keys, positives, query_video, tau, weight)
    assert result.loss.item() == pytest.approx(total / 7, abs=1e-5)
    assert result.top1.item() == pytest.approx(hits / 7)
    assert result.top1_same.item() == pytest.approx(hits_same / 7)
    assert (result.chance, result.chance_same) == (1 / 12, 1 / 4)
    torch.autograd.backward(result.loss)
    assert queries.grad is not None
    assert keys.grad is not None
    assert queries.grad.isfinite().all()
    assert keys.grad.isfinite().all()


def test_info_nce_gradients() -> None:
    queries, keys, positives, query_video = _batch(4, 2, 3, 3)
    # Central differences of the float32 loss, along one random direction.
    loss = info_nce(queries, keys, positives, query_video, 0.5, 0.3).loss
    grads = torch.autograd.grad(loss, (queries, keys))
    step = [torch.randn_like(x) for x in (queries, keys)]
    with torch.no_grad():
        up, down = (
            info_nce(queries + e * step[0], keys + e * step[1], positives, query_video, 0.5, 0.3).loss
            for e in (1e-2, -1e-2)
        )
    expected = sum((g * s).sum() for g, s in zip(grads, step, strict=True))
    assert ((up - down) / 2e-2).item() == pytest.approx(float(expected), abs=2e-3)


def test_info_nce_at_chance_and_solved() -> None:
    _, keys, positives, query_video = _batch(2000, 5, 4, 64)
    random = info_nce(torch.randn(2000, 64), keys, positives, query_video, 0.2)
    assert random.top1.item() == pytest.approx(random.chance, abs=0.02)
    assert random.top1_same.item() == pytest.approx(random.chance_same, abs=0.04)
    solved = info_nce(3 * keys.detach().flatten(0, 1)[positives], keys, positives, query_video, 0.05)
    assert solved.top1 == solved.top1_same == 1
    assert solved.loss < 0.01


def test_info_nce_is_float32_under_autocast() -> None:
    queries, keys, positives, query_video = _batch(6, 2, 4, 32)
    exact = info_nce(queries, keys, positives, query_video, 0.1).loss
    with torch.autocast("cpu", torch.bfloat16):
        loss = info_nce(queries, keys, positives, query_video, 0.1).loss
    assert loss.dtype == torch.float32
    assert torch.equal(loss, exact)


def test_info_nce_keeps_one_matrix_of_logits() -> None:
    queries, keys, positives, query_video = _batch(256, 32, 32, 4)
    kept: dict[int, int] = {}  # bytes by address: two operations may keep the same tensor

    def pack(x: Tensor) -> Tensor:
        kept[x.data_ptr()] = x.numel() * x.element_size()
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        info_nce(queries, keys, positives, query_video, 0.2, 0.1)
    logits = 256 * 32 * 32 * 4
    assert sum(kept.values()) < 1.2 * logits


def _net() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(5, 16), nn.LayerNorm(16), nn.Tanh(), nn.Linear(16, 6))


def _contrast(net: nn.Module, x: Tensor, rank: int) -> Tensor:
    """Each frame of x `(B, T, 5)` predicts the next one of its video among all frames of all ranks."""
    z = net(x)
    videos, steps = x.shape[:2]
    own = torch.arange(rank * videos, (rank + 1) * videos)[:, None].expand(videos, steps - 1)
    positives = own * steps + torch.arange(1, steps)
    return info_nce(z[:, :-1].flatten(0, 1), gather_with_grad(z), positives.flatten(), own.flatten(), 0.2, 0.1).loss


def _rank(rank: int, folder: Path, clips: Tensor) -> None:
    dist.init_process_group("gloo", f"file://{folder / 'store'}", world_size=2, rank=rank)
    rows = gather_with_grad(torch.tensor([[rank, 10.0 + rank]]))
    net = DistributedDataParallel(_net())
    loss = _contrast(net, clips.chunk(2)[rank], rank)
    torch.autograd.backward(loss)
    grads = [p.grad for p in net.parameters()]
    torch.save({"rows": rows, "loss": loss.detach(), "grads": grads}, folder / f"{rank}.pt")
    dist.destroy_process_group()


def test_two_ranks_equal_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2])  # spawned processes import this file by name
    clips = torch.randn(6, 4, 5, generator=torch.Generator().manual_seed(0))
    net = _net()
    whole = _contrast(net, clips, 0)
    torch.autograd.backward(whole)
    spawn(_rank, (tmp_path, clips), nprocs=2)  # type: ignore[no-untyped-call]
    ranks = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    assert ranks[0]["rows"].tolist() == ranks[1]["rows"].tolist() == [[0, 10], [1, 11]]
    assert ((ranks[0]["loss"] + ranks[1]["loss"]) / 2).item() == pytest.approx(whole.item(), abs=1e-5)
    for rank in ranks:
        for grad, parameter in zip(rank["grads"], net.parameters(), strict=True):
            torch.testing.assert_close(grad, parameter.grad, rtol=0.0, atol=1e-5)
    assert max(float(p.grad.abs().max()) for p in net.parameters() if p.grad is not None) > 0.01


def test_gather_without_process_group_is_identity() -> None:
    x = torch.randn(2, 3)
    assert gather_with_grad(x) is x


@pytest.mark.parametrize("kind", ["mse", "smooth_l1"])
def test_masked_regression_is_a_mean_over_known_entries(kind: str) -> None:
    torch.manual_seed(0)
    outputs = torch.randn(2, 5, 3, requires_grad=True)
    targets, mask = torch.randn(2, 5, 3) * 3, torch.rand(2, 5, 3) < 0.5
    terms = []
    for o, t, known in zip(*(x.detach().flatten() for x in (outputs, targets, mask)), strict=True):
        d = abs(float(o - t))
        if known:
            terms.append(d * d if kind == "mse" else (0.5 * d * d if d < 1 else d - 0.5))
    loss = masked_regression(outputs, targets.masked_fill(~mask, float("nan")), mask, kind)
    assert loss.item() == pytest.approx(sum(terms) / len(terms), abs=1e-5)
    (grad,) = torch.autograd.grad(loss, outputs)
    assert grad.isfinite().all()
    assert torch.equal(grad != 0, mask)
    (known,) = torch.autograd.grad(getattr(F, f"{kind}_loss")(outputs[mask], targets[mask]), outputs)
    torch.testing.assert_close(grad, known)


@pytest.mark.parametrize("kind", ["mse", "smooth_l1"])
@pytest.mark.parametrize("unknown", [0.0, 7.0, math.nan, math.inf])
def test_masked_regression_goes_by_the_mask_alone(unknown: float, kind: str) -> None:
    """Whatever stands in a target that is not known; and what is said to be known is not passed over."""
    torch.manual_seed(0)
    outputs = torch.randn(4, 3, requires_grad=True)
    targets, mask = torch.randn(4, 3), torch.tensor([[True, False, True]] * 2 + [[False, False, True]] * 2)
    loss = masked_regression(outputs, targets.masked_fill(~mask, unknown), mask, kind)
    expected = getattr(F, f"{kind}_loss")(outputs[mask], targets[mask])
    assert loss.item() == pytest.approx(expected.item(), abs=1e-6)
    (grad,) = torch.autograd.grad(loss, outputs)
    assert torch.equal(grad != 0, mask)
    assert masked_regression(outputs, targets.masked_fill(mask, math.nan), mask, kind).isnan()
    one = torch.zeros_like(mask).index_fill(0, torch.tensor([2]), True) & mask  # a single known entry
    assert one.sum() == 1
    expected = getattr(F, f"{kind}_loss")(outputs[one], targets[one])
    assert masked_regression(outputs, targets.masked_fill(~one, unknown), one, kind).item() == pytest.approx(
        expected.item(), abs=1e-6
    )


def test_masked_regression_with_nothing_known() -> None:
    outputs = torch.randn(2, 3, requires_grad=True)
    loss = masked_regression(outputs, torch.full((2, 3), float("nan")), torch.zeros(2, 3, dtype=torch.bool))
    torch.autograd.backward(loss)
    assert loss.item() == 0
    assert outputs.grad is not None
    assert not outputs.grad.any()


def test_masked_regression_wrong_name() -> None:
    with pytest.raises(AulightError, match="'l2': choose mse or smooth_l1"):
        masked_regression(torch.zeros(1), torch.zeros(1), torch.ones(1, dtype=torch.bool), "l2")
