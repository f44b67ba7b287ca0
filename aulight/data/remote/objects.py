"""Objects below an URL, as fsspec opens it: their sizes and their bytes, asked for again until they come."""

import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeGuard, TypeVar

from aulight.errors import AulightError, VideoError, reason, say

LEAST_BYTES_S = 2**16
"""An answer that comes more slowly than this, after the time that a stall may take, is taken for none."""

_LIBRARIES = ("aiobotocore", "aiohttp", "botocore", "fsspec", "gcsfs", "google", "requests", "s3fs", "urllib3")
_TAGS = (  # as file systems and servers call it
    "ETag", "etag", "md5Hash", "Content-MD5", "Digest", "mtime", "LastModified", "last_modified", "Last-Modified",
    "created",
)  # fmt: skip
_AGAIN = (408, 429)  # the answers among 400..499 that another try may change

_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Patience:
    """How long one waits for a bucket.

    Attributes:
        tries: How often something is asked for.
        wait_s: Seconds between the first two tries, twice as many from try to try.
        most_s: Most seconds between two.
        stall_s: Seconds without an answer, or within one, after which it does not count as one.
    """

    tries: int = 8
    wait_s: float = 1.0
    most_s: float = 60.0
    stall_s: float = 30.0


class Forbidden(AulightError):
    """An object may not be read; who may not list a bucket is told so of those as well that are not there."""


class Stamp(NamedTuple):
    """What changes with an object.

    Attributes:
        size: Its bytes.
        tag: What the bucket says of its content or time.
    """

    size: int
    tag: str


@dataclass
class _Opened:
    """A file system in the process that opened it: its connections and its loop cross no fork."""

    files: Any
    path: str
    pid: int = field(default_factory=os.getpid)
    lock: threading.Lock = field(default_factory=threading.Lock)
    waits: bool = False


_of_parents: list[_Opened] = []  # kept: were they closed in a forked process, the parent would lose its connections


class Objects:
    """What lies below an URL. May be pickled, forked, and used by several threads.

    Args:
        url: Of the folder: ``s3://bucket/prefix``, ``gs://``, ``https://``, or whatever fsspec knows.
        patience: How long to wait.
    """

    def __init__(self, url: str, patience: Patience | None = None) -> None:
        self.url, self.patience = url.rstrip("/"), patience or Patience()
        self._opened: _Opened | None = None

    def __reduce__(self) -> tuple[type["Objects"], tuple[str, Patience]]:
        return Objects, (self.url, self.patience)

    def address(self, name: str) -> str:
        """The URL of an object."""
        return f"{self.url}/{name}"

    def stamp(self, name: str) -> Stamp:
        """Looks at an object without reading it.

        Raises:
            VideoError: When there is none.
            Forbidden: When it may not be looked at.
            AulightError: When nobody answers.
        """

        def ask(files: Any, path: str, limits: dict[str, float]) -> Stamp:
            found = files.info(path, **limits)
            if found.get("type") == "directory":  # so buckets call what other objects' names begin with
                raise FileNotFoundError(path)
            if found.get("size") is None:
                raise AulightError(f"{self.address(name)}: the server does not tell its size; give the URL of a bucket")
            return Stamp(int(found["size"]), next((str(found[key]) for key in _TAGS if found.get(key)), ""))

        return self._ask(name, ask, 0)

    def read(self, name: str, offset: int, size: int) -> bytes:
        """Some bytes of an object, in one request.

        Raises:
            VideoError: When it is not there, or ends before.
            AulightError: When it may not be read, or nobody answers.
        """

        def ask(files: Any, path: str, limits: dict[str, float]) -> bytes:
            content: bytes = files.cat_file(path, start=offset, end=offset + size, **limits)
            return content

        content = self._ask(name, ask, size) if size else b""
        if len(content) > size:
            raise AulightError(
                f"{self.address(name)}: the server answers with more than the range that it is asked for; "
                "give the URL of one that knows range requests"
            )
        if len(content) < size:
            raise VideoError(
                f"{self.address(name)}: cut off or damaged: ends at byte {offset + len(content)} of {offset + size}"
            )
        return content

    def _ask(self, name: str, ask: Callable[[Any, str, dict[str, float]], _Answer], size: int) -> _Answer:
        """Asks until there is an answer, or no other try would change it."""
        opened, patience = self._files(), self.patience
        limits = {"timeout": patience.stall_s + size / LEAST_BYTES_S} if _is_async(opened.files) else {}
        wait = patience.wait_s
        for tries in range(1, patience.tries + 1):
            try:
                answer = ask(opened.files, f"{opened.path}/{name}", limits)
            except Exception as found:
                error = _beneath(found)
                self._refuse(name, error)
                if tries == patience.tries:
                    raise AulightError(
                        f"{self.address(name)}: no answer after {tries} tries ({_said(error)}); "
                        "give the same command again once the network is there"
                    ) from found
                self._say_waits(opened, name, error)
            else:
                opened.waits = False
                return answer
            time.sleep(wait * random.uniform(0.5, 1))  # not all at once
            wait = min(2 * wait, patience.most_s)
        raise AssertionError("tries are at least 1")

    def _refuse(self, name: str, error: Exception) -> None:
        """Raises what no other try would change."""
        status, kind = _status(error), type(error).__name__
        if isinstance(error, FileNotFoundError) or status == 404:
            raise VideoError(f"{self.address(name)}: not there; upload it, or give another data.root=") from error
        if isinstance(error, PermissionError) or status in (401, 403) or "Credentials" in kind or "Profile" in kind:
            raise Forbidden(
                f"{self.address(name)}: may not be read ({_said(error)}); set credentials of the bucket in the "
                "environment (AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)"
            ) from error
        strangers = isinstance(error, OSError) or _is_of(error, *_LIBRARIES)
        if isinstance(error, AulightError) or not strangers:
            raise error
        if status is not None and 400 <= status < 500 and status not in _AGAIN:
            raise AulightError(f"{self.address(name)}: refused ({_said(error)}); look at data.root=") from error

    def _say_waits(self, opened: _Opened, name: str, error: Exception) -> None:
        """Says once, until there is an answer again, that something is waited for."""
        with opened.lock:
            said, opened.waits = opened.waits, True
        if not said:
            say(f"{self.address(name)}: no answer ({_said(error)}); asks again", error=True)

    def _files(self) -> _Opened:
        if self._opened is not None and self._opened.pid == os.getpid():
            return self._opened
        if self._opened is not None:
            _of_parents.append(self._opened)
        self._opened = opened = _Opened(*_open(self.url, self.patience))
        return opened


def _open(url: str, patience: Patience) -> tuple[Any, str]:
    """A file system of this process alone, and its name of an URL."""
    import fsspec.core  # which takes its time

    scheme = url.partition("://")[0].lower()
    options: dict[str, object] = {"skip_instance_cache": True}
    try:
        if scheme in ("s3", "s3a"):
            timeouts = {"connect_timeout": patience.stall_s, "read_timeout": patience.stall_s}
            options |= {"config_kwargs": {"retries": {"total_max_attempts": 1}, **timeouts}}
        elif scheme in ("http", "https"):
            import aiohttp

            stall = aiohttp.ClientTimeout(total=None, sock_connect=patience.stall_s, sock_read=patience.stall_s)
            options |= {"client_kwargs": {"timeout": stall}}
        files, path = fsspec.core.url_to_fs(url, use_listings_cache=False, **options)
    except ImportError as error:
        package = {"s3": '"aulight[s3]"', "s3a": '"aulight[s3]"', "gs": "gcsfs", "gcs": "gcsfs"}.get(scheme)
        install = f"pip install {package}" if package else f"install it ({reason(error)})"
        raise AulightError(f"{url}: a package is not installed that reads {scheme}://; {install}") from error
    except ValueError as error:
        raise AulightError(
            f"{url}: not an URL that is known ({reason(error)}); give s3://, gs:// or https://"
        ) from error
    if scheme in ("s3", "s3a"):
        files.retries = 1  # Objects asks again, and says so
    return files, str(path).rstrip("/")


def _is_async(files: Any) -> bool:
    return bool(files.async_impl)


def _beneath(error: Exception) -> Exception:
    """What is behind an error: fsspec says of any HTTP server that fails that there is no such file."""
    cause = error.__cause__
    return cause if isinstance(error, FileNotFoundError) and _is_of(cause, "aiohttp") else error


def _is_of(error: BaseException | None, *libraries: str) -> TypeGuard[Exception]:
    return type(error).__module__.partition(".")[0] in libraries


def _said(error: BaseException) -> str:
    """What an error says, or else its name."""
    return reason(error)[:200]


def _status(error: BaseException) -> int | None:
    """The number of an answer that was an error, as far as a library tells."""
    answer = getattr(error.__cause__, "response", None)
    if isinstance(answer, dict):
        found = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        found = error.status if hasattr(error, "status") else getattr(error, "code", None)
    return found if isinstance(found, int) else None
