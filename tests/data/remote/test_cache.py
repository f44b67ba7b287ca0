"""Bytes kept on disk: bounded, the last used longest, whole or not there, whoever is killed."""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aulight.data.remote.cache import Cache
from aulight.errors import AulightError

ENTRY = 10_000
KEYS = [f"{number:02x}{'0' * 60}" for number in range(64)]


def content(number: int) -> bytes:
    return random.Random(number).randbytes(ENTRY)


def size_of(cache: Cache) -> int:
    """By looking."""
    return sum(path.stat().st_size for path in (cache.folder / "parts").rglob("*") if path.is_file())


def test_gives_back_what_was_added(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", 10 * ENTRY)
    assert cache.get(KEYS[0]) is None
    cache.add(KEYS[0], content(0))
    cache.add(KEYS[0], content(0))
    assert KEYS[0] in cache
    assert cache.get(KEYS[0]) == content(0)
    assert KEYS[1] not in cache


def test_those_used_longest_ago_go_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", 5 * ENTRY)
    for number in range(4):
        cache.add(KEYS[number], content(number))
    cache.get(KEYS[0])
    cache.add(KEYS[4], content(4))
    assert [KEYS[number] in cache for number in range(5)] == [True, False, True, True, True]


def test_stays_within_its_bound(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", 7 * ENTRY)
    for number in range(40):
        cache.add(KEYS[number], content(number))
        assert size_of(cache) <= cache.most_bytes
        assert cache.get(KEYS[number]) == content(number)
    assert size_of(cache) > 5 * ENTRY


def test_keeps_nothing_that_is_larger_than_the_bound(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", ENTRY)
    cache.add(KEYS[0], content(0))
    assert KEYS[0] not in cache


@pytest.mark.parametrize("damage", ["changed", "cut off", "empty"])
def test_a_damaged_entry_counts_as_none(tmp_path: Path, damage: str) -> None:
    cache = Cache(tmp_path / "cache", 10 * ENTRY)
    cache.add(KEYS[0], content(0))
    (path,) = (path for path in (cache.folder / "parts").rglob("*") if path.is_file())
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes({"changed": bytes(data), "cut off": bytes(data[:5000]), "empty": b""}[damage])
    assert cache.get(KEYS[0]) is None
    assert KEYS[0] not in cache


def test_a_lost_count_is_counted_anew(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", 5 * ENTRY)
    for number in range(4):
        cache.add(KEYS[number], content(number))
    (cache.folder / "bytes").unlink()
    cache.add(KEYS[4], content(4))
    assert size_of(cache) <= cache.most_bytes
    cache.add(KEYS[5], content(5))
    assert size_of(cache) <= cache.most_bytes


def _use(cache: Cache, seed: int, pipe: Any) -> None:
    rng = random.Random(seed)
    for _ in range(150):
        number = rng.randrange(len(KEYS))
        found = cache.get(KEYS[number])
        if found is None:
            cache.add(KEYS[number], content(number))
        elif found != content(number):
            pipe.send(f"entry {number} is another")
    pipe.send("done")


def test_several_processes_share_a_cache_smaller_than_what_they_read(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", 9 * ENTRY)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    processes = [context.Process(target=_use, args=(cache, seed, theirs)) for seed in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        assert ours.poll(60)
        assert ours.recv() == "done"
        process.join()
    assert size_of(cache) <= cache.most_bytes
    assert int((cache.folder / "bytes").read_text()) >= size_of(cache)


KILLED = """
import os, sys
from pathlib import Path
from aulight.data.remote import cache
from tests.data.remote.test_cache import ENTRY, KEYS, content

def told(*_):
    print("now", flush=True)
    sys.stdin.read()

if sys.argv[2] == "writing":
    real, cache.hashlib.sha256 = cache.hashlib.sha256, told
else:
    cache.Path.replace = told
cache.Cache(Path(sys.argv[1]), 10 * ENTRY).add(KEYS[0], content(0))
"""


@pytest.mark.parametrize("when", ["writing", "naming"])
def test_kill_leaves_nothing_that_is_taken_for_an_entry(tmp_path: Path, when: str) -> None:
    cache = Cache(tmp_path / "cache", 10 * ENTRY)
    command = [sys.executable, "-c", KILLED, str(cache.folder), when]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"now\n"
        os.kill(process.pid, signal.SIGKILL)
    assert cache.get(KEYS[0]) is None
    cache.add(KEYS[0], content(0))
    assert cache.get(KEYS[0]) == content(0)
    assert list((cache.folder / "making").iterdir()) == []


def test_says_where_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(AulightError, match=r"cache: cannot be written \(.+\); give another data.cache= or"):
        Cache(tmp_path / "cache", ENTRY * 2).add(KEYS[0], content(0))
