"""Worker processes that leave Ctrl-C to their parent and end with it."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

import cv2


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
        with _deaf_to_interrupts():  # the processes inherit it, so Ctrl-C cannot break them while they start
            pool.submit(int)  # the first job starts them all
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Holds Ctrl-C back until the end of the block; processes started in it never hear of it."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
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
