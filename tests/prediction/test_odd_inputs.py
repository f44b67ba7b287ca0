"""`aulight predict` on odd files among others: those are named, and the rest is done."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import skimage.data
from PIL import Image

from aulight.data.video.raw import raw_frames
from aulight.data.video.write import LONGEST_SIDE, write_video
from aulight.drawing.annotate import annotate
from tests.data.video.films import added, encoded, late, mux

Command = Callable[..., Any]
Frames = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def face() -> Frames:
    """A picture of a real face, which lies around (112, 116)."""
    picture: Frames = skimage.data.astronaut()[:240, 110:350]  # type: ignore[no-untyped-call]
    return np.ascontiguousarray(picture)


def test_a_photo_of_a_phone(aulight: Command, face: Frames, tmp_path: Path) -> None:
    """Stored on its side, with all that phones write; the oracle is the same picture without."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    Image.fromarray(np.rot90(face)).save(tmp_path / "photo.jpg", quality=98, exif=exif)
    Image.fromarray(face).save(tmp_path / "plain.jpg", quality=98)
    tables = []
    for name in ("photo", "plain"):
        outcome = aulight(
            "predict", "model=table", f"input={tmp_path / name}.jpg", f"output={tmp_path / 'out'}", "overlay=true"
        )
        assert outcome.status == 0, outcome.err
        tables.append(pd.read_csv(tmp_path / "out" / f"{name}.csv"))
    assert tables[0]["success"].tolist() == [1]
    assert [table.pop("file").tolist() for table in tables] == [["photo.jpg"], ["plain.jpg"]]
    np.testing.assert_allclose(tables[0], tables[1], atol=0.3)
    (picture,) = raw_frames(tmp_path / "out" / "photo.overlay.mp4")
    assert picture.image.shape[0] >= 240


def test_odd_files_are_named_and_the_rest_is_done(aulight: Command, face: Frames, tmp_path: Path) -> None:
    given, out = tmp_path / "in", tmp_path / "out"
    given.mkdir()
    late(given / "late.mkv", [face] * 10)
    names = ["漢" * 83, "a" * 251, os.fsdecode(b"\xff\xfe")]
    for name in names:
        write_video(tmp_path / "clip.mp4", [face] * 3, 25)
        (tmp_path / "clip.mp4").rename(given / f"{name}.mp4")
    os.mkfifo(given / "pipe.mp4")
    (given / "loop.mp4").symlink_to("loop.mp4")
    (given / "zero.mp4").symlink_to("/dev/zero")
    outcome = aulight("predict", "model=table", f"input={given}", f"output={out}", "overlay=true", "workers=1")
    assert outcome.status == 1
    assert "3 of 7 videos could not be read to their end" in outcome.err
    for name in ("pipe", "loop", "zero"):
        assert f"{given / name}.mp4: " in outcome.err
    assert f"{given / 'late.mkv'}: its first frame is at 0.50 s" in outcome.out
    assert len(list(out.glob("*.events.csv"))) == len(list(out.glob("*.overlay.mp4"))) == 4
    table, note = pd.read_csv(out / "late.csv"), json.loads((out / "late.json").read_text())
    np.testing.assert_allclose(table["timestamp"], 0.5 + np.arange(10) / 25, atol=1e-6)
    with av.open(str(out / "late.overlay.mp4")) as overlay:
        shown = [picture.time for picture in overlay.decode(video=0)]
    np.testing.assert_allclose(shown[1:], table["timestamp"][1:], atol=1e-5)
    assert shown[0] == 0
    assert note["fps"] == 25
    assert "times count from the start of the file" in note["notes"][0]
    again = aulight("predict", "model=table", f"input={given}", f"output={out}", "overlay=true", "workers=1")
    assert (again.status, again.out) == (1, outcome.out.replace(" frames\n", " frames; 4 done before\n"))


def test_a_video_passed_over_for_its_name_is_named(aulight: Command, face: Frames, tmp_path: Path) -> None:
    given, out = tmp_path / "in", tmp_path / "out"
    given.mkdir()
    mine = given / "day.overlay.mp4"
    write_video(mine, [face] * 3, 25)
    lone = aulight("predict", "model=table", f"input={given}", f"output={out}")
    assert (lone.status, "day.overlay.mp4" in lone.err) == (2, True)
    write_video(given / "clip.mp4", [face] * 3, 25)
    both = aulight("predict", "model=table", f"input={given}", f"output={out}", "workers=1")
    assert both.status == 0, both.err
    assert f"passed over, for videos with bars are called so: {mine};" in both.out
    assert not list(out.glob("day*"))


def test_what_cannot_be_read_is_told_and_every_film_is_scored(aulight: Command, face: Frames, tmp_path: Path) -> None:
    """Films of other kinds, and a file of each that is none; the oracle is how many frames each was made of."""
    given, out = tmp_path / "in", tmp_path / "out"
    given.mkdir()
    for name in ("d.heic", "e.NEF", "f.txt"):
        (given / name).write_bytes(bytes(99))
    advice = "pictures of kinds that cannot be read (1 .heic, 1 .nef); save them as jpg or png"
    none = aulight("predict", "model=table", f"input={given}", f"output={out}")
    assert (none.status, none.err) == (2, f"aulight: input={given}: no videos, nor pictures, in it; {advice}\n")
    write_video(given / "a.mp4", [face] * 3, 25)
    pictures = [Image.fromarray(np.roll(face, step, 1)) for step in range(4)]
    for name in ("b.gif", "c.png", "g.tif"):
        pictures[0].save(given / name, save_all=True, append_images=pictures[1:])
    with av.open(str(given / "h.ogv"), "w", format="ogg") as container:
        mux(container, encoded(added(container, "libvpx", (240, 240)), [face] * 5))
    outcome = aulight("predict", "model=table", f"input={given}", f"output={given / 'out'}", "workers=1")
    assert outcome.status == 0, outcome.err
    counts = {path.stem: len(pd.read_csv(path)) for path in (given / "out").glob("?.csv")}
    assert counts == {"a": 3, "b": 4, "c": 4, "g": 4, "h": 5}
    assert "  note: passed over 1 files that are neither videos nor images: 1 .txt\n" in outcome.out
    assert f"  note: not used: {advice}\n" in outcome.out
    again = aulight("predict", "model=table", f"input={given}", f"output={given / 'out'}", "workers=1")
    assert again.out == outcome.out.replace(" frames\n", " frames; 5 done before\n"), "its own files are no others"


def test_pictures_that_are_taken_for_a_film_are_told(aulight: Command, face: Frames, tmp_path: Path) -> None:
    given = tmp_path / "anna"
    given.mkdir()
    for number in range(3):
        Image.fromarray(face).save(given / f"DSC_{1001 + 7 * number}.jpg")
    told = (
        f"  note: {given}: pictures taken for a film of 3 frames at 3.571 fps; pictures=photos scores each on its own"
    )
    for _ in range(2):  # also when they were scored before
        outcome = aulight("predict", "model=table", f"input={given}", f"output={tmp_path / 'out'}")
        assert outcome.status == 0, outcome.err
        assert told in outcome.out
    for chosen in ("film", "photos"):
        outcome = aulight(
            "predict", "model=table", f"input={given}", f"output={tmp_path / chosen}", f"pictures={chosen}"
        )
        assert outcome.status == 0, outcome.err
        assert "taken for a film" not in outcome.out


@pytest.mark.parametrize("name", ["pipe.mp4", "loop.mp4", "gone.mp4", "a" * 300])
def test_a_single_input_that_is_no_file(aulight: Command, tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "loop.mp4").symlink_to("loop.mp4")
    outcome = aulight("predict", "model=table", f"input={tmp_path / name}", f"output={tmp_path / 'out'}")
    assert (outcome.status, len(outcome.err.splitlines())) == (2, 1)
    assert str(tmp_path / name) in outcome.err
    assert not (tmp_path / "out").exists()


def test_names_that_are_no_utf8_are_told_by_their_numbers(aulight: Command, face: Frames, tmp_path: Path) -> None:
    """A film that is cut short, one that is none, a film of pictures, and photos; given twice, as they were scored."""
    given, out, name, shown = tmp_path / "in", tmp_path / "out", os.fsdecode(b"caf\xe9"), "caf\\udce9"
    film, album = given / f"film {name}", given / f"album {name}"
    for folder in (film, album):
        folder.mkdir(parents=True)
    for number in range(3):
        Image.fromarray(face).save(film / f"{number}.png")
    for number, picture in enumerate((face, face[::-1, ::-1], face.swapaxes(0, 1)[:200])):
        Image.fromarray(np.ascontiguousarray(picture)).save(album / f"{name}{'abc'[number]}.png")
    whole = late(tmp_path / "clip.mkv", [face] * 30).read_bytes()
    (given / f"cut {name}.mkv").write_bytes(whole[: len(whole) * 2 // 3])
    (given / f"none {name}.mp4").write_bytes(b"no film")
    for times in range(2):
        outcome = aulight("predict", "model=table", f"input={given}", f"output={out}", "workers=1", "summary=true")
        assert outcome.status == 1, outcome.err
        assert "Traceback" not in outcome.err
        assert f"none {shown}.mp4: not a readable video" in outcome.err
        assert f"cut {shown}.mkv: " in outcome.err
        assert f"film {shown}: pictures taken for a film of 3 frames" in outcome.out
        assert (out / "index.html").is_file(), times
    summary = pd.read_csv(out / "summary.csv").set_index("video")
    assert shown in str(summary.loc[f"none {shown}", "problem"])
    table = pd.read_csv(out / f"album {shown}.csv")
    assert table["file"].tolist() == [f"{shown}{letter}.png" for letter in "abc"]
    assert shown in json.loads((out / f"film {shown}.json").read_text())["notes"][0]


@pytest.mark.parametrize(("width", "height"), [(1001, 3), (17_000, 200)])
def test_bars_beside_pictures_longer_than_a_video_may_be(
    aulight: Command, face: Frames, tmp_path: Path, width: int, height: int
) -> None:
    """Panoramas of phones, and the rest of a picture; the oracle is the shape that is drawn, but for an even size."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[:, : width // 2] = 200
    Image.fromarray(picture).save(tmp_path / "wide.png")
    outcome = aulight("predict", "model=table", f"input={tmp_path}/wide.png", f"output={tmp_path}/out", "overlay=true")
    assert outcome.status == 0, outcome.err
    (shown,) = raw_frames(tmp_path / "out" / "wide.overlay.mp4")
    drawn = annotate(picture, [f"AU{au:02}" for au in range(12)], [], "")
    assert drawn.shape[1] > shown.image.shape[1] == LONGEST_SIDE
    assert shown.image.shape[0] == pytest.approx(drawn.shape[0] * LONGEST_SIDE / drawn.shape[1], rel=0.3)
