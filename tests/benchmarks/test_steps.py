"""What a step took goes into a table, with its earlier tries; how it ended is handed on."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parent / "steps.py"


def run(folder: Path, step: str, code: str) -> int:
    command = [sys.executable, str(SCRIPT), str(folder / "runs" / "table.md"), step, str(folder / "made")]
    return subprocess.run([*command, sys.executable, "-c", code], check=False, cwd=folder).returncode


def test_steps_are_counted_with_all_their_tries(tmp_path: Path) -> None:
    assert run(tmp_path, "film", "import sys; sys.exit(2)") == 2
    kept = tmp_path / "runs" / "table.json"
    before = json.loads(kept.read_text())["film"]
    assert (before["done"], before["files"], before["bytes"]) == (False, 0, 0)
    table = (tmp_path / "runs" / "table.md").read_text()
    assert "| film (not finished) |" in table

    write = (
        "from pathlib import Path; Path('made/deep').mkdir(parents=True); Path('made/deep/a').write_bytes(bytes({}))"
    )
    assert run(tmp_path, "film", write.format(3_400_000)) == 0
    assert run(tmp_path, "report", "import os; os.kill(os.getpid(), 9)") == 128 + 9
    assert run(tmp_path, "report", "import os, sys; os.kill(os.getppid(), 2); sys.exit(130)") == 130, "Ctrl-C"
    after = json.loads(kept.read_text())
    assert list(after) == ["film", "report"]
    assert after["film"]["done"]
    assert not after["report"]["done"]
    assert after["film"]["seconds"] > before["seconds"]
    lines = (tmp_path / "runs" / "table.md").read_text().splitlines()
    assert lines[2] == "| step | time | of CPUs | memory | storage | files |"
    assert lines[4].startswith("| film | ")
    assert lines[4].endswith(" MB | 3.4 MB | 1 |")
