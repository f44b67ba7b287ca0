"""The faces of `make bench-gpu` in small, on the CPU."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parent / "faces.py"


def test_every_way_has_its_row() -> None:
    command = [sys.executable, str(SCRIPT), "--device", "cpu", "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    rows = [row.strip("| ").split(" | ") for row in done.stdout.splitlines()[2:]]
    assert [row[0] for row in rows] == ["landmarks, gathered", *["prepare, 2 films of 6 frames"] * 2]
    assert [row[1].rpartition(", ")[2] for row in rows[:2]] == ["by torch", "by LiteRT"]
    assert all(float(row[2].replace(",", "")) > 0 for row in rows)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so() -> None:
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "bench-gpu: no GPU that torch can use here; --device cpu --quick walks the path"
    ]
