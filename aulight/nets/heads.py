"""Small heads on the encoder's features: two for contrastive learning, one for intensities.

All of them compute in float32 also under autocast: they are cheap, and what they give is compared closely.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from aulight.facs import MAX_INTENSITY
from aulight.nets.backbone import vector_norm


def mlp(inputs: int, hidden: int, outputs: int, norm: str = "batch", free: bool = False) -> nn.Sequential:
    """Return Linear-norm-ReLU-Linear-norm on `(N, inputs)`; the last norm has no scale and shift of its own.

    Args:
        inputs: Channels of the input.
        hidden: Channels between the two layers.
        outputs: Channels of the output.
        norm: `batch`, or `group`, which is layer norm here.
        free: Whether the last norm is left out.
    """
    layers = [nn.Linear(inputs, hidden, bias=False), vector_norm(norm, hidden), nn.ReLU()]
    layers += [nn.Linear(hidden, outputs, bias=False)]
    return nn.Sequential(*layers, *([] if free else [vector_norm(norm, outputs, affine=False)]))


def _apply_to_rows(net: nn.Module, x: Tensor) -> Tensor:
    with torch.autocast(x.device.type, enabled=False):
        rows: Tensor = net(x.float().flatten(0, -2))
    return rows.reshape(*x.shape[:-1], rows.shape[-1])


class Projector(nn.Module):
    """Maps embeddings `(..., channels)` to the vectors `(..., outputs)` that stage one compares.

    Args:
        channels: Channels of the embeddings.
        hidden: See `mlp`.
        outputs: Channels of the vectors.
        norm: See `mlp`.
        free: See `mlp`.
    """

    def __init__(self, channels: int, hidden: int, outputs: int, norm: str = "batch", free: bool = False) -> None:
        super().__init__()
        self.net = mlp(channels, hidden, outputs, norm, free)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(..., outputs)` float32 for `x` `(..., channels)`."""
        return _apply_to_rows(self.net, x)


class Predictors(nn.Module):
    """One `mlp` for each horizon k, which predicts the vector of step t + k from the features of step t.

    Args:
        horizons: Horizons in steps.
        channels: Channels of the features.
        hidden: See `mlp`.
        outputs: Channels of the vectors.
        norm: See `mlp`.
        free: See `mlp`.

    Attributes:
        horizons: The horizons, in the order given.
    """

    def __init__(
        self,
        horizons: Sequence[int],
        channels: int,
        hidden: int,
        outputs: int,
        norm: str = "batch",
        free: bool = False,
    ) -> None:
        super().__init__()
        self.horizons = tuple(horizons)
        self.nets = nn.ModuleDict({str(k): mlp(channels, hidden, outputs, norm, free) for k in self.horizons})

    def forward(self, x: Tensor, horizon: int) -> Tensor:
        """Return the predictions `(..., outputs)` float32 at `horizon` from `x` `(..., channels)`."""
        return _apply_to_rows(self.nets[str(horizon)], x)


class IntensityRegressor(nn.Module):
    """A linear map from features to the intensity of each action unit.

    It is trained on labels standardised per action unit and starts at zero, which stands for the mean. With a
    reference (:mod:`aulight.nets.reference`) there is a second map of the frame's own embedding, of which each person's
    reference is taken away.

    Args:
        channels: Channels of the features.
        n_aus: Number of action units.
        own: Channels of the embedding, the last ones of the features; 0: no reference.

    Attributes:
        mean: `(n_aus,)` float32, mean intensity of each action unit; saved with the weights.
        std: `(n_aus,)` float32, standard deviation of each; saved with the weights.
        relative: The second map; `None` without a reference.
        usual: `(n_aus,)` float32, the mean reference of training, standardised; saved with the weights.
    """

    mean: Tensor
    std: Tensor
    usual: Tensor

    def __init__(self, channels: int, n_aus: int, own: int = 0) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, n_aus)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        self.register_buffer("mean", torch.zeros(n_aus))
        self.register_buffer("std", torch.ones(n_aus))
        self.relative = nn.Linear(own, n_aus, bias=False) if own else None
        if self.relative is not None:
            nn.init.zeros_(self.relative.weight)
            self.register_buffer("usual", torch.zeros(n_aus))

    def set_scale(self, mean: Tensor, std: Tensor) -> None:
        """Set the mean and standard deviation `(n_aus,)` of the training labels.

        An action unit with no known label (NaN) gets 0 and 1; one with a constant label keeps the unit scale.
        """
        self.mean.copy_(torch.nan_to_num(mean, nan=0.0))
        std = torch.nan_to_num(std, nan=1.0)
        self.std.copy_(torch.where(std > 1e-6, std, torch.ones_like(std)))

    @torch.no_grad()
    def rescale(self, slope: Tensor, offset: Tensor) -> None:
        """Have `slope intensity + offset`, each `(n_aus,)`, in the place of each intensity, by the linear map alone."""
        bias = slope * (self.std * self.linear.bias + self.mean) + offset
        self.linear.weight.mul_(slope[:, None])
        if self.relative is not None:
            self.relative.weight.mul_(slope[:, None])
            self.usual.mul_(slope)
        self.linear.bias.copy_((bias - self.mean) / self.std)

    def standardise(self, labels: Tensor) -> Tensor:
        """Turn intensities `(..., n_aus)` into what `forward` is to output; NaN stays NaN."""
        return (labels.float() - self.mean) / self.std

    def intensities(self, pooled: Tensor) -> Tensor:
        """Return intensities `(..., n_aus)` float32, not clipped, from features `(..., channels)` without places.

        With a reference they are as for a face whose reference is 0.
        """
        return self._outputs(pooled) * self.std + self.mean

    def forward(self, features: Tensor) -> Tensor:
        """Return standardised outputs `(B, T, n_aus)` float32 from features `(B, T, channels, h, w)`.

        With a reference, as in `intensities`.
        """
        return self._outputs(features.float().mean((-2, -1)))

    def own(self, features: Tensor) -> Tensor:
        """Return what the reference is of, standardised, `(B, T, n_aus)` float32 from `(B, T, C, h, w)`.

        It is a part of what `forward` returns; the features may be the embedding alone.
        """
        return self._own(features.float().mean((-2, -1)))

    def predict(self, features: Tensor) -> Tensor:
        """Return intensities `(B, T, n_aus)` float32, clipped to 0..5, from `(B, T, channels, h, w)`.

        With a reference `(B, T, 2 n_aus)`: those of `intensities`, not clipped, and what the reference is of, as
        `aulight.nets.reference.related` takes them.
        """
        pooled = features.float().mean((-2, -1))
        said = self.intensities(pooled)
        if self.relative is None:
            return said.clamp(0, MAX_INTENSITY)
        return torch.cat([said, self._own(pooled) * self.std], -1)

    def _outputs(self, pooled: Tensor) -> Tensor:
        outputs = _apply_to_rows(self.linear, pooled)
        return outputs if self.relative is None else outputs + self._own(pooled)

    def _own(self, pooled: Tensor) -> Tensor:
        assert self.relative is not None
        return _apply_to_rows(self.relative, pooled[..., -self.relative.in_features :])
