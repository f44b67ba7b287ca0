"""One server for the tests of a process, and the table of tries and losses at the end."""

import contextlib
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.faults.trials import Server, Tally


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all tests of a process."""
    with contextlib.closing(Server(tmp_path_factory.mktemp("server"))) as running:
        yield running


@pytest.fixture(scope="session")
def other_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """For a second command at the same time."""
    with contextlib.closing(Server(tmp_path_factory.mktemp("server"))) as running:
        yield running


@pytest.fixture
def tally(record_property: Callable[[str, object], None]) -> Tally:
    """The counter of one test."""
    return Tally(record_property)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Prints the table of tries and losses."""
    tries: Counter[tuple[str, str]] = Counter()
    losses: Counter[tuple[str, str]] = Counter()
    reports = itertools.chain.from_iterable(terminalreporter.stats.get(key, ()) for key in ("passed", "failed"))
    for report in reports:
        for name, value in getattr(report, "user_properties", ()):
            if name == "try":
                command, kind, lost = value
                tries[command, kind] += 1
                losses[command, kind] += lost
    if tries:
        terminalreporter.section("faults: tries and losses")
        for (command, kind), number in sorted(tries.items()):
            terminalreporter.line(f"{command:<10} {kind:<34} {number:>4} tries {losses[command, kind]:>4} losses")
        total, lost = sum(tries.values()), sum(losses.values())
        terminalreporter.line(f"{'all':<45} {total:>4} tries {lost:>4} losses")
