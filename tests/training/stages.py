"""Stages one without a Trainer, on a few clips of random pictures."""

import math
from typing import Any

import torch
import torch.distributed as dist
import yaml
from torch import Tensor

from aulight.data.batches import ClipBatch
from aulight.runs.composed import conf_dir
from aulight.settings.model import NetworkSettings
from aulight.settings.reading import read
from aulight.settings.training import OptimSettings
from aulight.training.pretraining import Pretraining
from aulight.training.teacher import Taught

OPTIM = OptimSettings(lr=1e-3, weight_decay=0.0, warmup=0.1)


def encoder_of(temporal: str = "gru", norm: str = "group", size: int = 32) -> NetworkSettings:
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


def objective_of(name: str, **changes: Any) -> dict[str, Any]:
    """A file of conf/objective, with those it builds on."""
    file = yaml.safe_load((conf_dir() / "objective" / f"{name}.yaml").read_text())
    bases = [base for base in file.pop("defaults", []) if base != "_self_"]
    merged: dict[str, Any] = {}
    for base in bases:
        merged |= objective_of(base)
    merged |= file
    return merged | {"projection": 16, "hidden": 32} | changes


class Alone(Pretraining):
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
        loss = self.training_step(batch, 0)
        assert isinstance(loss, Tensor)
        return loss


def batch_of(batch: int, views: int, steps: int, size: int = 32) -> ClipBatch:
    """Clips of random pictures; of four, two are of one video, and the third is of another video of that person."""
    generator = torch.Generator().manual_seed(1)
    begin, stride = torch.tensor([[0, 8, 0, 3], [4, 2, 4, 5]])[:, :batch, None]
    return {
        "clips": torch.randint(0, 256, (batch, views, steps, size, size, 3), dtype=torch.uint8, generator=generator),
        "video": torch.tensor([6, 6, 2, 9][:batch]),
        "subject": torch.tensor([1, 1, 1, 0][:batch]),
        "frames": begin + stride * torch.arange(steps),
        "skipped": [],
    }


def part_of(batch: ClipBatch, rank: int) -> ClipBatch:
    """Of two ranks."""
    parts: Any = {name: value.chunk(2)[rank] for name, value in batch.items() if isinstance(value, Tensor)}
    return {**parts, "skipped": []}  # type: ignore[typeddict-item]


def learned(stage: Alone, batch: ClipBatch, steps: int) -> list[float]:
    """The losses of so many steps on one batch; all that is trained has a gradient, and a teacher follows."""
    trained = [parameter for parameter in stage.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=2e-3)
    losses = []
    for step in range(steps):
        optimizer.zero_grad()
        loss = stage(batch)
        torch.autograd.backward(loss)
        assert all(parameter.grad is not None for parameter in trained)
        if isinstance(stage, Taught):
            stage.teacher.follow(stage.encoder, stage.projector, step / steps)
        optimizer.step()
        losses.append(loss.item())
    assert all(map(math.isfinite, losses))
    return losses
