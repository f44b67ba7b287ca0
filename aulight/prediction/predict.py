"""A video, a folder of them or a webcam to tables and pictures, and what came of it."""

import multiprocessing
import re
from concurrent.futures import FIRST_COMPLETED, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf
from tqdm import tqdm

from aulight.errors import AulightError, VideoError, VideosFailed
from aulight.processes import worker_pool
from aulight.scoring.conformal import LEVELS

if TYPE_CHECKING:
    pass
from aulight.prediction.predictor import Found, Predictor
from aulight.prediction.videos import Video, expected, find_videos
from aulight.prediction.webcam import record_webcam
from aulight.prediction.writing import PARTIAL

REPORT_FRAMES = 10
"""Frames after which a worker says how far it is."""


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
        video, found = record_webcam(predictor, config)
        _say(predictor, {video: found}, 0)
        return
    videos = find_videos(Path(given).expanduser(), output)
    predictor = Predictor(config)
    results = {video: predictor.done(video) for video in videos}
    frames = {video: expected(video, config["fps"]) for video in videos if results[video] is None}
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
