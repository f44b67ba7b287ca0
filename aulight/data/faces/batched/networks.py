"""The face landmarker's networks by torch, for several videos at once, on a GPU or on the CPU.

What they give differs from LiteRT's in the last bits, and is the same whatever else is in a batch: batches always have
the same size, and what is not asked for is zeros. On a CPU the last bits differ by the number of torch's threads.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from aulight.data.faces.batched.gathering import Gathering
from aulight.data.faces.batched.graph import UnknownNetworkError
from aulight.data.faces.batched.module import LiteModule
from aulight.data.faces.model_file import DETECTOR, EXPRESSIONS, MESH, network
from aulight.data.faces.networks import BOX_VALUES, BOXES, LANDMARKS, SHAPES, Tensor, need_litert
from aulight.data.video.types import Frames
from aulight.errors import AulightError, one_line

AT_ONCE = 16
"""Videos of one process, each with a thread of its own."""

WAIT_S = 0.002
"""Seconds that a picture waits for those of other videos."""

_BATCH = {"cpu": 4, "cuda": AT_ONCE}
"""Pictures in a batch, by the kind of device: a CPU gains nothing by more."""

Given = npt.NDArray[np.uint8] | npt.NDArray[np.float32]


class SharedNetworks:
    """The three networks of one file on one device, for any number of threads.

    Args:
        path: ``face_landmarker.task``.
        device: As torch names it.

    Raises:
        AulightError: When LiteRT is missing, the file is not a face landmarker, or the device cannot be used.
    """

    def __init__(self, path: Path, device: str) -> None:
        need_litert()
        self.device = torch.device(device)
        try:
            self._modules = {name: _loaded(path, name).to(self.device) for name in SHAPES}
        except RuntimeError as error:
            raise self._gave_up(error) from error
        most = _BATCH[self.device.type]
        self._batches = {
            name: np.zeros((most, *takes[1:]), np.float32 if name == EXPRESSIONS else np.uint8)
            for name, (takes, _) in SHAPES.items()
        }
        self._gathering = Gathering(self._run, most, WAIT_S)

    def close(self) -> None:
        """Ends its thread; all videos must have ended."""
        self._gathering.close()

    def of_a_video(self) -> "VideoNetworks":
        """The networks for one more video, to be used by one thread at a time."""
        return VideoNetworks(self._gathering)

    def _run(self, name: str, given: Sequence[Given]) -> list[list[Tensor]]:
        """What a network gives of each, in the order of the file."""
        batch = self._batches[name]
        batch[: len(given)], batch[len(given) :] = np.stack(given), 0
        # Without the rounding of tensor cores (TF32), and by kernels that do not depend on chance.
        exact = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
        try:
            with torch.inference_mode(), exact:
                values = torch.from_numpy(batch).to(self.device).to(torch.float32)  # bytes travel
                if name == DETECTOR:
                    values = values.div_(127.5).sub_(1)
                elif name == MESH:
                    values = values.div_(255)
                outputs = [output.cpu().numpy() for output in self._modules[name](values)]
        except RuntimeError as error:
            raise self._gave_up(error) from error
        return [[output[place] for output in outputs] for place in range(len(given))]

    def _gave_up(self, error: RuntimeError) -> AulightError:
        problem = one_line(str(error).partition("\n")[0])
        return AulightError(
            f"the face networks cannot run on {self.device}: {problem}; faces.device=cpu does without torch"
        )


class VideoNetworks:
    """The networks as one video has them: as :class:`aulight.data.faces.networks.FaceNetworks`.

    The video takes part from what it first asks for until it is closed.

    Args:
        gathering: Of all videos.
    """

    def __init__(self, gathering: Gathering[str, Given, list[Tensor]]) -> None:
        self._gathering, self._there = gathering, False

    def close(self) -> None:
        """The others do not wait for this video any more, until it asks for something again."""
        if self._there:
            self._there = False
            self._gathering.leave()

    def detect(self, picture: Frames) -> tuple[Tensor, Tensor]:
        """As of ``FaceNetworks``."""
        boxes, logits = self._ask(DETECTOR, picture)
        return boxes.reshape(BOXES, BOX_VALUES), logits.reshape(BOXES)

    def mesh(self, picture: Frames) -> tuple[Tensor, Tensor]:
        """As of ``FaceNetworks``."""
        points, logit, _ = self._ask(MESH, picture)
        return points.reshape(LANDMARKS, 3), logit.reshape(())

    def blendshapes(self, points: Tensor) -> Tensor:
        """As of ``FaceNetworks``."""
        (scores,) = self._ask(EXPRESSIONS, points)
        return scores.reshape(-1)

    def _ask(self, name: str, given: Given) -> list[Tensor]:
        if not self._there:
            self._there = True
            self._gathering.join()
        return self._gathering.ask(name, given)


def _loaded(path: Path, name: str) -> LiteModule:
    try:
        module = LiteModule(network(path, name)).eval()
    except UnknownNetworkError as error:
        raise AulightError(f"{path}: not a face landmarker: {name}: {one_line(str(error))}") from error
    takes, gives = SHAPES[name]
    if (module.takes, module.gives) != (takes, gives):
        raise AulightError(f"{path}: not a face landmarker: {name} takes or gives something else")
    return module


def found_device(asked: str) -> str:
    """The device that a setting means: ``cpu`` is LiteRT's, ``torch`` the CPU by torch, else as torch names it.

    Args:
        asked: ``auto``, ``cpu``, ``torch``, ``cuda`` or ``cuda:<number>``; ``auto`` is a GPU where there is one.

    Raises:
        AulightError: For a GPU that is not there.
    """
    if asked in ("cpu", "torch"):
        return asked
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if asked == "auto":
        return "cuda" if count else "cpu"
    if int(asked.partition(":")[2] or 0) >= count:
        raise AulightError(f"faces.device={asked}: torch sees {count or 'no'} GPUs here; faces.device=cpu needs none")
    return asked
