import errno
import fcntl
import multiprocessing
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from aulight.errors import AulightError
from aulight.files import (
    FORMER_S,
    LEFT_S,
    alone,
    is_taken,
    publish,
    remove_former,
    remove_leftovers,
    scratch,
    told_of,
    whole,
    whole_folder,
    write_table,
)
from aulight.foreign.yaml import write_yaml

LONGEST = "é" * 125 + ".csv"  # 254 bytes, of the 255 that a name may have


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_has_its_name_when_it_is_whole_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")
    with whole(path) as temporary:
        temporary.write_text("new, half")
        assert path.read_text() == "old"
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".csv"  # some writers go by it
        assert temporary.name.startswith(".")
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_is_not_whole_leaves_what_was_there(error: type[BaseException], tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(error), whole(path) as temporary:
        _stop_after(temporary.write_text("new, half"), error)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def _stop_after(_written: int, error: type[BaseException]) -> None:
    raise error


@pytest.mark.parametrize("name", [LONGEST, "a" * 255, "a." + "b" * 253, "表" * 83 + ".mp4", "a.two words", b"\xff.csv"])
def test_a_name_may_be_as_long_and_as_odd_as_the_file_system_has_it(name: str | bytes, tmp_path: Path) -> None:
    name = os.fsdecode(name)
    write_yaml({"a": 1}, tmp_path / name)
    assert names(tmp_path) == [name]
    with whole_folder(tmp_path / f"_{name}"[:80]) as made:
        (made / name).touch()
    with scratch(tmp_path) as made:
        (made / name).write_text("b")
        publish(made, tmp_path, [name])
    with alone(tmp_path / name, "taken"):
        assert (tmp_path / name).read_text() == "b"
    assert len(names(tmp_path)) == 2


def test_it_is_on_the_disk_before_it_is_renamed_and_its_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Oracle: the order of the system calls."""
    calls: list[str] = []

    def noting(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*arguments: Any) -> Any:
            calls.append(name)
            return call(*arguments)

        return noted

    monkeypatch.setattr(os, "fsync", noting("fsync", os.fsync))
    monkeypatch.setattr(Path, "replace", noting("replace", Path.replace))
    monkeypatch.setattr(Path, "rename", noting("rename", Path.rename))
    with whole(tmp_path / "a") as temporary:
        temporary.write_bytes(b"a")
    assert calls == ["fsync", "replace", "fsync"]
    calls.clear()
    with scratch(tmp_path) as made:
        for name in "ab":
            (made / name).touch()
        publish(made, tmp_path, "ab")
    assert calls == ["fsync", "fsync", "replace", "replace", "fsync"]
    calls.clear()
    with whole_folder(tmp_path / "c") as made:
        (made / "a").touch()
    assert calls == ["fsync", "fsync", "rename", "fsync"]


def test_processes_of_one_number_do_not_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in two containers that share a folder: the number of the process is the same in both."""
    monkeypatch.setattr(os, "getpid", lambda: 1)
    path, inside = tmp_path / "run.yaml", threading.Barrier(2, timeout=30)

    def write(text: str) -> None:
        with whole(path) as temporary:
            temporary.write_text(text)
            inside.wait()
            remove_leftovers(tmp_path)  # none of these is one
            assert temporary.read_text() == text
            inside.wait()

    other = threading.Thread(target=write, args=("one",))
    other.start()
    write("two")
    other.join()
    assert path.read_text() in ("one", "two")
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_there_when_it_is_whole_and_never_replaces_one(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "a") as made:
        (made / "below").mkdir()
        (made / "below" / "file").write_text("1")
        assert not (tmp_path / "a").exists()
    assert (tmp_path / "a" / "below" / "file").read_text() == "1"
    for there in ("empty", "full", "file"):
        path = tmp_path / there
        with pytest.raises(FileExistsError, match=there), whole_folder(path) as made:
            _be_faster(path, made / "new")
        assert path.is_file() or "new" not in names(path)
    assert names(tmp_path) == ["a", "empty", "file", "full"]


def _be_faster(path: Path, new: Path) -> None:
    new.touch()
    if path.name == "file":
        path.touch()
    else:
        path.mkdir()
    if path.name == "full":
        (path / "old").touch()


KILLED = """
import os, signal, sys, time
from pathlib import Path
from aulight.files import alone, scratch, whole, whole_folder
folder = Path(sys.argv[1])
with whole(folder / "last.ckpt") as file, whole_folder(folder / "coding") as made, scratch(folder) as way:
    with alone(folder / "run.yaml", "taken"):
        file.write_text("half"), (made / "images").mkdir(), (way / "clip.csv").write_text("half")
        print("there", flush=True)
        time.sleep(600)
"""


@pytest.fixture
def killed(tmp_path: Path) -> Callable[[], "subprocess.Popen[bytes]"]:
    """A process that is at work in ``tmp_path``, to be killed by the test."""

    def start() -> "subprocess.Popen[bytes]":
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"there\n"
        return process

    return start


def test_what_a_killed_process_left_goes_with_the_next_call_and_a_living_ones_stays(
    killed: Callable[[], "subprocess.Popen[bytes]"], tmp_path: Path
) -> None:
    mine = [".hydra", ".lock", ".aulight", ".aulight-notes.tmp", ".a.0123456789abcdef", "best.ckpt", ".report-abcdefgh"]
    for name in mine:
        (tmp_path / name).touch()
    process = killed()
    working = names(tmp_path)
    assert len(working) == len(mine) + 7
    assert is_taken(tmp_path / "run.yaml")
    remove_leftovers(tmp_path)
    write_yaml({}, tmp_path / "run.yaml")
    assert names(tmp_path) == sorted([*working, "run.yaml"])
    process.kill()
    process.communicate()
    assert not is_taken(tmp_path / "run.yaml")
    remove_leftovers(tmp_path)
    assert names(tmp_path) == sorted([*mine, "run.yaml"])
    remove_leftovers(tmp_path / "none")


def test_a_folder_that_is_whole_has_no_leftovers_in_it(
    killed: Callable[[], "subprocess.Popen[bytes]"], tmp_path: Path
) -> None:
    with whole_folder(tmp_path / "done") as made:
        (made / "videos").mkdir()
        process = killed()
        process.kill()
        process.communicate()
        for left in (path for path in tmp_path.iterdir() if path.suffix == ".lock" and is_free(path)):
            left.rename(made / "videos" / left.name)
        assert names(made / "videos")
    assert names(tmp_path / "done" / "videos") == []


def is_free(lock: Path) -> bool:
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def test_a_lock_that_a_disk_does_not_let_go_at_once_is_no_leftover(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    unlink = Path.unlink

    def full_once(path: Path, missing_ok: bool = False) -> None:
        asked.append(path.name)
        if len(asked) == 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        unlink(path, missing_ok)

    with alone(tmp_path / "run.yaml", "taken"):
        monkeypatch.setattr(Path, "unlink", full_once)
    assert len(asked) == 2
    assert names(tmp_path) == []


def test_the_first_write_of_a_process_into_a_folder_removes_leftovers(
    killed: Callable[[], "subprocess.Popen[bytes]"], tmp_path: Path
) -> None:
    process = killed()
    process.kill()
    process.communicate()
    assert len(names(tmp_path)) == 7
    write_yaml({}, tmp_path / "run.yaml")
    assert names(tmp_path) == ["run.yaml"]


def test_what_0_1_0_left_goes_once_nobody_has_touched_it_for_a_while(tmp_path: Path) -> None:
    before = time.time() - 2 * FORMER_S
    files = [".last.0123456789abcdef.tmp.ckpt", ".two.dots.0123456789abcdef.tmp.parquet", ".no.0123456789abcdef.tmp"]
    young, users = ".run.fedcba9876543210.tmp.yaml", ["a.0123456789abcdef.tmp.ckpt", ".a.tmp"]
    for name in (*files, young, *users):
        (tmp_path / name).touch()
    folders = {".report-abcd_123": "table.csv", ".report-abcd1234": "diary.txt", ".report-2": "table.csv"}
    for name, inside in folders.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / inside).touch()
    for path in [*tmp_path.rglob("*")]:
        if path.name != young:
            os.utime(path, (before, before))
    remove_leftovers(tmp_path)
    remove_former(tmp_path, "report", r"table\.(csv|md|tex)")
    assert names(tmp_path) == sorted([young, *users, ".report-abcd1234", ".report-2"])


def test_without_locks_only_what_is_old_is_a_leftover(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a network drive whose server has no lock service."""

    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    for token in ("0123456789abcdef", "fedcba9876543210"):
        (tmp_path / f".aulight-{token}.tmp").mkdir()
        (tmp_path / f".aulight-{token}.tmp" / "a").touch()
        (tmp_path / f".aulight-{token}.lock").touch()
    before = time.time() - 2 * LEFT_S
    for path in (path for path in [*tmp_path.rglob("*")] if "0123456789abcdef" in str(path)):
        os.utime(path, (before, before))
    write_yaml({}, tmp_path / "a.yaml")
    with alone(tmp_path / "a.yaml", "taken"):
        remove_leftovers(tmp_path)
    assert names(tmp_path) == [".aulight-fedcba9876543210.lock", ".aulight-fedcba9876543210.tmp", "a.yaml"]


def test_one_is_alone_and_another_is_told_or_waits(tmp_path: Path) -> None:
    path, order = tmp_path / "store", list[str]()

    def wait() -> None:
        with alone(path, None):
            order.append("second")

    with alone(path, "taken"):
        with pytest.raises(AulightError, match="somebody is"), alone(path, "somebody is"):
            pass
        waiting = threading.Thread(target=wait)
        waiting.start()
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]
    assert names(tmp_path) == []


def test_a_lock_of_another_user_that_cannot_be_taken_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on NFS, which refuses to lock for one alone what is open for reading only; root may write to anything."""
    opens, locks = os.open, fcntl.flock

    def others(path: Any, flags: int, mode: int = 0o777) -> int:
        if str(path).endswith(".lock") and flags & os.O_RDWR and Path(path).exists():
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return opens(path, flags, mode)

    def flock(descriptor: int, how: int) -> None:
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        locks(descriptor, how)

    with alone(tmp_path / "a", "taken"):
        (lock,) = tmp_path.iterdir()
    lock.touch()
    monkeypatch.setattr(os, "open", others)
    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(AulightError) as caught, alone(tmp_path / "a", "taken"):
        pass
    assert str(caught.value) == f"{lock}: of another user; remove it once they are not at work there"
    lock.unlink()
    with alone(tmp_path / "a", "taken"):
        pass


def _stay(ready: Any) -> None:
    ready.set()
    time.sleep(600)


def test_a_forked_child_does_not_keep_what_its_parent_held(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    with alone(tmp_path / "a", "taken"):
        child = context.Process(target=_stay, args=(ready,))
        child.start()
        ready.wait()
        assert is_taken(tmp_path / "a")
    try:
        assert not is_taken(tmp_path / "a")
        with alone(tmp_path / "a", "taken"):
            pass
    finally:
        child.kill()
        child.join()


def test_an_error_of_writing_names_the_file_and_not_the_hidden_one(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with pytest.raises(OSError, match="No space left") as noted, whole(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert noted.value.filename == str(path)
    with pytest.raises(OSError, match="No space left") as noted, told_of(path):
        raise OSError("[Errno 28] Error writing bytes to file. Detail: [errno 28] No space left on device")  # Arrow's
    assert noted.value.filename == str(path)
    with pytest.raises(FileNotFoundError) as gone, whole(path):
        pass  # nothing was written
    assert gone.value.filename == str(path)
    with pytest.raises(FileNotFoundError) as other, whole(path):
        (tmp_path / "other").read_text()
    assert other.value.filename == str(tmp_path / "other")
    with pytest.raises(AulightError, match="not there any more"), whole(tmp_path / "none" / "a.csv"):
        pass
    assert names(tmp_path) == []


def test_a_full_disk_is_said_with_the_files_name(tmp_path: Path) -> None:
    """Oracle: the system's own limit of a file's size."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    table = pd.DataFrame({"a": range(100_000)})
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match=r"a\.parquet") as noted:
            write_table(table, tmp_path / "a.parquet")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert noted.value.errno == errno.EFBIG
    assert names(tmp_path) == []


def test_yaml_and_tables(tmp_path: Path) -> None:
    content = {"z": 1, "ä": ["ö", None], "a": {"b": 0.5}}
    write_yaml(content, tmp_path / "a.yaml")
    assert list(yaml.safe_load((tmp_path / "a.yaml").read_bytes())) == list(content)
    assert yaml.safe_load((tmp_path / "a.yaml").read_bytes()) == content
    table = pd.DataFrame({"a": [1, 2], "b": ["x", None]}, index=[5, 7])
    write_table(table, tmp_path / "a.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "a.parquet"), table.reset_index(drop=True))
