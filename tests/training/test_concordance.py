"""The loss that asks for amplitude; oracles are Lin's formula by another library, slow loops and finite differences."""

import math

import numpy as np
import pandas as pd
import pingouin
import pytest
import torch
from torch import Tensor
from torchmetrics.functional.regression import concordance_corrcoef

from aulight.training.concordance import LEAST_LABELS, concordance_regression
from aulight.training.losses import masked_regression


def _batch(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Outputs, targets and which are known `(4, 6, 3)`; of the units 15, 10 and 7 are."""
    generator = torch.Generator().manual_seed(seed)
    outputs, noise = torch.randn(2, 4, 6, 3, generator=generator)
    targets = 2 * outputs + noise + torch.tensor([0.0, 1.0, -3.0])
    mask = torch.zeros(24, 3, dtype=torch.bool)
    for unit, known in enumerate((15, 10, 7)):
        mask[torch.randperm(24, generator=generator)[:known], unit] = True
    return outputs.requires_grad_(), targets, mask.view(4, 6, 3)


def _slow(outputs: Tensor, targets: Tensor, mask: Tensor, share: float) -> float:
    """Unit by unit and label by label."""
    total, labels = 0.0, 0
    for unit in range(outputs.shape[-1]):
        x, y = [], []
        for o, t, known in zip(
            *(part[..., unit].detach().flatten().tolist() for part in (outputs, targets, mask)), strict=True
        ):
            if known:
                x.append(o)
                y.append(t)
        n = len(x)
        if not n:
            continue
        mse = sum((a - b) ** 2 for a, b in zip(x, y, strict=True)) / n
        loss = mse
        if n >= LEAST_LABELS and len(set(y)) > 1:
            mx, my = sum(x) / n, sum(y) / n
            cov = sum((a - mx) * (b - my) for a, b in zip(x, y, strict=True)) / n
            spread = sum((a - mx) ** 2 for a in x) / n + sum((b - my) ** 2 for b in y) / n + (mx - my) ** 2
            loss = (1 - share) * mse + share * (1 - 2 * cov / spread)
        total, labels = total + n * loss, labels + n
    return total / labels


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8, 1.0])
def test_concordance_equals_a_slow_loop(share: float) -> None:
    outputs, targets, mask = _batch()
    found = concordance_regression(outputs, targets.masked_fill(~mask, math.nan), mask, share)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(_slow(outputs, targets, mask, share), rel=1e-5)


def test_a_share_of_nothing_is_the_squared_error() -> None:
    outputs, targets, mask = _batch()
    plain = masked_regression(outputs, targets, mask, "mse")
    mixed = concordance_regression(outputs, targets, mask, 0.0)
    assert mixed.item() == pytest.approx(plain.item(), rel=1e-6)
    grads = [torch.autograd.grad(loss, outputs)[0] for loss in (plain, mixed)]
    torch.testing.assert_close(grads[1], grads[0])


def test_a_share_of_one_is_lins_ccc() -> None:
    """Oracles: the formula in numpy; torchmetrics, whose variances are of a sample, where means are alike; and the
    agreement of two raters, ICC(2,1), which it becomes as labels grow in number."""
    outputs, targets, _ = _batch()
    x, y = outputs[..., 0].detach().flatten().double(), targets[..., 0].flatten().double()
    loss = concordance_regression(outputs[..., :1], targets[..., :1], torch.ones(4, 6, 1, dtype=torch.bool), 1.0)
    n = len(x)
    cov = np.cov(x.numpy(), y.numpy(), bias=True)
    lin = 2 * cov[0, 1] / (cov[0, 0] + cov[1, 1] + (x.mean() - y.mean()).item() ** 2)
    assert 1 - loss.item() == pytest.approx(lin, abs=1e-6)
    centred = concordance_corrcoef(x, y - y.mean() + x.mean())  # no difference of means: sample or not is all the same
    both = concordance_regression(
        outputs[..., :1].detach().double(), (y - y.mean() + x.mean()).view(4, 6, 1), torch.ones(4, 6, 1).bool(), 1.0
    )
    assert 1 - both.item() == pytest.approx(centred.item(), abs=1e-6)
    table = {"frame": [*range(n)] * 2, "who": ["model"] * n + ["coder"] * n, "score": [*x.tolist(), *y.tolist()]}
    found = pingouin.intraclass_corr(pd.DataFrame(table), targets="frame", raters="who", ratings="score")
    absolute = found.loc[found["Type"].isin(["ICC2", "ICC(A,1)"]), "ICC"].item()
    assert 1 - loss.item() == pytest.approx(absolute, abs=0.03)


@pytest.mark.parametrize("share", [0.4, 1.0])
def test_gradient_is_that_of_finite_differences(share: float) -> None:
    outputs, targets, mask = _batch()
    loss = concordance_regression(outputs, targets.masked_fill(~mask, math.nan), mask, share)
    (grad,) = torch.autograd.grad(loss, outputs)
    assert torch.equal(grad != 0, mask)
    flat, step = outputs.detach().double(), 1e-5
    for place in torch.argwhere(mask).tolist():
        up, down = flat.clone(), flat.clone()
        up[tuple(place)] += step
        down[tuple(place)] -= step
        slope = (_slow(up, targets, mask, share) - _slow(down, targets, mask, share)) / (2 * step)
        assert float(grad[tuple(place)]) == pytest.approx(slope, abs=2e-5)


@pytest.mark.parametrize("unknown", [0.0, 9.0, math.nan, math.inf])
def test_what_is_unknown_plays_no_part(unknown: float) -> None:
    outputs, targets, mask = _batch()
    found = concordance_regression(outputs, targets.masked_fill(~mask, unknown), mask, 0.5)
    assert found.item() == pytest.approx(_slow(outputs, targets, mask, 0.5), rel=1e-5)
    assert torch.autograd.grad(found, outputs)[0].isfinite().all()
    assert concordance_regression(outputs, targets.masked_fill(mask, math.nan), mask, 0.5).isnan()


@pytest.mark.parametrize("why", ["constant labels", "few labels", "one label", "no label"])
def test_a_unit_without_variance_counts_by_its_squared_error(why: str) -> None:
    outputs, targets, mask = _batch()
    if why == "constant labels":
        targets[..., 1] = 0.3  # not exact in binary: its variance in float32 is not 0
    else:
        keep = {"few labels": LEAST_LABELS - 1, "one label": 1, "no label": 0}[why]
        known = torch.argwhere(mask[..., 1])[keep:]
        mask[known[:, 0], known[:, 1], 1] = False
    loss = concordance_regression(outputs, targets.masked_fill(~mask, math.nan), mask, 1.0)
    (grad,) = torch.autograd.grad(loss, outputs)
    assert grad.isfinite().all()
    count = mask.sum()
    squared = ((outputs - targets) ** 2 * mask)[..., 1].sum() / count
    (expected,) = torch.autograd.grad(squared, outputs)
    torch.testing.assert_close(grad[..., 1], expected[..., 1])
    assert loss.item() == pytest.approx(_slow(outputs, targets, mask, 1.0), rel=1e-5)


@pytest.mark.parametrize("constant", [0.0, 0.7])
def test_constant_predictions_have_a_gradient_that_sets_them_apart(constant: float) -> None:
    """As those of a new regressor are, which starts at zero: 1 - CCC is 1, and each output is drawn to its label."""
    _, targets, mask = _batch()
    outputs = torch.full_like(targets, constant).requires_grad_()
    loss = concordance_regression(outputs, targets, mask, 1.0)
    assert loss.item() == pytest.approx(1, abs=1e-6)
    (grad,) = torch.autograd.grad(loss, outputs)
    assert grad.isfinite().all()
    for unit in range(3):
        known = mask[..., unit]
        order = targets[..., unit][known].argsort()
        assert (grad[..., unit][known][order].diff() < 0).all()


def test_no_labels_at_all() -> None:
    outputs = torch.randn(2, 3, requires_grad=True)
    loss = concordance_regression(outputs, torch.full((2, 3), math.nan), torch.zeros(2, 3, dtype=torch.bool), 1.0)
    torch.autograd.backward(loss)
    assert loss.item() == 0
    assert outputs.grad is not None
    assert not outputs.grad.any()


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_the_same_in_mixed_precision(precision: torch.dtype) -> None:
    """Outputs that are far off and hardly differ: their variance is lost where it is not taken in float32."""
    outputs, targets, mask = _batch()
    outputs = (outputs.detach() * 1e-2 + 3).requires_grad_()
    exact = concordance_regression(outputs, targets, mask, 0.7)
    with torch.autocast("cpu", precision):
        found = concordance_regression(outputs, targets, mask, 0.7)
        assert concordance_regression(outputs.detach().to(precision), targets, mask, 0.7).dtype == torch.float32
    assert found.dtype == torch.float32
    assert torch.equal(found, exact)
    assert torch.autograd.grad(found, outputs)[0].isfinite().all()
