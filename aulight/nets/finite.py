"""Whether a network's weights are numbers."""

from collections.abc import Mapping

import torch
from torch import Tensor


def not_finite(weights: Mapping[str, Tensor]) -> str | None:
    """The name of the first weight that is NaN or infinite somewhere; ``None`` where all are numbers."""
    for name, weight in weights.items():
        if weight.is_floating_point() and not bool(torch.isfinite(weight).all()):
            return name
    return None
