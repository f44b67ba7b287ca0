"""The coding page in a real browser: whole sessions by keys, and what is there after a reload, a kill, a full disk."""

import resource
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from aulight.labelling.store import FILE

from .conftest import Served

playwright = pytest.importorskip("playwright.sync_api")

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome on the PATH")]

FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
DRAW = ("label_count=6", "aus=[1,4,12]", "seed=1")

Label = Callable[..., Served]
Wait = Callable[..., Any]
Page = Any
Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def show(browser: Any) -> Iterator[Open]:
    """``show(address, **context)``: the page, ready to code; afterwards nothing may have gone wrong in it."""
    contexts, wrong = [], list[str]()

    def opened(address: str, context: Any = None, **settings: Any) -> Page:
        if context is None:
            context = browser.new_context(viewport={"width": 1280, "height": 800}, **settings)
            contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if "Content Security" in said.text else None)
        own = (address.partition("#")[0], "blob:", "data:")
        page.on("request", lambda of: None if of.url.startswith(own) else wrong.append(of.url))
        page.goto(address)
        page.locator("main").wait_for()
        page.locator("#still[src]").wait_for()
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def progress(page: Page, scores: str) -> None:
    """Waits until so many scores are done: ``3 of 18``."""
    playwright.expect(page.locator("#progress")).to_contain_text(f"{scores} scores", timeout=30_000)


def where(page: Page) -> tuple[str, str]:
    """The frame and the AU that are shown."""
    return page.locator("#where").inner_text(), page.locator("#au").inner_text()


def on_disk(folder: Path) -> list[tuple[str, int, int, int | None]]:
    with sqlite3.connect(folder / "to_label" / FILE) as connection:
        return list(connection.execute("SELECT video, frame, au, score FROM strokes ORDER BY number"))


def test_a_whole_session_by_keys(label: Label, show: Open, tmp_path: Path) -> None:
    """Next AU first; digits, letters and ? alike; the label table at its end."""
    served = label(*DRAW)
    page, state = show(served.address), served.get("api/state")[1]
    assert page.locator("#title").inner_text() == "inner brow raiser"
    assert "inner ends of the brows" in page.locator("#signs").inner_text()
    typed = ["0", "1", "2", "3", "4", "5", "a", "B", "c", "d", "E", "?", "9", "5", "0", "0", "1", "?"]
    means = [0, 1, 2, 3, 4, 5, 1, 2, 3, 4, 5, None, None, 5, 0, 0, 1, None]
    press(page, *typed)  # faster than any coder: they wait for each other
    progress(page, "18 of 18")
    playwright.expect(page.locator("#note")).to_contain_text("All is coded")
    steps = [(of["video"], of["frame"], au) for of in state["frames"] for au in (1, 4, 12)]
    assert on_disk(tmp_path) == [(*step, score) for step, score in zip(steps, means, strict=True)]
    press(page, "w")
    playwright.expect(page.locator("#note")).to_contain_text("labels.csv: 15 labels of 6 frames")
    expected = {step: score for step, score in zip(steps, means, strict=True) if score is not None}
    table = pd.read_csv(tmp_path / "to_label/labels.csv").set_index(["video", "frame"])
    table.columns = pd.Index([1, 4, 12])
    assert table.stack().dropna().astype(int).to_dict() == expected
    assert served.end()[0] == 0


def test_the_next_frame_first(label: Label, show: Open, tmp_path: Path) -> None:
    served = label(*DRAW)
    page, state = show(served.address), served.get("api/state")[1]
    press(page, "m", *"012345", "3")
    progress(page, "7 of 18")
    steps = [(of["video"], of["frame"], 1) for of in state["frames"]]
    steps += [(state["frames"][0]["video"], state["frames"][0]["frame"], 4)]
    assert [stroke[:3] for stroke in on_disk(tmp_path)] == steps
    page.reload()  # the order is kept, and so is the place
    page.locator("#still[src]").wait_for()
    assert page.locator("#order").inner_text() == "Next: frame"
    frame = state["frames"][1]
    assert where(page) == (f"{frame['video']}, frame {frame['frame']}, {frame['time_s']:.2f} s", "AU4")


def test_arrows_undo_and_open_frames(label: Label, show: Open) -> None:
    served = label(*DRAW)
    page = show(served.address)
    first = where(page)
    press(page, "ArrowDown", "ArrowRight", "ArrowRight", "ArrowLeft", "ArrowUp", "ArrowLeft")
    playwright.expect(page.locator("#place")).to_have_text("1 of 6")
    assert where(page) == first
    press(page, "ArrowRight", "2", "3")
    progress(page, "2 of 18")
    press(page, "u")
    progress(page, "1 of 18")
    assert where(page)[1] == "AU4"
    playwright.expect(page.locator("#place")).to_have_text("2 of 6")
    press(page, "Control+z")
    progress(page, "0 of 18")
    assert where(page)[1] == "AU1"
    press(page, "u")
    playwright.expect(page.locator("#note")).to_contain_text("Nothing to take back")
    press(page, "ArrowLeft", "5", "ArrowLeft", "n")  # the next that is open, not where the last score was
    progress(page, "1 of 18")
    assert served.get("api/state")[1]["scores"][0] == {"1": 5}


def test_a_reload_and_a_killed_server_lose_nothing(label: Label, show: Open, tmp_path: Path, wait: Wait) -> None:
    """What is typed while there is no server stays in the page, is said, and is saved once there is one again."""
    served = label(*DRAW)
    page = show(served.address)
    press(page, "1", "2")
    progress(page, "2 of 18")
    page.reload()
    page.locator("#still[src]").wait_for()
    progress(page, "2 of 18")
    assert where(page)[1] == "AU12"
    served.process.send_signal(signal.SIGKILL)
    served.process.wait()
    press(page, "5")
    trouble = page.locator("#trouble")
    playwright.expect(trouble).to_be_visible()
    playwright.expect(trouble).to_contain_text("Not on disk yet")
    press(page, "4")  # not taken: the coder sees the trouble first
    assert len(on_disk(tmp_path)) == 2
    again = label()
    assert again.address == served.address
    playwright.expect(trouble).to_be_hidden(timeout=30_000)
    progress(page, "3 of 18")
    assert [stroke[2:] for stroke in on_disk(tmp_path)] == [(1, 1), (4, 2), (12, 5)]


def test_what_a_closed_page_could_not_save_is_saved_by_the_next(label: Label, show: Open, tmp_path: Path) -> None:
    served = label(*DRAW)
    page = show(served.address)
    served.process.send_signal(signal.SIGKILL)
    served.process.wait()
    press(page, "5")
    playwright.expect(page.locator("#trouble")).to_be_visible()
    context = page.context
    page.close()
    again = label()
    progress(show(again.address, context), "1 of 18")
    assert [stroke[2:] for stroke in on_disk(tmp_path)] == [(1, 5)]


def test_a_full_disk_is_said_and_the_keystroke_kept(label: Label, show: Open, tmp_path: Path) -> None:
    """The limit of the size of files is set for the running server: the log cannot grow any more."""
    served = label(*DRAW)
    page = show(served.address)
    press(page, "1")
    progress(page, "1 of 18")
    before = resource.prlimit(served.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(served.pid, resource.RLIMIT_FSIZE, (4096, before[1]))
    press(page, "3")
    playwright.expect(page.locator("#trouble")).to_be_visible()
    playwright.expect(page.locator("#reason")).to_contain_text("disk")
    assert len(on_disk(tmp_path)) == 1
    resource.prlimit(served.pid, resource.RLIMIT_FSIZE, before)
    page.locator("#retry").click()
    playwright.expect(page.locator("#trouble")).to_be_hidden()
    progress(page, "2 of 18")
    press(page, "2")
    progress(page, "3 of 18")
    assert [stroke[2:] for stroke in on_disk(tmp_path)] == [(1, 1), (4, 3), (12, 2)]


def test_two_windows_see_each_other(label: Label, show: Open, tmp_path: Path) -> None:
    served = label(*DRAW)
    one = show(served.address)
    other = show(served.address, one.context)
    one.bring_to_front()
    press(one, "1", "2")
    progress(one, "2 of 18")
    press(other, "3")  # it shows the first AU still: the last word counts
    progress(other, "2 of 18")
    assert [stroke[2:] for stroke in on_disk(tmp_path)] == [(1, 1), (4, 2), (1, 3)]
    assert where(other)[1] == "AU12"


def test_two_coders_and_their_consensus(label: Label, show: Open, aulight: Callable[..., Any], tmp_path: Path) -> None:
    one = label(*DRAW, "coders=[c1,c2]", "shared=1", "coder=c1")
    other = label("coder=c2")
    page = show(one.address)
    press(page, *"000111222333444555")
    progress(page, "18 of 18")
    blind = show(other.address)
    assert "c1" not in blind.locator("body").inner_text()
    scores = {(video, frame, au): score for video, frame, au, score in on_disk(tmp_path)}
    frames = other.get("api/state")[1]["frames"]
    for place, frame in enumerate(frames):
        mine = [scores[frame["video"], frame["frame"], au] for au in (1, 4, 12)]
        assert None not in mine
        press(blind, *(str(score) for score in mine[:2]), "?" if place == 3 else str(abs((mine[2] or 0) - place)))
    progress(blind, "18 of 18")
    expected = {1: 1, 2: 2, 4: 4, 5: 5}
    done = aulight("agreement", f"sample={tmp_path / 'to_label'}")
    assert done.status == 0, done.err
    link = next(line.strip() for line in done.out.splitlines() if "/#" in line)
    together = label("coder=consensus")
    assert link.startswith(together.address)
    differing = [place for place in range(6) if place == 3 or expected.get(place)]
    page = show(together.address)
    progress(page, f"{18 - len(differing)} of 18")
    assert where(page)[1] == "AU12"
    said = page.locator("#said").inner_text()
    assert said.startswith("c1: ")
    assert "c2: " in said
    press(page, *"3" * len(differing))
    progress(page, "18 of 18")
    playwright.expect(page.locator("#note")).to_contain_text("All differences are settled")
    linked = show(link, page.context)
    video, frame = link.rpartition("#")[2].split("/")
    assert linked.locator("#where").inner_text().startswith(f"{video}, frame {frame},")
    assert together.end()[0] == 0
    table = pd.read_csv(tmp_path / "to_label/labels.csv").set_index(["video", "frame"])
    for place, of in enumerate(frames):
        key = of["video"], of["frame"]
        assert table.loc[key, "AU12"] == (3 if place in differing else scores[*key, 12])
        assert table.loc[key, "AU01"] == scores[*key, 1]


def test_the_clip_can_be_stopped_stepped_and_slowed(label: Label, show: Open, wait: Wait) -> None:
    served = label(*DRAW)
    page = show(served.address)
    video, offset = page.locator("#clip"), page.locator("#offset")
    wait(lambda: video.evaluate("clip => clip.readyState >= 2 && !clip.paused"))
    assert video.evaluate("clip => clip.loop && clip.muted")
    press(page, " ")
    playwright.expect(page.locator("#play")).to_have_text("Play")
    assert video.evaluate("clip => clip.paused")
    places = int(page.locator("#scrub").get_attribute("max")) + 1
    seen = []
    for _ in range(places):
        press(page, ".")
        wait(lambda: not video.evaluate("clip => clip.seeking"))
        page.evaluate("() => new Promise(requestAnimationFrame)")
        page.evaluate("() => new Promise(requestAnimationFrame)")
        seen.append(offset.inner_text())
    assert len(set(seen)) == places  # each frame once, around the loop
    assert seen.count("this frame") == 1
    press(page, "-", "-")
    assert video.evaluate("clip => clip.playbackRate") == 0.25
    press(page, "+", " ")
    assert video.evaluate("clip => clip.playbackRate") == 0.5
    page.reload()
    page.locator("#still[src]").wait_for()
    wait(lambda: video.evaluate("clip => clip.playbackRate") == 0.5)


def test_another_face_at_rest(label: Label, show: Open) -> None:
    served = label(*DRAW)
    page = show(served.address)
    playwright.expect(page.locator("#resting")).to_contain_text("at rest")
    press(page, "r")
    picker = page.locator("#picker")
    playwright.expect(picker).to_be_visible()
    page.locator("#picker-frame").fill("3")
    page.locator("#take").click()
    playwright.expect(picker).to_be_hidden()
    playwright.expect(page.locator("#resting")).to_contain_text("the frame you picked")
    row = served.get("api/state")[1]["frames"][0]["row"]
    assert [served.get(f"api/rest/{row}")[1][name] for name in ("place", "picked")] == [3, True]
    press(page, "r")
    page.locator("#median").click()
    playwright.expect(page.locator("#resting")).to_contain_text("at rest")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(390, 844), (820, 1180), (1280, 800)])
def test_nothing_runs_off_the_page(label: Label, show: Open, width: int, height: int, scheme: str) -> None:
    """On a phone, a tablet by touch, and a desk: all that is needed for a score is in sight at once."""
    served = label(*DRAW)
    page = show(served.address, color_scheme=scheme, has_touch=True)
    page.set_viewport_size({"width": width, "height": height})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for name in ("#still", "#au", "#undo", *(f"[data-score='{score}']" for score in "012345?")):
        box = page.locator(name).bounding_box()
        assert box, name
        assert box["x"] >= 0, name
        assert box["x"] + box["width"] <= width, name
        assert box["y"] + min(box["height"], 100) <= height, name
        if name.startswith("[data-score"):
            assert min(box["width"], box["height"]) >= 40, name  # for a finger
            assert page.locator(name).evaluate("b => b.scrollWidth <= b.clientWidth"), name
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 23, 28)")
    page.locator("[data-score='4']").tap()
    progress(page, "1 of 18")
    page.locator("#theme").tap()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != paper
