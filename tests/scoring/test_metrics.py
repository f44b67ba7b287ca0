import doctest
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pingouin
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.multiprocessing.spawn import spawn

from aulight.scoring import agreement, scores
from aulight.scoring import metrics as on_batches
from aulight.scoring.agreement import icc, mae, mse, pearson
from aulight.scoring.metrics import IntensityMetrics
from tests.ranks import one_of_two

NAN = float("nan")


def _data(rows: int = 60, columns: int = 3, unknown: float = 0.0) -> tuple[Tensor, Tensor]:
    """Integer labels 0..5 with some unknown, and noisy float32 predictions of them."""
    rng = np.random.default_rng(0)
    target = rng.integers(0, 6, (rows, columns)).astype(np.float64)
    preds = np.clip(0.6 * target + rng.normal(0.3, 1.0, target.shape), 0, 5).astype(np.float32)
    target[rng.random(target.shape) < unknown] = np.nan
    return torch.from_numpy(preds), torch.from_numpy(target)


def _anova_icc(x: Tensor, y: Tensor) -> float:
    """(BMS - EMS) / (BMS + (k - 1) EMS) of Shrout and Fleiss, sum of squares by sum of squares."""
    ratings = [[float(a), float(b)] for a, b in zip(x, y, strict=True)]
    n, k = len(ratings), 2
    grand = sum(sum(row) for row in ratings) / (n * k)
    raters = [sum(row[j] for row in ratings) / n for j in range(k)]
    between = error = 0.0
    for row in ratings:
        mean = sum(row) / k
        between += k * (mean - grand) ** 2
        for j in range(k):
            error += (row[j] - mean - raters[j] + grand) ** 2
    bms, ems = between / (n - 1), error / ((n - 1) * (k - 1))
    return (bms - ems) / (bms + (k - 1) * ems)


def test_icc_equals_anova_and_pingouin() -> None:
    preds, target = _data()
    values = icc(preds, target)
    assert values.dtype == torch.float64
    for a in range(3):
        x, y = preds[:, a].double(), target[:, a]
        assert values[a].item() == pytest.approx(_anova_icc(x, y), abs=1e-12)
        long = pd.DataFrame(
            {
                "frame": np.tile(np.arange(60), 2),
                "rater": np.repeat(["net", "human"], 60),
                "score": np.concatenate([x.numpy(), y.numpy()]),
            }
        )
        table = pingouin.intraclass_corr(long, targets="frame", raters="rater", ratings="score")
        assert values[a].item() == pytest.approx(table.set_index("Type").loc["ICC(C,1)", "ICC"], abs=1e-6)


def test_icc_of_shrout_and_fleiss() -> None:
    """Judges 1 and 4 of their table 2; by hand: cov 4.2, variances 3.2 and 5.6."""
    first, fourth = torch.tensor([9.0, 6, 8, 7, 10, 6]), torch.tensor([8.0, 2, 6, 6, 9, 7])
    x, y = first - first.mean(), fourth - fourth.mean()
    expected = 2 * (x @ y) / (x @ x + y @ y)
    assert icc(first, fourth).item() == pytest.approx(expected.item(), abs=1e-6)
    assert icc(first, fourth).item() == pytest.approx(_anova_icc(first, fourth), abs=1e-12)


def test_errors_and_pearson() -> None:
    preds, target = _data()
    x, y = preds.double().numpy(), target.numpy()
    np.testing.assert_allclose(mae(preds, target), np.abs(x - y).mean(0), rtol=1e-12)
    np.testing.assert_allclose(mse(preds, target), ((x - y) ** 2).mean(0), rtol=1e-12)
    expected = [scipy.stats.pearsonr(x[:, a], y[:, a]).statistic for a in range(3)]
    np.testing.assert_allclose(pearson(preds, target), expected, rtol=1e-12)


@pytest.mark.parametrize("metric", [icc, pearson, mae, mse])
def test_columns_are_alone_and_unknown_targets_left_out(metric: Callable[[Tensor, Tensor], Tensor]) -> None:
    preds, target = _data(unknown=0.3)
    values = metric(preds, target)
    assert values.shape == (3,)
    for a in range(3):
        known = ~target[:, a].isnan()
        alone = metric(preds[known, a], target[known, a])
        assert alone.shape == ()
        assert values[a].item() == pytest.approx(alone.item(), abs=1e-12)


def test_rules_for_constants_and_nothing_known() -> None:
    varied, constant = torch.tensor([0.0, 1.0, 4.0, 2.0]), torch.full((4,), 0.1)
    for both in (torch.zeros(4), constant):
        assert icc(both, constant).isnan()
        assert pearson(both, constant).isnan()
    assert icc(constant, varied) == 0
    assert icc(varied, constant).isnan()  # no predictions can agree on differences that are not there
    for pair in ((varied, constant), (constant, varied)):
        assert pearson(*pair).isnan()
    unknown = torch.full((4,), NAN)
    assert all(metric(varied, unknown).isnan() for metric in (icc, pearson, mae, mse))
    assert icc(varied[:1], varied[:1]).isnan()
    # A prediction that is NaN is a fault to see, not an entry to leave out.
    broken = torch.tensor([0.0, NAN, 4.0, 2.0])
    assert all(metric(broken, varied).isnan() for metric in (icc, pearson, mae, mse))


def test_a_constant_stays_a_constant_over_many_batches() -> None:
    metric = IntensityMetrics()
    for _ in range(1000):
        metric.update(torch.full((77,), 0.1), torch.full((77,), 0.3))
    assert metric.compute()["icc"].isnan()


def test_icc_of_bounds() -> None:
    x = torch.tensor([0.0, 1.0, 5.0])
    assert icc(x, x) == 1
    assert icc(x, x + 1) == pytest.approx(1)  # consistency does not see a shift
    assert icc(x, 5 - x) == pytest.approx(-1)
    assert icc(x, x / 2) == pytest.approx(0.8)  # but does see a scale


def test_pooled_sums_do_not_depend_on_the_batches() -> None:
    preds, target = _data(unknown=0.2)
    whole = {"icc": icc, "mae": mae, "mse": mse, "pearson": pearson}

    @settings(max_examples=20, deadline=None)
    @given(st.lists(st.integers(0, 60), max_size=6))
    def check(cuts: list[int]) -> None:
        pooled, alone = IntensityMetrics(3), [IntensityMetrics() for _ in range(3)]
        for x, y in zip(preds.tensor_split(sorted(cuts)), target.tensor_split(sorted(cuts)), strict=True):
            pooled.update(x, y)
            for metric, of_x, of_y in zip(alone, x.T, y.T, strict=True):
                metric.update(of_x, of_y)
        for name, value in pooled.compute().items():
            torch.testing.assert_close(value, whole[name](preds, target), rtol=0.0, atol=1e-12)
        single = torch.stack([metric.compute()["icc"] for metric in alone])
        torch.testing.assert_close(single, pooled.compute()["icc"], rtol=0.0, atol=1e-12)

    check()


def test_clips_count_as_rows() -> None:
    preds, target = _data()
    metric = IntensityMetrics(3)
    metric.update(preds.reshape(4, 15, 3), target.reshape(4, 15, 3))
    torch.testing.assert_close(metric.compute()["icc"], icc(preds, target))


def test_wrong_shapes() -> None:
    with pytest.raises(ValueError, match="must both be"):
        icc(torch.zeros(3), torch.zeros(3, 1))
    with pytest.raises(ValueError, match="differ in shape"):
        IntensityMetrics(2).update(torch.zeros(3, 2), torch.zeros(2, 2))
    with pytest.raises(ValueError, match="does not end with 2 outputs"):
        IntensityMetrics(2).update(torch.zeros(2, 3), torch.zeros(2, 3))


def _rank(rank: int, folder: Path) -> None:
    preds, target = _data(unknown=0.2)
    rows = slice(0, 13) if rank == 0 else slice(13, None)  # unequal shares
    metric = IntensityMetrics(3)
    with one_of_two(rank, folder):
        metric.update(preds[rows], target[rows])
        torch.save(metric.compute(), folder / f"{rank}.pt")


def test_two_ranks_equal_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2])  # spawned processes import this file by name
    spawn(_rank, (tmp_path,), nprocs=2)  # type: ignore[no-untyped-call]
    preds, target = _data(unknown=0.2)
    for rank in (0, 1):
        values = torch.load(tmp_path / f"{rank}.pt")
        torch.testing.assert_close(values["icc"], icc(preds, target), rtol=0.0, atol=1e-12)
        torch.testing.assert_close(values["mse"], mse(preds, target), rtol=0.0, atol=1e-12)


def test_docstring_examples_run() -> None:
    results = [doctest.testmod(module) for module in (agreement, on_batches, scores)]
    assert sum(result.attempted for result in results) >= 12
    assert sum(result.failed for result in results) == 0


def test_arrays_and_tensors_go_through_the_same_lines() -> None:
    """Oracle: each other, also for constants, what is not known, and a prediction that is NaN."""
    preds, target = _data(columns=6, unknown=0.2)
    preds[:, 1], target[:, 2], target[:, 3], preds[5, 4] = 0.1, 3.0, NAN, NAN
    preds[:, 5], target[:, 5] = 0.1, 0.3
    of_tensors = agreement.metrics(agreement.sums_of(preds, target))
    of_arrays = agreement.metrics(agreement.sums_of(preds.numpy(), target.numpy()))
    assert list(of_tensors) == list(of_arrays) == list(agreement.METRICS)
    for name, values in of_arrays.items():
        assert values.dtype == np.float64
        assert of_tensors[name].dtype == torch.float64
        np.testing.assert_allclose(of_tensors[name].numpy(), values, rtol=1e-13, atol=0)
    assert of_arrays["icc"][1] == 0
    assert np.isnan(of_arrays["icc"][2:]).all()
    assert np.isnan(of_arrays["mae"][3:5]).all()
    for metric in (icc, pearson, mae, mse):
        assert metric(preds[:, 0].numpy(), target[:, 0].numpy()) == pytest.approx(metric(preds, target)[0].item())


def test_sums_of_parts_add_up_along_further_axes() -> None:
    """As reports pool subjects and folds; oracle: all rows put together."""
    preds, target = (values.numpy() for values in _data(unknown=0.2))
    parts = np.stack([agreement.sums_of(preds[rows], target[rows]) for rows in (slice(0, 25), slice(25, None))])
    assert parts.shape == (2, agreement.SUMS, 3)
    for name, values in agreement.metrics(parts.sum(0)).items():
        np.testing.assert_allclose(values, getattr(agreement, name)(preds, target), rtol=1e-12)
    for name, values in agreement.metrics(parts).items():
        np.testing.assert_allclose(values[0], getattr(agreement, name)(preds[:25], target[:25]), rtol=1e-12)


def test_agreement_of_arrays_does_without_torch() -> None:
    code = (
        "import sys, numpy as np; from aulight.scoring import agreement, conformal, intervals, ridge, scores; "
        "agreement.icc(np.arange(3.0), np.arange(3.0)); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_update_waits_for_no_device() -> None:
    """Oracle: tensors on ``meta`` have no values, so whatever asks for one, and would have a GPU waited for, raises."""
    metric = IntensityMetrics(3).to("meta")
    for values in (torch.zeros(60, 3), torch.zeros(4, 15, 3)):
        metric.update(values.to("meta"), values.to("meta"))
    assert {name: (value.shape, value.device.type) for name, value in metric.compute().items()} == dict.fromkeys(
        agreement.METRICS, (torch.Size([3]), "meta")
    )
    with pytest.raises((RuntimeError, NotImplementedError)):
        metric.sums.sum().item()


class _OnApple(Tensor):
    """A tensor as on a device without float64: it refuses to become one there, and comes to the CPU as a plain one."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.to and args[1] == torch.device("cpu"):
            return args[0].as_subclass(Tensor)
        result = super().__torch_function__(func, types, args, kwargs or {})  # type: ignore[no-untyped-call]
        if isinstance(result, cls) and result.dtype == torch.float64:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64")
        return result


def _to_apple(tensor: Tensor) -> Tensor:
    if tensor.dtype == torch.float64:
        raise TypeError("Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64")
    return tensor.as_subclass(_OnApple)


def test_a_device_without_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracle: the same on the CPU."""
    preds, target = (values.float() for values in _data(unknown=0.2))
    with pytest.raises(TypeError, match="float64"):
        _to_apple(preds).double()
    on_cpu = agreement.sums_of

    def sums_of(preds: Tensor, target: Tensor) -> Tensor:  # torch.asarray, which it uses, hands nothing to a subclass
        if isinstance(preds, _OnApple) or isinstance(target, _OnApple):
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64")
        return on_cpu(preds, target)

    monkeypatch.setattr(agreement, "sums_of", sums_of)
    metric = IntensityMetrics(3)
    metric._apply(_to_apple)  # what `.to(device)` comes to
    for _ in range(2):
        metric.update(_to_apple(preds), _to_apple(target))
        assert type(metric.sums) is Tensor
        for name, value in metric.compute().items():
            torch.testing.assert_close(value, getattr(agreement, name)(preds, target), rtol=0, atol=0)
        metric.reset()
