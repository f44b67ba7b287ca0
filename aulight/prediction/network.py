"""A model as torch modules."""

import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from aulight.errors import AulightError, one_line
from aulight.nets.encoder import Encoder
from aulight.nets.finite import not_finite
from aulight.nets.heads import IntensityRegressor
from aulight.nets.stream import FrameStream
from aulight.prediction.description import ModelDescription
from aulight.prediction.model import Model, Stream


class TorchStream:
    """A :class:`FrameStream` on a device and in a precision."""

    def __init__(self, network: nn.ModuleDict, stride: int, device: torch.device, precision: str) -> None:
        encoder: Any = network["encoder"]
        regressor: Any = network["regressor"]
        self._device, self._precision = device, precision
        self._stream = FrameStream(encoder, regressor.predict, stride, regressor)

    def push(self, clip: Tensor) -> Tensor:
        """As of :class:`Stream`."""
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._precision == "bf16"):
            return self._stream.push(clip.to(self._device)).cpu()

    def explain(self, clip: Tensor, output: int) -> tuple[Tensor, Tensor]:
        """As of :class:`Stream`."""
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._precision == "bf16"):
            intensities, heat = self._stream.explain(clip.to(self._device), output)
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
        encoder = Encoder(about.encoder)
    except AulightError as error:
        raise AulightError(f"{source}: {error}") from error
    network = nn.ModuleDict({"encoder": encoder, "regressor": IntensityRegressor(encoder.channels, len(about.aus))})
    try:
        network.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        raise AulightError(f"{source}: its weights do not fit its network: {one_line(error)}") from error
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
        return TorchStream(copies[there], about.stride, there, precision)

    return Model(about, start, source, network)
