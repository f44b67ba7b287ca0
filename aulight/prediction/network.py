"""A model as torch modules."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from aulight.errors import AulightError, one_line, shorten, shown
from aulight.nets.encoder import Encoder
from aulight.nets.finite import not_finite
from aulight.nets.heads import IntensityRegressor
from aulight.nets.stream import FrameStream
from aulight.nets.tracks import Times, Which
from aulight.prediction.description import ModelDescription
from aulight.prediction.model import Model
from aulight.prediction.scorer import Stream


class TorchStream:
    """A :class:`FrameStream` on a device and in a precision."""

    def __init__(self, network: nn.ModuleDict, about: ModelDescription, device: torch.device, precision: str) -> None:
        encoder: Any = network["encoder"]
        regressor: Any = network["regressor"]
        self._device, self._precision = device, precision
        self._stream = FrameStream(encoder, regressor.predict, about.seconds_a_step, about.primed, regressor)

    def push(self, clip: Tensor, times: Times, faces: Which, anew: Which) -> Tensor:
        """As of :class:`Stream`."""
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._precision == "bf16"):
            return self._stream.push(clip.to(self._device), times, faces, anew).cpu()

    def explain(self, clip: Tensor, output: int, times: Times, faces: Which, anew: Which) -> tuple[Tensor, Tensor]:
        """As of :class:`Stream`."""
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._precision == "bf16"):
            intensities, heat = self._stream.explain(clip.to(self._device), output, times, faces, anew)
        return intensities.cpu(), heat.cpu()


def build(about: ModelDescription, weights: dict[str, Tensor], source: Path) -> Model:
    """The model of a description and its weights.

    Args:
        about: What is said of it.
        weights: Of ``encoder`` and ``regressor``, by their names in torch.
        source: Where they are from, for what may be wrong.

    Raises:
        AulightError: When they do not fit.
    """
    try:
        with torch.device("meta"):  # which takes no memory, whatever sizes a stranger claims
            claimed = _network(about).state_dict()
        _check_fit(claimed, weights)
        network = _network(about)
        network.load_state_dict(weights, strict=True)
    except AulightError as error:
        raise AulightError(f"{source}: {error}") from error
    except (RuntimeError, TypeError) as error:
        raise AulightError(f"{source}: no network can be built of it ({one_line(error)[:200]})") from error
    if (name := not_finite(network.state_dict())) is not None:
        raise AulightError(
            f"{source}: its weight {name} is not finite: its training came to nothing; give another model"
        )
    network.eval().requires_grad_(False)
    copies: dict[torch.device, nn.ModuleDict] = {torch.device("cpu"): network}

    def start(device: str, precision: str) -> Stream:
        try:
            there = torch.device(device)
            if there not in copies:
                copies[there] = copy.deepcopy(network).to(there)
        except (RuntimeError, AssertionError) as error:
            raise AulightError(f"device={device}: not there ({one_line(error)}); cpu always is") from error
        return TorchStream(copies[there], about, there, precision)

    return Model(about, start, source, network)


def _network(about: ModelDescription) -> nn.ModuleDict:
    encoder = Encoder(about.encoder)
    own = 0 if about.reference is None else about.architecture.embedding
    return nn.ModuleDict({"encoder": encoder, "regressor": IntensityRegressor(encoder.channels, len(about.aus), own)})


def _check_fit(claimed: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> None:
    """Raises, naming the first few of them, for weights that are missing, too many or of another shape or kind."""
    problems = [f"{name} is missing" for name in claimed if name not in weights]
    problems += [f"{shown(name)} is not one of it" for name in weights if name not in claimed]
    for name in claimed.keys() & weights.keys():
        wanted, given = claimed[name], weights[name]
        if given.shape != wanted.shape:
            problems.append(f"{name} is {tuple(given.shape)}, not {tuple(wanted.shape)}")
        elif given.is_floating_point() != wanted.is_floating_point():
            problems.append(f"{name} is of {given.dtype}, not {wanted.dtype}")
    if problems:
        raise AulightError(f"its weights do not fit its network: {shorten(sorted(problems), 3)}")
