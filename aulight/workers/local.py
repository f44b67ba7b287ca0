"""Workers on this machine: a pool of one process each, so that it is known which job a process was at that died."""

import multiprocessing
import os
import resource
import signal
from collections.abc import MutableSequence, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from types import TracebackType
from typing import Any

from aulight.processes import LOCKS, cpus, has_locks, new_pool
from aulight.workers.crew import Crew, Order, Worker, do

STOP_S = 30
"""Seconds in which a worker hears at its next report that it is to stop; then it is killed."""

FILES = 16
"""Files that a worker's pool holds open, or a few less."""

_board: MutableSequence[int] = []  # of this worker's pump
_place = 0


def _sit_down(board: MutableSequence[int], place: int) -> None:
    global _board, _place
    _board, _place = board, place


def _do(order: Order, job: Any, sharing: int) -> tuple[Any, int]:
    board, place = _board, _place

    def tell(frames: int) -> bool:
        board[place], board[place + 1] = frames, board[place + 1] + 1
        return not board[-1]

    return do(order, job, sharing, tell)


class LocalWorker(Worker):
    """A process of this machine; where there can be none, a thread.

    Args:
        board: Shared numbers: of each worker its frames and signs of life, and at last whether all are to stop.
        place: Of its own two among them.
        sharing: How many workers there are.
    """

    def __init__(self, board: MutableSequence[int], place: int, sharing: int) -> None:
        self._board, self._place, self._sharing = board, place, sharing
        self.pool: Executor = new_pool(1, _sit_down, (board, place))
        self._pid = self.pool.submit(os.getpid)
        self.doing: Future[tuple[Any, int]] | None = None

    def submit(self, order: Order, job: Any) -> "Future[tuple[Any, int]]":
        """As of :class:`Worker`."""
        self._board[self._place] = 0
        try:
            self.doing = self.pool.submit(_do, order, job, self._sharing)
        except BrokenProcessPool as error:  # it died before
            self.doing = Future()
            self.doing.set_exception(error)
        return self.doing

    @property
    def frames(self) -> int:
        """As of :class:`Worker`."""
        return self._board[self._place]

    @property
    def signs(self) -> int:
        """As of :class:`Worker`."""
        return self._board[self._place + 1]

    def is_gone(self, future: "Future[tuple[Any, int]]") -> bool:
        """As of :class:`Worker`."""
        return future.done() and isinstance(future.exception(), BrokenProcessPool)

    def kill(self) -> None:
        """Ends the process, whatever it is at."""
        if not isinstance(self.pool, ThreadPoolExecutor) and self._pid.done() and self._pid.exception() is None:
            with suppress(ProcessLookupError):
                os.kill(self._pid.result(), signal.SIGKILL)
        self.pool.shutdown(wait=False, cancel_futures=True)


class LocalCrew(Crew):
    """Processes of this machine. One that is killed, perhaps for want of memory, is replaced.

    Args:
        workers: How many.
    """

    def __init__(self, workers: int) -> None:
        self._count = workers

    def __enter__(self) -> "LocalCrew":
        self._workers: list[LocalWorker] = []
        self._board: MutableSequence[int]
        if has_locks(LOCKS):
            _allow_files(FILES * self._count)
            self._board = multiprocessing.get_context("spawn").RawArray("q", 2 * self._count + 1)
        else:
            self._count, self._board = 1, [0, 0, 0]
        return self

    def workers(self) -> Sequence[LocalWorker]:
        """As of :class:`Crew`."""
        for place in range(self._count):
            if place == len(self._workers):
                self._workers.append(self._new(place))
            elif (doing := self._workers[place].doing) is not None and self._workers[place].is_gone(doing):
                self._workers[place].kill()
                self._workers[place] = self._new(place)
        return self._workers

    def _new(self, place: int) -> LocalWorker:
        return LocalWorker(self._board, 2 * place, self._count)

    def end(self, worker: Worker) -> None:
        """As of :class:`Crew`."""
        assert isinstance(worker, LocalWorker)
        worker.kill()
        self._workers[self._workers.index(worker)] = self._new(self._workers.index(worker))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._board[-1] = 1
        doing = [worker.doing for worker in self._workers if worker.doing is not None]
        wait(doing, STOP_S)
        for worker in self._workers:
            if worker.doing is not None and not worker.doing.done():
                worker.kill()
        for worker in self._workers:
            worker.pool.shutdown(cancel_futures=True)


def local(workers: int | None) -> LocalCrew:
    """So many processes of this machine; one a CPU where not given."""
    return LocalCrew(workers or cpus())


def _allow_files(more: int) -> None:
    """Lets this process have more files open, as far as the system does: 1024 are few for 128 CPUs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 1024 + more
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard == -1 else min(wanted, hard), hard))
