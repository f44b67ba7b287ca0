"""Worker processes that leave Ctrl-C to their parent and end with it, and threads that work ahead."""

import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import cv2

Item = TypeVar("Item")


@contextmanager
def worker_pool(
    workers: int | None, start: Callable[..., None] | None = None, arguments: tuple[Any, ...] = ()
) -> Iterator[ProcessPoolExecutor]:
    """A pool of single-threaded processes; at the end of the block what has not begun is dropped.

    Args:
        workers: How many; as many as there are CPUs where not given.
        start: Called with ``arguments`` in every process before its first job; may be handed queues and events of the
            ``spawn`` context.
        arguments: Of ``start``.
    """
    # Spawned, not forked: the caller may have threads running (torch, decord).
    pool = ProcessPoolExecutor(
        workers or os.cpu_count(), multiprocessing.get_context("spawn"), _start, (start, arguments)
    )
    try:
        with deaf_to("SIGINT"):  # the processes inherit it, so Ctrl-C cannot break them while they start
            pool.submit(int)  # the first job starts them all
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


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
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    if start is not None:
        start(*arguments)


def _die_with_parent() -> None:
    """Ends this process when its parent is gone, even if it was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


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
