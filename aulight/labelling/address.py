"""Where a coder's page is: on this machine alone, at the port and behind the token of the last time."""

import contextlib
import hashlib
import json
import secrets
import socket
from pathlib import Path

from aulight.errors import AulightError
from aulight.files import whole

HOST = "127.0.0.1"


def listen(port: int, before: int | None) -> socket.socket:
    """A socket of this machine alone.

    Args:
        port: Which must be free; 0: any.
        before: With 0, the one to take if it is free: open pages find the server there again.

    Raises:
        AulightError: When a port that must be free is not.
    """
    wanted = [port] if port else [*([before] if before else []), 0]
    for number in wanted:
        found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind((HOST, number))
            found.listen(64)  # here, since two processes may bind the same port
            return found
        except OSError as error:
            found.close()
            reason = error.strerror
    raise AulightError(f"port={port}: cannot be used ({reason}); give another one, or 0 for any that is free")


def page_address(folder: Path, coder: str) -> str:
    """The address of a coder's page: that of the last time, for pages that are open still and links to go on.

    Before the first time a port is chosen that is free now.
    """
    token, port = last_address(folder, coder)
    if port is None:
        with listen(0, None) as found:
            port = found.getsockname()[1]
        keep_address(folder, coder, token, port)
    return f"http://{HOST}:{port}/{token}/"


def last_address(folder: Path, coder: str) -> tuple[str, int | None]:
    """Token and port of the last time; a new token and ``None`` before."""
    with contextlib.suppress(OSError, ValueError):
        token, port = json.loads(_file(folder, coder).read_text(encoding="utf-8"))
        return str(token), int(port)
    return secrets.token_urlsafe(24), None


def keep_address(folder: Path, coder: str, token: str, port: int) -> None:
    """Keeps an address where this user alone can read it: others of the machine must not score in their name."""
    with whole(_file(folder, coder)) as temporary:
        temporary.touch(0o600)
        temporary.write_text(json.dumps([token, port]), encoding="utf-8")


def _file(folder: Path, coder: str) -> Path:
    return folder / f".page-{hashlib.sha256(coder.encode()).hexdigest()[:16]}.json"
