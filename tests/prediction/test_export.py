"""The file of a model and its card: what is in them, that another program can read it, and what is refused."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
import safetensors
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from torch import nn

from aulight.cli.commands.export import export
from aulight.data.synthetic.dataset import render_video
from aulight.errors import AulightError
from aulight.files import alone
from aulight.nets.encoder import Encoder
from aulight.nets.heads import IntensityRegressor
from aulight.prediction.card import model_card
from aulight.prediction.description import ModelDescription
from aulight.prediction.loading import load
from aulight.prediction.model import Model
from aulight.prediction.network import build
from aulight.prediction.onnx import write_onnx
from aulight.settings.export import ExportSettings
from aulight.settings.model import NetworkSettings

Command = Callable[..., Any]

ROOT = Path(__file__).parents[2]
MODELS = sorted(path.stem for path in (ROOT / "conf" / "model").glob("*.yaml"))
NETWORKS = [name for name in MODELS if name not in ("blendshapes", "frozen")]


def _refused(outcome: Any, *parts: str) -> None:
    assert outcome.status == 2
    (line,) = outcome.err.splitlines()
    for part in ("aulight: ", *parts):
        assert part in line


# ---- the file ---------------------------------------------------------------------------------------------------


def test_file_holds_weights_and_description(aulight: Command, finetuned: Path, tmp_path: Path) -> None:
    """The oracles: safetensors' own reader, and the run's checkpoint and predictions."""
    licence = tmp_path / "terms.txt"
    licence.write_text("Für Forschung.\nNot for sale.\n", encoding="utf-8")
    output = tmp_path / "new folder" / "model.aulight"
    outcome = aulight("export", f"run={finetuned}", f"output={output}", f"licence={licence}")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.startswith(f"{output}: 12 AUs, 2.7 MB; scores 32 frames as {finetuned} does, to 0.0e+00\n")
    assert sorted(path.name for path in output.parent.iterdir()) == ["model.aulight", "model.aulight.md"]

    with safetensors.safe_open(output, "np") as file:
        meta = json.loads(file.metadata()["aulight"])
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    saved = torch.load(finetuned / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    assert weights.keys() == saved.keys()
    for name, tensor in saved.items():
        np.testing.assert_array_equal(weights[name], tensor.numpy())
    assert meta["licence"] == "Für Forschung.\nNot for sale."
    assert meta["format_version"] == 1
    # nothing that says on which machine it was made
    for path in output.parent.iterdir():
        for place in (ROOT, tmp_path, finetuned.parent, Path.home()):
            assert str(place).encode() not in path.read_bytes()

    table = pd.read_parquet(finetuned / "predictions.parquet")
    card = output.with_name("model.aulight.md").read_text(encoding="utf-8")
    for au, scores in meta["test"]["per_au"].items():
        error = (table[f"{au}_pred"].astype(float) - table[f"{au}_true"].astype(float)).dropna()
        assert scores["mae"] == pytest.approx(error.abs().mean(), abs=1e-6)
        assert scores["mse"] == pytest.approx((error**2).mean(), abs=1e-6)
        assert f"| {error.abs().mean():.3f} | {(error**2).mean():.3f} |" in card
    assert "Für Forschung.\nNot for sale." in card
    chosen_on = meta["validation"]["labelled_frames"]
    assert chosen_on == len(pd.read_parquet(finetuned / "validation.parquet").dropna())
    assert f"chose the checkpoint, by {chosen_on} labelled frames of theirs." in card


def test_it_can_be_called_from_python(finetuned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without Hydra; the oracle is the run itself."""
    file = tmp_path / "model.aulight"
    export(ExportSettings(run=str(finetuned), output=str(file), format="aulight", licence=None))
    assert capsys.readouterr().out.splitlines()[1] == f"{file}.md: its card"
    assert load(file).columns == load(finetuned).columns


def test_default_names_and_a_file_made_from_a_file(
    aulight: Command, finetuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert aulight("export", f"run={finetuned}", "licence=CC BY 4.0").status == 0
    outcome = aulight("export", "run=model.aulight", "format=onnx")
    assert (outcome.status, outcome.err) == (0, "")
    assert {path.name for path in tmp_path.iterdir()} == {
        "model.aulight", "model.aulight.md", "model.onnx", "model.onnx.md",
    }  # fmt: skip
    one, other = load("model.aulight"), load("model.onnx")
    with pytest.raises(AulightError, match=r"an \.onnx file has no gradients; give the run or the \.aulight"):
        other.scorer().explain(np.zeros((1, 64, 64, 3), np.uint8), 12)
    assert one.meta == other.meta  # its licence too
    clip = render_video(9, 64, 30)[0]
    scorer = other.scorer()
    pieces = np.concatenate([scorer.push(piece) for piece in np.split(clip, [1, 3, 3, 20])])
    np.testing.assert_allclose(pieces, one.scorer().push(clip), rtol=0, atol=1e-4)
    for path in (tmp_path / "model.onnx", tmp_path / "model.onnx.md"):
        for place in (ROOT, tmp_path, Path.home()):
            assert str(place).encode() not in path.read_bytes()

    _refused(aulight("export", "run=model.onnx", "format=onnx", "output=b.onnx"), ".onnx file cannot be made from")
    _refused(aulight("export", "run=model.onnx", "output=b.aulight"), "an .onnx file has no weights to write")
    with pytest.raises(AulightError, match="device=cpu precision=32"):
        other.scorer(precision="bf16")
    whole = Path("model.onnx").read_bytes()
    for damaged in (whole[:-100], whole[: len(whole) // 2], whole[:5000] + b"\1" + whole[5001:], b""):
        Path("c.onnx").write_bytes(damaged)
        with pytest.raises(AulightError, match=r"c\.onnx: .*cut short"):
            load("c.onnx")


def test_a_licence_that_is_no_text(aulight: Command, finetuned: Path, tmp_path: Path) -> None:
    (tmp_path / "endless.txt").symlink_to("/dev/zero")
    (tmp_path / "latin.md").write_bytes(b"F\xfcr Forschung")
    (tmp_path / "large.txt").touch()
    os.truncate(tmp_path / "large.txt", 2**40)
    os.mkfifo(tmp_path / "pipe.txt")
    for name, why in {
        "endless.txt": "a pipe or a device, where a file is needed",
        "pipe.txt": "a pipe or a device, where a file is needed",
        "large.txt": "larger than 1 MB",
        "latin.md": "not a text in UTF-8",
    }.items():
        licence = f"licence={tmp_path}/{name}"
        _refused(aulight("export", f"run={finetuned}", f"output={tmp_path}/a.aulight", licence), licence, why)
    assert not (tmp_path / "a.aulight").exists()


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        (["format=pickle"], ["format=pickle: one of aulight, onnx"]),
        (["output={tmp}/model.onnx"], ["model.onnx: a name that ends in .aulight", "format=aulight"]),
        (["licence={tmp}/none.txt"], ["none.txt: no such file; give a text file"]),
        (["run={tmp}/nothing"], ["nothing: no such model"]),
        (["run={pretrained}"], ["a run of stage one"]),
        (["output={tmp}/there.aulight"], ["there.aulight: already there"]),
        (["output={tmp}/carded.aulight"], ["carded.aulight.md: already there"]),
    ],
)
def test_refusals_leave_nothing(
    settings: list[str], parts: list[str], aulight: Command, finetuned: Path, pretrained: Path, tmp_path: Path
) -> None:
    for name in ("there.aulight", "carded.aulight.md"):
        (tmp_path / name).write_text("mine")
    given = {"run": f"run={finetuned}", "output": f"output={tmp_path}/model.aulight"}
    given |= {setting.partition("=")[0]: setting.format(tmp=tmp_path, pretrained=pretrained) for setting in settings}
    _refused(aulight("export", *given.values()), *parts)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "there.aulight": "mine", "carded.aulight.md": "mine",
    }  # fmt: skip


def test_killed_between_model_and_card_the_same_command_goes_on(
    aulight: Command, finetuned: Path, pretrained: Path, tmp_path: Path
) -> None:
    command = ["export", f"run={finetuned}", f"output={tmp_path}/model.aulight", "licence=CC0-1.0"]
    model, card = tmp_path / "model.aulight", tmp_path / "model.aulight.md"
    assert aulight(*command).status == 0
    written = model.read_bytes(), card.read_bytes()
    for lost in (card, model):
        lost.unlink()
        outcome = aulight(*command)
        assert (outcome.status, outcome.err) == (0, "")
        assert load(model).meta["licence"] == "CC0-1.0"
        assert card.read_bytes() == written[1]
    outcome = aulight(*command)  # there is nothing left to do
    assert (outcome.status, outcome.out.splitlines()[1]) == (0, f"{card}: its card")
    card.write_text("my own words")
    outcome = aulight(*command)
    assert outcome.status == 0
    assert outcome.out.splitlines()[1] == f"{card}: left as it is, which is not its card"
    _refused(aulight(*command[:-1], "licence=another"), "model.aulight: already there, and another model")
    assert card.read_text() == "my own words"
    model.unlink()
    _refused(aulight(*command), "model.aulight.md: already there")
    assert [path.name for path in tmp_path.iterdir()] == ["model.aulight.md"]


def test_two_at_once_are_one_and_a_line(aulight: Command, finetuned: Path, tmp_path: Path) -> None:
    with alone(tmp_path / "model.aulight", "taken"):
        outcome = aulight("export", f"run={finetuned}", f"output={tmp_path}/model.aulight")
        _refused(outcome, f"{tmp_path}/model.aulight: another process is writing it")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_scores_otherwise_is_not_written(
    aulight: Command, finetuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if writing went wrong: the mean of the labels is off by a hundredth."""
    write = Model.save

    def save(model: Model, path: Path) -> None:
        assert model.network is not None
        weights = {name: weight.clone() for name, weight in model.network.state_dict().items()}
        weights["regressor.mean"] += 0.01
        write(build(model.description, weights, path), path)

    monkeypatch.setattr(Model, "save", save)
    outcome = aulight("export", f"run={finetuned}", f"output={tmp_path}/model.aulight")
    _refused(outcome, "model.aulight: not written, since it would score up to 1.0e-02 off the model")
    assert list(tmp_path.iterdir()) == []


# ---- the graph of one frame -------------------------------------------------------------------------------------


def _untrained(settings: dict[str, Any], stride: int) -> Model:
    """A network with statistics and a scale as after training, not the neutral ones."""
    torch.manual_seed(0)
    config = {key: value for key, value in settings.items() if key not in ("mean", "std")}
    encoder = Encoder(NetworkSettings(**settings))
    regressor = IntensityRegressor(encoder.channels, 3)
    for name, buffer in encoder.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(std=0.1)
    with torch.no_grad():  # outputs of about 1, however deep the network is
        features = encoder.eval()(torch.randn(1, 8, 3, encoder.config.size, encoder.config.size))[0]
    nn.init.normal_(regressor.linear.weight, std=1 / float(features.square().mean().sqrt()) / encoder.channels**0.5)
    regressor.set_scale(torch.tensor([1.0, 2.0, 2.5]), torch.tensor([0.5, 1.0, 0.7]))
    about = ModelDescription.checked(
        json.dumps(
            {
                "name": "untrained",
                "aus": [1, 4, 12],
                "architecture": config,
                "stride": stride,
                "normalisation": {
                    **{"image_mean": settings["mean"], "image_std": settings["std"]},
                    **{"label_mean": [1.0, 2.0, 2.5], "label_std": [0.5, 1.0, 0.7]},
                },
                "crop_size": 64,
                "dataset": {"name": "none", "fingerprint": "", "fps": 25.0},
                **{"stage_one": None, "arm": "scratch", "fold": 0, "label_fraction": 1.0, "labelled_frames": 0},
                **{"label_seed": 0, "seed": 0, "subjects": {"train": 0, "validation": 0, "test": 0}},
                **{"validation": None, "test": None, "versions": {}},
            }
        ),
        Path("untrained"),
    )
    return build(about, nn.ModuleDict({"encoder": encoder, "regressor": regressor}).state_dict(), Path("untrained"))


def _settings(name: str) -> dict[str, Any]:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("finetune", [f"model={name}"])
    settings: dict[str, Any] = OmegaConf.to_container(config.model, resolve=True)  # type: ignore[assignment]
    return settings


def _check_graph(settings: dict[str, Any], path: Path, stride: int = 3) -> None:
    """The graph on its own in onnxruntime, its states kept by hand; the oracle is torch on the whole clip."""
    model = _untrained(settings, stride)
    write_onnx(model, path)
    onnx.checker.check_model(path, full_check=True)
    frames = render_video(1, model.size, 32)[0]
    expected = model.scorer().push(frames)
    assert ((expected > 0) & (expected < 5)).mean() > 0.2  # not all of it clipped
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    inputs = {given.name: (given.shape, given.type) for given in session.get_inputs()}
    assert inputs["frame"] == ([1, 3, model.size, model.size], "tensor(uint8)")
    recurrent = settings["temporal"] != "none"
    assert list(inputs) == ["frame", "state"][: 1 + recurrent]
    states = [np.zeros(inputs["state"][0], np.float32) for _ in range(stride)] if recurrent else []
    scores = []
    for number, frame in enumerate(frames):
        given = {"frame": frame.transpose(2, 0, 1)[None]}
        if recurrent:
            given["state"] = states[number % stride]
        intensities, *state = session.run(None, given)
        if recurrent:
            (states[number % stride],) = state
        scores.append(intensities)
    np.testing.assert_allclose(np.concatenate(scores), expected, rtol=0, atol=1e-4)
    np.testing.assert_allclose(load(path).scorer().push(frames), expected, rtol=0, atol=1e-4)
    if recurrent:  # the state matters: without it the scores are others
        alone = session.run(None, {"frame": frames[-1].transpose(2, 0, 1)[None], "state": 0 * states[0]})[0]
        assert np.abs(alone - expected[-1]).max() > 1e-3


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("resnet_tiny", {"size": 32, "skip": False}),
        ("resnet_tiny_convgru", {"size": 32, "norm": "group"}),
        ("seresnet_tiny", {"size": 32, "temporal": "none"}),
    ],
)
def test_graph_scores_as_torch_does(name: str, changes: dict[str, Any], tmp_path: Path) -> None:
    _check_graph(_settings(name) | changes, tmp_path / "model.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_graph_of_every_network(name: str, tmp_path: Path) -> None:
    _check_graph(_settings(name), tmp_path / "model.onnx")


@pytest.mark.parametrize(("package", "reading"), [("onnx", False), ("onnxscript", False), ("onnxruntime", True)])
def test_missing_packages(package: str, reading: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"")
    model = _untrained(_settings("resnet_tiny") | {"size": 32}, 4)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(AulightError, match=rf'pip install "aulight\[export\]" \(.*{package}'):
        load(path) if reading else write_onnx(model, path)
    assert path.read_bytes() == b""


# ---- the card ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def meta(finetuned: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("meta") / "model.aulight"
    load(finetuned).save(path)
    return load(path).meta


def _card(meta: dict[str, Any]) -> str:
    return model_card(ModelDescription.checked(json.dumps(meta), Path("model.aulight")))


def test_card_of_drawn_faces(meta: dict[str, Any]) -> None:
    card = _card(meta)
    assert card.startswith("# run\n\nEstimates the intensity, from 0 to 5, of 12 facial action units")
    assert "36 frames drawn at random, 10% of those of the training subjects (6), in the dataset `synthetic`" in card
    assert "it cannot be expected to read real ones" in card
    assert "unlabelled videos of 18 subjects of the dataset `synthetic`" in card
    assert "`gru` over frames 0.16 s apart, the first of a face seen" in card
    assert "None given" in card
    assert "None" not in card.replace("None given", "")
    assert "nan" not in card


def test_card_says_what_is_not_known(meta: dict[str, Any]) -> None:
    scores = {"icc": None, "mae": 0.25, "mse": 0.5}
    changed = meta | {"aus": [1, 77], "stage_one": None, "dataset": meta["dataset"] | {"name": "lab"}}
    changed["test"] = meta["test"] | {"per_au": {"AU01": scores, "AU77": scores}, "icc": None}
    changed["architecture"] = meta["architecture"] | {"temporal": "none"}
    changed["normalisation"] = meta["normalisation"] | {"label_mean": [1.0, 2.0], "label_std": [1.0, 1.0]}
    changed["intervals"] = None
    card = _card(changed)
    assert "| AU01 | inner brow raiser | – | 0.250 | 0.500 |\n| AU77 |  | – | 0.250 | 0.500 |" in card
    assert "mean ICC(3,1) –, " in card
    assert "Without contrastive pretraining." in card
    assert "each frame alone" in card
    assert "drawn by a program" not in card
    assert "read real ones" not in card
    untested = _card(changed | {"test": None})
    assert "Not tested" in untested
    assert "| AU01 | inner brow raiser | – | – | – |" in untested


def test_card_is_a_table_of_one_width(meta: dict[str, Any]) -> None:
    rows = [line for line in _card(meta).splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 12
    assert {row.count("|") for row in rows} == {6}
