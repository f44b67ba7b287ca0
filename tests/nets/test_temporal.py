from functools import partial
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from aulight.errors import AulightError
from aulight.nets.temporal import build_temporal

assert_close = partial(torch.testing.assert_close, rtol=0.0, atol=1e-5)


def _built(name: str) -> tuple[nn.Module, Tensor]:
    """A module of 6 to 8 channels and a clip `(2, 7, 6, h, w)` for it."""
    torch.manual_seed(0)
    size = 1 if name == "gru" else 3
    return build_temporal(name, 6, 8), torch.randn(2, 7, 6, size, size)


def test_gru_equals_naive_cell() -> None:
    module, x = _built("gru")
    gru = module.get_submodule("gru")
    assert isinstance(gru, nn.GRU)
    cell = nn.GRUCell(6, 8)
    cell.load_state_dict({key.removesuffix("_l0"): value for key, value in gru.state_dict().items()})
    state, expected = torch.zeros(2, 8), []
    for t in range(7):
        state = cell(x[:, t, :, 0, 0], state)
        expected.append(state)
    out, last = module(x)
    assert_close(out[..., 0, 0], torch.stack(expected, 1))
    assert_close(last[..., 0, 0], state)


def test_convgru_equals_naive_cell() -> None:
    """The cell gate by gate, each with its own two convolutions of one frame."""
    module, x = _built("convgru")
    by_name = dict(module.named_parameters())
    weights = {
        side: [(by_name[f"from_{side}.weight"][i : i + 8], by_name[f"from_{side}.bias"][i : i + 8]) for i in (0, 8, 16)]
        for side in ("input", "state")
    }

    def conv(side: str, gate: int, value: Tensor) -> Tensor:
        return F.conv2d(value, *weights[side][gate], padding=1)

    state, expected = torch.zeros(2, 8, 3, 3), []
    for t in range(7):
        frame = x[:, t]
        reset = torch.sigmoid(conv("input", 0, frame) + conv("state", 0, state))
        update = torch.sigmoid(conv("input", 1, frame) + conv("state", 1, state))
        new = torch.tanh(conv("input", 2, frame) + reset * conv("state", 2, state))
        state = (1 - update) * new + update * state
        expected.append(state)
    out, last = module(x)
    assert_close(out, torch.stack(expected, 1))
    assert_close(last, state)


def test_convgru_on_one_cell_is_a_gru() -> None:
    conv, _ = _built("convgru")
    gru, x = _built("gru")
    centre = {k: v[..., 1, 1] if v.dim() == 4 else v for k, v in conv.state_dict().items()}

    gru.load_state_dict(
        {
            f"gru.{kind}_{side}_l0": centre[f"from_{source}.{kind}"]
            for kind in ("weight", "bias")
            for side, source in (("ih", "input"), ("hh", "state"))
        }
    )
    assert_close(conv(x), gru(x))


@pytest.mark.parametrize("name", ["gru", "convgru", "none"])
def test_any_split_with_the_state_carried_equals_the_whole(name: str) -> None:
    module, x = _built(name)
    whole, last = module(x)

    @settings(max_examples=20, deadline=None)
    @given(st.sets(st.integers(1, 6)))
    def check(cuts: set[int]) -> None:
        edges = [0, *sorted(cuts), 7]
        state, pieces = None, []
        for start, stop in pairwise(edges):
            out, state = module(x[:, start:stop], state)
            pieces.append(out)
        assert_close(torch.cat(pieces, 1), whole)
        if name != "none":
            assert_close(state, last)

    check()


@pytest.mark.parametrize("name", ["gru", "convgru", "none"])
def test_a_later_frame_changes_no_earlier_output(name: str) -> None:
    module, x = _built(name)
    changed = x.clone()
    changed[:, 4] += 1
    before, after = module(x)[0], module(changed)[0]
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4], after[:, 4])


@pytest.mark.parametrize("name", ["gru", "convgru"])
def test_the_recurrence_is_float32_under_autocast(name: str) -> None:
    module, x = _built(name)
    with torch.autocast("cpu", torch.bfloat16):
        out, state = module(x.bfloat16())
    assert out.dtype == state.dtype == torch.float32
    exact, _ = module(x.bfloat16().float())
    # The convolution of the input alone is bfloat16; were the states too, the error would be far larger.
    assert_close(out, exact, atol=1e-6 if name == "gru" else 1e-2)


def test_channels_and_wrong_use() -> None:
    assert build_temporal("gru", 6, 8).channels == 8
    assert build_temporal("none", 6, 8).channels == 6
    with pytest.raises(AulightError, match=r"unknown temporal module 'lstm'.*convgru"):
        build_temporal("lstm", 6, 8)
    with pytest.raises(ValueError, match="not maps"):
        build_temporal("gru", 6, 8)(torch.zeros(1, 2, 6, 3, 3))
