from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from aulight.inference import FrameStream
from aulight.nets.encoder import Encoder, EncoderConfig
from aulight.nets.heads import IntensityRegressor

FRAMES = 22


def _net(temporal: str) -> tuple[Encoder, IntensityRegressor]:
    torch.manual_seed(0)
    values: dict[str, Any] = {"embedding": 16, "hidden": 12, "skip": True, "norm": "batch", "small_input": False}
    encoder = Encoder(
        EncoderConfig("resnet_tiny", temporal, 32, **values, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
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
