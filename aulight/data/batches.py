"""Streams batches of clips, and whole videos in pieces, from prepared videos."""

from collections.abc import Callable, Iterator, Sequence
from typing import NotRequired, TypedDict, cast, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, Sampler, get_worker_info

from aulight.data.augment import Augmentation
from aulight.data.clips import Clip, timelines
from aulight.data.composed import on_device
from aulight.data.draws import DRAWN, Draws
from aulight.data.labelled import frames_of
from aulight.data.store import PreparedDataset
from aulight.data.video.prepared import ReaderCache, stream_frames
from aulight.errors import AulightError, VideoError
from aulight.settings.data import OnError

SPARES = 100
"""Spare clips tried in place of one whose video is unreadable, before giving up."""


@final
class ClipBatch(TypedDict):
    """Clips of a training step.

    Attributes:
        clips: ``(B, V, T, H, W, 3)`` uint8, where V counts independently augmented views of the same frames.
        video: ``(B,)`` int64, the videos that they are of: rows of the dataset's videos.
        subject: ``(B,)`` int64, whom they show: a number for each person (:attr:`PreparedDataset.people`).
        frames: ``(B, T)`` int64, places of their frames in the video; each is one frame of the raw video.
        skipped: What was wrong with the unreadable files met on the way, a line each.
        targets: ``(B, T, AUs)`` float32 intensities, NaN where unknown; in stage two alone.
        where: With this and the next, what is still to happen to each frame of each view: :class:`Draws` with
            ``(B, V, T)`` in front. Clips have one view then, which all are made of.
        table: See there.
        grey: See there.
        noise: See there.
    """

    clips: Tensor
    video: Tensor
    subject: Tensor
    frames: Tensor
    skipped: list[str]
    targets: NotRequired[Tensor]
    where: NotRequired[Tensor]
    table: NotRequired[Tensor]
    grey: NotRequired[Tensor]
    noise: NotRequired[Tensor]


@final
class Piece(TypedDict):
    """Frames of a whole video that follow those of its last piece, or the news that it cannot be read any further.

    Attributes:
        video: Row of the dataset's videos.
        start: Its first frame's place in the video.
        error: What is wrong with the video, and there is no more of it; ``None`` where there are frames.
        clip: ``(1, n, H, W, 3)`` uint8.
        times: Of its frames, in seconds.
        anew: ``(n,)`` whether the face is the first after one elsewhere.
        face: ``(n,)`` bool, whether there is a face.
        targets: ``(n, AUs)`` float32 intensities, NaN where unknown.
        last: Whether the video ends with it.
    """

    video: int
    start: int
    error: str | None
    clip: NotRequired[Tensor]
    times: NotRequired[list[float]]
    anew: NotRequired[list[bool]]
    face: NotRequired[Tensor]
    targets: NotRequired[Tensor]
    last: NotRequired[bool]


def augmented(batch: ClipBatch) -> ClipBatch:
    """A batch to whose clips has happened what was still to happen, on the device that it is on.

    Args:
        batch: As :class:`ClipBatches` gives it, or moved; with or without draws.
    """
    draws = {name: batch[name] for name in DRAWN if name in batch}
    if not draws:
        return batch
    done = {name: value for name, value in batch.items() if name not in draws}
    return cast("ClipBatch", {**done, "clips": on_device(batch["clips"], draws)})


class EpochBatches(Sampler[list[tuple[int, int]]]):
    """The (epoch, index) places of each batch of this rank; Lightning tells the epoch.

    Batch ``b`` of an epoch is one stretch of indices that the ranks share out, so that N ranks read the very clips
    that one would.

    Args:
        batch_size: Clips a batch, over all ranks.
        steps: Batches an epoch.
        rank: This process.
        world: How many processes.
    """

    def __init__(self, batch_size: int, steps: int, rank: int = 0, world: int = 1) -> None:
        if batch_size % world:
            raise AulightError(f"loader.batch_size={batch_size}: not a multiple of the {world} processes")
        self.batch_size, self.steps, self.rank, self.local = batch_size, steps, rank, batch_size // world
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this at the start of every epoch, and after a resume."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for step in range(self.steps):
            first = step * self.batch_size + self.rank * self.local
            yield [(self.epoch, index) for index in range(first, first + self.local)]


class ClipBatches(Dataset[ClipBatch]):
    """Batches of clips, by a list of (epoch, index) places.

    Args:
        data: The prepared dataset.
        choose: (epoch, index) to a clip.
        augment: Applied to each view.
        views: V.
        size: Decode to ``size x size``.
        seed: Of the augmentation.
        on_error: What to do with an unreadable video.
        decord: Whether decord reads videos of this machine.

    Attributes:
        on_device: Whether batches come as they were read, with what is to happen to them.
    """

    def __init__(
        self,
        data: PreparedDataset,
        choose: Callable[[int, int], Clip],
        augment: Augmentation,
        views: int,
        size: int,
        seed: int,
        on_error: OnError,
        decord: bool = False,
    ) -> None:
        self.paths = data.files
        self.lengths, self.people = data.videos["frames"].to_numpy(), data.people
        self.choose, self.augment, self.views, self.seed, self.on_error = choose, augment, views, seed, on_error
        self.readers = ReaderCache(size=size, decord=decord)
        self.on_device = False

    def _read(self, epoch: int, index: int, skipped: list[str]) -> tuple[Clip, npt.NDArray[np.uint8]]:
        for spare in range(SPARES):
            clip = self.choose(epoch, index + 1_000_003 * spare)  # spares are far from any other place of the epoch
            try:
                reader = self.readers.get(self.paths[clip.video], int(self.lengths[clip.video]))
                return clip, reader.read(clip.frames)
            except VideoError as error:
                self.paths.refuse_changed(clip.video)
                if self.on_error == "raise":
                    raise
                skipped.append(str(error))
        raise VideoError(f"{skipped[-1]} (and {SPARES - 1} clips tried in its place were unreadable too)")

    def __getitem__(self, places: list[tuple[int, int]]) -> ClipBatch:
        clips, drawn, chosen, skipped = [], list[list[Draws]](), list[Clip](), list[str]()
        for epoch, index in places:
            clip, frames = self._read(epoch, index, skipped)
            seeds = [(self.seed, epoch, index, view) for view in range(self.views)]
            if self.on_device:
                clips.append(frames[None])
                drawn.append([self.augment.draw(frames.shape, seed) for seed in seeds])
            else:
                clips.append(np.stack([self.augment(frames, seed) for seed in seeds]))
            chosen.append(clip)
        videos = np.array([clip.video for clip in chosen])
        batch = ClipBatch(
            clips=torch.from_numpy(np.stack(clips)),
            video=torch.from_numpy(videos),
            subject=torch.from_numpy(self.people[videos]),
            frames=torch.from_numpy(np.stack([clip.frames for clip in chosen])),
            skipped=skipped,
        )
        targets = [clip.targets for clip in chosen if clip.targets is not None]  # of all clips or of none
        if targets:
            batch["targets"] = torch.from_numpy(np.stack(targets))
        for name in DRAWN if drawn else ():
            if name in drawn[0][0]:
                batch[name] = torch.from_numpy(np.stack([[of[name] for of in views] for views in drawn]))
        return batch


class WholeVideos(IterableDataset[Piece]):
    """Whole videos in pieces, each video once and in order, every video on one rank and one worker.

    Args:
        data: The prepared dataset.
        rows: Which of its videos.
        size: Decode to ``size x size``.
        chunk: Most frames in a piece.
        on_error: What to do with an unreadable video.
        rank: This process.
        world: How many processes.
    """

    def __init__(
        self,
        data: PreparedDataset,
        rows: Sequence[int] | npt.NDArray[np.int64],
        size: int,
        chunk: int,
        on_error: OnError = "raise",
        rank: int = 0,
        world: int = 1,
    ) -> None:
        row_of = {str(data.videos["video_id"].iat[int(row)]): int(row) for row in rows[rank::world]}
        of_video = timelines(frames_of(data, row_of), data.elsewhere)
        labels = data.labels[data.labels["video_id"].isin(row_of)]
        labels_of = {str(video): table for video, table in labels.groupby("video_id")}
        self.videos, self.files = [], data.files
        for video, row in row_of.items():
            targets = np.full((len(of_video[video].times), len(data.aus)), np.nan, dtype=np.float32)
            if video in labels_of:
                known = labels_of[video]
                targets[known["frame"].to_numpy()] = (
                    known[data.columns].astype("Float32").to_numpy(np.float32, na_value=np.nan)
                )
            self.videos.append((row, data.file(row), of_video[video], targets))
        self.size, self.chunk, self.on_error = size, chunk, on_error

    def __iter__(self) -> Iterator[Piece]:
        worker = get_worker_info()
        mine = self.videos if worker is None else self.videos[worker.id :: worker.num_workers]
        for row, path, timeline, targets in mine:
            start = 0
            try:
                for frames in stream_frames(path, self.size, self.chunk, len(targets)):
                    stop = start + len(frames)
                    yield {
                        "clip": torch.from_numpy(frames)[None],
                        "video": row,
                        "start": start,
                        "times": timeline.times[start:stop].tolist(),
                        "anew": timeline.anew[start:stop].tolist(),
                        "face": torch.from_numpy(timeline.faces[start:stop]),
                        "targets": torch.from_numpy(targets[start:stop]),
                        "last": stop == len(targets),
                        "error": None,
                    }
                    start = stop
            except VideoError as error:
                self.files.refuse_changed(row)
                if self.on_error == "raise":
                    raise
                yield {"video": row, "start": start, "error": str(error)}
