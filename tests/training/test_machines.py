"""One run on two 'machines': two torchruns on the loopback, over gloo; and one that begins anew when a process dies."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch
import yaml

WAIT_S = 400
TWO = ["trainer=ddp", "trainer.accelerator=cpu", "loader.batch_size=4"]


def torchrun(where: Path, options: list[str], command: list[str]) -> "subprocess.Popen[str]":
    """Starts a run of ``runs/run``, as a page of docs/ types it."""
    where.mkdir(exist_ok=True)
    start = [sys.executable, "-m", "torch.distributed.run", *options, "-m", "aulight", *command, *TWO]
    return subprocess.Popen(
        [*start, f"root={where}", "name=run"], cwd=where, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def ended(processes: list["subprocess.Popen[str]"]) -> list[str]:
    """What each said, once all have ended well."""
    try:
        said = [process.communicate(timeout=WAIT_S) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0] * len(processes), "\n".join(map("\n".join, said))
    return [out for out, _ in said]


def weights(where: Path) -> dict[str, torch.Tensor]:
    kept = torch.load(where / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert kept["global_step"] == yaml.safe_load((where / "run" / "run.yaml").read_text())["steps"]
    return dict(kept["state_dict"])


def same_weights(one: Path, other: Path) -> None:
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    for name, values in first.items():
        torch.testing.assert_close(values, second[name], rtol=0, atol=0)


def until(found: Callable[[], object], process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + WAIT_S
    while not found():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _rank(process: psutil.Process) -> str:
    try:
        return str(process.environ().get("RANK", ""))
    except psutil.Error:
        return ""


@pytest.fixture(scope="module")
def one_machine(tmp_path_factory: pytest.TempPathFactory, tiny_finetune: list[str]) -> Path:
    """Oracle: two processes of one torchrun, undisturbed."""
    folder = tmp_path_factory.mktemp("one")
    ended([torchrun(folder, ["--standalone", "--nproc-per-node=2"], [*tiny_finetune, "trainer.devices=2"])])
    return folder


@pytest.mark.slow
def test_two_machines_are_one(one_machine: Path, tiny_finetune: list[str], tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = [
        "--nnodes=2", "--nproc-per-node=1", "--rdzv-id=aulight", "--rdzv-backend=c10d",
        f"--rdzv-endpoint=127.0.0.1:{port}",
    ]  # fmt: skip
    command = [*tiny_finetune, "trainer.devices=1", "trainer.num_nodes=2"]
    said = ended([torchrun(tmp_path, options, command) for _ in range(2)])
    assert sum(out.count(": done in") for out in said) == 1
    same_weights(tmp_path, one_machine)


@pytest.mark.slow
@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_run_that_begins_anew_goes_on(
    rank: str, one_machine: Path, tiny_finetune: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One process is killed after a checkpoint and before the end; torchrun starts both again."""
    options = ["--standalone", "--nproc-per-node=2", "--max-restarts=1"]
    monkeypatch.setenv("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")
    run = torchrun(tmp_path, options, [*tiny_finetune, "trainer.devices=2"])
    until((tmp_path / "run" / "checkpoints" / "last.ckpt").is_file, run)
    (victim,) = (one for one in psutil.Process(run.pid).children() if _rank(one) == rank)
    victim.suspend()  # so that it does not end meanwhile
    assert yaml.safe_load((tmp_path / "run" / "run.yaml").read_text())["outcome"] == "running"
    victim.kill()
    (out,) = ended([run])
    assert out.count(": done in") == 1
    record = yaml.safe_load((tmp_path / "run" / "run.yaml").read_text())
    assert (record["outcome"], record["steps"], record["hardware"]["processes"]) == ("done", 6, 2)
    same_weights(tmp_path, one_machine)
