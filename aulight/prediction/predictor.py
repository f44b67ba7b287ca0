"""``aulight predict``: AU intensities in videos, as tables; with pictures of what was seen, if wished.

Decoding, landmarks, network and writing are stages that hand frames to each other; none holds more than some of them,
however long the video.
"""

import hashlib
import itertools
import json
import multiprocessing
import tempfile
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from aulight.data.faces.aligner import SMOOTH_S, FaceAligner
from aulight.data.faces.crop import Present, uncut
from aulight.data.faces.model_file import model_file
from aulight.data.video.raw import raw_frames, raw_info
from aulight.data.video.types import Frames, RawFrame
from aulight.data.video.write import write_video
from aulight.drawing.annotate import Shown, annotate
from aulight.errors import AulightError, VideoError, shorten
from aulight.facs import MAX_INTENSITY, column
from aulight.prediction.rows import Scored, Table
from aulight.prediction.untrained import NOTE, TABLE, Untrained
from aulight.processes import Item, ahead
from aulight.scoring.conformal import SUBJECTS
from aulight.version import __version__

if TYPE_CHECKING:
    from aulight.prediction.model import Model
from aulight.prediction.videos import OVERLAY, Video, about
from aulight.prediction.writing import PARTIAL, Rows, of_one_size

UNTRAINED_CROP = 128
"""Side of the faces that a picture shows without a model, in pixels."""

NO_PICTURE = np.empty((0, 0, 3), np.uint8)


@dataclass(frozen=True)
class Found:
    """What came of a video.

    Attributes:
        frames: How many were scored.
        seen: In how many of them there is a face.
        problem: Why there are no more, or ``None`` when it is whole.
    """

    frames: int = 0
    seen: int = 0
    problem: str | None = None


class Clock:
    """The seconds that each stage takes by itself, in whichever thread it runs."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def made_by(self, stage: str, items: Iterable[Item], sign: int = 1) -> Iterator[Item]:
        """The same items; the time that it takes to make them counts for a stage."""
        with closing(iter(items)) as made:  # type: ignore[type-var]  # of generators
            while True:
                begin = time.perf_counter()
                try:
                    item = next(made)
                except StopIteration:
                    return
                finally:
                    self.seconds[stage] = self.seconds.get(stage, 0.0) + sign * (time.perf_counter() - begin)
                yield item

    def stage(
        self, stage: str, work: Callable[[Iterator[Item]], Iterable[Any]], items: Iterable[Item]
    ) -> Iterator[Any]:
        """What a stage makes of items; the time that it waits for them does not count for it."""
        return self.made_by(stage, work(self.made_by(stage, items, -1)))


class Predictor:
    """Scores videos one after the other, as configured, and writes what is wanted of them.

    Args:
        config: ``conf/predict/predict.yaml``, in plain containers.

    Attributes:
        about: What the scores are from, as the companion files say it.

    Raises:
        AulightError: For a model that cannot be read, or does not have what is wanted of it.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        faces = config["faces"]
        self.output = Path(str(config["output"])).expanduser()
        self._config, self._explain = config, config["explain"]
        self._device, self._precision = str(config["device"]), str(config["precision"])
        self._overlay = config["overlay"] or self._explain is not None
        self._model = None if config["model"] is None else self._load(str(config["model"]))
        self._finds = self._model is None or self._model.finds_faces(faces["find"])
        self._everybody = faces.get("all", False)
        if self._everybody and not self._finds:
            raise AulightError("faces.all=true: the model learned from faces as they came; add faces=mediapipe")
        given = faces.get("landmarker")
        self._landmarker = model_file(given and Path(str(given)).expanduser()) if self._finds else None
        self._side_by_side = True
        scores = self._model or Untrained()
        self.columns, self._intervals = scores.columns, scores.intervals
        self._names = self._table().names
        self.about = self._describe()
        self._settings = {
            **{key: config[key] for key in ("format", "coverage", "plot", "fps")},
            **{"overlay": self._overlay, "explain": self._explain, "precision": self._precision},
            **{"faces": "mediapipe" if self._finds else "none", "all": self._everybody},
            "max_faces": faces["max_faces"] if self._finds else None,
        }

    def _load(self, given: str) -> "Model":
        import torch

        from aulight.prediction.loading import load

        model = load(given)
        if self._device == "auto":
            self._device = "cuda" if torch.cuda.is_available() and model.network is not None else "cpu"
        scorer = model.scorer(self._device, self._precision)  # says what is wrong with them
        if self._explain is not None:
            scorer.explain(np.empty((0, 1, 1, 3), np.uint8), self._explain)
        return model

    def _describe(self) -> dict[str, Any]:
        if self._model is None:
            names = {column: " or ".join(TABLE[au]) for au, column in zip(Untrained.aus, self.columns, strict=True)}
            return {"kind": "blendshapes", "calibrated": False, "note": NOTE, "blendshapes": names}
        file = self._model.file
        return {
            "kind": "trained",
            "calibrated": True,
            "file": str(file.resolve()),
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            **self._model.description.model_dump(
                mode="json", include={"name", "dataset", "arm", "label_fraction", "versions"}
            ),
        }

    def file(self, video: Video) -> Path:
        """The table of a video."""
        return self.output / f"{video.name}.{self._config['format']}"

    @property
    def untrained(self) -> bool:
        """Whether the scores are the landmarker's own."""
        return self._model is None

    @property
    def notes(self) -> list[str]:
        """What a reader of the summary should know."""
        if self._model is None:
            return [NOTE]
        notes = []
        if self._config["faces"]["find"] == "auto" and not self._finds:
            notes.append("the model learned from faces as they came: the square in the middle of each frame was taken")
            notes[0] += "; faces=mediapipe finds faces"
        if self._intervals is not None and self._config["coverage"] is not None:
            _, high = self._intervals.around(np.zeros((1, len(self.columns)), np.float32), self._config["coverage"])
            if empty := [au for au, end in zip(self.columns, high[0], strict=True) if end >= MAX_INTENSITY]:
                notes.append(
                    f"intervals of {shorten(empty)} say nothing: too few validation subjects for coverage="
                    f"{self._config['coverage']}; {SUBJECTS} can promise 0.9, fewer less"
                )
        return notes

    @property
    def note(self) -> str:
        """What is to be known beside the numbers in a picture, in ASCII."""
        if self._model is None:
            return NOTE
        said = [self._model.description.name.encode("ascii", "replace").decode()]
        if self._intervals is not None and self._config["coverage"] is not None:
            said.append(f"{self._config['coverage']:.0%} intervals")
        return ", ".join(said)

    def share_cpus(self, processes: int) -> None:
        """Divides the CPUs among so many processes that do the same, and within this one among its stages."""
        cpus = multiprocessing.cpu_count()
        self._side_by_side = cpus >= 2 * processes
        if self._model is not None:
            import torch

            torch.set_num_threads(max(1, cpus // processes - self._finds))  # one finds faces

    def done(self, video: Video) -> Found | None:
        """What came of a video before, if all that is wanted is there and neither it nor the model has changed."""
        record = self._record(video.name)
        if record is None or not record["whole"]:
            return None
        pictures = {key: self._settings[key] or record["settings"].get(key) for key in ("overlay", "plot")}
        settings = self._settings | pictures  # pictures that are there are not in the way
        now = {"source": about(video.path), "model": self.about, "settings": settings, "aulight": __version__}
        if any(record.get(key) != value for key, value in json.loads(json.dumps(now)).items() if key != "model"):
            return None
        if any(record["model"].get(key) != self.about.get(key) for key in ("kind", "sha256", "blendshapes")):
            return None
        folder = (self.output / video.name).parent
        if not all((folder / name).is_file() for name in record["files"]):
            return None
        return Found(record["frames"], record["frames_with_a_face"])

    def _record(self, name: str) -> dict[str, Any] | None:
        """The companion file of that name, if there is one that this aulight can read."""
        try:
            record = json.loads((self.output / f"{name}.json").read_text(encoding="utf-8"))
            known = {"whole", "files", "model", "frames", "frames_with_a_face", "settings"} <= record.keys()
        except (OSError, ValueError, AttributeError):
            return None
        return record if known else None

    def make(self, video: Video, report: Callable[[int], Any]) -> Found:
        """Scores a video and writes what is wanted of it, unless not even one frame can be read.

        Args:
            video: The video.
            report: Told of so many more frames, one at a time.
        """
        problems: list[str] = []
        try:
            source, fps = about(video.path), raw_info(video.path, self._config["fps"]).fps
            square = None if self._model is None or self._finds else self._model.size
            frames = raw_frames(video.path, self._config["fps"], square)
        except VideoError as error:
            return Found(problem=str(error))
        return self.write(video, _until_damaged(frames, problems), fps, source, problems, report)

    def write(
        self,
        video: Video,
        frames: Iterator[RawFrame],
        fps: float,
        source: dict[str, Any],
        problems: list[str],
        report: Callable[[int], Any],
        live: bool = False,
        show: Callable[[Frames], Any] | None = None,
    ) -> Found:
        """Scores frames and writes what is wanted of them, under other names until all of it is there.

        Args:
            video: What the files are to be called.
            frames: The frames.
            fps: How many of them are a second, on average.
            source: What the companion file says of where they are from.
            problems: Holds the reason, when ``frames`` has ended before its end.
            report: As of :meth:`make`.
            live: Whether to score one frame at a time, as they come.
            show: Shows pictures with bars, as they come.
        """
        clock, begin, count, seen = Clock(), time.perf_counter(), 0, 0
        folder, stem = (self.output / video.name).parent, Path(video.name).name
        table, pictures = self._table(), self._overlay or show is not None
        with closing(self.scored(frames, clock, pictures, live)) as stream:
            first = next(stream, None)
            if first is None:
                return Found(problem=problems[0] if problems else f"{video.path}: no frames came")

            def written(rows: Rows) -> Iterator[Frames]:
                nonlocal count, seen
                for scored in itertools.chain([first], clock.made_by("writing", stream, -1)):
                    rows.add(table.rows(scored))
                    count, seen = count + 1, seen + bool(scored.seen)
                    if pictures:
                        picture = self._picture(scored, table)
                        if show is not None:
                            show(picture)
                        yield picture
                    report(1)

            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise AulightError(f"output={self.output}: cannot be made ({error.strerror}); give another") from error
            with tempfile.TemporaryDirectory(prefix=f".{stem}-", dir=folder) as temporary:
                made = Path(temporary)
                file = made / f"{stem}.{self._config['format']}"
                start = time.perf_counter()
                with Rows(file, self._names) as rows:
                    if self._overlay:
                        write_video(made / f"{stem}{OVERLAY}", of_one_size(written(rows)), fps)
                    else:
                        deque(written(rows), maxlen=0)
                if self._config["plot"]:
                    self._plot(file, made / f"{stem}.png", video.name)
                clock.seconds["writing"] += time.perf_counter() - start
                if problems:
                    for path in list(made.iterdir()):
                        path.rename(f"{path}{PARTIAL}")
                record = {
                    "source": source,
                    "whole": not problems,
                    "problem": problems[0] if problems else None,
                    "files": sorted(path.name for path in made.iterdir()),
                    "fps": fps,
                    "frames": count,
                    "frames_with_a_face": seen,
                    "model": self.about,
                    "coverage": self._config["coverage"] if self._intervals is not None else None,
                    "settings": self._settings,
                    "aulight": __version__,
                    "seconds": {"all": time.perf_counter() - begin, **clock.seconds},
                }
                self._put(made, video.name, record)
        return Found(count, seen, problems[0] if problems else None)

    def _put(self, made: Path, name: str, record: dict[str, Any]) -> None:
        """Moves files to where they belong, their companion last; what was there of another try goes."""
        folder, stem = (self.output / name).parent, Path(name).name
        before, companion = self._record(name), f"{stem}.json"
        (made / companion).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        (folder / companion).unlink(missing_ok=True)
        endings = (".csv", ".parquet", OVERLAY, ".png")
        known = {stem + ending + part for ending in endings for part in ("", PARTIAL)}
        for old in known.intersection([] if before is None else before["files"]).difference(record["files"]):
            (folder / old).unlink(missing_ok=True)
        for new in (*record["files"], companion):
            (made / new).replace(folder / new)

    def _table(self) -> Table:
        return Table(self.columns, self._intervals, self._config["coverage"])

    def _picture(self, scored: Scored, table: Table) -> Frames:
        shown = []
        for person in scored.seen:
            face, values = scored.faces[person], scored.values[person]
            low, high = table.around(values) or (None, None)
            shown.append(Shown(person, face.matrix, len(face.crop), values, low, high, scored.heat.get(person)))
        heat = "" if self._explain is None else f", heat: {column(self._explain)}"
        return annotate(scored.frame.image, self.columns, shown, self.note + heat)

    def _plot(self, file: Path, picture: Path, title: str) -> None:
        from aulight.drawing.style import save  # with matplotlib
        from aulight.drawing.timeline import timeline

        table = pd.read_csv(file) if file.suffix == ".csv" else pd.read_parquet(file)
        save(timeline(table, self.columns, title, self.note), picture)

    def scored(
        self, frames: Iterator[RawFrame], clock: Clock, pictures: bool = False, live: bool = False
    ) -> Generator[Scored, None, None]:
        """The frames of one video and the people in them, scored, by stages side by side where there are CPUs to spare.

        Args:
            frames: From :func:`aulight.data.video.raw.raw_frames` or a camera.
            clock: What to count time with.
            pictures: Whether to keep the frames' pictures; else they are let go once the faces are cut out.
            live: One frame at a time.
        """
        with ExitStack() as threads:

            def aside(items: Iterator[Item], most: int) -> Iterator[Item]:
                if not (self._side_by_side or live):
                    return items
                return threads.enter_context(closing(ahead(items, 1 if live else most)))

            def network(present: Iterator[Present]) -> Iterator[Scored]:
                if self._model is None:
                    return Untrained().score(present)
                from aulight.prediction.model import CHUNK

                return self._model.score(present, 1 if live else CHUNK, self._device, self._precision, self._explain)

            decoded = aside(clock.made_by("decode", frames), 4)
            present = aside(clock.stage("landmarks", lambda items: self._people(items, pictures), decoded), 4)
            yield from aside(clock.stage("network", network, present), 4)

    def _people(self, frames: Iterator[RawFrame], pictures: bool) -> Iterator[Present]:
        """The people in frames, cut out as the model knows them."""
        with ExitStack() as stack:
            if self._model is not None and not self._finds:
                present = uncut(frames, self._model.size)
            else:
                about = None if self._model is None else self._model.description
                size, smooth_s = (UNTRAINED_CROP, SMOOTH_S) if about is None else (about.crop_size, about.smooth_s)
                most = self._config["faces"]["max_faces"]
                aligner = FaceAligner(size, about is None, most, smooth_s, self._landmarker)
                present = stack.enter_context(aligner).people(frames, self._everybody)
            for frame, there in present:
                yield frame if pictures else replace(frame, image=NO_PICTURE), there


def _until_damaged(frames: Iterator[RawFrame], problems: list[str]) -> Iterator[RawFrame]:
    """Ends where a video is damaged, and notes why: frames before that which are under way are not lost."""
    try:
        yield from frames
    except VideoError as error:
        problems.append(str(error))
