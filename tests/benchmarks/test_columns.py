"""`make bench-columns` in small."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.data.faces.spoiling import SPOILED

SCRIPT = Path(__file__).parent / "columns.py"


@pytest.mark.slow
def test_it_prints_how_far_angles_are_off_and_a_row_for_each_way_to_be_worse() -> None:
    """What covers a face lowers its quality nearly always; head and gaze follow how avatars were posed."""
    done = subprocess.run([sys.executable, str(SCRIPT), "--people", "3"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if line.startswith("| ")]
    angles = {row[0]: row for row in rows if row[0].startswith(("pose_", "gaze_"))}
    assert list(angles) == ["pose_Rx", "pose_Ry", "pose_Rz", "gaze_angle_x", "gaze_angle_y"]
    assert float(angles["pose_Ry"][2]) < 6
    assert float(angles["gaze_angle_x"][2]) < 8
    worse = [row for row in rows if row[0] in {*SPOILED, "turned"}]
    assert len(worse) == sum(map(len, SPOILED.values())) + 3
    for row in worse:
        if row[0].startswith(("mask", "glove", "bar")):
            assert float(row[4]) > 0.95, row
        assert float(row[2].rstrip("%")) <= 100
    assert re.search(r"landmarks \d+\.\d\d ms, box, pose and quality \d+\.\d\d ms, all \d+\.\d\d ms", done.stdout)
