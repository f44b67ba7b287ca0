"""How many CPUs may be used; work ahead in a thread. Each ends, in every case."""

import os
import shutil
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from aulight.processes import LINE_S, Bar, ahead, cpus

V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"
V1 = (
    "31 30 0:27 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
    "32 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct"
)
DOCKER = "32 30 0:28 /docker/1f /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct"


@pytest.fixture
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine with eight CPUs, all of them this process's."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(os, "process_cpu_count", lambda: 8, raising=False)


def machine(root: Path, mounts: str, own: str, quotas: dict[str, str]) -> Path:
    """The files that a kernel with such cgroups would show."""
    for name, text in {"proc/self/mountinfo": mounts, "proc/self/cgroup": own, **quotas}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{text}\n")
    return root


@pytest.mark.usefixtures("eight")
@pytest.mark.parametrize(
    ("mounts", "own", "quotas", "expected"),
    [
        (V2, "0::/a/b", {}, 8),
        (V2, "0::/a/b", {"a/b/cpu.max": "max 100000"}, 8),
        (V2, "0::/a/b", {"a/b/cpu.max": "300000 100000"}, 3),
        (V2, "0::/a/b", {"a/b/cpu.max": "250000 100000"}, 3),  # two and a half
        (V2, "0::/a/b", {"a/b/cpu.max": "5000 100000"}, 1),
        (V2, "0::/a/b", {"a/b/cpu.max": "max 100000", "a/cpu.max": "200000 100000"}, 2),  # the one around it
        (V2, "0::/", {"cpu.max": "400000 100000"}, 4),  # a container with a namespace of its own
        (V2, "0::/../other", {"cpu.max": "400000 100000"}, 4),
        (V2, "0::/a/b", {"a/c/cpu.max": "100000 100000"}, 8),  # another's
        (V2, "0::/a/b", {"a/b/cpu.max": "1600000 100000"}, 8),  # more than there are
        (V2, "0::/a/b", {"a/b/cpu.max": "?"}, 8),
    ],
)
def test_cpus_of_cgroup_version_2(tmp_path: Path, mounts: str, own: str, quotas: dict[str, str], expected: int) -> None:
    """Oracle: quota over period by hand."""
    files = {f"sys/fs/cgroup/{name}": text for name, text in quotas.items()}
    assert cpus({}, machine(tmp_path, mounts, own, files)) == expected


@pytest.mark.usefixtures("eight")
@pytest.mark.parametrize(
    ("mounts", "group", "quota", "expected"),
    [
        (V1, "/a/b", "-1", 8),
        (V1, "/a/b", "150000", 3),  # of a period of 50000
        (DOCKER, "/docker/1f", "100000", 2),  # it sees its own cgroup as the top one
        (DOCKER, "/somewhere/else", "100000", 2),
    ],
)
def test_cpus_of_cgroup_version_1(tmp_path: Path, mounts: str, group: str, quota: str, expected: int) -> None:
    """Oracle: quota over period by hand."""
    folder = f"sys/fs/cgroup/cpu,cpuacct{group if mounts == V1 else ''}"
    files = {f"{folder}/cpu.cfs_quota_us": quota, f"{folder}/cpu.cfs_period_us": "50000"}
    own = f"9:name=systemd:/a\n4:cpu,cpuacct:{group}\n3:cpuset:/x\n0::/"
    assert cpus({}, machine(tmp_path, mounts, own, files)) == expected


@pytest.mark.usefixtures("eight")
@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, 8),
        ({"SLURM_CPUS_PER_TASK": "4"}, 4),
        ({"SLURM_CPUS_PER_TASK": "64"}, 8),  # it never adds any
        ({"SLURM_CPUS_ON_NODE": "6"}, 6),
        ({"SLURM_CPUS_PER_TASK": "2", "SLURM_CPUS_ON_NODE": "6"}, 2),
        ({"SLURM_CPUS_PER_TASK": ""}, 8),
        ({"SLURM_CPUS_PER_TASK": "0"}, 1),
    ],
)
def test_cpus_of_a_slurm_job(tmp_path: Path, environment: dict[str, str], expected: int) -> None:
    assert cpus(environment, tmp_path) == expected


@pytest.mark.skipif(shutil.which("taskset") is None, reason="no taskset")
def test_cpus_of_an_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracle: the mask that the process was really started with."""
    own = sorted(os.sched_getaffinity(0))
    code = "import aulight.processes as p; print(p.cpus({}))"
    for mask in (own[-1:], own[:2]):
        command = ["taskset", "-c", ",".join(map(str, mask)), sys.executable, "-c", code]
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert int(shown) <= len(mask)
        assert int(shown) == min(len(mask), cpus({}))


def test_the_same_items_in_the_same_order() -> None:
    """Oracle: the range itself."""
    assert list(ahead(iter(range(1000)), 3)) == list(range(1000))
    assert list(ahead(iter(()), 3)) == []


def test_stages_run_side_by_side() -> None:
    """Two stages that wait for each other: in one thread the first item would never come."""
    second_item = threading.Event()

    def source() -> Iterator[int]:
        yield 0
        second_item.set()
        yield 1

    items = []
    for item in ahead(source(), 2):
        assert second_item.wait(30)
        items.append(item)
    assert items == [0, 1]


def test_no_more_than_the_given_number_wait() -> None:
    """Oracle: a count of what was made and what was taken; one more is in the maker's hand."""
    made, most = [], 4

    def source() -> Iterator[int]:
        for item in range(200):
            made.append(item)
            yield item

    for taken, _ in enumerate(ahead(source(), most), 1):
        assert len(made) <= taken + most + 1


def test_an_error_comes_after_what_was_made_before_it() -> None:
    def source() -> Iterator[int]:
        yield 1
        yield 2
        raise KeyError("broken")

    items = ahead(source(), 1)
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(KeyError, match="broken"):
        next(items)


def test_a_caller_that_stops_early_stops_the_thread_and_closes_the_source() -> None:
    before, closed = threading.active_count(), []

    def source() -> Iterator[int]:
        try:
            item = 0
            while True:
                yield item
                item += 1
        finally:
            closed.append(threading.current_thread())

    items = ahead(source(), 2)
    assert [next(items), next(items)] == [0, 1]
    items.close()
    assert len(closed) == 1
    assert closed[0] is not threading.current_thread()
    assert threading.active_count() == before


def test_a_bar_in_a_file_is_a_line_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracle: the lines that a clock of our own makes due, one each half minute, and those of the begin and the end."""
    now = [1000.0]
    file = tmp_path / "log"
    with file.open("w") as log:
        monkeypatch.setattr(sys, "stderr", log)
        with Bar(10_000, "Predicting", "frame") as bar:
            monkeypatch.setattr(bar, "_time", lambda: now[0])
            bar.last_print_t = bar.start_t = now[0]
            for _ in range(10_000):
                now[0] += 0.01
                bar.update()
    text = file.read_text()
    assert "\r" not in text
    lines = text.splitlines()
    assert len(lines) == 2 + 100 // LINE_S
    assert all(line.startswith("Predicting: ") for line in lines)
    assert "100%" in lines[-1]


def test_a_bar_on_a_terminal_stays_on_its_line() -> None:
    code = "from aulight.processes import Bar\nwith Bar(3, 'Predicting', 'frame') as bar:\n    bar.update(3)\n"
    parent, child = os.openpty()
    termios.tcsetwinsize(child, (24, 80))
    done = subprocess.run([sys.executable, "-c", code], stderr=child, check=False)
    os.close(child)
    text = os.read(parent, 10_000).decode()
    os.close(parent)
    assert done.returncode == 0
    assert text.count("\r") >= 2
    assert text.count("\n") == 1
