"""Raw videos to prepared ones, each in a worker process."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, nullcontext
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from aulight.data.faces.aligner import FaceAligner
from aulight.data.faces.crop import AlignedFrame, squares
from aulight.data.faces.pose import BLENDSHAPES
from aulight.data.sources.raw import RawVideo
from aulight.data.store import SOURCE_COLUMNS
from aulight.data.video.digest import digest, stamp
from aulight.data.video.prepared import stream_frames
from aulight.data.video.raw import raw_frames, raw_info
from aulight.data.video.types import Frames
from aulight.data.video.write import write_video
from aulight.errors import AulightError, VideoError
from aulight.files import write_table
from aulight.preparation.recipe import Recipe
from aulight.processes import Bar, Item, ahead, cpus, pump

Seen = tuple[int, float, float, npt.NDArray[np.float32]]
"""Of one frame: number, time, confidence, blendshapes."""


def video_of(folder: Path, video_id: str) -> Path:
    """Where a prepared video goes, in the folder of a dataset that is being made."""
    return folder / "videos" / f"{video_id}.mp4"


def part_of(folder: Path, video_id: str) -> Path:
    """Where its table goes: ``number, time_s, face_confidence`` and blendshapes, ``fps``, and what its source was."""
    return folder / "parts" / f"{video_id}.parquet"


def source_columns(path: Path) -> dict[str, str | int]:
    """What is remembered of a raw video: :data:`aulight.data.store.SOURCE_COLUMNS`.

    Raises:
        VideoError: When it cannot be read.
    """
    size, mtime_ns = stamp(path)
    return dict(zip(SOURCE_COLUMNS, (digest(path), size, mtime_ns), strict=True))


def make_videos(
    videos: list[RawVideo],
    folder: Path,
    recipe: Recipe,
    landmarker: Path | None,
    on_error: Literal["raise", "skip"],
    workers: int | None,
) -> dict[str, str]:
    """Writes the videos that are not there yet, and a table of each.

    Args:
        videos: The raw videos.
        folder: Of the dataset that is being made: they go to :func:`video_of` and :func:`part_of`.
        recipe: What the dataset is made with.
        landmarker: The landmarker's file.
        on_error: What to do with a video that cannot be read.
        workers: Processes; ``None``: one a CPU.

    Returns:
        Of the videos that cannot be read, the reason.

    Raises:
        AulightError: With ``raise``, for the first of them.
    """
    for kind in (video_of, part_of):
        kind(folder, "").parent.mkdir(exist_ok=True)
    frames = {video.video_id: _expected(video) for video in videos}
    missing = [video for video in videos if not part_of(folder, video.video_id).is_file()]
    if not missing:
        return {}
    missing.sort(key=lambda video: -frames[video.video_id])  # the longest first, so that all processes end together
    workers = min(len(missing), workers or cpus())
    given = (recipe, folder, landmarker, cpus() >= 2 * workers)
    total = sum(frames.values())
    done = total - sum(frames[video.video_id] for video in missing)
    skipped: dict[str, str] = {}
    with (
        Bar(total, "Preparing", "frame", initial=done) as bar,
        pump(missing, VideoMaker, given, workers, bar) as results,
    ):
        for video, reason in results:
            if reason is not None:
                if on_error == "raise":
                    raise AulightError(reason)
                skipped[video.video_id] = reason
                bar.total -= frames[video.video_id]
                bar.write(f"not used: {reason}")
    return skipped


def _expected(video: RawVideo) -> int:
    """How many frames a video claims to have, 0 where it does not say."""
    try:
        return raw_info(video.path, video.fps).frames or 0
    except VideoError:
        return 0


class VideoMaker:
    """Makes prepared videos, one after another.

    Args:
        recipe: What the dataset is made with.
        folder: Of the dataset that is being made.
        landmarker: The landmarker's file.
        side_by_side: Whether there are CPUs to decode, to find faces and to encode at the same time.
    """

    def __init__(self, recipe: Recipe, folder: Path, landmarker: Path | None, side_by_side: bool) -> None:
        self._recipe, self._folder, self._landmarker = recipe, folder, landmarker
        self._side_by_side = side_by_side

    def __call__(self, video: RawVideo, report: Callable[[int], object]) -> str | None:
        """Writes one video, reads it back, and writes its table last.

        Args:
            video: The raw video.
            report: Told of so many more frames.

        Returns:
            Why it cannot be used, or ``None``.
        """
        path, seen = video_of(self._folder, video.video_id), list[Seen]()
        try:
            source = source_columns(video.path)
            fps = raw_info(video.path, video.fps).fps
            with ExitStack() as stack:

                def aside(items: Iterator[Item], most: int) -> Iterator[Item]:
                    return stack.enter_context(closing(ahead(items, most))) if self._side_by_side else items

                aligner = stack.enter_context(self._aligner())
                frames = aside(raw_frames(video.path, video.fps), 4)
                aligned = squares(frames, self._recipe.crop_size) if aligner is None else aligner.align(frames)
                count = write_video(path, _crops(aside(aligned, 8), seen, report), fps)
            written = sum(len(piece) for piece in stream_frames(path, frames=count))
            if written != count:
                raise VideoError(f"{video.path}: {count} frames were written and {written} can be read back")
            if stamp(video.path) != (source["source_size"], source["source_mtime_ns"]):
                raise VideoError(f"{video.path}: was changed while it was read; give the same command again")
        except VideoError as error:
            path.unlink(missing_ok=True)
            return str(error)
        write_table(self._table(seen, fps).assign(**source), part_of(self._folder, video.video_id))
        return None

    def _aligner(self) -> "FaceAligner | nullcontext[None]":
        finding = self._recipe.finding
        if finding is None:
            return nullcontext()
        return FaceAligner(self._recipe.crop_size, **vars(finding), model=self._landmarker)

    def _table(self, seen: list[Seen], fps: float) -> pd.DataFrame:
        numbers, times, confidences, scores = zip(*seen, strict=True)
        table = pd.DataFrame(
            {
                "number": np.array(numbers, np.int64),
                "time_s": np.array(times, np.float64),
                "face_confidence": np.array(confidences, np.float32),
                "fps": fps,
            }
        )
        if self._recipe.finding is None or not self._recipe.finding.blendshapes:
            return table
        return table.join(pd.DataFrame(np.stack(scores), columns=list(BLENDSHAPES)))


def _crops(aligned: Iterable[AlignedFrame], seen: list[Seen], report: Callable[[int], object]) -> Iterator[Frames]:
    """The pictures of frames, what else is known of them noted in ``seen``."""
    for frame in aligned:
        seen.append((frame.number, frame.time_s, frame.confidence, frame.blendshapes))
        yield frame.crop
        report(1)
