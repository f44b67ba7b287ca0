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
from aulight.nets.recurrence import Recurrence
from aulight.nets.tracks import Times, Which
from aulight.prediction.description import ModelDescription
from aulight.prediction.graph import check_graph
from aulight.prediction.model import Model
from aulight.prediction.scorer import Stream
from aulight.prediction.seal import check_seal, write_sealed
from aulight.processes import cpus

MOST_STATE = 2**22
"""Numbers in the state of one sequence."""


class _OnnxStream:
    """A graph of one frame over a video: ``(1, 3, size, size)`` uint8 and the state in, intensities and state out.

    Of a network with a reference, what the reference is of stands behind the intensities, as
    :func:`aulight.nets.reference.related` takes them.
    """

    def __init__(self, session: Any, about: ModelDescription, path: Path) -> None:
        self._session, self._path = session, path
        self._names = [given.name for given in session.get_inputs()]
        self._shapes = [given.shape for given in session.get_inputs()[1:]]  # of the state, where there is one
        self._recurrence = Recurrence(about.seconds_a_step, about.primed)

    def push(self, clip: Tensor, times: Times, faces: Which, anew: Which) -> Tensor:
        (scores,) = self._recurrence.push(
            clip[0].permute(0, 3, 1, 2), times, faces, anew, lambda seen: seen, self._step
        )
        return scores

    def _step(self, frames: Tensor, before: Tensor | None) -> tuple[tuple[Tensor, ...], Tensor | None]:
        scores, states = list[Tensor](), list[Tensor]()
        for place, frame in enumerate(frames.contiguous().numpy()):
            given = [frame[None]]
            if self._shapes:
                none = np.zeros(self._shapes[0], np.float32)
                given.append(none if before is None else before[place, None].numpy())
            try:
                intensities, *state = self._session.run(None, dict(zip(self._names, given, strict=True)))
            except Exception as error:  # onnxruntime has errors of many kinds, which have no base of their own
                raise AulightError(f"{self._path}: onnxruntime cannot run it ({_told(error)})") from error
            scores.append(torch.from_numpy(intensities))
            states += map(torch.from_numpy, state)
        return (torch.cat(scores),), torch.cat(states) if states else None

    def explain(self, clip: Tensor, output: int, times: Times, faces: Which, anew: Which) -> tuple[Tensor, Tensor]:
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
        return _OnnxStream(session, about, path)

    return Model(about, start, path)


def _told(error: Exception) -> str:
    return shown(one_line(error), 200)


def _check_ends(session: Any, about: ModelDescription) -> None:
    """Raises ValueError for a graph whose inputs and outputs are not those of the model that is described."""
    size, recurrent = about.architecture.size, about.architecture.temporal != "none"
    frame, intensities = (
        ("frame", "tensor(uint8)", [1, 3, size, size]),
        ("intensities", "tensor(float)", [1, len(about.aus) * (1 if about.reference is None else 2)]),
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
    """One frame ``(1, 3, size, size)`` uint8 RGB and the state to intensities ``(1, AUs)`` and the new state.

    With a reference they are ``(1, 2 AUs)``, as of :meth:`IntensityRegressor.predict`.
    """

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

    Whoever runs the graph keeps the states: zero at first, then that of the first frame of a face given ``primed``
    times over; from there on the frame at time t takes the state of the frame at t - ``step_s``. Both numbers are in
    the description, under ``aulight`` in the metadata, and :class:`Recurrence` does so. Without a recurrence there is
    no state. Of a network with a reference, ``intensities`` is ``(1, 2 AUs)``: from the first half, the quantile of the
    second half over the person's frames (:mod:`aulight.nets.reference`) is to be taken away before it is clipped.

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
