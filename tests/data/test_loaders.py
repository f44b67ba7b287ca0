"""Loaders on real mp4 files whose every frame is known: the same clips however they are loaded, and no others."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from aulight.data.batches import ClipBatch, Piece
from aulight.data.loaders import ContrastiveData, RegressionData
from aulight.data.store import PreparedDataset
from aulight.errors import AulightError, VideoError, one_line
from aulight.settings.data import SyntheticSettings
from aulight.settings.reading import read
from tests.data.coded import (
    FLIP,
    TEST,
    VALIDATION,
    Decode,
    Make,
    assert_same,
    build,
    check_whole,
    contrastive,
    drawn_labels,
    regression,
)


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


SMALL = """
import sys
from pathlib import Path
import torch
from aulight.data import loaders
from aulight.data.store import PreparedDataset
from tests.data.coded import contrastive, regression
torch.set_num_threads(1)
if sys.argv[2] == "unmeasured":  # as when other processes have taken it meanwhile
    loaders.usable_workers = lambda workers, size: (workers, True)
data = PreparedDataset(Path(sys.argv[1]))
def same(one, other):
    return all(torch.equal(v.nan_to_num(-1), other[k].nan_to_num(-1)) for k, v in one.items() if hasattr(v, "shape"))
for stage in (contrastive, regression):
    for part in ("train_dataloader", "test_dataloader") if stage is regression else ("train_dataloader",):
        own, given = (list(getattr(stage(data, workers=workers), part)()) for workers in (0, 2))
        key = lambda batch: (batch["start"], batch["video"]) if part == "test_dataloader" else 0
        own, given = sorted(own, key=key), sorted(given, key=key)
        assert len(own) == len(given) and all(map(same, own, given)), part
print("the same")
"""


@pytest.mark.parametrize(
    ("size", "way", "told"),
    [
        pytest.param("300k", "measured", "batches go through pipes, a little slower", marks=pytest.mark.slow),
        ("64k", "unmeasured", ""),
        pytest.param("64k", "measured", "no loader processes: there is no shared", marks=pytest.mark.slow),
        pytest.param("4k", "measured", "no loader processes: there is no shared", marks=pytest.mark.slow),
    ],
)
def test_little_shared_memory_makes_loading_slower_and_no_more(
    size: str, way: str, told: str, data: PreparedDataset
) -> None:
    """As in a container. Oracle: batches of this process."""
    done = _with_shared_memory(size, "-c", SMALL, str(data.root), way)
    assert (done.returncode, done.stdout) == (0, "the same\n"), done.stderr
    assert told in done.stderr


def _with_shared_memory(size: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python where so much memory can be shared, as in a container; of 4k none is left."""
    fill = "dd if=/dev/zero of=/dev/shm/full bs=4k count=1 status=none; " if size == "4k" else ""
    mount = f"mount -t tmpfs -o size={size} tmpfs /dev/shm && {fill}"
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-m", "sh", "-c", mount + "true"]).returncode:
        pytest.skip("no right to another /dev/shm")
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", mount + 'exec "$@"', "sh", sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize(("size", "workers"), [("4k", 1), ("64k", 1), ("64k", 2), ("96k", 2), ("400k", 2)])
def test_training_goes_on_with_little_shared_memory(size: str, workers: int, smoke_data: Path, tmp_path: Path) -> None:
    """Loaders of training, validation and test live at once. Oracle: the weights of a run without loader processes."""
    weights = []
    for name, count in (("alone", 0), ("run", workers)):
        settings = [f"data_dir={smoke_data.parent}", "data.size=smoke", f"root={tmp_path}", f"name={name}"]
        settings += ["steps=4", "steps_per_epoch=2", "loader.batch_size=3", f"loader.workers={count}"]
        settings += ["trainer.accelerator=cpu", "label_fraction=0.1", "threads=1"]
        done = _with_shared_memory(size, "-m", "aulight", "finetune", *settings)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        saved = torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)
        weights.append(saved["state_dict"])
    assert ("no loader processes" in done.stderr) == (size != "400k")
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


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


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_whole_videos_come_once_and_in_order(data: PreparedDataset, decode: Decode, workers: int) -> None:
    module = regression(data, workers=workers, chunk=8)
    for _ in range(2):
        check_whole(list(module.test_dataloader()), data, TEST, decode)
    validation = module.val_dataloader()
    for _ in range(2):
        check_whole(list(validation), data, VALIDATION, decode)


def assert_named(loader: Any, *possible: str) -> None:
    with pytest.raises(VideoError) as caught:
        list(loader)
    line = one_line(caught.value)
    assert any(line.startswith(message) for message in possible), line


def test_an_unreadable_file_is_named(broken: PreparedDataset) -> None:
    first, second, third = (f"{broken.file(row)}: " for row in (0, 2, 6))
    other_length = f"{second}has 30 frames, its table says 26"
    assert_named(contrastive(broken).train_dataloader(), f"{first}not a readable video", other_length)
    assert_named(regression(broken).train_dataloader(), other_length)
    assert_named(regression(broken).test_dataloader(), f"{third}not a readable video")


def test_an_unreadable_file_is_named_in_one_line_from_a_worker(broken: PreparedDataset) -> None:
    assert_named(regression(broken, workers=1).test_dataloader(), f"{broken.file(6)}: not a readable video")


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
    assert counts.keys() == {"000000.tar (v0)", "000000.tar (v2)"}
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
    assert "(v6): not a readable video" in next(iter(module.skipped))


def test_an_unknown_answer_to_unreadable_files_is_named() -> None:
    protocol = {"name": "own", "folds": 3, "validation": 0.2, "seed": 0}
    plain = {"name": "synthetic", "root": "data", "size": "smoke", "seed": 0, "synthetic": None, "protocol": protocol}
    assert read(SyntheticSettings, plain | {"on_error": "skip"}, "data").on_error == "skip"
    with pytest.raises(AulightError, match=r"data\.on_error=ignore: one of raise, skip is needed"):
        read(SyntheticSettings, plain | {"on_error": "ignore"}, "data")


class Listener(pl.LightningModule):
    """Learns nothing and keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.batches: list[ClipBatch] = []
        self.pieces: list[Piece] = []

    def training_step(self, batch: ClipBatch, batch_idx: int) -> torch.Tensor:
        self.batches.append(batch)
        return self.weight * 0

    def test_step(self, batch: Piece, batch_idx: int) -> None:
        self.pieces.append(batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        assert self.trainer.estimated_stepping_batches  # as the schedule asks, which makes the loader early
        return torch.optim.SGD(self.parameters(), 0.1)


class Cut(pl.Callback):
    """Ends the run in the middle of an epoch."""

    def __init__(self, epoch: int, batch: int) -> None:
        self.at = (epoch, batch)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: ClipBatch, batch_idx: int
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


@pytest.mark.parametrize(("workers", "on"), [(0, "loader"), (2, "loader"), (2, "device")])
def test_every_epoch_has_its_own_clips_and_a_resumed_run_has_them_too(
    tmp_path: Path, data: PreparedDataset, workers: int, on: str
) -> None:
    def module() -> ContrastiveData:
        return contrastive(data, augment=FLIP.model_copy(update={"on": on}), workers=workers)

    clips = module()._train  # changed in this process, which is exact where frames are only turned round
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


@pytest.mark.parametrize("stage", [contrastive, regression])
@pytest.mark.parametrize(("device", "pins"), [("cpu", False), ("cuda:0", True), ("mps", False)])
def test_memory_is_pinned_for_the_gpu_that_is_used(
    device: str, pins: bool, stage: Callable[..., Any], data: PreparedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)  # there may be one and another device is asked for
    module = stage(data)
    strategy = SimpleNamespace(root_device=torch.device(device))
    module.trainer = SimpleNamespace(strategy=strategy, global_rank=0, world_size=1)
    loaders = [module.train_dataloader()]
    if stage is regression:
        loaders += [module.val_dataloader(), module.test_dataloader()]
    assert [loader.pin_memory for loader in loaders] == [pins] * len(loaders)
