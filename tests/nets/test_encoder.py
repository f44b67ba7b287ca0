import json
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from aulight.errors import AulightError
from aulight.nets.encoder import Encoder
from aulight.settings.model import NetworkSettings

CONFIG = NetworkSettings(
    backbone="resnet_tiny",
    temporal="gru",
    size=32,
    embedding=12,
    hidden=16,
    skip=True,
    norm="batch",
    small_input=False,
    mean=[0.5, 0.4, 0.3],
    std=[0.25, 0.2, 0.3],
)
assert_close = partial(torch.testing.assert_close, rtol=0.0, atol=1e-5)
temporals = pytest.mark.parametrize("temporal", ["gru", "convgru", "none"])


def _built(temporal: str) -> tuple[Encoder, Tensor]:
    """An encoder whose batch norms have seen data, in eval mode, and a clip `(2, 6, 3, 32, 32)`."""
    torch.manual_seed(0)
    encoder = Encoder(CONFIG.model_copy(update={"temporal": temporal}))
    with torch.no_grad():
        encoder(torch.randn(4, 4, 3, 32, 32))
    return encoder.eval(), torch.randn(2, 6, 3, 32, 32)


@temporals
@pytest.mark.parametrize("norm", ["batch", "group"])
@pytest.mark.parametrize("backbone", ["resnet_tiny", "seresnet18"])
def test_shapes(backbone: str, norm: str, temporal: str) -> None:
    changes = {"backbone": backbone, "norm": norm, "temporal": temporal, "size": 52, "small_input": True}
    encoder = Encoder(CONFIG.model_copy(update=changes))
    size = (7, 7) if temporal == "convgru" else (1, 1)
    assert encoder.map_size == size
    assert encoder.channels == (12 if temporal == "none" else 16 + 12)
    clip = torch.zeros(2, 3, 3, 52, 52)
    assert encoder.embed(clip).shape == (2, 3, 12, *size)
    assert encoder(clip)[0].shape == (2, 3, encoder.channels, *size)


def test_normalise() -> None:
    pixels = torch.randint(0, 256, (2, 4, 32, 32, 3), dtype=torch.uint8)
    kept = pixels.clone()
    clip = Encoder(CONFIG).normalise(pixels)
    expected = (pixels / 255 - torch.tensor(CONFIG.mean)) / torch.tensor(CONFIG.std)
    assert clip.dtype == torch.float32
    assert_close(clip, expected.permute(0, 1, 4, 2, 3))
    assert torch.equal(pixels, kept)
    assert clip.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)


@temporals
def test_whole_clip_equals_any_split(temporal: str) -> None:
    encoder, clip = _built(temporal)
    with torch.no_grad():
        whole, _ = encoder(clip)
        for cuts in ([1, 2, 3, 4, 5], [2], [1, 5]):
            state, pieces = None, []
            for piece in clip.tensor_split(cuts, dim=1):
                out, state = encoder(piece, state)
                pieces.append(out)
            assert_close(torch.cat(pieces, 1), whole)


@temporals
def test_causal(temporal: str) -> None:
    encoder, clip = _built(temporal)
    changed = clip.clone()
    changed[:, 3:] = 0
    with torch.no_grad():
        before, after = encoder(clip)[0], encoder(changed)[0]
    assert_close(before[:, :3], after[:, :3])
    assert not torch.allclose(before[:, 3], after[:, 3])


def test_flattened_embedding_sees_where_something_is() -> None:
    encoder, clip = _built("gru")
    with torch.no_grad():
        assert not torch.allclose(encoder.embed(clip), encoder.embed(clip.flip(-1)), atol=1e-2)


@temporals
def test_every_parameter_gets_a_gradient(temporal: str) -> None:
    encoder = Encoder(CONFIG.model_copy(update={"temporal": temporal, "backbone": "seresnet_tiny"}))
    encoder(torch.randn(2, 3, 3, 32, 32))[0].square().sum().backward()
    assert all(p.requires_grad and p.grad is not None for p in encoder.parameters())


def test_float32_out_under_autocast() -> None:
    encoder, clip = _built("convgru")
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert encoder.embed(clip).dtype == torch.float32
        assert encoder(clip)[0].dtype == torch.float32


def test_convolutions_are_channels_last() -> None:
    for module in Encoder(CONFIG.model_copy(update={"temporal": "convgru"})).modules():
        if isinstance(module, nn.Conv2d):
            assert module.weight.is_contiguous(memory_format=torch.channels_last)


def test_config_survives_plain_dict_and_json() -> None:
    assert NetworkSettings(**CONFIG.model_dump()) == CONFIG
    again = NetworkSettings(**json.loads(json.dumps(CONFIG.model_dump())))
    assert again == CONFIG
    encoder, clip = _built("gru")
    other = Encoder(again).eval()
    other.load_state_dict(encoder.state_dict())
    with torch.no_grad():
        assert torch.equal(encoder(clip)[0], other(clip)[0])


def test_building_is_reproducible() -> None:
    weights = []
    for _ in range(2):
        torch.manual_seed(3)
        weights.append(Encoder(CONFIG).state_dict())
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    # Finding the size of the map must leave no trace in the running statistics.
    assert all(not value.any() for key, value in weights[0].items() if key.endswith("num_batches_tracked"))


def test_wrong_size_names_both() -> None:
    with pytest.raises(AulightError, match="32x32 pixels but got 48x40"):
        Encoder(CONFIG)(torch.zeros(1, 2, 3, 48, 40))


def test_a_margin_is_not_looked_at() -> None:
    """The same weights on the middle alone are the oracle; what is around it may be anything."""
    torch.manual_seed(0)
    middle = Encoder(CONFIG).eval()
    around = Encoder(CONFIG.model_copy(update={"size": 44, "margin": 6})).eval()
    around.load_state_dict(middle.state_dict())
    pixels = torch.randint(0, 256, (1, 3, 44, 44, 3), dtype=torch.uint8)
    expected, _ = middle(middle.normalise(pixels[:, :, 6:-6, 6:-6]))
    for edge in (0, 255):
        pixels[:, :, :6] = edge
        assert_close(around(around.normalise(pixels))[0], expected)
    with pytest.raises(AulightError, match="frames of 44x44 pixels but got 48x48"):
        around(around.normalise(torch.zeros(1, 1, 48, 48, 3, dtype=torch.uint8)))


def test_contrast_of_each_picture() -> None:
    """Each channel of each picture has mean 0 and spread 1, whatever the light; an even picture stays finite."""
    encoder = Encoder(CONFIG.model_copy(update={"contrast": "picture"}))
    pixels = torch.randint(0, 120, (1, 2, 32, 32, 3), dtype=torch.uint8)
    clip = encoder.normalise(pixels)
    spread, mean = torch.std_mean(clip, (3, 4), correction=0)
    assert_close(mean, torch.zeros(1, 2, 3))
    assert_close(spread, torch.ones(1, 2, 3))
    assert_close(encoder.normalise(2 * pixels + 10), clip, atol=1e-4)
    assert_close(encoder.normalise(torch.full((1, 1, 32, 32, 3), 7)), torch.zeros(1, 1, 3, 32, 32))
