import numpy as np
import pytest

from aulight.scoring.ridge import ridge


@pytest.mark.parametrize("penalty", [0.5, 100.0])
def test_equals_least_squares_with_an_intercept_and_rows_for_the_penalty(penalty: float) -> None:
    """Oracle: numpy's least squares on the known rows of each column, where only the intercept is free of charge."""
    rng = np.random.default_rng(0)
    features, unseen = rng.normal(3, 2, (40, 6)), rng.normal(3, 2, (15, 6))
    targets = features @ rng.normal(size=(6, 3)) + rng.normal(size=(40, 3)) + 2
    targets[rng.random((40, 3)) < 0.3] = np.nan
    targets[:, 2] = np.nan  # nothing known
    predictions = ridge(features, targets, unseen, penalty)
    scale = features.std(0) + 1e-6
    for column in range(2):
        known = ~np.isnan(targets[:, column])
        x = np.column_stack([features[known] / scale, np.ones(known.sum())])
        free = np.column_stack([np.sqrt(penalty) * np.eye(6), np.zeros(6)])
        values = np.concatenate([targets[known, column], np.zeros(6)])
        weights = np.linalg.lstsq(np.vstack([x, free]), values, rcond=None)[0]
        expected = np.column_stack([unseen / scale, np.ones(15)]) @ weights
        np.testing.assert_allclose(predictions[:, column], expected, atol=1e-9)
    assert (predictions[:, 2] == 0).all()


def test_an_exact_line_is_found_where_a_column_is_known_in_half_of_the_rows_that_differ_from_the_others() -> None:
    """The unknown half is of other people, say, whose features lie elsewhere."""
    rng = np.random.default_rng(2)
    features, unseen = rng.normal(size=(200, 4)), rng.normal(size=(50, 4))
    features[100:] += 3
    line = rng.normal(size=(4, 2))
    targets = features @ line + 1
    targets[100:, 1] = np.nan
    np.testing.assert_allclose(ridge(features, targets, unseen, 1e-9), unseen @ line + 1, atol=1e-7)


def test_a_feature_that_never_varies_has_no_say() -> None:
    rng = np.random.default_rng(1)
    features, unseen = rng.normal(size=(30, 3)), rng.normal(size=(5, 3))
    targets = features[:, :1] * 2 + 1
    without = ridge(features, targets, unseen, 1.0)
    constant, other = np.full((30, 1), 0.25), np.linspace(-9, 9, 5)[:, None]
    np.testing.assert_allclose(
        ridge(np.hstack([features, constant]), targets, np.hstack([unseen, other]), 1.0), without, atol=1e-9
    )
