"""Gathers what several threads ask for one at a time, so that it is done many at a time."""

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Kind = TypeVar("Kind", bound=Hashable)
Given = TypeVar("Given")
Result = TypeVar("Result")


@dataclass(frozen=True)
class _Request(Generic[Given, Result]):
    given: Given
    since: float
    result: "Future[Result]" = field(default_factory=Future)


class Gathering(Generic[Kind, Given, Result]):
    """Does what threads ask for in a thread of its own: all of one kind at once.

    It begins when there is as much as it can do at once, when all who take part wait, or when somebody has waited for
    long enough. Who has waited longest comes first then, so nobody waits for ever.

    Args:
        do: Does all that is given of one kind, in that thread, with a result for each. What it raises is raised for
            each of those who asked for it, and for nobody else.
        most: As much as it is given at once.
        wait_s: Seconds that somebody waits for others.
    """

    def __init__(self, do: Callable[[Kind, Sequence[Given]], Sequence[Result]], most: int, wait_s: float) -> None:
        self._do, self._most, self._wait_s = do, most, wait_s
        self._changed = threading.Condition()
        self._waiting: dict[Kind, deque[_Request[Given, Result]]] = {}
        self._there = 0
        self._closed = False
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread, once nobody waits; nothing may be asked for any more."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def join(self) -> None:
        """One more takes part."""
        with self._changed:
            self._there += 1

    def leave(self) -> None:
        """One less does: nobody waits for what it may ask for."""
        with self._changed:
            self._there -= 1
            self._changed.notify()

    def ask(self, kind: Kind, given: Given) -> Result:
        """Waits until something is done, by one who takes part.

        Raises:
            Exception: What ``do`` raised.
        """
        request = _Request[Given, Result](given, time.monotonic())
        with self._changed:
            self._waiting.setdefault(kind, deque()).append(request)
            self._changed.notify()
        return request.result.result()

    def _work(self) -> None:
        while (batch := self._next()) is not None:
            kind, requests = batch
            try:
                results = self._do(kind, [request.given for request in requests])
            except BaseException as error:  # raised again where it was asked for
                for request in requests:
                    request.result.set_exception(error)
                continue
            for request, result in zip(requests, results, strict=True):
                request.result.set_result(result)

    def _next(self) -> tuple[Kind, list[_Request[Given, Result]]] | None:
        """What is to be done next, once it is time to; ``None`` at the end."""
        with self._changed:
            while True:
                waiting = {kind: requests for kind, requests in self._waiting.items() if requests}
                if not waiting:
                    if self._closed:
                        return None
                    self._changed.wait()
                    continue
                oldest = min(waiting, key=lambda kind: waiting[kind][0].since)
                longest = max(waiting, key=lambda kind: len(waiting[kind]))
                left_s = waiting[oldest][0].since + self._wait_s - time.monotonic()
                if left_s <= 0:
                    kind = oldest
                elif len(waiting[longest]) >= self._most or sum(map(len, waiting.values())) >= self._there:
                    kind = longest
                else:
                    self._changed.wait(left_s)
                    continue
                requests = waiting[kind]
                return kind, [requests.popleft() for _ in range(min(self._most, len(requests)))]
