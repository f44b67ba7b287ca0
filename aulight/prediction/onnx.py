"""A model as a graph of one frame, state in and state out."""

import logging
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from aulight.errors import AulightError, one_line, shown
from aulight.prediction.description import ModelDescription
from aulight.prediction.graph import check_graph
from aulight.prediction.model import Model, Stream
from aulight.prediction.seal import check_seal, write_sealed
from aulight.processes import cpus

MOST_STATE = 2**22
"""Numbers in the state of one sequence."""


class _OnnxStream:
    """A graph of one frame over a video: ``(1, 3, size, size)`` uint8 and the state in, intensities and state out."""

    def __init__(self, session: Any, stride: int, path: Path) -> None:
        self._session, self._path = session, path
        shapes = [given.shape for given in session.get_inputs()[1:]]  # of the state, where there is one
        self._states = [[np.zeros(shape, np.float32) for shape in shapes] for _ in range(stride)]
        self._next = 0  # the interleaved sequence whose turn it is, as in FrameStream

    def push(self, clip: Tensor) -> Tensor:
        scores = []
        names = [given.name for given in self._session.get_inputs()]
        for frame in clip[0].permute(0, 3, 1, 2).contiguous().numpy():
            given = dict(zip(names, (frame[None], *self._states[self._next]), strict=True))
            try:
                intensities, *self._states[self._next] = self._session.run(None, given)
            except Exception as error:  # onnxruntime has errors of many kinds, which have no base of their own
                raise AulightError(f"{self._path}: onnxruntime cannot run it ({_told(error)})") from error
            scores.append(torch.from_numpy(intensities))
            self._next = (self._next + 1) % len(self._states)
        return torch.cat(scores)

    def explain(self, clip: Tensor, output: int) -> tuple[Tensor, Tensor]:
        raise AulightError("explain: an .onnx file has no gradients; give the run or the .aulight file that it is from")


def of_onnx(path: Path) -> Model:
    """The model of an ``.onnx`` file.

    Raises:
        AulightError: When onnxruntime is missing, or the file is damaged, not one, or of a newer format.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise AulightError(f'{path}: needs onnxruntime: pip install "aulight[export]" ({error})') from error
    data = check_seal(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = min(torch.get_num_threads(), cpus())
    options.log_severity_level = 4  # what goes wrong comes as an error as well
    # where weights outside the file would be looked for: a model of `aulight export` holds its own
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(path / "nowhere"))
    try:
        check_graph(data)
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        about = ModelDescription.read(session.get_modelmeta().custom_metadata_map.get("aulight"), path)
        _check_ends(session, about)
    except AulightError:
        raise
    except Exception as error:  # as above
        raise AulightError(f"{path}: not as `aulight export` writes it ({_told(error)}); export it again") from error

    def start(device: str, precision: str) -> Stream:
        if (device, precision) != ("cpu", "32"):
            raise AulightError(f"{path}: an .onnx runs with device=cpu precision=32; a .aulight runs anywhere")
        return _OnnxStream(session, about.stride, path)

    return Model(about, start, path)


def _told(error: Exception) -> str:
    return shown(one_line(error), 200)


def _check_ends(session: Any, about: ModelDescription) -> None:
    """Raises ValueError for a graph whose inputs and outputs are not those of the model that is described."""
    size, recurrent = about.architecture.size, about.architecture.temporal != "none"
    frame, intensities = (
        ("frame", "tensor(uint8)", [1, 3, size, size]),
        ("intensities", "tensor(float)", [1, len(about.aus)]),
    )
    inputs, outputs = (
        [(end.name, end.type, list(end.shape)) for end in ends]
        for ends in (session.get_inputs(), session.get_outputs())
    )
    if (inputs[:1], outputs[:1]) != ([frame], [intensities]) or {len(inputs), len(outputs)} != {1 + recurrent}:
        raise ValueError(f"it takes {inputs} and gives {outputs}, which is not what its description says")
    for (name, kind, shape), (name_out, kind_out, shape_out) in zip(inputs[1:], outputs[1:], strict=True):
        known = all(isinstance(side, int) and side > 0 for side in shape) and math.prod(shape) <= MOST_STATE
        if (name, kind, name_out, kind_out) != ("state", frame[1].replace("uint8", "float"), "state_out", kind):
            raise ValueError(f"its state is {name} {kind} and then {name_out} {kind_out}")
        if not known or shape != shape_out:
            raise ValueError(f"its state is {shape}, and then {shape_out}")


class _Step(nn.Module):
    """One frame ``(1, 3, size, size)`` uint8 RGB and the state to intensities ``(1, AUs)`` and the new state."""

    def __init__(self, network: nn.ModuleDict) -> None:
        super().__init__()
        self.network = network

    def forward(self, frame: Tensor, state: Tensor | None = None) -> tuple[Tensor, ...]:
        encoder: Any = self.network["encoder"]
        regressor: Any = self.network["regressor"]
        features, state = encoder(encoder.normalise(frame.permute(0, 2, 3, 1)[:, None]), state)
        intensities = regressor.predict(features)[:, 0]
        return (intensities,) if state is None else (intensities, state)


def write_onnx(model: Model, path: Path) -> None:
    """Writes a model as an ONNX graph of one frame: ``frame`` and ``state`` in, ``intensities`` and ``state_out`` out.

    The state is zero before the first frame. Frame t continues that of frame t - stride, so there are ``stride`` of
    them to keep. Without a recurrence there is no state.

    Raises:
        AulightError: When a package is missing, torch cannot make the graph, or the model has no torch modules.
    """
    if model.network is None:
        raise AulightError("an .onnx file cannot be made from another; give the run or the .aulight file it is from")
    try:
        import onnx
        import onnxscript  # noqa: F401  # torch wants it
    except ImportError as error:
        raise AulightError(f'format=onnx needs more packages: pip install "aulight[export]" ({error})') from error
    frame = torch.zeros(1, 3, model.size, model.size, dtype=torch.uint8)
    step = _Step(model.network).eval()
    with torch.no_grad():
        state = step(frame)[1:]
    given = (frame, *(torch.zeros_like(part) for part in state))
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # what it warns of are its own workings
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program: Any = torch.onnx.export(
                step,
                given,
                input_names=["frame", "state"][: len(given)],
                output_names=["intensities", "state_out"][: len(given)],
                dynamo=True,
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        raise AulightError(f"format=onnx: torch cannot write this network ({str(error).splitlines()[0]})") from error
    graph = program.model_proto
    for node in graph.graph.node:
        del node.metadata_props[:]  # where each came from in this machine's files
    onnx.helper.set_model_props(graph, model.description.header())
    write_sealed(path, graph.SerializeToString())
