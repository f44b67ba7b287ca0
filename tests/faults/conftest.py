"""One server for the tests of a process, and the table of tries and losses at the end."""

import contextlib
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aulight.processes import cpus
from aulight.runs.machine import processor
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
    """Prints the table of tries and losses, in Markdown."""
    reports = itertools.chain.from_iterable(terminalreporter.stats.get(key, ()) for key in ("passed", "failed"))
    values = [value for report in reports for name, value in getattr(report, "user_properties", ()) if name == "try"]
    if not values:
        return
    tries = Counter((fault, command) for command, fault, _ in values)
    lost = sum(lost for *_, lost in values)
    commands = sorted({command for command, *_ in values})
    rows = [["fault", *commands], ["---"] + ["---:"] * len(commands)]
    rows += [[f, *(str(tries[f, command] or "") for command in commands)] for f in sorted({f for f, _ in tries})]
    terminalreporter.section("faults: tries")
    for row in rows:
        terminalreporter.line(f"| {' | '.join(row)} |")
    terminalreporter.line(f"{len(values)} tries, {lost} losses; {processor()}, {cpus()} cores")
