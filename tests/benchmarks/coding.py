"""Keystrokes and seconds a frame in the coding page, of somebody who knows every score.

`python tests/benchmarks/coding.py --data <prepared dataset>`

It draws 50 synthetic frames, opens the real page in Chromium, and types each score as soon as the page has taken the
one before. So it is what the page costs: a coder's own time to look comes on top.
"""

import argparse
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

FRAMES, AUS = 50, (1, 2, 4, 6, 12)
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


def code(page: Page, address: str, order: str) -> tuple[int, float]:
    """Codes all frames by keys; how many were pressed, and in how many seconds."""
    page.goto(address)
    page.locator("#still[src]").wait_for()
    presses, total = 0, FRAMES * len(AUS)
    begin = time.perf_counter()
    if order == "frame":
        page.keyboard.press("m")
        presses += 1
    for done in range(1, total + 1):
        page.keyboard.press(str(done % 6))
        presses += 1
        expect(page.locator("#progress")).to_contain_text(f"{done} of {total} scores")
    return presses, time.perf_counter() - begin


def main() -> None:
    """Measures both orders of work, and prints a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the prepared dataset to draw from")
    data = parser.parse_args().data.resolve()
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        sys.exit("no Chromium or Chrome on the PATH")
    for order in ("au", "frame"):
        with tempfile.TemporaryDirectory() as folder, sync_playwright() as running:
            command = [sys.executable, "-m", "aulight", "label", "data.name=any", f"data.root={data}", "browser=false"]
            command += [f"label_count={FRAMES}", f"aus=[{','.join(map(str, AUS))}]", "unlabelled_only=false"]
            served = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder)
            assert served.stdout is not None
            address = next(re.search(r"http\S+", line) for line in served.stdout if line.startswith("The page"))
            assert address is not None
            chromium = running.chromium.launch(executable_path=browser, args=FLAGS)
            presses, seconds = code(chromium.new_page(), address[0], order)
            chromium.close()
            served.send_signal(signal.SIGINT)
            served.communicate()
            print(
                f"next {order} first: {FRAMES} frames, {len(AUS)} AUs: {presses / FRAMES:.2f} keystrokes and "
                f"{seconds / FRAMES:.2f} s a frame, {1000 * seconds / presses:.0f} ms a keystroke"
            )


if __name__ == "__main__":
    main()
