"""Several processes on one machine or two, over gloo on the loopback: they end, agree, and learn what one would."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
import yaml
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor
from torch.multiprocessing.spawn import spawn
from torch.utils.data import DataLoader

from aulight import protocol
from aulight.data.batches import ClipBatch
from aulight.data.loaders import ContrastiveData, RegressionData
from aulight.data.store import PreparedDataset
from aulight.errors import AulightError
from aulight.runs.run import Run
from aulight.settings.finetune import FinetuneOptimSettings
from aulight.settings.model import NetworkSettings
from aulight.settings.training import ClipSettings
from aulight.training.regression import RegressionStage
from aulight.training.trainer import OneFolder, fit, make_trainer
from tests.training.typed import finetune_settings

WAIT_S = 400

ENCODER = NetworkSettings(
    backbone="resnet_tiny", temporal="gru", size=32, embedding=16, hidden=12, skip=True, norm="group",
    small_input=False, mean=[0.5, 0.5, 0.5], std=[0.25, 0.25, 0.25],
)  # fmt: skip
OPTIM = FinetuneOptimSettings(lr=1e-3, encoder_lr_factor=1.0, weight_decay=0.01, warmup=0.1)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _in_processes(function: Callable[..., None], processes: int, *arguments: Any) -> None:
    """Runs a function in so many processes, which find each other as those do that Lightning starts."""
    context = spawn(_placed, (processes, _free_port(), function, arguments), nprocs=processes, join=False)  # type: ignore[no-untyped-call]
    deadline = time.monotonic() + WAIT_S
    try:
        while not context.join(1):
            assert time.monotonic() < deadline, "they wait for each other for ever"
    finally:
        for process in context.processes:
            process.kill()


def _placed(rank: int, processes: int, port: int, function: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(processes)}
    os.environ |= {"NODE_RANK": "0", "LOCAL_RANK": str(rank)}
    torch.set_num_threads(1)
    function(rank, *arguments)


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that are spawned import this file by name."""
    monkeypatch.syspath_prepend(Path(__file__).parent)


def _validate(rank: int, root: Path, folder: Path) -> None:
    data = PreparedDataset(root)
    split = protocol.split(data.videos, data.name, "own", fold=1, folds=3, validation=0.2, seed=0)
    labels = protocol.draw_labels(protocol.usable_labels(data.labels, data.frames, data.videos, split.train), 0, 0.2)
    settings = finetune_settings(
        "trainer=ddp", "trainer.accelerator=cpu", "trainer.precision=32-true", "trainer.devices=3", "steps=2",
        "steps_per_epoch=1", "name=run", "progress_s=60", "trainer.log_every_n_steps=1",
    )  # fmt: skip
    torch.manual_seed(0)
    ones = [1.0] * len(data.aus)
    stage = RegressionStage(settings.encoder, list(data.aus), ones, ones, 4, 4 / 25, 3, "mse", "none", OPTIM)
    module = RegressionData(
        data, labels, data.rows(split.validation)[:1], data.rows(split.test)[:1], ClipSettings(length=4, stride=[4, 4]),
        settings.augment, size=64, batch_size=6, batches_per_epoch=1, chunk=32, workers=0, seed=0, on_error="raise",
    )  # fmt: skip
    best = ModelCheckpoint(folder / "checkpoints", "best", monitor="val/icc", mode="max", save_on_train_epoch_end=False)
    seen: list[dict[str, Tensor]] = []

    class Noting(pl.Callback):
        def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            seen.append({name: buffer.clone() for name, buffer in pl_module.named_buffers()})

    with Run(folder, "finetune", {"name": "run", "trainer": {"precision": "32-true"}}) as run:
        trainer = make_trainer(run, settings, [best, Noting()])
        fit(trainer, stage, module, run, settings)
        scores = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
        trainer.validate(stage, module, verbose=False)
    torch.save({"seen": seen, "scores": scores, "weights": stage.state_dict()}, folder / f"{rank}.pt")


@pytest.mark.slow
def test_more_processes_than_validation_videos(smoke_data: Path, tmp_path: Path) -> None:
    """They end; all score what is kept: the buffers of the first, whose running statistics are over its own clips."""
    _in_processes(_validate, 3, smoke_data, tmp_path)
    ranks = [torch.load(tmp_path / f"{rank}.pt") for rank in range(3)]
    kept = torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    last = ranks[0]["seen"][1]
    moved = [name for name in last if name.endswith("running_mean")]
    assert moved
    for name in moved:
        assert not torch.equal(ranks[0]["seen"][0][name], last[name])
        for rank in ranks:
            torch.testing.assert_close(rank["seen"][1][name], last[name], rtol=0, atol=0)
            torch.testing.assert_close(rank["weights"][name], kept[name], rtol=0, atol=0)
        torch.testing.assert_close(kept[name], last[name], rtol=0, atol=0)
    assert ranks[0]["scores"]["val/mae"] > 0
    for rank in ranks[1:]:
        assert rank["scores"] == pytest.approx(ranks[0]["scores"], nan_ok=True)
    record = yaml.safe_load((tmp_path / "run.yaml").read_text())
    assert (record["outcome"], record["hardware"]["processes"]) == ("done", 3)


# ---- how they are started ---------------------------------------------------------------------------------------


def _environments(kind: str) -> list[dict[str, str]]:
    """What each of the two processes that are typed is told."""
    meet = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
    if kind == "machines":
        return [meet | {"NODE_RANK": str(number)} for number in range(2)]
    job = {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "1", "SLURM_NNODES": "2", "SLURM_JOB_NAME": "train"}
    return [
        meet | job | {"SLURM_JOB_ID": "1234", "SLURM_PROCID": place, "SLURM_NODEID": place, "SLURM_LOCALID": "0"}
        for place in "01"
    ]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["machines", "srun", "torchrun"])
def test_two_processes_are_one_run(kind: str, tiny_finetune: list[str], smoke_data: Path, tmp_path: Path) -> None:
    """Typed on each of two machines, or started by what starts processes: the first alone writes and speaks."""
    nodes, devices = (1, 2) if kind == "torchrun" else (2, 1)
    command = [
        *tiny_finetune, "trainer=ddp", "trainer.accelerator=cpu", f"trainer.devices={devices}",
        f"trainer.num_nodes={nodes}", "loader.batch_size=4", f"root={tmp_path}", "name=run",
    ]  # fmt: skip
    start = [sys.executable, "-m", "aulight"]
    if kind == "torchrun":
        start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "aulight"]
    for said in (": done in", ": already done"):
        environments = [{}] if kind == "torchrun" else _environments(kind)
        processes = [
            subprocess.Popen(
                [*start, *command], cwd=tmp_path, env=os.environ | environment, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )
            for environment in environments
        ]  # fmt: skip
        try:
            ended = [process.communicate(timeout=WAIT_S) for process in processes]
        finally:
            for process in processes:
                process.kill()
        assert [process.returncode for process in processes] == [0] * len(processes), ended
        assert [out.count(said) for out, _ in ended] == [1, 0][: len(processes)], ended
    record = yaml.safe_load((tmp_path / "run" / "run.yaml").read_text())
    assert (record["outcome"], record["steps"], record["hardware"]["processes"]) == ("done", 6, 2)
    data = PreparedDataset(smoke_data)
    table = pd.read_parquet(tmp_path / "run" / "predictions.parquet")
    assert set(table["subject"]) == set(protocol.own_split(data.videos, data.name).test)
    assert len(table) == 60 * table["subject"].nunique()
    assert not table.duplicated(["video_id", "frame"]).any()


def test_another_number_of_processes_than_was_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TORCHELASTIC_RUN_ID": "a", "RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "4"}.items():
        monkeypatch.setenv(name, value)
    for devices in (1, 2):
        settings = finetune_settings("trainer.accelerator=cpu", f"trainer.devices={devices}", "trainer.precision=32")
        with pytest.raises(AulightError, match=r"trainer: .*devices=.* does not match the world size \(4\)"):
            make_trainer(Run(tmp_path / str(devices), "finetune", {"name": "run"}), settings, [])


def test_processes_that_torchrun_starts_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They would meet where the addresses of those before are; tests/training/test_machines.py runs them."""
    told = {"TORCHELASTIC_RUN_ID": "a", "RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"}
    for name, value in (told | {"TORCHELASTIC_RESTART_COUNT": "1"}).items():
        monkeypatch.setenv(name, value)
    settings = finetune_settings("trainer.accelerator=cpu", "trainer.devices=1", "trainer.precision=32")
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "False")
    make_trainer(Run(tmp_path / "apart", "finetune", {"name": "run"}), settings, [])
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")
    with pytest.raises(AulightError, match="TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 before torchrun is needed"):
        make_trainer(Run(tmp_path / "shared", "finetune", {"name": "run"}), settings, [])


@pytest.mark.parametrize(
    ("typed", "cuda", "synchronised"),
    [
        (["trainer=ddp"], True, True),
        (["trainer.devices=2"], True, True),
        (["trainer=ddp", "trainer.accelerator=cpu"], True, False),
        (["trainer=ddp"], False, False),
        (["trainer=ddp", "trainer.sync_batchnorm=false"], True, False),
    ],
)
def test_batchnorm_is_synchronised_where_torch_can(
    typed: list[str], cuda: bool, synchronised: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Lightning is asked for, where there is a GPU and where there is none."""
    asked: dict[str, Any] = {}

    def trainer(**arguments: Any) -> None:
        asked.update(arguments)
        raise ValueError("enough")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(pl, "Trainer", trainer)
    with pytest.raises(AulightError, match="enough"):
        make_trainer(Run(tmp_path, "finetune", {}), finetune_settings(*typed, "trainer.precision=32"), [])
    assert asked["sync_batchnorm"] is synchronised


# ---- batches that make a step together ------------------------------------------------------------------------------


def _clips() -> tuple[Tensor, Tensor]:
    """Eight clips, and of their targets so many as differ a lot from clip to clip: in one, none."""
    generator = torch.Generator().manual_seed(1)
    clips = torch.randint(0, 256, (8, 1, 3, 32, 32, 3), dtype=torch.uint8, generator=generator)
    targets = 5 * torch.rand((8, 3, 2), generator=generator)
    for clip, known in enumerate((6, 1, 0, 3, 1, 1, 2, 1)):
        targets[clip].view(-1)[known:] = torch.nan
    return clips, targets


SHARE = 0.7
"""Of 1 - CCC."""


class _Plain(RegressionStage):
    """Weights move by the negative gradient."""

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=1.0)


def _stage(loss: Any = "mse") -> _Plain:
    torch.manual_seed(0)
    stage = _Plain(ENCODER, [1, 2], [0.5, 1.0], [0.5, 2.0], 2, 2 / 25, 3, loss, "none", OPTIM, SHARE)
    torch.nn.init.normal_(stage.regressor.linear.weight)
    return stage


def _batch(clips: Tensor, targets: Tensor) -> ClipBatch:
    nobody = torch.zeros(len(clips), dtype=torch.int64)
    frames = torch.arange(clips.shape[2]).expand(len(clips), -1)
    return {"clips": clips, "video": nobody, "subject": nobody, "frames": frames, "skipped": [], "targets": targets}


def _slow_gradient(loss: str = "mse", batches: int = 1) -> dict[str, Tensor]:
    """Of the mean over all known targets of the eight clips, one target after the other.

    By the squared error; or, of each batch, as many of its labels as are of an AU that varies there by Lin's formula.
    """
    stage, (clips, targets) = _stage(), _clips()
    pairs: dict[tuple[int, int], list[tuple[Tensor, Tensor]]] = {}
    for clip, frame, au in torch.argwhere(~targets.isnan()).tolist():
        pixels = (clips[clip : clip + 1, 0].float() / 255 - 0.5) / 0.25
        features, _ = stage.encoder(pixels.permute(0, 1, 4, 2, 3))
        outputs = features[0, frame, :, 0, 0] @ stage.regressor.linear.weight.T + stage.regressor.linear.bias
        label = (targets[clip, frame, au] - [0.5, 1.0][au]) / [0.5, 2.0][au]
        pairs.setdefault((clip * batches // 8, au), []).append((outputs[au], label))
    total, agreeing = torch.zeros(()), 0
    for of_unit in pairs.values():
        x, y = (torch.stack(part) for part in zip(*of_unit, strict=True))
        term = (x - y).square().mean()
        if loss == "ccc" and len(of_unit) >= 5:
            spread = x.var(correction=0) + y.var(correction=0) + (x.mean() - y.mean()) ** 2
            ccc = 2 * ((x - x.mean()) * (y - y.mean())).mean() / spread
            term, agreeing = (1 - SHARE) * term + SHARE * (1 - ccc), agreeing + 1
        total = total + len(of_unit) * term
    assert sum(map(len, pairs.values())) == 15
    assert agreeing == (0 if loss == "mse" else {1: 2, 2: 1, 4: 0}[batches])
    torch.autograd.backward(total / 15)
    return {name: parameter.grad for name, parameter in stage.named_parameters() if parameter.grad is not None}


def _one_step(rank: int, world: int, batches: int, folder: Path, loss: str = "mse") -> None:
    clips, targets = _clips()
    shares: list[ClipBatch] = []
    for some, known in zip(clips.chunk(batches), targets.chunk(batches), strict=True):
        own, of_own = some.chunk(world)[rank], known.chunk(world)[rank]
        shares.append(_batch(own, of_own))
    stage = _stage(loss)
    before = {name: parameter.detach().clone() for name, parameter in stage.named_parameters()}
    trainer = pl.Trainer(
        accelerator="cpu", devices=world, strategy="ddp" if world > 1 else "auto", accumulate_grad_batches=batches,
        max_epochs=1, use_distributed_sampler=False, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, limit_val_batches=0,
    )  # fmt: skip
    trainer.fit(stage, DataLoader(shares, batch_size=None))  # type: ignore[arg-type]  # a list is a dataset
    assert trainer.global_step == 1
    torch.save({name: before[name] - value.detach() for name, value in stage.named_parameters()}, folder / f"{rank}.pt")


@pytest.mark.parametrize(
    ("world", "batches"),
    [(1, 1), (1, 2), (1, 4), pytest.param(2, 1, marks=pytest.mark.slow), pytest.param(2, 2, marks=pytest.mark.slow)],
)
def test_every_label_of_a_step_counts_alike(world: int, batches: int, tmp_path: Path) -> None:
    """Oracle: one target after the other, in one process and one batch."""
    if world == 1:
        _one_step(0, 1, batches, tmp_path)
    else:
        _in_processes(_one_step, world, world, batches, tmp_path)
    expected = _slow_gradient()
    for rank in range(world):
        moved = torch.load(tmp_path / f"{rank}.pt")
        assert moved.keys() == expected.keys()
        for name, gradient in expected.items():
            torch.testing.assert_close(moved[name], gradient, rtol=1e-3, atol=2e-5, msg=name)


class _Keeping(pl.LightningModule):
    """Learns nothing, and keeps the clips that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.clips: list[Tensor] = []

    def training_step(self, batch: ClipBatch, batch_idx: int) -> Tensor:
        self.clips.append(batch["clips"])
        return self.weight * 1

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def _augmented(rank: int, world: int, root: Path, folder: Path) -> None:
    data, lists = PreparedDataset(root), finetune_settings("augment=strong", "augment.on=device").augment
    rows, clip = np.arange(len(data.videos)), ClipSettings(length=3, stride=[1, 2])
    module = ContrastiveData(data, rows, clip, lists, 2, 64, 4, 2, 1, 0, "raise")
    trainer = pl.Trainer(
        accelerator="cpu", devices=world, strategy="ddp" if world > 1 else "auto", max_epochs=2, logger=False,
        use_distributed_sampler=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    stage = _Keeping()
    trainer.fit(stage, module)
    torch.save(torch.stack(stage.clips), folder / f"{rank}of{world}.pt")


@pytest.mark.slow
def test_two_processes_augment_the_clips_of_one(smoke_data: Path, tmp_path: Path) -> None:
    _in_processes(_augmented, 2, 2, smoke_data, tmp_path)
    _augmented(0, 1, smoke_data, tmp_path)
    one, *two = (torch.load(tmp_path / name) for name in ("0of1.pt", "0of2.pt", "1of2.pt"))
    assert one.shape[:4] == (4, 4, 2, 3)
    torch.testing.assert_close(torch.cat(two, 1), one, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("world", "batches"),
    [(1, 1), (1, 2), pytest.param(2, 1, marks=pytest.mark.slow), pytest.param(2, 2, marks=pytest.mark.slow)],
)
def test_agreement_is_over_each_batch_of_all_processes(world: int, batches: int, tmp_path: Path) -> None:
    """Oracle: Lin's formula over all labels of a batch in one process; batches that make a step have one each."""
    if world == 1:
        _one_step(0, 1, batches, tmp_path, "ccc")
    else:
        _in_processes(_one_step, world, world, batches, tmp_path, "ccc")
    expected = _slow_gradient("ccc", batches)
    for rank in range(world):
        moved = torch.load(tmp_path / f"{rank}.pt")
        assert moved.keys() == expected.keys()
        for name, gradient in expected.items():
            torch.testing.assert_close(moved[name], gradient, rtol=1e-3, atol=2e-5, msg=name)


def _apart(rank: int, folder: Path) -> None:
    clips, targets = _clips()
    batch = _batch(clips, targets)
    trainer = pl.Trainer(
        accelerator="cpu", devices=2, strategy="ddp", max_epochs=1, callbacks=[OneFolder(folder / "run", 4 - 4 * rank)],
        logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    with pytest.raises(AulightError, match="run: is not the same folder on all machines"):
        trainer.fit(_stage(), DataLoader([batch], batch_size=None))  # type: ignore[arg-type]  # a list is a dataset


@pytest.mark.slow
def test_machines_that_share_no_folder(tmp_path: Path) -> None:
    """One would go on from step 4, the other begin anew; both end."""
    _in_processes(_apart, 2, tmp_path)
