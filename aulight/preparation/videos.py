"""A raw video to a prepared one, in a worker process."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from aulight.data.faces.aligner import FaceAligner
from aulight.data.faces.crop import AlignedFrame, squares
from aulight.data.faces.pose import BLENDSHAPES
from aulight.data.sources.raw import RawVideo
from aulight.data.video.prepared import stream_frames
from aulight.data.video.raw import raw_frames, raw_info
from aulight.data.video.types import Frames
from aulight.data.video.write import write_video
from aulight.errors import VideoError
from aulight.files import write_table
from aulight.processes import Item, ahead

REPORT_FRAMES = 25
"""Frames after which a worker says how far it is."""


Seen = tuple[int, float, float, npt.NDArray[np.float32]]
"""Of one frame: number, time, confidence, blendshapes."""


class _Stopped(Exception):
    """The command ends: leave everything as it is."""


class _Worker:
    """What a worker process is given once."""

    counter: Any
    stop: Any
    settings: dict[str, Any]
    model: Path | None
    spare: bool


def start_worker(counter: Any, stop: Any, settings: dict[str, Any], model: Path | None, spare: bool) -> None:
    """Tells a worker process what it needs for every video.

    Args:
        counter: Shared number of frames done, over all workers.
        stop: Shared event: leave the work.
        settings: What the dataset is made with.
        model: The landmarker's file.
        spare: Whether there are CPUs to decode, to find faces and to encode side by side.
    """
    _Worker.counter, _Worker.stop, _Worker.settings, _Worker.model = counter, stop, settings, model
    _Worker.spare = spare


def make_video(video: RawVideo, folder: Path, parts: Path) -> str | None:
    """Writes one video, reads it back, and writes its table last.

    Args:
        video: The raw video.
        folder: Where ``<video_id>.mp4`` goes.
        parts: Where ``<video_id>.parquet`` goes: number, time, confidence and blendshapes of its frames.

    Returns:
        Why it cannot be used, or ``None``.
    """
    settings, path = _Worker.settings, folder / f"{video.video_id}.mp4"
    seen: list[Seen] = []
    try:
        fps = raw_info(video.path, video.fps).fps
        with _aligner(settings) as aligner, ExitStack() as threads:

            def aside(items: Iterator[Item], most: int) -> Iterator[Item]:
                return threads.enter_context(closing(ahead(items, most))) if _Worker.spare else items

            frames = aside(raw_frames(video.path, video.fps), 4)
            aligned = squares(frames, settings["crop_size"]) if aligner is None else aligner.align(frames)
            count = write_video(path, _crops(aside(aligned, 8), seen), fps)
        written = sum(len(piece) for piece in stream_frames(path, frames=count))
        if written != count:
            raise VideoError(f"{video.path}: {count} frames were written and {written} can be read back")
    except VideoError as error:
        path.unlink(missing_ok=True)
        return str(error)
    except _Stopped:
        return None
    write_table(_table(seen, fps, settings.get("blendshapes", False)), parts / f"{video.video_id}.parquet")
    return None


def _aligner(settings: dict[str, Any]) -> Any:
    if settings["faces"] == "none":
        return nullcontext()
    return FaceAligner(
        settings["crop_size"],
        blendshapes=settings["blendshapes"],
        max_faces=settings["max_faces"],
        smooth_s=settings["smooth_s"],
        model=_Worker.model,
    )


def _crops(aligned: Iterable[AlignedFrame], seen: list[Seen]) -> Iterator[Frames]:
    """The pictures of frames, what else is known of them noted in ``seen`` and their number reported."""
    reported = 0
    for frame in aligned:
        seen.append((frame.number, frame.time_s, frame.confidence, frame.blendshapes))
        yield frame.crop
        if len(seen) % REPORT_FRAMES == 0:
            reported = _report(len(seen), reported)
            if _Worker.stop.is_set():
                raise _Stopped
    _report(len(seen), reported)


def _report(done: int, reported: int) -> int:
    with _Worker.counter.get_lock():
        _Worker.counter.value += done - reported
    return done


def _table(seen: list[Seen], fps: float, blendshapes: bool) -> pd.DataFrame:
    numbers, times, confidences, scores = zip(*seen, strict=True)
    table = pd.DataFrame(
        {
            "number": np.array(numbers, np.int64),
            "time_s": np.array(times, np.float64),
            "face_confidence": np.array(confidences, np.float32),
            "fps": fps,
        }
    )
    return table.join(pd.DataFrame(np.stack(scores), columns=list(BLENDSHAPES))) if blendshapes else table
