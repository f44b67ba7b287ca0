"""Streams clips and whole videos from prepared mp4 files: datasets, loaders, and a LightningDataModule a stage."""

import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytorch_lightning as pl
import torch
from filelock import FileLock
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler, get_worker_info

from aulight.data.augment import Augmentation
from aulight.data.clips import Clip, LabelledClips, UnlabelledClips
from aulight.data.store import PreparedDataset
from aulight.data.video import ReaderCache, stream_frames
from aulight.errors import AulightError, VideoError

OnError = Literal["raise", "skip"]
SPARES = 100
"""Spare clips tried in place of one whose video is unreadable, before giving up."""


def open_data(root: Path, synthetic: dict[str, Any] | None = None) -> PreparedDataset:
    """Opens a prepared dataset; the synthetic one is made where it is not there yet.

    Args:
        root: The dataset's folder.
        synthetic: Arguments of :func:`aulight.data.synthetic.generate`, or ``None`` for any other dataset.

    Raises:
        AulightError: As :class:`PreparedDataset` does.
    """
    root = root.expanduser()
    if synthetic is not None and not root.exists():
        from aulight.data.synthetic import generate

        root.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(root.with_name(f".{root.name}.lock")):  # one of the jobs of a sweep makes it, the others wait
            if not root.exists():
                generate(root, **synthetic)
    return PreparedDataset(root)


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


class ClipBatches(Dataset[dict[str, Any]]):
    """Batches of clips, by a list of (epoch, index) places.

    A batch is a dict of ``clips (B, V, T, H, W, 3)`` uint8 where V counts independently augmented views of the same
    frames, ``video (B,)`` int64, ``targets (B, T, AUs)`` float32 with NaN where unknown (stage two), and ``skipped``,
    the unreadable files met on the way.

    Args:
        data: The prepared dataset.
        choose: (epoch, index) to a clip.
        augment: Applied to each view.
        views: V.
        size: Decode to ``size x size``.
        seed: Of the augmentation.
        on_error: What to do with an unreadable video.
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
    ) -> None:
        self.paths = [data.path(row) for row in range(len(data.videos))]
        self.lengths = data.videos["frames"].to_numpy()
        self.choose, self.augment, self.views, self.seed, self.on_error = choose, augment, views, seed, on_error
        self.readers = ReaderCache(size=size)

    def _read(self, epoch: int, index: int, skipped: list[str]) -> tuple[Clip, npt.NDArray[np.uint8]]:
        for spare in range(SPARES):
            clip = self.choose(epoch, index + 1_000_003 * spare)  # spares are far from any other place of the epoch
            try:
                reader = self.readers.get(self.paths[clip.video], int(self.lengths[clip.video]))
                return clip, reader.read(clip.frames)
            except VideoError as error:
                if self.on_error == "raise":
                    raise
                skipped.append(str(error))
        raise VideoError(f"{skipped[-1]} (and {SPARES - 1} clips tried in its place were unreadable too)")

    def __getitem__(self, places: list[tuple[int, int]]) -> dict[str, Any]:
        clips, videos, targets, skipped = [], [], [], list[str]()
        for epoch, index in places:
            clip, frames = self._read(epoch, index, skipped)
            clips.append(
                np.stack([self.augment(frames, (self.seed, epoch, index, view)) for view in range(self.views)])
            )
            videos.append(clip.video)
            targets.append(clip.targets)
        batch = {"clips": torch.from_numpy(np.stack(clips)), "video": torch.tensor(videos), "skipped": skipped}
        if targets[0] is not None:
            batch["targets"] = torch.from_numpy(np.stack(targets))  # type: ignore[arg-type]  # all are arrays
        return batch


class WholeVideos(IterableDataset[dict[str, Any]]):
    """Whole videos in pieces, each video once and in order, every video on one rank and one worker.

    A piece is a dict of ``clip (1, n, H, W, 3)`` uint8, ``video`` (row), ``start`` (its first frame), ``face (n,)``
    bool, ``targets (n, AUs)`` float32 with NaN where unknown, ``last`` and ``error`` (a message in place of frames when
    the video is unreadable and ``on_error`` is skip).

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
        faces = data.frames.loc[data.frames["video_id"].isin(row_of), ["video_id", "frame", "face_confidence"]]
        labels = data.labels[data.labels["video_id"].isin(row_of)]
        face_of = {str(video): table for video, table in faces.groupby("video_id")}
        labels_of = {str(video): table for video, table in labels.groupby("video_id")}
        self.videos = []
        for video, row in row_of.items():
            face = face_of[video].sort_values("frame")["face_confidence"].to_numpy() > 0
            targets = np.full((len(face), len(data.aus)), np.nan, dtype=np.float32)
            if video in labels_of:
                known = labels_of[video]
                targets[known["frame"].to_numpy()] = (
                    known[data.columns].astype("Float32").to_numpy(np.float32, na_value=np.nan)
                )
            self.videos.append((row, data.path(row), face, targets))
        self.size, self.chunk, self.on_error = size, chunk, on_error

    def __iter__(self) -> Iterator[dict[str, Any]]:
        worker = get_worker_info()
        mine = self.videos if worker is None else self.videos[worker.id :: worker.num_workers]
        for row, path, face, targets in mine:
            start = 0
            try:
                for frames in stream_frames(path, self.size, self.chunk, len(face)):
                    stop = start + len(frames)
                    yield {
                        "clip": torch.from_numpy(frames)[None],
                        "video": row,
                        "start": start,
                        "face": torch.from_numpy(face[start:stop]),
                        "targets": torch.from_numpy(targets[start:stop]),
                        "last": stop == len(face),
                        "error": None,
                    }
                    start = stop
            except VideoError as error:
                if self.on_error == "raise":
                    raise
                yield {"video": row, "start": start, "error": str(error)}


def _quiet_worker(_: int) -> None:
    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle; workers end with it
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


class _LateLoader(DataLoader[Any]):
    """A DataLoader whose workers begin with the first batch that is asked for, not with ``iter()``.

    In a run that is resumed, Lightning calls ``iter()`` before ``set_epoch``: batches loaded at once would be those
    of epoch 0.
    """

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]  # DataLoader promises its own kind of iterator
        yield from super().__iter__()


def _loader(dataset: Dataset[Any], sampler: Sampler[Any] | None, workers: int) -> DataLoader[Any]:
    return _LateLoader(
        dataset,
        batch_size=None,  # datasets here give whole batches
        sampler=sampler,
        num_workers=workers,
        persistent_workers=workers > 0,
        prefetch_factor=3 if workers else None,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=_quiet_worker,
    )


class _StreamingData(pl.LightningDataModule):
    """What the two stages share: loaders over clip batches, and the account of skipped files."""

    def __init__(self, batch_size: int, batches_per_epoch: int, workers: int, on_error: str) -> None:
        super().__init__()
        if on_error not in ("raise", "skip"):
            raise AulightError(f"data.on_error={on_error}: raise or skip")
        self.batch_size, self.batches_per_epoch, self.workers = batch_size, batches_per_epoch, workers
        self.on_error: OnError = on_error  # type: ignore[assignment]  # checked above
        self.skipped: Counter[str] = Counter()

    def _place(self) -> tuple[int, int]:
        """This process among how many."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _clips(self, dataset: ClipBatches) -> DataLoader[Any]:
        rank, world = self._place()
        return _loader(dataset, EpochBatches(self.batch_size, self.batches_per_epoch, rank, world), self.workers)

    def on_before_batch_transfer(self, batch: dict[str, Any], dataloader_idx: int) -> dict[str, Any]:
        """Keeps count of the files that were skipped."""
        self.skipped.update(batch.get("skipped", ()))
        if batch.get("error"):
            self.skipped[batch["error"]] += 1
        return batch


class ContrastiveData(_StreamingData):
    """Stage one: clips of unlabelled videos in several views.

    Args:
        data: The prepared dataset.
        rows: Which of its videos.
        clip: ``length`` and ``stride`` of :class:`UnlabelledClips`.
        augment: ``clip`` and ``frame`` of :class:`Augmentation`.
        views: Independently augmented views of each clip.
        size: Pixels, as the network wants them.
        batch_size: Clips a batch, over all ranks.
        batches_per_epoch: Batches an epoch, of which ``trainer.accumulate_grad_batches`` make a step.
        workers: Loader processes a rank.
        seed: Of clips and augmentation.
        on_error: ``raise`` or ``skip`` an unreadable video.
    """

    def __init__(
        self,
        data: PreparedDataset,
        rows: npt.NDArray[np.int64],
        clip: dict[str, Any],
        augment: dict[str, Any],
        views: int,
        size: int,
        batch_size: int,
        batches_per_epoch: int,
        workers: int,
        seed: int,
        on_error: str,
    ) -> None:
        super().__init__(batch_size, batches_per_epoch, workers, on_error)
        segments = data.segments[data.segments["video"].isin(rows)]
        choose = UnlabelledClips(segments, clip["length"], tuple(clip["stride"]), batch_size * batches_per_epoch, seed)
        self._train = ClipBatches(data, choose, Augmentation(**augment), views, size, seed, self.on_error)

    def train_dataloader(self) -> DataLoader[Any]:
        """Batches of :class:`ClipBatches`."""
        return self._clips(self._train)


class RegressionData(_StreamingData):
    """Stage two: clips that end at drawn labels; whole videos for validation and test.

    Args:
        data: The prepared dataset.
        labels: The drawn rows ``video_id, frame, subject, AU..``: all that training may know.
        validation: Rows of the videos of the validation subjects.
        test: Rows of the videos of the test subjects.
        clip: ``length`` and ``stride`` of :class:`LabelledClips`.
        augment: ``clip`` and ``frame`` of :class:`Augmentation`.
        size: Pixels, as the network wants them.
        batch_size: Clips a batch, over all ranks.
        batches_per_epoch: Batches an epoch, of which ``trainer.accumulate_grad_batches`` make a step.
        chunk: Most frames of a whole video in one piece.
        workers: Loader processes a rank.
        seed: Of clips and augmentation.
        on_error: ``raise`` or ``skip`` an unreadable video.
    """

    def __init__(
        self,
        data: PreparedDataset,
        labels: pd.DataFrame,
        validation: npt.NDArray[np.int64],
        test: npt.NDArray[np.int64],
        clip: dict[str, Any],
        augment: dict[str, Any],
        size: int,
        batch_size: int,
        batches_per_epoch: int,
        chunk: int,
        workers: int,
        seed: int,
        on_error: str,
    ) -> None:
        super().__init__(batch_size, batches_per_epoch, workers, on_error)
        row_of = {video: row for row, video in enumerate(data.videos["video_id"])}
        drawn = labels.assign(video=labels["video_id"].map(row_of))
        choose = LabelledClips(
            drawn,
            data.columns,
            data.segments,
            clip["length"],
            tuple(clip["stride"]),
            batch_size * batches_per_epoch,
            seed,
        )
        self._train = ClipBatches(data, choose, Augmentation(**augment), 1, size, seed, self.on_error)
        self._data, self._rows, self._size, self._chunk = data, {"validation": validation, "test": test}, size, chunk

    def train_dataloader(self) -> DataLoader[Any]:
        """Batches of :class:`ClipBatches` with one view."""
        return self._clips(self._train)

    def _whole(self, part: str) -> DataLoader[Any]:
        rank, world = self._place()
        videos = WholeVideos(self._data, self._rows[part], self._size, self._chunk, self.on_error, rank, world)
        return _loader(videos, None, self.workers)

    def val_dataloader(self) -> DataLoader[Any]:
        """Pieces of the validation subjects' videos (:class:`WholeVideos`)."""
        return self._whole("validation")

    def test_dataloader(self) -> DataLoader[Any]:
        """Pieces of the test subjects' videos (:class:`WholeVideos`)."""
        return self._whole("test")
