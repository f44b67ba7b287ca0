import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from aulight.errors import AulightError
from aulight.nets.backbone import build_backbone


@pytest.mark.parametrize(
    ("name", "channels", "stride", "small_stride"),
    [("resnet_tiny", 128, 16, 8), ("resnet18", 512, 32, 8), ("resnet34", 512, 32, 8)],
)
@pytest.mark.parametrize("prefix", ["", "se"])
@pytest.mark.parametrize("norm", ["batch", "group"])
def test_shapes_of_every_backbone(
    prefix: str, name: str, channels: int, stride: int, small_stride: int, norm: str
) -> None:
    x = torch.zeros(2, 3, 64, 48)
    for small_input, total in ((False, stride), (True, small_stride)):
        net = build_backbone(prefix + name, norm, small_input).eval()
        assert net.channels == channels
        with torch.no_grad():
            assert net(x).shape == (2, channels, -(-64 // total), -(-48 // total))


@pytest.mark.parametrize(
    ("name", "count"), [("resnet18", 11_176_512), ("resnet34", 21_284_672), ("resnet_tiny", 309_984)]
)
def test_parameter_counts(name: str, count: int) -> None:
    """The published counts less 513,000 of the classifier; the tiny one by hand."""
    assert sum(p.numel() for p in build_backbone(name).parameters()) == count


def test_activations_keep_their_scale() -> None:
    torch.manual_seed(0)
    net = build_backbone("seresnet34")
    assert 0.1 < net(torch.randn(2, 3, 64, 64)).std() < 10


def test_squeeze_excite_scales_channels_by_their_means() -> None:
    torch.manual_seed(0)
    excite = build_backbone("seresnet_tiny").get_submodule("stages.0.0.branch.5")
    squeeze, expand = excite.get_submodule("gate.1"), excite.get_submodule("gate.3")
    assert isinstance(squeeze, nn.Conv2d)
    assert isinstance(expand, nn.Conv2d)
    assert squeeze.bias is not None
    assert expand.bias is not None
    x = torch.randn(2, 32, 5, 4)
    hidden = torch.relu(x.mean((2, 3)) @ squeeze.weight[:, :, 0, 0].T + squeeze.bias)
    gate = torch.sigmoid(hidden @ expand.weight[:, :, 0, 0].T + expand.bias)
    torch.testing.assert_close(excite(x), x * gate[:, :, None, None])


def test_group_norm_does_not_mix_frames() -> None:
    torch.manual_seed(0)
    net, x = build_backbone("resnet_tiny", "group").train(), torch.randn(3, 3, 32, 32)
    torch.testing.assert_close(net(x)[:1], net(x[:1]))


def test_wrong_names() -> None:
    with pytest.raises(AulightError, match=r"unknown backbone 'resnet19'.*resnet18.*seresnet_tiny"):
        build_backbone("resnet19")
    with pytest.raises(AulightError, match="unknown norm 'layer'"):
        build_backbone("resnet18", "layer")
    with pytest.raises(AulightError, match="neither norm=group nor small_input"):
        build_backbone("timm:resnet18", "group")


def test_timm_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(AulightError, match=r"timm:resnet18: timm cannot be imported"):
        build_backbone("timm:resnet18")


class _Features(nn.Module):
    """Stands in for `timm.create_model(..., features_only=True)`."""

    feature_info = SimpleNamespace(channels=lambda: [4, 8])

    def __init__(self, channels_last: bool) -> None:
        super().__init__()
        self.axes = (0, 2, 3, 1) if channels_last else (0, 1, 2, 3)

    def forward(self, x: Tensor) -> list[Tensor]:
        return [x, x.new_zeros(len(x), 8, 3, 3).permute(self.axes)]


def test_timm_gives_its_last_map(monkeypatch: pytest.MonkeyPatch) -> None:
    def create_model(name: str, pretrained: bool, features_only: bool) -> nn.Module:
        assert features_only
        assert not pretrained
        if name == "unheard":
            raise RuntimeError("Unknown model (unheard)")
        return _Features(channels_last=name == "swin")

    timm = ModuleType("timm")
    monkeypatch.setattr(timm, "create_model", create_model, raising=False)
    monkeypatch.setitem(sys.modules, "timm", timm)
    net = build_backbone("timm:resnet18")
    assert net.channels == 8
    assert net(torch.zeros(2, 3, 16, 16)).shape == (2, 8, 3, 3)
    with pytest.raises(AulightError, match=r"timm:swin: gives \(1, 3, 3, 8\)"):
        build_backbone("timm:swin")(torch.zeros(1, 3, 16, 16))
    with pytest.raises(AulightError, match="Unknown model"):
        build_backbone("timm:unheard")
