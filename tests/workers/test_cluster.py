"""Workers of a real dask scheduler, processes on the loopback: one is killed, one hangs, and the files are the same."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import psutil
import pytest

from aulight.data.store import PreparedDataset
from aulight.data.video.types import Frames
from aulight.data.video.write import write_video
from tests.conftest import Command, Outcome
from tests.data.faces.astronaut import film
from tests.data.formats import segments

pytest.importorskip("distributed")

WAIT_S = 400
PATIENCE_S = 30
"""Longer than a worker takes to begin, on a machine that does other things."""


def until(found: Callable[[], object], process: subprocess.Popen[str] | None = None) -> None:
    """Waits for something that processes do."""
    deadline = time.monotonic() + WAIT_S
    while not found():
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Cluster:
    """A scheduler and workers, each a process of its own.

    Attributes:
        scheduler: Its process.
        address: Of the scheduler.
        workers: The processes that were started; with a nanny, the worker is the child of it.
    """

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        file = folder / "scheduler.json"
        self.scheduler = self._start(
            "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)
        )
        until(lambda: file.is_file() and file.stat().st_size)  # it is made, and then written
        self.address: str = json.loads(file.read_text())["address"]
        self.workers: list[psutil.Process] = []

    def add(self, count: int, *options: str, before: Sequence[str] = ()) -> None:
        """Starts workers, by a command before that of dask."""
        for _ in range(count):
            place = self._folder / f"worker{len(self.workers)}"
            place.mkdir()
            started = self._start(
                "worker", self.address, "--host", "127.0.0.1", "--nthreads", "1", "--no-dashboard",
                "--local-directory", str(place), *options, before=before,
            )  # fmt: skip
            self.workers.append(psutil.Process(started.pid))

    def _start(self, what: str, *options: str, before: Sequence[str] = ()) -> "subprocess.Popen[bytes]":
        log = self._stack.enter_context((self._folder / f"{what}{time.monotonic_ns()}.log").open("w"))
        command = [*before, sys.executable, "-m", f"distributed.cli.dask_{what}", *options]
        process = subprocess.Popen(command, cwd=self._folder, stdout=log, stderr=log)
        self._stack.callback(_end, process)
        return process


Above = Sequence["psutil.Process | subprocess.Popen[str]"]
"""Workers and what is above them; a command that was started is none itself, though it looks at videos as well."""


def at_work(on: Path, above: Above) -> list[psutil.Process]:
    """The workers that have a file open, or one in a folder: what they are at."""
    found = []
    themselves = [one for one in above if isinstance(one, psutil.Process)]
    for process in [*themselves, *(process for one in above for process in _children(one.pid))]:
        try:
            files = [Path(file.path) for file in process.open_files()]
        except psutil.NoSuchProcess:
            continue
        if any(file.is_relative_to(on) for file in files):
            found.append(process)
    return found


def held_at_work(on: Path, workers: Sequence[psutil.Process]) -> bool:
    """Stops all workers where one of them is at something then, so that it cannot end before what comes next."""
    for worker in workers:
        worker.suspend()
    if at_work(on, workers):
        return True
    for worker in workers:
        worker.resume()
    return False


def kill_one(on: Path, above: Above, command: "subprocess.Popen[str]") -> Path:
    """Kills a worker in the middle of a video; which one."""
    worker = stop_one(on, above, command)
    (video,) = (path for path in on.iterdir() if at_work(path, [worker]))
    worker.kill()
    return video


def stop_one(on: Path, above: Above, command: "subprocess.Popen[str]", but: Path | None = None) -> psutil.Process:
    """Stops a worker in the middle of a video, but one: a video that two workers are lost at is left out."""

    def found() -> list[psutil.Process]:
        others = [] if but is None else at_work(but, above)
        return [worker for worker in at_work(on, above) if worker not in others]

    while True:
        until(found, command)
        for worker in found():
            with contextlib.suppress(psutil.NoSuchProcess):  # killed before, and only now gone
                worker.suspend()
                if worker in found():
                    return worker
                worker.resume()  # it was just done


def _children(pid: int) -> list[psutil.Process]:
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _end(process: "subprocess.Popen[bytes]") -> None:
    try:
        below = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        below = []
    process.kill()
    process.wait()
    for child in below:
        if child.is_running():
            child.kill()


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    root = str(Path(__file__).parents[2])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]))
    with ExitStack() as stack:
        yield Cluster(tmp_path_factory.mktemp("cluster"), stack)


@pytest.fixture
def raw(tmp_path: Path, coded: Callable[..., Iterator[Frames]]) -> Path:
    """Videos that take a worker a moment each."""
    folder = tmp_path / "raw"
    folder.mkdir()
    for video in range(7):
        write_video(folder / f"v{video}.mp4", coded(video, 900 + 50 * video), 25)
    return folder


def started(*words: object, where: Path) -> "subprocess.Popen[str]":
    """A command of aulight, in a folder."""
    command = [sys.executable, "-m", "aulight", *map(str, words)]
    return subprocess.Popen(
        command,
        cwd=where,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # it may have been inherited deaf to Ctrl-C, from a shell's background job
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def same(one: Path, other: Path) -> None:
    """Oracle of all of these: the dataset made by one process of this machine."""
    there, here = PreparedDataset(one), PreparedDataset(other)
    pd.testing.assert_frame_equal(there.videos, here.videos, check_exact=True)
    pd.testing.assert_frame_equal(there.frames, here.frames, check_exact=True)
    assert there.fingerprint == here.fingerprint
    for row in range(len(here.videos)):
        assert segments(there, row) == segments(here, row)


def plain(raw: Path) -> list[str]:
    return ["prepare", f"data.source={raw}", "data.faces=none", "crop_size=64"]


@pytest.mark.slow
def test_the_dataset_is_the_one_made_here(aulight: Command, cluster: Cluster, raw: Path, tmp_path: Path) -> None:
    """One worker of three is killed and one hangs, both in the middle of a video; no nanny helps."""
    cluster.add(3, "--no-nanny")
    command = started(
        *plain(raw), "data.root=there", "executor=dask", f"cluster.address={cluster.address}",
        f"patience_s={PATIENCE_S}", where=tmp_path,
    )  # fmt: skip
    video = kill_one(raw, cluster.workers, command)
    hung = stop_one(raw, cluster.workers, command, but=video)
    out, err = command.communicate(timeout=WAIT_S)
    assert command.returncode == 0, err
    assert hung.status() == psutil.STATUS_STOPPED
    assert "7 videos of 7 subjects" in out
    assert aulight(*plain(raw), f"data.root={tmp_path / 'here'}", "workers=1").status == 0
    hung.resume()  # it ends its video, after all
    until(lambda: not at_work(raw, cluster.workers))
    same(tmp_path / "there", tmp_path / "here")


@pytest.mark.slow
def test_the_tables_are_those_made_here(aulight: Command, cluster: Cluster, tmp_path: Path) -> None:
    """As above, of videos that are scored; the nanny of the hung worker ends it."""
    videos = tmp_path / "videos"
    videos.mkdir()
    for number in range(5):
        write_video(videos / f"v{number}.mp4", (frame.image for frame in film(90 + number)), 25)
    cluster.add(3)
    score = ["predict", "model=table", f"input={videos}"]
    command = started(
        *score, "output=there", "executor=dask", f"cluster.address={cluster.address}", f"patience_s={2 * PATIENCE_S}",
        where=tmp_path,
    )  # fmt: skip
    video = kill_one(videos, cluster.workers, command)
    stop_one(videos, cluster.workers, command, but=video)
    _, err = command.communicate(timeout=WAIT_S)
    assert command.returncode == 0, err
    assert aulight(*score, f"output={tmp_path / 'here'}", "workers=1").status == 0
    names = [f"v{number}{ending}" for number in range(5) for ending in (".csv", ".events.csv")]
    for name in [*names, "summary.csv"]:
        assert (tmp_path / "there" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("where", ["here", "cluster"])
def test_a_video_that_ends_two_workers_is_named_and_left_out(
    where: str, aulight: Command, cluster: Cluster, raw: Path, tmp_path: Path
) -> None:
    """And made by the same command, once it ends none any more."""
    words = ["workers=2"]
    if where == "cluster":
        cluster.add(3, "--no-nanny")
        words = ["executor=dask", f"cluster.address={cluster.address}"]
    command = started(*plain(raw), "data.root=there", *words, where=tmp_path)
    above: Above = cluster.workers if where == "cluster" else [command]
    killed = list[psutil.Process]()
    for _ in range(2):
        killed.append(stop_one(raw / "v6.mp4", above, command))
        killed[-1].kill()
        until(lambda: killed[-1] not in at_work(raw, above))
    out, err = command.communicate(timeout=WAIT_S)
    assert command.returncode == 0, err
    assert killed[0] != killed[1]
    assert "not used: " in out + err
    assert "v6.mp4: 2 workers were lost at it" in out + err
    data = PreparedDataset(tmp_path / "there")
    assert list(data.meta["skipped"]) == ["v6"]
    assert list(data.videos["video_id"]) == [f"v{video}" for video in range(6)]
    assert aulight(*plain(raw), f"data.root={tmp_path / 'there'}", "workers=1").status == 0
    assert aulight(*plain(raw), f"data.root={tmp_path / 'here'}", "workers=1").status == 0
    same(tmp_path / "there", tmp_path / "here")


@pytest.mark.slow
@pytest.mark.parametrize("end", ["SIGINT", "SIGKILL"])
def test_a_command_that_ends_stops_its_workers_and_goes_on(
    end: str, aulight: Command, cluster: Cluster, raw: Path, tmp_path: Path
) -> None:
    cluster.add(2, "--no-nanny")
    words = [*plain(raw), "data.root=there", "executor=dask", f"cluster.address={cluster.address}"]
    command = started(*words, where=tmp_path)
    parts = tmp_path / ".there.partial" / "parts"
    until(lambda: list(parts.glob("v*.parquet")), command)
    until(lambda: held_at_work(raw, cluster.workers), command)
    command.send_signal(signal.Signals[end])
    command.communicate(timeout=WAIT_S)
    assert command.returncode == {"SIGINT": 130, "SIGKILL": -9}[end]
    for worker in cluster.workers:
        worker.resume()
    until(lambda: not at_work(raw, cluster.workers))
    done = {path.stem for path in parts.glob("v*.parquet")}
    assert 0 < len(done) < 7
    command = started(*words, where=tmp_path)
    _, err = command.communicate(timeout=WAIT_S)
    assert command.returncode == 0, err
    data = PreparedDataset(tmp_path / "there")
    counts = data.videos.set_index("video_id")["frames"]
    began = re.search(r"([0-9]+)%", err)
    assert began is not None
    # one more may have been whole by then
    assert int(began[1]) >= round(100 * counts[sorted(done)].sum() / counts.sum()), "what is there is not made again"
    assert aulight(*plain(raw), f"data.root={tmp_path / 'here'}", "workers=1").status == 0
    same(tmp_path / "there", tmp_path / "here")


@pytest.mark.slow
def test_a_scheduler_that_ends(cluster: Cluster, raw: Path, tmp_path: Path) -> None:
    cluster.add(1, "--no-nanny")
    words = [*plain(raw), "data.root=there", "executor=dask", f"cluster.address={cluster.address}"]
    command = started(*words, where=tmp_path)
    until(lambda: at_work(raw, cluster.workers), command)
    cluster.scheduler.kill()
    _, err = command.communicate(timeout=WAIT_S)
    assert command.returncode == 2, err
    assert "the scheduler is gone" in err.splitlines()[-1]


@pytest.mark.slow
def test_a_hung_worker_here_is_replaced(aulight: Command, raw: Path, tmp_path: Path) -> None:
    command = started(*plain(raw), "data.root=there", "workers=2", f"patience_s={PATIENCE_S}", where=tmp_path)
    hung = stop_one(raw, [command], command)
    _, err = command.communicate(timeout=WAIT_S)
    assert command.returncode == 0, err
    assert not hung.is_running()
    assert aulight(*plain(raw), f"data.root={tmp_path / 'here'}", "workers=1").status == 0
    same(tmp_path / "there", tmp_path / "here")


# ---- Slurm --------------------------------------------------------------------------------------------------------

SBATCH = """#!/bin/sh
# Starts a job at once, on this machine, and says its number as Slurm does.
[ "$1" = --test-only ] && exit 0
for script do :; done
cp "$script" "$JOBS/job.$$"
setsid sh "$JOBS/job.$$" > "$JOBS/job.$$.log" 2>&1 &
echo "Submitted batch job $!"
"""
SCANCEL = """#!/bin/sh
for job do kill -- "-$job"; done
"""


@pytest.mark.slow
def test_jobs_of_slurm(aulight: Command, raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slurm's two commands stand in for it, and start the jobs here; the scripts, the keys and the workers are real."""
    (tmp_path / "bin").mkdir()
    for name, text in {"sbatch": SBATCH, "scancel": SCANCEL}.items():
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setenv("JOBS", str(tmp_path))
    command = started(
        *plain(raw), "data.root=there", "executor=dask", "cluster=slurm", "cluster.jobs=2", "cluster.cores=1",
        "cluster.processes=1", "cluster.memory=2GB", "cluster.queue=long", "cluster.interface=lo", where=tmp_path,
    )  # fmt: skip
    _, err = command.communicate(timeout=WAIT_S)
    assert command.returncode == 0, err
    scripts = [path.read_text() for path in tmp_path.glob("job.*") if path.suffix != ".log"]
    assert len(scripts) == 2
    for script in scripts:
        assert "#SBATCH -p long" in script
        assert "tls://127.0.0.1:" in script
    assert aulight(*plain(raw), f"data.root={tmp_path / 'here'}", "workers=1").status == 0
    same(tmp_path / "there", tmp_path / "here")
    assert not list((tmp_path / "there").rglob(".*")), "the keys are gone"


@pytest.mark.slow
def test_slurm_that_refuses_a_job(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    sbatch = tmp_path / "bin" / "sbatch"
    sbatch.write_text("#!/bin/sh\necho 'sbatch: error: invalid partition specified: nowhere' >&2\nexit 1\n")
    sbatch.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    command = started(
        *plain(raw), "data.root=there", "executor=dask", "cluster=slurm", "cluster.queue=nowhere",
        "cluster.interface=lo", where=tmp_path,
    )  # fmt: skip
    _, err = command.communicate(timeout=WAIT_S)
    assert command.returncode == 2, err
    last = err.strip().splitlines()[-1]
    assert last.startswith("aulight: cluster=slurm: ")
    assert "invalid partition specified: nowhere" in last
    assert "Traceback" not in err
    assert not (tmp_path / "there").exists()


# ---- what is wrong ------------------------------------------------------------------------------------------------


def refused(outcome: Outcome, *parts: str) -> None:
    lines = outcome.err.strip().splitlines()
    assert outcome.status == 2, outcome.err
    assert lines[-1].startswith("aulight: "), outcome.err
    for part in parts:
        assert part in lines[-1]


@pytest.fixture
def small(tmp_path: Path, coded: Callable[..., Iterator[Frames]]) -> list[str]:
    (tmp_path / "raw").mkdir()
    write_video(tmp_path / "raw" / "v.mp4", coded(0, 30), 25)
    return [*plain(tmp_path / "raw"), f"data.root={tmp_path / 'data'}", "executor=dask"]


def test_no_scheduler(aulight: Command, small: list[str], tmp_path: Path) -> None:
    with socket.socket() as free:  # bound, and nobody listens
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        refused(aulight(*small, f"cluster.address={address}"), address, "no dask scheduler answers there")
    assert not (tmp_path / "data").exists()


def test_no_workers(aulight: Command, small: list[str], cluster: Cluster) -> None:
    outcome = aulight(*small, f"cluster.address={cluster.address}", "cluster.wait_s=1")
    refused(outcome, "no worker for 1 s; start some, as with `dask worker")


def test_a_worker_with_other_versions(
    aulight: Command, small: list[str], cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its environment says, as pip would, that another numpy is installed."""
    (tmp_path / "other" / "numpy-1.0.dist-info").mkdir(parents=True)
    (tmp_path / "other" / "numpy-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: numpy\nVersion: 1.0\n"
    )
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{tmp_path / 'other'}{os.pathsep}{os.environ['PYTHONPATH']}")
        cluster.add(1, "--no-nanny")
    outcome = aulight(*small, f"cluster.address={cluster.address}")
    refused(outcome, "has other versions (numpy 1.0, here ", "; install the same on both")


def test_a_worker_without_aulight(
    aulight: Command, small: list[str], cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package of its name is found first, and is empty."""
    (tmp_path / "other" / "aulight").mkdir(parents=True)
    (tmp_path / "other" / "aulight" / "__init__.py").touch()
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{tmp_path / 'other'}{os.pathsep}{os.environ['PYTHONPATH']}")
        cluster.add(1, "--no-nanny")
    outcome = aulight(*small, f"cluster.address={cluster.address}")
    refused(outcome, "has no aulight that fits", "No module named 'aulight.workers'")


@pytest.mark.parametrize("where", [".data.partial", "raw"])
def test_a_worker_that_sees_other_files(
    where: str, aulight: Command, small: list[str], cluster: Cluster, tmp_path: Path
) -> None:
    """As on another machine: where a folder is, it has a file system of its own."""
    hidden = tmp_path / where
    hidden.mkdir(exist_ok=True)
    alone = ["unshare", "--mount", "--map-root-user", "sh", "-c", f'mount -t tmpfs none {hidden} && exec "$@"', "sh"]
    if shutil.which("unshare") is None or subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no file systems of its own for a process here")
    cluster.add(1, "--no-nanny", before=alone)
    outcome = aulight(*small, f"cluster.address={cluster.address}")
    refused(outcome, f"does not see {hidden}", "a file system that they share is needed")


def test_without_dask(small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "distributed.py").write_text("raise ImportError('not there')\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'other'}{os.pathsep}{Path(__file__).parents[2]}")
    command = started(*small, "cluster.address=tcp://127.0.0.1:1", where=tmp_path)
    _, err = command.communicate(timeout=WAIT_S)
    assert command.returncode == 2
    assert err.splitlines()[-1] == 'aulight: executor=dask: dask is not installed; pip install "aulight[cluster]"'


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["executor=dask"], "cluster.address: no value given"),
        (["executor=dask", "cluster.address=localhost"], "the address of a dask scheduler is needed"),
        (["cluster.address=tcp://a:1"], "executor=local: only executor=dask has a cluster"),
        (["cluster=slurm"], "executor=local: only executor=dask has a cluster"),
        (["executor=dask", "cluster.address=tcp://a:1", "workers=2"], "workers=2: only with executor=local"),
        (["executor=dask", "cluster.address=tls://a:1"], "a tls:// address needs"),
    ],
)
def test_settings_that_do_not_fit(aulight: Command, typed: list[str], said: str) -> None:
    for command in (["prepare", "data.source=raw"], ["predict", "input=clip.mp4"]):
        refused(aulight(*command, *typed), said)
