"""The baseline of a network that learned elsewhere; for timm stands a small network that is built like its own."""

import importlib.util
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
import yaml
from torch import Tensor, nn

from aulight.data.store import PreparedDataset
from aulight.data.video.prepared import open_video
from aulight.errors import AulightError
from aulight.files import sha256
from aulight.settings.model import FrozenSettings
from aulight.training.frozen import FrozenFeatures, load
from tests.data.formats import spoil

Command = Callable[..., Any]
CHANNELS = 6


class Net(nn.Module):
    """A layer, a mean over places, and a classifier that can be left out, as timm's networks have them."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, CHANNELS, 5, 4), nn.BatchNorm2d(CHANNELS), nn.ReLU())
        self.fc = nn.Linear(CHANNELS, classes) if classes else nn.Identity()
        self.default_cfg = {"classifier": "fc"}

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.fc(self.stem(x).mean((-2, -1)))
        return found


@pytest.fixture(autouse=True)
def timm(monkeypatch: pytest.MonkeyPatch) -> None:
    def create_model(name: str, pretrained: bool, num_classes: int = 1000) -> Net:
        assert not pretrained  # timm would fetch it
        if name != "tiny.made_here":
            raise RuntimeError(f"Unknown model ({name})")
        return Net(num_classes)

    module = ModuleType("timm")
    monkeypatch.setattr(module, "create_model", create_model, raising=False)
    monkeypatch.setitem(sys.modules, "timm", module)


@pytest.fixture(scope="module")
def net() -> Net:
    torch.manual_seed(0)
    made = Net(1000)
    made.stem[1].running_mean = torch.randn(CHANNELS)  # as after training
    return made.eval()


@pytest.fixture(scope="module")
def weights(net: Net, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    safetensors.torch.save_file(net.state_dict(), file)
    return file


def settings(weights: Path, **changes: Any) -> FrozenSettings:
    usual: dict[str, Any] = {"arm": "frozen", "timm": "tiny.made_here", "weights": str(weights), "size": 32}
    usual |= {"relative": False, "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.25, 0.3], "penalties": [1.0, 100.0]}
    return FrozenSettings(**(usual | changes))


def slow_features(data: PreparedDataset, net: Net, row: int, frame: int) -> Any:
    """Those of one frame: decoded alone, each colour channel by itself, no classifier."""
    (picture,) = open_video(data.file(row), size=32).read([frame])
    channels = [
        (picture[..., c] / 255 - mean) / std
        for c, (mean, std) in enumerate(zip((0.5, 0.4, 0.3), (0.2, 0.25, 0.3), strict=True))
    ]
    with torch.no_grad():
        return net.stem(torch.from_numpy(np.stack(channels)).float()[None]).mean((-2, -1))[0].numpy()


def test_features_are_those_of_a_slow_loop(smoke_data: Path, net: Net, weights: Path) -> None:
    data = PreparedDataset(smoke_data)
    subjects = data.videos["subject"].unique()[:2].tolist()
    plain, relative = (
        FrozenFeatures(data, settings(weights, relative=flag), chunk=7, device="cpu")(subjects)
        for flag in (False, True)
    )
    assert plain.shape[1] == CHANNELS
    of_subject = dict[str, list[pd.DataFrame]]()
    for row in data.rows(subjects):
        video = data.videos.iloc[row]
        faces = data.frames[(data.frames["video_id"] == video["video_id"]) & (data.frames["face_confidence"] > 0)]
        for frame in faces["frame"].tolist()[::9]:
            expected = slow_features(data, net, int(row), frame)
            np.testing.assert_allclose(plain.loc[(video["video_id"], frame)], expected, atol=1e-5)
        mine = plain[plain.index.get_level_values("video_id") == video["video_id"]]
        assert mine.index.get_level_values("frame").tolist() == faces["frame"].tolist()
        of_subject.setdefault(video["subject"], []).append(mine)
    for subject, parts in of_subject.items():
        whole = pd.concat(parts)
        beyond = whole.to_numpy() - np.median(whole.to_numpy(), axis=0)
        np.testing.assert_allclose(relative.loc[whole.index].to_numpy()[:, CHANNELS:], beyond, err_msg=subject)
        np.testing.assert_allclose(relative.loc[whole.index].to_numpy()[:, :CHANNELS], whole.to_numpy())


def test_weights_may_be_of_any_usual_file(net: Net, weights: Path, tmp_path: Path) -> None:
    """With a classifier of however many classes or without one, alone or among what else training kept."""
    bare = {name: value for name, value in net.state_dict().items() if not name.startswith("fc.")}
    torch.save(net.state_dict(), tmp_path / "all.pth")
    torch.save(bare, tmp_path / "bare.bin")
    torch.save({"state_dict": bare | {"fc.weight": torch.zeros(21, CHANNELS)}, "epoch": 3}, tmp_path / "more.ckpt")
    pictures = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = net.stem(pictures).mean((-2, -1))
    for file in (weights, *tmp_path.iterdir()):
        loaded = load("tiny.made_here", file)
        assert not loaded.training
        torch.testing.assert_close(loaded(pictures), expected)


def test_what_are_no_weights_of_it_is_said(net: Net, tmp_path: Path) -> None:
    state = net.state_dict()
    lacking = {name: value for name, value in state.items() if name != "stem.0.bias"}
    for name, saved, said in (
        ("lacking", lacking, r"model\.weights=.*: not those of timm's tiny\.made_here \(.*stem\.0\.bias"),
        ("more", state | {"other": torch.ones(1)}, r"not those of timm's tiny\.made_here \(.*other"),
        ("numbers", {"stem": 1}, r"not weights of a network \(not all of it is tensors\)"),
        ("list", [1], r"not weights of a network \(list in place of dict\)"),
    ):
        torch.save(saved, tmp_path / f"{name}.pth")
        with pytest.raises(AulightError, match=said):
            load("tiny.made_here", tmp_path / f"{name}.pth")
    for suffix in ("pth", "safetensors"):
        (tmp_path / f"text.{suffix}").write_text("no weights")
        with pytest.raises(AulightError, match="not weights of a network"):
            load("tiny.made_here", tmp_path / f"text.{suffix}")
    with pytest.raises(AulightError, match=r"model\.timm=unheard: timm cannot build it \(Unknown model"):
        load("unheard", tmp_path / "text.pth")


def test_an_unreadable_video_is_passed_over_where_that_is_asked_for(
    smoke_data: Path, weights: Path, tmp_path: Path
) -> None:
    shutil.copytree(smoke_data, tmp_path / "faces")
    data = PreparedDataset(tmp_path / "faces")
    spoil(data, 0)
    features = FrozenFeatures(data, settings(weights), 16, "cpu", "skip")
    found = features(data.videos["subject"].unique()[:2].tolist())
    assert data.videos["video_id"].iat[0] not in found.index.get_level_values("video_id")
    assert sum(features.skipped.values()) == 1


def test_a_run_is_like_that_of_the_other_baseline(
    aulight: Command, tiny_finetune: list[str], weights: Path, tmp_path: Path
) -> None:
    chosen = ["model=frozen", "model.timm=tiny.made_here", f"model.weights={weights}", "model.size=32"]
    outcome = aulight(*tiny_finetune, f"runs={tmp_path}", *chosen)
    assert outcome.status == 0, outcome.err
    (run,) = (tmp_path / "finetune").iterdir()
    record = yaml.safe_load((run / "run.yaml").read_text())
    assert (record["arm"], record["steps"], record["outcome"]) == ("frozen", 0, "done")
    assert record["penalty"] in record["config"]["model"]["penalties"]
    assert record["weights_sha256"] == sha256(weights)
    assert np.isfinite(pd.read_parquet(run / "predictions.parquet").filter(like="_pred").to_numpy()).all()
    assert "already done" in aulight(*tiny_finetune, f"runs={tmp_path}", *chosen).out
    report = aulight("report", f"runs={tmp_path}", "uncertainty.swaps=20")
    assert "regression from a frozen network" in report.out


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("model.weights=null", "model.weights=null: the file with the weights of timm's resnet18 is needed"),
        ("model.weights=/nowhere.pth", "model.weights=/nowhere.pth: no such file; nothing is fetched"),
        ("model.timm=hf-hub:a/b", "model.timm=hf-hub:a/b: the plain name of a network of timm is needed"),
        ("pretrained=/x", "pretrained=/x: model=frozen trains no network"),
        ("amplitude=crossfit", "amplitude=crossfit: model=frozen trains no network"),
    ],
)
def test_mistakes(setting: str, said: str, aulight: Command, tiny_finetune: list[str], tmp_path: Path) -> None:
    outcome = aulight(*tiny_finetune, f"root={tmp_path}", "model=frozen", setting)
    assert outcome.status == 2
    assert len(outcome.err.splitlines()) == 1
    assert said in outcome.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="timm is not installed")
@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224"])
def test_timm_itself(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delitem(sys.modules, "timm")
    made = importlib.import_module("timm").create_model(name, pretrained=False).eval()
    torch.save(made.state_dict(), tmp_path / "weights.pth")
    pictures = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        expected = made.forward_head(made.forward_features(pictures), pre_logits=True)
        torch.testing.assert_close(load(name, tmp_path / "weights.pth")(pictures), expected)
