"""Parts of files in a bucket, through the cache: the bytes that were put there, whoever reads, cuts or kills."""

import hashlib
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aulight.data.remote.cache import Cache
from aulight.data.remote.objects import Objects, Patience
from aulight.data.remote.shelf import BLOCK, Part, RemoteShards
from aulight.errors import AulightError, VideoError
from tests.data.remote.conftest import BUCKET, QUICK, Proxy

PART = 50_000
SHARD = random.Random(1).randbytes(20 * PART)
FILM = random.Random(2).randbytes(3 * BLOCK + 1234)
PARTS = [
    Part("shards/0.tar", offset, PART, hashlib.sha256(SHARD[offset : offset + PART]).hexdigest())
    for offset in range(0, len(SHARD), PART)
]


@pytest.fixture
def filled(bucket: Any) -> Any:
    bucket.put_object(Key="set/shards/0.tar", Body=SHARD)
    bucket.put_object(Key="set/videos/0.mp4", Body=FILM)
    return bucket


@pytest.fixture
def shards(objects: Objects, filled: Any, tmp_path: Path) -> RemoteShards:
    return RemoteShards(objects, Cache(tmp_path / "cache", 10**8))


def of(part: Part) -> bytes:
    """What was put there."""
    return SHARD[part.offset : part.offset + part.size]


def until(what: Callable[[], bool]) -> None:
    """Waits for another thread."""
    end = time.monotonic() + 60
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_parts_are_asked_for_once_and_as_a_whole(shards: RemoteShards, proxy: Proxy) -> None:
    for part in (PARTS[3], PARTS[0], PARTS[3]):
        assert shards.read(*part) == of(part)
    assert [asked[2] for asked in proxy.asked] == ["bytes=150000-199999", "bytes=0-49999"]
    again = RemoteShards(shards.objects, shards.cache)
    assert again.read(*PARTS[3]) == of(PARTS[3])
    assert len(proxy.asked) == 2


@pytest.mark.parametrize(
    ("offset", "size"), [(0, 8), (BLOCK - 3, 6), (BLOCK, BLOCK), (5, 2 * BLOCK), (3 * BLOCK, 1234), (len(FILM), 0)]
)
def test_other_files_are_read_in_blocks(shards: RemoteShards, proxy: Proxy, offset: int, size: int) -> None:
    assert shards.read("videos/0.mp4", offset, size) == FILM[offset : offset + size]
    assert shards.read("videos/0.mp4", offset, size) == FILM[offset : offset + size]
    ranges = [asked[2] for asked in proxy.asked if asked[0] == "GET"]
    assert len(set(ranges)) == len(ranges)
    assert all(ranges)


def test_who_reads_on_finds_the_next_blocks_there(shards: RemoteShards, proxy: Proxy) -> None:
    for offset in range(0, 2 * BLOCK, 2**16):
        assert shards.read("videos/0.mp4", offset, 2**16) == FILM[offset : offset + 2**16]
    ranges = {f"bytes={start}-{min(start + BLOCK, len(FILM)) - 1}" for start in range(0, len(FILM), BLOCK)}
    until(lambda: {asked[2] for asked in proxy.asked} - {""} == ranges)
    assert len([asked for asked in proxy.asked if asked[0] == "HEAD"]) == 1


def test_past_the_end_is_told(shards: RemoteShards) -> None:
    with pytest.raises(VideoError, match=rf"videos/0.mp4: cut off or damaged: ends at byte {len(FILM)} of "):
        shards.read("videos/0.mp4", len(FILM) - 5, 10)


def test_what_is_fetched_ahead_is_there_when_it_is_wanted(shards: RemoteShards, proxy: Proxy) -> None:
    shards.ahead(PARTS[:8])
    until(lambda: sum(path.is_file() for path in (shards.cache.folder / "parts").rglob("*")) == 8)
    asked = len(proxy.asked)
    assert asked == 8
    assert b"".join(shards.read(*part) for part in PARTS[:8]) == SHARD[: 8 * PART]
    assert len(proxy.asked) == asked


def test_what_is_on_its_way_is_waited_for(shards: RemoteShards, proxy: Proxy) -> None:
    for parts in (PARTS[:4], PARTS[4:8], PARTS[8:12]):
        shards.ahead(parts)
        for part in parts:
            assert shards.read(*part) == of(part)
    assert len({asked[2] for asked in proxy.asked}) == len(proxy.asked)


def test_what_goes_wrong_ahead_is_told_when_it_is_wanted(shards: RemoteShards, proxy: Proxy) -> None:
    missing = Part("shards/9.tar", 0, 10, "0" * 64)
    shards.ahead([missing, PARTS[0]])
    with pytest.raises(VideoError, match=r"set/shards/9.tar: not there"):
        shards.read(*missing)
    assert shards.read(*PARTS[0]) == of(PARTS[0])


def test_a_damaged_entry_of_the_cache_is_fetched_again(shards: RemoteShards, proxy: Proxy) -> None:
    shards.read(*PARTS[0])
    (path,) = (path for path in (shards.cache.folder / "parts").rglob("*") if path.is_file())
    path.write_bytes(path.read_bytes()[:-40])
    assert RemoteShards(shards.objects, shards.cache).read(*PARTS[0]) == of(PARTS[0])
    assert len(proxy.asked) == 2


def test_a_damaged_part_of_the_bucket_is_told_by_its_name(shards: RemoteShards, filled: Any) -> None:
    filled.put_object(Key="set/shards/0.tar", Body=SHARD[:60_000] + b"?" + SHARD[60_001:])
    with pytest.raises(VideoError, match=r"^s3://faces/set/shards/0.tar: damaged: bytes 50000 to 100000 are not"):
        shards.read(*PARTS[1])
    assert shards.read(*PARTS[2]) == of(PARTS[2])


def test_a_dataset_that_changed_is_told(shards: RemoteShards, filled: Any) -> None:
    filled.put_object(Key="set/dataset.yaml", Body=b"one")
    changed = ("dataset.yaml", shards.objects.stamp("dataset.yaml"))
    filled.put_object(Key="set/dataset.yaml", Body=b"two")
    filled.Object("set/shards/0.tar").delete()
    with pytest.raises(AulightError, match=r"^s3://faces/set: has changed since it was opened; give the same command"):
        RemoteShards(shards.objects, shards.cache, changed).read(*PARTS[0])


def _read(shards: RemoteShards, seed: int, pipe: Any) -> None:
    rng = random.Random(seed)
    wrong = 0
    for _ in range(6):
        parts = rng.sample(PARTS, 8)
        shards.ahead(parts)
        wrong += sum(shards.read(*part) != of(part) for part in parts)
    pipe.send(wrong)


@pytest.mark.parametrize("way", ["fork", "spawn"])
def test_processes_read_the_same_through_a_cache_smaller_than_the_data(shards: RemoteShards, way: str) -> None:
    small = RemoteShards(shards.objects, Cache(shards.cache.folder, 5 * PART))
    assert small.read(*PARTS[0]) == of(PARTS[0])
    context: Any = multiprocessing.get_context(way)
    ours, theirs = context.Pipe()
    processes = [context.Process(target=_read, args=(small, seed, theirs)) for seed in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        assert ours.poll(120)
        assert ours.recv() == 0
        process.join()
    assert small.read(*PARTS[19]) == of(PARTS[19])
    left = sum(path.stat().st_size for path in (small.cache.folder / "parts").rglob("*") if path.is_file())
    assert 0 < left <= 5 * PART


KILLED = """
import sys
from pathlib import Path
from tests.data.remote.test_shelf import PARTS, Cache, Objects, RemoteShards
RemoteShards(Objects(sys.argv[1]), Cache(Path(sys.argv[2]), 10**8)).read(*PARTS[0])
"""


def test_kill_in_the_middle_of_an_answer_leaves_nothing_that_is_taken_for_whole(
    shards: RemoteShards, proxy: Proxy
) -> None:
    proxy.faults.append("stall:20000")
    command = [sys.executable, "-c", KILLED, f"s3://{BUCKET}/set", str(shards.cache.folder)]
    with subprocess.Popen(command) as process:
        assert proxy.stalled.wait(60)
        os.kill(process.pid, signal.SIGKILL)
    assert not any(path.is_file() for path in shards.cache.folder.rglob("*"))
    assert shards.read(*PARTS[0]) == of(PARTS[0])


def test_a_slow_answer_is_asked_for_again(filled: Any, proxy: Proxy, tmp_path: Path) -> None:
    impatient = Objects(f"s3://{BUCKET}/set", Patience(tries=3, wait_s=0.01, stall_s=0.3))
    proxy.faults.append("stall:100")
    assert RemoteShards(impatient, Cache(tmp_path / "cache", 10**8)).read(*PARTS[5]) == of(PARTS[5])
    assert len(proxy.asked) == 2


def test_reads_folders_of_this_machine_likewise(tmp_path: Path) -> None:
    (tmp_path / "0.tar").write_bytes(SHARD)
    shards = RemoteShards(Objects(f"file://{tmp_path}", QUICK), Cache(tmp_path / "cache", 10**8))
    assert shards.read("0.tar", 77, 7777) == SHARD[77 : 77 + 7777]
