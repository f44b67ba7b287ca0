"""TensorFlow Lite's operations in torch, as far as the face landmarker's networks have them.

The tensors keep TensorFlow's order of axes, the channels last. Pictures lie along the first axis: for one picture it
has length 1 in the file, and no operation mixes pictures; what the file says of this axis is passed over.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional as F

from aulight.data.faces.batched.graph import Constant, Step, UnknownNetworkError

Operation = Callable[..., Tensor]
"""From the tensors that a step takes, as far as they are not settings, to the one that it gives."""

_SAME = 0
"""Of ``padding``: as much as keeps the size, or half of it with a stride of 2."""

_VECTOR = 64
"""Numbers that are a multiple of what any CPU takes at once."""

_RELU, _NO_ACTIVATION = 1, 0
"""Of ``fusedActivationFunction``."""


def operation(step: Step, settings: Mapping[int, Constant], shape: tuple[int, ...]) -> tuple[Operation, list[int]]:
    """What a step does.

    Args:
        step: The step.
        settings: Constants that may be settings of it: whole numbers.
        shape: Of what it gives, for one picture.

    Returns:
        It, and the numbers of the tensors to call it with.

    Raises:
        UnknownNetworkError: For what is not known here.
    """
    inputs = list(step.inputs)
    if step.name in _ELEMENTWISE:
        does = _ELEMENTWISE[step.name]
    elif step.name in _WINDOWED:
        does = _WINDOWED[step.name](step)
    elif step.name == "CONCATENATION":
        does = _joined(step, len(shape))
    elif step.name == "RESHAPE":
        does, inputs = _reshaped(shape), inputs[:1]
    elif step.name in _BY_SETTINGS:
        does, inputs = _BY_SETTINGS[step.name](step, *(settings[number] for number in inputs[1:])), inputs[:1]
    else:
        raise UnknownNetworkError(f"{step.name} is not known")
    return _activated(does, getattr(step.options, "fusedActivationFunction", _NO_ACTIVATION)), inputs


def _activated(does: Operation, activation: int) -> Operation:
    if activation == _NO_ACTIVATION:
        return does
    if activation == _RELU:
        return lambda *tensors: does(*tensors).relu_()
    raise UnknownNetworkError(f"activation {activation} is not known")


def _forward(pictures: Tensor) -> Tensor:
    """The channels where torch has them; nothing is moved in memory."""
    return pictures.movedim(-1, 1)


def _back(pictures: Tensor) -> Tensor:
    return pictures.movedim(1, -1)


def _margins(length: int, window: int, stride: int) -> tuple[int, int]:
    """Before and behind; TensorFlow has the odd one behind."""
    total = max((-(-length // stride) - 1) * stride + window - length, 0)
    return total // 2, total - total // 2


def _padded(pictures: Tensor, step: Step, window: Sequence[int], value: float) -> Tensor:
    if step.options.padding != _SAME:
        return pictures
    height, width = pictures.shape[2:]
    margins = *_margins(width, window[1], step.options.strideW), *_margins(height, window[0], step.options.strideH)
    return F.pad(pictures, margins, value=value) if any(margins) else pictures


def _convolved(step: Step) -> Operation:
    """With weights as :func:`weights` gives them: those of each channel on its own have one input channel."""
    stride, dilation = (step.options.strideH, step.options.strideW), step.options.dilationHFactor
    if dilation != 1 or step.options.dilationWFactor != 1:
        raise UnknownNetworkError("dilation is not known")
    alone = step.name == "DEPTHWISE_CONV_2D"

    def does(pictures: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
        padded = _padded(_forward(pictures), step, kernel.shape[2:], 0.0)
        return _back(F.conv2d(padded, kernel, bias, stride, groups=padded.shape[1] if alone else 1))

    return does


def _largest(step: Step) -> Operation:
    window = step.options.filterHeight, step.options.filterWidth
    stride = step.options.strideH, step.options.strideW
    return lambda pictures: _back(
        F.max_pool2d(_padded(_forward(pictures), step, window, float("-inf")), window, stride)
    )


def _joined(step: Step, axes: int) -> Operation:
    axis = step.options.axis % axes
    if not axis:
        raise UnknownNetworkError("pictures are joined")

    def does(*parts: Tensor) -> Tensor:
        count = max(len(part) for part in parts)
        return torch.cat([part.expand(count, *part.shape[1:]) for part in parts], axis)  # one may be a constant

    return does


def _reshaped(shape: tuple[int, ...]) -> Operation:
    if shape[0] != 1:
        raise UnknownNetworkError("pictures are reshaped")
    return lambda pictures: pictures.reshape(len(pictures), *shape[1:])


def _framed(_: Step, margins: Constant) -> Operation:
    if margins[0].any():
        raise UnknownNetworkError("pictures are padded")
    flat = [int(margin) for pair in margins[::-1] for margin in pair]  # torch begins with the last axis
    return lambda pictures: F.pad(pictures, flat)


def _turned(_: Step, order: Constant) -> Operation:
    axes = [int(axis) for axis in order]
    if axes[0]:
        raise UnknownNetworkError("pictures are transposed")
    return lambda pictures: pictures.permute(axes)


def _sliced(step: Step, begin: Constant, end: Constant, stride: Constant) -> Operation:
    options, places = step.options, []
    if options.ellipsisMask or options.newAxisMask or options.shrinkAxisMask > 1 or (stride != 1).any():
        raise UnknownNetworkError("such a slice is not known")
    for axis in range(1, len(begin)):
        first = None if options.beginMask >> axis & 1 else int(begin[axis])
        places.append(slice(first, None if options.endMask >> axis & 1 else int(end[axis])))
    return lambda pictures: pictures[:, *places]


def _over(reduce: Callable[..., Tensor]) -> Callable[[Step, Constant], Operation]:
    def build(step: Step, axes: Constant) -> Operation:
        if 0 in (over := [int(axis) for axis in axes.reshape(-1)]):
            raise UnknownNetworkError("pictures are mixed")
        keep = bool(step.options.keepDims)
        return lambda pictures: reduce(pictures, over, keep)

    return build


def _logistic(values: Tensor) -> Tensor:
    """A CPU takes the last few numbers one by one, with other last bits: so there are none of them, wherever one is."""
    length = values.shape[-1]
    return torch.sigmoid(F.pad(values, (0, -length % _VECTOR)))[..., :length]


_ELEMENTWISE: Mapping[str, Operation] = MappingProxyType(
    {
        "ADD": operator.add,
        "DIV": operator.truediv,
        "LOGISTIC": _logistic,
        "MUL": operator.mul,
        "NEG": operator.neg,
        "PRELU": lambda pictures, slopes: _back(F.prelu(_forward(pictures), slopes.reshape(-1))),
        "RELU": torch.relu,
        "RSQRT": torch.rsqrt,
        "SQRT": torch.sqrt,
        "SQUARED_DIFFERENCE": lambda one, other: (one - other).square(),
        "SUB": operator.sub,
    }
)

_WINDOWED: Mapping[str, Callable[[Step], Operation]] = MappingProxyType(
    {"CONV_2D": _convolved, "DEPTHWISE_CONV_2D": _convolved, "MAX_POOL_2D": _largest}
)

_BY_SETTINGS: Mapping[str, Callable[..., Operation]] = MappingProxyType(
    {"MEAN": _over(torch.mean), "PAD": _framed, "STRIDED_SLICE": _sliced, "SUM": _over(torch.sum), "TRANSPOSE": _turned}
)


def weights(step: Step, values: Tensor) -> Tensor:
    """The weights of a convolution in torch's order, the channels first.

    Args:
        step: The convolution.
        values: ``(out, height, width, in)``; where each channel is on its own, ``(1, height, width, channels)``.
    """
    return values.permute(3, 0, 1, 2) if step.name == "DEPTHWISE_CONV_2D" else values.permute(0, 3, 1, 2)
