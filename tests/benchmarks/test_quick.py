"""`make bench` in small: every row is there and holds a number."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

ROWS = (
    "loader, stride 1: delivered",
    "loader, stride 1: decoded",
    "loader, stride 4: delivered",
    "loader, stride 4, augmented: delivered",
    "loader, stride 4: augmented",
    "loader, stride 4: to be augmented on a device",
    "stage one, training step",
    "stage two, training step",
    "stage one, bf16 over fp32",
    "stage two, bf16 over fp32",
    "evaluation of whole videos",
    "stage one, dense, resnet18, 4 x 40 x 128x128, {precision}, 2 threads",
    "predict, 1 video at once, resnet_tiny, 32",
    "predict, 2 videos at once, resnet_tiny, 32",
    "predict, 1 video at once, resnet18, {precision}",
    "peak memory, predict, 10 times as long",
    "sweep of 1 short runs",
    "peak memory, stage one",
    "peak memory, stage two",
    "peak memory, dense, 128x128",
    "peak memory, 10 times as many videos",
)


@pytest.mark.slow
def test_every_row_of_the_table_holds_finite_numbers(mixed: bool, tmp_path: Path) -> None:
    command = [sys.executable, str(Path(__file__).parent), "--quick", "--into", str(tmp_path)]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

    record = json.loads((tmp_path / "bench.json").read_text())
    rows = {row["name"]: row for row in record["rows"]}
    assert {row.format(precision="bf16" if mixed else "32") for row in ROWS} <= rows.keys()
    for row in rows.values():
        numbers = [row[key] for key in ("measured", "limit", "ratio") if row[key] is not None]
        assert row["note"].startswith("not measured: ") == (row["measured"] is None), row
        assert all(math.isfinite(number) and number > 0 for number in numbers), row
        assert (row["met"] is None) == (not row["goal"]), row
    text = (tmp_path / "bench.md").read_text()
    as_measured = said.partition("| name ")[0]
    assert all(f"    {name}, " in as_measured for name in rows)  # before the table, one by one
    assert (", bf16 where" if mixed else ", fp32 where") in record["machine"]
    assert record["machine"] in text
    assert all(name in text for name in rows)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bench.json", "bench.md"]
