"""`make bench-clips` in small."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "clips.py"


@pytest.mark.slow
def test_more_key_frames_are_larger_and_need_less_decoding() -> None:
    """With a key frame every frame, what is wanted is all that is decoded."""
    command = [sys.executable, str(SCRIPT), "--frames", "160", "--clips", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = {
        row[0]: row for line in done.stdout.splitlines() if (row := line.strip("| ").split(" | "))[-1].endswith("%")
    }
    assert list(rows) == ["12, by decord", "12", "4", "2", "1"]
    decoded = [float(rows[gop][2]) for gop in ("12", "4", "2", "1")]
    assert decoded == sorted(decoded, reverse=True)
    assert decoded[-1] == 1
    assert rows["12, by decord"][3] == "1.00"
    assert int(rows["12"][1]) < int(rows["2"][1])
