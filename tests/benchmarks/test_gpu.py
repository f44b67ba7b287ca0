"""`make bench-gpu` in small, on the CPU."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

SCRIPT = Path(__file__).parent / "gpu.py"


@pytest.mark.slow
def test_every_run_has_its_row(smoke_data: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--device", "cpu", "--quick", "--data", str(smoke_data.parent)]
    options = ["--steps", "3", "--batch-size", "2", "--workers", "1"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    head, *rows = done.stdout.splitlines()
    assert re.search(r": \d+\.\d TFLOP/s in a bf16 matrix product$", head)
    assert [row.split(" | ")[:4] for row in rows[2:]] == [
        ["| pretrain", "loader", "False", "False"],
        ["| finetune", "device", "True", "True"],
    ]
    for row in rows[2:]:
        frames, wait, memory, share = row.strip("| ").split(" | ")[4:]
        assert float(frames.replace(",", "")) > 0
        assert 0 <= float(wait.rstrip("%")) <= 100
        assert memory == ""
        assert float(share.rstrip("%")) >= 0


def test_the_speed_of_the_steps_after_the_first_third() -> None:
    """Oracle: a first third that took 10 s, all of it waiting, and two of 2 s each with half a second of waiting."""
    steady = runpy.run_path(str(SCRIPT))["steady"]
    seconds, waited = [10.0, 12.0, 14.0], [10.0, 10.5, 11.0]
    frames = 8
    table = pd.DataFrame(
        {
            "step": [9, 19, 29],
            "speed/frames_per_s": [10 * (i + 1) * frames / s for i, s in enumerate(seconds)],
            "speed/data_wait": [w / s for w, s in zip(waited, seconds, strict=True)],
        }
    )
    speed = steady(pd.concat([table, pd.DataFrame({"step": [29]})]), frames)
    assert speed.frames_per_s == pytest.approx(20 * frames / 4)
    assert speed.data_wait == pytest.approx(0.25)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so() -> None:
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "bench-gpu: no GPU that torch can use here; --device cpu --quick walks the path"
    ]
