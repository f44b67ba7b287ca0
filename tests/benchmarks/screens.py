"""The pictures of pages in docs/, made anew: `predict`'s index.html and the report, from filmed avatars.

`python tests/benchmarks/screens.py [--work <folder>]`

It films, prepares, regresses from blendshapes (which needs no network, and takes seconds), scores, and opens both pages
in Chromium: some minutes. What is in the folder already is not made again. Look at the pictures before you commit them.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import PIL.Image
from playwright.sync_api import sync_playwright

DOCS = Path(__file__).parents[2] / "docs"
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]

TABLES = ["labels=faces/labels.csv", "subjects=faces/subjects.csv"]
FOLDS = ["-m", "data=folder", "data.name=mine", "fold=1,2,3"]
STEPS: dict[str, list[list[str]]] = {
    "faces": [["aulight.data.avatars", "raw", "faces", "--people", "6", "--frames", "75"]],
    "data/mine/labels.parquet": [
        ["aulight", "prepare", "data.name=mine", "data.source=faces/videos", *TABLES],
    ],
    "runs/finetune/report": [
        ["aulight", "finetune", *FOLDS, "label_fraction=0.1,1", "model=blendshapes"],
        ["aulight", "report", "runs=runs/finetune"],
    ],
    "scored": [["aulight", "predict", "faces/videos/*_left.mp4", "output=scored", "plot=true"]],
}
"""What is made, and by which modules and words."""

SCREENS = {
    "predict_index.png": ("scored/index.html", 1280, 900),
    "predict_index_phone.png": ("scored/index.html", 390, 844),
    "report_first.png": ("runs/finetune/report/report.html", 1280, 900),
}
"""Picture to its page, and the width and height of the window."""


def make(work: Path) -> None:
    """Makes what is not there yet."""
    for made, commands in STEPS.items():
        for words in [] if (work / made).exists() else commands:
            print("$", *words, flush=True)
            subprocess.run([sys.executable, "-m", *words], cwd=work, check=True)


def shoot(work: Path, out: Path) -> None:
    """Takes the pictures, in the light look and in 256 colours."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        sys.exit("no Chromium or Chrome on the PATH")
    with sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=browser, args=FLAGS)
        for name, (address, width, height) in SCREENS.items():
            window: Any = {"width": width, "height": height}
            page = chromium.new_page(viewport=window, color_scheme="light")
            page.goto((work / address).as_uri())
            page.screenshot(path=out / name)
            PIL.Image.open(out / name).convert("RGB").quantize(256).save(out / name, optimize=True)
            print(f"{out / name}: {(out / name).stat().st_size / 1000:.0f} kB")
        chromium.close()


def main() -> None:
    """Makes the pages where they are not there yet, and their pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, help="folder to work in and to keep; else one that is removed")
    parser.add_argument("--out", type=Path, default=DOCS, help="folder of the pictures; docs/ where not given")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as passing:
        work = (given.work or Path(passing)).resolve()
        work.mkdir(parents=True, exist_ok=True)
        make(work)
        shoot(work, given.out)


if __name__ == "__main__":
    main()
