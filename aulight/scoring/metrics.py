"""Scores of a network while it is validated and tested: :mod:`aulight.scoring.agreement` over batches and processes."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from aulight.scoring import agreement


class IntensityMetrics(Metric):
    """ICC(3,1), MAE, MSE and Pearson's correlation of each action unit over all that was seen.

    What is kept are sums, on the device of the predictions, so an update does not wait for a GPU; on the CPU where the
    device has no float64, as Apple's. Batches and processes of any size give the values of all rows put together.

    Args:
        num_outputs: Number of action units A.
        kwargs: What every torchmetrics metric takes.

    Example:
        >>> import torch
        >>> metric = IntensityMetrics(num_outputs=2)
        >>> metric.update(torch.tensor([[0.0, 1.0], [2.0, 3.0]]), torch.tensor([[0.0, 1.0], [3.0, 3.0]]))
        >>> metric.compute()["mae"].tolist()
        [0.5, 0.0]
    """

    is_differentiable = False
    full_state_update = False
    sums: Tensor

    def __init__(self, num_outputs: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_outputs = num_outputs
        nothing = torch.zeros(agreement.SUMS, num_outputs, dtype=torch.float64)
        self.add_state("sums", nothing, dist_reduce_fx="sum")

    def _apply(self, fn: Callable[..., Any], exclude_state: Sequence[str] = ()) -> nn.Module:
        try:
            fn(torch.zeros((), dtype=torch.float64))
        except TypeError:  # what torch raises for a device without it
            exclude_state = (*exclude_state, "sums")
        return super()._apply(fn, exclude_state)

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Adds predictions and targets ``(..., num_outputs)``; targets that are NaN are left out.

        With one output the last axis may be missing.

        Raises:
            ValueError: For other shapes.
        """
        if preds.shape != target.shape:
            raise ValueError(f"preds {tuple(preds.shape)} and target {tuple(target.shape)} differ in shape")
        if self.num_outputs > 1 and preds.shape[-1:] != (self.num_outputs,):
            raise ValueError(f"{tuple(preds.shape)} does not end with {self.num_outputs} outputs")
        rows = (-1, self.num_outputs)
        values = (part.detach().reshape(rows).to(self.sums.device) for part in (preds, target))
        self.sums += agreement.sums_of(*values)

    def compute(self) -> dict[str, Tensor]:
        """Returns ``icc``, ``mae``, ``mse`` and ``pearson``, each ``(num_outputs,)`` float64, or a scalar."""
        return agreement.metrics(self.sums)
