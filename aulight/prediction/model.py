"""A trained model: what it is, and how it scores faces, videos and streams."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import safetensors
import safetensors.torch
from torch import nn

from aulight.data.faces.aligner import MAX_FACES, FaceAligner
from aulight.data.faces.crop import Present, uncut
from aulight.data.video.photos import Pictures, photos_at
from aulight.data.video.raw import raw_frames
from aulight.data.video.types import Frames, RawFrame
from aulight.errors import AulightError, VideoError
from aulight.facs import column
from aulight.prediction.description import ModelDescription
from aulight.prediction.rows import Row, Scored, Table
from aulight.prediction.scorer import Intensities, Moments, Scorer, Stream
from aulight.prediction.seal import write_sealed
from aulight.scoring.conformal import from_plain

CHUNK = 16
"""Frames of a video that go through the backbone together."""


class Model:
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
        reach = description.intervals
        self.intervals = None if reach is None else from_plain(reach.model_dump())

    @property
    def meta(self) -> dict[str, Any]:
        """Its description in plain containers, as its file has it: ``aus``, ``crop_size``, ``dataset``, ``test`` ..."""
        return self.description.plain()

    def scorer(self, device: str = "cpu", precision: str = "32") -> Scorer:
        """What scores the aligned faces of one person in one video.

        Args:
            device: As torch names it: ``cpu``, ``cuda`` ...
            precision: ``32`` or ``bf16``.

        Raises:
            AulightError: For a device that is not there, or what an ``.onnx`` cannot do.
        """
        if precision not in ("32", "bf16"):
            raise AulightError(f"precision={precision}: 32 or bf16")
        about = self.description
        return Scorer(self._start(device, precision), self.size, self.aus, about.dataset.fps, str(self.file))

    def predict(
        self,
        video: str | Path,
        fps: float | None = None,
        *,
        faces: str = "auto",
        everybody: bool = False,
        coverage: float | None = None,
        device: str = "cpu",
        precision: str = "32",
        pictures: Pictures = "auto",
    ) -> pd.DataFrame:
        """Intensities in every frame of a video, or in photos.

        Args:
            video: A video file, a folder of pictures, or a photo.
            fps: Frames per second of pictures; a video says its own.
            faces: ``mediapipe`` finds and aligns faces; ``none`` takes the square in the middle of each picture, for
                those that are aligned already; ``auto`` does as was done for the dataset that the model was trained on.
            everybody: Follow all faces, not only that of the person who is seen longest.
            coverage: Adds prediction intervals, ``AU01_lo`` and ``AU01_hi`` ..., if the model is calibrated.
            device: As :meth:`scorer` takes it, as the next.
            precision: ``32`` or ``bf16``.
            pictures: What those of a folder are, as :func:`aulight.data.video.photos.photos_at` has it.

        Returns:
            A row for each face of each frame, in the columns of :mod:`aulight.prediction.rows`.

        Raises:
            AulightError: When the video cannot be read to its end.
        """
        path = Path(video).expanduser()
        find = self.finds_faces(faces)
        photos, problems = photos_at(path, pictures), list[str]()
        table = Table(self.columns, self.intervals, coverage, files=photos is not None)

        def film() -> Iterator[RawFrame]:
            return photos.frames(problems) if photos else raw_frames(path, fps, None if find else self.size)

        rows = self._rows(film, find, everybody, table, CHUNK, device, precision, photos is not None)
        found = pd.DataFrame(rows, columns=table.names)
        if problems:
            raise VideoError("; ".join(problems))
        return found

    def stream(
        self,
        frames: Iterable[Frames],
        fps: float,
        *,
        faces: str = "auto",
        everybody: bool = False,
        coverage: float | None = None,
        device: str = "cpu",
        precision: str = "32",
    ) -> Iterator[Row]:
        """Intensities in frames as they come: rows as :meth:`predict` gives them, in order.

        A row comes about 0.3 s after its frame, since the crop follows what the head does next as well; the first ones
        after 0.5 s, once it is clear whose face is the largest: that person is followed, since nobody knows yet who
        will be seen longest.

        Args:
            frames: Whole pictures ``(H, W, 3)`` uint8 RGB.
            fps: How many of them are a second.
            faces: As of :meth:`predict`, and all that follow.
            everybody: As there.
            coverage: As there.
            device: As there.
            precision: As there.

        Raises:
            AulightError: For a frame of another kind.
        """
        numbered = (RawFrame(number, number / fps, _picture(image)) for number, image in enumerate(frames))
        table = Table(self.columns, self.intervals, coverage)
        return self._rows(lambda: numbered, self.finds_faces(faces), everybody, table, 1, device, precision)

    def finds_faces(self, faces: str) -> bool:
        """Whether faces are to be found and aligned, by the setting that :meth:`predict` describes.

        Raises:
            AulightError: For another setting.
        """
        if faces not in ("auto", "mediapipe", "none"):
            raise AulightError(f"faces={faces}: one of auto, mediapipe, none")
        return faces == "mediapipe" or (faces == "auto" and self.description.finds_faces)

    def _rows(
        self,
        film: Callable[[], Iterable[RawFrame]],
        find: bool,
        everybody: bool,
        table: Table,
        chunk: int,
        device: str,
        precision: str,
        apart: bool = False,
    ) -> Iterator[Row]:
        with ExitStack() as stack:
            about = self.description
            if not find:
                present = uncut(film(), self.size)
            else:
                aligner = FaceAligner(about.crop_size, False, MAX_FACES, about.smooth_s)
                stack.enter_context(aligner)
                if apart:
                    present = aligner.photos(film(), everybody)
                elif everybody:
                    present = aligner.everybody(film())
                else:  # a frame at a time is a film that nobody can read twice
                    present = aligner.follow_live(film()) if chunk == 1 else aligner.follow(film)
            for scored in self.score(present, chunk, device, precision, apart=apart):
                yield from table.rows(scored)

    def score(
        self,
        frames: Iterable[Present],
        chunk: int = CHUNK,
        device: str = "cpu",
        precision: str = "32",
        explain: int | None = None,
        apart: bool = False,
    ) -> Iterator[Scored]:
        """Scores the people in the frames of one video, each with a recurrent state of their own.

        It begins anew where a face was lost for longer than a moment (:mod:`aulight.nets.tracks`), or is elsewhere.

        Args:
            frames: As :meth:`FaceAligner.everybody` gives them; somebody who is missing from one has left, and begins
                anew if they come back.
            chunk: Frames that go through the backbone together; no frame is given back before they are there.
            device: As :meth:`scorer` takes it, as the next.
            precision: ``32`` or ``bf16``.
            explain: Number of an AU, to say as well where in the crops it was seen.
            apart: Whether each frame is a photo, and nobody is who they were in the one before.
        """
        scorers: dict[int, Scorer] = {}
        frames = iter(frames)
        while some := list(itertools.islice(frames, chunk)):
            values: list[dict[int, Intensities]] = [{} for _ in some]
            heat: list[dict[int, Intensities]] = [{} for _ in some]
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
                    if explain is None:
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
                yield Scored(frame, faces, values[place], heat[place])

    def save(self, path: str | Path) -> None:
        """Writes the model as one ``.aulight`` file, under a temporary name that is changed when it is whole.

        Raises:
            AulightError: For a model that was read from an ``.onnx`` file.
        """
        if self.network is None:
            raise AulightError("an .onnx file has no weights to write; export the run or the .aulight file it is from")
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in self.network.state_dict().items()}
        write_sealed(Path(path), safetensors.torch.save(weights, self.description.header()))


def _picture(image: Any) -> Frames:
    """A picture as given from outside, if it is one."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        kind = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise AulightError(f"stream: a frame is {kind}; uint8 (height, width, 3), RGB, is needed")
    return image
