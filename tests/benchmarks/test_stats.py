"""`make bench-stats` in small."""

import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aulight.scoring.agreement import mean

SCRIPT = Path(__file__).parent / "stats.py"
STUDIES = 400


@pytest.fixture(scope="module")
def bench() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))


@pytest.mark.slow
@pytest.mark.parametrize("subjects", [5, 9, 27])
def test_intervals_hold_the_truth_and_p_values_raise_no_false_alarm(bench: dict[str, Any], subjects: int) -> None:
    """The limits leave room for the chance of so few studies: three standard errors. A bootstrap would not do."""
    found = mean(np.array([bench["tried"](subjects, 200, number) for number in range(STUDIES)]))
    rates = dict(zip(bench["HEADER"][1:], found.tolist(), strict=True))
    assert 0.87 < rates["coverage"] < 0.985
    assert rates["of AUs"] > 0.8
    assert rates["bootstrap"] < rates["coverage"] - 0.03
    if subjects == 5:
        assert rates["bootstrap"] < 0.85
        assert np.isnan(rates["false alarms"])
    else:
        assert rates["false alarms"] < 0.083
        assert rates["of two kinds"] < 0.083
        assert rates["found"] > rates["false alarms"]


@pytest.mark.slow
def test_the_two_kinds_are_equally_good(bench: dict[str, Any]) -> None:
    usual, even, worse = (bench["truth"](bench[name]).mean() for name in ("USUAL", "EVEN", "WORSE"))
    assert even == pytest.approx(usual, abs=0.006)
    assert worse < usual - 0.05


@pytest.mark.slow
def test_prints_a_row_for_each_number_of_subjects() -> None:
    command = [sys.executable, str(SCRIPT), "--studies", "10", "--swaps", "20"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr  # 1 where the targets are missed, as by so few studies
    head, _, *rows, _, last = done.stdout.splitlines()
    cells = [row.strip("| ").split(" | ") for row in rows]
    assert [row[0] for row in cells] == ["3", "5", "9", "27", "40"]
    assert cells[0][1:3] == ["–", "–"]
    assert [row[4] for row in cells[:2]] == ["–", "–"]
    assert all(0 <= float(value) <= 1 for row in cells[2:] for value in row[1:])
    assert head.count("|") == 8
    assert re.search(r"10 studies a row, mean ICC 0\.\d\d; .* Targets (met|missed)\.$", last)
