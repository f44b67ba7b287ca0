"""The face landmarker's three networks, out of ``face_landmarker.task`` and run by LiteRT on this machine alone.

The file is a zip of TensorFlow Lite models, as MediaPipe publishes it (https://ai.google.dev/edge/mediapipe/solutions/
vision/face_landmarker): BlazeFace for short range (https://arxiv.org/abs/1907.05047), an attention mesh
(https://arxiv.org/abs/2006.10962), and a network from points of the mesh to blendshapes (https://arxiv.org/abs/
2309.05782).
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from aulight.data.faces.model_file import DETECTOR, EXPRESSIONS, MESH, network
from aulight.data.faces.pose import BLENDSHAPES
from aulight.data.video.types import Frames
from aulight.errors import AulightError

Tensor = npt.NDArray[np.float32]

DETECTOR_SIDE, MESH_SIDE = 128, 256
"""Pixels of the pictures that the first two networks take."""

BOXES, BOX_VALUES = 896, 16
"""Of the detector: how many places it judges, and what it says of each."""

LANDMARKS, USED = 478, 146
"""Points of the mesh, and how many of them tell the blendshapes."""

_ONE_AT_A_TIME = threading.Lock()


def need_litert() -> None:
    """Refuses to go on without LiteRT, which runs the networks and knows how their files are laid out.

    Raises:
        AulightError: When it is missing.
    """
    try:
        import ai_edge_litert.interpreter  # noqa: F401
    except (ImportError, OSError) as error:
        raise AulightError(f'finding faces needs ai-edge-litert: pip install "aulight[faces]" ({error})') from error


class FaceNetworks(Protocol):
    """The three networks, whoever runs them; to be used by one thread at a time."""

    def close(self) -> None:
        """Gives back what they hold; they may be used again."""

    def detect(self, picture: Frames) -> tuple[Tensor, Tensor]:
        """What BlazeFace says of a picture.

        Args:
            picture: ``(128, 128, 3)`` uint8 RGB.

        Returns:
            Of every anchor a box and six points ``(896, 16)``, and the logit of there being a face ``(896,)``.
        """

    def mesh(self, picture: Frames) -> tuple[Tensor, Tensor]:
        """The landmarks of the face in a picture.

        Args:
            picture: ``(256, 256, 3)`` uint8 RGB, the face upright and in the middle.

        Returns:
            x, y and depth of the landmarks in pixels ``(478, 3)``, and the logit of a face being there.
        """

    def blendshapes(self, points: Tensor) -> Tensor:
        """The scores of :data:`BLENDSHAPES`, ``(52,)``, from 146 landmarks ``(146, 2)`` in pixels."""


class Networks:
    """The three networks of one file, each started when it is first run; to be used by one thread at a time.

    Nothing is held open before, so that an object that has run nothing may be handed to another process.

    Args:
        path: ``face_landmarker.task``.

    Raises:
        AulightError: When LiteRT is missing; from the methods, when the file is not a face landmarker.
    """

    def __init__(self, path: Path) -> None:
        need_litert()
        self.path = path
        self._started: dict[str, _Network] = {}

    def close(self) -> None:
        """Gives back the memory; a network is started anew when it is needed again."""
        self._started.clear()

    def detect(self, picture: Frames) -> tuple[Tensor, Tensor]:
        """As of :class:`FaceNetworks`."""
        boxes, logits = self._run(DETECTOR, picture.astype(np.float32) / np.float32(127.5) - 1)
        return boxes.reshape(BOXES, BOX_VALUES), logits.reshape(BOXES)

    def mesh(self, picture: Frames) -> tuple[Tensor, Tensor]:
        """As of :class:`FaceNetworks`."""
        points, logit, _ = self._run(MESH, picture.astype(np.float32) / np.float32(255))
        return points.reshape(LANDMARKS, 3), logit.reshape(())

    def blendshapes(self, points: Tensor) -> Tensor:
        """As of :class:`FaceNetworks`."""
        (scores,) = self._run(EXPRESSIONS, points)
        return scores

    def _run(self, name: str, values: Tensor) -> list[Tensor]:
        if name not in self._started:
            self._started[name] = _Network(self.path, name, *SHAPES[name])
        return self._started[name].run(values)


_Shape = tuple[int, ...]

SHAPES: dict[str, tuple[_Shape, list[_Shape]]] = {
    DETECTOR: ((1, DETECTOR_SIDE, DETECTOR_SIDE, 3), [(1, BOXES, BOX_VALUES), (1, BOXES, 1)]),
    MESH: ((1, MESH_SIDE, MESH_SIDE, 3), [(1, 1, 1, 3 * LANDMARKS), (1, 1, 1, 1), (1, 1)]),
    EXPRESSIONS: ((1, USED, 2), [(len(BLENDSHAPES),)]),
}
"""What each network takes and gives."""


class _Network:
    """One network, on one thread."""

    def __init__(self, path: Path, member: str, takes: _Shape, gives: list[_Shape]) -> None:
        from ai_edge_litert.interpreter import Interpreter

        content = network(path, member)
        try:
            with _silence():
                # on XNNPACK, its fast kernels for CPUs, by default
                self._interpreter: Any = Interpreter(model_content=content, num_threads=1)
                self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise AulightError(f"{path}: not a face landmarker: {member}: {' '.join(str(error).split())}") from error
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        has = [[(tuple(tensor["shape"]), tensor["dtype"]) for tensor in tensors] for tensors in (inputs, outputs)]
        if has != [[(shape, np.float32) for shape in shapes] for shapes in ([takes], gives)]:
            raise AulightError(f"{path}: not a face landmarker: {member} takes or gives something else")
        self._input, self._outputs, self._takes = inputs[0]["index"], [tensor["index"] for tensor in outputs], takes

    def run(self, values: Tensor) -> list[Tensor]:
        self._interpreter.set_tensor(self._input, values.reshape(self._takes))
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(output) for output in self._outputs]


@contextmanager
def _silence() -> Iterator[None]:
    """Keeps from the terminal the line that LiteRT writes past Python about its kernels: it has no setting for it."""
    with _ONE_AT_A_TIME:
        try:
            terminal = os.dup(2)
        except OSError:  # there is none
            yield
            return
        nothing = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nothing, 2)
            yield
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
            os.close(nothing)
