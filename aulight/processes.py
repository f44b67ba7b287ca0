"""CPUs that may be used, worker processes that end with their parent, and threads that work ahead."""

import math
import multiprocessing
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from tqdm import tqdm

from aulight.errors import printable

Item = TypeVar("Item")


def cpus(environment: Mapping[str, str] = os.environ, root: Path = Path("/")) -> int:
    """CPUs that this process may use: what a command starts workers and threads by.

    The least of its affinity (``taskset``, a batch system's binding), the quotas of its cgroup and of those around it
    (containers, ``systemd``), and what Slurm has given to its task, or to its job on this node. A share of a CPU
    counts as one.

    Args:
        environment: Where Slurm's variables are.
        root: Where ``/proc`` and the cgroups' file systems are; another one in tests.
    """
    if sys.version_info >= (3, 13):
        usable = os.process_cpu_count()
    else:
        usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    given = [usable or 1, *(math.ceil(quota) for quota in _quotas(root))]
    for name in ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"):
        if (text := environment.get(name, "")).isdecimal():
            given.append(int(text))
            break  # a node's are those of all its tasks
    return max(1, min(given))


def _quotas(root: Path) -> Iterator[float]:
    """CPUs that the cgroup of this process and those around it may keep busy, version 2 and 1."""
    try:
        mounts = (root / "proc/self/mountinfo").read_text().splitlines()
        groups = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # not Linux
        return
    paths: dict[str, str] = {}  # by controller; that of version 2 has no name
    for line in groups:
        _, names, path = line.split(":", 2)
        paths |= dict.fromkeys(names.split(","), path)
    for line in mounts:
        mount, _, system = line.partition(" - ")
        _, _, _, top, point, *_ = mount.split()
        kind, *_, options = system.split()
        controller = "" if kind == "cgroup2" else "cpu"
        if kind not in ("cgroup", "cgroup2") or controller not in paths or controller not in ["", *options.split(",")]:
            continue
        own = PurePosixPath(paths[controller])
        inside = own.relative_to(top) if own.is_relative_to(top) else PurePosixPath()  # a container sees its own alone
        for folder in (inside, *inside.parents):
            quota = _quota(root / point.lstrip("/") / folder)
            if quota is not None:
                yield quota


def _quota(group: Path) -> float | None:
    """CPUs that one cgroup may keep busy, ``None`` for as many as there are."""
    try:
        if (group / "cpu.max").exists():
            most, period = (group / "cpu.max").read_text().split()
        else:
            most, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return int(most) / int(period) if int(most) > 0 else None
    except (OSError, ValueError, ZeroDivisionError):  # no such file, or `max`
        return None


LOCKS = 16
"""Locks that processes of a pool share with each other and with who started them, or a few more."""


def has_locks(count: int) -> bool:
    """Whether so many locks can be had, which lie in the memory that processes share: containers may have little."""
    try:
        return [multiprocessing.get_context("spawn").Lock() for _ in range(count)] != []
    except OSError:
        return False


@contextmanager
def worker_pool(
    workers: int | None, start: Callable[..., None] | None = None, arguments: tuple[Any, ...] = ()
) -> Iterator[Executor]:
    """A pool as of :func:`new_pool`; at the end of the block what has not begun is dropped.

    Args:
        workers: How many; one a CPU (:func:`cpus`) where not given.
        start: As of :func:`new_pool`, as the next.
        arguments: Of ``start``.
    """
    pool = new_pool(workers or cpus(), start, arguments)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def new_pool(workers: int, start: Callable[..., None] | None = None, arguments: tuple[Any, ...] = ()) -> Executor:
    """A pool of single-threaded processes, which start at once.

    Without shared memory for their locks, a thread of this process does the jobs, one after the other, and it is said.

    Args:
        workers: How many.
        start: Called with ``arguments`` in every process before its first job; may be handed queues and events of the
            ``spawn`` context.
        arguments: Of ``start``.
    """
    pool: Executor
    if has_locks(LOCKS):
        # Spawned, not forked: the caller may have threads running (torch, decord).
        pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _start, (start, arguments))
    else:
        print(
            "no worker processes: there is no shared memory for their locks, so this one does the work alone; "
            "docker run --shm-size gives a container more",
            file=sys.stderr,
        )
        pool = ThreadPoolExecutor(1, initializer=start, initargs=arguments)
    with deaf_to("SIGINT"):  # the processes inherit it, so Ctrl-C cannot break them while they start
        pool.submit(int)  # the first job starts them all
    return pool


@contextmanager
def deaf_to(name: str) -> Iterator[None]:
    """Holds a signal back until the end of the block; threads and processes started in it never hear of it.

    Args:
        name: Of the signal, ``SIGINT`` for Ctrl-C.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.Signals[name]})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(start: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    begin_process()
    if start is not None:
        start(*arguments)


def begin_process() -> None:
    """Makes this process one that works for its parent: it ends with it, is deaf to Ctrl-C, and OpenCV has a thread."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    import cv2  # not by every process that counts its CPUs

    cv2.setNumThreads(1)


def _die_with_parent() -> None:
    """Ends this process when its parent is gone, even if it was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


LINE_S = 30
"""Seconds from one line of a :class:`Bar` to the next, where it is no terminal that shows it."""


class Bar(tqdm):  # type: ignore[misc]  # tqdm has no types
    """A progress bar; where standard error is no terminal but a file, a line now and then in place of a bar.

    Args:
        total: What it goes up to.
        desc: What is done, in a word or two.
        unit: What is counted.
        initial: What was done before.
        disable: Whether nothing is shown.
        delay: Seconds before anything is; what is done by then needs no bar.
    """

    def __init__(
        self,
        total: int | None,
        desc: str,
        unit: str,
        initial: int = 0,
        disable: bool = False,
        delay: float = 0,
    ) -> None:
        rare: dict[str, Any] = {"delay": delay}
        if not sys.stderr.isatty():
            rare |= {"file": _Lines(), "mininterval": LINE_S, "maxinterval": LINE_S, "miniters": 1, "ncols": 100}
        super().__init__(
            total=total, desc=desc, unit=unit, initial=initial, disable=disable, smoothing=0.05, leave=True, **rare
        )

    @classmethod
    def write(cls, s: str, *given: Any, **options: Any) -> None:
        """Prints a line above the bar."""
        super().write(printable(s), *given, **options)


class _Lines:
    """Standard error, with what would be written over one line on lines of their own."""

    def write(self, text: str) -> None:
        if said := text.strip():
            sys.stderr.write(f"{said}\n")

    def flush(self) -> None:
        sys.stderr.flush()


def ahead(items: Iterable[Item], most: int) -> Generator[Item, None, None]:
    """Makes items in a thread of its own, at most ``most`` of them before they are wanted.

    Stages of work that leave the interpreter's lock alone (decoding, landmarks, networks) run side by side so. An
    error of ``items`` comes where its item would have come. When the caller stops early, so does the thread.

    Args:
        items: An iterator or generator; used in the thread alone, and closed there.
        most: Items that wait.
    """
    waiting: queue.Queue[tuple[bool, Any]] = queue.Queue(most)  # whether it is an item; else an error, or the end
    stop = threading.Event()

    def hand_over(is_item: bool, what: Any) -> bool:
        while not stop.is_set():
            try:
                waiting.put((is_item, what), timeout=1)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        end: BaseException | None = None
        try:
            for item in items:
                if not hand_over(True, item):
                    break
        except BaseException as error:  # raised again where the items are wanted
            end = error
        finally:
            if hasattr(items, "close"):
                items.close()
            hand_over(False, end)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            is_item, what = waiting.get()
            if is_item:
                yield what
            elif what is None:
                return
            else:
                raise what
    finally:
        stop.set()
        while thread.is_alive():
            try:
                waiting.get_nowait()  # it may be waiting for room
            except queue.Empty:
                thread.join(0.01)
