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
def _oracle(encoder: Encoder, head: IntensityRegressor, video: Tensor, stride: int, primed: int = 0) -> Tensor:
    """Frame by frame the clip of training that ends there: its samples a stride apart, the first frame repeated.

    A clip is as long as the stream has seen samples, and ``primed`` more.
    """
    scores = []
    for last in range(video.shape[1]):
        back = range(primed + last // stride, -1, -1)
        clip = video[:, [max(last - stride * step, 0) for step in back]]
        if not primed:  # sequences of their own, which do not begin with the first frame
            clip = video[:, last % stride : last + 1 : stride]
        scores.append(head.predict(encoder(encoder.normalise(clip))[0])[0, -1])
    return torch.stack(scores)


def _seconds(video: Tensor, start: int = 0, fps: float = 25) -> Any:
    """As times are that were once rounded to milliseconds."""
    return np.round((start + np.arange(video.shape[1])) / fps, 3)


def _stream(encoder: Encoder, head: IntensityRegressor, stride: int, primed: int = 0) -> FrameStream:
    return FrameStream(encoder, head.predict, stride / 25, primed, head)


def _pushed(stream: FrameStream, video: Tensor, cuts: list[int]) -> Tensor:
    starts = [0, *cuts]
    pieces = torch.tensor_split(video, cuts, dim=1)
    return torch.cat([stream.push(piece, _seconds(piece, start)) for piece, start in zip(pieces, starts, strict=True)])


@pytest.mark.parametrize("primed", [0, 1, 7])
@pytest.mark.parametrize("stride", [1, 3, 4, 30])
@pytest.mark.parametrize("temporal", ["gru", "convgru", "none"])
def test_equals_the_clips_of_training(temporal: str, stride: int, primed: int) -> None:
    encoder, head = _net(temporal)
    video = _video()
    expected = _oracle(encoder, head, video, stride, primed)
    assert ((expected > 0) & (expected < 5)).float().mean() > 0.05  # not all of it clipped
    whole = _stream(encoder, head, stride, primed).push(video, _seconds(video))
    torch.testing.assert_close(whole, expected, rtol=0, atol=1e-5)
    assert whole.dtype == torch.float32
    if primed and temporal != "none":
        unprimed = _stream(encoder, head, stride).push(video, _seconds(video))
        assert (unprimed[:stride] - whole[:stride]).abs().max() > 1e-2


@pytest.mark.parametrize("temporal", ["gru", "convgru", "none"])
@pytest.mark.parametrize("stride", [1, 4, 5, 30])
def test_pieces_equal_whole(temporal: str, stride: int) -> None:
    """Frame by frame, and cut anywhere."""
    encoder, head = _net(temporal)
    video = _video()
    expected = _oracle(encoder, head, video, stride, 3)
    rng = np.random.default_rng(stride)
    every = list(range(1, FRAMES))
    for cuts in (every, *(sorted(rng.choice(every, rng.integers(1, 8), replace=False).tolist()) for _ in range(8))):
        pieces = _pushed(_stream(encoder, head, stride, 3), video, cuts)
        torch.testing.assert_close(pieces, expected, rtol=0, atol=1e-5)


def test_causal() -> None:
    encoder, head = _net("gru")
    video = _video()
    changed = video.clone()
    changed[:, 13:] = 255 - changed[:, 13:]
    one, other = (_stream(encoder, head, 4, 7).push(clip, _seconds(clip)) for clip in (video, changed))
    torch.testing.assert_close(one[:13], other[:13], rtol=0, atol=1e-6)
    assert not torch.allclose(one[13:], other[13:])


# ---- faces that are lost ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("cuts", [[], list(range(1, FRAMES)), [5, 9, 16]])
def test_a_face_that_is_lost_for_a_moment_is_seen_again(cuts: list[int]) -> None:
    """The oracle is the video with the frames without a face made those before them."""
    encoder, head = _net("gru")
    video, faces = _video(), np.ones(FRAMES, bool)
    faces[[3, 8, 9, 10, 11, 15]] = False
    shown = np.maximum.accumulate(np.where(faces, np.arange(FRAMES), 0)).tolist()
    expected = _oracle(encoder, head, video[:, shown], 3, 4)
    stream, scores = _stream(encoder, head, 3, 4), []
    for start, stop in zip([0, *cuts], [*cuts, FRAMES], strict=True):
        piece = video[:, start:stop]
        scores.append(stream.push(piece, _seconds(piece, start), faces[start:stop]))
    torch.testing.assert_close(torch.cat(scores), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("cuts", [[], list(range(1, 40)), [5, 20, 26]])
@pytest.mark.parametrize("temporal", ["gru", "convgru"])
def test_what_was_seen_before_a_loss_counts_no_more(temporal: str, cuts: list[int]) -> None:
    """Half a second is 12 frames. The oracle is the part after the loss on its own."""
    encoder, head = _net(temporal)
    video, faces = torch.cat([_video(), _video().flip(1)], 1), np.ones(2 * FRAMES, bool)
    faces[10:22] = False  # for 12 frames, of which the face is seen 13 after the last time
    faces[30:41] = False
    faces[:2] = False
    stream, scores = _stream(encoder, head, 3, 4), []
    for start, stop in zip([0, *cuts], [*cuts, 2 * FRAMES], strict=True):
        piece = video[:, start:stop]
        scores.append(stream.push(piece, _seconds(piece, start), faces[start:stop]))
    found = torch.cat(scores)
    assert found.isfinite().all()
    for part in (slice(2, 10), slice(22, 30)):
        expected = _oracle(encoder, head, video[:, part], 3, 4)
        torch.testing.assert_close(found[part], expected, rtol=0, atol=1e-5)
    shown = [*range(22, 30), *[29] * 11, *range(41, 44)]  # 11 frames are less than half a second
    expected = _oracle(encoder, head, video[:, shown], 3, 4)
    torch.testing.assert_close(found[41:], expected[19:], rtol=0, atol=1e-5)


def test_another_person_begins_anew() -> None:
    encoder, head = _net("gru")
    video, anew = _video(), np.zeros(FRAMES, bool)
    anew[9] = True
    found = _stream(encoder, head, 4, 7).push(video, _seconds(video), None, anew)
    expected = torch.cat([_oracle(encoder, head, part, 4, 7) for part in (video[:, :9], video[:, 9:])])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


# ---- other rates ------------------------------------------------------------------------------------------------


def test_a_state_between_two_frames() -> None:
    """At 2.5 frames a step; the oracle is one step of the network at a time, from the mean of two states."""
    encoder, head = _net("convgru")
    video = _video()
    found = _stream(encoder, head, 5, 0).push(video, _seconds(video, fps=12.5))
    states: list[Tensor] = []
    expected = []
    with torch.no_grad():
        for frame in range(FRAMES):
            before = None if frame < 3 else (states[frame - 3] + states[frame - 2]) / 2
            features, state = encoder(encoder.normalise(video[:, frame, None]), before)
            assert state is not None
            states.append(state)
            expected.append(head.predict(features)[0, 0])
    torch.testing.assert_close(found, torch.stack(expected), rtol=0, atol=1e-5)


def test_frames_that_did_not_come_are_as_the_last_one() -> None:
    """A film of 5 frames a second for a network of 25; the oracle is the film with each frame 5 times over."""
    encoder, head = _net("gru")
    video = _video()[:, :6]
    found = _stream(encoder, head, 1, 3).push(video, _seconds(video, fps=5))
    shown = [0]
    for frame in range(1, 6):
        shown += [frame - 1] * 4 + [frame]
    expected = _oracle(encoder, head, video[:, shown], 1, 3)
    torch.testing.assert_close(found, expected[::5], rtol=0, atol=1e-5)


def test_a_film_with_few_frames_is_of_one_person_if_the_network_knows_no_more() -> None:
    """A second from frame to frame is longer than a loss, but it is how the network learned."""
    encoder, head = _net("gru")
    video = _video()
    found = _stream(encoder, head, 25, 3).push(video, _seconds(video, fps=1))
    torch.testing.assert_close(found, _oracle(encoder, head, video, 1, 3), rtol=0, atol=1e-5)
    alone = _stream(encoder, head, 4, 3).push(video, _seconds(video, fps=1))
    each = torch.cat([_oracle(encoder, head, video[:, frame, None], 1, 3) for frame in range(FRAMES)])
    torch.testing.assert_close(alone, each, rtol=0, atol=1e-5)


def test_memory_does_not_grow() -> None:
    encoder, head = _net("gru")
    stream = _stream(encoder, head, 4, 3)
    for start in range(0, 300, 20):
        piece = _video()[:, :20]
        stream.push(piece, _seconds(piece, start, 60))
        states = stream._recurrence._states
        assert states is not None
        assert len(states) <= 0.16 * 60 + 2


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
    _, heat = _stream(encoder, head, stride).explain(video, 1, _seconds(video))
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
    _, heat = _stream(encoder, head, 4).explain(_video(), 0, _seconds(_video()))
    assert (heat[:, [0, 0, 1], [0, 1, 1]] == 0).all()
    assert {1.0} <= set(heat[:, 1, 0].tolist()) <= {0.0, 1.0}  # 0 where what it sees speaks against the output


def test_no_heat_where_nothing_speaks_for_the_output() -> None:
    encoder, head = _net("none")
    torch.nn.init.zeros_(head.linear.weight)
    scores, heat = _stream(encoder, head, 2).explain(_video(), 2, _seconds(_video()))
    assert (heat == 0).all()
    assert torch.equal(scores, torch.tensor([1.0, 2.0, 0.5]).expand(FRAMES, 3))


@pytest.mark.parametrize("temporal", ["gru", "convgru", "none"])
def test_explaining_is_pushing_as_well(temporal: str) -> None:
    """Pieces explained and pieces pushed, cut anywhere, give what the interleaved sequences whole do."""
    encoder, head = _net(temporal)
    video = _video()
    expected = _oracle(encoder, head, video, 4, 2)
    _, whole = _stream(encoder, head, 4, 2).explain(video, 0, _seconds(video))
    for cuts in ([5, 6, 13], [1, 2, 3, 4, 9, 20], []):
        stream = _stream(encoder, head, 4, 2)
        for number, piece in enumerate(torch.tensor_split(video, cuts, dim=1)):
            start = ([0, *cuts])[number]
            mine = slice(start, start + piece.shape[1])
            if number % 2:
                scores = stream.push(piece, _seconds(piece, start))
            else:
                scores, heat = stream.explain(piece, 0, _seconds(piece, start))
                torch.testing.assert_close(heat, whole[mine], rtol=0, atol=1e-3)
                assert not heat.requires_grad
            assert not scores.requires_grad
            torch.testing.assert_close(scores, expected[mine], rtol=0, atol=1e-5)


def test_an_output_that_is_clipped_has_heat_too() -> None:
    encoder, head = _net("gru")
    head.set_scale(torch.full((3,), 9.0), torch.ones(3))
    scores, heat = _stream(encoder, head, 4).explain(_video(), 0, _seconds(_video()))
    assert (scores == 5).all()
    assert (heat.amax((1, 2)) == 1).float().mean() > 0.9


def test_there_is_no_heat_on_a_margin() -> None:
    """Inside it the oracle is a network without one, on the middle of the same pictures."""
    encoder, head = _net("none")
    wide = Encoder(encoder.config.model_copy(update={"size": 40, "margin": 4})).eval()
    wide.load_state_dict(encoder.state_dict())
    video = torch.randint(0, 256, (1, 5, 40, 40, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    scores, heat = _stream(wide, head, 2).explain(video, 1, _seconds(video))
    middle = video[:, :, 4:-4, 4:-4]
    expected, small = _stream(encoder, head, 2).explain(middle, 1, _seconds(middle))
    torch.testing.assert_close(scores, expected)
    assert heat.shape == (5, 40, 40)
    inside = torch.nn.functional.interpolate(small[:, None], (32, 32), mode="bilinear")[:, 0]
    torch.testing.assert_close(heat[:, 4:-4, 4:-4], inside)
    assert heat.sum().item() == pytest.approx(inside.sum().item())
