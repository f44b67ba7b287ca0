"""A trained model: what it is, and how it scores faces, videos and streams."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from aulight.data.faces.aligner import MAX_FACES, FaceAligner
from aulight.data.faces.crop import Present, uncut
from aulight.data.video.photos import Pictures, photos_at
from aulight.data.video.raw import raw_frames
from aulight.data.video.types import Frames, RawFrame
from aulight.errors import AulightError, VideoError
from aulight.facs import MAX_INTENSITY, column
from aulight.nets.tracks import Times, Which
from aulight.prediction.columns import PRESENT_FROM, USUAL, columns_of
from aulight.prediction.description import ModelDescription
from aulight.prediction.heat import over_crop
from aulight.prediction.rows import Row, Scored, Table
from aulight.prediction.seal import write_sealed
from aulight.scoring.conformal import from_plain

CHUNK = 16
"""Frames of a video that go through the backbone together."""

Intensities = npt.NDArray[np.float32]


class Stream(Protocol):
    """One video through a network; :class:`FrameStream` is the one of torch."""

    def push(self, clip: Tensor, times: Times, faces: Which, anew: Which) -> Tensor:
        """Frames ``(1, n, size, size, 3)`` uint8 to intensities ``(n, AUs)`` float32: :meth:`FrameStream.push`."""

    def explain(self, clip: Tensor, output: int, times: Times, faces: Which, anew: Which) -> tuple[Tensor, Tensor]:
        """The same, and the heat ``(n, h, w)`` float32 of one of them: :meth:`FrameStream.explain`."""


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

    def scorer(self, device: str = "cpu", precision: str = "32") -> "Scorer":
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
        columns: Sequence[str] = USUAL,
        min_quality: float | None = None,
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
            columns: Of :data:`aulight.prediction.columns.GROUPS`: what is said of faces that are found, beside the AUs.
            min_quality: Faces of less quality get no intensities.

        Returns:
            A row for each face of each frame, in the columns of :mod:`aulight.prediction.rows`.

        Raises:
            AulightError: When the video cannot be read to its end.
        """
        path = Path(video).expanduser()
        find = self.finds_faces(faces)
        photos, problems = photos_at(path, pictures), list[str]()
        beside = columns_of(columns, PRESENT_FROM, min_quality, find)
        table = Table(self.columns, self.intervals, coverage, photos is not None, beside)

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
        columns: Sequence[str] = USUAL,
        min_quality: float | None = None,
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
            columns: As there.
            min_quality: As there.

        Raises:
            AulightError: For a frame of another kind.
        """
        numbered = (RawFrame(number, number / fps, _picture(image)) for number, image in enumerate(frames))
        find = self.finds_faces(faces)
        table = Table(
            self.columns, self.intervals, coverage, False, columns_of(columns, PRESENT_FROM, min_quality, find)
        )
        return self._rows(lambda: numbered, find, everybody, table, 1, device, precision)

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
                shapes, measure = table.beside.shapes, table.beside.measure
                aligner = FaceAligner(about.crop_size, shapes, MAX_FACES, about.smooth_s, measure=measure)
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


class Moments(NamedTuple):
    """When frames were taken, and whether they show a face.

    Attributes:
        times: ``(n,)`` float64 seconds, in order.
        faces: ``(n,)`` bool, whether there is a face.
        anew: ``(n,)`` bool, whether it is another person than before, or the face is elsewhere.
    """

    times: Times
    faces: Which
    anew: Which


class Scorer:
    """Scores the aligned faces of one person in one video, in order; :meth:`Model.scorer` makes it."""

    def __init__(self, stream: Stream, size: int, aus: Sequence[int], fps: float, name: str = "model") -> None:
        self._stream, self._size, self._aus, self._fps, self._name = stream, size, tuple(aus), fps, name
        self._next_s = 0.0

    def push(self, crops: Frames, when: Moments | None = None) -> Intensities:
        """Scores the next frames; frames without a face are given as well, cut where the face was.

        Args:
            crops: ``(n, S, S, 3)`` uint8 RGB; any number of frames, of any size.
            when: When each was taken. ``None``: at the rate of the videos that the model learned from, all with a face.

        Returns:
            ``(n, AUs)`` float32, 0..5.
        """
        if not len(crops):
            return np.empty((0, len(self._aus)), np.float32)
        return self._finite(self._stream.push(self._clip(crops), *self._moments(crops, when))).numpy()

    def explain(
        self, crops: Frames, au: int, when: Moments | None = None
    ) -> tuple[Intensities, npt.NDArray[np.float32]]:
        """In place of :meth:`push`: scores the next frames, and says where in each of them one AU is seen.

        Gradient times activation of the network's last map (see :meth:`FrameStream.explain`), made as large as the
        crop. A map has few places (4 x 4 with ``resnet_tiny`` at 64 x 64), so the heat tells the brows from the mouth,
        not one lip from the other. In each frame its peak is the intensity as a share of 5: a face that does not show
        the AU has no heat, where a peak of 1 in every frame would make much of nothing.

        Args:
            crops: ``(n, S, S, 3)`` uint8 RGB; any number of frames, of any size.
            au: Number of the AU.
            when: As of :meth:`push`.

        Returns:
            Intensities ``(n, AUs)`` float32, 0..5, and heat ``(n, S, S)`` float32, 0..1.

        Raises:
            AulightError: For an AU that the model does not have, and for a model that was read from an ``.onnx`` file.
        """
        if au not in self._aus:
            known = ", ".join(map(str, self._aus))
            raise AulightError(f"explain={au}: the model does not know this AU, only {known}")
        if not len(crops):
            return self.push(crops), np.empty(crops.shape[:3], np.float32)
        output = self._aus.index(au)
        intensities, heat = self._stream.explain(self._clip(crops), output, *self._moments(crops, when))
        self._finite(intensities)
        heat = heat * (intensities[:, output] / MAX_INTENSITY)[:, None, None]
        return intensities.numpy(), over_crop(heat, self._size, crops.shape[1]).numpy()

    def _moments(self, crops: Frames, when: Moments | None) -> Moments:
        if when is None:
            count = len(crops)
            times = self._next_s + np.arange(count) / self._fps
            when = Moments(times, np.ones(count, bool), np.zeros(count, bool))
        self._next_s = float(when.times[-1]) + 1 / self._fps
        return when

    def _finite(self, intensities: Tensor) -> Tensor:
        """Intensities as they are, if they are numbers: others come of a damaged model."""
        if not bool(torch.isfinite(intensities).all()):
            raise AulightError(
                f"{self._name}: its scores are not finite numbers; it is damaged, or its training came to nothing"
            )
        return intensities

    def _clip(self, crops: Frames) -> Tensor:
        clip = torch.from_numpy(np.ascontiguousarray(crops))
        if crops.shape[1:3] != (self._size, self._size):
            # what training and evaluation do while they decode
            small = interpolate(clip.permute(0, 3, 1, 2), (self._size, self._size), mode="bilinear", antialias=True)
            clip = small.permute(0, 2, 3, 1)
        torch.set_flush_denormal(True)  # of this thread; features near 0 make a CPU ten times slower otherwise
        return clip[None]
