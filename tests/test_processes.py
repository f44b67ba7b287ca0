"""Work ahead in a thread: the same items in the same order, never too many, and an end in every case."""

import threading
from collections.abc import Iterator

import pytest

from aulight.processes import ahead


def test_the_same_items_in_the_same_order() -> None:
    """Oracle: the range itself."""
    assert list(ahead(iter(range(1000)), 3)) == list(range(1000))
    assert list(ahead(iter(()), 3)) == []


def test_stages_run_side_by_side() -> None:
    """Two stages that wait for each other: in one thread the first item would never come."""
    second_item = threading.Event()

    def source() -> Iterator[int]:
        yield 0
        second_item.set()
        yield 1

    items = []
    for item in ahead(source(), 2):
        assert second_item.wait(30)
        items.append(item)
    assert items == [0, 1]


def test_no_more_than_the_given_number_wait() -> None:
    """Oracle: a count of what was made and what was taken; one more is in the maker's hand."""
    made, most = [], 4

    def source() -> Iterator[int]:
        for item in range(200):
            made.append(item)
            yield item

    for taken, _ in enumerate(ahead(source(), most), 1):
        assert len(made) <= taken + most + 1


def test_an_error_comes_after_what_was_made_before_it() -> None:
    def source() -> Iterator[int]:
        yield 1
        yield 2
        raise KeyError("broken")

    items = ahead(source(), 1)
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(KeyError, match="broken"):
        next(items)


def test_a_caller_that_stops_early_stops_the_thread_and_closes_the_source() -> None:
    before, closed = threading.active_count(), []

    def source() -> Iterator[int]:
        try:
            item = 0
            while True:
                yield item
                item += 1
        finally:
            closed.append(threading.current_thread())

    items = ahead(source(), 2)
    assert [next(items), next(items)] == [0, 1]
    items.close()
    assert len(closed) == 1
    assert closed[0] is not threading.current_thread()
    assert threading.active_count() == before
