"""What the workers of a pump are, wherever they are, and what happens inside of one."""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

REPORT_FRAMES = 10
"""Frames after which a worker says how far it is, and"""

REPORT_S = 1.0
"""seconds after which it does, where they take long."""


class Stopped(Exception):
    """The command ends: leave everything as it is."""


class Report:
    """Tells the command that a worker works for of so many more frames.

    Args:
        tell: Called with all frames of the job so far; whether to go on with it.

    Attributes:
        frames: All of the job so far.
    """

    def __init__(self, tell: Callable[[int], bool]) -> None:
        self.frames = 0
        self._tell, self._told, self._told_s = tell, 0, time.monotonic()

    def __call__(self, frames: int) -> None:
        """Counts them; now and then tells the command, and leaves the job where that has ended.

        Work that does no frames of its own says 0 now and then, so that nobody takes its worker for lost.
        """
        self.frames += frames
        now_s = time.monotonic()
        if self.frames - self._told >= REPORT_FRAMES or now_s - self._told_s >= REPORT_S:
            self._told, self._told_s = self.frames, now_s
            if not self._tell(self.frames):
                raise Stopped


Hand = Callable[[Any, Report], Any]
"""Does one job."""


@dataclass(frozen=True)
class Order:
    """What a pump has its workers do.

    Attributes:
        name: Unlike any other's.
        begin: Called in every process before its first job with ``given`` and the number of workers that share the CPUs
            of its machine. What it returns is called with each job and a :class:`Report`.
        given: As that.
    """

    name: str
    begin: Callable[..., Hand]
    given: tuple[Any, ...]


_hands: dict[str, Hand] = {}  # of this process, by the names of orders: one, that of the last
_begins = threading.Lock()  # the workers of a process share it


def do(order: Order, job: Any, sharing: int, tell: Callable[[int], bool]) -> tuple[Any, int]:
    """Does a job, in the worker.

    Args:
        order: What is to be done with it.
        job: The job.
        sharing: Workers that share the CPUs of this machine.
        tell: As of :class:`Report`.

    Returns:
        The job's result and the frames that it has reported; ``(None, 0)`` where nobody waits for them any more.
    """
    with _begins:
        hand = _hands.get(order.name)
        if hand is None:
            _hands.clear()
            hand = _hands[order.name] = order.begin(*order.given, sharing)
    report = Report(tell)
    try:
        return hand(job, report), report.frames
    except Stopped:
        return None, 0


class Worker(ABC):
    """Does one job at a time."""

    @abstractmethod
    def submit(self, order: Order, job: Any) -> "Future[tuple[Any, int]]":
        """Begins a job; what :func:`do` returns of it."""

    @property
    @abstractmethod
    def frames(self) -> int:
        """How far it is with its job, as far as that is known."""

    @property
    @abstractmethod
    def signs(self) -> int:
        """How often it has said how far it is, which need not be farther than before: it is alive."""

    @abstractmethod
    def is_gone(self, future: "Future[tuple[Any, int]]") -> bool:
        """Whether it has ended, and the job with it."""

    @property
    def has_begun(self) -> bool:
        """Whether it is at its job, and does not still wait for another command's to end."""
        return True

    @property
    def is_guilty(self) -> bool:
        """Whether its job may have been why it has ended."""
        return True


class Crew(AbstractContextManager["Crew"]):
    """The workers of a pump; after the block none of them works on."""

    advice = "the same command goes on, with workers=1 in less memory"
    """What to do where jobs end their workers."""

    @abstractmethod
    def workers(self) -> Sequence[Worker]:
        """Those that there are now.

        Raises:
            AulightError: When there are none any more, and none are to come.
        """

    @abstractmethod
    def end(self, worker: Worker) -> None:
        """Ends a worker that makes no progress, so that it holds nothing that another one needs."""
