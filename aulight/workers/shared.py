"""Workers on this machine of which several share a process, so that they can share what is in it, such as a GPU."""

import multiprocessing
import threading
import traceback
from collections.abc import MutableSequence, Sequence
from concurrent.futures import Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

from aulight.processes import Bar, begin_process, deaf_to
from aulight.workers.crew import Crew, Order, Worker, do
from aulight.workers.local import STOP_S

# ---- in the process -----------------------------------------------------------------------------------------------


def _live(connection: Connection, board: MutableSequence[int], first: int, sharing: int) -> None:
    """Does jobs as they come, each in a thread of its own; ``first`` is its first worker."""
    begin_process()
    lock = threading.Lock()

    def work(place: int, order: Order, job: Any) -> None:
        def tell(frames: int) -> bool:
            mine = 2 * (first + place)
            board[mine], board[mine + 1] = frames, board[mine + 1] + 1
            return not board[-1]

        try:
            said: tuple[Any, BaseException | None] = do(order, job, sharing, tell), None
        except BaseException as error:  # raised again where the job came from
            error.add_note(traceback.format_exc())
            said = None, error
        with lock, suppress(OSError):  # nobody waits any more
            try:
                connection.send((place, *said))
            except (TypeError, AttributeError, ValueError) as error:  # what cannot be sent
                connection.send((place, None, RuntimeError(f"{said[1] or said[0]!r}: {error}")))

    with suppress(EOFError):
        while True:
            threading.Thread(target=work, args=connection.recv(), daemon=True).start()


# ---- in the command -----------------------------------------------------------------------------------------------


class _Process:
    """A process, and what its workers are at.

    Args:
        board: Shared numbers: of each worker its frames and signs of life, and at last whether all are to stop.
        first: Which is its first worker.
        workers: How many it has.
        sharing: Workers on this machine.
    """

    def __init__(self, board: MutableSequence[int], first: int, workers: int, sharing: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self.process = context.Process(target=_live, args=(theirs, board, first, sharing), daemon=True)
        with deaf_to("SIGINT"):
            self.process.start()
        theirs.close()
        self._lock = threading.Lock()
        self._doing: dict[int, Future[Any]] = {}
        self.is_gone, self._was_ended, self.jobs_lost = False, False, 0
        self.workers = [SharedWorker(self, board, first, place) for place in range(workers)]
        threading.Thread(target=self._listen, daemon=True).start()

    def submit(self, place: int, order: Order, job: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()  # so it cannot be cancelled
        with self._lock:
            if self.is_gone:
                future.set_exception(BrokenProcessPool())
                return future
            self._doing[place] = future
        with suppress(OSError):  # it is about to be heard that it is gone
            self._connection.send((place, order, job))
        return future

    def kill(self) -> None:
        """Ends it, whatever it is at; none of its jobs is to blame."""
        with self._lock:
            self.is_gone = self._was_ended = True
        self.process.kill()

    def _listen(self) -> None:
        why: Exception = BrokenProcessPool()
        try:
            while True:
                place, result, error = self._connection.recv()
                with self._lock:
                    future = self._doing.pop(place)
                if error is None:
                    future.set_result(result)
                else:
                    future.set_exception(error)
        except (EOFError, OSError):
            pass
        except Exception as error:  # what it sent cannot be understood here
            why = error
            self.process.kill()
        with self._lock:
            doing, self._doing, self.is_gone = self._doing, {}, True
            self.jobs_lost = 0 if self._was_ended else len(doing)
        for future in doing.values():
            future.set_exception(why)


class SharedWorker(Worker):
    """A thread of a process of this machine.

    Args:
        process: The process.
        board: As of the process, as the next.
        first: As there.
        place: Its own in the process.
    """

    def __init__(self, process: _Process, board: MutableSequence[int], first: int, place: int) -> None:
        self.process, self._board, self._first, self._place = process, board, first, place
        self.doing: Future[Any] | None = None

    def submit(self, order: Order, job: Any) -> "Future[tuple[Any, int]]":
        """As of :class:`Worker`."""
        self._board[2 * (self._first + self._place)] = 0
        self.doing = self.process.submit(self._place, order, job)
        return self.doing

    @property
    def frames(self) -> int:
        """As of :class:`Worker`."""
        return self._board[2 * (self._first + self._place)]

    @property
    def signs(self) -> int:
        """As of :class:`Worker`."""
        return self._board[2 * (self._first + self._place) + 1]

    def is_gone(self, future: "Future[tuple[Any, int]]") -> bool:
        """As of :class:`Worker`."""
        return future.done() and isinstance(future.exception(), BrokenProcessPool)

    @property
    def is_guilty(self) -> bool:
        """As of :class:`Worker`: of several that were at work in the process nobody knows which it was."""
        return self.process.jobs_lost == 1


class SharedCrew(Crew):
    """Processes of this machine with several workers each.

    Once a process has died while several were at work in it, each process does one job at a time, so that it is known
    which one it is that ends them, and there is more memory for it.

    Args:
        processes: How many.
        workers: Of each of them.
    """

    advice = "the same command goes on; with workers=1, and without a GPU, in less memory"

    def __init__(self, processes: int, workers: int) -> None:
        self._count, self._each = processes, workers

    def __enter__(self) -> "SharedCrew":
        self._careful = False
        self._board: MutableSequence[int] = multiprocessing.get_context("spawn").RawArray(
            "q", 2 * self._count * self._each + 1
        )
        self._processes: list[_Process] = []
        return self

    def workers(self) -> Sequence[SharedWorker]:
        """As of :class:`Crew`."""
        for number in range(self._count):
            if number == len(self._processes):
                self._processes.append(self._new(number))
            elif (process := self._processes[number]).is_gone:
                if process.jobs_lost > 1 and not self._careful:
                    self._careful = True
                    Bar.write("note: a process ended that was at several videos: from here on each is at one")
                self._processes[number] = self._new(number)
        each = 1 if self._careful else self._each
        return [worker for process in self._processes for worker in process.workers[:each]]

    def _new(self, number: int) -> _Process:
        return _Process(self._board, number * self._each, self._each, self._count * self._each)

    def end(self, worker: Worker) -> None:
        """As of :class:`Crew`: with it go the others of its process, whose jobs begin anew."""
        assert isinstance(worker, SharedWorker)
        worker.process.kill()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._board[-1] = 1
        doing = [worker.doing for process in self._processes for worker in process.workers if worker.doing is not None]
        wait(doing, STOP_S)
        for process in self._processes:
            process.kill()
            process.process.join()
