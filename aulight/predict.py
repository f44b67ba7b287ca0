"""``aulight predict``: AU intensities in videos, as tables; with pictures of what was seen, if wished.

Decoding, landmarks, network and writing are stages that hand frames to each other; none holds more than some of them,
however long the video.
"""

import hashlib
import itertools
import json
import multiprocessing
import os
import re
import signal
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from omegaconf import DictConfig, OmegaConf
from tqdm import tqdm

from aulight import __version__
from aulight.conformal import LEVELS, SUBJECTS
from aulight.data.faces import SMOOTH_S, FaceAligner, Present, model_file, uncut
from aulight.data.sources import shorten
from aulight.data.sources.folder import videos_below
from aulight.data.video import Frames, RawFrame, raw_frames, raw_info, write_video
from aulight.errors import AulightError, VideoError, VideosFailed
from aulight.facs import MAX_INTENSITY, column
from aulight.overlay import Shown, annotate
from aulight.rows import Scored, Table
from aulight.untrained import NOTE, TABLE, Untrained
from aulight.workers import Item, ahead, worker_pool

if TYPE_CHECKING:
    from aulight.model import Model

UNTRAINED_CROP = 128
"""Side of the faces that a picture shows without a model, in pixels."""

NO_PICTURE = np.empty((0, 0, 3), np.uint8)

DIGITS = 6
"""After the point, in a .csv."""

FLUSHED = 250
"""Rows that are held before they are written."""

REPORT_FRAMES = 10
"""Frames after which a worker says how far it is."""

OVERLAY = ".overlay.mp4"
"""What the names of videos with bars end with; in a folder of videos to score they are passed over."""

PARTIAL = ".partial"
"""What the names of files end with that go only to where a video is damaged."""


@dataclass(frozen=True)
class Video:
    """A video, and what its files are called.

    Attributes:
        path: As :func:`aulight.data.video.raw_frames` takes it.
        name: Below the output folder, without an ending; with ``/`` for the folders between.
    """

    path: Path
    name: str


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


def predict(cfg: DictConfig) -> None:
    """Scores a video, a folder of them or what a webcam sees, and prints what came of it.

    Args:
        cfg: ``conf/predict/predict.yaml``.

    Raises:
        VideosFailed: When some of the videos could not be read to their end; the others are done.
        AulightError: For settings that do not fit, and a model or a video that cannot be read.
    """
    config: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)  # type: ignore[assignment]
    _check(config)
    given, output = str(config["input"]), Path(str(config["output"])).expanduser()
    if output.exists() and not output.is_dir():
        raise AulightError(f"output={output}: not a folder; give one")
    if given.startswith("webcam:"):
        predictor = Predictor(config)
        video, found = _record_webcam(predictor, config)
        _say(predictor, {video: found}, 0)
        return
    videos = find_videos(Path(given).expanduser(), output)
    predictor = Predictor(config)
    results = {video: predictor.done(video) for video in videos}
    frames = {video: _expected(video, config["fps"]) for video in videos if results[video] is None}
    todo = sorted(frames, key=lambda video: -frames[video])  # the longest first, so that all processes end together
    processes = min(len(todo), config["workers"] or multiprocessing.cpu_count())
    with tqdm(total=sum(frames.values()), desc="Predicting", unit="frame", smoothing=0.05, disable=not todo) as bar:
        if processes > 1:
            results |= _in_processes(todo, config, processes, bar)
        else:
            predictor.share_cpus(1)
            for video in todo:
                results[video] = predictor.make(video, bar.update)
    _say(predictor, {video: found for video, found in results.items() if found is not None}, len(videos) - len(todo))


def _check(config: dict[str, Any]) -> None:
    faces = config["faces"]
    if config["format"] not in ("csv", "parquet"):
        raise AulightError(f"format={config['format']}: csv or parquet")
    if str(config["precision"]) not in ("32", "bf16"):
        raise AulightError(f"precision={config['precision']}: 32 or bf16")
    for key in ("workers", "max_frames", "explain"):
        if config[key] is not None and (type(config[key]) is not int or config[key] < 1):
            raise AulightError(f"{key}={config[key]}: a whole number from 1 on is needed, or null")
    if not config["fps"] > 0:
        raise AulightError(f"fps={config['fps']}: more than 0 is needed")
    if config["max_frames"] is not None and not str(config["input"]).startswith("webcam:"):
        raise AulightError(f"max_frames={config['max_frames']}: only of a webcam; videos are scored whole")
    coverage, (least, *_, most) = config["coverage"], LEVELS
    if coverage is not None and not (isinstance(coverage, float) and least <= coverage <= most):
        raise AulightError(f"coverage={coverage}: a share from {least} to {most} is needed, or null for no intervals")
    if not re.fullmatch("auto|cpu|cuda(:[0-9]+)?", str(config["device"])):
        raise AulightError(f"device={config['device']}: auto, cpu, cuda, or one of several GPUs as cuda:1")
    if config["model"] is None and config["explain"] is not None:
        raise AulightError(f"explain={config['explain']}: needs model=; blendshapes say nothing of where")
    if config["model"] is None and faces["find"] == "none":
        raise AulightError("faces=none: needs model=; without one, the scores are those of the face landmarker")


# ---- the videos that there are ----------------------------------------------------------------------------------


def find_videos(given: Path, output: Path) -> list[Video]:
    """The video at a path, or all videos and folders of pictures below it, each with a name of its own.

    Folders are kept. Of ``a.mp4`` and ``a.mov`` beside each other, the names are ``a.mp4`` and ``a.mov``, else ``a``.

    Args:
        given: A video, a folder of pictures, or a folder of any of these.
        output: Where files will be written; what is there is passed over.

    Raises:
        AulightError: When there is nothing.
    """
    if not given.is_dir():
        if not any(path.is_file() for path in (given, *given.parents)):  # in a zip file, perhaps
            raise AulightError(f"input={given}: no such video or folder")
        return [Video(given, given.stem)]
    if output.resolve() == given.resolve():
        raise AulightError(f"output={output}: the folder of the videos; give another")
    paths = [path for path in videos_below(given)[0] if not path.name.endswith(OVERLAY)]
    if output.resolve().is_relative_to(given.resolve()):
        paths = [path for path in paths if not path.resolve().is_relative_to(output.resolve())]
    if not paths:
        raise AulightError(f"input={given}: no videos, nor pictures, in it")
    names = {}
    for path in paths:
        name = path.relative_to(given) if path != given else Path(given.resolve().name)
        names[path] = (name if path.is_dir() else name.with_suffix("")).as_posix()
    often = Counter(name.casefold() for name in names.values())
    for path in paths:
        if often[names[path].casefold()] > 1 and not path.is_dir():
            names[path] = path.relative_to(given).as_posix()
    twice = [name for name, count in Counter(name.casefold() for name in names.values()).items() if count > 1]
    if twice:
        raise AulightError(f"input={given}: two videos would be called {shorten(twice, 3)}; rename one")
    return [Video(path, name) for path, name in names.items()]


def _expected(video: Video, fps: float) -> int:
    """How many frames a video claims to have, 0 where it does not say."""
    try:
        return raw_info(video.path, fps).frames or 0
    except VideoError:
        return 0


def _about(path: Path) -> dict[str, Any]:
    """What tells whether a video has changed."""
    file = next(place for place in (path, *path.parents) if place.exists())
    files = [file] if file.is_file() else sorted(entry for entry in file.iterdir() if entry.is_file())
    stats = [entry.stat() for entry in files]
    return {
        "path": str(path.resolve()),
        "bytes": sum(stat.st_size for stat in stats),
        "modified_ns": max((stat.st_mtime_ns for stat in stats), default=0),
    }


# ---- one video --------------------------------------------------------------------------------------------------


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

        from aulight.model import load

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
            **{key: self._model.meta[key] for key in ("name", "dataset", "arm", "label_fraction", "versions")},
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
        said = [str(self._model.meta["name"]).encode("ascii", "replace").decode()]
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
        now = {"source": _about(video.path), "model": self.about, "settings": settings, "aulight": __version__}
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
            source, fps = _about(video.path), raw_info(video.path, self._config["fps"]).fps
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

            def written(rows: _Rows) -> Iterator[Frames]:
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
                with _Rows(file, self._names) as rows:
                    if self._overlay:
                        write_video(made / f"{stem}{OVERLAY}", _of_one_size(written(rows)), fps)
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
        from aulight.figures import save, timeline  # with matplotlib

        table = pd.read_csv(file) if file.suffix == ".csv" else pd.read_parquet(file)
        save(timeline(table, self.columns, title, self.note), picture)

    def scored(
        self, frames: Iterator[RawFrame], clock: Clock, pictures: bool = False, live: bool = False
    ) -> Generator[Scored, None, None]:
        """The frames of one video and the people in them, scored, by stages side by side where there are CPUs to spare.

        Args:
            frames: From :func:`aulight.data.video.raw_frames` or a camera.
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
                from aulight.model import CHUNK

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
                size = UNTRAINED_CROP if self._model is None else self._model.meta["crop_size"]
                most = self._config["faces"]["max_faces"]
                aligner = FaceAligner(size, self._model is None, most, SMOOTH_S, self._landmarker)
                present = stack.enter_context(aligner).people(frames, self._everybody)
            for frame, there in present:
                yield frame if pictures else replace(frame, image=NO_PICTURE), there


def _until_damaged(frames: Iterator[RawFrame], problems: list[str]) -> Iterator[RawFrame]:
    """Ends where a video is damaged, and notes why: frames before that which are under way are not lost."""
    try:
        yield from frames
    except VideoError as error:
        problems.append(str(error))


def _of_one_size(pictures: Iterator[Frames]) -> Iterator[Frames]:
    """Scales pictures to the size of the first: those of a folder may differ."""
    import cv2

    size: tuple[int, int] | None = None
    for picture in pictures:
        size = size or (picture.shape[1], picture.shape[0])
        fits = picture.shape[1::-1] == size
        yield picture if fits else np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


class _Rows:
    """Writes rows into a .csv or .parquet file, some at a time."""

    def __init__(self, file: Path, names: Sequence[str]) -> None:
        self._file, self._names = file, names
        self._waiting: list[dict[str, Any]] = []
        self._parquet: Any = None

    def __enter__(self) -> "_Rows":
        if self._file.suffix == ".parquet":
            import pyarrow
            import pyarrow.parquet

            kinds = {"timestamp": pyarrow.float64(), "confidence": pyarrow.float64()}
            kinds |= dict.fromkeys(("frame", "face_id", "success"), pyarrow.int64())
            schema = pyarrow.schema([(name, kinds.get(name, pyarrow.float32())) for name in self._names])
            self._parquet = pyarrow.parquet.ParquetWriter(self._file, schema)
        else:
            pd.DataFrame(columns=list(self._names)).to_csv(self._file, index=False)
        return self

    def add(self, rows: Iterable[dict[str, Any]]) -> None:
        """Adds the rows of a frame."""
        self._waiting.extend(rows)
        if len(self._waiting) >= FLUSHED:
            self._flush()

    def _flush(self) -> None:
        table = pd.DataFrame(self._waiting, columns=list(self._names))
        if self._parquet is None:
            table.round(DIGITS).to_csv(self._file, index=False, header=False, mode="a")
        else:
            import pyarrow

            self._parquet.write_table(pyarrow.Table.from_pandas(table, self._parquet.schema, preserve_index=False))
        self._waiting.clear()

    def __exit__(self, *failure: object) -> None:
        if self._waiting:
            self._flush()
        if self._parquet is not None:
            self._parquet.close()


# ---- a folder of videos -----------------------------------------------------------------------------------------


class _Stopped(Exception):
    """The command ends: leave everything as it is."""


class _Worker:
    """What a worker process is given once."""

    predictor: Predictor
    counter: Any
    stop: Any


def start_worker(counter: Any, stop: Any, config: dict[str, Any], processes: int) -> None:
    """Tells a worker process what it needs for every video.

    Args:
        counter: Shared number of frames done, over all workers.
        stop: Shared event: leave the work.
        config: As of :class:`Predictor`.
        processes: How many workers there are.
    """
    _Worker.counter, _Worker.stop = counter, stop
    _Worker.predictor = Predictor(config)
    _Worker.predictor.share_cpus(processes)


def make_video(video: Video) -> Found | None:
    """Scores and writes one video in a worker process; ``None`` when the command ends."""
    waiting = 0

    def report(frames: int) -> None:
        nonlocal waiting
        waiting += frames
        if waiting >= REPORT_FRAMES:
            with _Worker.counter.get_lock():
                _Worker.counter.value += waiting
            waiting = 0
            if _Worker.stop.is_set():
                raise _Stopped

    try:
        found = _Worker.predictor.make(video, report)
    except _Stopped:
        return None
    with _Worker.counter.get_lock():
        _Worker.counter.value += waiting
    return found


def _in_processes(videos: list[Video], config: dict[str, Any], processes: int, bar: Any) -> dict[Video, Found]:
    context = multiprocessing.get_context("spawn")
    counter, stop = context.Value("q", 0), context.Event()
    found: dict[Video, Found] = {}
    try:
        with worker_pool(processes, start_worker, (counter, stop, config, processes)) as pool:
            try:
                jobs = {pool.submit(make_video, video): video for video in videos}
                pending = set(jobs)
                while pending:
                    finished, pending = wait(pending, timeout=0.5, return_when=FIRST_COMPLETED)
                    bar.update(counter.value - bar.n)
                    found |= {jobs[job]: result for job in finished if (result := job.result()) is not None}
                bar.update(counter.value - bar.n)
            finally:
                stop.set()
    except BrokenProcessPool as error:
        raise AulightError(
            "a process was killed, perhaps for want of memory; the same command goes on, with workers=1 in less memory"
        ) from error
    return found


# ---- a webcam ---------------------------------------------------------------------------------------------------


def open_camera(number: int) -> Any:
    """A camera, as OpenCV knows it."""
    import cv2

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # what is wrong is said below
    camera = cv2.VideoCapture(number)
    if not camera.isOpened():
        raise AulightError(f"input=webcam:{number}: no such camera, or another program has it")
    camera.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return camera


def camera_frames(camera: Any, most: int | None, stop: threading.Event) -> Iterator[RawFrame]:
    """What a camera sees until it ends, there are enough frames, or it is stopped; what comes too fast it drops.

    Args:
        camera: As :func:`open_camera` gives it.
        most: Frames that are enough, or ``None``.
        stop: Stops it.
    """
    import cv2

    begin = 0.0
    for number in itertools.count():
        there, image = camera.read()
        now = time.monotonic()
        begin = begin or now
        if not there or stop.is_set():
            return
        yield RawFrame(number, now - begin, np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8))
        if number + 1 == most:
            return


def _window(stop: threading.Event) -> Callable[[Frames], None] | None:
    """Shows pictures in a window, where there is a display; Q and Esc in it stop."""
    import cv2

    built = next((line for line in cv2.getBuildInformation().splitlines() if line.strip().startswith("GUI:")), "")
    if "NONE" in built or (sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys()):
        return None

    def show(picture: Frames) -> None:
        cv2.imshow("aulight", picture[..., ::-1])
        if cv2.waitKey(1) & 0xFF in (27, ord("q")):
            stop.set()

    return show


def _record_webcam(predictor: Predictor, config: dict[str, Any]) -> tuple[Video, Found]:
    """Scores what a webcam sees, until Q or Esc in the window, Ctrl-C, or ``max_frames``."""
    import cv2

    number = str(config["input"]).removeprefix("webcam:")
    if not number.isdecimal():
        raise AulightError(f"input={config['input']}: the number of a camera is needed, for example webcam:0")
    name = f"webcam{number}-{datetime.now():%Y%m%d-%H%M%S}"
    camera, stop = open_camera(int(number)), threading.Event()
    show = _window(stop)
    print("Q or Esc in the window ends it" if show else "no display, so without a window; Ctrl-C ends it", flush=True)
    before = signal.signal(signal.SIGINT, lambda *_: stop.set())
    try:
        predictor.share_cpus(1)
        frames = camera_frames(camera, config["max_frames"], stop)
        fps = camera.get(cv2.CAP_PROP_FPS) or 25.0
        with tqdm(total=config["max_frames"], desc="Recording", unit="frame") as bar:
            source = {"path": config["input"]}
            video = Video(Path(name), name)
            found = predictor.write(video, frames, fps, source, [], bar.update, True, show)
    finally:
        signal.signal(signal.SIGINT, before)
        camera.release()
    return video, found


# ---- what came of it --------------------------------------------------------------------------------------------


def _say(predictor: Predictor, results: dict[Video, Found], before: int) -> None:
    """Prints the summary; what could not be read is an error."""
    whole = {video: found for video, found in results.items() if found.problem is None}
    problems = []
    for video, found in results.items():
        if found.problem is not None:
            kept = f"; its {found.frames} frames up to there are in {predictor.file(video)}{PARTIAL}"
            problems.append(found.problem + (kept if found.frames else ""))
    if problems and len(results) == 1 and not results.popitem()[1].frames:
        raise VideoError(problems[0])
    if whole:
        frames = sum(found.frames for found in whole.values())
        faceless = frames - sum(found.seen for found in whole.values())
        share = f", {faceless:,} of them ({faceless / frames:.1%}) without a face" if faceless else ""
        what = str(predictor.file(next(iter(whole))))
        if len(results) > 1:
            what = f"{predictor.output}: {len(whole)}{f' of {len(results)}' if problems else ''} videos"
        print(f"{what}, {frames:,} frames{share}" + (f"; {before} done before" if before else ""))
        if faceless > frames / 2:
            advice = "" if predictor.untrained else "; faces=none takes pictures as they are"
            print(f"  note: most frames are without a face{advice}")
    for note in predictor.notes:
        print(f"  note: {note}")
    if problems:
        told = f"{len(problems)} of {len(results)} videos could not be read to their end:\n  "
        raise VideosFailed((told if len(results) > 1 else "") + "\n  ".join(problems))
