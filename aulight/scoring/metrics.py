"""Agreement of predicted with labelled intensities: ICC(3,1), errors and correlation, in float64.

Everything follows from seven sums per action unit, which add up over batches and processes: pooled values
are exact, and no metric is ever a mean over batches.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torchmetrics import Metric


def icc(preds: Tensor, target: Tensor) -> Tensor:
    r"""Intraclass correlation ICC(3,1): consistency of two fixed raters, single measures.

    Shrout and Fleiss 1979, https://doi.org/10.1037/0033-2909.86.2.420. With two raters,
    (BMS - EMS) / (BMS + EMS) of the two-way analysis of variance equals::

        2 cov(preds, target) / (var(preds) + var(target))

    Args:
        preds: `(N,)`, or `(N, A)` for each of A columns.
        target: The same shape; NaN where unknown, and left out.

    Returns:
        Scalar or `(A,)`, float64, from -1 to 1; 0 where one of the two is constant, and NaN where both
        are (or fewer than two targets are known).

    Example:
        >>> import torch
        >>> value = icc(torch.tensor([0.0, 1.0, 2.0, 4.0]), torch.tensor([0.0, 1.0, 3.0, 3.0]))
        >>> round(value.item(), 4)
        0.871
    """
    return _icc(_sums(preds, target))


def pearson(preds: Tensor, target: Tensor) -> Tensor:
    """Pearson's correlation, column by column as in `icc`; NaN where either of the two is constant.

    Example:
        >>> import torch
        >>> round(pearson(torch.tensor([0.0, 1.0, 2.0]), torch.tensor([1.0, 3.0, 5.0])).item(), 6)
        1.0
    """
    return _pearson(_sums(preds, target))


def mae(preds: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error, column by column as in `icc`; NaN where no target is known.

    Example:
        >>> import torch
        >>> mae(torch.tensor([0.0, 1.0, 2.0]), torch.tensor([1.0, float("nan"), 5.0])).item()
        2.0
    """
    return _mae(_sums(preds, target))


def mse(preds: Tensor, target: Tensor) -> Tensor:
    """Mean squared error, column by column as in `icc`; NaN where no target is known.

    Example:
        >>> import torch
        >>> mse(torch.tensor([0.0, 1.0, 2.0]), torch.tensor([1.0, float("nan"), 5.0])).item()
        5.0
    """
    return _mse(_sums(preds, target))


def _sums(preds: Tensor, target: Tensor) -> Tensor:
    """Return n, sum x, sum y, sum xx, sum yy, sum xy, sum |x - y| over known rows: (7,) or (7, A)."""
    if preds.shape != target.shape or preds.dim() not in (1, 2):
        raise ValueError(
            f"preds {tuple(preds.shape)} and target {tuple(target.shape)} must both be (N,) or both (N, A)"
        )
    preds, target = preds.double(), target.double()
    known = ~target.isnan()
    x, y = torch.where(known, preds, 0.0), torch.where(known, target, 0.0)
    return torch.stack([s.sum(0) for s in (known.double(), x, y, x * x, y * y, x * y, (x - y).abs())])


def _moments(sums: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return n var(x), n var(y), n cov(x, y), with rounding errors around 0 put to 0."""
    n, x, y, xx, yy, xy, _ = sums.unbind()
    n = n.clamp(min=1)
    var_x, var_y = xx - x * x / n, yy - y * y / n
    # What is left of a constant's variance after the subtraction is of the order of 1e-16 of its square.
    var_x = torch.where(var_x > 1e-12 * xx, var_x, torch.where(var_x.isnan(), var_x, 0.0))
    var_y = torch.where(var_y > 1e-12 * yy, var_y, torch.where(var_y.isnan(), var_y, 0.0))
    cov = torch.where((var_x == 0) | (var_y == 0), 0.0, xy - x * y / n)
    return var_x, var_y, cov


def _icc(sums: Tensor) -> Tensor:
    var_x, var_y, cov = _moments(sums)
    return 2 * cov / (var_x + var_y)


def _pearson(sums: Tensor) -> Tensor:
    var_x, var_y, cov = _moments(sums)
    return (cov / (var_x.sqrt() * var_y.sqrt())).clamp(-1, 1)


def _mae(sums: Tensor) -> Tensor:
    return sums[6] / sums[0]


def _mse(sums: Tensor) -> Tensor:
    n, _, _, xx, yy, xy, _ = sums.unbind()
    return (xx + yy - 2 * xy).clamp(min=0) / n


class _Pooled(Metric):
    """Adds up the seven sums over batches and processes."""

    is_differentiable = False
    full_state_update = False
    sums: Tensor

    def __init__(self, num_outputs: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_outputs = num_outputs
        self.add_state("sums", torch.zeros(7, num_outputs, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Add predictions and targets `(..., num_outputs)`; targets that are NaN are left out.

        With one output the last axis may be missing.
        """
        if preds.shape != target.shape:
            raise ValueError(f"preds {tuple(preds.shape)} and target {tuple(target.shape)} differ in shape")
        if self.num_outputs > 1 and preds.shape[-1:] != (self.num_outputs,):
            raise ValueError(f"{tuple(preds.shape)} does not end with {self.num_outputs} outputs")
        rows = (-1, self.num_outputs)
        self.sums += _sums(preds.detach().reshape(rows), target.reshape(rows))


class IntraclassCorrelation(_Pooled):
    """ICC(3,1) over all that was seen, see `icc`; exact over batches and processes.

    Args:
        num_outputs: Number of columns A.
        kwargs: What every torchmetrics metric takes.

    Example:
        >>> import torch
        >>> metric = IntraclassCorrelation()
        >>> metric.update(torch.tensor([0.0, 1.0]), torch.tensor([0.0, 1.0]))
        >>> metric.update(torch.tensor([2.0, 4.0]), torch.tensor([3.0, 3.0]))
        >>> round(metric.compute().item(), 4)
        0.871
    """

    higher_is_better = True

    def compute(self) -> Tensor:
        """Return `(num_outputs,)` float64, a scalar for one output."""
        value = _icc(self.sums)
        return value[0] if self.num_outputs == 1 else value


class IntensityMetrics(_Pooled):
    """ICC(3,1), MAE, MSE and Pearson's correlation of each action unit over all that was seen.

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

    def compute(self) -> dict[str, Tensor]:
        """Return `icc`, `mae`, `mse` and `pearson`, each `(num_outputs,)` float64."""
        sums = self.sums
        return {"icc": _icc(sums), "mae": _mae(sums), "mse": _mse(sums), "pearson": _pearson(sums)}


def named(part: str, scores: Mapping[str, Tensor], columns: Sequence[str]) -> dict[str, float]:
    """Scores under the names they are logged by.

    Args:
        part: ``val`` or ``test``.
        scores: `icc`, `mae` and `mse`, each `(A,)`.
        columns: Names of the A action units.

    Returns:
        ``val/icc``, the mean over the action units where it is defined, and ``val/icc_AU01`` ...; likewise the errors.

    Example:
        >>> import torch
        >>> one = torch.tensor([1.0])
        >>> list(named("val", {"icc": one, "mae": one, "mse": one}, ["AU12"]))
        ['val/icc', 'val/mae', 'val/mse', 'val/icc_AU12', 'val/mae_AU12', 'val/mse_AU12']
    """
    means = {f"{part}/{name}": float(scores[name].nanmean()) for name in ("icc", "mae", "mse")}
    return means | {
        f"{part}/{name}_{au}": float(value)
        for name in ("icc", "mae", "mse")
        for au, value in zip(columns, scores[name], strict=True)
    }


def scores(table: pd.DataFrame, columns: list[str]) -> dict[str, Tensor]:
    """ICC, MAE and MSE of scored frames, each ``(AUs,)`` with NaN where it is not defined.

    Args:
        table: What :func:`predictions` gives.
        columns: Names of the AUs.
    """
    preds, target = (
        torch.from_numpy(table[[f"{au}_{kind}" for au in columns]].astype("Float64").to_numpy(float, na_value=np.nan))
        for kind in ("pred", "true")
    )
    return {"icc": icc(preds, target), "mae": mae(preds, target), "mse": mse(preds, target)}


def summary(of: dict[str, Tensor], columns: list[str]) -> dict[str, Any]:
    """For ``run.yaml``: means of :func:`scores` over the AUs where each is defined, and the ICC of each AU."""
    means = {name: float(values.nanmean()) for name, values in of.items()}
    return means | {"per_au": dict(zip(columns, of["icc"].tolist(), strict=True))}
