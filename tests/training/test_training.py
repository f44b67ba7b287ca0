"""Runs that are cut off at the worst moments, and run twice: the oracle is always the undisturbed run."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
import pytorch_lightning as pl
import torch
import yaml
from torch.multiprocessing.spawn import spawn

from aulight import protocol
from aulight.data.batches import ClipBatch, ClipBatches
from aulight.data.loaders import RegressionData
from aulight.data.store import PreparedDataset
from aulight.errors import AulightError
from aulight.runs.run import Run
from aulight.settings.finetune import FinetuneOptimSettings
from aulight.settings.training import ClipSettings
from aulight.training.logs import RunLogger
from aulight.training.progress import duration
from aulight.training.regression import RegressionStage
from aulight.training.resuming import AtomicCheckpoints
from aulight.training.trainer import make_trainer
from tests.training.typed import finetune_settings

Command = Callable[..., Any]
WAIT_S = 400

# A run that stops at a chosen moment, says so, and waits there to be killed.
DRIVER = """
import io, os, sys
from pathlib import Path

import pytorch_lightning as pl
import torch

from aulight.cli.main import main
from aulight.training.progress import Progress
from aulight.training.resuming import AtomicCheckpoints

def stop():
    print("HERE", flush=True)
    os.read(0, 1)

def mid_epoch():
    original = Progress.on_train_batch_end
    def hook(self, trainer, *rest):
        original(self, trainer, *rest)
        if trainer.global_step == 5:
            stop()
    Progress.on_train_batch_end = hook

def around_saving(before):
    original = AtomicCheckpoints.save_checkpoint
    def save(self, checkpoint, path, storage_options=None):
        chosen = checkpoint["global_step"] == 4 and Path(path).name == "last.ckpt"
        if chosen and before:
            stop()
        original(self, checkpoint, path, storage_options)
        if chosen:
            stop()
    AtomicCheckpoints.save_checkpoint = save

def while_saving():
    original, count = torch.save, [0]
    def save(what, file, *rest, **options):
        if Path(file).suffix == ".ckpt" and what["global_step"] == 4:
            buffer = io.BytesIO()
            original(what, buffer)
            Path(file).write_bytes(buffer.getvalue()[: buffer.tell() // 2])
            stop()
        original(what, file, *rest, **options)
    torch.save = save

def before_test():
    pl.Trainer.test = lambda *_, **__: stop()

if __name__ == "__main__":
    moment = os.environ["MOMENT"]
    if moment.endswith("saving") and moment != "while_saving":
        around_saving(moment == "before_saving")
    else:
        globals()[moment]()
    main()
"""


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts a command that stops at a moment, and returns when it is there."""
    driver = tmp_path / "driver.py"
    driver.write_text(DRIVER)

    def run(moment: str, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(driver), *arguments],
            env=os.environ | {"MOMENT": moment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(tmp_path / "stderr").open("w"),
            text=True,
            start_new_session=True,
            # it may have been inherited deaf to Ctrl-C, from a shell's background job
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            cwd=tmp_path,
        )
        assert process.stdout is not None
        signal.alarm(WAIT_S)  # the deadline: no line may take longer
        for line in process.stdout:
            if line == "HERE\n":
                signal.alarm(0)
                return process
        signal.alarm(0)
        raise AssertionError((tmp_path / "stderr").read_text())

    return run


def _kill(process: subprocess.Popen[str], children: Sequence[psutil.Process] = ()) -> None:
    process.kill()
    process.wait(WAIT_S)
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive


def _metrics(run: Path) -> pd.DataFrame:
    table = pd.read_csv(run / "metrics.csv")
    return table[sorted(column for column in map(str, table) if not column.startswith("speed/"))]


def _assert_equal(one: Any, other: Any) -> None:
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key, value in one.items():
            _assert_equal(value, other[key])
    elif isinstance(one, list | tuple):
        for pair in zip(one, other, strict=True):
            _assert_equal(*pair)
    elif isinstance(one, torch.Tensor):
        torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)
    else:
        assert one == other


def _assert_same_run(run: Path, undisturbed: Path) -> None:
    """Equal to the bit: weights, optimiser, schedule, metrics, predictions."""
    for name in ("last", "best"):
        path = undisturbed / "checkpoints" / f"{name}.ckpt"
        assert path.is_file() == (run / "checkpoints" / f"{name}.ckpt").is_file()
        if path.is_file():
            one, other = (torch.load(r / "checkpoints" / f"{name}.ckpt", weights_only=True) for r in (run, undisturbed))
            for key in ("state_dict", "optimizer_states", "lr_schedulers", "global_step", "hyper_parameters"):
                _assert_equal(one[key], other[key])
    pd.testing.assert_frame_equal(_metrics(run), _metrics(undisturbed), check_exact=True)
    if (undisturbed / "predictions.parquet").is_file():
        for table in ("predictions", "labels_used"):
            one, other = (pd.read_parquet(r / f"{table}.parquet") for r in (run, undisturbed))
            pd.testing.assert_frame_equal(one, other, check_exact=True)
    first, second = (yaml.safe_load((r / "run.yaml").read_text()) for r in (run, undisturbed))
    assert first["outcome"] == second["outcome"] == "done"
    assert first.get("test") == second.get("test")
    assert first.get("validation") == second.get("validation")


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.slow
def test_same_numbers_twice_on_any_number_of_workers(
    workers: int,
    aulight: Command,
    tiny_pretrain: list[str],
    tiny_finetune: list[str],
    pretrained: Path,
    finetuned: Path,
    tmp_path: Path,
) -> None:
    where = [f"root={tmp_path}", f"loader.workers={workers}"]
    assert aulight(*tiny_pretrain, *where, "name=one").status == 0
    _assert_same_run(tmp_path / "one", pretrained)
    assert aulight(*tiny_finetune, *where, "name=two", f"pretrained={tmp_path / 'one'}").status == 0
    _assert_same_run(tmp_path / "two", finetuned)


def test_another_seed_gives_other_numbers(
    aulight: Command, tiny_pretrain: list[str], pretrained: Path, tmp_path: Path
) -> None:
    assert aulight(*tiny_pretrain, f"root={tmp_path}", "name=run", "seed=1").status == 0
    one, other = (torch.load(r / "checkpoints/last.ckpt", weights_only=True) for r in (tmp_path / "run", pretrained))
    assert not torch.equal(
        one["state_dict"]["encoder.temporal.gru.weight_hh_l0"], other["state_dict"]["encoder.temporal.gru.weight_hh_l0"]
    )


CUTS = [
    ("pretrain", "mid_epoch"),
    ("pretrain", "before_saving"),
    ("pretrain", "while_saving"),
    ("pretrain", "after_saving"),
    ("finetune", "mid_epoch"),
    ("finetune", "before_saving"),
    ("finetune", "before_test"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("command", "moment"), CUTS)
def test_killed_and_started_again_it_ends_as_if_undisturbed(
    command: str,
    moment: str,
    request: pytest.FixtureRequest,
    start: Callable[..., subprocess.Popen[str]],
    aulight: Command,
    pretrained: Path,
    tmp_path: Path,
) -> None:
    settings = [*request.getfixturevalue(f"tiny_{command}"), f"root={tmp_path}", "name=run"]
    if command == "finetune":
        settings.append(f"pretrained={pretrained}")
    undisturbed: Path = request.getfixturevalue("pretrained" if command == "pretrain" else "finetuned")
    process = start(moment, *settings, "loader.workers=1")
    children = psutil.Process(process.pid).children(recursive=True)
    assert children or moment == "before_test"  # no loader is open then
    _kill(process, children)
    record = yaml.safe_load((tmp_path / "run/run.yaml").read_text())
    assert record["outcome"] == "running"
    outcome = aulight(*settings)
    assert outcome.status == 0, outcome.err
    at = {"before_saving": 2, "while_saving": 2, "mid_epoch": 4, "after_saving": 4}.get(moment)
    assert ("resumed" in outcome.out) == (at is not None)
    if at is not None:
        assert f"run: resumed at step {at}\n" in outcome.out
    _assert_same_run(tmp_path / "run", undisturbed)
    steps = _metrics(tmp_path / "run").dropna(subset="train/loss")["step"]
    assert list(steps) == list(range(6))
    assert not [path for path in (tmp_path / "run").rglob("*") if {".partial", ".tmp"} & {*path.suffixes}]


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["mid_epoch", "before_test"])
def test_killed_and_moved_it_ends_as_if_undisturbed(
    moment: str,
    start: Callable[..., subprocess.Popen[str]],
    aulight: Command,
    tiny_finetune: list[str],
    pretrained: Path,
    finetuned: Path,
    tmp_path: Path,
) -> None:
    """The best checkpoint is that of before, whose score is remembered, in the folder that the run is in now."""
    settings = [*tiny_finetune, f"pretrained={pretrained}", "name=run"]
    process = start(moment, *settings, f"root={tmp_path / 'before'}", "loader.workers=1")
    _kill(process, psutil.Process(process.pid).children(recursive=True))
    (tmp_path / "before").rename(tmp_path / "now")
    outcome = aulight(*settings, f"root={tmp_path / 'now'}")
    assert (outcome.status, "dirpath" in outcome.err) == (0, False), outcome.err
    assert not (tmp_path / "before").exists()
    _assert_same_run(tmp_path / "now/run", finetuned)


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["byol", "masked"])
def test_a_teacher_goes_on_where_it_was(
    objective: str,
    start: Callable[..., subprocess.Popen[str]],
    aulight: Command,
    tiny_pretrain: list[str],
    tmp_path: Path,
) -> None:
    settings = [*tiny_pretrain, f"root={tmp_path}", f"objective={objective}"]
    assert aulight(*settings, "name=undisturbed").status == 0
    process = start("after_saving", *settings, "name=run", "loader.workers=1")
    _kill(process, psutil.Process(process.pid).children(recursive=True))
    outcome = aulight(*settings, "name=run")
    assert (outcome.status, "run: resumed at step 4\n" in outcome.out) == (0, True), outcome.err
    _assert_same_run(tmp_path / "run", tmp_path / "undisturbed")


@pytest.mark.slow
def test_a_reference_goes_on_where_it_was(
    start: Callable[..., subprocess.Popen[str]],
    aulight: Command,
    tiny_finetune: list[str],
    tmp_path: Path,
) -> None:
    settings = [*tiny_finetune, f"root={tmp_path}", "reference=3"]
    assert aulight(*settings, "name=undisturbed").status == 0
    process = start("after_saving", *settings, "name=run", "loader.workers=1")
    _kill(process, psutil.Process(process.pid).children(recursive=True))
    outcome = aulight(*settings, "name=run")
    assert (outcome.status, "run: resumed at step 4\n" in outcome.out) == (0, True), outcome.err
    _assert_same_run(tmp_path / "run", tmp_path / "undisturbed")


@pytest.mark.slow
def test_a_student_goes_on_with_the_labels_it_was_given(
    start: Callable[..., subprocess.Popen[str]],
    aulight: Command,
    tiny_finetune: list[str],
    finetuned: Path,
    tmp_path: Path,
) -> None:
    """Whatever has become of its teacher by then."""
    teacher = tmp_path / "teacher"
    shutil.copytree(finetuned, teacher)
    settings = [*tiny_finetune, "loader.batch_size=4", f"root={tmp_path}", f"pseudo.runs=[{teacher}]"]
    assert aulight(*settings, "name=undisturbed").status == 0
    process = start("after_saving", *settings, "name=run", "loader.workers=1")
    _kill(process, psutil.Process(process.pid).children(recursive=True))
    shutil.rmtree(teacher)
    outcome = aulight(*settings, "name=run")
    assert (outcome.status, "run: resumed at step 4\n" in outcome.out) == (0, True), outcome.err
    _assert_same_run(tmp_path / "run", tmp_path / "undisturbed")
    one, other = (pd.read_parquet(tmp_path / name / "pseudo_labels.parquet") for name in ("run", "undisturbed"))
    pd.testing.assert_frame_equal(one, other, check_exact=True)


@pytest.mark.slow
def test_killed_twice_keeps_all_metrics(
    start: Callable[..., subprocess.Popen[str]],
    aulight: Command,
    tiny_pretrain: list[str],
    pretrained: Path,
    tmp_path: Path,
) -> None:
    settings = [*tiny_pretrain, f"root={tmp_path}", "name=run"]
    _kill(start("before_saving", *settings))
    _kill(start("mid_epoch", *settings))
    assert aulight(*settings).status == 0
    _assert_same_run(tmp_path / "run", pretrained)


@pytest.mark.slow
@pytest.mark.parametrize("whole_group", [True, False])
def test_interrupted_run_says_so_and_can_go_on(
    whole_group: bool,
    start: Callable[..., subprocess.Popen[str]],
    aulight: Command,
    tiny_pretrain: list[str],
    pretrained: Path,
    tmp_path: Path,
) -> None:
    settings = [*tiny_pretrain, f"root={tmp_path}", "name=run"]
    process = start("mid_epoch", *settings, "loader.workers=2")
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 2
    if whole_group:  # what a terminal does on Ctrl-C
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(signal.SIGINT)
    assert process.wait(WAIT_S) == 130
    assert (tmp_path / "stderr").read_text() == ("aulight: interrupted; the same command goes on where it was\n")
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive
    assert yaml.safe_load((tmp_path / "run/run.yaml").read_text())["outcome"] == "interrupted"
    assert aulight(*settings).status == 0
    _assert_same_run(tmp_path / "run", pretrained)


def test_damaged_checkpoint_to_go_on_from(aulight: Command, tiny_pretrain: list[str], tmp_path: Path) -> None:
    checkpoint = tmp_path / "run" / "checkpoints" / "last.ckpt"
    assert aulight(*tiny_pretrain, f"root={tmp_path}", "name=run").status == 0
    record = tmp_path / "run" / "run.yaml"
    record.write_text(record.read_text().replace("outcome: done", "outcome: interrupted"))
    checkpoint.write_text("damaged")
    outcome = aulight(*tiny_pretrain, f"root={tmp_path}", "name=run")
    assert outcome.status == 2
    assert outcome.err.startswith(f"aulight: {checkpoint}: not a checkpoint of aulight"), outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_metrics_survive_any_number_of_short_lives(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    first = RunLogger(run, 0)
    for step in range(4):
        first.log_metrics({"loss": step / 2}, step)
    first.log_metrics({"score": 0.5}, 3)  # a new column
    first.save()
    for before in (3, 3, 2):  # these live long enough to open the file, and no longer
        RunLogger(run, before).experiment  # noqa: B018
    last = RunLogger(run, 2)
    last.log_metrics({"loss": 9.0}, 2)
    last.save()
    table = pd.read_csv(run / "metrics.csv")
    assert table["step"].tolist() == [0, 1, 2]
    assert table["loss"].tolist() == [0.0, 0.5, 9.0]
    assert [path.name for path in run.iterdir()] == ["metrics.csv"]


@pytest.mark.parametrize("text", [b"step,a\n1,2,3\n", b"step,a\nx,2\n", b"step\n" + b"1" * 200_000 + b"\n", b"\xff"])
def test_a_log_that_is_of_something_else_is_named(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "metrics.csv").write_bytes(text)
    with pytest.raises(AulightError, match=r"metrics\.csv: not (as aulight writes it|UTF-8)"):
        RunLogger(tmp_path, 0).experiment  # noqa: B018


def test_a_log_that_is_far_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "metrics.csv").open("wb") as file:
        file.truncate(2**37)
    with pytest.raises(AulightError, match=r"metrics\.csv: larger than 128 MB"):
        RunLogger(tmp_path, 0).experiment  # noqa: B018


def test_learning_rate_that_is_logged_is_the_one_used(pretrained: Path) -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([parameter])
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=6, pct_start=0.1)
    rates = []
    for _ in range(6):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    logged = _metrics(pretrained).dropna(subset="train/loss")["lr"]
    assert logged.tolist() == pytest.approx(rates, rel=1e-5)


def test_progress_lines(aulight: Command, tiny_pretrain: list[str], tmp_path: Path) -> None:
    lines = aulight(*tiny_pretrain, f"root={tmp_path}", "name=run").out.splitlines()
    assert [line.split(",")[0] for line in lines[:-1]] == [f"run: step {step}/6" for step in range(1, 7)]
    assert all("frames/s, data wait" in line and line.endswith("left") for line in lines[:-1])
    assert lines[-1].startswith("run: done in ")
    assert max(map(len, lines[:-1])) < 160


def test_whole_epochs() -> None:
    assert finetune_settings("steps=6", "steps_per_epoch=2").epochs == 3
    for steps in (5, 1):
        with pytest.raises(AulightError, match="multiple of steps_per_epoch=2"):
            finetune_settings(f"steps={steps}", "steps_per_epoch=2")


def test_duration() -> None:
    assert [duration(seconds) for seconds in (0.2, 59, 60, 1000)] == ["0 s", "59 s", "1.0 min", "16.7 min"]


# ---- many devices -----------------------------------------------------------------------------------------------

TWO = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]


def _alone(tmp_path: Path, *command: str) -> str:
    """Runs a command in a process of its own, as a distributed run must be; returns what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "aulight", *command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_S,
    )
    assert done.returncode == 0, done.stderr
    assert "site-packages" not in done.stderr  # no warnings
    return done.stdout


def _regression(data: PreparedDataset, videos: int) -> tuple[RegressionStage, RegressionData]:
    """A stage with the same random weights wherever it is made, and the first videos to be tested."""
    split = protocol.split(data.videos, data.name, "own", fold=1, folds=3, validation=0.2, seed=0)
    labels = protocol.draw_labels(protocol.usable_labels(data.labels, data.frames, data.videos, split.train), 0, 0.2)
    settings = finetune_settings()
    torch.manual_seed(0)
    ones = [1.0] * len(data.aus)
    optim = FinetuneOptimSettings(lr=1e-3, encoder_lr_factor=1.0, weight_decay=0.01, warmup=0.1)
    stage = RegressionStage(
        settings.encoder, list(data.aus), ones, ones, 4, 0.16, 3, loss="mse", freeze="none", optim=optim
    )
    everything = np.arange(len(data.videos))
    clip = ClipSettings(length=4, stride=[4, 4])
    module = RegressionData(
        data, labels, everything[:videos], everything[-videos:], clip, settings.augment,
        size=64, batch_size=4, batches_per_epoch=3, chunk=32, workers=0, seed=0, on_error="raise",
    )  # fmt: skip
    return stage, module


def _trained(run: Run, stage: RegressionStage, module: RegressionData, *typed: str) -> pl.Trainer:
    ours = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.precision=32-true", "steps=3", "steps_per_epoch=3"]
    trainer = make_trainer(run, finetune_settings(*ours, "name=run", "progress_s=60", *typed), [])
    trainer.fit(stage, module)
    return trainer


VIDEOS = (1, 2, 3, 5)


def _rank(rank: int, root: Path, folder: Path, port: int) -> None:
    """One of two processes: trains an epoch, then scores test sets of several sizes."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "NODE_RANK": "0"}
    os.environ["LOCAL_RANK"] = str(rank)  # so Lightning takes it for one that is there already
    torch.set_num_threads(1)
    data, saved, clips = PreparedDataset(root), [], []
    original, read = AtomicCheckpoints.save_checkpoint, ClipBatches.__getitem__

    def save(self: Any, checkpoint: Any, path: Any, storage_options: Any = None) -> None:
        saved.append(Path(path).name)
        original(self, checkpoint, path, storage_options)

    def noted(self: Any, places: list[tuple[int, int]]) -> Any:
        clips.extend(places)
        return read(self, places)

    AtomicCheckpoints.save_checkpoint = save  # type: ignore[method-assign]
    ClipBatches.__getitem__ = noted  # type: ignore[method-assign]
    run = Run(folder, "finetune", {"name": "run"})
    stage, module = _regression(data, 2)
    _trained(run, stage, module, "trainer.devices=2")
    scores = {}
    for videos in VIDEOS:
        stage, module = _regression(data, videos)
        trainer = pl.Trainer(
            accelerator="cpu", devices=2, strategy="ddp", use_distributed_sampler=False, logger=False,
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip
        trainer.test(stage, module, verbose=False)
        stage.gather_predictions()
        found = stage.metrics.compute()
        scores[videos] = {"metrics": found, "frames": {v: len(p) for v, p in stage.predictions.items()}}
    torch.save({"saved": saved, "clips": clips, "scores": scores}, folder / f"{rank}.pt")


@pytest.mark.slow
def test_two_processes_score_every_frame_once(
    smoke_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Oracles: one process with the same weights; the clips that one process would read; a count of what is written."""
    monkeypatch.syspath_prepend(Path(__file__).parent)  # spawned processes import this file by name
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    spawn(_rank, (smoke_data, tmp_path, port), nprocs=2)  # type: ignore[no-untyped-call]
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert (first["saved"], second["saved"]) == (["last.ckpt"], [])
    assert sorted(first["clips"] + second["clips"]) == [(0, index) for index in range(12)]
    data = PreparedDataset(smoke_data)
    for videos in VIDEOS:
        stage, module = _regression(data, videos)
        trainer = pl.Trainer(
            accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False,
        )  # fmt: skip
        trainer.test(stage, module, verbose=False)
        alone = stage.metrics.compute()
        for rank in (first, second):
            of_rank = rank["scores"][videos]
            assert of_rank["frames"] == dict.fromkeys(range(len(data.videos) - videos, len(data.videos)), 60)
            for name, values in alone.items():
                torch.testing.assert_close(of_rank["metrics"][name], values, rtol=0, atol=1e-9, equal_nan=True)


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(TWO, ["trainer=cpu"]), (["trainer=cpu"], TWO)], ids=["2-1", "1-2"])
def test_a_run_goes_on_with_another_number_of_processes(
    before: list[str],
    after: list[str],
    start: Callable[..., subprocess.Popen[str]],
    tiny_finetune: list[str],
    tmp_path: Path,
) -> None:
    """Oracle: the undisturbed run in one process, but for rounding: the clips are the same."""
    settings = [
        *tiny_finetune,
        "model.norm=group",
        "trainer.precision=32-true",
        "loader.batch_size=4",
        f"root={tmp_path}",
    ]
    _alone(tmp_path, *settings, "trainer=cpu", "name=undisturbed")
    process = start("mid_epoch", *settings, *before, "name=run")
    children = psutil.Process(process.pid).children(recursive=True)
    for child in children:
        child.kill()
    _kill(process, children)
    out = _alone(tmp_path, *settings, *after, "name=run")
    assert out.count("run: resumed at step 4") == 1
    assert out.count("run: done in") == 1
    one, other = (
        torch.load(tmp_path / name / "checkpoints/last.ckpt", weights_only=True) for name in ("undisturbed", "run")
    )
    assert other["global_step"] == one["global_step"] == 6
    for key, value in one["state_dict"].items():
        if not key.startswith("metrics."):  # sums of what each process has scored
            torch.testing.assert_close(value, other["state_dict"][key], rtol=0, atol=2e-4)
    assert _metrics(tmp_path / "run")["step"].tolist() == _metrics(tmp_path / "undisturbed")["step"].tolist()


NOTING = """
import os, sys
from pathlib import Path

import pandas as pd

from aulight.cli.main import main

original = pd.DataFrame.to_parquet

def noted(self, path, **options):
    with Path(sys.argv[0]).with_name("written").open("a") as file:
        print(os.environ.get("LOCAL_RANK", "0"), ",".join(self.columns[:3]), file=file)
    original(self, path, **options)

pd.DataFrame.to_parquet = noted
if __name__ == "__main__":
    main()
"""


@pytest.mark.slow
def test_the_first_of_two_processes_writes_the_tables(
    tiny_finetune: list[str], smoke_data: Path, tmp_path: Path
) -> None:
    """Oracle: what each process says when it writes one; and that the tables hold each frame of both once."""
    driver = tmp_path / "driver.py"
    driver.write_text(NOTING)
    settings = [*tiny_finetune, *TWO, "loader.batch_size=4", f"root={tmp_path}", "name=run"]
    subprocess.run([sys.executable, driver, *settings], cwd=tmp_path, check=True, capture_output=True, timeout=WAIT_S)
    written = sorted((tmp_path / "written").read_text().splitlines())
    assert [line.split()[0] for line in written] == ["0"] * 4, written
    data = PreparedDataset(smoke_data)
    split = protocol.own_split(data.videos, data.name)
    for name, subjects in (
        ("predictions", split.test),
        ("predictions_last", split.test),
        ("validation", split.validation),
    ):
        table = pd.read_parquet(tmp_path / "run" / f"{name}.parquet")
        assert set(table["subject"]) == set(subjects)
        assert not table.duplicated(["video_id", "frame"]).any()
        assert len(table) == 60 * len(subjects)


@pytest.mark.slow
def test_a_sweep_of_distributed_runs(tiny_finetune: list[str], tmp_path: Path) -> None:
    """Each run is begun and ended once: the second process of a run does not start the sweep again."""
    settings = [*tiny_finetune, *TWO, "loader.batch_size=4", f"root={tmp_path / 'runs'}", "seed=0,1"]
    out = _alone(tmp_path, *settings[:1], "-m", *settings[1:])
    assert out.count(": done in") == 2
    runs = sorted((tmp_path / "runs").glob("*/run.yaml"))
    assert [yaml.safe_load(run.read_text())["seed"] for run in runs] == [0, 1]
    assert all(yaml.safe_load(run.read_text())["outcome"] == "done" for run in runs)
    others = {path.name for path in tmp_path.iterdir()} - {"runs"}
    assert not others  # such as multirun/ or outputs/


@pytest.mark.slow
def test_two_half_batches_make_a_step_of_a_whole_one(
    aulight: Command, tiny_finetune: list[str], tmp_path: Path
) -> None:
    """With one labelled frame a clip, the mean of two batches' means is the mean of the joined batch."""
    settings = [
        *tiny_finetune, "label_fraction=null", "label_count=2", "model.norm=group", "trainer.precision=32-true",
        f"root={tmp_path}",
    ]  # fmt: skip
    for name, batch, batches in (("whole", 4, 1), ("halves", 2, 2)):
        own = [f"name={name}", f"loader.batch_size={batch}", f"trainer.accumulate_grad_batches={batches}"]
        outcome = aulight(*settings, *own)
        assert outcome.status == 0, outcome.err
    drawn = pd.read_parquet(tmp_path / "whole/labels_used.parquet")
    assert drawn["video_id"].nunique() == 2  # so no clip holds two of them
    whole, halves = (
        torch.load(tmp_path / name / "checkpoints/last.ckpt", weights_only=True) for name in ("whole", "halves")
    )
    assert whole["global_step"] == halves["global_step"] == 6
    for key, value in whole["state_dict"].items():
        if not key.startswith("metrics."):
            # AdamW moves a weight whose gradient is nearly 0 as far as any, by the sign of what rounding leaves of it
            apart = (value.double() - halves["state_dict"][key].double()).abs()
            assert apart.max() <= 1e-4, key
            assert apart.mean() <= 1e-6, key


@pytest.mark.slow
def test_compiled_and_laid_out_otherwise_it_learns_the_same(
    aulight: Command, tiny_finetune: list[str], tmp_path: Path
) -> None:
    """Oracle: the run without; a run goes on whichever way it was begun, since checkpoints are the same."""
    settings = [*tiny_finetune, "trainer.precision=32-true", f"root={tmp_path}"]
    ways = {"plain": [], "compiled": ["trainer.compile=true"], "contiguous": ["trainer.channels_last=false"]}
    for name, way in ways.items():
        outcome = aulight(*settings, f"name={name}", *way)
        assert outcome.status == 0, outcome.err
    saved = [torch.load(tmp_path / name / "checkpoints/last.ckpt", weights_only=True)["state_dict"] for name in ways]
    assert list(saved[0]) == list(saved[1]) == list(saved[2])
    plain, *others = (_metrics(tmp_path / name)["train/loss"].dropna().to_numpy() for name in ways)
    assert len(plain) == 6
    for losses in others:
        np.testing.assert_allclose(losses[:3], plain[:3], rtol=1e-3)
        np.testing.assert_allclose(losses, plain, rtol=1e-2)  # sums in another order: the last bits grow with each step
    went_on = aulight(*settings, "name=contiguous", "trainer.compile=true")
    assert "already done" in went_on.out


@pytest.mark.parametrize("precision", ["32", "bf16-mixed"])
def test_precisions(precision: str, aulight: Command, tiny_finetune: list[str], tmp_path: Path) -> None:
    command = [*tiny_finetune, f"root={tmp_path}", "name=run", f"trainer.precision={precision}"]
    outcome = aulight(*command)
    assert outcome.status == 0, outcome.err
    record = yaml.safe_load((tmp_path / "run/run.yaml").read_text())
    assert str(record["config"]["trainer"]["precision"]) == precision


def test_a_precision_that_auto_cannot_take(
    aulight: Command, tiny_finetune: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AULIGHT_AUTO_PRECISION", "fp16")
    outcome = aulight(*tiny_finetune, f"root={tmp_path}", "name=run")
    assert outcome.status == 2
    assert outcome.err == "aulight: AULIGHT_AUTO_PRECISION=fp16: 32 or bf16-mixed is needed\n"


@pytest.mark.parametrize(
    ("setting", "parts"),
    [
        ("trainer.precision=16-mixed", ["trainer.precision=16-mixed", "bf16-mixed or 32"]),
        ("trainer.accumulate_grad_batches=0", ["accumulate_grad_batches=0", "from 1 on"]),
        ("trainer.accumulate_grad_batches=1.5", ["accumulate_grad_batches=1.5"]),
        ("trainer.precision=33", ["trainer.precision=33: one of auto, 32, bf16-mixed"]),
        ("trainer.devices=0", ["trainer: "]),
        ("+trainer.device=2", ["trainer: ", "device"]),
    ],
)
def test_settings_that_no_trainer_takes(
    setting: str, parts: list[str], aulight: Command, tiny_finetune: list[str], tmp_path: Path
) -> None:
    outcome = aulight(*tiny_finetune, f"root={tmp_path}", "name=run", setting)
    assert outcome.status == 2
    assert len(outcome.err.splitlines()) == 1
    assert all(part in outcome.err for part in parts), outcome.err


def test_deterministic_reaches_torch(
    aulight: Command, tiny_finetune: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    original = RegressionStage.training_step

    def step(self: RegressionStage, batch: ClipBatch, batch_idx: int) -> Any:
        seen.append(torch.are_deterministic_algorithms_enabled())
        return original(self, batch, batch_idx)

    monkeypatch.setattr(RegressionStage, "training_step", step)
    try:
        assert aulight(*tiny_finetune, f"root={tmp_path}", "name=run", "trainer.deterministic=true").status == 0
    finally:
        torch.use_deterministic_algorithms(False)
    assert seen == [True] * 6


@pytest.mark.slow
def test_two_processes_equal_one(
    aulight: Command, tiny_pretrain: list[str], tiny_finetune: list[str], tmp_path: Path
) -> None:
    """The same clips, candidates, gradients and scores, whatever the number of processes that share the work."""
    exact = ["model.norm=group", "trainer.precision=32-true", "loader.batch_size=4", f"runs={tmp_path}"]
    two = [*TWO, "name=two"]
    for settings, extra in ((tiny_pretrain, []), (tiny_finetune, [f"pretrained={tmp_path}/pretrain/one"])):
        command = [*settings, *extra, *exact]
        outcome = aulight(*command, "name=one")
        assert outcome.status == 0, outcome.err
        assert _alone(tmp_path, *command, *two).count(": done in") == 1
    # AdamW moves a weight whose gradient is nearly 0 as far as any, by the sign of what rounding leaves of it
    for stage, furthest, usual in (("pretrain", 1e-2, 1e-4), ("finetune", 2e-4, 2e-5)):
        paths = [tmp_path / stage / name / "checkpoints" / "last.ckpt" for name in ("one", "two")]
        one, other = (torch.load(path, weights_only=True)["state_dict"] for path in paths)
        for key, value in one.items():
            if not key.startswith("metrics."):  # sums of what each process has scored
                apart = (value.double() - other[key].double()).abs()
                assert apart.max() <= furthest, key
                assert apart.mean() <= usual, key
    one, other = [pd.read_parquet(tmp_path / "finetune" / name / "predictions.parquet") for name in ("one", "two")]
    pd.testing.assert_frame_equal(one, other, check_exact=False, rtol=0, atol=1e-3)
    records = [yaml.safe_load((tmp_path / "finetune" / name / "run.yaml").read_text()) for name in ("one", "two")]
    assert records[0]["test"]["mae"] == pytest.approx(records[1]["test"]["mae"], abs=1e-3)
