"""The page in a real browser: it fits a phone, and its figures follow the look, light or dark."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from aulight.cli.commands.report import report
from aulight.runs.composed import composed, settings_from
from aulight.settings.report import ReportSettings

from .test_page import write_runs

playwright = pytest.importorskip("playwright.sync_api")

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome on the PATH")]

FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
DESK, PHONE = 1280, 390


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("look")
    write_runs(folder / "runs")
    overrides = [f"runs={folder / 'runs'}", f"output={folder / 'out'}", "uncertainty.swaps=20", "timelines=1"]
    with composed("report", overrides) as config:
        settings = settings_from("report", config)
    assert isinstance(settings, ReportSettings)
    report(settings)
    return (folder / "out/report.html").as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.mark.parametrize("look", ["light", "dark"])
@pytest.mark.parametrize("width", [DESK, PHONE])
def test_figures_follow_the_look_and_nothing_scrolls_sideways(
    address: str, browser: Any, tmp_path: Path, look: str, width: int
) -> None:
    """Oracle: the pixels of each figure: most are paper, light or dark as the page's, and ink is far from it."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=look)
    page = context.new_page()
    page.goto(address)
    page.wait_for_function("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    images = page.locator("figure img")
    assert images.count() == 3
    paper = 255 if look == "light" else 0x17
    for number in range(images.count()):
        image = images.nth(number)
        box = image.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["width"] > (300 if width == PHONE else 550)
        file = tmp_path / f"{number}.png"
        image.screenshot(path=str(file))
        picture = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
        assert picture is not None
        grey = picture.astype(int)
        assert np.mean(abs(grey - paper) < 12) > 0.4
        assert np.mean(abs(grey - paper) > 120) > 0.003  # text and lines
    shown = page.evaluate("[...document.images].map(image => image.currentSrc === image.src)")
    assert shown == [width == DESK] * 3  # on a phone, those that are drawn for it
    context.close()
