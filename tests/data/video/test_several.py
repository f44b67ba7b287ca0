"""Files that hold several pictures are films of all of them; the oracles are the frames and times they were made of."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from aulight.data.sources.folder import videos_below
from aulight.data.video.digest import Pictures
from aulight.data.video.images import images_of
from aulight.data.video.photos import photos_at
from aulight.data.video.raw import raw_frames, raw_info
from aulight.data.video.several import holds_several
from tests.data.video.films import Coded, Decode, Frames, numbers, until_error

COUNT = 12
SHOWN_MS = [40] * 5 + [80] + [40] * 6
KINDS = ["png", "webp", "gif", "apng"]


def save(path: Path, frames: list[Frames], **options: Any) -> Path:
    pictures = [Image.fromarray(frame) for frame in frames]
    kind = {".apng": "PNG", ".jpg": "WEBP"}.get(path.suffix)
    more = {} if path.suffix.startswith(".tif") else {"duration": SHOWN_MS[: len(frames)], "lossless": True}
    pictures[0].save(path, kind, save_all=True, append_images=pictures[1:], **more, **options)
    return path


@pytest.fixture
def frames(coded: Coded) -> list[Frames]:
    return list(coded(5, COUNT))


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_that_move_are_films(tmp_path: Path, frames: list[Frames], decode: Decode, kind: str) -> None:
    path = save(tmp_path / f"a.{kind}", frames)
    assert photos_at(path, "auto") is None
    info, found = raw_info(path, 10), list(raw_frames(path, 10))
    assert (info.fps, info.frames) == (25, COUNT)
    assert numbers(decode, found) == [frame.number for frame in found] == list(range(COUNT))
    np.testing.assert_allclose([frame.time_s for frame in found], np.cumsum([0, *SHOWN_MS[:-1]]) / 1000, atol=1e-9)


@pytest.mark.parametrize("large", [False, True])
def test_pages_of_a_tiff_are_the_frames_of_a_film(tmp_path: Path, frames: list[Frames], large: bool) -> None:
    path = save(tmp_path / "a.tif", frames, big_tiff=large)
    info, pictures = raw_info(path, 10), Pictures()
    found = list(raw_frames(path, 10, stored=pictures.add))
    assert (info.fps, info.frames) == (10, COUNT)
    assert "its 12 pages are taken for a film of 10 frames a second" in str(info.note)
    np.testing.assert_array_equal([frame.image for frame in found], frames)
    np.testing.assert_allclose([frame.time_s for frame in found], np.arange(COUNT) / 10)
    expected = Pictures()
    for frame in frames:
        expected.add(frame)
    assert pictures.digest() == expected.digest()


def test_a_small_picture_beside_a_large_one_is_no_page(tmp_path: Path, frames: list[Frames]) -> None:
    """As cameras and programs put it into a tiff, with tag 254 that says so."""
    pictures = [Image.fromarray(frames[0]), Image.fromarray(frames[1][::4, ::4])]
    pictures[1].encoderinfo = {"tiffinfo": {254: 1}}
    pictures[0].save(tmp_path / "a.tif", save_all=True, append_images=pictures[1:])
    with Image.open(tmp_path / "a.tif") as written:
        assert getattr(written, "n_frames", 1) == 2
    (frame,) = raw_frames(tmp_path / "a.tif")
    np.testing.assert_array_equal(frame.image, frames[0])


@pytest.mark.parametrize("kind", ["png", "webp", "tif", "gif"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_what_is_cut_off_is_no_single_picture(tmp_path: Path, frames: list[Frames], kind: str, share: float) -> None:
    path = save(tmp_path / f"a.{kind}", frames)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    assert photos_at(path, "auto") is None
    found, says = until_error(path, fps=25)
    assert len(found) < COUNT
    assert "damaged" in says


def test_a_still_is_no_film(tmp_path: Path, frames: list[Frames]) -> None:
    for kind in ("png", "webp", "tif", "jpg"):
        data = io.BytesIO()
        Image.fromarray(frames[0]).save(data, {"jpg": "JPEG", "tif": "TIFF"}.get(kind, kind))
        assert not holds_several(io.BytesIO(data.getvalue()))
    for odd in (b"", b"II", b"II*\0", b"MM\0*\xff\xff\xff\xff", b"\x89PNG\r\n\x1a\n\0", b"RIFF"):
        assert not holds_several(io.BytesIO(odd))


def test_in_a_folder_they_are_films_of_their_own(tmp_path: Path, frames: list[Frames]) -> None:
    films = [save(tmp_path / name, frames) for name in ("a.png", "b.webp", "c.tif")]
    assert videos_below(tmp_path).videos == films, "and no folder of pictures"
    for number in range(2):
        Image.fromarray(frames[number]).save(tmp_path / f"{number}.png")
    assert videos_below(tmp_path).videos == [tmp_path, *films]
    listed = images_of(tmp_path)
    assert listed is not None
    assert [Path(name).name for _, name in listed[1]] == ["0.png", "1.png"]


def test_where_no_film_can_be_read_it_is_refused_by_name(tmp_path: Path, frames: list[Frames]) -> None:
    """Not read as a single picture: in a zip file, and under another ending among pictures."""
    film = save(tmp_path / "2.png", frames)
    Image.fromarray(frames[0]).save(tmp_path / "1.png")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in ("1.png", "2.png"):
            archive.write(tmp_path / name, f"f/{name}")
    found, says = until_error(tmp_path / "a.zip" / "f", fps=25)
    assert len(found) == 1
    assert "image 2.png is a film of several pictures in one file" in says
    film.rename(tmp_path / "2.jpg")
    found, says = until_error(tmp_path, fps=25)
    assert len(found) == 1
    assert "image 2.jpg is a film of several pictures" in says


def test_prepare_takes_each_for_a_video(aulight: Callable[..., Any], tmp_path: Path, frames: list[Frames]) -> None:
    (tmp_path / "raw").mkdir()
    for number, name in enumerate(("a.png", "b.webp", "c.tif", "d.gif")):
        save(tmp_path / "raw" / name, frames[: 4 + number])
    places = [f"data.source={tmp_path / 'raw'}", f"data.root={tmp_path / 'data'}"]
    outcome = aulight("prepare", *places, "data.faces=none", "crop_size=64", "workers=1")
    assert outcome.status == 0, outcome.err
    videos = pd.read_parquet(tmp_path / "data" / "videos.parquet")
    assert dict(zip(videos["video_id"], videos["frames"], strict=True)) == {"a": 4, "b": 5, "c": 6, "d": 7}
