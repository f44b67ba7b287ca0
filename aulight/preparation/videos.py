"""Raw videos to prepared ones, each in a worker process."""

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from aulight.data.faces.aligner import FaceAligner
from aulight.data.faces.crop import AlignedFrame, squares
from aulight.data.faces.model_file import model_file
from aulight.data.faces.pose import BLENDSHAPES
from aulight.data.marks import CROPS
from aulight.data.noted import DIGESTS, ELSEWHERE, FOLLOWING, SOURCE_COLUMNS
from aulight.data.sources.raw import RawVideo
from aulight.data.video.digest import Pictures, digest, stamp
from aulight.data.video.prepared import stream_frames
from aulight.data.video.raw import raw_frames, raw_info
from aulight.data.video.types import USUAL_FPS, Frames, RawFrame, RawInfo
from aulight.data.video.write import write_video
from aulight.errors import AulightError, VideoError
from aulight.files import whole, write_table
from aulight.foreign.parquet import checked
from aulight.preparation.recipe import Recipe
from aulight.processes import Bar, ahead, cpus
from aulight.workers.hiring import Workers
from aulight.workers.pump import pump

NO_PICTURE = np.empty((0, 0, 3), np.uint8)

QUICK_S = 2
"""Seconds of looking at videos up to which no bar is shown for it."""

Found = TypeVar("Found")


def video_of(folder: Path, video_id: str) -> Path:
    """Where a prepared video goes, in the folder of a dataset that is being made."""
    return folder / "videos" / f"{video_id}.mp4"


def part_of(folder: Path, video_id: str) -> Path:
    """Where its table goes: ``number, time_s, face_confidence``, blendshapes, ``fps`` and columns of ``NOTED``."""
    return folder / "parts" / f"{video_id}.parquet"


def source_columns(path: Path, report: Callable[[int], object]) -> dict[str, str | int]:
    """What is remembered of a raw video: :data:`aulight.data.noted.SOURCE_COLUMNS`.

    Args:
        path: The video.
        report: As of :func:`aulight.data.video.digest.digest`.

    Raises:
        VideoError: When it cannot be read.
    """
    size, mtime_ns = stamp(path)
    return dict(zip(SOURCE_COLUMNS, (digest(path, report), size, mtime_ns), strict=True))


def digests_in(part: Path) -> set[str]:
    """By what a video is known again, as its table says; an earlier aulight's does not."""
    with pq.ParquetFile(checked(part)) as file:
        names = [name for name in DIGESTS if name in file.schema_arrow.names]
        first = next(file.iter_batches(1, columns=names), None) if names else None
    return set() if first is None else {value for value in first.to_pylist()[0].values() if value is not None}


def make_videos(
    videos: list[RawVideo],
    folder: Path,
    recipe: Recipe,
    landmarker: Path | None,
    on_error: Literal["raise", "skip"],
    workers: Workers,
) -> dict[str, str]:
    """Writes the videos that are not there yet, or were made from another content, and a table of each.

    Args:
        videos: The raw videos.
        folder: Of the dataset that is being made: they go to :func:`video_of` and :func:`part_of`.
        recipe: What the dataset is made with.
        landmarker: The landmarker's file.
        on_error: What to do with a video that cannot be read.
        workers: Who makes them.

    Returns:
        Of the videos that cannot be read, the reason.

    Raises:
        AulightError: With ``raise``, for the first of them.
    """
    for kind in (video_of, part_of):
        kind(folder, "").parent.mkdir(exist_ok=True)
    made = _looked_at(videos, partial(_made, folder), "Looking")
    missing = [video for video, there in zip(videos, made, strict=True) if there is None]
    if not missing:
        return {}
    claims = dict(zip([video.video_id for video in missing], _looked_at(missing, _expected, "Opening"), strict=True))
    frames = {name: claim.frames or 0 for name, claim in claims.items()}
    missing.sort(key=lambda video: -frames[video.video_id])  # the longest first, so that all processes end together
    given = (recipe, folder, landmarker)
    done = sum(there or 0 for there in made)
    skipped: dict[str, str] = {}
    crew = workers.crew(len(missing), folder, [video.path for video in missing])
    with (
        Bar(done + sum(frames.values()), "Preparing", "frame", initial=done) as bar,
        pump(missing, VideoMaker, given, crew, bar, _lost, workers.patience_s) as results,
    ):
        for video in missing:
            if (note := claims[video.video_id].note) is not None:
                bar.write(f"note: {note}")
        for video, reason in results:
            if reason is not None:
                if on_error == "raise":
                    raise AulightError(reason)
                skipped[video.video_id] = reason
                bar.total -= frames[video.video_id]
                bar.write(f"not used: {reason}")
    return skipped


def _lost(video: RawVideo, reason: str) -> str:
    return f"{video.path}: {reason}"


def _looked_at(videos: list[RawVideo], look: Callable[[RawVideo], Found], what: str) -> list[Found]:
    """What is found of each video; several are looked at at once, for on a network drive each keeps one waiting."""
    threads, found = ThreadPoolExecutor(), list[Found]()
    try:
        with Bar(len(videos), what, "video", delay=QUICK_S) as bar:
            for one in threads.map(look, videos):
                found.append(one)
                bar.update()
    finally:
        threads.shutdown(cancel_futures=True)
    return found


def _made(folder: Path, video: RawVideo) -> int | None:
    """Frames of a video that is there, and was made from what its raw video is now; else ``None``."""
    part = part_of(folder, video.video_id)
    if not part.is_file() or not video_of(folder, video.video_id).is_file():
        return None
    try:
        with pq.ParquetFile(checked(part)) as file:
            frames: int = file.metadata.num_rows
            if SOURCE_COLUMNS[0] not in file.schema_arrow.names:
                return frames  # of a version that did not note what it was made from
            before = file.read(list(SOURCE_COLUMNS)).slice(0, 1).to_pylist()[0]
        same = stamp(video.path) == tuple(before.values())[1:] or digest(video.path) == before[SOURCE_COLUMNS[0]]
    except (OSError, ValueError, IndexError, pa.ArrowException, AulightError):
        return None
    return frames if same else None


def _expected(video: RawVideo) -> RawInfo:
    """What a video claims, no frames where it does not say."""
    try:
        return raw_info(video.path, video.fps, exact=False)
    except VideoError:
        return RawInfo(USUAL_FPS, None)


class VideoMaker:
    """Makes prepared videos; several threads may do so at once, and share the networks where torch runs them.

    Args:
        recipe: What the dataset is made with.
        folder: Of the dataset that is being made.
        landmarker: The landmarker's file.
        sharing: Processes that share the CPUs of this machine; where there are CPUs to spare, this one decodes, finds
            faces and encodes at the same time.
    """

    def __init__(self, recipe: Recipe, folder: Path, landmarker: Path | None, sharing: int) -> None:
        self._recipe, self._folder, self._landmarker = recipe, folder, landmarker
        self._shared = None
        if recipe.by_torch:
            import torch

            from aulight.data.faces.batched.networks import SharedNetworks  # with torch

            torch.set_num_threads(1)  # by their number the last bits differ, and beside others they wait for each other
            self._shared = SharedNetworks(model_file(landmarker), "cpu" if recipe.device == "torch" else recipe.device)
        self._side_by_side = cpus() >= 2 * sharing

    def __call__(self, video: RawVideo, report: Callable[[int], object]) -> str | None:
        """Writes one video, reads it back, and writes its table last.

        Args:
            video: The raw video.
            report: Told of so many more frames.

        Returns:
            Why it cannot be used, or ``None``.
        """
        place, seen, pictures = video_of(self._folder, video.video_id), list[AlignedFrame](), Pictures()

        def aligned() -> Generator[AlignedFrame, None, None]:
            with ExitStack() as stack:  # of its own: it may be closed in another thread

                def film() -> Iterator[RawFrame]:
                    nonlocal pictures
                    pictures = Pictures()  # of the last reading
                    frames = raw_frames(video.path, video.fps, stored=pictures.add)
                    return stack.enter_context(closing(ahead(frames, 4))) if self._side_by_side else frames

                aligner = stack.enter_context(self._aligner())
                if aligner is None:
                    yield from _counted(squares(film(), self._recipe.crop_size), report)
                else:
                    yield from (there[0] for _, there in aligner.follow(film, report))

        try:
            source = source_columns(video.path, report)
            fps = raw_info(video.path, video.fps, report=report).fps
            # checked before it has its name: a worker that was taken for hung may have made the same file meanwhile
            all_faces = ahead(aligned(), 8) if self._side_by_side else aligned()
            with whole(place) as path, closing(all_faces) as faces:
                count = write_video(path, _crops(faces, seen), fps, made=CROPS, gop=self._recipe.gop)
                written = sum(len(piece) for piece in stream_frames(path, frames=count))
                if written != count:
                    raise VideoError(f"{video.path}: {count} frames were written and {written} can be read back")
                if stamp(video.path) != (source["source_size"], source["source_mtime_ns"]):
                    raise VideoError(f"{video.path}: was changed while it was read; give the same command again")
                noted = source | dict(zip(DIGESTS[1:], (pictures.digest(), digest(path, report)), strict=True))
        except VideoError as error:
            return error.of(video.path)
        write_table(self._table(seen, fps).assign(**noted), part_of(self._folder, video.video_id))
        return None

    def _aligner(self) -> "FaceAligner | nullcontext[None]":
        finding = self._recipe.finding
        if finding is None:
            return nullcontext()
        networks = None if self._shared is None else self._shared.of_a_video()
        return FaceAligner(self._recipe.crop_size, **vars(finding), model=self._landmarker, networks=networks)

    def _table(self, seen: list[AlignedFrame], fps: float) -> pd.DataFrame:
        table = pd.DataFrame(
            {
                "number": np.array([frame.number for frame in seen], np.int64),
                "time_s": np.array([frame.time_s for frame in seen], np.float64),
                "face_confidence": np.array([frame.confidence for frame in seen], np.float32),
                "fps": fps,
            }
        )
        if self._recipe.finding is None:
            return table
        counts = sum(frame.confidence == 0 and frame.others > 0 for frame in seen), sum(f.elsewhere for f in seen)
        elsewhere = " ".join(str(place) for place, frame in enumerate(seen) if frame.elsewhere)
        table = table.assign(**dict(zip(FOLLOWING, counts, strict=True)), **{ELSEWHERE: elsewhere})
        if not self._recipe.finding.blendshapes:
            return table
        return table.join(pd.DataFrame(np.stack([frame.blendshapes for frame in seen]), columns=list(BLENDSHAPES)))


def _counted(aligned: Iterable[AlignedFrame], report: Callable[[int], object]) -> Iterator[AlignedFrame]:
    """The same frames, told of."""
    for frame in aligned:
        yield frame
        report(1)


def _crops(aligned: Iterable[AlignedFrame], seen: list[AlignedFrame]) -> Iterator[Frames]:
    """The pictures of frames; what else is known of them is noted in ``seen``."""
    for frame in aligned:
        seen.append(replace(frame, crop=NO_PICTURE))
        yield frame.crop
