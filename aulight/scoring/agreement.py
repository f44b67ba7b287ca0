"""Agreement of predicted with labelled intensities: ICC(3,1), errors and correlation, in float64.

All follow from eight sums per action unit, which add up over batches, processes, subjects and folds: pooled values are
exact, and none is ever a mean over batches. Sums and scores are made of NumPy arrays and of torch tensors alike, by the
same lines; tensors stay on their device, and nothing waits for it. torch is not imported for this.
"""

import sys
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

Array = npt.NDArray[np.float64]
Numbers = TypeVar("Numbers", npt.NDArray[Any], "Tensor")
"""An array or a tensor; what a function gives is of the kind that it took."""

METRICS = ("icc", "mae", "mse", "pearson")
"""All that is logged. The correlation is the ceiling of ICC(3,1): what it is where amplitude is right."""

SUMS = 8
"""How many there are of an action unit: n, x, y, xx, yy, xy, abs(x - y) and (x - y)^2."""

OF_ICC = 6
"""How many of them the ICC is made of, the first."""


def sums_of(preds: Numbers, target: Numbers) -> Numbers:
    """What is needed of predictions x and targets y, summed over the rows whose target is known.

    Args:
        preds: ``(N, A)``.
        target: ``(N, A)``; NaN where unknown.

    Returns:
        ``(8, A)`` float64: n and the sums of x, y, xx, yy, xy, abs(x - y), (x - y)^2. Of several batches, or of
        several subjects, they are added.

    Example:
        >>> sums_of(np.array([[1.0], [2.0]]), np.array([[3.0], [np.nan]])).T.tolist()
        [[1.0, 1.0, 3.0, 1.0, 9.0, 3.0, 2.0, 4.0]]
    """
    xp = _library(preds)
    preds, target = (xp.asarray(values, dtype=xp.float64) for values in (preds, target))
    known = ~xp.isnan(target)
    x, y = xp.where(known, preds, 0.0), xp.where(known, target, 0.0)
    parts = (xp.where(known, xp.ones_like(y), 0.0), x, y, x * x, y * y, x * y, abs(x - y), (x - y) ** 2)
    sums: Numbers = xp.stack([part.sum(0) for part in parts])
    return sums


def metrics(sums: Numbers) -> dict[str, Numbers]:
    """ICC(3,1), MAE, MSE and Pearson's correlation from sums.

    ICC(3,1) is the intraclass correlation for consistency of two fixed raters, single measures: Shrout and Fleiss
    1979, https://doi.org/10.1037/0033-2909.86.2.420. With two raters, (BMS - EMS) / (BMS + EMS) of the two-way analysis
    of variance equals::

        2 cov(x, y) / (var(x) + var(y))

    Args:
        sums: ``(..., 8, A)``, as :func:`sums_of` gives them, or added.

    Returns:
        By the names of :data:`METRICS`, each ``(..., A)`` float64. The ICC goes from -1 to 1. It is NaN where the
        known targets are constant or fewer than two: who agrees on differences cannot be told where there are none, and
        the formula's 0 would speak of the people, not of the predictions. So it is the labels alone that decide over
        which action units a mean goes. Where only predictions are constant it is 0. The correlation is NaN where either
        is constant, errors are where no target is known. All are NaN where a prediction is: it is a fault to see, not
        an entry to leave out.

    Example:
        >>> found = metrics(sums_of(np.array([[0.0], [1], [2], [4]]), np.array([[0.0], [1], [3], [3]])))
        >>> {name: round(value.item(), 3) for name, value in found.items()}
        {'icc': 0.871, 'mae': 0.5, 'mse': 0.5, 'pearson': 0.878}
    """
    xp = _library(sums)
    var_x, var_y, cov = _spread(sums)
    n, *_, absolute, squared = xp.moveaxis(sums, -2, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "icc": _icc(var_x, var_y, cov),
            "mae": absolute / n,
            "mse": squared / n,
            "pearson": xp.clip(cov / xp.sqrt(var_x * var_y), -1, 1),
        }


def icc_of(sums: Numbers) -> Numbers:
    """The ICC alone of :func:`metrics`, to the last digit, in less time.

    Args:
        sums: As there; of the eight the first :data:`OF_ICC` will do.

    Returns:
        ``(..., A)`` float64.
    """
    return _icc(*_spread(sums))


def _spread(sums: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Variances of x and y, and their covariance, each times n; 0 where they are so but for rounding."""
    xp = _library(sums)
    n, x, y, xx, yy, xy = xp.moveaxis(sums, -2, 0)[:OF_ICC]
    count = xp.where(n == 0, 1.0, n)
    var_x, var_y = xx - x * x / count, yy - y * y / count
    # What is left of a constant's variance after the subtraction is of the order of 1e-16 of its square.
    var_x, var_y = xp.where(var_x <= 1e-12 * xx, 0.0, var_x), xp.where(var_y <= 1e-12 * yy, 0.0, var_y)
    return var_x, var_y, xp.where((var_x == 0) | (var_y == 0), 0.0, xy - x * y / count)


def _icc(var_x: Numbers, var_y: Numbers, cov: Numbers) -> Numbers:
    xp = _library(cov)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Numbers = xp.where(var_y == 0, xp.nan, 2 * cov / (var_x + var_y))
    return found


def icc(preds: Numbers, target: Numbers) -> Numbers:
    """ICC(3,1), see :func:`metrics`.

    Args:
        preds: ``(N,)``, or ``(N, A)`` for each of A columns.
        target: The same shape; NaN where unknown, and left out.

    Returns:
        A single number or ``(A,)``, float64.

    Raises:
        ValueError: For other shapes.

    Example:
        >>> round(icc(np.array([0.0, 1.0, 2.0, 4.0]), np.array([0.0, 1.0, 3.0, 3.0])).item(), 4)
        0.871
    """
    return _scored(preds, target)["icc"]


def mae(preds: Numbers, target: Numbers) -> Numbers:
    """Mean absolute error, as :func:`icc`.

    Example:
        >>> mae(np.array([0.0, 1.0, 2.0]), np.array([1.0, np.nan, 5.0])).item()
        2.0
    """
    return _scored(preds, target)["mae"]


def mse(preds: Numbers, target: Numbers) -> Numbers:
    """Mean squared error, as :func:`icc`.

    Example:
        >>> mse(np.array([0.0, 1.0, 2.0]), np.array([1.0, np.nan, 5.0])).item()
        5.0
    """
    return _scored(preds, target)["mse"]


def pearson(preds: Numbers, target: Numbers) -> Numbers:
    """Pearson's correlation, as :func:`icc`.

    Example:
        >>> round(pearson(np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 5.0])).item(), 6)
        1.0
    """
    return _scored(preds, target)["pearson"]


def mean(values: Array, axis: int = 0) -> Array:
    """Mean over the defined values, NaN where there is none.

    Example:
        >>> mean(np.array([[1.0, np.nan], [2.0, np.nan]])).tolist()
        [1.5, nan]
    """
    defined = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        if defined.all():  # mostly so, and twice as fast
            whole: Array = values.sum(axis) / np.float64(values.shape[axis])
            return whole
        total: Array = np.where(defined, values, 0.0).sum(axis)
        mean: Array = total / defined.sum(axis)
    return mean


def _library(numbers: Any) -> Any:
    """The module whose functions take these numbers; torch is there where there are tensors."""
    return np if isinstance(numbers, np.ndarray) else sys.modules["torch"]


def _scored(preds: Numbers, target: Numbers) -> dict[str, Numbers]:
    if preds.shape != target.shape or preds.ndim not in (1, 2):
        raise ValueError(
            f"preds {tuple(preds.shape)} and target {tuple(target.shape)} must both be (N,) or both (N, A)"
        )
    if preds.ndim == 2:
        return metrics(sums_of(preds, target))
    return {name: value[0] for name, value in metrics(sums_of(preds[:, None], target[:, None])).items()}
