"""From the frames of a video to intensities, by stages side by side.

Decoding, landmarks and network hand frames to each other; none holds more than some of them, however long the video.
"""

import hashlib
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aulight.data.faces.aligner import KNOWN, SMOOTH_S, FaceAligner, counted
from aulight.data.faces.crop import Present, uncut
from aulight.data.faces.model_file import digest_of_another, model_file
from aulight.data.video.types import RawFrame
from aulight.errors import AulightError
from aulight.facs import column
from aulight.prediction.after.reference import References
from aulight.prediction.clock import Clock
from aulight.prediction.columns import columns_of
from aulight.prediction.companion import ScoredBy, Wanted
from aulight.prediction.rows import Scored
from aulight.prediction.untrained import CROP, EMPTY, SIDES, TABLE, Untrained, notes
from aulight.processes import Item, ahead, cpus
from aulight.settings.model import DEFAULT
from aulight.settings.predict import FoundFaces, PredictSettings, unusable

if TYPE_CHECKING:  # it takes torch along, which is not needed with model=table
    from aulight.prediction.model import Model

AHEAD = 4
"""Frames that a stage has ready for the next."""

NO_PICTURE = np.empty((0, 0, 3), np.uint8)


class Pipeline:
    """Scores the frames of one video after the other, as set.

    Args:
        settings: Of the command.

    Attributes:
        model: What scores them; ``None`` for the landmarker's own scores by the table.
        from_rest: Whether each person's rest is taken away from the landmarker's own scores, but for photos.
        precision: What the network computes in, ``32`` or ``bf16``.
        finds: Whether faces are found.
        everybody: Whether all of them are followed.
        max_faces: How many are looked for; ``None`` where none are found.
        another_landmarker: SHA-256 of the face landmarker's file, where it is not the usual one.
        smooth_s: Over how many seconds the movement of their crops is smoothed.
        columns: Names of the AUs.
        intervals: How far prediction intervals reach, if that is known.
        beside: What else is said of faces.
        square: Side of the square in the middle of a picture that is taken, where no faces are found.
        step_s: Seconds in which the model's recurrence goes on; ``None`` where there is none.
        crowded: In how many frames of the video that was scored last there were more faces than are looked for.

    Raises:
        AulightError: For a model that cannot be read, or does not have what is wanted of it.
    """

    def __init__(self, settings: PredictSettings) -> None:
        self._settings = settings
        self._device, self._explain = settings.device, settings.explain
        self.precision: str = "32" if settings.by_table and settings.precision == "auto" else settings.precision
        self.model = None if settings.by_table else self._load(settings.model or DEFAULT)
        self.from_rest = settings.baseline == "rest"
        self._of_film = settings.baseline == "person"
        self.finds = self.model is None or self.model.finds_faces(settings.faces.find)
        found = settings.faces if isinstance(settings.faces, FoundFaces) and self.finds else None
        self.everybody = isinstance(settings.faces, FoundFaces) and settings.faces.all
        if self.everybody and not self.finds:
            raise AulightError("faces.all=true: the model learned from faces as they came; add faces=mediapipe")
        sides = SIDES if self.model is None else self.model.sides
        self.beside = columns_of(settings.columns, settings.present_from, settings.min_quality, self.finds, sides)
        self.max_faces = None if found is None else found.max_faces
        about = None if self.model is None else self.model.description
        self.smooth_s = SMOOTH_S if about is None else about.smooth_s
        self._crop_size = CROP if about is None else about.crop_size
        given = None if found is None else found.landmarker
        self._landmarker = model_file(None if given is None else Path(given).expanduser()) if self.finds else None
        self.another_landmarker = None if self._landmarker is None else digest_of_another(self._landmarker)
        self._side_by_side = True
        scores = self.model or Untrained()
        self.columns, self.intervals = scores.columns, scores.intervals
        self.square = None if self.model is None or self.finds else self.model.size
        self.step_s = None if self.model is None else self.model.step_s
        self.crowded = 0
        rest = settings.reference
        if self.model is not None and rest is not None and (problem := unusable(rest, self.model.relative)) is not None:
            raise AulightError(f"reference={rest}: {problem}")

    def relates(self, live: bool, apart: bool) -> bool:
        """Whether people's references are to be taken away when all frames are there.

        Args:
            live: As of :meth:`scored`, as the next.
            apart: As there.
        """
        return self.model is not None and self.model.relative and self._explain is None and not (live or apart)

    def references(self) -> References:
        """What takes them away, of a film."""
        settings = self._settings
        how = self.intervals, settings.coverage, settings.present_from
        return References(self.columns, settings.reference, *how)

    def _load(self, given: str) -> "Model":
        from aulight.prediction.loading import load

        model = load(given)
        self._device, self.precision = model.settled(self._device, self.precision)
        scorer = model.scorer(self._device, self.precision)  # says what is wrong with them
        if self._explain is not None:
            scorer.explain(np.empty((0, 1, 1, 3), np.uint8), self._explain)
        return model

    @property
    def precision_note(self) -> str | None:
        """What is to be said of the precision: why it was taken, or that it is slow here."""
        if self.model is None or self._settings.precision == "32":
            return None
        from aulight.nets.precision import choose, slow_bf16

        if self._settings.precision == "auto":
            why = choose(self._device).why if self.model.network is not None else ""
            return f"precision={self.precision}: {why}" if why else None
        warning = slow_bf16(self._device)
        return None if warning is None else f"precision={self.precision}: {warning}"

    def about(self, apart: bool) -> ScoredBy:
        """What the scores are from, as the companion files say it.

        Args:
            apart: As of :meth:`scored`.
        """
        if self.model is None:
            names = {column(au): " or ".join(names) for au, names in TABLE.items()}
            note = "; ".join(notes(self.from_rest and not apart, self._of_film and not apart))
            return ScoredBy(kind="blendshapes", calibrated=False, note=note, blendshapes=names, empty=EMPTY)
        about = self.model.description
        known = ScoredBy(
            kind="trained",
            calibrated=True,
            file=str(self.model.file.resolve()),
            sha256=hashlib.sha256(self.model.file.read_bytes()).hexdigest(),
            name=about.name,
            dataset=about.dataset.model_dump(),
            arm=about.arm,
            label_fraction=about.label_fraction,
            versions=about.versions,
        )
        return known if about.caution is None else known.model_copy(update={"note": about.caution})

    def wanted(self) -> Wanted:
        """The settings that the files of a film depend on."""
        settings, beside = self._settings, self.beside
        wanted = Wanted(
            format=settings.format,
            coverage=settings.coverage,
            plot=settings.plot,
            fps=settings.fps,
            overlay=settings.overlay or settings.explain is not None,
            explain=settings.explain,
            precision=self.precision,
            faces="mediapipe" if self.finds else "none",
            all=self.everybody,
            max_faces=self.max_faces,
            baseline=settings.baseline,
            landmarker=self.another_landmarker,
            start=settings.start,
            end=settings.end,
            every=settings.every,
            rate=settings.rate,
            rotate=settings.rotate,
            columns=beside.groups,
            present_from=beside.present_from if beside.presence else None,
            min_quality=settings.min_quality,
            reference=None if settings.reference is None else (settings.reference[0], settings.reference[1]),
        )
        return wanted.model_copy(update={"smooth_s": self.smooth_s}) if self.finds else wanted

    @property
    def on_gpu(self) -> bool:
        """Whether the network runs on one."""
        return self.model is not None and self._device.startswith("cuda")

    def share_cpus(self, processes: int) -> None:
        """Divides the CPUs among so many processes that do the same, and within this one among its stages."""
        self._side_by_side = cpus() >= 2 * processes
        if self.model is not None:
            import torch

            torch.set_num_threads(max(1, cpus() // processes - self.finds))  # one finds faces

    def scored(
        self,
        film: Callable[[], Iterator[RawFrame]],
        clock: Clock,
        report: Callable[[int], object] = lambda _: None,
        pictures: bool = False,
        live: bool = False,
        apart: bool = False,
    ) -> Generator[Scored, None, None]:
        """The frames of one video and the people in them, scored, by stages side by side where there are CPUs to spare.

        Where faces are found, the video is read twice: who is who shows at its end.

        Args:
            film: Begins to read the video, with :func:`aulight.data.video.raw.raw_frames`, or opens a camera.
            clock: What to count time with.
            report: Told of so many more frames.
            pictures: Whether to keep the frames' pictures; else they are let go once the faces are cut out.
            live: One frame at a time, and all of them once.
            apart: Whether the frames are photos, which have nothing to do with each other.
        """
        with ExitStack() as threads:

            def aside(items: Generator[Item, None, None]) -> Generator[Item, None, None]:
                return ahead(items, 1 if live else AHEAD) if self._side_by_side or live else items

            def network(present: Iterator[Present]) -> Iterator[Scored]:
                if self.model is None:
                    most = 2 * KNOWN if live else None  # nobody else is known again
                    return Untrained().score(present, self.from_rest and not apart, most)
                from aulight.prediction.estimator import CHUNK

                whole = self.relates(live, apart)
                return self.model.score(
                    present, 1 if live else CHUNK, self._device, self.precision, self._explain, apart, whole
                )

            def decoded() -> Generator[RawFrame, None, None]:
                return clock.made_by("landmarks", aside(clock.made_by("decode", film())), -1)

            people = clock.made_by("landmarks", self._people(decoded, report, pictures, live, apart))
            present = threads.enter_context(closing(aside(people)))
            yield from threads.enter_context(closing(aside(clock.stage("network", network, present))))

    def _people(
        self,
        film: Callable[[], Generator[RawFrame, None, None]],
        report: Callable[[int], object],
        pictures: bool,
        live: bool,
        apart: bool,
    ) -> Iterator[Present]:
        """The people in frames, cut out as the model knows them."""
        self.crowded = 0
        with ExitStack() as stack:

            def read() -> Iterator[RawFrame]:
                return stack.enter_context(closing(film()))

            if self.max_faces is None:
                present = uncut(counted(read, report), self._crop_size if self.square is None else self.square)
            else:
                shapes, measure = self.model is None or self.beside.shapes, self.beside.measure
                aligner = stack.enter_context(
                    FaceAligner(self._crop_size, shapes, self.max_faces, self.smooth_s, self._landmarker, measure)
                )
                present = self._counted(aligner, aligner.people(read, report, self.everybody, live, apart))
            for frame, there in present:
                yield frame if pictures else replace(frame, image=NO_PICTURE), there

    def _counted(self, aligner: FaceAligner, present: Iterator[Present]) -> Iterator[Present]:
        """The same; notes how often there were more faces than are looked for."""
        for item in present:
            self.crowded = aligner.crowded
            yield item
        self.crowded = aligner.crowded
