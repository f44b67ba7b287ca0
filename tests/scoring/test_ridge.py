import numpy as np
import pytest

from aulight.scoring.ridge import ridge


@pytest.mark.parametrize("penalty", [0.5, 100.0])
def test_equals_least_squares_with_rows_for_the_penalty(penalty: float) -> None:
    rng = np.random.default_rng(0)
    features, unseen = rng.normal(3, 2, (40, 6)), rng.normal(3, 2, (15, 6))
    targets = features @ rng.normal(size=(6, 3)) + rng.normal(size=(40, 3)) + 2
    targets[rng.random((40, 3)) < 0.3] = np.nan
    targets[:, 2] = np.nan  # nothing known
    predictions = ridge(features, targets, unseen, penalty)
    scale = features.std(0) + 1e-6
    x, z = (features - features.mean(0)) / scale, (unseen - features.mean(0)) / scale
    for column in range(2):
        known = ~np.isnan(targets[:, column])
        offset = targets[known, column].mean()
        rows = np.vstack([x[known], np.sqrt(penalty) * np.eye(6)])
        values = np.concatenate([targets[known, column] - offset, np.zeros(6)])
        weights = np.linalg.lstsq(rows, values, rcond=None)[0]
        np.testing.assert_allclose(predictions[:, column], z @ weights + offset, atol=1e-9)
    assert (predictions[:, 2] == 0).all()


def test_a_feature_that_never_varies_has_no_say() -> None:
    rng = np.random.default_rng(1)
    features, unseen = rng.normal(size=(30, 3)), rng.normal(size=(5, 3))
    targets = features[:, :1] * 2 + 1
    without = ridge(features, targets, unseen, 1.0)
    constant, other = np.full((30, 1), 0.25), np.linspace(-9, 9, 5)[:, None]
    np.testing.assert_allclose(
        ridge(np.hstack([features, constant]), targets, np.hstack([unseen, other]), 1.0), without, atol=1e-9
    )
