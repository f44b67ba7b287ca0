"""``python tests/benchmarks/steps.py TABLE STEP FOLDER COMMAND ...``: runs a step, and what it took goes into a table.

For ``make rehearse-disfa`` and ``make rehearse-bp4d``. A step that is begun again counts with all its tries.

- *time*: from the command to its end; *of CPUs*: the time that they worked on it, as far as its processes ended well.
- *memory*: the most that one of its processes had.
- *storage*, *files*: what is in FOLDER afterwards.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from aulight.files import whole
from aulight.processes import cpus
from aulight.runs.machine import peak_rss_mb, processor

HEADER = ("step", "time", "of CPUs", "memory", "storage", "files")


def duration(seconds: float) -> str:
    """``12.3 s``, ``4 min 05 s``, ``2 h 07 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return (
        f"{seconds // 60:.0f} min {seconds % 60:02.0f} s"
        if seconds < 3570
        else f"{minutes // 60} h {minutes % 60:02d} min"
    )


def size(folder: Path) -> tuple[int, int]:
    """Bytes and number of the files below a folder."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return sum(sizes), len(sizes)


def gpu() -> str:
    """What the machine's GPU is called; nothing where there is none."""
    if shutil.which("nvidia-smi") is None:
        return ""
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    names = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    return f", {names[0]}" if names else ""


def table(steps: dict[str, dict[str, Any]]) -> str:
    """In Markdown, with what it was measured on."""
    lines = ["| " + " | ".join(HEADER) + " |", "| --- " * len(HEADER) + "|"]
    for step, of in steps.items():
        row = (
            step + ("" if of["done"] else " (not finished)"), duration(of["seconds"]), duration(of["cpu_seconds"]),
            f"{of['memory_mb']} MB", f"{of['bytes'] / 1e6:.1f} MB", f"{of['files']}",
        )  # fmt: skip
        lines.append("| " + " | ".join(row) + " |")
    total = duration(sum(of["seconds"] for of in steps.values()))
    return "\n".join([f"On {processor()}, {cpus()} CPUs{gpu()}; {total} in all.", "", *lines, ""])


def finished(command: list[str]) -> int:
    """Runs a command and waits for its end, which comes with Ctrl-C as well: the command hears of it too."""
    process = subprocess.Popen(command)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("step")
    parser.add_argument("folder", type=Path)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    start = time.monotonic()
    status = finished(given.command)
    seconds, used = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    memory = peak_rss_mb()
    kept: Path = given.table.with_suffix(".json")
    steps: dict[str, dict[str, Any]] = json.loads(kept.read_text()) if kept.is_file() else {}
    before = steps.get(given.step, {"seconds": 0.0, "cpu_seconds": 0.0, "memory_mb": 0})
    count, files = size(given.folder)
    steps[given.step] = {
        "done": status == 0,
        "seconds": before["seconds"] + seconds,
        "cpu_seconds": before["cpu_seconds"] + used.ru_utime + used.ru_stime,
        "memory_mb": max(before["memory_mb"], memory),
        "bytes": count,
        "files": files,
    }
    kept.parent.mkdir(parents=True, exist_ok=True)
    for path, text in ((kept, json.dumps(steps, indent=1)), (given.table, table(steps))):
        with whole(path) as temporary:
            temporary.write_text(text)
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main())
