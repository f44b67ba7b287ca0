"""One pump over workers of this machine: every job once, one bar, and an end in every case."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tqdm import tqdm

from aulight import processes
from aulight.errors import AulightError
from aulight.workers import local as workers_here
from aulight.workers.crew import Crew, Report
from aulight.workers.local import local
from aulight.workers.pump import pump
from aulight.workers.shared import SharedCrew

PATIENCE_S = 5  # a process needs some to start


class Worker:
    """Made in a worker process: says in which one, and works for as many frames as it is told to."""

    def __init__(self, folder: Path, broken: str, sharing: int) -> None:
        self.folder = folder
        if broken:
            raise AulightError(broken)

    def __call__(self, job: int, report: Report) -> Any:
        if job == -1:
            raise AulightError("job -1 is wrong")
        if job == -2:
            os._exit(1)
        if job == -3:
            begin = time.monotonic()
            while time.monotonic() - begin < 3 * PATIENCE_S:
                report(0)
                time.sleep(0.1)
            return "done"
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
    import test_pump  # type: ignore[import-not-found]  # by the folder that `spawning` names

    return test_pump.Worker  # type: ignore[no-any-return]


@pytest.mark.usefixtures("spawning")
def test_a_pump_brings_each_result_and_counts_every_frame(tmp_path: Path) -> None:
    """Oracle: the jobs themselves, and their sum, on top of where the bar was."""
    jobs = [0, 3, 25, 10, 9, 31]
    with tqdm(total=100 + sum(jobs), initial=100, disable=False, file=(tmp_path / "bar").open("w")) as bar:
        with pump(jobs, worker(), (tmp_path, ""), local(2), bar) as results:
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
    for module in (processes, workers_here):
        monkeypatch.setattr(module, "has_locks", lambda _: False)
    for jobs in ([0, 25, 31], [3, 12]):
        with tqdm(total=sum(jobs), file=(tmp_path / "bar").open("w")) as bar:
            with pump(jobs, worker(), (tmp_path, ""), local(2), bar) as results:
                assert sorted(results) == [(job, (job, os.getpid())) for job in jobs]
            assert bar.n == sum(jobs)
        assert "this one does the work alone; docker run --shm-size" in capsys.readouterr().err
    with (
        tqdm(disable=True) as bar,
        pytest.raises(AulightError, match="job -1 is wrong"),
        pump([1, -1, 10**6], worker(), (tmp_path, ""), local(2), bar) as results,
    ):
        list(results)


@pytest.mark.usefixtures("spawning")
@pytest.mark.parametrize(
    ("jobs", "broken", "message"),
    [
        ([1, -1, 10**6], "", "job -1 is wrong"),
        (
            [1, -2, 10**6],
            "",
            r"a process was killed: 2 workers .*perhaps for want of memory.* with workers=1 in less memory",
        ),
        ([1], "no such model", "no such model"),
    ],
)
def test_a_pump_ends_with_its_first_error(tmp_path: Path, jobs: list[int], broken: str, message: str) -> None:
    """The job that would take hours stops at its next report."""
    begin = time.monotonic()
    with (
        tqdm(disable=True) as bar,
        pytest.raises(AulightError, match=message),
        pump(jobs, worker(), (tmp_path, broken), local(2), bar) as results,
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
        with Interrupted(disable=True) as bar, pump([10**6] * 3, worker(), (tmp_path, ""), local(2), bar) as results:
            list(results)

    with pytest.raises(KeyboardInterrupt):
        work()
    for path in tmp_path.glob("works-*"):
        with pytest.raises(ProcessLookupError):
            os.kill(int(path.name.removeprefix("works-")), 0)


@pytest.mark.slow
@pytest.mark.usefixtures("spawning")
@pytest.mark.parametrize("crew", [local(1), SharedCrew(1, 1)], ids=["local", "shared"])
def test_who_says_that_there_is_progress_is_not_taken_for_lost(tmp_path: Path, crew: Crew) -> None:
    """A job of three times the patience that does no frames."""
    with (
        tqdm(disable=True) as bar,
        pump([-3], worker(), (tmp_path, ""), crew, bar, lambda *_: "lost", patience_s=PATIENCE_S) as results,
    ):
        assert [result for _, result in results] == ["done"]
