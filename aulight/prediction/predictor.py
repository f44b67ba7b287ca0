"""AU intensities of videos as tables, with pictures of what was seen, if wished: one video after the other."""

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from aulight.data import marks
from aulight.data.video.images import is_folder
from aulight.data.video.part import Part, turned
from aulight.data.video.photos import photos_at
from aulight.data.video.raw import late_start, part_frames, raw_frames, raw_info
from aulight.data.video.types import Frames, RawFrame, RawInfo
from aulight.data.video.write import write_video
from aulight.errors import AulightError, VideoError, shorten
from aulight.facs import MAX_INTENSITY
from aulight.files import Taken, alone, scratch
from aulight.prediction.after.make import Picture, asked_of, endings, make_after, refresh
from aulight.prediction.after.moments import Moments, by_time
from aulight.prediction.after.records import ELAN, EVENTS, FACES, MOST_PEOPLE
from aulight.prediction.after.reference import take_references_away
from aulight.prediction.after.table import read_table, take_rest_away
from aulight.prediction.clock import Clock
from aulight.prediction.companion import Companion, Wanted, make_room, put, read_companion
from aulight.prediction.overlay import Overlay
from aulight.prediction.pipeline import Pipeline
from aulight.prediction.problems import ENDS_LIVE, told, until_damaged
from aulight.prediction.recording import recording
from aulight.prediction.rows import Table, Tally
from aulight.prediction.untrained import FROM_REST_OF_FILM, NOTE, notes
from aulight.prediction.useless import for_all, for_film, for_photos
from aulight.prediction.videos import OVERLAY, Source, Video, about
from aulight.prediction.writing import PARTIAL, Rows, of_one_size
from aulight.scoring.conformal import SUBJECTS
from aulight.settings.predict import PART, PredictSettings
from aulight.version import __version__

MANY = f"{{:,}} people; of the {MOST_PEOPLE} seen longest numbers are summed up, the table has all"

PHOTOS_A_SECOND = 1.0
"""In the video with bars."""


@dataclass(frozen=True)
class Found:
    """What came of a video.

    Attributes:
        tally: How many frames were scored, and what was in them.
        problem: Why there are no more, or ``None`` when it is whole.
        photos: Whether the frames are photos, each on its own.
        taken: Whether that is because another process is scoring it.
        notes: What is odd about the video.
    """

    tally: Tally = field(default_factory=Tally)
    problem: str | None = None
    photos: bool = False
    taken: bool = False
    notes: tuple[str, ...] = ()


class Predictor:
    """Scores videos one after the other, as set, and writes what is wanted of them.

    Args:
        settings: Of the command.

    Attributes:
        output: The folder that it writes into.
        pipeline: What scores them.

    Raises:
        AulightError: For a model that cannot be read, or does not have what is wanted of it.
    """

    def __init__(self, settings: PredictSettings) -> None:
        self._settings = settings
        self.output = Path(settings.output).expanduser()
        self.pipeline = Pipeline(settings)
        self._asked = asked_of(settings)
        self._shows_faces = settings.thumbnails and (settings.plot or self._asked.faces)
        self._table(photos=False)  # says what is wrong with the coverage before the work
        self._about = {apart: self.pipeline.about(apart) for apart in (False, True)}
        self.part = Part(settings.start, settings.end, settings.every, settings.rate, settings.rotate)
        if self.pipeline.step_s is not None:
            self.part = replace(self.part, step_s=self.pipeline.step_s)
        self._wanted = self.pipeline.wanted()

    def file(self, video: Video) -> Path:
        """The table of a video."""
        return self.output / f"{video.name}.{self._settings.format}"

    @property
    def min_quality(self) -> float | None:
        """Faces of less quality get no intensities."""
        return self._settings.min_quality

    @property
    def untrained(self) -> bool:
        """Whether the scores are the landmarker's own."""
        return self.pipeline.model is None

    @property
    def notes(self) -> list[str]:
        """What a reader of the summary should know."""
        person = self._settings.baseline == "person"
        if self.untrained:
            return notes(self.pipeline.from_rest, of_film=person)
        model = self.pipeline.model
        lines = [FROM_REST_OF_FILM] if person else []
        if model is not None and (caution := model.description.caution) is not None:
            lines.append(f"the model {model.description.name} {caution}")
        if self._settings.faces.find == "auto" and not self.pipeline.finds:
            lines.append(
                "the model learned from faces as they came: the square in the middle of each frame was taken; "
                "faces=mediapipe finds faces"
            )
        columns, intervals, coverage = self.pipeline.columns, self.pipeline.intervals, self._settings.coverage
        if intervals is not None and coverage is not None:
            _, high = intervals.around(np.zeros((1, len(columns)), np.float32), coverage)
            if empty := [au for au, end in zip(columns, high[0], strict=True) if end >= MAX_INTENSITY]:
                lines.append(
                    f"intervals of {shorten(empty)} say nothing: too few validation subjects for coverage={coverage}; "
                    f"{SUBJECTS} can promise 0.9, fewer less"
                )
        return lines

    def useless(self, videos: Iterable[Video]) -> list[str]:
        """What was asked for and changes nothing for any of these videos."""
        return for_all(self._settings, [is_folder(video.path) for video in videos])

    @property
    def note(self) -> str:
        """What is to be known beside the numbers in a picture, in ASCII."""
        model = self.pipeline.model
        rest = ", from each person's rest" if self._settings.baseline != "none" else ""
        if model is None:
            return f"{NOTE}{rest}"
        said = [model.description.name.encode("ascii", "replace").decode()]
        if model.description.caution is not None:
            said.append(model.description.caution)
        if self.pipeline.intervals is not None and self._settings.coverage is not None:
            said.append(f"{self._settings.coverage:.0%} intervals")
        return ", ".join(said) + rest

    def done(self, video: Video) -> Found | None:
        """What came of a video before, if all that is wanted is there and neither it nor the model has changed."""
        record = read_companion(self.output, video.name)
        if record is None or not record.whole or not record.model.same(self._about[False]):
            return None
        try:
            photos = photos_at(video.path, self._settings.pictures) is not None
        except VideoError:
            return None
        wanted = self._wanted_of(photos).with_pictures_of(record.settings)
        if (record.settings, record.aulight) != (wanted, __version__):
            return None
        if not record.source.is_unchanged(video.path):
            return None
        folder = (self.output / video.name).parent
        missing = [name for name in record.files if not (folder / name).is_file()]
        if any(not name.endswith((EVENTS, ELAN, FACES)) for name in missing):  # these are made of the table
            return None
        tally = Tally(
            record.frames,
            record.frames_with_a_face,
            record.frames_not_followed,
            record.faces_elsewhere,
            record.frames_with_more_faces,
            record.faces_emptied,
        )
        return Found(tally, photos=photos, notes=tuple(record.notes))

    def make_room(self, video: Video) -> None:
        """Sees to it that the files of a video can be written.

        Raises:
            AulightError: When there are files that are not ours to replace.
        """
        pictures = {OVERLAY: self._wanted.overlay, ".png": self._wanted.plot}
        wanted = [f".{self._settings.format}", *(ending for ending, drawn in pictures.items() if drawn)]
        make_room(self.output, video, [*wanted, *endings(self._asked)])

    def refresh(self, video: Video) -> None:
        """Makes what is made of its table anew, of a video that was done before, where the settings of that differ.

        Raises:
            AulightError: When there are files that are not ours to replace.
        """
        refresh(self.output, video, self._asked)

    def make(self, video: Video, report: Callable[[int], Any]) -> Found:
        """Scores a video and writes what is wanted of it, unless not even one frame can be read.

        Args:
            video: The video.
            report: Told of so many more frames, one at a time.
        """
        problems: list[str] = []
        try:
            photos, source = photos_at(video.path, self._settings.pictures), about(video.path, True, report)
            info = RawInfo(PHOTOS_A_SECOND, None) if photos else raw_info(video.path, self._settings.fps, report=report)
        except VideoError as error:
            return Found(problem=str(error))

        def film() -> Iterator[RawFrame]:
            if photos is not None:
                photo = photos.frames(problems)
                return (replace(one, image=turned(one.image, self.part.degrees)) for one in photo)
            if self.part.whole:
                some = raw_frames(video.path, self._settings.fps, self.pipeline.square)
            else:
                some = part_frames(video.path, self._settings.fps, self.pipeline.square, self.part, info.fps)
            return until_damaged(some, problems, video.path)

        odd = [] if info.note is None else [info.note]
        if photos is None and is_folder(video.path) and self._settings.pictures == "auto":
            film_of = f"{info.frames:,} frames at {info.fps:.4g} fps"
            odd.append(f"{video.path}: pictures taken for a film of {film_of}; pictures=photos scores each on its own")
        return self.write(video, film, info.fps, source, problems, report, odd=odd, apart=photos is not None)

    def write(
        self,
        video: Video,
        film: Callable[[], Iterator[RawFrame]],
        fps: float,
        source: Source,
        problems: list[str],
        report: Callable[[int], Any],
        live: bool = False,
        show: Callable[[Frames], Any] | None = None,
        apart: bool = False,
        odd: Sequence[str] = (),
    ) -> Found:
        """Scores frames and writes what is wanted of them, under other names until all of it is there.

        Args:
            video: What the files are to be called.
            film: Begins to read the frames, as :meth:`Pipeline.scored` takes it.
            fps: How many of them are a second, by the usual step.
            source: What the companion file says of where they are from.
            problems: Holds the reason, when ``film`` has ended before its end.
            report: As of :meth:`make`.
            live: Whether to score one frame at a time, as they come.
            show: Shows pictures with bars, as they come.
            apart: Whether the frames are photos, as :meth:`Pipeline.scored` has it.
            odd: What is odd about the video.
        """
        wanted = self._wanted_of(apart)
        clock, begin, tally = Clock(), time.perf_counter(), Tally()
        folder, stem = (self.output / video.name).parent, Path(video.name).name
        relates = self.pipeline.relates(live, apart)
        table, overlay = self._table(apart, relates), Overlay(self.pipeline.columns, self.note, wanted.explain)
        later = wanted.overlay and (relates or wanted.baseline == "person")  # a person's rest is known at the end
        pictures = (wanted.overlay and not later) or show is not None
        moments = Moments(self.pipeline.columns, apart) if self._shows_faces else None
        with closing(self.pipeline.scored(film, clock, report, pictures, live, apart)) as frames:
            stream = until_damaged(frames, problems, video.path, ENDS_LIVE if live else ())
            first = next(stream, None)
            if first is None:
                return Found(problem=told(problems) or f"{video.path}: no frames came")
            late = None if self.part.start_s else late_start(video.path, first.frame.time_s, fps)
            for_others = for_photos(self._settings) if apart else for_film(self._settings, fps)
            notes = [*odd, *for_others, *([late] if late else [])]
            begins_s = 0.0 if live else self.part.start_s or 0.0
            times = list[float]()  # of the pictures

            def written(rows: Rows) -> Iterator[Frames]:
                for scored in itertools.chain([first], clock.made_by("writing", stream, -1)):
                    if scored.frame.between:
                        continue
                    rows.add(table.rows(scored))
                    tally.add(scored)
                    if moments is not None:
                        moments.add(scored)
                    if wanted.overlay:
                        times.append(scored.frame.time_s - begins_s)
                    if later:
                        overlay.keep(scored)
                    if pictures:
                        picture = overlay.now(scored, table, tally.frames)
                        if show is not None:
                            show(picture)
                        yield picture

            def draw(drawn: Iterator[Frames]) -> None:
                pictures_by = None if apart else times  # all photos are at 0
                write_video(made / f"{stem}{OVERLAY}", of_one_size(drawn), fps, times=pictures_by, made=marks.OVERLAY)

            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise AulightError(f"output={self.output}: cannot be made ({error.strerror}); give another") from error
            try:
                with alone(folder / f"{stem}.json", f"{video.path}: another process is scoring it"):
                    if not live and (found := self.done(video)) is not None:
                        return found  # by another process, meanwhile
                    self.make_room(video)
                    with recording(folder, stem) if live else scratch(folder) as made:
                        file = made / f"{stem}.{wanted.format}"
                        start = time.perf_counter()
                        with Rows(file, table.names) as rows:
                            if wanted.overlay and not later:
                                draw(written(rows))
                            else:
                                deque(written(rows), maxlen=0)
                        tally.crowded, tally.emptied = self.pipeline.crowded, table.emptied
                        if relates:
                            take_references_away(file, self.pipeline.references())
                        rest = self._level(file) if wanted.baseline == "person" else {}
                        if later:
                            draw(overlay.after(_read_again(film(), report), file))
                        scores = read_table(file, ends=wanted.plot)
                        strongest = [] if moments is None else moments.chosen(scores)
                        after = make_after(scores, made, video, self.output, self._asked, strongest)
                        if after.more_people:
                            notes.append(f"{video.path}: {MANY.format(len(after.people) + after.more_people)}")
                        kept = {str(person.face_id) for person in after.people}
                        rest = {person: level for person, level in rest.items() if person in kept}
                        if wanted.plot:
                            self._plot(scores, made / f"{stem}.png", video.name, apart, strongest)
                        clock.seconds["writing"] += time.perf_counter() - start
                        problems += [] if live else source.change(video.path)
                        if problems:
                            for path in list(made.iterdir()):
                                path.rename(f"{path}{PARTIAL}")
                        record = Companion(
                            source=source,
                            whole=not problems,
                            problem=told(problems),
                            files=sorted(path.name for path in made.iterdir()),
                            fps=fps,
                            notes=notes,
                            frames=tally.frames,
                            frames_with_a_face=tally.seen,
                            frames_not_followed=tally.not_followed,
                            faces_elsewhere=tally.elsewhere,
                            frames_with_more_faces=tally.crowded,
                            faces_emptied=tally.emptied,
                            model=self._about[apart],
                            coverage=wanted.coverage if self.pipeline.intervals is not None else None,
                            settings=wanted,
                            aulight=__version__,
                            seconds={"all": time.perf_counter() - begin, **clock.seconds},
                            after=after.model_copy(update={"rest": rest}) if rest else after,
                        )
                        put(made, self.output, video.name, record)
            except Taken as taken:
                return Found(problem=str(taken), taken=True)
        return Found(tally, told(problems), apart, notes=tuple(notes))

    def _table(self, photos: bool, own: bool = False) -> Table:
        pipeline = self.pipeline
        return Table(pipeline.columns, pipeline.intervals, self._settings.coverage, photos, pipeline.beside, own)

    def _wanted_of(self, photos: bool) -> Wanted:
        if not photos:
            return self._wanted
        return self._wanted.model_copy(
            update={"pictures": "photos", "baseline": "none", "reference": None, **dict.fromkeys(PART)}
        )

    def _level(self, file: Path) -> dict[str, dict[str, float]]:
        """Takes each person's own rest away from a table; what that is."""
        level = file.with_name(f"{file.stem}.level{file.suffix}")
        rest = take_rest_away(file, level, self._settings.present_from)
        level.replace(file)
        return rest

    def _plot(self, table: pd.DataFrame, picture: Path, title: str, photos: bool, strongest: Sequence[Picture]) -> None:
        from aulight.drawing.style import save  # with matplotlib
        from aulight.drawing.timeline import timeline

        if photos:  # one after the other, and no line from one to the next
            table = table.assign(timestamp=table["frame"], frame=2 * table["frame"])
        unit = "photos" if photos else "seconds"
        save(timeline(table, self.pipeline.columns, title, self.note, unit, by_time(strongest)), picture)


def _read_again(frames: Iterator[RawFrame], report: Callable[[int], Any]) -> Iterator[RawFrame]:
    """Those that have rows; they have been counted, but who waits is told that there is progress."""
    for frame in frames:
        report(0)
        if not frame.between:
            yield frame
