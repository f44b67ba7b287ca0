"""Scores of a table of predictions, against means by hand."""

import numpy as np
import pandas as pd
import pytest

from aulight.scoring.scores import named, scores, summary

COLUMNS = ["AU01", "AU12"]


@pytest.fixture
def table() -> pd.DataFrame:
    """As predictions.parquet holds them: whole labels with unknown ones, float32 predictions; nobody labelled AU12."""
    return pd.DataFrame(
        {
            "AU01_true": pd.array([0, 1, 3, 3, None], dtype="Int8"),
            "AU01_pred": np.array([0, 1, 2, 4, 5], np.float32),
            "AU12_true": pd.array([None] * 5, dtype="Int8"),
            "AU12_pred": np.zeros(5, np.float32),
        }
    )


def test_scores_of_a_table(table: pd.DataFrame) -> None:
    """Of AU01, by hand: cov 6.75, variances 8.75 and 6.75 (all times n); errors 0, 0, 1, 1."""
    found = scores(table, COLUMNS)
    assert list(found) == ["icc", "mae", "mse", "pearson"]
    assert found["icc"][0] == pytest.approx(2 * 6.75 / (8.75 + 6.75))
    assert (found["mae"][0], found["mse"][0]) == (0.5, 0.5)
    assert found["pearson"][0] == pytest.approx(6.75 / (8.75 * 6.75) ** 0.5)
    assert all(np.isnan(values[1]) for values in found.values())


def test_what_is_undefined_is_left_out_of_means(table: pd.DataFrame) -> None:
    found = scores(table, COLUMNS)
    short, logged = summary(found, COLUMNS), named("test", found, COLUMNS)
    assert (short["icc"], short["mae"], short["mse"]) == tuple(found[name][0] for name in ("icc", "mae", "mse"))
    assert short["pearson"] == logged["test/pearson"] == logged["test/pearson_AU01"] == found["pearson"][0]
    assert list(short["per_au"]) == COLUMNS
    assert np.isnan(short["per_au"]["AU12"])
    assert (logged["test/icc"], logged["test/mae"]) == (short["icc"], short["mae"])
    assert logged["test/mse_AU01"] == found["mse"][0]
    assert np.isnan(logged["test/mse_AU12"])
    nothing = summary(scores(table, COLUMNS[1:]), COLUMNS[1:])
    assert np.isnan([nothing["icc"], nothing["mae"], nothing["mse"]]).all()


def test_a_lacking_column_is_an_error(table: pd.DataFrame) -> None:
    with pytest.raises(KeyError, match="AU25"):
        scores(table, ["AU25"])
