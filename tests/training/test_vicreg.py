"""Oracle: loops over views, clips, moments, and pairs of numbers, in float64."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.multiprocessing.spawn import spawn

from aulight.data.batches import ClipBatch
from aulight.settings.objective import VicregSettings
from aulight.settings.reading import read
from aulight.training.vicreg import Vicreg, spread
from tests.ranks import one_of_two, shared_gradients
from tests.training.stages import OPTIM, Alone, batch_of, encoder_of, learned, objective_of, part_of


class _Stage(Alone, Vicreg):
    pass


def _stage(temporal: str, objective: dict[str, Any]) -> _Stage:
    torch.manual_seed(0)
    return _Stage(encoder_of(temporal), read(VicregSettings, objective), OPTIM)


@torch.no_grad()
def _oracle(stage: _Stage, given: ClipBatch) -> dict[str, float]:
    o, clips = stage.objective, given["clips"]
    batch, _, steps = clips.shape[:3]
    height, width = stage.encoder.map_size
    spots = [(b, t, y, x) for b in range(batch) for t in range(steps) for y in range(height) for x in range(width)]
    vectors, past = list[dict[Any, Tensor]](), list[Tensor]()
    for view in range(2):
        embedded = stage.encoder.embed(((clips[:, view] / 255 - 0.5) / 0.25).permute(0, 1, 4, 2, 3))
        past.append(stage.encoder.temporal(embedded)[0])
        raw = {(b, t, y, x): stage.projector(embedded[b, t, :, y, x][None])[0].double() for b, t, y, x in spots}
        if o.within:
            means = {(b, y, x): sum(raw[b, t, y, x] for t in range(steps)) / steps for b, _, y, x in spots}
            raw = {(b, t, y, x): raw[b, t, y, x] - means[b, y, x] for b, t, y, x in spots}
        vectors.append(raw)

    def squared(pairs: list[tuple[Tensor, Tensor]]) -> float:
        return float(np.mean([float((one - two).square().mean()) for one, two in pairs]))

    terms = {"instance": squared([(vectors[0][spot], vectors[1][spot]) for spot in spots])}
    terms["predictive"] = float(
        np.mean(
            [
                squared(
                    [
                        (
                            stage.predictors(past[source][b, t, :, y, x][None], k)[0].double(),
                            vectors[1 - source][b, t + k, y, x],
                        )
                        for b, t, y, x in spots
                        if o.context <= t < steps - k
                    ]
                )
                for source in range(2)
                for k in o.horizons
            ]
        )
    )
    hinges, alike = [], []
    for raw in vectors:
        table = torch.stack([raw[spot] for spot in spots]).numpy()
        covariance = np.cov(table, rowvar=False)
        count = len(covariance)
        hinges.append(np.mean([max(0.0, 1 - np.sqrt(covariance[i, i] + 1e-4)) for i in range(count)]))
        alike.append(sum(covariance[i, j] ** 2 for i in range(count) for j in range(count) if i != j) / count)
    return terms | {"variance": float(np.mean(hinges)), "covariance": float(sum(alike))}


@pytest.mark.parametrize(
    ("temporal", "changes"),
    [("gru", {}), ("gru", {"within": False}), ("gru", {"horizons": [2], "context": 0}), ("convgru", {})],
)
def test_loss_equals_slow_loops(temporal: str, changes: dict[str, Any]) -> None:
    stage = _stage(temporal, objective_of("vicreg", **changes))
    batch = batch_of(3, 2, 5)
    loss = stage(batch).item()
    terms = _oracle(stage, batch)
    expected = {f"train/{name}_loss": value for name, value in terms.items()}
    expected["train/loss"] = sum(value * stage.objective.weights[name] for name, value in terms.items())
    assert stage.logged == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert loss == pytest.approx(expected["train/loss"], rel=1e-4)


def test_vectors_that_do_not_vary_and_say_the_same_cost_most() -> None:
    varied = torch.randn(4000, 6, generator=torch.Generator().manual_seed(0)) * 2
    variance, covariance = spread(varied)
    assert variance.item() == 0.0
    assert covariance.item() == pytest.approx(0.0, abs=0.2)
    assert spread(torch.full((50, 6), 3.0))[0].item() == pytest.approx(0.99)
    doubled = torch.cat([varied[:, :1]] * 6, 1)
    assert spread(doubled)[1].item() == pytest.approx(5 * doubled.var().item() ** 2, rel=0.01)


def test_sums_over_many_vectors_are_exact_under_autocast() -> None:
    vectors = torch.randn(2048, 128, generator=torch.Generator().manual_seed(0))
    expected = np.cov(vectors.double().numpy(), rowvar=False)
    with torch.autocast("cpu", torch.bfloat16):
        covariance = spread(vectors)[1].item()
    assert covariance == pytest.approx((np.square(expected).sum() - np.square(np.diag(expected)).sum()) / 128, rel=1e-4)


def test_what_all_moments_of_a_clip_share_is_of_no_help_within() -> None:
    """Vectors that tell clips apart and nothing else vary over the batch; within their clips they do not."""
    batch = batch_of(3, 2, 5)
    batch["clips"] = batch["clips"][:, :, :1].expand(-1, -1, 5, -1, -1, -1)
    costs = {}
    for within in (True, False):
        stage = _stage("gru", objective_of("vicreg", within=within))
        stage(batch)
        costs[within] = stage.logged["train/variance_loss"]
    assert costs[True] == pytest.approx(0.99, abs=1e-3)
    assert costs[False] < 0.9


def test_learns_a_few_clips_by_heart() -> None:
    stage, batch = _stage("gru", objective_of("vicreg")), batch_of(3, 2, 6)
    losses = learned(stage, batch, 25)
    assert losses[-1] < 0.7 * losses[0]
    assert all(parameter.grad is not None for parameter in stage.parameters())


def _joint(rank: int, folder: Path, batch: ClipBatch) -> None:
    with one_of_two(rank, folder):
        stage = _stage("gru", objective_of("vicreg"))
        loss = shared_gradients(stage, lambda net: net(part_of(batch, rank)))
    grads = {name: parameter.grad for name, parameter in stage.named_parameters()}
    torch.save({"loss": loss, "grads": grads}, folder / f"{rank}.pt")


@pytest.mark.slow
def test_two_ranks_equal_one_with_the_joined_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2])  # spawned processes import this file by name
    batch, whole = batch_of(4, 2, 5), _stage("gru", objective_of("vicreg"))
    loss = whole(batch)
    torch.autograd.backward(loss)
    spawn(_joint, (tmp_path, batch), nprocs=2)  # type: ignore[no-untyped-call]
    ranks = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    assert sum(float(rank["loss"]) for rank in ranks) / 2 == pytest.approx(loss.item(), rel=1e-5)
    for name, parameter in whole.named_parameters():
        for rank in ranks:
            torch.testing.assert_close(rank["grads"][name], parameter.grad, rtol=1e-3, atol=1e-4)
