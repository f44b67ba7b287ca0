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

    An intercept is not penalised: features and targets of a column are centred on the rows that it knows. Features are
    scaled by their deviation over all rows, so that the penalty is of one size for all columns.

    Args:
        features: ``(N, D)``.
        targets: ``(N, A)``, NaN where unknown.
        unseen: ``(M, D)``.
        penalty: Added to the diagonal.

    Returns:
        ``(M, A)`` predictions; 0 for a column with no known row.
    """
    scale = features.std(0) + 1e-6
    predictions = np.zeros((len(unseen), targets.shape[1]))
    for column, target in enumerate(targets.T):
        known = ~np.isnan(target)
        if known.any():
            center, offset = features[known].mean(0), target[known].mean()
            x = (features[known] - center) / scale
            weights = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ (target[known] - offset))
            predictions[:, column] = (unseen - center) / scale @ weights + offset
    return predictions
