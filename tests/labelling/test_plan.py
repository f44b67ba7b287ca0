"""Who codes which frames: shares, balance, orders of their own, and what stays when coders come and go."""

import numpy as np
import pytest
from scipy.stats import kendalltau

from aulight.labelling.plan import dealt, ranked, shared_of

FRAMES = [(f"v{i}", j) for i in range(10) for j in range(20)]


@pytest.mark.parametrize(("share", "count"), [(0, 0), (0.2, 40), (0.333, 67), (1, 200)])
def test_a_share_is_that_of_all_frames(share: float, count: int) -> None:
    shared = shared_of(FRAMES, share, 0)
    assert len(shared) == count
    assert shared <= set(FRAMES)
    assert shared == shared_of(FRAMES[::-1], share, 0)


def test_what_is_shared_is_a_draw_of_the_seed() -> None:
    draws = [shared_of(FRAMES, 0.2, seed) for seed in range(50)]
    counts = np.array([sum(frame in draw for draw in draws) for frame in FRAMES])
    assert len({frozenset(draw) for draw in draws}) == 50
    assert abs(counts.mean() - 10) < 1e-9
    assert counts.max() < 25  # none is preferred: 10 of 50, with a standard deviation of 2.8


def test_frames_are_dealt_evenly_and_each_once() -> None:
    owner = dealt(FRAMES[:-1], ["c1", "c2", "c3"], 0)
    assert sorted(owner) == FRAMES[:-1]
    counts = [list(owner.values()).count(coder) for coder in ("c1", "c2", "c3")]
    assert sorted(counts) == [66, 66, 67]


def test_each_coder_has_an_order_of_their_own() -> None:
    one, other = ranked(FRAMES, 0, "c1"), ranked(FRAMES, 0, "c2")
    assert sorted(one) == sorted(other) == sorted(FRAMES)
    places = [[order.index(frame) for frame in FRAMES] for order in (one, other)]
    for pair in ((places[0], places[1]), (range(200), places[0])):
        assert abs(kendalltau(*pair).statistic) < 0.15


def test_an_order_stays_when_frames_are_taken_out() -> None:
    rest = [frame for frame in FRAMES if frame[1] % 3]
    assert ranked(rest, 0, "c1") == [frame for frame in ranked(FRAMES, 0, "c1") if frame in set(rest)]
