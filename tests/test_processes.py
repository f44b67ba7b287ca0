"""How many CPUs may be used; workers with one bar; work ahead in a thread. Each ends, in every case."""

import os
import shutil
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tqdm import tqdm

from aulight import processes
from aulight.errors import AulightError
from aulight.processes import LINE_S, Bar, Report, ahead, cpus, pump

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


class Worker:
    """Made in a worker process: says in which one, and works for as many frames as it is told to."""

    def __init__(self, folder: Path, broken: str = "") -> None:
        self.folder = folder
        if broken:
            raise AulightError(broken)

    def __call__(self, job: int, report: Report) -> tuple[int, int]:
        if job == -1:
            raise AulightError("job -1 is wrong")
        if job == -2:
            os._exit(1)
        for _ in range(job):
            report(1)
            if job == 10**6:
                (self.folder / f"works-{os.getpid()}").touch()
                time.sleep(0.01)
        return job, os.getpid()


@pytest.fixture
def spawning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent)  # spawned processes import this file by name


def worker() -> Callable[..., Worker]:
    """The class, as spawned processes know it."""
    import test_processes  # type: ignore[import-not-found]  # by the folder that `spawning` names

    return test_processes.Worker  # type: ignore[no-any-return]


@pytest.mark.usefixtures("spawning")
def test_a_pump_brings_each_result_and_counts_every_frame(tmp_path: Path) -> None:
    """Oracle: the jobs themselves, and their sum, on top of where the bar was."""
    jobs = [0, 3, 25, 10, 9, 31]
    with tqdm(total=100 + sum(jobs), initial=100, disable=False, file=(tmp_path / "bar").open("w")) as bar:
        with pump(jobs, worker(), (tmp_path,), 2, bar) as results:
            made = dict(results)
        assert bar.n == 100 + sum(jobs)
    assert {job: result for job, (result, _) in made.items()} == {job: job for job in jobs}
    processes = {process for _, process in made.values()}
    assert os.getpid() not in processes
    assert len(processes) <= 2


@pytest.mark.usefixtures("spawning")
def test_without_locks_a_pump_does_the_work_in_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Oracle: as of processes. One pump after the other, since what one began with is not the next one's."""
    monkeypatch.setattr(processes, "has_locks", lambda _: False)
    for jobs in ([0, 25, 31], [3, 12]):
        with tqdm(total=sum(jobs), file=(tmp_path / "bar").open("w")) as bar:
            with pump(jobs, worker(), (tmp_path,), 2, bar) as results:
                assert sorted(results) == [(job, (job, os.getpid())) for job in jobs]
            assert bar.n == sum(jobs)
        assert "this one does the work alone; docker run --shm-size" in capsys.readouterr().err
    with (
        tqdm(disable=True) as bar,
        pytest.raises(AulightError, match="job -1 is wrong"),
        pump([1, -1, 10**6], worker(), (tmp_path, ""), 2, bar) as results,
    ):
        list(results)


@pytest.mark.usefixtures("spawning")
@pytest.mark.parametrize(
    ("jobs", "broken", "message"),
    [
        ([1, -1, 10**6], "", "job -1 is wrong"),
        ([1, -2, 10**6], "", "a process was killed, perhaps for want of memory; .* with workers=1 in less memory"),
        ([1], "no such model", "no such model"),
    ],
)
def test_a_pump_ends_with_its_first_error(tmp_path: Path, jobs: list[int], broken: str, message: str) -> None:
    """The job that would take hours stops at its next report."""
    begin = time.monotonic()
    with (
        tqdm(disable=True) as bar,
        pytest.raises(AulightError, match=message),
        pump(jobs, worker(), (tmp_path, broken), 2, bar) as results,
    ):
        list(results)
    assert time.monotonic() - begin < 60


@pytest.mark.usefixtures("spawning")
def test_a_pump_that_is_interrupted_stops_its_workers(tmp_path: Path) -> None:
    """Oracle: the processes that said that they work are gone when the block has ended."""

    class Interrupted(tqdm):  # type: ignore[misc]  # tqdm has no types
        def update(self, n: float | None = 1) -> None:
            if len(list(tmp_path.glob("works-*"))) == 2:
                raise KeyboardInterrupt

    def work() -> None:
        with Interrupted(disable=True) as bar, pump([10**6] * 3, worker(), (tmp_path,), 2, bar) as results:
            list(results)

    with pytest.raises(KeyboardInterrupt):
        work()
    for path in tmp_path.glob("works-*"):
        with pytest.raises(ProcessLookupError):
            os.kill(int(path.name.removeprefix("works-")), 0)


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
