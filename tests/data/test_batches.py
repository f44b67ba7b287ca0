"""Loaders on real mp4 files whose every frame is known: the same clips however they are loaded, and no others."""

import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import psutil
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from aulight import protocol
from aulight.data.augment import Augmentation
from aulight.data.batches import ClipBatches, EpochBatches, WholeVideos
from aulight.data.clips import UnlabelledClips
from aulight.data.loaders import ContrastiveData, RegressionData
from aulight.data.store import PreparedDataset
from aulight.errors import AulightError, VideoError, one_line

Make = Callable[..., PreparedDataset]
Decode = Callable[[npt.NDArray[np.uint8]], list[tuple[int, int]]]
Batch = dict[str, Any]
NONE: dict[str, Any] = {"clip": [], "frame": []}
FLIP: dict[str, Any] = {"clip": [], "frame": [{"name": "HorizontalFlip", "p": 0.5}]}
PARTS = ["unlabelled", "train", "train", "train", "validation", "test", "test", "unlabelled"]
LENGTHS = [40, 30, 26, 40, 33, 40, 21, 24]
TRAIN, VALIDATION, TEST = [1, 2, 3], [4], [5, 6]


def labels_of(video: int, count: int) -> dict[int, list[int | None]]:
    """AU 1 tells the frame, AU 12 the video; every fifth frame's AU 12 and all of every seventh are unknown."""
    frames = range(count)
    return {
        1: [None if t % 7 == 0 else t % 6 for t in frames],
        12: [None if t % 7 == 0 or t % 5 == 0 else video % 6 for t in frames],
    }


def build(
    make_store: Make, root: Path, change: Callable[[int, dict[int, Any]], dict[int, Any]] | None = None
) -> PreparedDataset:
    """Eight videos; each shows no face in frames 10 and 11 and jumps in the raw video before frame 18."""
    labels = [
        None if part == "unlabelled" else labels_of(video, count)
        for video, (part, count) in enumerate(zip(PARTS, LENGTHS, strict=True))
    ]
    if change is not None:
        labels = [found if found is None else change(video, found) for video, found in enumerate(labels)]
    return make_store(
        root,
        LENGTHS,
        confidence=[[0.0 if t in (10, 11) else 0.9 for t in range(count)] for count in LENGTHS],
        source=[[t + 100 * (t >= 18) for t in range(count)] for count in LENGTHS],
        labels=labels,
        columns=[{"split": part} for part in PARTS],
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, make_store: Make) -> PreparedDataset:
    return build(make_store, tmp_path_factory.mktemp("data") / "coded")


def contrastive(data: PreparedDataset, **changed: Any) -> ContrastiveData:
    settings: dict[str, Any] = {
        "rows": np.array([0, 1, 2, 3, 7]),
        "clip": {"length": 4, "stride": [1, 2]},
        "augment": NONE,
        "views": 1,
        "size": 64,
        "batch_size": 4,
        "batches_per_epoch": 5,
        "workers": 0,
        "seed": 0,
        "on_error": "raise",
    }
    return ContrastiveData(data, **settings | changed)


def drawn_labels(data: PreparedDataset, fraction: float = 0.3) -> pd.DataFrame:
    split = protocol.own_split(data.videos, data.name)
    usable = protocol.usable_labels(data.labels, data.frames, data.videos, split.train)
    return protocol.draw_labels(usable, 0, fraction)


def regression(data: PreparedDataset, **changed: Any) -> RegressionData:
    settings: dict[str, Any] = {
        "labels": drawn_labels(data),
        "validation": np.array(VALIDATION),
        "test": np.array(TEST),
        "clip": {"length": 4, "stride": [1, 2]},
        "augment": NONE,
        "size": 64,
        "batch_size": 4,
        "batches_per_epoch": 5,
        "chunk": 12,
        "workers": 0,
        "seed": 0,
        "on_error": "raise",
    }
    return RegressionData(data, **settings | changed)


def assert_same(one: list[Batch], other: list[Batch]) -> None:
    assert len(one) == len(other)
    for left, right in zip(one, other, strict=True):
        assert left.keys() == right.keys()
        for key, value in left.items():
            if isinstance(value, torch.Tensor):
                torch.testing.assert_close(value, right[key], rtol=0, atol=0, equal_nan=True)
            else:
                assert value == right[key]


# -- clips -------------------------------------------------------------------------------------------------------


def test_batches_hold_the_chosen_frames(data: PreparedDataset, decode: Decode) -> None:
    module = contrastive(data, views=2)
    batches = list(module.train_dataloader())
    assert len(batches) == 5
    runs = {(int(v), f) for v, start, stop in data.segments.itertuples(index=False) for f in range(start, stop)}
    for batch in batches:
        assert batch["clips"].shape == (4, 2, 4, 64, 64, 3)
        assert batch["clips"].dtype == torch.uint8
        assert batch["skipped"] == []
        assert "targets" not in batch
        for video, views in zip(batch["video"].tolist(), batch["clips"].numpy(), strict=True):
            codes = decode(views[0])
            assert decode(views[1]) == codes
            assert {number for number, _ in codes} == {video}
            assert set(codes) <= runs
            assert len({second - first for (_, first), (_, second) in pairwise(codes)}) == 1
    assert {video for batch in batches for video in batch["video"].tolist()} == {0, 1, 2, 3, 7}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("stage", [contrastive, regression])
def test_workers_load_the_same_batches_as_none(
    data: PreparedDataset, stage: Callable[..., ContrastiveData | RegressionData], workers: int
) -> None:
    own = stage(data, augment=FLIP)
    expected = list(own.train_dataloader())  # decoded in this process, which is then forked
    loader = stage(data, augment=FLIP, workers=workers).train_dataloader()
    assert_same(list(loader), expected)
    assert_same(list(loader), expected)  # the workers live on and start over
    loader.sampler.set_epoch(1)  # type: ignore[attr-defined]  # as Lightning calls it
    later = list(loader)
    assert any(not torch.equal(one["clips"], two["clips"]) for one, two in zip(later, expected, strict=True))


def test_views_are_augmented_independently_and_by_index(data: PreparedDataset) -> None:
    clips = [batch["clips"] for batch in contrastive(data, augment=FLIP, views=3).train_dataloader()]
    same = [[torch.equal(clip[v], clip[w]) for v, w in ((0, 1), (0, 2), (1, 2))] for clip in torch.cat(clips)]
    assert np.mean(same) < 0.4
    assert_same(*(list(contrastive(data, augment=FLIP, views=3).train_dataloader()) for _ in range(2)))
    other = [batch["clips"] for batch in contrastive(data, augment=FLIP, views=3, seed=1).train_dataloader()]
    assert not torch.equal(torch.cat(clips), torch.cat(other))


@pytest.mark.parametrize("world", [1, 2, 4])
def test_ranks_share_out_the_batches_of_one(data: PreparedDataset, world: int) -> None:
    choose = UnlabelledClips(data.segments, 4, (1, 2), 8 * 3, seed=0)
    clips = ClipBatches(data, choose, Augmentation(**FLIP), 2, 32, 0, "raise")
    alone = EpochBatches(8, 3)
    ranks = [EpochBatches(8, 3, rank, world) for rank in range(world)]
    for epoch in (0, 5):
        for sampler in (alone, *ranks):
            sampler.set_epoch(epoch)
        assert len(alone) == len(ranks[0]) == 3
        for whole, *parts in zip(alone, *ranks, strict=True):
            assert list(chain(*parts)) == whole
            batch = clips[whole]
            shared = [clips[part] for part in parts]
            torch.testing.assert_close(torch.cat([part["clips"] for part in shared]), batch["clips"])
            torch.testing.assert_close(torch.cat([part["video"] for part in shared]), batch["video"])
        places = [place for batch in alone for place in batch]
        assert places == [(epoch, index) for index in range(24)]


def test_a_batch_that_cannot_be_shared_out_is_named() -> None:
    with pytest.raises(AulightError, match=r"loader\.batch_size=6: not a multiple of the 4 processes"):
        EpochBatches(6, 3, 0, 4)


def test_clips_travel_to_a_spawned_worker(data: PreparedDataset) -> None:
    clips = contrastive(data, augment=FLIP)._train
    expected = clips[[(0, 0), (0, 1)]]
    copy = pickle.loads(pickle.dumps(clips))
    assert len(copy.readers) == 0
    assert_same([copy[[(0, 0), (0, 1)]]], [expected])


def test_few_videos_are_open_and_memory_stays_however_many_are_read(data: PreparedDataset) -> None:
    clips, process, used = contrastive(data)._train, psutil.Process(), []
    for epoch in range(8):
        used.append(process.memory_info().rss)
        for batch in EpochBatches(4, 5):
            clips[[(epoch, index) for _, index in batch]]
            assert len(clips.readers) <= 3
    assert used[-1] - used[2] < 16e6  # while 100 readers, some MB each, were opened and closed
    mine = set(clips.paths)
    assert len([file for file in process.open_files() if Path(file.path) in mine]) <= 3


# -- labels ------------------------------------------------------------------------------------------------------


def test_targets_are_the_drawn_labels_of_the_frames_shown(data: PreparedDataset, decode: Decode) -> None:
    drawn = drawn_labels(data)
    values = drawn[data.columns].astype("Float32").to_numpy(np.float32, na_value=np.nan)
    label_of = dict(zip(zip(drawn["video_id"], drawn["frame"], strict=True), values, strict=True))
    unknown = np.full(2, np.nan, np.float32)
    seen = set()
    for batch in regression(data, batches_per_epoch=20).train_dataloader():
        assert batch["clips"].shape == (4, 1, 4, 64, 64, 3)
        assert batch["targets"].shape == (4, 4, 2)
        for pictures, targets in zip(batch["clips"].numpy(), batch["targets"].numpy(), strict=True):
            codes = decode(pictures[0])
            assert (f"v{codes[-1][0]}", codes[-1][1]) in label_of
            assert {video for video, _ in codes} <= set(TRAIN)
            for t, ((video, frame), target) in enumerate(zip(codes, targets, strict=True)):
                repeated = (video, frame) in codes[t + 1 :]
                label = unknown if repeated else label_of.get((f"v{video}", frame), unknown)
                np.testing.assert_array_equal(target, label)
                seen.add((f"v{video}", frame))
    assert set(label_of) <= seen


def test_labels_that_were_not_drawn_change_no_batch(tmp_path: Path, data: PreparedDataset, make_store: Make) -> None:
    drawn = {(row.video_id, row.frame) for row in drawn_labels(data).itertuples()}

    def poison(video: int, labels: dict[int, Any]) -> dict[int, Any]:
        """Another value for every label of validation and test, and every label of training that was not drawn."""
        return {
            au: [v if v is None or (f"v{video}", t) in drawn else 5 - v for t, v in enumerate(values)]
            for au, values in labels.items()
        }

    poisoned = build(make_store, tmp_path / "coded", poison)
    assert poisoned.fingerprint != data.fingerprint
    assert_same(list(regression(poisoned).train_dataloader()), list(regression(data).train_dataloader()))
    one, other = (list(regression(each).test_dataloader()) for each in (data, poisoned))
    assert any(
        not torch.equal(a["targets"].nan_to_num(-1), b["targets"].nan_to_num(-1))
        for a, b in zip(one, other, strict=True)
    )


# -- whole videos ------------------------------------------------------------------------------------------------


def check_whole(pieces: list[Batch], data: PreparedDataset, rows: list[int], decode: Decode) -> None:
    """Every frame of these videos once and in order, with its face and its labels."""
    at: dict[int, int] = dict.fromkeys(rows, 0)
    for piece in pieces:
        video, count = piece["video"], piece["clip"].shape[1]
        assert piece["error"] is None
        assert piece["start"] == at[video]
        assert decode(piece["clip"][0].numpy()) == [(video, at[video] + t) for t in range(count)]
        frames = range(at[video], at[video] + count)
        assert piece["face"].tolist() == [t not in (10, 11) for t in frames]
        labels = data.labels[data.labels["video_id"] == f"v{video}"].set_index("frame").reindex(list(frames))
        expected = labels[data.columns].astype("Float32").to_numpy(np.float32, na_value=np.nan)
        np.testing.assert_array_equal(piece["targets"].numpy(), expected)
        at[video] += count
        assert piece["last"] == (at[video] == LENGTHS[video])
    assert at == {row: LENGTHS[row] for row in rows}


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_whole_videos_come_once_and_in_order(data: PreparedDataset, decode: Decode, workers: int) -> None:
    module = regression(data, workers=workers, chunk=8)
    for _ in range(2):
        check_whole(list(module.test_dataloader()), data, TEST, decode)
    validation = module.val_dataloader()
    for _ in range(2):
        check_whole(list(validation), data, VALIDATION, decode)


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_pieces_are_no_longer_than_asked(data: PreparedDataset, decode: Decode, chunk: int) -> None:
    pieces = list(WholeVideos(data, [6, 1], 32, chunk))
    assert max(piece["clip"].shape[1] for piece in pieces) <= chunk
    assert [piece["video"] for piece in pieces] == sorted((piece["video"] for piece in pieces), key=[6, 1].index)
    assert pieces[0]["clip"].shape[2:] == (32, 32, 3)
    check_whole(pieces, data, [6, 1], decode)


def test_ranks_share_out_whole_videos(data: PreparedDataset, decode: Decode) -> None:
    rows = [1, 2, 3, 4, 5]
    ranks = [list(WholeVideos(data, rows, 64, 16, "raise", rank, 2)) for rank in range(2)]
    videos = [{piece["video"] for piece in pieces} for pieces in ranks]
    assert not videos[0] & videos[1]
    assert all(videos)
    check_whole(ranks[0] + ranks[1], data, rows, decode)


def test_an_unlabelled_video_has_no_known_target(data: PreparedDataset) -> None:
    (piece,) = WholeVideos(data, [7], 64, 64)
    assert piece["targets"].shape == (24, 2)
    assert piece["targets"].isnan().all()


# -- unreadable files --------------------------------------------------------------------------------------------


@pytest.fixture
def broken(data: PreparedDataset, tmp_path: Path) -> PreparedDataset:
    """Videos 0 (unlabelled), 2 (train) and 6 (test) are of no use; 6 is so from its last frames on only."""
    shutil.copytree(data.root, tmp_path / "coded")
    damaged = PreparedDataset(tmp_path / "coded")
    damaged.path(0).write_text("not a video")
    shutil.copy(damaged.path(1), damaged.path(2))  # of another length
    damaged.path(6).write_bytes(b"")
    return damaged


def assert_named(loader: Any, *possible: str) -> None:
    with pytest.raises(VideoError) as caught:
        list(loader)
    line = one_line(caught.value)
    assert any(line.startswith(message) for message in possible), line


def test_an_unreadable_file_is_named(broken: PreparedDataset) -> None:
    first, second, third = (f"{broken.path(row)}: " for row in (0, 2, 6))
    other_length = f"{second}has 30 frames, its table says 26"
    assert_named(contrastive(broken).train_dataloader(), f"{first}not a readable video", other_length)
    assert_named(regression(broken).train_dataloader(), other_length)
    assert_named(regression(broken).test_dataloader(), f"{third}not a readable video")


def test_an_unreadable_file_is_named_in_one_line_from_a_worker(broken: PreparedDataset) -> None:
    assert_named(regression(broken, workers=1).test_dataloader(), f"{broken.path(6)}: not a readable video")


@pytest.mark.parametrize("workers", [0, 2])
def test_skipping_keeps_batches_full_and_keeps_count(broken: PreparedDataset, decode: Decode, workers: int) -> None:
    stage = Listener()
    module = contrastive(broken, workers=workers, on_error="skip")
    fit(stage, module, epochs=2)
    assert len(stage.batches) == 10
    for batch in stage.batches:
        for video, clip in zip(batch["video"].tolist(), batch["clips"].numpy(), strict=True):
            assert {number for number, _ in decode(clip[0])} == {video}
        assert set(batch["video"].tolist()) <= {1, 3, 7}
        assert batch["clips"].shape == (4, 1, 4, 64, 64, 3)
    # two of five videos: two of five clips are unreadable, and so may be those tried in their place
    counts = {Path(message.split(":")[0]).name: times for message, times in module.skipped.items()}
    assert counts.keys() == {"v0.mp4", "v2.mp4"}
    assert all(times >= 8 for times in counts.values())
    assert module.skipped.total() == sum(len(batch["skipped"]) for batch in stage.batches)


def test_skipping_gives_the_same_clips_again(broken: PreparedDataset) -> None:
    loaders = [contrastive(broken, workers=workers, on_error="skip").train_dataloader() for workers in (0, 2)]
    assert_same(*(list(loader) for loader in loaders))


def test_an_unreadable_whole_video_is_skipped_and_counted(broken: PreparedDataset, decode: Decode) -> None:
    stage, module = Listener(), regression(broken, on_error="skip")
    trainer(1).test(stage, module, verbose=False)
    errors = [piece for piece in stage.pieces if piece["error"]]
    assert [(piece["video"], piece["start"]) for piece in errors] == [(6, 0)]
    check_whole([piece for piece in stage.pieces if not piece["error"]], broken, [5], decode)
    assert list(module.skipped.values()) == [1]
    assert "v6.mp4: not a readable video" in next(iter(module.skipped))


def test_when_nothing_is_readable_it_ends(broken: PreparedDataset) -> None:
    module = contrastive(broken, rows=np.array([0, 2]), on_error="skip")
    with pytest.raises(VideoError, match=r"v[02]\.mp4: .*clips tried in its place were unreadable too"):
        next(iter(module.train_dataloader()))


def test_an_unknown_answer_to_unreadable_files_is_named(data: PreparedDataset) -> None:
    with pytest.raises(AulightError, match=r"data\.on_error=ignore: raise or skip"):
        contrastive(data, on_error="ignore")


# -- under Lightning ---------------------------------------------------------------------------------------------


class Listener(pl.LightningModule):
    """Learns nothing and keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.batches: list[Batch] = []
        self.pieces: list[Batch] = []

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        self.batches.append(batch)
        return self.weight * 0

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self.pieces.append(batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        assert self.trainer.estimated_stepping_batches  # as the schedule asks, which makes the loader early
        return torch.optim.SGD(self.parameters(), 0.1)


class Cut(pl.Callback):
    """Ends the run in the middle of an epoch."""

    def __init__(self, epoch: int, batch: int) -> None:
        self.at = (epoch, batch)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        if (trainer.current_epoch, batch_idx) == self.at:
            raise InterruptedError


def trainer(epochs: int, *callbacks: pl.Callback) -> pl.Trainer:
    return pl.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        logger=False,
        callbacks=list(callbacks),
        enable_checkpointing=any(isinstance(callback, ModelCheckpoint) for callback in callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )


def fit(
    stage: Listener, module: pl.LightningDataModule, epochs: int, *callbacks: pl.Callback, resume: Path | None = None
) -> None:
    trainer(epochs, *callbacks).fit(stage, module, ckpt_path=resume, weights_only=True)


@pytest.mark.parametrize("workers", [0, 2])
def test_every_epoch_has_its_own_clips_and_a_resumed_run_has_them_too(
    tmp_path: Path, data: PreparedDataset, workers: int
) -> None:
    def module() -> ContrastiveData:
        return contrastive(data, augment=FLIP, workers=workers)

    clips = module()._train
    expected = [clips[[(epoch, 4 * b + i) for i in range(4)]] for epoch in range(4) for b in range(5)]
    whole, first, second = Listener(), Listener(), Listener()
    fit(whole, module(), 4)
    assert_same(whole.batches, expected)
    saving = ModelCheckpoint(tmp_path, "last", save_on_train_epoch_end=True)
    with pytest.raises(InterruptedError):
        fit(first, module(), 4, saving, Cut(epoch=2, batch=3))
    assert_same(first.batches, expected[:13])
    fit(second, module(), 4, resume=tmp_path / "last.ckpt")
    assert_same(second.batches, expected[10:])  # the epoch that was cut off comes whole


# -- the dataset made on first use -------------------------------------------------------------------------------

OPEN = (
    "import sys, pathlib\n"
    "from aulight.data.opening import open_data\n"
    "from aulight.data.synthetic.dataset import SIZES, Size\n"
    "SIZES['tiny'] = Size(48, 10, 2, 1, 1, 1)\n"
    "print(open_data(pathlib.Path(sys.argv[1]), {'size': 'tiny', 'workers': 1}).fingerprint)"
)


def test_two_processes_at_once_make_the_synthetic_dataset_once(tmp_path: Path) -> None:
    root = tmp_path / "new" / "synthetic"
    jobs = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, str(root)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    ends = [job.communicate(timeout=120) for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0], ends
    assert len({out for out, _ in ends}) == 1
    assert sorted("Drawing synthetic faces" in err for _, err in ends) == [False, True]
    assert len(list((root / "videos").iterdir())) == len(PreparedDataset(root).videos)
