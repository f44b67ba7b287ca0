"""A LightningDataModule for each stage."""

import math
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from aulight.data.augment import Augmentation
from aulight.data.batches import ClipBatch, ClipBatches, EpochBatches, Piece, WholeVideos, augmented
from aulight.data.clips import LabelledClips, MixedClips, UnlabelledClips, timelines
from aulight.data.draws import DRAWN_BYTES
from aulight.data.labelled import frames_of
from aulight.data.store import PreparedDataset
from aulight.processes import LOCKS, has_locks
from aulight.settings.augment import AugmentSettings
from aulight.settings.data import OnError
from aulight.settings.training import ClipSettings


def _quiet_worker(_: int) -> None:
    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle; workers end with it
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


SHARED = Path("/dev/shm")
"""Where the system keeps memory that processes share, on Linux."""

LOADERS = 3
"""Loaders whose processes may live at once: of training, validation and test."""

LOCKS_A_WORKER = 3
"""Locks in the queue of one loader process; the loader itself has fewer than a pool."""

AHEAD = 3
"""Batches that each loader process makes before they are wanted."""


class _LateLoader(DataLoader[Any]):
    """A DataLoader whose workers begin with the first batch that is asked for, not with ``iter()``.

    In a run that is resumed, Lightning calls ``iter()`` before ``set_epoch``: batches loaded at once would be those
    of epoch 0.
    """

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]  # DataLoader promises its own kind of iterator
        for batch in super().__iter__():
            # what came through a pipe: arrays in place of tensors
            yield {name: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for name, v in batch.items()}


Batch = dict[str, Any]
"""As a loader puts it together: tensors, and what is not one."""


def _shared(batch: Batch) -> Batch:
    """A batch in shared memory, in a loader process; what finds no room there goes through a pipe, as an array.

    torch itself would put it there as it is sent, in a thread whose errors nobody hears of: training would wait for
    ever.
    """
    try:
        for value in batch.values():
            if isinstance(value, torch.Tensor):
                value.share_memory_()  # type: ignore[no-untyped-call]
    except RuntimeError:
        return _as_arrays(batch)
    return batch


def _as_arrays(batch: Batch) -> Batch:
    """A batch for a pipe: torch sends tensors through shared memory, numpy its arrays as they are."""
    return {name: np.array(v) if isinstance(v, torch.Tensor) else v for name, v in batch.items()}


def usable_workers(workers: int, batch_bytes: int) -> tuple[int, bool]:
    """How many loader processes there can be, and whether there is shared memory for their batches; says what is not.

    A container has little of it: 64 MB is docker's own choice.

    Args:
        workers: How many are wanted.
        batch_bytes: Size of a batch.
    """
    if not workers:
        return 0, True
    if not has_locks(LOADERS * (LOCKS + LOCKS_A_WORKER * workers)):
        print("no loader processes: there is no shared memory for their locks", file=sys.stderr)
        return 0, True
    needed = batch_bytes * workers * (AHEAD + 2)  # one is being made, and one in use
    free = shutil.disk_usage(SHARED).free if SHARED.is_dir() else needed
    if free < needed:
        print(
            f"{SHARED}: {free / 1e6:.1f} MB of shared memory, {needed / 1e6:.1f} MB are wanted for {workers} loader "
            "processes: batches go through pipes, a little slower; docker run --shm-size gives a container more",
            file=sys.stderr,
        )
    return workers, free >= needed


def _loader(
    dataset: Dataset[Any], sampler: Sampler[Any] | None, workers: int, batch_bytes: int, pin_memory: bool
) -> DataLoader[Any]:
    workers, shared = usable_workers(workers, batch_bytes)
    collate: Any = (_shared if shared else _as_arrays) if workers else _as_it_is
    return _LateLoader(
        dataset,
        batch_size=None,  # datasets here give whole batches
        sampler=sampler,
        num_workers=workers,
        persistent_workers=workers > 0,
        prefetch_factor=AHEAD if workers else None,
        pin_memory=pin_memory,
        worker_init_fn=_quiet_worker,
        collate_fn=collate,
    )


def _as_it_is(batch: Batch) -> Batch:
    return batch


class _StreamingData(pl.LightningDataModule):
    """What the two stages share: loaders over clip batches, and the account of skipped files."""

    def __init__(self, batch_size: int, batches_per_epoch: int, workers: int, on_error: OnError) -> None:
        super().__init__()
        self.batch_size, self.batches_per_epoch, self.workers = batch_size, batches_per_epoch, workers
        self.on_error: OnError = on_error
        self.skipped: Counter[str] = Counter()

    def _place(self) -> tuple[int, int]:
        """This process among how many."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _on_gpu(self) -> bool:
        """Whether batches go to a GPU, which reads pinned memory by itself; one that is not used is left alone."""
        return self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"

    def _clips(self, dataset: ClipBatches, frames: int) -> DataLoader[Any]:
        rank, world = self._place()
        dataset.on_device = dataset.augment.on_device(self._on_gpu(), say=rank == 0)
        places = EpochBatches(self.batch_size, self.batches_per_epoch, rank, world)
        size = dataset.readers.size or 0
        a_frame = size**2 * 3 + dataset.views * DRAWN_BYTES if dataset.on_device else dataset.views * size**2 * 3
        return _loader(dataset, places, self.workers, self.batch_size // world * frames * a_frame, self._on_gpu())

    def on_before_batch_transfer(self, batch: ClipBatch | Piece, dataloader_idx: int) -> ClipBatch | Piece:
        """Keeps count of the files that were skipped."""
        if "clips" in batch:
            self.skipped.update(batch["skipped"])
        elif batch["error"] is not None:
            self.skipped[batch["error"]] += 1
        return batch

    def on_after_batch_transfer(self, batch: ClipBatch | Piece, dataloader_idx: int) -> ClipBatch | Piece:
        """Changes the frames of clips that come with what is to happen to them."""
        return augmented(batch) if "clips" in batch else batch


class ContrastiveData(_StreamingData):
    """Stage one: clips of unlabelled videos in several views.

    Args:
        data: The prepared dataset.
        rows: Which of its videos.
        clip: What a clip is.
        augment: Random changes of its frames.
        views: Independently augmented views of each clip.
        size: Pixels, as the network wants them.
        batch_size: Clips a batch, over all ranks.
        batches_per_epoch: Batches an epoch, of which ``trainer.accumulate_grad_batches`` make a step.
        workers: Loader processes a rank.
        seed: Of clips and augmentation.
        on_error: ``raise`` or ``skip`` an unreadable video.
        decord: Whether decord reads the clips.
    """

    def __init__(
        self,
        data: PreparedDataset,
        rows: npt.NDArray[np.int64],
        clip: ClipSettings,
        augment: AugmentSettings,
        views: int,
        size: int,
        batch_size: int,
        batches_per_epoch: int,
        workers: int,
        seed: int,
        on_error: OnError,
        decord: bool = False,
    ) -> None:
        super().__init__(batch_size, batches_per_epoch, workers, on_error)
        self._frames = clip.length
        segments = data.segments[data.segments["video"].isin(rows)]
        rates = data.videos["fps"].to_numpy(np.float64) / data.fps
        choose = UnlabelledClips(segments, clip.length, clip.stride, batch_size * batches_per_epoch, seed, rates)
        self._train = ClipBatches(data, choose, Augmentation(augment), views, size, seed, self.on_error, decord)

    def train_dataloader(self) -> DataLoader[Any]:
        """Batches of :class:`ClipBatches`."""
        return self._clips(self._train, self._frames)


class RegressionData(_StreamingData):
    """Stage two: clips that end at drawn labels; whole videos for validation and test.

    Args:
        data: The prepared dataset.
        labels: The drawn rows ``video_id, frame, subject, AU..``: all that training may know.
        validation: Rows of the videos of the validation subjects.
        test: Rows of the videos of the test subjects.
        clip: What a clip is.
        augment: Random changes of its frames.
        size: Pixels, as the network wants them.
        batch_size: Clips a batch, over all ranks.
        batches_per_epoch: Batches an epoch, of which ``trainer.accumulate_grad_batches`` make a step.
        chunk: Most frames of a whole video in one piece.
        workers: Loader processes a rank.
        seed: Of clips and augmentation.
        on_error: ``raise`` or ``skip`` an unreadable video.
        decord: Whether decord reads the clips.
        reference: Frames in front of each clip, as :class:`LabelledClips` takes it.

    Attributes:
        predicted: Rows of the videos that a prediction is of; at first those of the test subjects.
    """

    def __init__(
        self,
        data: PreparedDataset,
        labels: pd.DataFrame,
        validation: npt.NDArray[np.int64],
        test: npt.NDArray[np.int64],
        clip: ClipSettings,
        augment: AugmentSettings,
        size: int,
        batch_size: int,
        batches_per_epoch: int,
        chunk: int,
        workers: int,
        seed: int,
        on_error: OnError,
        decord: bool = False,
        reference: int = 0,
    ) -> None:
        super().__init__(batch_size, batches_per_epoch, workers, on_error)
        self._frames, self._seed, self._clip, self._steps = reference + clip.length, seed, clip, batches_per_epoch
        self._reference = reference
        self._names = pd.Index(data.videos["video_id"])
        self._data, self._rows, self._size, self._chunk = data, {"validation": validation, "test": test}, size, chunk
        self._labels, self.predicted = labels, test
        choose = self._choose(labels, batch_size * batches_per_epoch, seed)
        self._train = ClipBatches(data, choose, Augmentation(augment), 1, size, seed, self.on_error, decord)

    def _choose(self, labels: pd.DataFrame, clips_per_epoch: int, seed: int, alone: bool = False) -> LabelledClips:
        drawn = labels.assign(video=self._names.get_indexer(labels["video_id"]))
        row_of = dict(zip(drawn["video_id"], drawn["video"].tolist(), strict=True))
        frames = frames_of(self._data, row_of)
        return LabelledClips(
            drawn,
            self._data.columns,
            {row_of[video]: timeline for video, timeline in timelines(frames, self._data.elsewhere).items()},
            self._clip.length,
            self._clip.stride,
            self._data.fps,
            clips_per_epoch,
            seed,
            self._reference,
            alone,
        )

    def add(self, pseudo: pd.DataFrame, share: float) -> None:
        """Has training see pseudo-labels as well, one in a clip, as there mostly is of the drawn ones.

        Args:
            pseudo: Rows as of the drawn labels.
            share: Of the clips that end at a drawn label.
        """
        clips = self.batch_size * self._steps
        true = math.floor(clips * share + 1e-9)
        drawn = self._choose(self._labels, true, self._seed)
        predicted = self._choose(pseudo, clips - true, self._seed + 1, alone=True)
        self._train.choose = MixedClips(drawn, predicted, share)

    def train_dataloader(self) -> DataLoader[Any]:
        """Batches of :class:`ClipBatches` with one view."""
        return self._clips(self._train, self._frames)

    def rows_of(self, videos: npt.NDArray[np.str_]) -> npt.NDArray[np.int64]:
        """Rows of the dataset's videos, by their names."""
        return np.asarray(self._names.get_indexer(videos.astype(object)), np.int64)

    def whole_videos(self, rows: npt.NDArray[np.int64]) -> DataLoader[Any]:
        """Pieces of this process's share of some videos (:class:`WholeVideos`)."""
        rank, world = self._place()
        videos = WholeVideos(self._data, rows, self._size, self._chunk, self.on_error, rank, world)
        return _loader(videos, None, self.workers, self._chunk * self._size**2 * 3, self._on_gpu())

    def val_dataloader(self) -> DataLoader[Any]:
        """Pieces of the validation subjects' videos (:class:`WholeVideos`)."""
        return self.whole_videos(self._rows["validation"])

    def test_dataloader(self) -> DataLoader[Any]:
        """Pieces of the test subjects' videos (:class:`WholeVideos`)."""
        return self.whole_videos(self._rows["test"])

    def predict_dataloader(self) -> DataLoader[Any]:
        """Pieces of those that are ``predicted``."""
        return self.whole_videos(self.predicted)
