"""Scores what ``aulight predict`` is given: a video, a folder of them, or what a webcam sees."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aulight.errors import AulightError, encodable, say, shorten
from aulight.files import remove_leftovers
from aulight.prediction.after.folder import clash, resolved
from aulight.prediction.after.overview import PAGE, make_room_for_overview, write_overview
from aulight.prediction.after.summary import Failed
from aulight.prediction.inputs import find_inputs
from aulight.prediction.predictor import Found, Predictor
from aulight.prediction.recording import keep_recordings
from aulight.prediction.videos import Video, expected
from aulight.prediction.webcam import record_webcam
from aulight.processes import Bar, cpus
from aulight.settings.predict import PredictSettings
from aulight.workers.hiring import hire
from aulight.workers.pump import pump

PER_GPU = 4
"""Most processes that share a GPU where their number is not given; each has its own copies of CUDA and of the model."""


@dataclass(frozen=True)
class Predicted:
    """What came of it.

    Attributes:
        predictor: What scored the videos, or would have.
        results: What came of each video, be it now or before.
        before: How many of them were done before.
        closed: Of folders that cannot be looked into, the reason.
        overlays: What was passed over for its name (:class:`aulight.prediction.videos.Listing`).
        others: What was passed over for being neither a video nor a picture, likewise.
        page: The page over all videos of the folder, where there is one.
    """

    predictor: Predictor
    results: dict[Video, Found]
    before: int = 0
    closed: Mapping[Path, str] = field(default_factory=dict)
    overlays: Sequence[Path] = ()
    others: Mapping[str, int] = field(default_factory=dict)
    page: Path | None = None


def score_input(settings: PredictSettings) -> Predicted:
    """Scores a video, a folder of them or what a webcam sees, as set, and writes the files of each.

    Args:
        settings: Of the command.

    Raises:
        AulightError: For an input, an output or a model that cannot be used. What is wrong with a video is in the
            results.
    """
    output = Path(settings.output).expanduser()
    if output.exists() and not output.is_dir():
        raise AulightError(f"output={output}: not a folder; give one")
    if (camera := settings.camera) is not None:
        settings = resolved(settings, 1, output)
        if settings.summary:
            make_room_for_overview(output)
        keep_recordings(output)
        predictor = Predictor(settings)
        _tell(predictor)
        video, found = record_webcam(predictor, camera, settings.max_frames)
        return Predicted(predictor, {video: found}, page=_page(settings, output, {video: found}))
    videos, closed, overlays, others = find_inputs(settings.inputs, output)
    settings = resolved(settings, len(videos), output)
    if problem := clash([video.name for video in videos], bool(settings.summary)):
        raise AulightError(f"input={shorten(settings.inputs)}: {problem}")
    if settings.summary:
        make_room_for_overview(output)
    for folder in {(output / video.name).parent for video in videos}:
        remove_leftovers(folder)
        keep_recordings(folder)
    predictor = Predictor(settings)
    before = {video: predictor.done(video) for video in videos}
    missing = [video for video in videos if before[video] is None]
    for video in missing:
        predictor.make_room(video)  # before hours of work, not after
    frames = {video: expected(video, settings.fps, predictor.part) for video in missing}
    todo = sorted(frames, key=lambda video: -frames[video])  # the longest first, so that all processes end together
    processes = processes_for(len(todo), settings.workers, cpus(), predictor.pipeline.on_gpu)
    workers, made = hire(settings), dict[Video, Found]()
    if todo:
        _tell(predictor)
    with Bar(sum(frames.values()), "Predicting", "frame", disable=not todo) as bar:
        if workers.cluster is not None or processes > 1:
            _make_folder(output)
            crew = workers.crew(processes, output, [video.path for video in todo])
            same = settings.model_copy(update={"precision": predictor.pipeline.precision})  # in all of them
            with pump(todo, begin_work, (same,), crew, bar, _lost, workers.patience_s) as finished:
                made.update(finished)
        else:
            predictor.pipeline.share_cpus(1)
            for video in todo:
                made[video] = predictor.make(video, bar.update)
    for video in videos:
        if before[video] is not None:
            predictor.refresh(video)
    results = {video: before[video] or made[video] for video in videos}
    page = _page(settings, output, results)
    return Predicted(predictor, results, len(videos) - len(todo), closed, overlays, others, page)


def _make_folder(output: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AulightError(f"output={output}: cannot be made ({error.strerror}); give another") from error


def _lost(video: Video, reason: str) -> Found:
    return Found(problem=f"{video.path}: {reason}")


def _tell(predictor: Predictor) -> None:
    """Says what there is to say of the precision, before it is waited for."""
    if (note := predictor.pipeline.precision_note) is not None:
        say(note, error=True)


def _page(settings: PredictSettings, output: Path, results: Mapping[Video, Found]) -> Path | None:
    """The page over all videos of the folder, written anew where it is asked for."""
    if not settings.summary:
        return None
    nothing = {video: found for video, found in results.items() if found.problem and not found.tally.frames}
    failed = {
        video.name: Failed(encodable(video.path), encodable(of.problem))
        for video, of in nothing.items()
        if not of.taken
    }
    write_overview(output, failed, settings.thumbnails)
    return output / PAGE


def processes_for(videos: int, workers: int | None, usable: int, on_gpu: bool) -> int:
    """How many processes score the videos of a folder.

    On a CPU it is one for each. A GPU is shared by few, since each holds as much of it as the first; two CPUs go to
    each of them, one to find faces and one to decode and to feed the GPU.

    Args:
        videos: How many are to be scored.
        workers: How many processes were asked for, or ``None``.
        usable: CPUs that may be used.
        on_gpu: Whether the network runs on a GPU; one command uses one of them.
    """
    most = workers or (min(PER_GPU, max(1, usable // 2)) if on_gpu else usable)
    return min(videos, most)


def begin_work(settings: PredictSettings, processes: int) -> Callable[[Video, Callable[[int], Any]], Found]:
    """Gets a worker process ready.

    Args:
        settings: Of the command.
        processes: How many workers share the CPUs of this machine.

    Returns:
        :meth:`Predictor.make` of its own predictor.
    """
    predictor = Predictor(settings)
    predictor.pipeline.share_cpus(processes)
    return predictor.make
