"""The schedule of learning rates against its formula."""

import math

import pytest
import torch

from aulight.settings.training import OptimSettings
from aulight.training.optim import one_cycle


def _rates(steps: int, warmup: float) -> list[float]:
    weight = torch.nn.Parameter(torch.zeros(1))
    made = one_cycle([{"params": [weight], "lr": 2.0}], steps, OptimSettings(lr=2.0, weight_decay=0.0, warmup=warmup))
    optimizer, schedule = made["optimizer"], made["lr_scheduler"]["scheduler"]
    rates = []
    for step in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step < steps - 1:
            schedule.step()
    return rates


def test_the_rate_rises_for_the_warm_up_and_falls_to_nothing_on_cosines() -> None:
    def cosine(begin: float, end: float, share: float) -> float:
        return end + (begin - end) / 2 * (1 + math.cos(math.pi * share))

    low, high, least = 2 / 25, 2.0, 2 / 25 / 1e4
    expected = [cosine(low, high, step / 4) for step in range(5)]
    expected += [cosine(high, least, step / 15) for step in range(1, 16)]
    assert _rates(20, 0.25) == pytest.approx(expected)


@pytest.mark.parametrize(("steps", "warmup"), [(10, 0.1), (5, 0.2), (1, 0.1), (4, 0.25), (2, 0.0)])
def test_any_number_of_steps_has_a_schedule(steps: int, warmup: float) -> None:
    rates = _rates(steps, warmup)
    assert len(rates) == steps
    assert all(math.isfinite(rate) and 0 < rate <= 2.0 for rate in rates)
