"""Workers that share processes: every job once, side by side, and only the job that is to blame is given up."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tqdm import tqdm

from aulight.errors import AulightError
from aulight.workers.crew import Report
from aulight.workers.hiring import CPUS_EACH, Workers
from aulight.workers.pump import pump
from aulight.workers.shared import SharedCrew

TOGETHER, WRONG, ENDS, HANGS, LONG, UNSENDABLE = -1, -2, -3, -4, 10**6, -5
"""Jobs; others are so many frames."""


class UnsendableError(Exception):
    """Cannot be built again from its message."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__(one + other)


class Worker:
    """Made once in a process: says in which one, and works for as many frames as it is told to."""

    def __init__(self, folder: Path, sharing: int) -> None:
        self.folder, self.sharing = folder, sharing
        self.meeting = threading.Barrier(3)
        (folder / f"began-{os.getpid()}").touch()

    def __call__(self, job: int, report: Report) -> tuple[int, int, int]:
        if job == TOGETHER:
            self.meeting.wait(60)  # goes on when three are at it in one process
        if job == WRONG:
            raise AulightError("the job is wrong")
        if job == UNSENDABLE:
            raise UnsendableError("cannot be", " understood")
        if job == ENDS:
            (self.folder / f"ends-{os.getpid()}").touch()
            os._exit(1)
        while job == HANGS:
            time.sleep(60)
        for _ in range(job):
            report(1)
            if job == LONG:
                (self.folder / f"works-{os.getpid()}").touch()
                time.sleep(0.01)
        return job, os.getpid(), self.sharing


@pytest.fixture(autouse=True)
def spawning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent)  # spawned processes import this file by name


def worker() -> Callable[..., Worker]:
    """The class, as spawned processes know it."""
    import test_shared  # type: ignore[import-not-found]  # by the folder that `spawning` names

    return test_shared.Worker  # type: ignore[no-any-return]


def test_jobs_run_side_by_side_in_one_process(tmp_path: Path) -> None:
    """Three wait for each other there. Oracle of the bar: the sum of the jobs."""
    jobs = [TOGETHER, 25, TOGETHER, 10, TOGETHER, 31]
    with tqdm(total=66, file=(tmp_path / "bar").open("w")) as bar:
        with pump(jobs, worker(), (tmp_path,), SharedCrew(1, 4), bar) as results:
            made = list(results)
        assert bar.n == 66
    assert sorted(job for job, _ in made) == sorted(jobs)
    assert all(job == result for job, (result, _, _) in made)
    (process,) = {process for _, (_, process, _) in made}
    assert process != os.getpid()
    assert [path.name for path in tmp_path.glob("began-*")] == [f"began-{process}"]
    assert {sharing for _, (_, _, sharing) in made} == {4}


def test_jobs_of_two_processes(tmp_path: Path) -> None:
    jobs = list(range(20))
    with tqdm(disable=True) as bar, pump(jobs, worker(), (tmp_path,), SharedCrew(2, 3), bar) as results:
        made = list(results)
    assert sorted(job for job, _ in made) == jobs
    assert {sharing for _, (_, _, sharing) in made} == {6}


def test_only_the_job_that_ends_processes_is_given_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It takes others with it twice, which are done all the same."""
    jobs = [3, ENDS, *range(4, 12)]
    lost: list[tuple[int, str]] = []

    def note(job: int, reason: str) -> tuple[int, int, int]:
        lost.append((job, reason))
        return job, 0, 0

    with tqdm(total=63, file=(tmp_path / "bar").open("w")) as bar:
        with pump(jobs, worker(), (tmp_path,), SharedCrew(1, 4), bar, note) as results:
            made = list(results)
        assert bar.n == 63
    assert sorted(job for job, _ in made) == sorted(jobs)
    ((job, reason),) = lost
    assert job == ENDS
    assert reason.startswith("2 workers were lost at it (it ended, perhaps for want of memory); the same command goes")
    assert 2 <= len(list(tmp_path.glob("ends-*"))) <= 3  # once beside others, perhaps, and twice alone
    said = capsys.readouterr()
    assert (said.out + said.err).count("from here on each is at one") <= 1


@pytest.mark.slow
def test_a_job_that_hangs_is_given_up_and_the_others_are_not(tmp_path: Path) -> None:
    jobs, lost = [HANGS, 100, *range(5)], list[int]()

    def note(job: int, _: str) -> tuple[int, int, int]:
        lost.append(job)
        return job, 0, 0

    with (
        tqdm(disable=True) as bar,
        pump(jobs, worker(), (tmp_path,), SharedCrew(1, 3), bar, note, patience_s=10) as results,
    ):
        made = list(results)
    assert sorted(job for job, _ in made) == sorted(jobs)
    assert lost == [HANGS]


@pytest.mark.parametrize(
    ("job", "error", "message"), [(WRONG, AulightError, "the job is wrong"), (UNSENDABLE, Exception, "argument")]
)
def test_the_first_error_ends_it(tmp_path: Path, job: int, error: type[Exception], message: str) -> None:
    """Also one that this process cannot understand. The job that would take hours stops at its next report."""
    with (
        tqdm(disable=True) as bar,
        pytest.raises(error, match=message),
        pump([1, job, LONG], worker(), (tmp_path,), SharedCrew(1, 3), bar) as results,
    ):
        list(results)


def test_interrupted_it_stops_its_workers(tmp_path: Path) -> None:
    """Oracle: the processes that said that they work are gone when the block has ended."""

    class Interrupted(tqdm):  # type: ignore[misc]  # tqdm has no types
        def update(self, n: float | None = 1) -> None:
            if len(list(tmp_path.glob("works-*"))) == 2:
                raise KeyboardInterrupt

    def work() -> None:
        with Interrupted(disable=True) as bar, pump([LONG] * 4, worker(), (tmp_path,), SharedCrew(2, 2), bar) as done:
            list(done)

    with pytest.raises(KeyboardInterrupt):
        work()
    for path in tmp_path.glob("works-*"):
        with pytest.raises(ProcessLookupError):
            os.kill(int(path.name.removeprefix("works-")), 0)


def test_how_many_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aulight.workers.hiring.cpus", lambda: 4 * CPUS_EACH)
    for count, jobs, expected in ((None, 100, (4, 16)), (None, 10, (4, 3)), (2, 100, (2, 16)), (8, 3, (3, 1))):
        crew = Workers(count, each=16).crew(jobs, tmp_path, [])
        assert isinstance(crew, SharedCrew)
        assert (crew._count, crew._each) == expected
