"""Photos and the frames of a film told apart, in real files; photos read one by one."""

import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage import data

from aulight.data.sources.folder import videos_below
from aulight.data.video.photos import Photos, photos_at
from aulight.data.video.raw import raw_frames
from aulight.data.video.types import IMAGE_SUFFIXES, Frames
from aulight.errors import VideoError
from tests.data.faces.astronaut import film
from tests.steps import steps

_PICTURES: Any = data  # scikit-image has no types
SCENES: list[Frames] = [
    np.dstack([picture] * 3) if picture.ndim == 2 else picture[..., :3]
    for picture in (
        getattr(_PICTURES, name)() for name in ("astronaut", "chelsea", "coffee", "camera", "coins", "page")
    )
]
"""Photos of other things."""


def faces(count: int) -> list[Frames]:
    """Faces of other people, cut out alike."""
    known = _PICTURES.lfw_subset()[:count]
    return [np.dstack([np.uint8(255 * face / known.max())] * 3).astype(np.uint8) for face in known]


def moving(count: int, step: int = 1) -> list[Frames]:
    """Every so many frames of a film in which the whole picture moves."""
    return [frame.image for frame in film(count * step)][::step]


def save(folder: Path, pictures: Sequence[Frames], names: str | Sequence[str] = "{:04d}.png") -> Path:
    folder.mkdir(parents=True)
    for number, picture in enumerate(pictures):
        name = names.format(number) if isinstance(names, str) else names[number]
        assert cv2.imwrite(str(folder / name), picture[..., ::-1])
    return folder


def small(pictures: Sequence[Frames]) -> list[Frames]:
    return [np.asarray(cv2.resize(picture, (320, 240)), np.uint8) for picture in pictures]


@pytest.mark.parametrize(
    ("pictures", "names"),
    [
        (moving(30), "{:04d}.png"),
        (moving(30), "frame_{:d}.jpg"),
        (moving(20, 5), "{:04d}.jpg"),
        (moving(2), "{:d}.png"),
        (moving(4), ["a.png", "b.png", "c.png", "d.png"]),
        (moving(1) * 12, "{:04d}.png"),
        ([one for start in range(0, 200, 40) for one in moving(200)[start : start + 8]], "{:04d}.png"),
        ([np.full((90, 120, 3), 80 + 2 * number, np.uint8) for number in range(9)], "{:d}.png"),
    ],
    ids=["25 fps", "jpg", "5 fps", "two frames", "no numbers", "still", "cuts", "dark, then light"],
)
def test_frames_of_a_film(tmp_path: Path, pictures: list[Frames], names: str | list[str]) -> None:
    folder = save(tmp_path / "film", pictures, names)
    assert photos_at(folder, "auto") is None
    chosen = photos_at(folder, "photos")
    assert chosen is not None
    assert len(chosen.names) == len(pictures)


@pytest.mark.parametrize(
    ("pictures", "names"),
    [
        (SCENES, "IMG_{:04d}.jpg"),
        (small(SCENES), "{:d}.png"),
        (small(SCENES[:2]), "{:d}.jpg"),
        (faces(100), "{:04d}.png"),
        (faces(12), [f"{name}.png" for name in ("anna", "bob", "carl", *"defghijkl")]),
        (faces(3), "{:d}.png"),
        (SCENES[:1], "1.jpg"),
    ],
    ids=["sizes", "one size", "two", "100 faces", "names", "three faces", "one"],
)
def test_photos(tmp_path: Path, pictures: list[Frames], names: str | list[str]) -> None:
    folder = save(tmp_path / "photos", pictures, names)
    found = photos_at(folder, "auto")
    assert found is not None
    assert len(found.names) == len(pictures)
    assert photos_at(folder, "film") is None


def test_photos_come_one_by_one_with_their_names(tmp_path: Path) -> None:
    """In natural order, whatever their sizes; from a folder and from a zip file; the damaged one is named."""
    names = ["a10.png", "a2.png", "Zoe, 3.png", "a2.jpg", "bad.jpg"]
    folder = save(tmp_path / "my photos", SCENES[:5], names)
    (folder / "bad.jpg").write_bytes((folder / "a2.jpg").read_bytes()[:2000])
    (folder / ".hidden.png").write_bytes(b"")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, f"in/{path.name}")
    ordered = ["Zoe, 3.png", "a2.jpg", "a2.png", "a10.png"]
    for path in (folder, tmp_path / "all.zip" / "in"):
        found, problems = photos_at(path, "auto"), list[str]()
        assert found is not None
        frames = list(found.frames(problems))
        assert [frame.name for frame in frames] == ordered
        assert {frame.time_s for frame in frames} == {0.0}
        for frame in frames:
            expected = SCENES[names.index(str(frame.name))]
            assert frame.image.shape == expected.shape
            assert np.abs(frame.image.astype(int) - expected).mean() < 6, frame.name
        assert len(problems) == 1
        assert "bad.jpg" in problems[0]


def test_a_zip_file_of_photos_is_listed_once_and_not_for_each(tmp_path: Path) -> None:
    """The oracle is how many calls it takes: its list of names is as long as it has photos."""
    taken = dict[int, int]()
    picture = cv2.imencode(".png", np.full((8, 8, 3), 90, np.uint8))[1].tobytes()
    for count in (30, 120):
        with zipfile.ZipFile(tmp_path / f"{count}.zip", "w") as archive:
            for number in range(count):
                archive.writestr(f"{number}.png", picture)
        photos = photos_at(tmp_path / f"{count}.zip", "photos")
        assert photos is not None
        taken[count] = steps(lambda photos=photos: list(photos.frames([])))  # type: ignore[misc]
    assert taken[120] < 5 * taken[30]


def test_a_photo_alone(tmp_path: Path) -> None:
    folder = save(tmp_path / "one", SCENES[:1], "me.jpg")
    for pictures in ("auto", "film", "photos"):
        found = photos_at(folder / "me.jpg", pictures)
        assert found == Photos(folder / "me.jpg", None, (folder / "me.jpg",))
        (frame,) = found.frames([])
        assert frame.name == "me.jpg"


def test_what_is_no_picture_is_left_to_others(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").touch()
    assert photos_at(tmp_path / "film.mp4", "photos") is None
    with pytest.raises(VideoError, match="no images"):
        photos_at(tmp_path, "auto")
    with pytest.raises(VideoError, match="no such video"):
        photos_at(tmp_path / "nothing", "auto")
    (tmp_path / "stubs").mkdir()
    for name in ("1.png", "2.png"):
        (tmp_path / "stubs" / name).touch()
    assert photos_at(tmp_path / "stubs", "auto") is None


@pytest.mark.parametrize("suffix", sorted(IMAGE_SUFFIXES))
@pytest.mark.parametrize("where", ["folder", "zip"])
def test_pictures_of_every_ending_are_films_and_photos(tmp_path: Path, suffix: str, where: str) -> None:
    """The oracle of their pixels is Pillow."""
    folders = [save(tmp_path / "film", moving(12), f"{{:04d}}{suffix}")]
    folders.append(save(tmp_path / "photos", small(SCENES), f"{{:04d}}{suffix.upper()}"))
    below = videos_below(tmp_path)
    assert (sorted(below.videos), below.others.total()) == (folders, 0)
    if where == "zip":
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            for path in tmp_path.glob("*/*"):
                archive.write(path, path.relative_to(tmp_path))
    given = [folder if where == "folder" else tmp_path / "a.zip" / folder.name for folder in folders]
    assert photos_at(given[0], "auto") is None
    film = list(raw_frames(given[0], 25))
    assert [frame.number for frame in film] == list(range(12))
    found = photos_at(given[1], "auto")
    assert found is not None
    problems: list[str] = []
    for folder, frames in zip(folders, (film, list(found.frames(problems))), strict=True):
        for path, frame in zip(sorted(folder.iterdir()), frames, strict=True):
            with Image.open(path) as picture:
                expected = np.asarray(picture.convert("RGB"), int)
            assert np.abs(frame.image - expected).max() <= (4 if suffix in (".jpg", ".jpeg", ".webp") else 0)
    assert not problems


def test_a_photo_that_claims_billions_of_pixels_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    folder = save(tmp_path / "photos", SCENES[:3])
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    (folder / "0001a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + (folder / "0001.png").read_bytes()[33:])
    found, problems = photos_at(folder, "auto"), list[str]()
    assert found is not None
    assert [frame.name for frame in found.frames(problems)] == ["0000.png", "0001.png", "0002.png"]
    assert len(problems) == 1
    assert "0001a.png claims 3,600,000,000 pixels" in problems[0]
