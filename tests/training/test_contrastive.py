from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn

from aulight.data.batches import ClipBatch
from aulight.errors import AulightError
from aulight.runs.composed import composed, register_resolvers, settings_from
from aulight.settings.model import NetworkSettings
from aulight.settings.objective import ContrastiveSettings
from aulight.settings.reading import read
from aulight.settings.training import OptimSettings
from aulight.training.contrastive import Contrastive
from tests.ranks import one_of_two, shared_gradients
from tests.training.slow import Sums, weights
from tests.training.stages import OPTIM, Alone, batch_of, encoder_of, learned, objective_of, part_of


class _Stage(Alone, Contrastive):
    pass


def _stage(temporal: str, objective: dict[str, Any], norm: str = "group") -> _Stage:
    torch.manual_seed(0)
    return _Stage(encoder_of(temporal, norm), read(ContrastiveSettings, objective), OPTIM)


@torch.no_grad()
def _oracle(stage: _Stage, given: ClipBatch) -> dict[str, float]:
    """Both terms by explicit loops over sources, horizons, clips, moments, places and candidates, in float64."""
    o = stage.objective.model_dump()
    clips = given["clips"]
    batch, views, steps = clips.shape[:3]
    video, subject, frames = (given["video"].tolist(), given["subject"].tolist(), given["frames"].tolist())
    normal = (clips / 255 - 0.5) / 0.25
    embedding, context = [], []
    for view in range(views):
        embedded = stage.encoder.embed(normal[:, view].permute(0, 1, 4, 2, 3))
        embedding.append(embedded)
        context.append(stage.encoder.temporal(embedded)[0])
    height, width = embedding[0].shape[-2:]
    places = [divmod(place, width) for place in range(height * width)]

    def unit(vector: Tensor) -> Tensor:
        return nn.functional.normalize(vector.double(), dim=0)

    def key(view: int, clip: int, moment: int, place: int) -> Tensor:
        y, x = places[place]
        return unit(stage.projector(embedding[view][clip, moment, :, y, x][None])[0])

    candidates = [(b, t, p) for b in range(batch) for t in range(steps) for p in range(len(places))]
    keys = [{c: key(view, *c) for c in candidates} for view in range(views)]

    def add(to: Sums, query: Tensor, target: int, positive: tuple[int, int, int]) -> None:
        counted = weights(video, subject, frames, positive[:2], o["other_subjects"], o["same_subject"])
        to.add(query, keys[target], positive, counted, video, o["temperature"])

    parts: dict[str, list[Sums]] = {"instance": [], "predictive": []}
    for source in range(views):
        target = (source + 1) % views
        if o["instance"]:
            parts["instance"].append(Sums())
            for c in candidates:
                add(parts["instance"][-1], keys[source][c], target, c)
        for horizon in o["horizons"] if o["predictive"] else ():
            parts["predictive"].append(Sums())
            for b in range(batch):
                for t in range(o["context"], steps - horizon):
                    for p, (y, x) in enumerate(places):
                        past = context[source][b, t, :, y, x][None]
                        query = unit(stage.predictors(past, horizon)[0])
                        add(parts["predictive"][-1], query, target, (b, t + horizon, p))

    logged = {
        f"train/{term}_{name}": sum(sums.means()[name] for sums in of_term) / len(of_term)
        for term, of_term in parts.items()
        if of_term
        for name in of_term[0].means()
    }
    return logged | {"train/loss": sum(o[term] * logged[f"train/{term}_loss"] for term in parts if parts[term])}


CASES = [
    ("gru", objective_of("instance_predictive"), 4),
    ("gru", objective_of("instance_predictive", same_subject=0.5), 4),
    ("gru", objective_of("instance_predictive", instance=0.3, predictive=0.7, horizons=[2], context=0), 4),
    ("gru", objective_of("predictive"), 4),
    ("none", objective_of("predictive", horizons=[1], other_subjects=3.0), 1),
    ("convgru", objective_of("instance_predictive", spatial=True), 4),
    ("convgru", objective_of("dense"), 4),
]


@pytest.mark.parametrize(("temporal", "objective", "clips"), CASES)
def test_loss_equals_slow_loops(temporal: str, objective: dict[str, Any], clips: int) -> None:
    stage = _stage(temporal, objective)
    batch = batch_of(clips, objective["views"], 5)
    loss = stage(batch).item()
    expected = _oracle(stage, batch)
    assert stage.logged == pytest.approx(expected, abs=2e-5)
    assert loss == pytest.approx(expected["train/loss"], abs=2e-5)
    assert stage.encoder.map_size == ((2, 2) if temporal == "convgru" else (1, 1))


def test_clips_of_a_run_that_was_begun_before_are_of_strangers() -> None:
    """An earlier aulight gave each frame of another clip the weight .05, whatever it was of: the loop that it had."""
    objective = objective_of("instance_predictive", other_subjects=0.05 * 3)
    torch.manual_seed(0)
    stage = _Stage(encoder_of(), read(ContrastiveSettings, objective), OPTIM, strangers=True)
    batch = batch_of(4, 2, 5)
    loss = stage(batch).item()
    apart: ClipBatch = {**batch, "video": torch.arange(4), "subject": torch.arange(4)}
    assert loss == pytest.approx(_oracle(stage, apart)["train/loss"], abs=2e-5)
    assert loss != pytest.approx(_stage("gru", objective)(batch).item(), abs=1e-2)
    counted = weights([0, 1, 2, 3], [0, 1, 2, 3], batch["frames"].tolist(), (1, 2), 0.05 * 3, 0.0)
    assert len(counted) == 20
    assert counted == {place: pytest.approx(1.0 if place[0] == 1 else 0.05) for place in counted}


@pytest.mark.parametrize("name", ["instance_predictive", "predictive", "dense"])
def test_each_objective_learns_a_few_clips_by_heart(name: str) -> None:
    objective = objective_of(name)
    stage = _stage("convgru" if name == "dense" else "gru", objective, norm="batch")
    batch = batch_of(3, objective["views"], 6)
    losses = learned(stage, batch, 25)
    assert losses[-1] < 0.7 * losses[0]
    assert all(parameter.grad is not None for parameter in stage.parameters())


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["objective=dense", "model.temporal=gru"], "convgru"),
        (["objective.views=1"], r"objective\.views=2"),
        (["clip.length=3"], r"clip\.length=3"),
        (["objective=byol", "clip.length=4"], r"clip\.length=4.*too short"),
        (["objective=vicreg", "clip.length=4"], r"clip\.length=4.*too short"),
        (["objective=masked", "clip.length=1"], r"clip\.length=1.*too short"),
        (["objective=masked", "model.temporal=none"], r"model\.temporal=none: .*recurrence"),
    ],
)
def test_objective_and_encoder_must_go_together(typed: list[str], message: str) -> None:
    register_resolvers()
    with composed("pretrain", typed) as config, pytest.raises(AulightError, match=message):
        settings_from("pretrain", config)


UNASKED = ("predictors.", "encoder.temporal.")
"""What has no part in the instance term."""


def _joint(rank: int, folder: Path, batch: ClipBatch, temporal: str, objective: dict[str, Any]) -> None:
    with one_of_two(rank, folder):
        stage = _stage(temporal, objective)
        # DDP misses what had no part in a step as the next one begins
        loss = shared_gradients(stage, lambda net: net(part_of(batch, rank)), steps=2)
    grads = {name: parameter.grad for name, parameter in stage.named_parameters()}
    torch.save({"loss": loss, "grads": grads}, folder / f"{rank}.pt")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("temporal", "objective"),
    [
        ("gru", objective_of("instance_predictive")),
        ("gru", objective_of("instance_predictive", same_subject=0.5)),
        ("convgru", objective_of("dense")),
        ("gru", objective_of("instance_predictive", predictive=0.0)),
        ("gru", objective_of("instance_predictive", instance=0.0)),
    ],
)
def test_two_ranks_equal_one_with_the_joinedbatch_of(
    temporal: str, objective: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2])  # spawned processes import this file by name
    batch = batch_of(4, objective["views"], 5)
    order = torch.tensor([0, 2, 1, 3])  # each rank has a clip of the video that two are of
    for name in ("clips", "video", "subject", "frames"):
        batch[name] = batch[name][order]
    whole = _stage(temporal, objective)
    loss = whole(batch)
    torch.autograd.backward(loss)
    spawn(_joint, (tmp_path, batch, temporal, objective), nprocs=2)  # type: ignore[no-untyped-call]
    ranks = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    assert sum(float(rank["loss"]) for rank in ranks) / 2 == pytest.approx(loss.item(), abs=1e-5)
    for name, parameter in whole.named_parameters():
        for rank in ranks:
            assert (parameter.grad is None) == (objective["predictive"] == 0 and name.startswith(UNASKED)), name
            torch.testing.assert_close(rank["grads"][name], parameter.grad, rtol=1e-4, atol=1e-5)


def _plain(value: Any) -> bool:
    if isinstance(value, dict):
        return type(value) is dict and all(type(key) is str and _plain(item) for key, item in value.items())
    if isinstance(value, list):
        return type(value) is list and all(map(_plain, value))
    return value is None or type(value) in (str, int, float, bool)


def test_checkpoint_is_plain_and_rebuilds_the_stage(pretrained: Path) -> None:
    saved = torch.load(pretrained / "checkpoints" / "last.ckpt", weights_only=True)
    settings = saved["hyper_parameters"]
    assert _plain(settings)
    stage = Contrastive(
        NetworkSettings(**settings["encoder"]),
        ContrastiveSettings(**settings["objective"]),
        OptimSettings(**settings["optim"]),
    )
    stage.load_state_dict(saved["state_dict"], strict=True)
