"""Settings of every test process: one thread, offline, and errors shown whole."""

import os

# Before anything else is imported; the processes that tests start inherit them.
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
os.environ["HYDRA_FULL_ERROR"] = "1"
os.environ["MPLBACKEND"] = "Agg"
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["WANDB_MODE"] = "offline"
os.environ["WANDB_SILENT"] = "true"
os.environ.pop("WANDB_API_KEY", None)

import contextlib
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from filelock import FileLock

from aulight.cli import main
from aulight.data.synthetic import generate

torch.set_num_threads(1)
torch.set_flush_denormal(True)


@pytest.fixture(scope="session")
def smoke_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest synthetic dataset, made once for all test processes; not to be changed."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    root = folder / "data" / "synthetic-smoke-seed0"
    root.parent.mkdir(exist_ok=True)
    with FileLock(folder / "smoke_data.lock"):
        if not root.exists():
            generate(root, "smoke", workers=2)
    return root


class Outcome(NamedTuple):
    """How a command ended, and what it printed."""

    status: int
    out: str
    err: str


Command = Callable[..., Outcome]


@pytest.fixture(scope="session")
def aulight() -> Command:
    """Runs a command in this process, as the console script does."""

    def run(*arguments: object) -> Outcome:
        out, err, status, before = io.StringIO(), io.StringIO(), 0, sys.argv
        sys.argv = ["aulight", *map(str, arguments)]
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                main()
        except SystemExit as end:
            status = int(end.code or 0)
        finally:
            sys.argv = before
        return Outcome(status, out.getvalue(), err.getvalue())

    return run


@pytest.fixture(scope="session")
def tiny(smoke_data: Path) -> list[str]:
    """Settings of a run of seconds: 3 epochs of 2 steps on the smallest dataset."""
    return [
        f"data_dir={smoke_data.parent}",
        "data.size=smoke",
        "steps=6",
        "steps_per_epoch=2",
        "loader.batch_size=3",
        "loader.workers=0",
        "threads=1",
        "progress_s=0",
        "trainer.accelerator=cpu",
        "trainer.log_every_n_steps=1",
    ]


@pytest.fixture(scope="session")
def tiny_pretrain(tiny: list[str]) -> list[str]:
    """The same for stage one."""
    return ["pretrain", *tiny, "clip.length=6", "probe.every_epochs=1", "keep_every_epochs=2"]


@pytest.fixture(scope="session")
def tiny_finetune(tiny: list[str]) -> list[str]:
    """The same for stage two, with 36 labelled frames."""
    return ["finetune", *tiny, "label_fraction=0.1"]


@pytest.fixture(scope="session")
def pretrained(tmp_path_factory: pytest.TempPathFactory, aulight: Command, tiny_pretrain: list[str]) -> Path:
    """The run directory of a finished, undisturbed stage one; not to be changed."""
    folder = tmp_path_factory.mktemp("pretrained")
    outcome = aulight(*tiny_pretrain, f"root={folder}", "name=run")
    assert outcome.status == 0, outcome.err
    return folder / "run"


@pytest.fixture(scope="session")
def finetuned(
    tmp_path_factory: pytest.TempPathFactory, aulight: Command, tiny_finetune: list[str], pretrained: Path
) -> Path:
    """The run directory of a finished, undisturbed stage two on top of it; not to be changed."""
    folder = tmp_path_factory.mktemp("finetuned")
    outcome = aulight(*tiny_finetune, f"pretrained={pretrained}", f"root={folder}", "name=run")
    assert outcome.status == 0, outcome.err
    return folder / "run"
