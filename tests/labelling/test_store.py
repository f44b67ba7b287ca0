"""Keystrokes on disk: what is there after undoing, killing, a full disk, and two processes at once."""

import resource
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from aulight.errors import AulightError
from aulight.labelling.sample import Drawn, Key, Sample
from aulight.labelling.store import FILE, Store, create

KEYS: list[Key] = [(f"v{i}", j) for i in range(4) for j in range(5)]


def made(folder: Path, share: float = 0.2, coders: tuple[str, ...] = ("c1", "c2")) -> Store:
    frames = {key: Drawn(*key, int(key[0][1]), key[1], key[1] / 25, f"S{key[0]}") for key in KEYS}
    create(Sample(folder, (1, 12), frames, {}), share, 0, coders, coders[0])
    return Store(folder)


def said(store: Store, coder: str | None = None) -> dict[tuple[Key, int], int | None]:
    return {(score.key, score.au): score.score for score in store.scores(coder)}


def test_a_sample_is_divided(tmp_path: Path) -> None:
    store = made(tmp_path)
    shared, mine, theirs = store.shared, store.frames_for("c1"), store.frames_for("c2")
    assert len(shared) == 4
    assert mine & theirs == shared == store.frames_for("somebody else")
    assert mine | theirs == set(KEYS)
    assert len(mine) == len(theirs) == 12
    assert (store.aus, store.subjects["v2", 3]) == ((1, 12), "Sv2")


def test_the_last_word_counts_and_undoing_goes_back_step_by_step(tmp_path: Path) -> None:
    """Oracle: a list of what was said, from which the last is taken."""
    store, key = made(tmp_path), KEYS[0]
    history: list[tuple[Key, int, int | None]] = []
    for number, (at, au, score) in enumerate([(key, 1, 2), (key, 1, 3), (key, 12, None), (KEYS[1], 1, 5), (key, 1, 0)]):
        store.score(f"stroke{number}", "c1", at, au, score, 1.0)
        history.append((at, au, score))
    store.score("another", "c2", key, 1, 4, None)
    number = 0
    while history:
        assert said(store, "c1") == {(at, au): score for at, au, score in history}
        at, au, _ = history.pop()
        assert store.undo(f"undo{number}", "c1") == (at, au)
        assert store.undo(f"undo{number}", "c1") == (at, au)  # sent twice, done once
        number += 1
    assert store.undo("none left", "c1") is None
    assert said(store) == {(key, 1): 4}
    store.score("anew", "c1", key, 12, 1, 2.5)
    assert said(store, "c1") == {(key, 12): 1}
    assert store.undo("last", "c1") == (key, 12)
    assert store.undo("none left either", "c1") is None
    with sqlite3.connect(tmp_path / FILE) as connection:
        assert connection.execute("SELECT count(*) FROM strokes").fetchone() == (13,)  # nothing is ever taken out


def test_a_keystroke_that_is_sent_twice_counts_once(tmp_path: Path) -> None:
    store, key = made(tmp_path), KEYS[0]
    for _ in range(2):
        store.score("first one", "c1", key, 1, 2, 1.0)
    store.score("second one", "c1", key, 1, 4, 1.0)
    store.score("first one", "c1", key, 1, 2, 1.0)  # late, by a network that came back
    assert said(store) == {(key, 1): 4}
    store.undo("undo it", "c1")
    assert said(store) == {(key, 1): 2}


def test_free_frames_are_dealt_anew_and_scored_ones_stay(tmp_path: Path) -> None:
    store = made(tmp_path, coders=("c1",))
    assert store.frames_for("c2") == store.shared
    mine = sorted(store.frames_for("c1") - store.shared)
    for place, key in enumerate(mine[:6]):
        store.score(f"stroke{place}", "c1", key, 1, 0, None)
    store.deal_among(["c2", "c3"])
    assert store.frames_for("c1") - store.shared == set(mine[:6])
    free = [store.frames_for(coder) - store.shared for coder in ("c2", "c3")]
    assert sorted(map(len, free)) == [5, 5]
    assert free[0] | free[1] == set(mine[6:])
    assert store.fact("coders") == ["c2", "c3"]


WRITES = """
import sys
from pathlib import Path
from aulight.labelling.store import Store
store, coder = Store(Path(sys.argv[1])), sys.argv[2]
for number in range(int(sys.argv[3])):
    store.score(f"{coder} {number}", coder, ("v0", number % 5), 1, number % 6, None)
    print(number, flush=True)
"""


def writer(folder: Path, coder: str, count: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", WRITES, str(folder), coder, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def strokes(folder: Path, coder: str) -> list[str]:
    with sqlite3.connect(folder / FILE) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return [
            name for (name,) in connection.execute("SELECT id FROM strokes WHERE coder = ? ORDER BY number", (coder,))
        ]


@pytest.mark.parametrize("after", [1, 20, 150])
def test_nothing_that_was_taken_is_lost_when_the_process_is_killed(tmp_path: Path, after: int) -> None:
    made(tmp_path).close()
    process = writer(tmp_path, "c1", 100_000)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(after)]
    process.send_signal(signal.SIGKILL)
    lines += process.stdout.readlines()
    process.wait()
    taken = [int(line) for line in lines if line.endswith("\n")]
    assert len(taken) >= after
    there = strokes(tmp_path, "c1")
    assert there[: len(taken)] == [f"c1 {number}" for number in taken]
    assert len(there) - len(taken) in (0, 1)  # the last may be written and not said
    assert len(said(Store(tmp_path), "c1")) == min(5, len(there))


def test_what_is_filled_in_is_taken_whole_by_the_next_start_where_the_first_was_interrupted(tmp_path: Path) -> None:
    class Interrupted(dict[tuple[Key, int], int]):
        def items(self) -> Any:
            yield from [*super().items()][:3]
            raise KeyboardInterrupt

    frames = {key: Drawn(*key, 0, key[1], key[1] / 25, "S") for key in KEYS}
    given = {(key, au): (number + au) % 6 for number, key in enumerate(KEYS) for au in (1, 12)}
    with pytest.raises(KeyboardInterrupt):
        create(Sample(tmp_path, (1, 12), frames, Interrupted(given)), 0.2, 0, ["c1", "c2"], "c1")
    sample = Sample(tmp_path, (1, 12), frames, given)
    assert [create(sample, 0.2, 0, ["c1", "c2"], "c1") for _ in range(2)] == [True, False]
    assert said(Store(tmp_path)) == said(Store(tmp_path), "c1") == given


def test_processes_and_threads_write_at_once(tmp_path: Path) -> None:
    store = made(tmp_path)
    processes = [writer(tmp_path, coder, 60) for coder in ("c1", "c2")]

    def work(name: str) -> None:
        for number in range(60):
            store.score(f"{name} {number}", "c3", KEYS[number % 20], 12, number % 6, None)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("one", "other")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.wait(120) for process in processes] == [0, 0]
    for process in processes:
        assert process.stdout is not None
        process.stdout.close()
    assert [len(strokes(tmp_path, coder)) for coder in ("c1", "c2", "c3")] == [60, 60, 120]


def test_a_full_disk_is_said_and_leaves_what_was_there(tmp_path: Path) -> None:
    store = made(tmp_path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    taken = 0

    def fill() -> None:
        nonlocal taken
        for taken in range(1000):
            store.score(f"stroke{taken}", "c1", KEYS[taken % 20], 1, taken % 6, None)

    limit = max(path.stat().st_size for path in tmp_path.iterdir()) + 30_000
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(sqlite3.Error, match=r"disk|full"):
            fill()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert 0 < taken < 999
    store.score(f"stroke{taken}", "c1", KEYS[taken % 20], 1, taken % 6, None)  # there is room again
    store.close()
    assert strokes(tmp_path, "c1") == [f"stroke{number}" for number in range(taken + 1)]


def test_is_on_the_disk_at_once(tmp_path: Path) -> None:
    store = made(tmp_path)
    for name, value in (("journal_mode", "wal"), ("synchronous", 2)):  # 2: FULL, which flushes the log at every commit
        assert store._connection.execute(f"PRAGMA {name}").fetchone() == (value,)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "not a file of scores"), (b"hello, I am no database" * 100, "not a file of scores"), (None, "not there")],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / FILE).write_bytes(content)
    with pytest.raises(AulightError, match=said):
        Store(tmp_path)


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    made(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("PRAGMA user_version = 2")
    with pytest.raises(AulightError, match="newer aulight"):
        Store(tmp_path)


def test_a_database_of_others_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("CREATE TABLE mine (x)")
    with pytest.raises(AulightError, match="not a file of scores of aulight"):
        made(tmp_path)
