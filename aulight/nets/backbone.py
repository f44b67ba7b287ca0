"""Residual networks that turn one frame into a feature map, with optional squeeze-and-excitation.

ResNet: He et al. 2016, https://arxiv.org/abs/1512.03385. Squeeze-and-excitation: Hu et al. 2018,
https://arxiv.org/abs/1709.01507. Group normalisation: Wu and He 2018, https://arxiv.org/abs/1803.08494.
They are written out here because torchvision has no wheel that works beside the CPU build of torch.
"""

import importlib
import re
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from aulight.errors import AulightError, shown


class Backbone(nn.Module):
    """A network that maps frames ``(N, 3, H, W)`` to feature maps ``(N, channels, h, w)``.

    Attributes:
        channels: Number of channels of the feature map.
    """

    channels: int


class _Layout(NamedTuple):
    kernel: int  # of the stem's convolution, whose stride is 2
    pool: bool  # a max-pool after the stem; without one the first stage takes the stride instead
    widths: tuple[int, ...]  # channels of each stage
    depth: tuple[int, ...]  # residual blocks of each stage


_LAYOUTS = {
    "resnet_tiny": _Layout(5, False, (32, 64, 128), (1, 1, 1)),
    "resnet18": _Layout(7, True, (64, 128, 256, 512), (2, 2, 2, 2)),
    "resnet34": _Layout(7, True, (64, 128, 256, 512), (3, 4, 6, 3)),
}
BACKBONES = (*_LAYOUTS, *(f"se{name}" for name in _LAYOUTS), "timm:<name>")
NORMS = ("batch", "group")


def build_backbone(name: str, norm: str = "batch", small_input: bool = False) -> Backbone:
    """Build a backbone with random weights.

    Args:
        name: `resnet_tiny` (stride 16, 128 channels), `resnet18` or `resnet34` (stride 32, 512 channels);
            any of them after `se` for squeeze-and-excitation (`seresnet18`); or `timm:<name>` for a
            network of timm, where timm and torchvision can be imported.
        norm: `batch`, or `group` (16 channels a group), which does not depend on the batch.
        small_input: A 3x3 stem of stride 1 without max-pool, for small pictures: `resnet_tiny` then has
            stride 8 and the others stride 8 as well. A timm network keeps its own stem and norm.

    Returns:
        A module that maps `(N, 3, H, W)` float to `(N, channels, h, w)`.

    Raises:
        AulightError: No backbone or norm of that name, or timm cannot be imported.
    """
    if norm not in NORMS:
        raise AulightError(f"unknown norm {norm!r}: choose one of {', '.join(NORMS)}")
    if name.startswith("timm:"):
        if norm != "batch" or small_input:
            raise AulightError(f"backbone {name}: timm networks take neither norm=group nor small_input")
        return _Timm(name.removeprefix("timm:"))
    excite = name.startswith("se")
    layout = _LAYOUTS.get(name.removeprefix("se"))
    if layout is None:
        raise AulightError(f"unknown backbone {name!r}: choose one of {', '.join(BACKBONES)}")
    return _ResNet(layout, norm, small_input, excite)


def map_norm(norm: str, channels: int) -> nn.Module:
    """Return the normalisation of maps `(N, channels, h, w)` that `norm` (`batch` or `group`) names."""
    return nn.BatchNorm2d(channels) if norm == "batch" else nn.GroupNorm(max(1, channels // 16), channels)


def vector_norm(norm: str, channels: int, affine: bool = True) -> nn.Module:
    """Return the normalisation of vectors `(N, channels)`: batch norm, or layer norm for `group`."""
    if norm == "batch":
        return nn.BatchNorm1d(channels, affine=affine)
    return nn.LayerNorm(channels, elementwise_affine=affine)


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv


class _SqueezeExcite(nn.Module):
    """Scales each channel by a gate computed from the means of all channels."""

    def __init__(self, channels: int) -> None:
        squeezed = max(8, channels // 16)
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, squeezed, 1),
            nn.ReLU(),
            nn.Conv2d(squeezed, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        scaled: Tensor = x * self.gate(x)
        return scaled


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, norm: str, excite: bool) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            _conv(inputs, outputs, 3, stride),
            map_norm(norm, outputs),
            nn.ReLU(),
            _conv(outputs, outputs, 3),
            map_norm(norm, outputs),
            *([_SqueezeExcite(outputs)] if excite else []),
        )
        self.shortcut = nn.Sequential()  # the identity, unless the shape changes
        if inputs != outputs or stride != 1:
            self.shortcut.extend([_conv(inputs, outputs, 1, stride), map_norm(norm, outputs)])

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.branch(x) + self.shortcut(x))


class _ResNet(Backbone):
    def __init__(self, layout: _Layout, norm: str, small_input: bool, excite: bool) -> None:
        super().__init__()
        width = layout.widths[0]
        kernel, stride = (3, 1) if small_input else (layout.kernel, 2)
        self.stem = nn.Sequential(_conv(3, width, kernel, stride), map_norm(norm, width), nn.ReLU())
        if layout.pool and not small_input:
            self.stem.append(nn.MaxPool2d(3, 2, 1))
        self.stages = nn.Sequential()
        inputs, stride = width, 1 if layout.pool else 2
        for width, depth in zip(layout.widths, layout.depth, strict=True):
            blocks = nn.Sequential()
            for _ in range(depth):
                blocks.append(_Block(inputs, width, stride, norm, excite))
                inputs, stride = width, 1
            self.stages.append(blocks)
            stride = 2
        self.channels = inputs

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.stages(self.stem(x))
        return features


def import_timm(wanted_by: str) -> Any:
    """The library timm.

    Args:
        wanted_by: The setting that needs it, for the message.

    Raises:
        AulightError: When it cannot be imported.
    """
    try:
        return importlib.import_module("timm")
    # A torchvision built for another torch fails inside timm's import with more than ImportError.
    except Exception as error:
        raise AulightError(
            f"{wanted_by}: timm cannot be imported ({error}); install timm with a torchvision that matches torch, "
            "or choose another network"
        ) from error


class _Timm(Backbone):
    """The last feature map of a network of timm (https://github.com/huggingface/pytorch-image-models)."""

    def __init__(self, name: str) -> None:
        super().__init__()
        if re.fullmatch(r"\w[\w.-]*", name, re.ASCII) is None:  # timm downloads what is called `hf-hub:...`
            raise AulightError(f"backbone timm:{shown(name)}: the plain name of a network of timm is needed")
        timm = import_timm(f"backbone timm:{name}")
        try:
            self.net = timm.create_model(name, pretrained=False, features_only=True)
        except (RuntimeError, ValueError, AttributeError, TypeError) as error:
            raise AulightError(f"backbone timm:{name}: timm cannot build it ({error})") from error
        self.name = name
        self.channels = int(self.net.feature_info.channels()[-1])

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.net(x)[-1]
        if features.dim() != 4 or features.shape[1] != self.channels:
            raise AulightError(
                f"backbone timm:{self.name}: gives {tuple(features.shape)}, not (N, {self.channels}, h, w); "
                "choose a convolutional network"
            )
        return features
