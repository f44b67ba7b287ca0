"""Ridge regression in closed form, on targets of which some are unknown."""

import numpy as np
import numpy.typing as npt


def ridge(
    features: npt.NDArray[np.float64],
    targets: npt.NDArray[np.float64],
    unseen: npt.NDArray[np.float64],
    penalty: float,
) -> npt.NDArray[np.float64]:
    """Ridge regression of each column on its known rows, on standardised features.

    Args:
        features: ``(N, D)``.
        targets: ``(N, A)``, NaN where unknown.
        unseen: ``(M, D)``.
        penalty: Added to the diagonal.

    Returns:
        ``(M, A)`` predictions; 0 for a column with no known row.
    """
    mean, std = features.mean(0), features.std(0) + 1e-6
    features, unseen = (features - mean) / std, (unseen - mean) / std
    predictions = np.zeros((len(unseen), targets.shape[1]))
    for column, target in enumerate(targets.T):
        known = ~np.isnan(target)
        if known.any():
            x, offset = features[known], target[known].mean()
            weights = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ (target[known] - offset))
            predictions[:, column] = unseen @ weights + offset
    return predictions
