"""Files and folders that are there when they are whole and not before, and who may write them alone.

What is being made has a hidden name beside its place, ``.aulight-<token>.tmp``, and beside that a lock,
``.aulight-<token>.lock``, which the process holds that makes it. The system lets go of the lock when the process ends,
however that comes about, in whatever container or on whatever machine: what has a lock that nobody holds was left by
one that was killed, and the next process that writes there removes it.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from aulight.errors import AulightError

if TYPE_CHECKING:
    import pandas as pd

LEFT_S = 7 * 24 * 3600
"""Where a file system has no locks, what nobody has touched for so many seconds was left by a killed process."""

FORMER_S = 3600
"""The same of what 0.1.0 left, which had no locks."""

ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
"""Numbers of errors that come of a place that cannot be written to, whatever is written."""

_OURS = re.compile(r"\.aulight-([0-9a-f]{16})\.(?:lock|tmp(?:\.\w+)?)")
_FORMER = re.compile(r"\..+\.[0-9a-f]{16}\.tmp(?:\.\w+)?")
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
_OPENING = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK
_TRIES = 5  # to get a lock: one who looks for leftovers may hold it for a moment

_held: set[int] = set()  # descriptors of locks
_looked_at: set[Path] = set()  # folders in which this process has removed leftovers


def _let_go_in_child() -> None:
    for descriptor in _held:
        with contextlib.suppress(OSError):
            os.close(descriptor)  # the parent's lock stays the parent's, and ends with it
    _held.clear()


os.register_at_fork(after_in_child=_let_go_in_child)


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Gives a file its name when it is whole, and never before: what was there of that name stays until then.

    In the block write to the path that is given. When the block ends well, what is there is on the disk (it survives a
    loss of power) and then renamed; ends it otherwise, it is removed.

    Args:
        path: Where the file goes; the folder is there. Its name may be as long as the file system has it.

    Yields:
        A path in the same folder with the same suffix, hidden, and unlike any that another process, be it in another
        container or on another machine, is writing to.

    Raises:
        OSError: Where it cannot be written; names ``path``, whoever noticed.
    """
    suffix = path.suffix if re.fullmatch(r"\.\w{1,15}", path.suffix, re.ASCII) else ""
    with told_of(path), _temporary(path.parent, suffix) as temporary:
        yield temporary
        _move([(temporary, path)])


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """The same for a folder, which must not be there: the block gets an empty one to fill.

    Raises:
        FileExistsError: When it is there, or another process has made it meanwhile.
        OSError: As of :func:`whole`.
    """
    with told_of(path), _temporary(path.parent) as temporary:
        temporary.mkdir()
        yield temporary
        _flush_tidied(temporary)
        try:
            if path.is_symlink() or path.exists():  # an empty folder would be replaced
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
            temporary.rename(path)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.ENOTDIR, errno.EEXIST):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from error
            raise
        _to_disk(path.parent)


@contextlib.contextmanager
def scratch(folder: Path, to: Path | None = None) -> Iterator[Path]:
    """A hidden folder inside another one for what is on its way there (:func:`publish`); gone after the block.

    Args:
        folder: It is there.
        to: Where its files are to go, for errors; ``None``: that folder.
    """
    with told_of(to or folder), _temporary(folder) as temporary:
        temporary.mkdir()
        yield temporary


def publish(made: Path, folder: Path, names: Iterable[str]) -> None:
    """Moves files to their places one by one, in this order, once all of them are on the disk.

    Args:
        made: The folder that they are in, on the same file system.
        folder: Where they go; files of their names there are replaced.
        names: Of the files.
    """
    with told_of(folder):
        _move([(made / name, folder / name) for name in names])


def _move(moves: list[tuple[Path, Path]]) -> None:
    for made, _ in moves:
        _to_disk(made)
    for made, path in moves:
        made.replace(path)
    for folder in {path.parent for _, path in moves}:
        _to_disk(folder)


def flush(path: Path) -> None:
    """Waits until a file and its name, or a folder and all that is below it, survives a loss of power."""
    if path.is_dir():
        for folder, _, files in os.walk(path):
            for place in (*(Path(folder, file) for file in files), Path(folder)):
                _to_disk(place)
    else:
        _to_disk(path)
        _to_disk(path.parent)


def rename_flushed(folder: Path, place: Path) -> None:
    """Renames a folder, all of which is on the disk then, as is its new name, without leftovers.

    Raises:
        OSError: When ``place`` is there and is no empty folder.
    """
    _flush_tidied(folder)
    with told_of(place):
        folder.rename(place)
        _to_disk(place.parent)


def _to_disk(path: Path) -> None:
    """Waits until a file or a folder's list of files survives a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if not path.is_dir() or error.errno not in (errno.EINVAL, errno.EBADF, *_NO_LOCKS):
            raise  # some network drives have no such thing for folders
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def told_of(path: Path) -> Iterator[None]:
    """Makes errors of writing say where: those that name no file name this one, and those in a hidden folder, below it.

    Args:
        path: What is written in the block, or made of what is written there.
    """
    try:
        yield
    except OSError as error:
        number = error.errno
        if number is None and (said := re.search(r"\[errno (\d+)\]", str(error), re.IGNORECASE)):
            number = int(said[1])  # as Arrow says it
        named = () if error.filename is None else Path(os.fsdecode(error.filename)).parts
        hidden = next((place for place, part in enumerate(named) if _OURS.fullmatch(part)), None)
        if number is None or not (hidden is not None or (error.filename is None and number in ROOM)):
            raise
        if number == errno.ENOENT and not path.parent.is_dir():
            raise AulightError(f"{path}: its folder is not there any more") from error
        below = [] if hidden is None else [part for part in named[hidden + 1 :] if not _OURS.fullmatch(part)]
        raise OSError(number, os.strerror(number), str(path.joinpath(*below))) from error


class Taken(AulightError):
    """Another process is at work there."""


@contextlib.contextmanager
def alone(path: Path, taken: str | None) -> Iterator[None]:
    """In the block no other process is in the block of the same path, on this machine or another.

    Where the file system has no locks there is no such promise.

    Args:
        path: What is worked on; need not be there, its folder is.
        taken: What to say when there is another one; ``None``: wait for it.

    Raises:
        Taken: Says ``taken``, when there is another one.
    """
    lock = _lock_of(path)
    with told_of(path):
        tries = 0
        while (descriptor := _hold(lock)) is None:
            tries += 1
            if taken is not None and tries == _TRIES:
                raise Taken(taken)
            time.sleep(0.05)
    try:
        yield
    finally:
        _let_go(lock, descriptor)


def is_taken(path: Path) -> bool:
    """Whether there is a process now in the block of :func:`alone` of a path."""
    try:
        with alone(path, "taken"):
            return False
    except Taken:
        return True


def _lock_of(path: Path) -> Path:
    return path.with_name(f".aulight-{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}.lock")


def _hold(lock: Path) -> int | None:
    """Makes and locks a file; ``None`` where another process has locked it, or has just removed it."""
    try:
        descriptor = os.open(lock, _OPENING | os.O_CREAT, 0o666)
    except PermissionError:
        if not lock.exists():
            raise
        descriptor = os.open(lock, os.O_RDONLY)  # of another user
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        os.close(descriptor)
        return None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            os.close(descriptor)
            if error.errno == errno.EBADF:  # NFS lets nobody lock alone what they may not write to
                raise AulightError(f"{lock}: of another user; remove it once they are not at work there") from error
            raise
    if not _is_at(descriptor, lock):
        os.close(descriptor)
        return None
    _held.add(descriptor)
    return descriptor


def _let_go(lock: Path, descriptor: int) -> None:
    if descriptor not in _held:  # in a forked child
        return
    for _ in range(2):  # some disks need room to remove, and soon have it
        with contextlib.suppress(OSError):  # gone with its folder, or another user's
            lock.unlink(missing_ok=True)
            break
    _held.discard(descriptor)
    os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False


@contextlib.contextmanager
def _temporary(folder: Path, suffix: str = "") -> Iterator[Path]:
    """A hidden name that nobody else has, for a file or a folder; what is there after the block is removed."""
    if folder.absolute() not in _looked_at:
        remove_leftovers(folder)
        _looked_at.add(folder.absolute())
    while True:
        # no number of the process: containers that share a folder count theirs from 1 each
        stem = f".aulight-{secrets.token_hex(8)}"
        lock = folder / f"{stem}.lock"
        if (descriptor := _hold(lock)) is not None:
            break
    temporary = folder / f"{stem}.tmp{suffix}"
    try:
        yield temporary
    finally:
        _remove(temporary)
        _let_go(lock, descriptor)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Removes what processes that were killed while they wrote with this module left in a folder, not below it.

    What a living process is making stays. The folder need not be there.

    Args:
        folder: Any folder that aulight writes into.
    """
    try:
        paths = [path for path in folder.iterdir() if path.name.startswith(".")]
    except OSError:
        return
    ours: dict[str, list[Path]] = {}
    for path in paths:
        if match := _OURS.fullmatch(path.name):
            ours.setdefault(match[1], []).append(path)
        elif _FORMER.fullmatch(path.name) and _idle_s(path) > FORMER_S:
            _remove(path)
    for token, paths in ours.items():
        _bury(folder / f".aulight-{token}.lock", paths)


def _flush_tidied(folder: Path) -> None:
    for place, _, _ in os.walk(folder):
        remove_leftovers(Path(place))  # once it is whole nobody writes, and so cleans, there
    flush(folder)


def remove_former(folder: Path, name: str, holding: str) -> None:
    """Removes what 0.1.0, killed, left of a folder on its way: ``.<name>-<8 letters>``.

    Args:
        folder: Where.
        name: Of what was made.
        holding: Pattern of the names of all that may be in it, for it to be surely that.
    """
    for path in folder.glob(".*-????????") if folder.is_dir() else ():
        if (
            re.fullmatch(rf"\.{re.escape(name)}-[a-z0-9_]{{8}}", path.name)
            and not path.is_symlink()
            and path.is_dir()
            and all(re.fullmatch(holding, entry.name) for entry in path.iterdir())
            and _idle_s(path) > FORMER_S
        ):
            _remove(path)


def _bury(lock: Path, paths: list[Path]) -> None:
    """Removes what belongs to a lock, and it, unless somebody holds it."""
    descriptor, held = -1, False
    try:
        descriptor = os.open(lock, _OPENING)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        pass  # the owner's is there as long as it lives
    except OSError as error:
        held = error.errno not in _NO_LOCKS or any(_idle_s(path) < LEFT_S for path in paths)
    for path in [] if held else sorted(paths, key=lambda path: path == lock):  # the lock last
        _remove(path)
    if descriptor >= 0:
        os.close(descriptor)


def _idle_s(path: Path) -> float:
    """Seconds since a file, or anything in a folder, was changed."""
    below = (Path(folder, name) for folder, _, files in os.walk(path) for name in files)
    changed = [0.0]
    for place in (path, *below):
        with contextlib.suppress(OSError):
            changed.append(place.lstat().st_mtime)
    return time.time() - max(changed)


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_table(table: "pd.DataFrame", path: Path) -> None:
    """Writes a Parquet table, without its index."""
    with whole(path) as temporary:
        table.to_parquet(temporary, index=False)
