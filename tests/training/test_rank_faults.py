"""What one process of several meets, over gloo on the loopback: all hear of it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from aulight.data.store import PreparedDataset
from tests.data.formats import spoil

WAIT_S = 400
TWO = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "loader.batch_size=4"]


def _run(where: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    """A run of two processes, of which Lightning starts the second."""
    start = [sys.executable, "-m", "aulight", *command, *TWO, f"root={where}", "name=run"]
    return subprocess.run(start, cwd=where, capture_output=True, text=True, check=False, timeout=WAIT_S)


@pytest.mark.slow
@pytest.mark.parametrize(("part", "times"), [("test", 1), ("validation", 4)])
def test_a_video_that_the_second_skips_is_told_of_once(
    part: str, times: int, tiny_finetune: list[str], smoke_data: Path, tmp_path: Path
) -> None:
    """As often as one process meets it: validation in each of three epochs and at the end."""
    root = tmp_path / "copy"
    shutil.copytree(smoke_data, root, copy_function=os.link)
    data = PreparedDataset(root)
    row = int(np.flatnonzero(data.videos["split"] == part)[1])  # they are dealt out in turn
    spoil(data, row)
    done = _run(tmp_path, *tiny_finetune, "data.synthetic=null", f"data.root={root}", "data.on_error=skip")
    assert done.returncode == 0, done.stderr
    (said,) = (line for line in done.stderr.splitlines() if line.startswith("skipped "))
    skipped = yaml.safe_load((tmp_path / "run/run.yaml").read_text())["skipped"]
    assert skipped == {said.partition(": ")[2]: times}
    assert str(data.file(row)) in said
