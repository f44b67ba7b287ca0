"""What a TensorFlow Lite file says a network does: its steps, in order, and its weights."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Constant = npt.NDArray[np.float32] | npt.NDArray[np.int32]


class UnknownNetworkError(ValueError):
    """The network does something that is not known here."""


@dataclass(frozen=True)
class Step:
    """One operation.

    Attributes:
        name: As TensorFlow Lite calls it, such as ``CONV_2D``.
        inputs: Numbers of the tensors that it takes.
        output: Number of the one that it gives.
        options: What else it is told, with attributes as in TensorFlow Lite's schema; ``None``: nothing.
    """

    name: str
    inputs: tuple[int, ...]
    output: int
    options: Any


@dataclass(frozen=True)
class Graph:
    """A network.

    Attributes:
        steps: In the order in which they are done.
        constants: Weights and settings, by the numbers of their tensors; fp16 is fp32 already.
        shapes: Of all tensors, for one picture: the first axis, where there is one, is that of pictures.
        input: Number of the tensor that is given.
        outputs: Of those that are wanted.
    """

    steps: tuple[Step, ...]
    constants: dict[int, Constant]
    shapes: dict[int, tuple[int, ...]]
    input: int
    outputs: tuple[int, ...]


def read_graph(content: bytes) -> Graph:
    """Reads a network.

    Args:
        content: Of a ``.tflite`` file; nothing in it is run.

    Raises:
        ValueError: When it is damaged, or not a network of one input whose steps have one output each; so it is with
            any other exception but of memory and of the system.
    """
    from ai_edge_litert import schema_py_generated as schema

    kinds = {schema.TensorType.FLOAT16: "<f2", schema.TensorType.FLOAT32: "<f4", schema.TensorType.INT32: "<i4"}
    names = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    (graph,), codes = model.subgraphs, model.operatorCodes
    shapes = {
        number: () if tensor.shape is None else tuple(map(int, tensor.shape))
        for number, tensor in enumerate(graph.tensors)
    }
    constants: dict[int, Constant] = {}
    for number, tensor in enumerate(graph.tensors):
        data = model.buffers[tensor.buffer].data
        if data is not None:
            values = np.frombuffer(bytes(data), kinds[tensor.type]).reshape(shapes[number])
            if values.dtype.kind == "i":
                constants[number] = values.astype(np.int32)
            else:
                constants[number] = values.astype(np.float32)
    steps = []
    for operator in graph.operators:
        code = codes[operator.opcodeIndex]
        name = names[max(code.builtinCode, code.deprecatedBuiltinCode)]  # the second has no room for newer ones
        inputs, (output,) = tuple(map(int, operator.inputs)), map(int, operator.outputs)
        if name == "DEQUANTIZE":  # of weights that are kept in fp16
            constants[output] = constants[inputs[0]]
        else:
            steps.append(Step(name, inputs, output, operator.builtinOptions))
    (given,) = map(int, graph.inputs)
    return Graph(tuple(steps), constants, shapes, given, tuple(map(int, graph.outputs)))
