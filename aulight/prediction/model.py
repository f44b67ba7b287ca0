"""A trained model: what it is, and how it scores faces, videos and streams."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import nn

from aulight.data.faces.crop import Present
from aulight.errors import AulightError
from aulight.facs import column
from aulight.nets.precision import choose
from aulight.nets.reference import RunningReference
from aulight.prediction.card import in_short
from aulight.prediction.description import ModelDescription
from aulight.prediction.estimator import CHUNK, Baseline, Estimator
from aulight.prediction.rows import Scored
from aulight.prediction.scorer import Intensities, Moments, Scorer, Stream
from aulight.prediction.seal import write_sealed
from aulight.scoring.conformal import from_plain


class Model(Estimator):
    """A trained estimator of AU intensities, and all that is known about it.

    Args:
        description: What is said of it.
        start: Device and precision to a stream that has seen nothing yet.
        file: Where it was read from.
        network: ``encoder`` and ``regressor`` in eval mode, where they are there as torch modules.

    Attributes:
        description: What is said of it: on what it was trained, how good it is, how faces are to be cut ...
        aus: Numbers of its AUs.
        columns: Their names, ``AU01`` ...
        size: Height and width of the frames that the network takes, in pixels.
        stride: Frames from one sample of the recurrence to the next, at the rate of the videos that it learned from.
        intervals: How far its prediction intervals reach; ``None`` if it was not calibrated.
        file: As given, as the next.
        network: As given.
    """

    def __init__(
        self,
        description: ModelDescription,
        start: Callable[[str, str], Stream],
        file: Path,
        network: nn.ModuleDict | None = None,
    ) -> None:
        self.description, self.file, self.network, self._start = description, file, network, start
        self.aus = description.aus
        self.columns = [column(au) for au in self.aus]
        self.size, self.stride = description.architecture.size, description.stride
        self.crop_size, self.smooth_s = description.crop_size, description.smooth_s
        self.step_s = None if description.architecture.temporal == "none" else description.seconds_a_step
        reach = description.intervals
        self.intervals = None if reach is None else from_plain(reach.model_dump())
        self.relative = description.reference is not None

    @property
    def meta(self) -> dict[str, Any]:
        """Its description in plain containers, as its file has it: ``aus``, ``crop_size``, ``dataset``, ``test`` ..."""
        return self.description.plain()

    def scorer(self, device: str = "cpu", precision: str = "32") -> Scorer:
        """What scores the aligned faces of one person in one video.

        Args:
            device: As torch names it: ``cpu``, ``cuda`` ...; ``auto``: a GPU, where there is one and it can be used.
            precision: ``32``, ``bf16``, or ``auto``: the faster one (:mod:`aulight.nets.precision`).

        Raises:
            AulightError: For a device that is not there, or what an ``.onnx`` cannot do.
        """
        device, precision = self.settled(device, precision)
        about = self.description
        own = None if about.reference is None else RunningReference(np.array(about.reference, np.float32))
        return Scorer(self._start(device, precision), self.size, self.aus, about.dataset.fps, str(self.file), own)

    def settled(self, device: str, precision: str) -> tuple[str, str]:
        """What a device and a precision are here, of which either may be ``auto``.

        Raises:
            AulightError: For a precision that there is not.
        """
        if precision not in ("auto", "32", "bf16"):
            raise AulightError(f"precision={precision}: auto, 32 or bf16")
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() and self.network is not None else "cpu"
        if precision == "auto":
            precision = "bf16" if self.network is not None and choose(device).bf16 else "32"
        return device, precision

    def finds_faces(self, faces: str) -> bool:
        """As of :class:`Estimator`."""
        if faces not in ("auto", "mediapipe", "none"):
            raise AulightError(f"faces={faces}: one of auto, mediapipe, none")
        return faces == "mediapipe" or (faces == "auto" and self.description.finds_faces)

    def say(
        self, frames: Iterator[Present], chunk: int, device: str, precision: str, apart: bool, baseline: Baseline
    ) -> Iterator[Scored]:
        """As of :class:`Estimator`."""
        if baseline != "none":
            raise AulightError(
                f"baseline={baseline}: only of the table; `aulight predict baseline=person` is for any scores"
            )
        return self.score(
            frames, chunk, device, precision, apart=apart, whole=self.relative and chunk > 1 and not apart
        )

    def __repr__(self) -> str:
        """What it is, in a few lines."""
        return in_short(self.description, self.file)

    def score(
        self,
        frames: Iterable[Present],
        chunk: int = CHUNK,
        device: str = "cpu",
        precision: str = "32",
        explain: int | None = None,
        apart: bool = False,
        whole: bool = False,
    ) -> Iterator[Scored]:
        """Scores the people in the frames of one video, each with a recurrent state and a reference of their own.

        It begins anew where a face was lost for longer than a moment (:mod:`aulight.nets.tracks`), or is elsewhere.

        Args:
            frames: As :meth:`FaceAligner.everybody` gives them; somebody who is missing from one has left, and begins
                anew if they come back.
            chunk: Frames that go through the backbone together; no frame is given back before they are there.
            device: As :meth:`scorer` takes it, as the next.
            precision: Likewise.
            explain: Number of an AU, to say as well where in the crops it was seen.
            apart: Whether each frame is a photo, and nobody is who they were in the one before.
            whole: Of a model with a reference: whether that is left to be taken away once all frames are there.
        """
        scorers: dict[int, Scorer] = {}
        frames = iter(frames)
        while some := list(itertools.islice(frames, chunk)):
            values: list[dict[int, Intensities]] = [{} for _ in some]
            heat: list[dict[int, Intensities]] = [{} for _ in some]
            own: list[dict[int, Intensities]] = [{} for _ in some]
            before, scorers = scorers, {}
            for person in sorted(set[int]().union(*(faces for _, faces in some))):
                there = np.array([place for place, (_, faces) in enumerate(some) if person in faces])
                stays = np.split(there, np.flatnonzero(np.diff(there) > (0 if apart else 1)) + 1)
                for stay in stays:
                    known = before.get(person) if stay[0] == 0 and not apart else None
                    scorer = self.scorer(device, precision) if known is None else known
                    seen = [some[place][1][person] for place in stay]
                    crops = np.stack([face.crop for face in seen])
                    when = Moments(
                        np.array([some[place][0].time_s for place in stay], np.float64),
                        np.array([face.confidence > 0 for face in seen]),
                        np.array([face.elsewhere for face in seen]),
                    )
                    if whole:
                        (scores, mine), where = np.split(scorer.parts(crops, when), 2, 1), None
                        for row, place in enumerate(stay):
                            own[place][person] = mine[row]
                    elif explain is None:
                        scores, where = scorer.push(crops, when), None
                    else:
                        scores, where = scorer.explain(crops, explain, when)
                    for row, place in enumerate(stay):
                        values[place][person] = scores[row]
                        if where is not None:
                            heat[place][person] = where[row]
                if there[-1] == len(some) - 1:
                    scorers[person] = scorer
            for place, (frame, faces) in enumerate(some):
                yield Scored(frame, faces, values[place], heat[place], own=own[place])

    def save(self, path: str | Path) -> None:
        """Writes the model as one ``.aulight`` file, under a temporary name that is changed when it is whole.

        Raises:
            AulightError: For a model that was read from an ``.onnx`` file.
        """
        if self.network is None:
            raise AulightError("an .onnx file has no weights to write; export the run or the .aulight file it is from")
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in self.network.state_dict().items()}
        write_sealed(Path(path), safetensors.torch.save(weights, self.description.header()))
