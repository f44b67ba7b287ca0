"""What has intensities to say of faces: how it is asked in Python, in the words and with the defaults of the command.

:class:`aulight.prediction.model.Model` is a trained one, :class:`aulight.prediction.table.RuleTable` the one without a
model.
"""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Literal

import pandas as pd

from aulight.data.faces.aligner import MAX_FACES, FaceAligner, counted
from aulight.data.faces.crop import Present, uncut
from aulight.data.video.photos import Pictures
from aulight.data.video.types import USUAL_FPS, Frames, RawFrame
from aulight.errors import AulightError, VideoError
from aulight.prediction.after.reference import References
from aulight.prediction.columns import USUAL, columns_of
from aulight.prediction.given import Input, given, part_of, paths_of, picture
from aulight.prediction.rows import Row, Scored, Table
from aulight.scoring.conformal import Intervals
from aulight.settings.predict import PRESENT_FROM, unusable

CHUNK = 16
"""Frames of a video that go through a network together."""

COVERAGE = 0.9
"""Of prediction intervals, as ``conf/predict/predict.yaml`` has it."""

Progress = Callable[[int, int | None], object]
"""Told how many frames are done, and of about how many, where that is known."""

Faces = Literal["auto", "mediapipe", "none"]
Baseline = Literal["none", "rest"]


class Estimator(ABC):
    """Estimates AU intensities in films, photos and streams.

    Attributes:
        aus: Numbers of its AUs.
        columns: Their names, ``AU01`` ...
        intervals: How far its prediction intervals reach; ``None`` if it has none.
        size: Height and width of the faces that it takes, in pixels.
        crop_size: Side of the faces that are cut out of pictures, in pixels.
        smooth_s: Seconds over which their crops' movement is smoothed.
        step_s: Seconds in which its recurrence goes on; ``None`` where it has none.
        blendshapes: Whether it needs those of the landmarker.
        sides: Its columns of left and right, ``AU02_left``, ``AU02_right`` ...; none where it does not tell them apart.
        relative: Whether each person's reference (:mod:`aulight.nets.reference`) is taken away.
    """

    aus: Sequence[int]
    columns: list[str]
    intervals: Intervals | None
    size: int
    crop_size: int
    smooth_s: float
    step_s: float | None = None
    blendshapes = False
    sides: Sequence[str] = ()
    relative = False

    @abstractmethod
    def finds_faces(self, faces: str) -> bool:
        """Whether faces are to be found and aligned, by the setting that :meth:`predict` describes.

        Raises:
            AulightError: For another setting.
        """

    @abstractmethod
    def say(
        self, frames: Iterator[Present], chunk: int, device: str, precision: str, apart: bool, baseline: Baseline
    ) -> Iterator[Scored]:
        """Scores the people in the frames of one video.

        Args:
            frames: The frames and the people in them.
            chunk: Frames that are scored together.
            device: As of :meth:`predict`, as the next.
            precision: As there.
            apart: Whether each frame is a photo.
            baseline: As of :meth:`predict`.

        Returns:
            They, with references still to be taken away where ``relative`` is true and the frames are a film of which
            several are scored together.
        """

    def predict(
        self,
        video: Input,
        fps: float = USUAL_FPS,
        *,
        faces: Faces = "auto",
        all: bool = False,
        max_faces: int = MAX_FACES,
        coverage: float | None = COVERAGE,
        baseline: Baseline = "none",
        columns: Sequence[str] = USUAL,
        min_quality: float | None = None,
        pictures: Pictures = "auto",
        start: float | None = None,
        end: float | None = None,
        every: int | None = None,
        rate: float | None = None,
        rotate: int = 0,
        device: str = "auto",
        precision: str = "32",
        progress: Progress | None = None,
        everybody: bool | None = None,
        reference: tuple[float, float] | None = None,
    ) -> pd.DataFrame:
        """Intensities in every frame of a video, or in photos; words and defaults are those of ``aulight predict``.

        Args:
            video: A video file, a photo or a folder of pictures; a folder of any of these, a list of paths, or a
                pattern as ``videos/**/*.mp4``; an array ``(T, H, W, 3)`` or ``(H, W, 3)`` of uint8 RGB, a list of
                arrays, a PIL image or a list of them. Arrays in a list are a film, PIL images are photos.
            fps: Frames per second of pictures; a video says its own.
            faces: ``mediapipe`` finds and aligns faces; ``none`` takes the square in the middle of each picture, for
                those that are aligned already; ``auto`` does as was done for the dataset that the model was trained on.
            all: Follow all faces (``faces.all``), not only that of the person who is seen longest.
            max_faces: People looked for in a frame (``faces.max_faces``).
            coverage: Of prediction intervals, ``AU01_lo`` and ``AU01_hi`` ..., if the model is calibrated; ``None``:
                without.
            baseline: Of the table alone; ``rest``: each person's own, as seen so far, is taken away.
            columns: Of :data:`aulight.prediction.columns.GROUPS`: what is said of faces that are found, beside the AUs.
            min_quality: Faces of less quality get no intensities.
            pictures: ``film`` or ``photos``, where ``auto`` gets it wrong.
            start: Second of a film to begin at, by its own clock; frames keep their numbers and times.
            end: Second to end before.
            every: Score each so many-th frame of a film.
            rate: Or so many frames a second.
            rotate: Degrees by which pictures are turned, clockwise: 0, 90, 180 or 270.
            device: Where a network runs, as torch names it; ``auto``: on a GPU where there is one.
            precision: ``32``, ``bf16``, or ``auto``: the faster one here.
            progress: Told how many frames are done, and of about how many.
            everybody: Former word for ``all``.
            reference: Of films, of a model with a reference: seconds from and to in which faces are at rest; ``None``:
                all frames of each person tell where their face lies.

        Returns:
            A row for each face of each frame, in the columns of :mod:`aulight.prediction.rows`; of several videos with
            their names in front, as ``video``.

        Raises:
            AulightError: For what cannot be scored, or when a video cannot be read to its end.
        """
        everybody = _renamed(everybody, all)
        how = _How(self, faces, everybody, max_faces, coverage, baseline, columns, min_quality, device, precision)
        if reference is not None and (problem := unusable(reference, self.relative)) is not None:
            raise AulightError(f"reference={reference}: {problem}")
        part = part_of(start, end, every, rate, rotate, self.step_s)
        paths = paths_of(video)
        several = {"": video} if paths is None else paths
        square = None if how.find else self.size
        films = {name: given(one, fps, pictures, part, square) for name, one in several.items()}
        counts = [film.frames or 0 for film in films.values()]
        counting = _Counting(progress, sum(counts) if 0 not in counts else None)
        tables = list[pd.DataFrame]()
        for name, film in films.items():
            names, said = how.rows(film.film, CHUNK, film.photos, counting)
            table = pd.DataFrame(said, columns=names)
            if how.relates(CHUNK, film.photos):
                people = References(self.columns, reference, self.intervals, coverage, PRESENT_FROM)
                people.add(table)
                table = people.less(table, people.levels())
            if film.problems:
                raise VideoError("; ".join(dict.fromkeys(film.problems)))
            if paths is not None:
                table.insert(0, "video", name)
            tables.append(table)
        return tables[0] if paths is None else pd.concat(tables, ignore_index=True)

    def stream(
        self,
        frames: Iterable[Frames],
        fps: float,
        *,
        faces: Faces = "auto",
        all: bool = False,
        max_faces: int = MAX_FACES,
        coverage: float | None = COVERAGE,
        baseline: Baseline = "none",
        columns: Sequence[str] = USUAL,
        min_quality: float | None = None,
        device: str = "auto",
        precision: str = "32",
        everybody: bool | None = None,
    ) -> Iterator[Row]:
        """Intensities in frames as they come: rows as :meth:`predict` gives them, in order.

        A row comes about 0.3 s after its frame, since the crop follows what the head does next as well; the first ones
        after 0.5 s, once it is clear whose face is the largest: that person is followed, since nobody knows yet who
        will be seen longest.

        Args:
            frames: Whole pictures ``(H, W, 3)`` uint8 RGB, or PIL images.
            fps: How many of them are a second.
            faces: As of :meth:`predict`, and all that follow.
            all: As there.
            max_faces: As there.
            coverage: As there.
            baseline: As there.
            columns: As there.
            min_quality: As there.
            device: As there.
            precision: As there.
            everybody: As there.

        Raises:
            AulightError: For a frame of another kind.
        """
        everybody = _renamed(everybody, all)
        how = _How(self, faces, everybody, max_faces, coverage, baseline, columns, min_quality, device, precision)
        numbered = (RawFrame(number, number / fps, picture(image)) for number, image in enumerate(frames))
        return how.rows(lambda: numbered, 1, False, lambda _: None)[1]


class _Counting:
    """Tells of frames that are done, of how many."""

    def __init__(self, progress: Progress | None, total: int | None) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def __call__(self, more: int) -> None:
        self._done += more
        if self._progress is not None and more:
            self._progress(self._done, self._total)


class _How:
    """How frames are scored, as it was asked for; raises where that cannot be."""

    def __init__(
        self,
        estimator: Estimator,
        faces: str,
        everybody: bool,
        max_faces: int,
        coverage: float | None,
        baseline: Baseline,
        columns: Sequence[str],
        min_quality: float | None,
        device: str,
        precision: str,
    ) -> None:
        self._estimator, self._coverage, self._baseline = estimator, coverage, baseline
        self._device, self._precision, self._everybody, self._max_faces = device, precision, everybody, max_faces
        self.find = estimator.finds_faces(faces)
        self._beside = columns_of(columns, PRESENT_FROM, min_quality, self.find, estimator.sides)
        if baseline not in ("none", "rest"):
            raise AulightError(f"baseline={baseline}: one of none, rest is needed")
        if max_faces < 1:
            raise AulightError(f"max_faces={max_faces}: at least 1 is needed")
        if everybody and not self.find:
            raise AulightError("all=True: the model learned from faces as they came; add faces='mediapipe'")

    def relates(self, chunk: int, photos: bool) -> bool:
        """Whether references are to be taken away when all rows are there; arguments as of :meth:`rows`."""
        return self._estimator.relative and chunk > 1 and not photos

    def rows(
        self, film: Callable[[], Iterable[RawFrame]], chunk: int, photos: bool, report: Callable[[int], object]
    ) -> tuple[list[str], Iterator[Row]]:
        """Names of the columns, and the rows.

        Args:
            film: Begins to read frames; of a stream (``chunk`` 1) it is called once.
            chunk: Frames that are scored together.
            photos: Whether they are photos.
            report: Told of so many more frames.
        """
        estimator = self._estimator
        own = self.relates(chunk, photos)
        table = Table(estimator.columns, estimator.intervals, self._coverage, photos, self._beside, own)

        def said() -> Iterator[Row]:
            with ExitStack() as stack:
                if not self.find:
                    present = uncut(counted(film, report), estimator.size)
                else:
                    shapes = estimator.blendshapes or self._beside.shapes
                    crops = estimator.crop_size, shapes, self._max_faces, estimator.smooth_s
                    aligner = stack.enter_context(FaceAligner(*crops, measure=self._beside.measure))
                    live = chunk == 1  # a film that nobody can read twice
                    present = aligner.people(film, report, self._everybody, live, photos)
                scores = estimator.say(present, chunk, self._device, self._precision, photos, self._baseline)
                for scored in scores:
                    if not scored.frame.between:
                        yield from table.rows(scored)

        return table.names, said()


def _renamed(everybody: bool | None, now: bool) -> bool:
    """The value of ``all``, also under the word that it had."""
    if everybody is None:
        return now
    warnings.warn("everybody= is called all= now, as faces.all", DeprecationWarning, stacklevel=3)
    return everybody
