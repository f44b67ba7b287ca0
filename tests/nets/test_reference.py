"""A person's reference against numpy's quantiles."""

import numpy as np
import pytest
import torch

from aulight.nets.reference import KEPT, QUANTILE, SETTLED, RunningReference, level, related

USUAL = np.array([0.5, -1.0, 2.0], np.float32)


def _own(count: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, 3)).astype(np.float32)


def test_level_is_numpys_quantile() -> None:
    own = _own(2 * 9).reshape(2, 9, 3)
    np.testing.assert_allclose(level(torch.from_numpy(own)), np.quantile(own, QUANTILE, axis=1), atol=1e-6)


def test_the_reference_is_taken_away_before_clipping() -> None:
    said = torch.tensor([[4.0, 7.0, -1.0, 9.0, 9.0, 9.0]])
    found = related(said, torch.tensor([1.0, 3.0, -0.5]))
    assert found.tolist() == [[3.0, 4.0, 0.0]]


@pytest.mark.parametrize("size", [1, 7, 400])
def test_a_stream_goes_from_the_usual_reference_to_that_of_the_frames_so_far(size: int) -> None:
    """However it is cut. Oracle: numpy, over the frames with a face."""
    own, faces = _own(400), np.arange(400) % 5 != 2
    running = RunningReference(USUAL)
    nobody = np.zeros(400, bool)
    parts = [slice(start, start + size) for start in range(0, 400, size)]
    found = np.concatenate([running.push(own[part], faces[part], nobody[part]) for part in parts])
    for place in range(400):
        known = own[: place + 1][faces[: place + 1]]
        share = min(1, len(known) / SETTLED)
        expected = USUAL + share * (np.quantile(known, QUANTILE, axis=0) - USUAL)
        np.testing.assert_allclose(found[place], expected, atol=1e-5)


def test_a_long_stream_keeps_every_second_frame_then_every_fourth() -> None:
    """In constant memory; oracle: numpy over the frames that are kept, and, roughly, over all."""
    own = _own(5 * KEPT)
    everywhere, nobody = np.ones(len(own), bool), np.zeros(len(own), bool)
    running = RunningReference(USUAL)
    found = running.push(own, everywhere, nobody)
    for count, stride in ((KEPT, 1), (KEPT + 2, 2), (2 * KEPT, 2), (2 * KEPT + 4, 4), (4 * KEPT + 1, 8)):
        expected = np.quantile(own[:count:stride], QUANTILE, axis=0)
        np.testing.assert_allclose(found[count - 1], expected, atol=1e-5)
    np.testing.assert_allclose(found[-1], np.quantile(own, QUANTILE, axis=0), atol=0.12)
    assert len(running._kept) <= KEPT


def test_somebody_else_is_met_as_a_stranger() -> None:
    own, anew = _own(60), np.arange(60) == 30
    there = np.ones(60, bool)
    found = RunningReference(USUAL).push(own, there, anew)
    alone = [RunningReference(USUAL).push(part, there[:30], np.zeros(30, bool)) for part in (own[:30], own[30:])]
    np.testing.assert_array_equal(found, np.concatenate(alone))
