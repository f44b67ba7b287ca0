from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from aulight.nets.encoder import Encoder
from aulight.nets.heads import IntensityRegressor
from aulight.nets.stream import FrameStream
from aulight.settings.model import NetworkSettings

FRAMES = 22


def _net(temporal: Any) -> tuple[Encoder, IntensityRegressor]:
    torch.manual_seed(0)
    values: dict[str, Any] = {"embedding": 16, "hidden": 12, "skip": True, "norm": "batch", "small_input": False}
    encoder = Encoder(
        NetworkSettings(backbone="resnet_tiny", temporal=temporal, size=32, **values, mean=[0.5] * 3, std=[0.25] * 3)
    )
    for name, buffer in encoder.named_buffers():  # statistics as after training, not the neutral ones
        if name.endswith("running_mean"):
            buffer.normal_(std=0.1)
    head = IntensityRegressor(encoder.channels, 3)
    torch.nn.init.normal_(head.linear.weight)
    head.set_scale(torch.tensor([1.0, 2.0, 0.5]), torch.tensor([1.5, 1.0, 0.7]))
    return encoder.eval(), head.eval()


def _video() -> Tensor:
    return torch.randint(0, 256, (1, FRAMES, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def _oracle(encoder: Encoder, head: IntensityRegressor, video: Tensor, stride: int) -> Tensor:
    """Each of the interleaved sequences whole, on its own."""
    scores = torch.zeros(FRAMES, 3)
    for phase in range(min(stride, FRAMES)):
        sequence = encoder.normalise(video[:, phase::stride])
        scores[phase::stride] = head.predict(encoder(sequence)[0])[0]
    return scores


@pytest.mark.parametrize("stride", [1, 3, 4, 30])
@pytest.mark.parametrize("temporal", ["gru", "convgru", "none"])
def test_equals_the_interleaved_sequences_whole(temporal: str, stride: int) -> None:
    encoder, head = _net(temporal)
    video = _video()
    expected = _oracle(encoder, head, video, stride)
    assert ((expected > 0) & (expected < 5)).float().mean() > 0.05  # not all of it clipped
    whole = FrameStream(encoder, head.predict, stride).push(video)
    torch.testing.assert_close(whole, expected, rtol=0, atol=1e-5)
    assert whole.dtype == torch.float32


@pytest.mark.parametrize("temporal", ["gru", "convgru", "none"])
@pytest.mark.parametrize("stride", [1, 4, 5, 30])
def test_pieces_equal_whole(temporal: str, stride: int) -> None:
    """Frame by frame, and cut anywhere; the oracle is each interleaved sequence on its own."""
    encoder, head = _net(temporal)
    video = _video()
    expected = _oracle(encoder, head, video, stride)
    rng = np.random.default_rng(stride)
    every = list(range(1, FRAMES))
    for cuts in (every, *(sorted(rng.choice(every, rng.integers(1, 8), replace=False).tolist()) for _ in range(8))):
        stream = FrameStream(encoder, head.predict, stride)
        pieces = torch.cat([stream.push(piece) for piece in torch.tensor_split(video, cuts, dim=1)])
        torch.testing.assert_close(pieces, expected, rtol=0, atol=1e-5)


def test_causal() -> None:
    encoder, head = _net("gru")
    video = _video()
    changed = video.clone()
    changed[:, 13:] = 255 - changed[:, 13:]
    one, other = (FrameStream(encoder, head.predict, 4).push(clip) for clip in (video, changed))
    torch.testing.assert_close(one[:13], other[:13], rtol=0, atol=1e-6)
    assert not torch.allclose(one[13:], other[13:])


# ---- where in the frame -----------------------------------------------------------------------------------------


def _grown(encoder: Encoder, head: IntensityRegressor, frames: Tensor, place: tuple[int, int], by: float) -> Tensor:
    """Outputs before clamping in the last frame of a sequence, of which one place of the map is made larger."""

    def grow(module: Any, given: Any, maps: Tensor) -> Tensor:
        changed = maps.clone()
        changed[-1, :, place[0], place[1]] *= 1 + by
        return changed

    with encoder.backbone.register_forward_hook(grow), torch.no_grad():
        outputs: Tensor = head(encoder(encoder.normalise(frames))[0])
        return outputs[0, -1].double()


@pytest.mark.parametrize("stride", [1, 3])
@pytest.mark.parametrize("temporal", ["gru", "convgru", "none"])
def test_heat_is_what_each_place_of_the_map_adds(temporal: str, stride: int) -> None:
    """The oracle is the output's change as the activation of one place grows by a little, in the current frame."""
    encoder, head = _net(temporal)
    video = _video()[:, :7]
    _, heat = FrameStream(encoder, head.predict, stride, head).explain(video, 1)
    assert heat.shape == (7, 2, 2)
    assert heat.dtype == torch.float32
    expected = torch.zeros(7, 2, 2)
    for frame, y, x in np.ndindex(7, 2, 2):
        sequence = video[:, frame % stride : frame + 1 : stride]
        more, less = (_grown(encoder, head, sequence, (y, x), by) for by in (0.02, -0.02))
        expected[frame, y, x] = (more - less)[1].clamp(min=0)
    assert (expected.amax((1, 2)) > 0).all()
    expected /= expected.amax((1, 2), keepdim=True)
    torch.testing.assert_close(heat, expected, rtol=0, atol=5e-3)
    assert 0 < (heat == 0).float().mean() < 1  # what speaks against it has none


@pytest.mark.parametrize("temporal", ["gru", "none"])
def test_heat_of_a_network_that_looks_at_one_place(temporal: str) -> None:
    encoder, head = _net(temporal)
    weight = encoder.project[1].weight.detach().view(16, 128, 2, 2)  # type: ignore[index]
    weight[:, :, [0, 0, 1], [0, 1, 1]] = 0
    _, heat = FrameStream(encoder, head.predict, 4, head).explain(_video(), 0)
    assert (heat[:, [0, 0, 1], [0, 1, 1]] == 0).all()
    assert {1.0} <= set(heat[:, 1, 0].tolist()) <= {0.0, 1.0}  # 0 where what it sees speaks against the output


def test_no_heat_where_nothing_speaks_for_the_output() -> None:
    encoder, head = _net("none")
    torch.nn.init.zeros_(head.linear.weight)
    scores, heat = FrameStream(encoder, head.predict, 2, head).explain(_video(), 2)
    assert (heat == 0).all()
    assert torch.equal(scores, torch.tensor([1.0, 2.0, 0.5]).expand(FRAMES, 3))


@pytest.mark.parametrize("temporal", ["gru", "convgru", "none"])
def test_explaining_is_pushing_as_well(temporal: str) -> None:
    """Pieces explained and pieces pushed, cut anywhere, give what the interleaved sequences whole do."""
    encoder, head = _net(temporal)
    video = _video()
    expected = _oracle(encoder, head, video, 4)
    _, whole = FrameStream(encoder, head.predict, 4, head).explain(video, 0)
    for cuts in ([5, 6, 13], [1, 2, 3, 4, 9, 20], []):
        stream = FrameStream(encoder, head.predict, 4, head)
        for number, piece in enumerate(torch.tensor_split(video, cuts, dim=1)):
            start = ([0, *cuts])[number]
            mine = slice(start, start + piece.shape[1])
            if number % 2:
                scores = stream.push(piece)
            else:
                scores, heat = stream.explain(piece, 0)
                torch.testing.assert_close(heat, whole[mine], rtol=0, atol=1e-3)
                assert not heat.requires_grad
            assert not scores.requires_grad
            torch.testing.assert_close(scores, expected[mine], rtol=0, atol=1e-5)


def test_an_output_that_is_clipped_has_heat_too() -> None:
    encoder, head = _net("gru")
    head.set_scale(torch.full((3,), 9.0), torch.ones(3))
    scores, heat = FrameStream(encoder, head.predict, 4, head).explain(_video(), 0)
    assert (scores == 5).all()
    assert (heat.amax((1, 2)) == 1).float().mean() > 0.9
