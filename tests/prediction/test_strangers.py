"""Models that strangers made: whatever is missing or absurd in one, a line that names the file and what is wrong."""

import copy
import json
import resource
import struct
import sys
import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aulight.errors import AulightError
from aulight.prediction.card import model_card
from aulight.prediction.loading import load
from aulight.prediction.model import Model
from aulight.prediction.onnx import write_onnx
from aulight.prediction.seal import OPEN, write_sealed
from tests.prediction.made import AUS, SIZE, description, sealed, weights

NAN, INF = float("nan"), float("inf")

OPTIONAL = ("alignment", "smooth_s", "intervals", "licence", "written_by", "created")
"""What an earlier aulight did not say."""


def _used(path: Path) -> Model:
    """A model that was read and does what models do."""
    model = load(path)
    model_card(model.description)
    model.description.header()
    scores = model.scorer().push(np.zeros((3, SIZE, SIZE, 3), np.uint8))
    assert scores.shape == (3, len(AUS))
    assert np.isfinite(scores).all()
    return model


@contextmanager
def _one_line_at_once(path: Path, why: str) -> Iterator[None]:
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(AulightError, match=why) as caught:
        yield
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < len(str(path)) + 400
    assert str(caught.value).isprintable()
    assert time.process_time() - start < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_000_000  # kB


def test_what_is_told_rightly_is_taken(tmp_path: Path) -> None:
    model = _used(sealed(tmp_path / "a.aulight", description(), weights()))
    assert model.meta == description()
    for key in OPTIONAL:
        _used(sealed(tmp_path / "a.aulight", {k: v for k, v in description().items() if k != key}, weights()))


def _each(key: str, *values: Any) -> list[tuple[str, Any]]:
    return [(key, value) for value in values]


ABSURD: list[tuple[str, Any]] = [
    *_each("format_version", None, "1", 1.0, True, 0, -1, [1], 10**30, NAN, INF),
    *_each("name", None, 5, "x" * 10_000, "a\x1b[2Jb", "a\nb", "\u202ea"),
    *_each("aus", None, [], "abc", 5, {"a": 1}, [1, 4, 4], [0, 4, 12], [-1, 4, 12], [1, 4, 100]),
    *_each("aus", [1, 4], [1, 4, 12, 15], [1.5, 4, 12], ["1", 4, 12], [True, 4, 12], [NAN, 4, 12]),
    *_each("aus", [1, 12, 4], list(range(1, 100)), [1, 4, 10**30]),
    *_each("architecture", None, {}, [], "resnet18"),
    *_each("architecture.backbone", None, 5, "os.system", "timm:hf-hub:a/b", "timm:local-dir:/tmp"),
    *_each("architecture.backbone", "timm:hf_hub:a/b", "timm:../a", "x" * 10**6, "resnet18"),
    *_each("architecture.temporal", None, "lstm", "none", ["gru"]),
    *_each("architecture.size", None, 0, -1, 1.5, "32", True, 64, 1024, 10**5, 10**9, 10**30),
    *_each("architecture.embedding", None, 0, -1, 4, 2**14, 10**9, 10**30),
    *_each("architecture.hidden", None, 0, -1, 4, 2**14, 10**9, 10**30),
    *_each("architecture.skip", None, 1, "yes", False),
    *_each("architecture.norm", None, "layer", "group"),
    *_each("architecture.small_input", None, 0, True),
    ("architecture.heads", 2),
    *_each("stride", None, 0, -1, 1.5, "2", True, 10**9, 10**30),
    *_each("step_s", 0, -1, NAN, INF, 1e-300, 1e300, "0.1", True),
    *_each("primed", None, -1, 1.5, 10**9, 10**30, "7"),
    *_each("normalisation", None, {}, [0.5]),
    *_each("normalisation.image_mean", None, [0.5] * 2, [NAN] * 3, [INF] * 3, [1e300] * 3, "abc"),
    *_each("normalisation.image_std", [0, 0, 0], [-1, -1, -1], [NAN] * 3, [1e-300] * 3, [1e300] * 3),
    *_each("normalisation.label_mean", None, [], [NAN] * 3, [0.5] * 2, ["a"] * 3),
    *_each("normalisation.label_std", None, [], [0, 0, 0], [-1] * 3, [NAN] * 3, [1.0] * 4),
    *_each("crop_size", None, 0, -64, 1.5, "64", 10**9, 10**30),
    *_each("alignment", 5, ["a"], "x" * 10**5),
    *_each("smooth_s", None, -1, NAN, INF, 1e300, "0.1"),
    *_each("dataset", None, {}, [], "faces"),
    *_each("dataset.fps", None, 0, -25, NAN, INF, 1e300, "25"),
    *_each("dataset.name", None, 5, "\x1b]0;a\x07"),
    *_each("stage_one", 5, {}, []),
    *_each("stage_one.subjects", None, -1, "5", 10**30),
    *_each("arm", None, 5, "a\rb"),
    *_each("fold", None, -1, 1.5, 10**30),
    *_each("label_fraction", None, -0.1, 1.1, NAN, "all"),
    *_each("labelled_frames", None, -1, 1.5, 10**30),
    *_each("seed", None, -1, 2**32, "0"),
    *_each("label_seed", None, -1, 2**32, "0"),
    *_each("subjects", None, {}, [3, 2, 3]),
    *_each("subjects.train", None, -1, 0.5),
    *_each("validation", 5, {}, {"icc": "high"}),
    *_each("test", 5, {}, {"icc": 0.5}),
    *_each("test.per_au", None, [], {"AU01": 0.5}, {"AU01": {"icc": 0.5}}),
    *_each("test.labelled_frames", None, -1),
    *_each("intervals", 5, {}, []),
    *_each("intervals.levels", None, [], [0.5], [2.0] * 50, [NAN] * 50),
    *_each("intervals.edges", None, [], [0.5], [3, 2, 1, 0], [NAN] * 4),
    *_each("intervals.reach", None, {}, {"AU01": None}, {"AU04": None, "AU01": None, "AU12": None}),
    *_each("intervals.reach.AU01", [], [[1.0]] * 5, [[-1.0] * 50] * 5, [[NAN] * 50] * 5, "abc"),
    ("intervals.reach.AU99", None),
    *_each("versions", None, [], {"a": 1}, {"a": "\x1b[2J"}),
    *_each("licence", 5, [], "x" * 2 * 10**6),
    *_each("written_by", 5, "x" * 10**6),
]


@pytest.mark.parametrize("place", range(len(ABSURD)), ids=[f"{key}={str(value)[:20]!r}" for key, value in ABSURD])
def test_absurd_fields(place: int, tmp_path: Path, made: dict[str, torch.Tensor]) -> None:
    key, value = ABSURD[place]
    said = description()
    *groups, last = key.split(".")
    part = said
    for group in groups:
        part = part[group]
    part[last] = value
    path = sealed(tmp_path / "a.aulight", said, made)
    with _one_line_at_once(path, "."):
        load(path)


@pytest.fixture(scope="module")
def made() -> dict[str, torch.Tensor]:
    return weights()


@pytest.mark.parametrize("key", sorted(description().keys() - set(OPTIONAL)))
def test_missing_fields(key: str, tmp_path: Path, made: dict[str, torch.Tensor]) -> None:
    said = description()
    del said[key]
    path = sealed(tmp_path / "a.aulight", said, made)
    with _one_line_at_once(path, f"'{key}' is missing"):
        load(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "5",
        '"a"',
        "{",
        "{}",
        "[" * 100_000,
        '{"a":' * 100_000,
        "9" * 10**6,
        "NaN",
        '{"format_version": 1e400}',
    ],
    ids=range(12),
)
def test_headers_that_are_no_description(text: str, tmp_path: Path, made: dict[str, torch.Tensor]) -> None:
    path = sealed(tmp_path / "a.aulight", text, made)
    with _one_line_at_once(path, "not as `aulight export` writes it"):
        load(path)


WEIGHTS: dict[str, Callable[[dict[str, torch.Tensor]], Any]] = {
    "none": lambda w: w.clear(),
    "one less": lambda w: w.pop("regressor.linear.bias"),
    "one more": lambda w: w.update(extra=torch.zeros(3)),
    "thousands more": lambda w: w.update({f"w{number}": torch.zeros(1) for number in range(3000)}),
    "a name that terminals obey": lambda w: w.update({"\x1b[2J": torch.zeros(1)}),
    "another shape": lambda w: w.update({"regressor.linear.bias": torch.zeros(4)}),
    "no shape": lambda w: w.update({"regressor.linear.bias": torch.zeros(())}),
    "whole numbers": lambda w: w.update({"regressor.linear.bias": torch.zeros(3, dtype=torch.int64)}),
    "truths": lambda w: w.update({"regressor.linear.bias": torch.zeros(3, dtype=torch.bool)}),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_of_another_network(name: str, tmp_path: Path, made: dict[str, torch.Tensor]) -> None:
    tensors = dict(made)
    WEIGHTS[name](tensors)
    path = sealed(tmp_path / "a.aulight", description(), tensors)
    with _one_line_at_once(path, "weights do not fit its network: "):
        load(path)


@pytest.mark.parametrize(
    "tensor",
    [
        {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]},
        {"dtype": "F32", "shape": [2**63, 2**63], "data_offsets": [0, 0]},
        {"dtype": "F32", "shape": [0, 2**62], "data_offsets": [0, 0]},
        {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]},
        {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]},
    ],
)
def test_tensors_that_are_not_there(tensor: dict[str, Any], tmp_path: Path) -> None:
    text = {"aulight": json.dumps(description()), "seal": OPEN.decode()}
    header = json.dumps({"__metadata__": text, "a": tensor}).encode()
    path = tmp_path / "a.aulight"
    write_sealed(path, struct.pack("<Q", len(header)) + header + bytes(4))
    with _one_line_at_once(path, "."):
        load(path)


def test_a_network_of_timm_is_built_by_its_plain_name_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its makers download what is called ``hf-hub:...``; here one that tells what it was asked for."""
    from aulight.nets.backbone import build_backbone

    asked = list[tuple[str, dict[str, Any]]]()

    def create_model(name: str, **options: Any) -> None:
        asked.append((name, options))
        raise RuntimeError("that will do")

    monkeypatch.setitem(sys.modules, "timm", types.SimpleNamespace(create_model=create_model))
    for name in ("hf-hub:a/b", "hf_hub:a/b", "local-dir:/tmp", "../a", "a b", "", "https://a"):
        with pytest.raises(AulightError, match="the plain name of a network of timm is needed"):
            build_backbone(f"timm:{name}")
    assert not asked
    with pytest.raises(AulightError, match="timm cannot build it"):
        build_backbone("timm:resnet18.a1_in1k")
    assert [(name, options["pretrained"]) for name, options in asked] == [("resnet18.a1_in1k", False)]


# ---- graphs -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory, made: dict[str, torch.Tensor]) -> Any:
    """The model as ONNX has it."""
    onnx = pytest.importorskip("onnx")
    folder = tmp_path_factory.mktemp("graph")
    path = folder / "a.onnx"
    write_onnx(load(sealed(folder / "a.aulight", description(), made)), path)
    return onnx.load(path)


def _written(path: Path, graph: Any, said: dict[str, Any]) -> Path:
    import onnx

    del graph.metadata_props[:]
    onnx.helper.set_model_props(graph, {"aulight": json.dumps(said), "seal": OPEN.decode()})
    write_sealed(path, graph.SerializeToString())
    return path


def _side(end: str, side: int, size: int | str) -> Callable[[Any], None]:
    """Changes one side of an input or output."""

    def change(model: Any) -> None:
        found = next(item for item in [*model.graph.input, *model.graph.output] if item.name == end)
        dim = found.type.tensor_type.shape.dim[side]
        dim.Clear()
        if isinstance(size, str):
            dim.dim_param = size
        else:
            dim.dim_value = size

    return change


def _renamed(old: str, new: str) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        for item in [*model.graph.input, *model.graph.output]:
            item.name = new if item.name == old else item.name
        for node in model.graph.node:
            for ends in (node.input, node.output):
                for place, name in enumerate(ends):
                    ends[place] = new if name == old else name

    return change


def _elsewhere(location: str) -> Callable[[Any], None]:
    """The largest of the weights in another file."""

    def change(model: Any) -> None:
        tensor = max(model.graph.initializer, key=lambda item: len(item.raw_data))
        said = {"location": location, "offset": "0", "length": str(len(tensor.raw_data))}
        tensor.ClearField("raw_data")
        tensor.data_location = 1
        for key, value in said.items():
            entry = tensor.external_data.add()
            entry.key, entry.value = key, value

    return change


def _endless(model: Any) -> None:
    import onnx

    truth, number = (onnx.TensorProto.BOOL, onnx.TensorProto.INT64)
    info, node = onnx.helper.make_tensor_value_info, onnx.helper.make_node
    body = onnx.helper.make_graph(
        [node("Identity", ["go"], ["on"])],
        "body",
        [info("i", number, []), info("go", truth, [])],
        [info("on", truth, [])],
    )
    for name, value in (("times", np.array(2**62)), ("begin", np.array(True))):
        model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    model.graph.node.insert(0, node("Loop", ["times", "begin"], [], body=body))


def _of_others(model: Any) -> None:
    model.graph.node[0].domain, model.graph.node[0].op_type = "theirs", "Run"


def _without(end: str) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        for ends in (model.graph.input, model.graph.output):
            for item in [item for item in ends if item.name == end]:
                ends.remove(item)

    return change


GRAPHS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "another input": (_renamed("frame", "picture"), "it takes .*picture"),
    "another output": (_renamed("intensities", "scores"), "it takes .*scores"),
    "another state": (_renamed("state", "before"), "its state is before"),
    "no state out": (_without("state_out"), "it takes"),
    "a state of any size": (_side("state", 0, "n"), "its state is|it takes"),
    "a huge state": (_side("state", 0, 10**9), "its state is"),
    "a state of no size": (_side("state", 0, -5), "its state is|it takes"),
    "larger frames": (_side("frame", 2, 64), "it takes|cannot|not as"),
    "weights elsewhere": (_elsewhere("secret.bin"), "in another file"),
    "weights of the system": (_elsewhere("/etc/passwd"), "in another file"),
    "weights upwards": (_elsewhere("../../../../etc/passwd"), "in another file"),
    "weights in memory": (_elsewhere("*/_ORT_MEM_ADDR_/*"), "in another file"),
    "an endless loop": (_endless, "has the operator Loop"),
    "operators of others": (_of_others, "operators that are not of ONNX"),
    "a later version": (lambda model: setattr(model, "ir_version", 999), "not as `aulight export` writes it"),
    "later operators": (lambda model: setattr(model.opset_import[0], "version", 999), "not as `aulight export` writes"),
    "nothing in it": (lambda model: model.graph.Clear(), "not as `aulight export` writes it"),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_of_others(name: str, graph: Any, tmp_path: Path) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(10**6))
    change, why = GRAPHS[name]
    model = copy.deepcopy(graph)
    change(model)
    path = _written(tmp_path / "a.onnx", model, description())
    with _one_line_at_once(path, why):
        load(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *[("aus", value) for value in ([1, 4], [1, 4, 4], [0, 4, 12], [1, 4, 12, 15])],
        *[("stride", value) for value in (0, -1, 10**9)],
        *[("crop_size", value) for value in (0, -1, 10**9)],
        *[("architecture.size", value) for value in (0, 64, 10**9)],
        *[("architecture.backbone", value) for value in ("timm:hf-hub:a/b", "os.system")],
        *[("architecture.temporal", value) for value in ("none", "lstm")],
        ("normalisation.label_mean", [NAN] * 3),
    ],
)
def test_absurd_fields_of_graphs(key: str, value: Any, graph: Any, tmp_path: Path) -> None:
    said = description()
    *groups, last = key.split(".")
    part = said
    for group in groups:
        part = part[group]
    part[last] = value
    path = _written(tmp_path / "a.onnx", copy.deepcopy(graph), said)
    with _one_line_at_once(path, "."):
        load(path)


def test_a_graph_that_fails_on_its_way(graph: Any, tmp_path: Path) -> None:
    import onnx

    model = copy.deepcopy(graph)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([10**6, 10**7]), "sides"))
    model.graph.node.insert(0, onnx.helper.make_node("ConstantOfShape", ["sides"], ["much"]))
    model.graph.node.insert(1, onnx.helper.make_node("ReduceSum", ["much"], ["sum"]))
    last = next(node for node in model.graph.node if "intensities" in node.output)
    last.output[0] = "kept"
    model.graph.node.append(onnx.helper.make_node("Add", ["kept", "sum"], ["intensities"]))
    path = _written(tmp_path / "a.onnx", model, description())
    with _one_line_at_once(path, "onnxruntime cannot run it|not as `aulight export` writes it"):
        _used(path)


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"\x3a\xff\xff\xff\xff\xff", b"\x08" * 100, b"\x38\x05", bytes(range(256))]
)
def test_files_that_are_no_graph(data: bytes, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    path = tmp_path / "a.onnx"
    write_sealed(path, data + OPEN)
    with _one_line_at_once(path, "not as `aulight export` writes it"):
        load(path)


def test_the_graph_alone_is_taken(graph: Any, tmp_path: Path) -> None:
    _used(_written(tmp_path / "a.onnx", copy.deepcopy(graph), description()))


# ---- places ------------------------------------------------------------------------------------------------------


def test_what_is_no_file(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe.aulight")
    (tmp_path / "me.aulight").symlink_to(tmp_path / "me.aulight")
    for name in ("pipe.aulight", "me.aulight", "a\0b.aulight", "x" * 300 + ".aulight"):
        with pytest.raises(AulightError, match="no such model"):
            load(tmp_path / name)
    with (tmp_path / "large.aulight").open("wb") as file:
        file.truncate(20 * 2**30)
    with pytest.raises(AulightError, match=r"large\.aulight: larger than 2048 MB"):
        load(tmp_path / "large.aulight")
