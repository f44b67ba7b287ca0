import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import yaml
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn
from torch.nn.parallel import DistributedDataParallel

from aulight.data.batches import ClipBatch
from aulight.errors import AulightError
from aulight.runs.composed import composed, conf_dir, register_resolvers, settings_from
from aulight.settings.model import NetworkSettings
from aulight.settings.objective import ObjectiveSettings
from aulight.settings.reading import read
from aulight.settings.training import OptimSettings
from aulight.training.contrastive import ContrastiveStage

OPTIM = OptimSettings(lr=1e-3, weight_decay=0.0, warmup=0.1)


def _encoder(temporal: str = "gru", norm: str = "group", size: int = 32) -> NetworkSettings:
    plain = {
        "backbone": "resnet_tiny",
        "temporal": temporal,
        "size": size,
        "embedding": 32,
        "hidden": 16,
        "skip": True,
        "norm": norm,
        "small_input": False,
        "mean": [0.5, 0.5, 0.5],
        "std": [0.25, 0.25, 0.25],
    }
    return read(NetworkSettings, plain)


def _objective(name: str, **changes: Any) -> dict[str, Any]:
    """A file of conf/objective, with those it builds on."""
    file = yaml.safe_load((conf_dir() / "objective" / f"{name}.yaml").read_text())
    bases = [base for base in file.pop("defaults", []) if base != "_self_"]
    merged: dict[str, Any] = {}
    for base in bases:
        merged |= _objective(base)
    merged |= file
    return merged | {"projection": 16, "hidden": 32} | changes


class _Stage(ContrastiveStage):
    """Without a Trainer: the rank comes from the process group, and logs go into a dict."""

    logged: dict[str, float]

    @property
    def global_rank(self) -> int:
        return dist.get_rank() if dist.is_initialized() else 0

    def log(self, name: str, value: Any, **_: Any) -> None:  # type: ignore[override]
        self.__dict__.setdefault("logged", {})[name] = float(value)

    def log_dict(self, values: Any, **_: Any) -> None:  # type: ignore[override]
        for name, value in values.items():
            self.log(name, value)

    def forward(self, batch: ClipBatch) -> Tensor:
        return self.training_step(batch, 0)


def _stage(temporal: str, objective: dict[str, Any], norm: str = "group") -> _Stage:
    torch.manual_seed(0)
    return _Stage(_encoder(temporal, norm), read(ObjectiveSettings, objective), OPTIM)


def _clips(batch: int, views: int, steps: int, size: int = 32) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (batch, views, steps, size, size, 3), dtype=torch.uint8, generator=generator)


@torch.no_grad()
def _oracle(stage: _Stage, clips: Tensor) -> dict[str, float]:
    """Both terms by explicit loops over sources, horizons, clips, moments, places and candidates, in float64."""
    o = stage.objective.model_dump()
    batch, views, steps = clips.shape[:3]
    normal = (clips / 255 - 0.5) / 0.25
    embedding, context = [], []
    for view in range(views):
        embedded = stage.encoder.embed(normal[:, view].permute(0, 1, 4, 2, 3))
        embedding.append(embedded)
        context.append(stage.encoder.temporal(embedded)[0])
    height, width = embedding[0].shape[-2:]

    def unit(vector: Tensor) -> Tensor:
        return nn.functional.normalize(vector.double(), dim=0)

    def key(view: int, clip: int, moment: int, y: int, x: int) -> Tensor:
        return unit(stage.projector(embedding[view][clip, moment, :, y, x][None])[0])

    places = [(y, x) for y in range(height) for x in range(width)]
    candidates = [(b, t, y, x) for b in range(batch) for t in range(steps) for y, x in places]
    keys = [{c: key(view, *c) for c in candidates} for view in range(views)]

    temperature = float(o["temperature"])

    def term(query: Tensor, own: int, target: int, positive: tuple[int, int, int, int]) -> float:
        total = 0.0
        for candidate, vector in keys[target].items():
            weight = 1.0 if candidate[0] == own else o["other_video_weight"]
            total += weight * math.exp(float(query @ vector) / temperature)
        return -float(query @ keys[target][positive]) / temperature + math.log(total)

    instance, predictive = [], []
    for source in range(views):
        target = (source + 1) % views
        if o["instance"]:
            instance.append([term(keys[source][c], c[0], target, c) for c in candidates])
        if o["predictive"]:
            for horizon in o["horizons"]:
                losses = []
                for b in range(batch):
                    for t in range(o["context"], steps - horizon):
                        for y, x in places:
                            past = context[source][b, t, :, y, x][None]
                            query = unit(stage.predictors(past, horizon)[0])
                            losses.append(term(query, b, target, (b, t + horizon, y, x)))
                predictive.append(losses)

    def mean(parts: list[list[float]]) -> float:
        return sum(sum(part) / len(part) for part in parts) / len(parts) if parts else 0.0

    return {
        "instance": mean(instance),
        "predictive": mean(predictive),
        "loss": o["instance"] * mean(instance) + o["predictive"] * mean(predictive),
    }


CASES = [
    ("gru", _objective("instance_predictive")),
    ("gru", _objective("instance_predictive", instance=0.3, predictive=0.7, horizons=[2], context=0)),
    ("gru", _objective("predictive")),
    ("none", _objective("predictive", horizons=[1], other_video_weight=1.0)),
    ("convgru", _objective("instance_predictive", spatial=True)),
    ("convgru", _objective("dense")),
]


@pytest.mark.parametrize(("temporal", "objective"), CASES)
def test_loss_equals_slow_loops(temporal: str, objective: dict[str, Any]) -> None:
    stage = _stage(temporal, objective)
    clips = _clips(2, objective["views"], 5)
    loss = stage({"clips": clips}).item()
    expected = _oracle(stage, clips)
    assert loss == pytest.approx(expected["loss"], abs=2e-5)
    assert stage.logged["train/loss"] == pytest.approx(loss)
    for term in ("instance", "predictive"):
        if objective[term]:
            assert stage.logged[f"train/{term}_loss"] == pytest.approx(expected[term], abs=2e-5)
        else:
            assert f"train/{term}_loss" not in stage.logged
    assert stage.encoder.map_size == ((2, 2) if temporal == "convgru" else (1, 1))
    candidates = 5 * math.prod(stage.encoder.map_size)
    assert stage.logged["train/predictive_chance_same"] == pytest.approx(1 / candidates)
    assert stage.logged["train/predictive_chance"] == pytest.approx(1 / (2 * candidates))


@pytest.mark.parametrize("name", ["instance_predictive", "predictive", "dense"])
def test_each_objective_learns_a_few_clips_by_heart(name: str) -> None:
    objective = _objective(name)
    stage = _stage("convgru" if name == "dense" else "gru", objective, norm="batch")
    batch = {"clips": _clips(3, objective["views"], 6)}
    optimizer = torch.optim.AdamW(stage.parameters(), lr=2e-3)
    losses = []
    for _ in range(25):
        optimizer.zero_grad()
        loss = stage(batch)
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(loss.item())
    assert all(math.isfinite(loss) for loss in losses)
    assert losses[-1] < 0.7 * losses[0]
    assert all(parameter.grad is not None for parameter in stage.parameters())


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["objective=dense", "model.temporal=gru"], "convgru"),
        (["objective.views=1"], r"objective\.views=2"),
        (["clip.length=3"], r"clip\.length=3"),
    ],
)
def test_objective_and_encoder_must_go_together(typed: list[str], message: str) -> None:
    register_resolvers()
    with composed("pretrain", typed) as config, pytest.raises(AulightError, match=message):
        settings_from("pretrain", config)


UNASKED = ("predictors.", "encoder.temporal.")
"""What has no part in the instance term."""


def _joint(rank: int, folder: Path, clips: Tensor, temporal: str, objective: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder / 'store'}", world_size=2, rank=rank)
    stage = _stage(temporal, objective)
    net: nn.Module = DistributedDataParallel(stage)
    for _ in range(2):  # DDP misses what had no part in a step as the next one begins
        stage.zero_grad()
        loss = net({"clips": clips.chunk(2)[rank]})
        torch.autograd.backward(loss)
    grads = {name: parameter.grad for name, parameter in stage.named_parameters()}
    torch.save({"loss": loss.detach(), "grads": grads}, folder / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("temporal", "objective"),
    [
        ("gru", _objective("instance_predictive")),
        ("convgru", _objective("dense")),
        ("gru", _objective("instance_predictive", predictive=0.0)),
        ("gru", _objective("instance_predictive", instance=0.0)),
    ],
)
def test_two_ranks_equal_one_with_the_joined_batch(
    temporal: str, objective: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2])  # spawned processes import this file by name
    clips = _clips(4, objective["views"], 5)
    whole = _stage(temporal, objective)
    loss = whole({"clips": clips})
    torch.autograd.backward(loss)
    spawn(_joint, (tmp_path, clips, temporal, objective), nprocs=2)  # type: ignore[no-untyped-call]
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
    stage = ContrastiveStage(
        NetworkSettings(**settings["encoder"]),
        ObjectiveSettings(**settings["objective"]),
        OptimSettings(**settings["optim"]),
    )
    stage.load_state_dict(saved["state_dict"], strict=True)
