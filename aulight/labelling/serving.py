"""Serves the coding page on this machine until Ctrl-C."""

import contextlib
import os
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp

_GRACE_S = 3  # for what is being answered when the end comes


class _Server(uvicorn.Server):
    """Ends at a signal, and then returns instead of raising it again: there is a table to write."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def serve(app: ASGIApp, at: socket.socket) -> None:
    """Answers requests until the process is told to end, by Ctrl-C or a signal to terminate."""
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=_GRACE_S, ws="none"
    )
    _Server(config).run(sockets=[at])


def show(address: str) -> None:
    """Opens a page in the browser, where there is a screen."""
    if sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys():
        return
    opening: Any = threading.Thread(target=webbrowser.open, args=(address,), daemon=True)
    opening.start()
