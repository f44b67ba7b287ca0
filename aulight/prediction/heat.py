"""Heat on the map of a network, brought onto the crop that it is of."""

import math

import torch
from torch import Tensor


def over_crop(heat: Tensor, size: int, side: int) -> Tensor:
    """Bilinear heat on a crop of ``side`` pixels from that on the map ``(n, h, h)`` of frames of ``size`` pixels.

    A place of the map looks at what is around pixel stride x index, where layers of stride 2 put it whose kernels are
    odd and padded alike on both sides. In the middle of a tile, the heat would lie too far to the right and too low.
    """
    places = heat.shape[-1]
    stride = 2 ** math.ceil(math.log2(size / places))
    pixel = (torch.arange(side) + 0.5) * size / side - 0.5
    # (side, h); beyond the outermost places the heat fades
    weights = (1 - (pixel[:, None] / stride - torch.arange(places)).abs()).clamp(min=0)
    over: Tensor = weights @ heat @ weights.T
    return over.clamp(max=1)  # above by rounding only
