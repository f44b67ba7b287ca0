"""Workers of a dask cluster, each with one job at a time, on a file system that all of them and this machine share."""

import contextlib
import importlib.metadata
import itertools
import logging
import os
import pkgutil
import platform
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from pathlib import Path
from types import TracebackType
from typing import Any

from aulight.errors import AulightError, one_line
from aulight.files import scratch
from aulight.settings.cluster import AddressSettings, SlurmSettings
from aulight.workers.crew import Crew, Order, Worker, do

try:
    from distributed import Client, KilledWorker, Security, get_worker
except ImportError as error:
    raise AulightError('executor=dask: dask is not installed; pip install "aulight[cluster]"') from error

LOOK_S = 1.0
"""Seconds from one question for the scheduler to the next."""

TELL_S = 0.5
"""Seconds from one report of a worker to the next."""

KILL_S = 30
"""Seconds in which the nanny of a hung worker ends it."""

GONE_S = 60.0
"""Seconds that are waited for others once the jobs of Slurm have ended, of which none is asked for twice."""

CONNECT_S = 10
"""Seconds in which the scheduler answers."""

PACKAGES = ("aulight", "numpy", "av", "opencv-python-headless", "ai-edge-litert", "torch")
"""What the files that workers write depend on."""


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


# ---- in the worker ------------------------------------------------------------------------------------------------


Greeting = tuple[list[Path], dict[str, str]]
"""What a worker does not see, and what is installed there."""


def _greet(seen: Sequence[Path]) -> Greeting:
    return [path for path in seen if not path.exists()], _versions()


def _do(order: Order, job: Any, sharing: int, key: str, topic: str, here: str) -> tuple[Any, int]:
    worker, told_s = get_worker(), 0.0

    def tell(frames: int) -> bool:
        nonlocal told_s
        if time.monotonic() - told_s >= TELL_S:
            told_s = time.monotonic()
            worker.log_event(topic, {"key": key, "frames": frames})
        task = worker.state.tasks.get(key)
        return task is not None and task.state == "executing"  # else cancelled, or the command is gone

    worker.log_event(topic, {"key": key, "frames": 0})  # it has begun

    import cv2

    cv2.setNumThreads(1)
    with contextlib.chdir(here):  # paths are typed as seen from there
        return do(order, job, sharing, tell)


# ---- in the command -----------------------------------------------------------------------------------------------


class ClusterWorker(Worker):
    """A worker process of a dask cluster.

    Args:
        client: Of the scheduler.
        address: Of the worker.
        sharing: Workers on its machine.
        topic: By which it tells how far it is.
    """

    _count = itertools.count()

    def __init__(self, client: Client, address: str, sharing: int, topic: str) -> None:
        self.address, self._sharing, self._topic = address, sharing, topic
        self._executor = client.get_executor(workers=[address], allow_other_workers=False, pure=False, retries=0)
        self.key = ""
        self.told, self.signs_seen, self.begun = 0, 0, False
        self.gone, self._guilty = False, True

    def look(self) -> "Future[Any]":
        """Has it import what :meth:`greet` needs; one that cannot would die of that itself."""
        future: Future[Any] = self._executor.submit(pkgutil.resolve_name, f"{__name__}:{_greet.__name__}")
        return future

    def greet(self, seen: Sequence[Path]) -> "Future[Greeting]":
        """Asks what of this it does not see, and what is installed there."""
        future: Future[Greeting] = self._executor.submit(_greet, seen)
        return future

    def submit(self, order: Order, job: Any) -> "Future[tuple[Any, int]]":
        """As of :class:`Worker`."""
        self.key, self.told, self.begun = f"{self._topic}-{next(self._count)}", 0, False
        future: Future[tuple[Any, int]] = self._executor.submit(
            _do, order, job, self._sharing, self.key, self._topic, str(Path.cwd()), key=self.key
        )
        return future

    @property
    def frames(self) -> int:
        """As of :class:`Worker`."""
        return self.told

    @property
    def signs(self) -> int:
        """As of :class:`Worker`."""
        return self.signs_seen

    @property
    def has_begun(self) -> bool:
        """As of :class:`Worker`."""
        return self.begun

    def leave(self, guilty: bool) -> None:
        """Notes that it has ended."""
        self._guilty, self.gone = guilty, True

    def is_gone(self, future: "Future[tuple[Any, int]]") -> bool:
        """As of :class:`Worker`."""
        if future.cancelled():  # not by the pump
            self.leave(guilty=False)
        elif future.done():
            return isinstance(future.exception(), KilledWorker)
        return self.gone

    @property
    def is_guilty(self) -> bool:
        """As of :class:`Worker`: not where a batch system or somebody has asked it to end."""
        return self._guilty


class ClusterCrew(Crew):
    """The workers of a dask cluster: those that it has now, or has later.

    Args:
        settings: Where it is.
        folder: Where the workers write to; it is there.
        reads: What they read.
    """

    advice = "the same command tries it again, best on workers with more memory"

    def __init__(self, settings: AddressSettings | SlurmSettings, folder: Path, reads: Sequence[Path]) -> None:
        self._settings, self._folder, self._reads = settings, folder.absolute(), reads
        self._workers: dict[str, ClusterWorker] = {}
        self._new: dict[str, tuple[ClusterWorker, Future[Any]]] = {}
        self._looked_s = 0.0

    def __enter__(self) -> "ClusterCrew":
        with contextlib.ExitStack() as stack:
            self._token = stack.enter_context(scratch(self._folder)).absolute()
            self._client = stack.enter_context(_connected(self._settings, self._token))
            self._topic = f"aulight-{os.urandom(8).hex()}"
            self._client.subscribe_topic(self._topic, self._hear)
            self._client.subscribe_topic("all", self._hear_scheduler)
            self._seen_s, self._came = time.monotonic(), False
            self._stack = stack.pop_all()
        return self

    def _hear(self, event: tuple[float, Any]) -> None:
        for worker in list(self._workers.values()):
            if worker.key == event[1]["key"]:
                worker.told, worker.begun = event[1]["frames"], True
                worker.signs_seen += 1

    def _hear_scheduler(self, event: tuple[float, Any]) -> None:
        what = event[1]
        if isinstance(what, dict) and what.get("action") == "remove-worker":
            self._lose(what["worker"], guilty=not what.get("expected", False))

    def _lose(self, address: str, guilty: bool) -> None:
        self._new.pop(address, None)
        if (worker := self._workers.pop(address, None)) is not None:
            worker.leave(guilty)

    def workers(self) -> Sequence[ClusterWorker]:
        """As of :class:`Crew`."""
        now = time.monotonic()
        for worker in [worker for worker in list(self._workers.values()) if worker.gone]:
            self._workers.pop(worker.address, None)
        if now - self._looked_s >= LOOK_S:
            self._look()
            self._looked_s = now
            for address, (worker, greeting) in list(self._new.items()):
                if greeting.done() and self._new.pop(address, None) is not None and not greeting.cancelled():
                    self._take(worker, greeting)
        if self._workers:
            self._seen_s, self._came = now, True
        wait_s = GONE_S if self._settings.wait_s is None and self._came else self._settings.wait_s
        if not self._workers and wait_s is not None and now - self._seen_s > wait_s:
            raise AulightError(
                f"{_called(self._settings)}: no worker for {wait_s:g} s; start some, as with "
                "`dask worker <address>`; the same command goes on"
            )
        return list(self._workers.values())

    def _look(self) -> None:
        """Finds new workers, and misses those that are gone."""
        try:
            there: Mapping[str, Any] = dict(self._client.scheduler_info(n_workers=-1)["workers"])
        except (OSError, RuntimeError, TimeoutError, CancelledError, KeyError) as error:  # KeyError: it said nothing
            raise AulightError(
                f"{_called(self._settings)}: the scheduler is gone; start it again, and the same command goes on"
            ) from error
        for address in self._workers.keys() - there.keys():
            self._lose(address, guilty=True)
        hosts = [about["host"] for about in there.values()]
        for address in there.keys() - self._workers.keys() - self._new.keys():
            worker = ClusterWorker(self._client, address, hosts.count(there[address]["host"]), self._topic)
            self._new[address] = worker, worker.look()

    def _take(self, worker: ClusterWorker, answer: "Future[Any]") -> None:
        """Takes a worker that fits, once it has told what it sees.

        Raises:
            AulightError: When it does not.
        """
        name = f"{_called(self._settings)}: the worker {worker.address}"
        try:
            found = answer.result()
        except KilledWorker:
            return
        except Exception as error:  # whatever its environment raises
            raise AulightError(
                f"{name} has no aulight that fits ({one_line(error)}); install the same version where it runs"
            ) from error
        if callable(found):  # it can be asked
            self._new[worker.address] = worker, worker.greet([self._token, Path.cwd(), *_some(self._reads)])
            return
        unseen, versions = found
        own = _versions()
        if others := [f"{of} {versions.get(of, 'none')}, here {own[of]}" for of in own if versions.get(of) != own[of]]:
            raise AulightError(f"{name} has other versions ({'; '.join(others)}); install the same on both")
        if unseen:
            what = self._folder if unseen[0] == self._token else unseen[0]
            raise AulightError(
                f"{name} does not see {what} as this machine does; a file system that they share is needed"
            )
        self._workers[worker.address] = worker

    def end(self, worker: Worker) -> None:
        """As of :class:`Crew`."""
        assert isinstance(worker, ClusterWorker)
        self._lose(worker.address, guilty=True)
        with contextlib.suppress(OSError, ValueError, TimeoutError, KeyError):  # ValueError: it has no nanny
            self._client.restart_workers([worker.address], timeout=KILL_S, raise_for_error=False)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()  # the scheduler lets go of all that this client wanted


def _some(paths: Sequence[Path]) -> list[Path]:
    """The first and the last of them, or what they are in, as with pictures in a zip file."""
    ends = [path.absolute() for path in (*paths[:1], *paths[-1:])]
    return [next(place for place in (path, *path.parents) if place.exists()) for path in ends]


def _called(settings: AddressSettings | SlurmSettings) -> str:
    return "cluster=slurm" if isinstance(settings, SlurmSettings) else f"cluster.address={settings.address}"


@contextlib.contextmanager
def _connected(settings: AddressSettings | SlurmSettings, shared: Path) -> Iterator[Client]:
    """A client of the scheduler.

    Args:
        settings: Where it is.
        shared: A folder that its workers see, for as long as it is connected.

    Raises:
        AulightError: When there is none.
    """
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what it has to say comes as an error
    name = _called(settings)
    with contextlib.ExitStack() as stack:
        where: Any = (
            stack.enter_context(_slurm(settings, shared)) if isinstance(settings, SlurmSettings) else settings.address
        )
        try:
            security = None if isinstance(settings, SlurmSettings) else _security(settings)
            client = Client(where, timeout=CONNECT_S, security=security, set_as_default=False, name="aulight")
        except (OSError, TimeoutError, ValueError, RuntimeError) as error:
            raise AulightError(f"{name}: no dask scheduler answers there ({one_line(error)})") from error
        yield stack.enter_context(client)


def _security(settings: AddressSettings) -> Security | None:
    if settings.tls_cert is None:
        return None
    given = {"tls_ca_file": "tls_ca_file", "tls_client_cert": "tls_cert", "tls_client_key": "tls_key"}
    files = {}
    for name, key in given.items():
        if (file := getattr(settings, key)) is not None:
            files[name] = str(Path(file).expanduser())
            if not Path(files[name]).is_file():
                raise AulightError(f"cluster.{key}={file}: no such file")
    return Security(require_encryption=True, **files)


@contextlib.contextmanager
def _slurm(settings: SlurmSettings, shared: Path) -> Iterator[Any]:
    """A scheduler in this process, and jobs of Slurm that are its workers; who else is on the network has no key."""
    try:
        from dask_jobqueue.slurm import SLURMCluster
    except ImportError as error:
        raise AulightError('cluster=slurm: dask-jobqueue is not installed; pip install "aulight[cluster]"') from error
    given = settings.model_dump(include={"cores", "processes", "memory", "walltime", "queue", "account", "interface"})
    try:
        cluster = SLURMCluster(
            **{name: value for name, value in given.items() if value is not None},
            worker_extra_args=["--no-dashboard"],
            scheduler_options={"dashboard": False, "dashboard_address": None},
            security=True,
            shared_temp_directory=str(shared),
        )
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        raise AulightError(f"cluster=slurm: {one_line(error)}") from error
    with contextlib.ExitStack() as stack:
        for name, file in vars(cluster).items():  # its keys, which it would remove when their folder is gone
            if name.startswith("_job_") and hasattr(file, "close"):
                stack.callback(file.close)
        stack.enter_context(cluster)
        _refuse_job(cluster.job_script(), shared)
        cluster.scale(jobs=settings.jobs)
        yield cluster


def _refuse_job(script: str, folder: Path) -> None:
    """Raises what Slurm says against a job; where it is asked for a real one, that would be waited for in silence."""
    file = folder / "job.sh"
    file.write_text(script)
    try:
        done = subprocess.run(["sbatch", "--test-only", str(file)], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise AulightError("cluster=slurm: there is no sbatch here; give the command where Slurm is") from None
    if done.returncode:
        raise AulightError(f"cluster=slurm: takes no job ({one_line(done.stderr.strip() or done.stdout.strip())})")
