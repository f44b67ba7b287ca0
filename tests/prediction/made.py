"""Small models as a careful stranger would make them: of random weights, under a seal that holds."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from aulight.facs import column
from aulight.nets.encoder import Encoder
from aulight.nets.heads import IntensityRegressor
from aulight.prediction.seal import OPEN, write_sealed
from aulight.scoring.conformal import EDGES, LEVELS
from aulight.settings.model import NetworkSettings

AUS = [1, 4, 12]
SIZE = 32
NETWORK: dict[str, Any] = {
    "backbone": "resnet_tiny", "temporal": "gru", "size": SIZE, "embedding": 8, "hidden": 8, "skip": True,
    "norm": "batch", "small_input": False,
}  # fmt: skip
COLOURS: dict[str, Any] = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}


def description() -> dict[str, Any]:
    """What the header says, all of it."""
    scores = {"icc": 0.5, "mae": 0.4, "mse": 0.3}
    return {
        "format_version": 1,
        "written_by": "aulight 0.1.0",
        "created": "2026-01-31",
        "name": "made",
        "aus": list(AUS),
        "architecture": dict(NETWORK),
        "stride": 2,
        "normalisation": {
            "image_mean": COLOURS["mean"],
            "image_std": COLOURS["std"],
            "label_mean": [0.5, 1.0, 1.5],
            "label_std": [1.0, 0.5, 0.7],
        },
        "crop_size": 64,
        "alignment": "eyes and nose to a template, upright",
        "smooth_s": 0.1,
        "dataset": {"name": "faces", "fingerprint": "41a0b2ab831962bf", "fps": 25.0},
        "stage_one": {"dataset": "faces", "own_frames": True, "subjects": 5, "unlabelled_subjects": 2},
        "arm": "pretrained",
        "fold": 1,
        "label_fraction": 0.2,
        "labelled_frames": 24,
        "label_seed": 0,
        "seed": 0,
        "subjects": {"train": 3, "validation": 2, "test": 3},
        "validation": {"icc": None},
        "test": {"labelled_frames": 120, **scores, "per_au": {column(au): scores for au in AUS}},
        "intervals": {
            "levels": list(LEVELS),
            "edges": list(EDGES),
            "reach": {column(au): [[1.5] * len(LEVELS)] * (len(EDGES) + 1) for au in AUS} | {"AU04": None},
        },
        "versions": {"python": "3.11.7", "aulight": "0.1.0"},
        "licence": "CC0-1.0",
    }


def weights() -> dict[str, Tensor]:
    """Of the network that is described."""
    torch.manual_seed(0)
    encoder = Encoder(NetworkSettings(**NETWORK, **COLOURS))
    parts = {"encoder": encoder, "regressor": IntensityRegressor(encoder.channels, len(AUS))}
    named = ((f"{part}.{name}", value) for part, net in parts.items() for name, value in net.state_dict().items())
    return {name: value.contiguous() for name, value in named}


def sealed(path: Path, said: Mapping[str, Any] | str, tensors: Mapping[str, Tensor]) -> Path:
    """A ``.aulight`` file of a header, be it a description or any text, and weights."""
    header = {"aulight": said if isinstance(said, str) else json.dumps(said), "seal": OPEN.decode()}
    write_sealed(path, safetensors.torch.save(dict(tensors), header))
    return path
