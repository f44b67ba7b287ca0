"""A job of a sweep: a process of its own, which is what the same run typed alone would be.

So a job that is killed or runs out of memory takes no other with it, whichever launcher started it; memory is free
again after it; and a distributed run starts its other processes with its own command, not with the sweep's.
"""

import contextlib
import fcntl
import io
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from aulight.errors import INTERRUPTED, AulightError, one_line, say
from aulight.files import is_taken, remove_leftovers, scratch
from aulight.runs.composed import settings_from
from aulight.runs.gpus import own_gpu
from aulight.runs.machine import own_folder
from aulight.runs.overrides import quoted_text, typed_overrides
from aulight.runs.record import RECORD, read_record
from aulight.runs.run import Run

SWEEP = "AULIGHT_SWEEP"
"""Environment variable with the file that :func:`lifeline` locks; not set for jobs of a queue, which go on alone."""

JOB = "AULIGHT_JOB"
"""Environment variable that tells a process that it is a job; its value is that of ``AULIGHT_SWEEP``, if any."""

TRACEBACK = "traceback.txt"
"""File in the run directory that says where a bug is."""

LAST_WORDS = ("Traceback (most recent call last)", "aulight: ")
"""What the lines begin with in which a process says why it fails."""

PATIENCE_S = 60  # that an interrupted job has to write down how far it came


@contextlib.contextmanager
def lifeline() -> Iterator[None]:
    """In the block this process is the sweep: the jobs that are started in it end with it, however it ends."""
    folder = own_folder()
    remove_leftovers(folder)
    with scratch(folder) as place, (place / "sweep").open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:  # ENOLCK: a folder of a network without locks
            print(f"{file.name}: {error.strerror}; jobs outlive a sweep that is killed", file=sys.stderr, flush=True)
            yield
            return
        os.environ[SWEEP] = file.name
        try:
            yield
        finally:
            del os.environ[SWEEP]


def _is_over(sweep: str) -> bool:
    """Whether the process is gone that was in the block of :func:`lifeline`."""
    try:
        with Path(sweep).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except FileNotFoundError:
        pass
    return True


def run_job(command: str, config: DictConfig) -> str | None:
    """Runs one job, and records in its ``run.yaml`` how it failed, if the job could not do that itself.

    Called by Hydra's launchers, in whatever process they made for it. What the job prints is passed on.

    Args:
        command: ``pretrain`` or ``finetune``.
        config: The composed configuration.

    Returns:
        Why it failed, on one line; ``None`` when the run is done.
    """
    runtime: Any = OmegaConf.to_container(HydraConfig.get().runtime, resolve=False)  # a folder refers to no setting
    folder = Path(runtime["output_dir"])
    (folder / TRACEBACK).unlink(missing_ok=True)
    with ThreadPoolExecutor(2) as readers:
        with own_gpu(config.trainer) as gpu, _started(_arguments(command, folder), gpu) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            readers.submit(_pass_on, process.stdout, sys.stdout)
            said = readers.submit(_pass_on, process.stderr, sys.stderr, LAST_WORDS)
            status = process.wait()
        last_words = said.result()
    if status == 0:
        sys.stderr.write(last_words)
        return None
    sweep = os.environ.get(SWEEP)
    if sweep and _is_over(sweep):
        sys.exit(INTERRUPTED)  # the job ended with it
    if status in (INTERRUPTED, -signal.SIGTERM) and not sweep:
        time.sleep(PATIENCE_S)  # a queue tells every process to end, and is about to end or put back this one
    reason = _reason(status, last_words)
    if "Traceback" in last_words:
        (folder / TRACEBACK).write_text(last_words)
        reason += f" ({folder / TRACEBACK})"
    _record(folder, command, config, reason)
    say(f"{config.name}: failed: {reason}", error=True)
    return reason


def stamp(folder: Path) -> int | None:
    """When a run was last recorded, in ns; ``None`` for one that has not begun."""
    record = folder / "run.yaml"
    return record.stat().st_mtime_ns if record.exists() else None


def unfinished(folder: Path, before: int | None) -> str | None:
    """What became of a job of which the launcher did not say it, on one line; ``None`` when the run is done.

    Args:
        folder: The run directory.
        before: Its :func:`stamp` before the launch.
    """
    if stamp(folder) == before:
        return "not run"
    record = read_record(folder)
    outcome = str(record and record.outcome)
    if outcome == "running":
        return "still running" if is_taken(folder / RECORD) else "killed"
    return None if outcome == "done" else outcome.removeprefix("failed: ")


def live_and_die_with_the_sweep(sweep: str) -> None:
    """Makes this process a job: it ends with the process that started it and with the sweep, and has their signals.

    Args:
        sweep: The value of ``AULIGHT_JOB``.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are started deaf to it
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # Slurm tells all of a job's processes that its time is up

    def wait() -> None:
        while not select.select([0], [], [], 1)[0]:  # nothing ever comes; the end does
            if sweep and _is_over(sweep):
                break
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


def _arguments(command: str, folder: Path) -> list[str]:
    """What one would type for this job alone."""
    hydra = HydraConfig.get()
    sources = hydra.runtime.config_sources
    own = [f"--config-dir={source.path}" for source in sources if source.provider == "command-line"]
    return [command, *own, *typed_overrides(), f"hydra.run.dir={quoted_text(str(folder))}"]


@contextlib.contextmanager
def _started(arguments: list[str], variables: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A job's process; at the end of the block it is gone, with all it started, and had time to record how it ended."""
    environment = os.environ | variables | {JOB: os.environ.get(SWEEP, "")}
    environment.pop("SLURM_NTASKS", None)  # Lightning starts the processes of a distributed run, not srun
    process = subprocess.Popen(
        [sys.executable, "-uP", "-m", "aulight", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        start_new_session=True,  # Ctrl-C comes once, from here
    )
    try:
        yield process
    except BaseException:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE_S)
        raise
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stdin is not None
        process.stdin.close()


def _pass_on(stream: IO[bytes], to: IO[str], hold: tuple[str, ...] = ()) -> str:
    """Prints lines as they come, up to one that begins with ``hold``; returns the rest."""
    held: list[str] = []
    with io.TextIOWrapper(stream, errors="replace", newline="") as lines:  # a progress bar's lines end with \r
        for line in lines:
            if held or line.startswith(hold):
                held.append(line)
            else:
                to.write(line)
                to.flush()
    return "".join(held)


def _reason(status: int, last_words: str) -> str:
    """Why a process ended with a status other than 0, from what it said at last."""
    if status < 0:
        name = signal.Signals(-status).name
        advice = ", as the system does when memory runs out: a smaller loader.batch_size or fewer jobs side by side"
        return f"killed by {name}{advice if name == 'SIGKILL' else ''}"
    if "Traceback" in last_words:  # ends with a line that is not indented, "ValueError: ..."
        error = re.search(r"^\S.*", last_words.rpartition("Traceback")[2], re.MULTILINE)
        return one_line(error[0]) if error else "a bug"
    return one_line(last_words.rpartition("aulight: ")[2]) or f"ended with status {status}"


def _record(folder: Path, command: str, config: DictConfig, reason: str) -> None:
    """Writes a failure into ``run.yaml``, unless that is of another run, done, or another process is at work on it."""
    with contextlib.suppress(AulightError, OmegaConfBaseException):
        settings = settings_from(command, config).model_dump(exclude_unset=True)
        run = Run(folder, command, settings, typed_overrides())
        if not run.done:
            with run:
                raise AulightError(reason)
