"""Causal recurrences over the frames of a clip; the state goes in and comes out.

GRU: Cho et al. 2014, https://arxiv.org/abs/1406.1078. ConvGRU: Ballas et al. 2016,
https://arxiv.org/abs/1511.06432, with the gates ordered and the reset applied as in `torch.nn.GRU`.
What depends on the input alone is computed once for all frames; only the part that maps state to state
runs frame after frame. The recurrence itself is float32 also under autocast, since its error adds up.
"""

import torch
from torch import Tensor, nn

from aulight.errors import AulightError

TEMPORAL = ("gru", "convgru", "none")


class Temporal(nn.Module):
    """A causal map over time, `out, state = temporal(x, state)`.

    `x` is `(B, T, channels in, h, w)`, `out` is `(B, T, channels, h, w)` float32. `state` is None before
    the first frame; afterwards `(B, channels, h, w)` float32, or None again where there is none to carry.
    A clip fed whole gives the same numbers as the clip fed in pieces with the state carried.

    Attributes:
        channels: Number of channels of `out`.
    """

    channels: int


def build_temporal(name: str, channels: int, hidden: int) -> Temporal:
    """Build a temporal module with random weights.

    Args:
        name: `gru` (vectors only: h = w = 1), `convgru` (3x3 convolutions over the map), or `none`
            (each frame alone: out is x, and `hidden` plays no part).
        channels: Channels of the input.
        hidden: Channels of the state and the output.

    Raises:
        AulightError: No temporal module of that name.
    """
    if name == "gru":
        return _GRU(channels, hidden)
    if name == "convgru":
        return _ConvGRU(channels, hidden)
    if name == "none":
        return _Identity(channels)
    raise AulightError(f"unknown temporal module {name!r}: choose one of {', '.join(TEMPORAL)}")


class _GRU(Temporal):
    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.channels = hidden
        self.gru = nn.GRU(channels, hidden, batch_first=True)  # transforms all inputs in one product

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        if x.shape[-2:] != (1, 1):
            raise ValueError(f"a gru takes vectors (h = w = 1), not maps of {tuple(x.shape[-2:])}")
        with torch.autocast(x.device.type, enabled=False):
            first = None if state is None else state.float().flatten(1)[None].contiguous()
            out, last = self.gru(x.float().flatten(2), first)
        return out[..., None, None], last[0, ..., None, None]


class _ConvGRU(Temporal):
    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.channels = hidden
        self.from_input = nn.Conv2d(channels, 3 * hidden, 3, padding=1)
        self.from_state = nn.Conv2d(hidden, 3 * hidden, 3, padding=1)

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        inputs = self.from_input(x.flatten(0, 1)).float().unflatten(0, x.shape[:2])  # (B, T, 3 hidden, h, w)
        with torch.autocast(x.device.type, enabled=False):
            if state is None:
                state = inputs.new_zeros(x.shape[0], self.channels, *x.shape[-2:])
            state = state.float()
            states = []
            for frame in inputs.unbind(1):
                state = self._step(frame, state)
                states.append(state)
            return torch.stack(states, 1), state

    def _step(self, inputs: Tensor, state: Tensor) -> Tensor:
        reset_x, update_x, new_x = inputs.chunk(3, 1)
        reset_h, update_h, new_h = self.from_state(state).chunk(3, 1)
        reset, update = torch.sigmoid(reset_x + reset_h), torch.sigmoid(update_x + update_h)
        return torch.lerp(torch.tanh(new_x + reset * new_h), state, update)


class _Identity(Temporal):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, None]:
        return x.float(), None
