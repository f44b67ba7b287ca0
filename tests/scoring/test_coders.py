"""Agreement of coders, against pingouin's ICCs, scikit-learn's kappa and slow loops."""

import doctest
import itertools
import math
import warnings

import numpy as np
import pandas as pd
import pingouin
import pytest
from sklearn.metrics import cohen_kappa_score

from aulight.scoring import coders
from aulight.scoring.agreement import Array, icc
from aulight.scoring.coders import Weights, added, agreement, sums_of


def scores(n: int, k: int, seed: int, shift: float = 0.0) -> Array:
    """What k coders say of n frames; the later ones say more by ``shift`` each."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, 6, (n, 1))
    found: Array = np.clip(np.rint(true + rng.normal(size=(n, k)) + shift * np.arange(k)), 0, 5)
    return found


def pingouins(given: Array) -> tuple[float, float]:
    n, k = given.shape
    long = pd.DataFrame({"t": np.repeat(np.arange(n), k), "r": np.tile(np.arange(k), n), "s": given.ravel()})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = pingouin.intraclass_corr(long, "t", "r", "s").set_index("Type")["ICC"]
    names = [("ICC(C,1)", "ICC3"), ("ICC(A,1)", "ICC2")]  # by the versions
    one, other = (float(next(table[name] for name in both if name in table)) for both in names)
    return one, other


@pytest.mark.parametrize(("n", "k", "shift"), [(5, 2, 0), (40, 2, 1), (40, 3, 0.5), (12, 5, 0), (200, 4, -1)])
def test_iccs_are_pingouins(n: int, k: int, shift: float) -> None:
    given = scores(n, k, n + k, shift)
    found = agreement(sums_of(given), "quadratic")
    assert (found["icc31"], found["icc21"]) == pytest.approx(pingouins(given), abs=1e-9)


def test_of_two_coders_icc31_is_that_of_models() -> None:
    given = scores(50, 2, 3, 1)
    assert agreement(sums_of(given), "linear")["icc31"] == pytest.approx(float(icc(given[:, 0], given[:, 1])))


@pytest.mark.parametrize("weights", ["quadratic", "linear"])
@pytest.mark.parametrize("k", [2, 3, 4])
def test_kappa_is_scikit_learns_over_pairs(weights: Weights, k: int) -> None:
    given = scores(60, k, k)
    pairs = list(itertools.combinations(given.T.astype(int), 2))
    expected = np.mean([cohen_kappa_score(*pair, weights=weights, labels=range(6)) for pair in pairs])
    found = agreement(sums_of(given), weights)
    assert found["kappa"] == pytest.approx(expected)
    assert found["equal"] == pytest.approx(np.mean([np.mean(one == other) for one, other in pairs]))


def test_sums_add_up_over_people() -> None:
    given = scores(30, 3, 0)
    parts = added([sums_of(part) for part in np.split(given, [4, 4, 20])], 3)
    assert agreement(parts, "linear") == pytest.approx(agreement(sums_of(given), "linear"), nan_ok=True)


def test_what_is_undefined_is_nan() -> None:
    constant = agreement(sums_of(np.full((5, 2), 3.0)), "quadratic")
    assert [name for name, value in constant.items() if math.isnan(value)] == ["icc31", "icc21", "kappa"]
    assert constant["equal"] == 1
    assert all(math.isnan(value) for value in agreement(added([], 2), "quadratic").values())
    apart = agreement(sums_of(np.array([[1.0, 3.0]] * 6)), "quadratic")  # each constant, and never equal
    assert (apart["equal"], apart["kappa"]) == (0, 0)


@pytest.mark.parametrize("given", [[[1.0], [2.0]], [[1.0, 6.0]], [[0.5, 1.0]], [[-1.0, 1.0]]])
def test_other_scores_are_refused(given: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="whole numbers from 0 to 5"):
        sums_of(np.array(given))


def test_examples() -> None:
    assert doctest.testmod(coders).failed == 0
