"""Scores of each action unit: of a table of predictions, and as ``run.yaml`` and loggers hold them."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

import numpy as np
import pandas as pd

from aulight.scoring.agreement import METRICS, Array, mean, metrics, sums_of


class Scored(TypedDict):
    """Scores as ``run.yaml`` has them.

    Attributes:
        icc: Mean over the action units where it is defined; NaN where none is.
        mae: Likewise.
        mse: Likewise.
        pearson: Likewise.
        per_au: ICC of each action unit by its column.
    """

    icc: float
    mae: float
    mse: float
    pearson: float
    per_au: dict[str, float]


def scores(table: pd.DataFrame, columns: Sequence[str]) -> dict[str, Array]:
    """ICC, MAE, MSE and Pearson's correlation of scored frames, each ``(A,)`` with NaN where it is not defined.

    Args:
        table: A row a frame, with ``<AU>_pred`` and ``<AU>_true``, which may be unknown.
        columns: Names of the A action units.

    Raises:
        KeyError: When the table lacks one of them.
    """
    preds, target = (
        table[[f"{au}_{kind}" for au in columns]].astype("Float64").to_numpy(np.float64, na_value=np.nan)
        for kind in ("pred", "true")
    )
    found = metrics(sums_of(preds, target))
    return {name: found[name] for name in METRICS}


def summary(of: Mapping[str, Array], columns: Sequence[str]) -> Scored:
    """For ``run.yaml``: means of :func:`scores` over the AUs where each is defined, and the ICC of each AU."""
    icc, mae, mse, pearson = (float(mean(of[name])) for name in METRICS)
    per_au = dict(zip(columns, of["icc"].tolist(), strict=True))
    return {"icc": icc, "mae": mae, "mse": mse, "pearson": pearson, "per_au": per_au}


def named(part: str, scores: Mapping[str, Array], columns: Sequence[str]) -> dict[str, float]:
    """Scores under the names they are logged by.

    Args:
        part: ``val`` or ``test``.
        scores: `icc`, `mae`, `mse` and `pearson`, each `(A,)`.
        columns: Names of the A action units.

    Returns:
        ``val/icc``, the mean over the action units where it is defined, and ``val/icc_AU01`` ...; likewise the others.

    Example:
        >>> one = np.array([1.0])
        >>> logged = named("val", {"icc": one, "mae": one, "mse": one, "pearson": one}, ["AU12"])
        >>> [name for name in logged if "icc" in name or "pearson" in name]
        ['val/icc', 'val/pearson', 'val/icc_AU12', 'val/pearson_AU12']
    """
    means = {f"{part}/{name}": float(mean(scores[name])) for name in METRICS}
    return means | {
        f"{part}/{name}_{au}": float(value) for name in METRICS for au, value in zip(columns, scores[name], strict=True)
    }
