import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn

from aulight.errors import AulightError
from aulight.training.candidates import Candidates, ClipIds, weigh
from aulight.training.losses import gather_with_grad, info_nce, masked_regression
from tests.ranks import one_of_two, shared_gradients
from tests.training.slow import Sums, weights

PEOPLE = [0, 0, 1, 1]
IDS = ClipIds(torch.tensor([0, 0, 1, 2]), torch.tensor(PEOPLE), torch.tensor([[0, 2, 4], [2, 4, 6]] * 2))
"""Four clips: two of one video, with frames in common, and one each of two videos of another person."""


def _batch(queries: int, places: int, dim: int, other: float = 0.35, same: float = 0.0) -> tuple[Any, ...]:
    torch.manual_seed(0)
    positive = torch.randint(12, (queries,))
    return (
        torch.randn(queries, places, dim, requires_grad=True),
        torch.randn(4, 3, places, dim, requires_grad=True),
        weigh(IDS, positive // 3, positive % 3, other, same),
    )


@pytest.mark.parametrize("places", [1, 3])
@pytest.mark.parametrize(("other", "same"), [(0.35, 0.0), (0.0, 0.0), (2.5, 1.0), (0.0, 0.5)])
def test_info_nce_equals_slow_loop(other: float, same: float, places: int) -> None:
    queries, keys, candidates = _batch(7, places, 5, other, same)

    def unit(vector: Tensor) -> Tensor:
        return F.normalize(vector.detach().double(), dim=0)

    vectors = {(v, t, p): unit(keys[v, t, p]) for v in range(4) for t in range(3) for p in range(places)}
    video, _, frames = (part.tolist() for part in IDS)
    sums = Sums()
    for i, positive in enumerate(candidates.positive.tolist()):
        counted = weights(video, PEOPLE, frames, divmod(positive, 3), other, same)
        for p in range(places):
            sums.add(unit(queries[i, p]), vectors, (*divmod(positive, 3), p), counted, video, 0.2)
    result = info_nce(queries, keys, candidates, 0.2)
    for name, expected in sums.means().items():
        assert getattr(result, name).item() == pytest.approx(expected, abs=1e-5), name
    torch.autograd.backward(result.loss)
    assert queries.grad.isfinite().all()
    assert keys.grad.isfinite().all()


def test_info_nce_gradients() -> None:
    queries, keys, candidates = _batch(4, 2, 3)
    # Central differences of the float32 loss, along one random direction.
    grads = torch.autograd.grad(info_nce(queries, keys, candidates, 0.5).loss, (queries, keys))
    step = [torch.randn_like(x) for x in (queries, keys)]
    with torch.no_grad():
        up, down = (info_nce(queries + e * step[0], keys + e * step[1], candidates, 0.5).loss for e in (1e-2, -1e-2))
    expected = sum((g * s).sum() for g, s in zip(grads, step, strict=True))
    assert ((up - down) / 2e-2).item() == pytest.approx(float(expected), abs=2e-3)


def _strangers(clips: int, moments: int, queries: int) -> Candidates:
    """Clips of as many people, and queries with random positives."""
    ids = ClipIds(torch.arange(clips), torch.arange(clips), torch.arange(moments).expand(clips, -1))
    positive = torch.randint(clips * moments, (queries,))
    return weigh(ids, positive // moments, positive % moments, clips - 1.0, 0.0)


def test_info_nce_at_chance_and_solved() -> None:
    torch.manual_seed(0)
    keys, candidates = torch.randn(5, 4, 1, 64), _strangers(5, 4, 2000)
    random = info_nce(torch.randn(2000, 1, 64), keys, candidates, 0.2)
    assert random.chance.item() == pytest.approx(1 / 20)
    assert random.chance_same.item() == pytest.approx(1 / 4)
    assert random.top1.item() == pytest.approx(1 / 20, abs=0.02)
    assert random.top1_same.item() == pytest.approx(1 / 4, abs=0.04)
    solved = info_nce(3 * keys.flatten(0, 1)[candidates.positive], keys, candidates, 0.05)
    assert solved.top1 == solved.top1_same == 1
    assert solved.loss < 0.01


def test_info_nce_is_float32_under_autocast() -> None:
    queries, keys, candidates = _batch(6, 1, 32)
    exact = info_nce(queries, keys, candidates, 0.1).loss
    with torch.autocast("cpu", torch.bfloat16):
        loss = info_nce(queries, keys, candidates, 0.1).loss
    assert loss.dtype == torch.float32
    assert torch.equal(loss, exact)


def test_info_nce_keeps_one_matrix_of_logits() -> None:
    queries, keys = torch.randn(256, 1, 4, requires_grad=True), torch.randn(32, 32, 1, 4, requires_grad=True)
    candidates = _strangers(32, 32, 256)
    kept: dict[int, int] = {}  # bytes by address: two operations may keep the same tensor

    def pack(x: Tensor) -> Tensor:
        kept[x.data_ptr()] = x.numel() * x.element_size()
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        info_nce(queries, keys, candidates, 0.2)
    logits = 256 * 32 * 32 * 4
    assert sum(kept.values()) < 1.2 * logits


def _net() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(5, 16), nn.LayerNorm(16), nn.Tanh(), nn.Linear(16, 6))


JOINT = ClipIds(
    video=torch.tensor([4, 1, 2, 4, 8, 1]),
    subject=torch.tensor([0, 1, 0, 0, 2, 1]),
    frames=torch.tensor([[0, 4, 8, 12], [3, 5, 7, 9], [0, 4, 8, 12], [8, 11, 14, 17], [0, 4, 8, 12], [4, 6, 8, 10]]),
)
"""Six clips for two ranks; of two videos each rank has one clip, and of one person each has a video."""


def _contrast(net: nn.Module, x: Tensor, ids: ClipIds, rank: int) -> Tensor:
    """Each frame of x `(B, T, 5)` predicts the next one of its clip among all frames of all ranks."""
    z = net(x)
    clips, steps = x.shape[:2]
    clip = torch.arange(rank * clips, (rank + 1) * clips).repeat_interleave(steps - 1)
    candidates = weigh(
        ClipIds(*map(gather_with_grad, ids)), clip, torch.arange(1, steps).repeat(clips), 0.35, same_subject=0.5
    )
    return info_nce(z[:, :-1].flatten(0, 1)[:, None], gather_with_grad(z)[:, :, None], candidates, 0.2).loss


def _rank(rank: int, folder: Path, clips: Tensor) -> None:
    net, ids = _net(), ClipIds(*(part.chunk(2)[rank] for part in JOINT))
    with one_of_two(rank, folder):
        rows = gather_with_grad(torch.tensor([[rank, 10.0 + rank]]))
        loss = shared_gradients(net, lambda shared: _contrast(shared, clips.chunk(2)[rank], ids, rank))
    grads = [p.grad for p in net.parameters()]
    torch.save({"rows": rows, "loss": loss, "grads": grads}, folder / f"{rank}.pt")


def test_two_ranks_equal_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2])  # spawned processes import this file by name
    clips = torch.randn(6, 4, 5, generator=torch.Generator().manual_seed(0))
    net = _net()
    whole = _contrast(net, clips, JOINT, 0)
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
