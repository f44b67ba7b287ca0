"""Threads that ask one at a time, and get what they asked for, together."""

import threading
from collections.abc import Callable, Sequence

import pytest

from aulight.data.faces.batched.gathering import Gathering

LONG_S = 3600.0


class Squares:
    """Squares numbers, and notes how many at once; refuses some."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, int]] = []

    def __call__(self, kind: str, given: Sequence[int]) -> list[int]:
        self.batches.append((kind, len(given)))
        if kind == "refused":
            raise ValueError("no")
        return [number**2 for number in given]


def together(*work: Callable[[], object]) -> None:
    threads = [threading.Thread(target=each, daemon=True) for each in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


def test_it_waits_for_all_who_take_part_and_for_nobody_else() -> None:
    """With as good as no end to the waiting: it begins as soon as all ask, and goes on when one has left."""
    do, results = Squares(), dict[int, list[int]]()
    gathering = Gathering(do, 8, LONG_S)
    for _ in range(3):
        gathering.join()

    def work(number: int) -> None:
        results[number] = [gathering.ask("square", number + step) for step in range(number)]
        gathering.leave()

    together(*(lambda number=number: work(number) for number in (2, 5, 7)))
    gathering.close()
    assert results == {number: [(number + step) ** 2 for step in range(number)] for number in (2, 5, 7)}
    assert [count for _, count in do.batches] == [3, 3, 2, 2, 2, 1, 1]


def test_no_more_at_once_than_it_can_do() -> None:
    """Two of five ask: that is as much as it does at once, so it does not wait for the others."""
    do = Squares()
    gathering = Gathering(do, 2, LONG_S)
    for _ in range(5):
        gathering.join()
    together(*[lambda: gathering.ask("square", 3)] * 2)
    gathering.close()
    assert do.batches == [("square", 2)]


def test_who_waits_long_enough_is_not_kept() -> None:
    """Somebody takes part and never asks; another kind is always asked for by more."""
    do = Squares()
    gathering = Gathering(do, 2, 0.01)
    for _ in range(4):
        gathering.join()
    stop = threading.Event()

    def often() -> None:
        while not stop.is_set():
            assert gathering.ask("many", 2) == 4

    def seldom() -> None:
        for number in range(5):
            assert gathering.ask("few", number) == number**2
        stop.set()

    together(often, often, seldom)
    gathering.close()
    assert {count for kind, count in do.batches if kind == "few"} == {1}


def test_an_error_is_told_to_those_who_asked() -> None:
    do = Squares()
    gathering = Gathering(do, 8, LONG_S)
    for _ in range(2):
        gathering.join()

    def refused() -> None:
        with pytest.raises(ValueError, match="no"):
            gathering.ask("refused", 1)
        gathering.leave()

    def fine() -> None:
        assert gathering.ask("square", 2) == 4
        assert gathering.ask("square", 3) == 9
        gathering.leave()

    together(refused, fine)
    gathering.close()
