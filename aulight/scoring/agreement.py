"""Agreement of predicted with labelled intensities, from sums that add up over subjects and folds."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

METRICS = ("icc", "mae", "mse", "pearson")


def sums_of(preds: Array, target: Array) -> Array:
    """Return n, sum x, y, xx, yy, xy, |x - y|, (x - y)^2 over known rows of (N, A): (8, A)."""
    known = ~np.isnan(target)
    x, y = np.where(known, preds, 0.0), np.where(known, target, 0.0)
    parts = (known.astype(np.float64), x, y, x * x, y * y, x * y, np.abs(x - y), (x - y) ** 2)
    return np.stack([part.sum(0) for part in parts])


def metrics(sums: Array) -> dict[str, Array]:
    """ICC(3,1), MAE, MSE and Pearson's correlation from sums (..., 8, A), each (..., A).

    The same numbers as aulight.scoring.metrics gives: for two raters ICC(3,1) is 2 cov / (var + var), 0 where one
    of the two is constant and NaN where both are.
    """
    n, x, y, xx, yy, xy, absolute, squared = np.moveaxis(sums, -2, 0)
    count = np.maximum(n, 1)
    var_x, var_y = xx - x * x / count, yy - y * y / count
    # What is left of a constant's variance after the subtraction is of the order of 1e-16 of its square.
    var_x, var_y = np.where(var_x > 1e-12 * xx, var_x, 0.0), np.where(var_y > 1e-12 * yy, var_y, 0.0)
    cov = np.where((var_x == 0) | (var_y == 0), 0.0, xy - x * y / count)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "icc": 2 * cov / (var_x + var_y),
            "mae": absolute / n,
            "mse": squared / n,
            "pearson": np.clip(cov / np.sqrt(var_x * var_y), -1, 1),
        }


def mean(values: Array, axis: int) -> Array:
    """Mean over the defined values, NaN where there is none."""
    defined = ~np.isnan(values)
    total: Array = np.where(defined, values, 0.0).sum(axis)
    with np.errstate(invalid="ignore"):
        mean: Array = total / defined.sum(axis)
    return mean
