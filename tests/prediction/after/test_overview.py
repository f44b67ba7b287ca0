"""The files over all videos of a folder: how large they are, killed halfway, what is no longer there, in a browser."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from aulight.data.marks import FACE, made_as
from aulight.errors import AulightError
from aulight.files import sha256
from aulight.prediction.after.moments import write_faces
from aulight.prediction.after.overview import FILES, make_room_for_overview, read_overview, write_overview
from aulight.prediction.after.page import page
from aulight.prediction.after.records import After, Asked, Moment, OfUnit, Person
from aulight.prediction.after.summary import Failed
from aulight.prediction.companion import Companion, ScoredBy, Wanted
from aulight.prediction.videos import Source, about

AUS = [f"AU{number:02d}" for number in (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 24, 25, 26, 28, 45)]


def companion(stem: str, seed: int = 0) -> Companion:
    """As `predict` keeps it of a video of ten seconds."""
    draw = np.random.default_rng(seed)
    units = {
        au: OfUnit(mean=1, sd=0.5, highest=4.2, seconds=10, present_s=3, events=int(draw.integers(9)), peak=2)
        for au in AUS
    }
    moments = [
        Moment(au=au, face_id=0, frame=9 * place, seconds=2.0 * place, value=4) for place, au in enumerate(AUS[:5])
    ]
    after = After(
        asked=Asked(events={"enter": 1, "leave": 0.5, "min_s": 0.2, "merge_s": 0.1}, elan=False, faces=True),
        seconds=10,
        people=[Person(face_id=0, frames=240, seconds=9.6, quality=0.8 + 0.001 * (seed % 100), aus=units)],
        together={f"{one}+{other}": (1, 2, 10) for one in AUS for other in AUS if one < other},
        strips={au: "".join(draw.choice(list("0123456789"), 80)) + 16 * "-" for au in AUS},
        moments=moments,
    )
    return Companion(
        source=Source(path=f"/videos/{stem}.mp4"),
        whole=True,
        files=[f"{stem}.csv", f"{stem}.events.csv", f"{stem}.faces.jpg"],
        frames=250,
        frames_with_a_face=240,
        model=ScoredBy(kind="trained"),
        settings=Wanted(
            format="csv", coverage=0.9, plot=False, fps=25, overlay=False, explain=None, precision="32", faces="none",
            all=False, max_faces=None,
        ),
        aulight="0.1.0",
        after=after,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three videos, with pictures."""
    for number, stem in enumerate(("anna", "berta", "<b>clara<b>")):
        record = companion(stem, number)
        (tmp_path / f"{stem}.json").write_text(record.model_dump_json(exclude_unset=True))
        for name in record.files[:2]:
            (tmp_path / name).write_text("frame\n")
        colours = [np.full((96, 96, 3), 50 * place, np.uint8) for place in range(5)]
        write_faces(colours, tmp_path / record.files[2])
    return tmp_path


def test_a_thousand_videos_are_one_page_of_some_megabytes(tmp_path: Path) -> None:
    videos = {f"day {number // 100}/video {number}": companion(f"video {number}", number) for number in range(1000)}
    for name, video in videos.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / Path(name).parent / video.files[2]).touch()
    text = page(videos, {}, True, tmp_path)
    assert text.count("<article") == text.count("<img") == text.count('loading="lazy"') == 1000
    assert len(text.encode()) < 5_500_000, "of strips that change at every point"
    assert "http://" not in text
    assert "https://" not in text


def test_a_page_shows_no_more_than_a_browser_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables and the numbers above have all of them."""
    monkeypatch.setattr("aulight.prediction.after.page.MOST_CARDS", 3)
    monkeypatch.setattr("aulight.prediction.after.page.MOST_FAILED", 2)
    videos = {f"video {number}": companion(f"video {number}", number) for number in range(5)}
    text = page(videos, {f"broken {number}": Failed("/a.mp4", "cut off") for number in range(1000)}, True, tmp_path)
    assert text.count("<article") == 3
    assert "The first 3 of 5 by name; summary.csv has all." in text
    assert "5 videos" in text
    assert text.count(": cut off") == 2
    assert "and 998 more, which summary.csv has" in text
    assert "The first" not in page(dict(list(videos.items())[:3]), {}, True, tmp_path)


def test_pictures_are_known_as_aulights(tmp_path: Path) -> None:
    write_faces([np.zeros((96, 96, 3), np.uint8)] * 5, tmp_path / "a.faces.jpg")
    assert made_as(tmp_path / "a.faces.jpg") == FACE
    assert Image.open(tmp_path / "a.faces.jpg").size == (480, 96)


class _Killed(BaseException):
    """As if the process were gone."""


def test_killed_at_any_change_of_a_name_the_next_one_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_overview(folder, {}, True)
    first = {name: sha256(folder / name) for name in FILES}
    replace, ended = Path.replace, 0
    for at in range(10):
        left = iter(range(at))

        def counted(self: Path, *arguments: Any, left: Iterator[int] = left) -> Any:
            if next(left, None) is None:
                raise _Killed
            return replace(self, *arguments)

        monkeypatch.setattr(Path, "replace", counted)
        try:
            write_overview(folder, {"new": Failed("/new.mp4", f"try {at}")}, True)
            ended += 1
        except _Killed:
            pass
        monkeypatch.undo()
        make_room_for_overview(folder)  # refuses nothing
    assert 4 <= ended <= 6
    record = read_overview(folder)
    assert record is not None
    assert record.sha256 == {name: [sha256(folder / name)] for name in FILES}
    assert record.failed == {"new": ("/new.mp4", "try 9")}
    assert first["index.html"] != sha256(folder / "index.html")
    assert not list(folder.glob(".*"))
    (folder / "index.html").write_text("mine")
    with pytest.raises(AulightError, match="not as aulight wrote it"):
        write_overview(folder, {}, True)


def test_who_failed_is_told_until_it_is_scored(folder: Path) -> None:
    write_overview(
        folder, {"anna": Failed("/anna.mp4", "no"), "dora": Failed(str(folder / "dora.mp4"), "damaged")}, True
    )
    (folder / "dora.mp4").touch()
    assert "dora: damaged" in (folder / "index.html").read_text()
    assert "anna: no" in (folder / "index.html").read_text()
    write_overview(folder, {}, True)
    assert "anna: no" not in (folder / "index.html").read_text(), "it is not there"
    assert "dora: damaged" in (folder / "index.html").read_text()
    (folder / "dora.mp4").unlink()
    write_overview(folder, {}, True)
    assert "dora" not in (folder / "index.html").read_text()


def test_what_was_scored_before_does_not_stand_for_a_video_that_fails_now(folder: Path) -> None:
    """Oracle: the stamps of the files, which the companion has or has not."""
    clip, record = folder / "anna.mp4", companion("anna")

    def scored() -> None:
        (folder / "anna.json").write_text(record.model_copy(update={"source": about(clip)}).model_dump_json())

    def row() -> Any:
        table = pd.read_csv(folder / "summary.csv").astype(object).fillna("")
        return table[table["video"] == "anna"][["frames", "AU12_mean", "problem"]].to_numpy().tolist()[0]

    clip.write_bytes(b"one patient")
    scored()
    write_overview(folder, {}, True)
    assert row() == [250, 1.0, ""]
    clip.write_bytes(b"half of another")
    write_overview(folder, {"anna": Failed(str(clip), "cut off")}, True)
    assert row() == [0, "", "cut off"]
    write_overview(folder, {}, True)
    assert row() == [0, "", "cut off"], "nothing has been scored since"
    scored()
    write_overview(folder, {}, True)
    assert row() == [250, 1.0, ""]


def test_a_record_that_is_too_large_is_not_passed_over_in_silence(folder: Path) -> None:
    record = companion("anna").model_dump(mode="json", exclude_unset=True) | {"notes": ["x" * (1 << 22)]}
    (folder / "anna.json").write_text(json.dumps(record))
    write_overview(folder, {}, True)
    table = pd.read_csv(folder / "summary.csv").fillna({"problem": ""})
    problems = dict(zip(table["video"], table["problem"], strict=True))
    assert "too large to be summed up" in problems["anna"]
    assert problems["berta"] == ""
    (folder / "anna.json").write_text(companion("anna").model_dump_json(exclude_unset=True))
    write_overview(folder, {}, True)
    assert pd.read_csv(folder / "summary.csv")["problem"].isna().all(), "it is not remembered"


BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome on the PATH")
def test_the_page_in_a_browser(folder: Path) -> None:
    """From a file: pictures come, nothing is asked of a network, it fits a phone, finds and orders."""
    playwright = pytest.importorskip("playwright.sync_api")
    write_overview(folder, {"broken": Failed("/broken.mp4", "<i>damaged</i>")}, True)
    address, asked, wrong = f"file://{folder}/index.html", list[str](), list[str]()
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"])
        papers = set()
        for scheme, width in (("light", 1280), ("dark", 1280), ("dark", 390), ("light", 390)):
            opened = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme).new_page()
            opened.on("request", lambda of: asked.append(of.url))
            opened.on("console", lambda said: wrong.append(said.text))
            opened.on("pageerror", lambda error: wrong.append(str(error)))
            opened.set_default_timeout(60_000)
            opened.goto(address)
            assert opened.evaluate("document.documentElement.scrollWidth") <= width
            for picture in opened.locator("img").all():
                picture.scroll_into_view_if_needed()
                playwright.expect(picture).to_have_js_property("naturalWidth", 480, timeout=60_000)
            papers.add(opened.evaluate("getComputedStyle(document.body).backgroundColor"))
            titles = opened.locator("article h3").all_text_contents()
            assert titles == ["<b>clara<b>", "anna", "berta"]
            opened.locator("#order").select_option("quality")
            assert opened.locator("article h3").all_text_contents() == ["anna", "berta", "<b>clara<b>"]
            opened.locator("#find").fill("ann")
            assert opened.locator("article:visible").count() == 1
            assert "<i>damaged</i>" in opened.locator(".failed").inner_text()
        browser.close()
    assert len(papers) == 2
    assert wrong == []
    assert {url.partition(":")[0] for url in asked} <= {"file", "data"}
