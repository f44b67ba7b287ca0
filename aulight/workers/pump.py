"""Hands jobs to the workers of a crew, with one bar of what they have done, and again where a worker is lost."""

import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from tqdm import tqdm

from aulight.errors import AulightError
from aulight.workers.crew import Crew, Order, Report, Worker

Job = TypeVar("Job")
Result = TypeVar("Result")

LOOK_S = 0.5
"""Seconds from one look at the workers to the next."""

MOST_LOST = 2
"""Workers that a job may end; it is not given to a third."""

LOST = f"{MOST_LOST} workers were lost at it"
"""What is said of such a job, beside why."""


@dataclass(eq=False)
class _Task(Generic[Job]):
    """A job, and how it stands."""

    job: Job
    worker: Worker | None = None
    frames: int = 0
    signs: int = 0
    since: float = 0.0  # when there was the last of them
    lost: int = 0


@contextmanager
def pump(
    jobs: Iterable[Job],
    begin: Callable[..., Callable[[Job, Report], Result]],
    given: tuple[Any, ...],
    crew: Crew,
    bar: "tqdm[Any]",
    lost: Callable[[Job, str], Result] | None = None,
    patience_s: float | None = None,
) -> Iterator[Iterator[tuple[Job, Result]]]:
    """Does jobs by workers, with one bar of the frames that they have done so far.

    A job whose worker dies, or makes no progress, is given to another one, and is left once two are lost. At the end of
    the block, be it an error or Ctrl-C, the workers stop at their next report and leave what they were making as it is.

    Args:
        jobs: What is to be done, begun in this order.
        begin: Called in every worker before its first job, with ``given`` and the number of workers that share the CPUs
            of its machine. What it returns is called with each job and a function to tell of so many more frames, and
            returns the job's result.
        given: Arguments of ``begin``.
        crew: The workers.
        bar: Moves on from where it is; back, where a job begins anew.
        lost: The result of a job that two workers were lost at, with the reason; ``None``: that is an error.
        patience_s: Seconds without progress after which a worker is taken for lost; ``None``: for ever.

    Yields:
        The jobs and their results, in the order in which they end. What a job raises is raised here.

    Raises:
        AulightError: When there are no workers (any more), or two were lost at a job.
    """
    order = Order(secrets.token_hex(8), begin, given)
    with crew:
        yield _results([_Task(job) for job in jobs], order, crew, bar, lost, patience_s)


def _results(
    tasks: list[_Task[Job]],
    order: Order,
    crew: Crew,
    bar: "tqdm[Any]",
    lost: Callable[[Job, str], Result] | None,
    patience_s: float | None,
) -> Iterator[tuple[Job, Result]]:
    waiting, running = deque(tasks), dict[Future[tuple[Any, int]], _Task[Job]]()
    done = bar.n
    while waiting or running:
        busy = {task.worker for task in running.values()}
        for worker in [worker for worker in crew.workers() if worker not in busy][: len(waiting)]:
            task = waiting.popleft()
            task.worker, task.frames, task.signs, task.since = worker, 0, worker.signs, time.monotonic()
            running[worker.submit(order, task.job)] = task
        if running:
            wait(running, LOOK_S, FIRST_COMPLETED)
        else:
            time.sleep(LOOK_S)  # workers are to come
        for future, task in list(running.items()):
            assert task.worker is not None
            if (signs := task.worker.signs) != task.signs or not task.worker.has_begun:
                task.frames, task.signs, task.since = task.worker.frames, signs, time.monotonic()
            if task.worker.is_gone(future):
                problem = "it ended, perhaps for want of memory"
                task.lost += task.worker.is_guilty
            elif future.done():
                del running[future]
                result, frames = future.result()
                done += frames
                _move(bar, done, running)
                yield task.job, result
                continue
            elif patience_s is not None and time.monotonic() - task.since > patience_s:
                problem = f"no progress for {patience_s:g} s"
                task.lost += 1
                crew.end(task.worker)
            else:
                continue
            del running[future]
            future.cancel()
            if task.lost < MOST_LOST:
                waiting.appendleft(task)
                continue
            reason = f"{LOST} ({problem}); {crew.advice}"
            if lost is None:
                raise AulightError(f"a process was killed: {reason}")
            yield task.job, lost(task.job, reason)
        _move(bar, done, running)


def _move(bar: "tqdm[Any]", done: int, running: dict[Any, _Task[Job]]) -> None:
    bar.update(done + sum(task.frames for task in running.values()) - bar.n)
