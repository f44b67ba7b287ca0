"""Which jump between numbers of frames is a usual one, against a slow count; and what thinned pictures make of it."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aulight.data.segments import mean_step, usual_step


def slow_usual_step(numbers: list[int]) -> int:
    """The commonest jump, or one more where a tenth of the jumps are; 1 where these are less than half."""
    count = Counter(later - earlier for earlier, later in itertools.pairwise(numbers))
    if not count:
        return 1
    step = min(jump for jump in count if count[jump] == max(count.values()))
    if count[step] + count[step + 1] < 0.5 * count.total():
        return 1
    return step + 1 if count[step + 1] >= 0.1 * count.total() else step


@given(jumps=st.lists(st.sampled_from([1, 1, 2, 2, 2, 3, 3, 4, 9, 40]), max_size=40))
def test_the_usual_step_is_that_of_a_slow_count(jumps: list[int]) -> None:
    numbers = np.cumsum([5, *jumps])
    step = usual_step(numbers)
    assert step == slow_usual_step(numbers.tolist())
    usual = [jump for jump in jumps if jump <= step]
    assert mean_step(numbers) == pytest.approx(np.mean(usual) if usual else 1)


@pytest.mark.parametrize(
    ("kept", "step", "mean"),
    [
        (range(0, 300, 2), 2, 2),
        (range(7, 300, 5), 5, 5),
        ([n for n in range(300) if n % 6], 2, 1.2),  # 30 a second to 25
        (np.arange(0, 300, 2.5).astype(int), 3, 2.5),  # to 12
        ([*range(100), *range(101, 200), *range(250, 300)], 1, 1),  # one is missing, then fifty
        ([*range(0, 100, 2), *range(140, 300, 2)], 2, 2),
        (np.random.default_rng(0).choice(100_000, 50, replace=False).tolist(), 1, 1),  # no film at all
        ([4], 1, 1),
    ],
)
def test_a_gap_is_a_jump_longer_than_the_usual(kept: object, step: int, mean: float) -> None:
    numbers = np.sort(np.array(kept, np.int64))
    assert usual_step(numbers) == step
    assert mean_step(numbers) == pytest.approx(mean, rel=0.02)
