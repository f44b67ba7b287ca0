"""The training of the default model: intensities, and beside them what else is known of a rendered face.

Where points of the face lie, what each side shows and how the head is turned are learned beside the intensities by
linear heads that are thrown away afterwards. They tell the network at once where to look, which intensities alone take
long to teach.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from aulight.data.avatars.actions import AVATAR_AUS
from aulight.data.avatars.portraits import POINTS
from aulight.files import whole
from aulight.nets.encoder import Encoder
from aulight.nets.heads import IntensityRegressor
from aulight.nets.precision import choose
from aulight.settings.model import NetworkSettings
from aulight.training.default_model.augmentation import augment
from aulight.training.default_model.collection import EACH, PARTS, PIXELS, Collection

NETWORK = NetworkSettings(
    backbone="resnet_tiny",
    temporal="none",
    size=PIXELS,
    embedding=128,
    hidden=128,
    skip=False,
    norm="batch",
    small_input=False,
    mean=[0.5, 0.5, 0.5],
    std=[0.25, 0.25, 0.25],
    margin=12,
    contrast="picture",
)
"""Of the model; the middle of the crops, where the face is, is what is looked at."""

BATCH, LR, DECAY = 64, 2e-3, 0.02
_AUS = len(AVATAR_AUS)
_POINT_SPREAD, _OTHERS_SPREAD = 0.06, torch.tensor([0.24, 0.12, 0.08, 0.2, 0.1, 0.3])
_SIDES, _POINTS, _OTHERS, _AGREEMENT = 0.3, 0.5, 0.1, 0.3
"""How much each counts beside the intensities' squared error."""


class Learner(nn.Module):
    """The network that trains on middles of crops, changed by chance.

    Attributes:
        encoder: As of :data:`NETWORK`, but that there is no margin to cut away: the same weights.
        regressor: To the intensities.
    """

    mean_points: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder(NETWORK.model_copy(update={"size": NETWORK.seen, "margin": 0}))
        self.regressor = IntensityRegressor(self.encoder.channels, _AUS)
        self.beside = nn.Linear(self.encoder.channels, 2 * _AUS + 4 * POINTS + 6)
        self.register_buffer("mean_points", torch.zeros(4 * POINTS))
        self._bf16 = choose("cpu").bf16

    def embed(self, frames: Tensor) -> Tensor:
        """Middles of crops ``(B, 3, seen, seen)`` of 0 to 1 to embeddings ``(B, 128)`` float32."""
        normal = self.encoder.normalise(255 * frames.permute(0, 2, 3, 1)[:, None])
        features, _ = self.encoder(normal)
        embedding: Tensor = features[:, 0, :, 0, 0].float()
        return embedding

    def loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """Of a batch of :class:`Changed`."""
        wanted = self.regressor.standardise(batch["intensities"])
        sides = torch.cat([self.regressor.standardise(batch[side]) for side in ("left", "right")], 1)
        with torch.autocast("cpu", torch.bfloat16, enabled=self._bf16):
            embedding = self.embed(batch["frames"])
        found = self.regressor(embedding[:, None, :, None, None])[:, 0]
        beside = self.beside(embedding).split([2 * _AUS, 4 * POINTS, 6], 1)
        points = (batch["points"] - self.mean_points) / _POINT_SPREAD
        losses = {
            "intensity": (found - wanted).square().mean(),
            "agreement": _AGREEMENT * (1 - _concordance(found, wanted)).mean(),
            "sides": _SIDES * (beside[0] - sides).square().mean(),
            "points": _POINTS * (beside[1] - points).square().clamp(max=50).mean(),
            "others": _OTHERS * (beside[2] - batch["others"]).square().clamp(max=20).mean(),
        }
        return torch.stack(list(losses.values())).sum(), {name: value.item() for name, value in losses.items()}

    @torch.no_grad()
    def read(self, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Intensities ``(n, 20)`` of crops ``(n, 96, 96, 3)`` uint8."""
        self.eval()
        cut = slice(NETWORK.margin, NETWORK.size - NETWORK.margin)
        found = []
        for start in range(0, len(crops), 256):
            some = torch.from_numpy(np.ascontiguousarray(crops[start : start + 256, cut, cut]))
            with torch.autocast("cpu", torch.bfloat16, enabled=self._bf16):
                features, _ = self.encoder(self.encoder.normalise(some[:, None]))
            found.append(self.regressor.predict(features.float())[:, 0])
        intensities: npt.NDArray[np.float32] = torch.cat(found).numpy()
        return intensities


def _places(points: Tensor, where: Tensor, mirrored: Tensor) -> Tensor:
    """Points ``(B, 160)`` of crops, 0 to 1, to ``(B, 160)`` on what has become of them, -1 to 1, sides swapped."""
    at = 2 * points.reshape(len(points), -1, 2) - 1
    at = torch.where(mirrored[:, None, None], at.roll(POINTS, 1), at)
    back = torch.linalg.inv(where[:, :, :2])
    moved: Tensor = (at - where[:, None, :, 2]) @ back.transpose(1, 2)
    return moved.flatten(1)


def _concordance(found: Tensor, wanted: Tensor) -> Tensor:
    """Lin's coefficient ``(AUs,)`` over a batch."""
    (v1, m1), (v2, m2) = (torch.var_mean(values, 0, correction=0) for values in (found, wanted))
    shared = ((found - m1) * (wanted - m2)).mean(0)
    return (2 * shared + 1e-2) / (v1 + v2 + (m1 - m2).square() + 1e-2)


class Changed(IterableDataset[dict[str, Tensor]]):
    """Batches without end of pictures drawn by chance and changed by chance, of the people who are there.

    ``frames`` ``(B, 3, seen, seen)`` float32 of 0 to 1; what is known of them by the names of :data:`PARTS`, sides
    swapped where they are mirrored, ``points`` from -1 to 1 over the frame.
    """

    def __init__(self, collection: Collection, held_out: int, seed: int) -> None:
        self._collection, self._held_out, self._seed = collection, held_out, seed

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        torch.manual_seed(self._seed)
        torch.set_num_threads(1)
        rng = np.random.default_rng(self._seed)
        step, people = 0, _people(self._collection, self._held_out)
        while True:
            if step % 200 == 0:
                people = _people(self._collection, self._held_out)
            step += 1
            which = list(zip(rng.choice(people, BATCH), rng.integers(0, EACH, BATCH), strict=True))
            pictures, known = (
                torch.from_numpy(np.stack([of[place] for place in which]))
                for of in (self._collection.pictures, self._collection.known)
            )
            yield _changed(pictures, known)


def _changed(pictures: Tensor, known: Tensor) -> dict[str, Tensor]:
    frames, where, mirrored = augment(pictures, NETWORK.seen)
    truth = {name: known[:, part] for name, part in PARTS.items()}
    swap = mirrored[:, None]
    left = torch.where(swap, truth["right"], truth["left"])
    right = torch.where(swap, truth["left"], truth["right"])
    sign = torch.tensor([-1.0, 1, -1, -1, 1, 1])
    others = torch.where(swap, truth["others"] * sign, truth["others"]) / _OTHERS_SPREAD
    points = _places(truth["points"], where, mirrored)
    changed = {"left": left, "right": right, "others": others, "points": points}
    return {"frames": frames, "intensities": truth["intensities"]} | changed


@dataclass(frozen=True)
class Fit:
    """How long to train.

    Attributes:
        steps: Of the optimiser.
        held_out: The first people of the collection, who are never learned from.
        minutes: After which it ends where the steps have not been done; the rate falls accordingly.
        every: Steps between checkpoints.
    """

    steps: int
    held_out: int
    minutes: float = math.inf
    every: int = 1000


def fit(collection: Collection, how: Fit, folder: Path, seed: int = 0) -> tuple[Learner, int]:
    """Trains on all people of a collection that are there, those that come meanwhile as well.

    Args:
        collection: The pictures.
        how: How long.
        folder: For ``step_<n>.pt`` and ``last.pt``.
        seed: Of training.

    Returns:
        What was trained, and how many steps that took.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    learner = Learner()
    people = _people(collection, how.held_out)
    known = np.concatenate([collection.known[subject] for subject in people[:400]])
    labels = torch.from_numpy(known[:, PARTS["intensities"]])
    learner.regressor.set_scale(labels.mean(0), labels.std(0))
    learner.mean_points.copy_(_mean_points(torch.from_numpy(known[:, PARTS["points"]])))
    weights = [p for p in learner.parameters() if p.dim() > 1]
    rest = [p for p in learner.parameters() if p.dim() <= 1]
    groups = [{"params": weights, "weight_decay": DECAY}, {"params": rest, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, LR, betas=(0.9, 0.99))
    start, step, shown = time.monotonic(), 0, dict[str, float]()
    batches = iter(DataLoader(Changed(collection, how.held_out, seed), None, num_workers=1, prefetch_factor=6))
    while step < how.steps and (done := (time.monotonic() - start) / 60 / how.minutes) < 1:
        batch = next(batches)
        rate = LR * _rate(max(step / how.steps, done))
        for group in optimiser.param_groups:
            group["lr"] = rate
        learner.train()
        loss, parts = learner.loss(batch)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(learner.parameters(), 2.0)
        optimiser.step()
        step += 1
        for name, value in parts.items():
            shown[name] = value if name not in shown else 0.98 * shown[name] + 0.02 * value
        if step % 200 == 0:
            told = " ".join(f"{name} {value:.3f}" for name, value in shown.items())
            print(f"step {step} {(time.monotonic() - start) / 60:.1f} min {told}", flush=True)
        if step % how.every == 0:
            _keep(learner, folder / f"step_{step:06d}.pt")
    _keep(learner, folder / "last.pt")
    return learner, step


def _keep(learner: Learner, file: Path) -> None:
    with whole(file) as temporary:
        torch.save(learner.state_dict(), temporary)


def _people(collection: Collection, held_out: int) -> npt.NDArray[np.int64]:
    there = np.flatnonzero(collection.there)
    return there[there >= held_out]


def _mean_points(points: Tensor) -> Tensor:
    """Where points lie on average on the middle of crops, -1 to 1, mirrored crops counted as well."""
    mean = (2 * points.mean(0).reshape(-1, 2) - 1) * (NETWORK.size / NETWORK.seen)
    other = mean.roll(POINTS, 0) * torch.tensor([-1.0, 1.0])
    both: Tensor = (mean + other) / 2
    return both.flatten()


def _rate(done: float) -> float:
    """Up over the first twentieth, then down as a cosine."""
    if done < 0.05:
        return 0.05 + 0.95 * done / 0.05
    return 0.5 * (1 + math.cos(math.pi * (done - 0.05) / 0.95))
