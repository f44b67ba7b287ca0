"""A TensorFlow Lite network as a torch module that takes many pictures at once."""

import math
import struct

import numpy as np
import torch
from torch import Tensor, nn

from aulight.data.faces.batched.graph import UnknownNetworkError, read_graph
from aulight.data.faces.batched.operations import operation, weights

_DAMAGED = (struct.error, ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What reading or trying a file raises that is none of ours."""

_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")


class LiteModule(nn.Module):
    """The network of a ``.tflite`` file, in fp32.

    Each picture gives what it gives alone, but for the last bits, which depend on how many there are.

    Args:
        content: Of the file.

    Attributes:
        takes: Shape of what it takes, for one picture, with a first axis of 1.
        gives: Shapes of what it gives, likewise.

    Raises:
        UnknownNetworkError: When it is damaged, or does what is not known here.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__()
        try:
            self._build(content)
            with torch.inference_mode():
                given = self(torch.zeros(self.takes))
        except _DAMAGED as error:
            raise UnknownNetworkError(f"{type(error).__name__}: {error}") from error
        if [values.numel() for values in given] != [math.prod(shape) for shape in self.gives]:
            raise UnknownNetworkError("it gives something else than it says")

    def _build(self, content: bytes) -> None:
        graph = read_graph(content)
        self.takes, self.gives = graph.shapes[graph.input], [graph.shapes[number] for number in graph.outputs]
        self._input, self._outputs = graph.input, graph.outputs
        settings = {number: values for number, values in graph.constants.items() if values.dtype == np.int32}
        kernels = {step.inputs[1]: step for step in graph.steps if step.name in _CONVOLUTIONS}
        last: dict[int, int] = {}  # of each tensor the last step that takes it
        plan = []
        for place, step in enumerate(graph.steps):
            does, inputs = operation(step, settings, graph.shapes[step.output])
            last.update(dict.fromkeys(inputs, place))
            plan.append((does, inputs, step.output))
        self._constants = sorted(graph.constants.keys() & last.keys())
        for number in self._constants:
            values = torch.from_numpy(graph.constants[number])
            if number in kernels:
                values = weights(kernels[number], values).contiguous(memory_format=torch.channels_last)
            self.register_buffer(f"tensor{number}", values, persistent=False)
        kept = {*self._constants, *graph.outputs}
        self._plan = [
            (does, inputs, output, [number for number in {*inputs} - kept if last[number] == place])
            for place, (does, inputs, output) in enumerate(plan)
        ]

    def forward(self, given: Tensor) -> list[Tensor]:
        """What it gives.

        Args:
            given: As many pictures, or rows of points, as there are: :attr:`takes` but for the first axis.

        Returns:
            As :attr:`gives`, but for the first axis; it is there also where the file has dropped it.
        """
        tensors = {number: self.get_buffer(f"tensor{number}") for number in self._constants} | {self._input: given}
        for does, inputs, output, done in self._plan:
            tensors[output] = does(*(tensors[number] for number in inputs))
            for number in done:
                del tensors[number]  # its memory is for the next
        return [tensors[number] for number in self._outputs]
