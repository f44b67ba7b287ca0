"""Oracles: loops over views, clips and moments in float64; the running mean by hand."""

from typing import Any

import pytest
import torch
from torch import Tensor

from aulight.data.batches import ClipBatch
from aulight.settings.objective import ByolSettings
from aulight.settings.reading import read
from aulight.training.byol import Byol
from tests.training.stages import OPTIM, Alone, batch_of, encoder_of, learned, objective_of


class _Stage(Alone, Byol):
    pass


def _stage(objective: dict[str, Any], norm: str = "group") -> _Stage:
    torch.manual_seed(0)
    stage = _Stage(encoder_of("gru", norm), read(ByolSettings, objective), OPTIM)
    with torch.no_grad():  # as after some steps
        for parameter in stage.teacher.parameters():
            parameter.mul_(1.1)
    return stage


@torch.no_grad()
def _oracle(stage: _Stage, given: ClipBatch) -> dict[str, float]:
    o, clips = stage.objective, given["clips"]
    batch, _, steps = clips.shape[:3]
    pixels = [((clips[:, view] / 255 - 0.5) / 0.25).permute(0, 1, 4, 2, 3) for view in range(2)]
    embedded = [stage.encoder.embed(view)[..., 0, 0] for view in pixels]
    past = [stage.encoder.temporal(view[..., None, None])[0][..., 0, 0] for view in embedded]
    taught = [
        stage.teacher.projector(stage.teacher.encoder.embed(view)[..., 0, 0]).double() for view in pixels
    ]  # (B, T, D)

    def apart(mine: list[list[Tensor]], theirs: list[list[Tensor]]) -> float:
        total, count = 0.0, 0
        for one, two in zip(mine, theirs, strict=True):
            means = [sum(clip) / len(clip) if o.within else torch.zeros(1) for clip in (one, two)]
            for a, b in zip(one, two, strict=True):
                p, q = a - means[0], b - means[1]
                total += float((p / p.norm() - q / q.norm()).square().sum())
                count += 1
        return total / count

    def moments(table: Tensor, begin: int, end: int) -> list[list[Tensor]]:
        return [[table[b, t].double() for t in range(begin, end)] for b in range(batch)]

    found: dict[str, list[float]] = {"instance": [], "predictive": []}
    for view in range(2):
        mine = stage.predictor(stage.projector(embedded[view]))
        found["instance"].append(apart(moments(mine, 0, steps), moments(taught[1 - view], 0, steps)))
        for k in o.horizons:
            ahead = stage.predictors(past[view], k)
            found["predictive"].append(
                apart(moments(ahead, o.context, steps - k), moments(taught[1 - view], o.context + k, steps))
            )
    return {name: sum(parts) / len(parts) for name, parts in found.items() if o.weights[name]}


@pytest.mark.parametrize(
    "changes",
    [{}, {"within": False}, {"instance": 0.3, "horizons": [2], "context": 0}, {"instance": 0.0}, {"predictive": 0.0}],
)
def test_loss_equals_slow_loops(changes: dict[str, Any]) -> None:
    stage, batch = _stage(objective_of("byol", **changes)), batch_of(3, 2, 5)
    loss = stage(batch).item()
    terms = _oracle(stage, batch)
    expected = {f"train/{name}_loss": value for name, value in terms.items()}
    expected["train/loss"] = sum(value * stage.objective.weights[name] for name, value in terms.items())
    assert stage.logged == pytest.approx(expected, rel=1e-4)
    assert loss == pytest.approx(expected["train/loss"], rel=1e-4)


@pytest.mark.parametrize("changes", [{}, {"instance": 0.0}, {"predictive": 0.0}])
def test_all_that_is_asked_has_gradients_and_the_teacher_none(changes: dict[str, Any]) -> None:
    stage = _stage(objective_of("byol", **changes))
    torch.autograd.backward(stage(batch_of(3, 2, 5)))
    for name, parameter in stage.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
        assert not (name.startswith("teacher.") and parameter.requires_grad), name


@pytest.mark.parametrize(("done", "keep"), [(0.0, 0.9), (0.5, 0.95), (1.0, 1.0)])
def test_teacher_is_a_running_mean_that_slows_down(done: float, keep: float) -> None:
    stage = _stage(objective_of("byol", momentum=0.9))
    before = {name: value.clone() for name, value in stage.teacher.named_parameters()}
    stage.teacher.follow(stage.encoder, stage.projector, done)
    students = dict(stage.named_parameters())
    assert before
    for name, value in stage.teacher.named_parameters():
        torch.testing.assert_close(value, keep * before[name] + (1 - keep) * students[name])


def test_learns_a_few_clips_by_heart_and_vectors_do_not_become_one() -> None:
    torch.manual_seed(0)
    stage = _Stage(encoder_of("gru", "batch"), read(ByolSettings, objective_of("byol", momentum=0.5)), OPTIM)
    batch = batch_of(3, 2, 6)
    losses = learned(stage, batch, 40)
    assert losses[-1] < 0.7 * losses[0]
    taught = stage.teacher(stage.pixels(batch))  # (V B, T, places, D)
    assert taught.std(1).mean().item() > 0.1
