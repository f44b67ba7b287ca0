"""Folders of images as videos, also inside zip files, and every way in which they are broken."""

import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from aulight.data.video.digest import digest
from aulight.data.video.images import MOST_BYTES
from aulight.data.video.raw import raw_frames, raw_info
from aulight.errors import AulightError, VideoError
from tests.data.video.films import Decode, Frames, numbers, until_error


def save(folder: Path, frames: dict[str, Frames]) -> Path:
    """Lossless unless the names say jpg."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in frames.items():
        cv2.imwrite(str(folder / name), frame[..., ::-1])
    return folder


def zipped(folder: Path, archive: Path, top: str) -> Path:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in folder.iterdir():
            file.write(path, f"{top}/{path.name}")
        file.writestr(f"{top}/deeper/1.jpg", b"of another folder")
        file.writestr(f"{top}/._2440.png", b"left by a Mac")
    return archive / top


@pytest.mark.parametrize("where", ["folder", "zip"])
def test_images_have_the_numbers_of_their_names(
    tmp_path: Path, pictures: list[Frames], decode: Decode, where: str
) -> None:
    # a gap after 2441, and zeros before some numbers only
    codes = {"2441.png": 1, "2440.png": 0, "02445.png": 2, "10000.PNG": 4, "009999.png": 3}
    path = save(tmp_path / "T1", {name: pictures[code] for name, code in codes.items()})
    (path / "notes.txt").write_text("not an image")
    if where == "zip":
        path = zipped(path, tmp_path / "F001.zip", "F001/T1")
    frames = list(raw_frames(path, fps=20))
    assert [frame.number for frame in frames] == [2440, 2441, 2445, 9999, 10000]
    assert numbers(decode, frames) == [0, 1, 2, 3, 4]
    np.testing.assert_allclose([frame.time_s for frame in frames], np.array([0, 1, 5, 7559, 7560]) / 20)
    np.testing.assert_array_equal(frames[1].image, pictures[1])
    assert raw_info(path, fps=20).frames == 5
    assert raw_info(path, fps=20).fps == 20


@pytest.mark.parametrize(("kept", "fps"), [(range(0, 60, 2), 15), ([n for n in range(60) if n % 6], 25), ([8], 30)])
def test_images_of_which_some_were_left_out_are_fewer_a_second(
    tmp_path: Path, pictures: list[Frames], kept: list[int], fps: float
) -> None:
    """Oracle: their own times."""
    path = save(tmp_path / "T1", {f"{number}.png": pictures[0] for number in kept})
    assert raw_info(path, fps=30).fps == pytest.approx(fps, rel=0.02)
    times = [frame.time_s for frame in raw_frames(path, fps=30)]
    assert len(times) == 1 or 1 / np.diff(times).mean() == pytest.approx(fps, rel=0.02)


@pytest.mark.parametrize(
    ("names", "ordered", "expected"),
    [
        (["f_0012.png", "f_9.png", "f_100.png"], ["f_9.png", "f_0012.png", "f_100.png"], [9, 12, 100]),
        (["SN1_11.png", "SN1_3.png"], ["SN1_3.png", "SN1_11.png"], [3, 11]),
        (["b10.png", "a1.png", "a20.png", "a3.png"], ["a1.png", "a3.png", "a20.png", "b10.png"], [0, 1, 2, 3]),
        (["left.png", "right.png", "7.png"], ["7.png", "left.png", "right.png"], [0, 1, 2]),
        ([f"{10**19 + 5}.png", "1.png", f"{10**19}.png"], ["1.png", f"{10**19}.png", f"{10**19 + 5}.png"], [0, 1, 2]),
        ([f"{0:020}7.png", f"{0:020}5.png"], [f"{0:020}5.png", f"{0:020}7.png"], [5, 7]),
    ],
)
def test_names_that_are_no_numbers(
    tmp_path: Path, pictures: list[Frames], decode: Decode, names: list[str], ordered: list[str], expected: list[int]
) -> None:
    images = {name: pictures[place] for place, name in enumerate(names)}
    frames = list(raw_frames(save(tmp_path / "T", images), 25))
    assert [names[place] for place in numbers(decode, frames)] == ordered
    assert [frame.number for frame in frames] == expected


def test_images_of_every_depth_look_the_same(tmp_path: Path, pictures: list[Frames]) -> None:
    picture = pictures[3]
    grey = picture[..., :1].repeat(3, 2)
    folder = tmp_path / "depths"
    folder.mkdir()
    half = np.full((64, 64, 1), 90, np.uint8)
    cv2.imwrite(str(folder / "0.png"), picture[..., ::-1])
    cv2.imwrite(str(folder / "1.png"), np.concatenate([picture[..., ::-1], half], 2))
    cv2.imwrite(str(folder / "2.png"), picture[..., ::-1].astype(np.uint16) * 257)
    cv2.imwrite(str(folder / "3.png"), grey[..., 0])
    cv2.imwrite(str(folder / "4.png"), grey[..., 0].astype(np.uint16) * 257)
    cv2.imwrite(str(folder / "5.jpg"), picture[:50, :33, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 100])
    images = [frame.image for frame in raw_frames(folder, fps=25)]
    for image, expected in zip(images, (picture, picture, picture, grey, grey), strict=False):
        np.testing.assert_array_equal(image, expected)
    assert images[5].shape == (50, 33, 3), "images may differ in size"
    assert np.abs(images[5].astype(int) - picture[:50, :33]).mean() < 8


def test_images_without_a_rate(tmp_path: Path, pictures: list[Frames]) -> None:
    folder = save(tmp_path / "T1", {"1.png": pictures[0]})
    for read in (raw_info, raw_frames):
        with pytest.raises(AulightError, match="T1: images do not say how many frames per second"):
            read(folder)


def test_two_images_of_one_number(tmp_path: Path, pictures: list[Frames]) -> None:
    folder = save(tmp_path / "T1", {"1.png": pictures[0], "2.png": pictures[0], "002.jpg": pictures[1]})
    assert "both frame 2" in until_error(folder, fps=25)[1]


@pytest.mark.parametrize("where", ["folder", "zip"])
@pytest.mark.parametrize("how", ["half", "end", "empty", "text"])
def test_a_damaged_image_is_named(tmp_path: Path, pictures: list[Frames], where: str, how: str) -> None:
    folder = save(tmp_path / "T1", {f"{number:03}.jpg": pictures[number] for number in range(4)})
    data = (folder / "002.jpg").read_bytes()
    damaged = {"half": data[: len(data) // 2], "end": data[:-2], "empty": b"", "text": b"no image"}[how]
    (folder / "002.jpg").write_bytes(damaged)
    path = folder if where == "folder" else zipped(folder, tmp_path / "F1.zip", "T1")
    frames, says = until_error(path, fps=25)
    assert [frame.number for frame in frames] == [0, 1]
    assert "image 002.jpg is damaged" in says


def test_a_zip_file_that_is_damaged_or_lacks_the_folder(tmp_path: Path, pictures: list[Frames]) -> None:
    path = zipped(save(tmp_path / "T1", {"1.png": pictures[0]}), tmp_path / "F1.zip", "top/T1")
    archive = tmp_path / "F1.zip"
    assert [frame.number for frame in raw_frames(path, 25)] == [1]
    assert "no images" in until_error(archive / "top" / "T2", fps=25)[1]
    whole = archive.read_bytes()
    start = whole.index(b"1.png") + 100
    archive.write_bytes(whole[:start] + bytes(100) + whole[start + 100 :])
    assert "image 1.png cannot be read" in until_error(path, fps=25)[1]
    archive.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(VideoError, match=r"F1\.zip: not a readable zip file"):
        list(raw_frames(path, 25))


def test_a_folder_without_images(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    assert "no images" in until_error(tmp_path, fps=25)[1]


def test_a_picture_larger_than_any_is_not_unpacked(tmp_path: Path, pictures: list[Frames]) -> None:
    """Of a folder as of a zip file, whose 300 MB are packed into 300 kB; all others are read."""
    folder = save(tmp_path / "T1", {f"{number}.png": picture for number, picture in enumerate(pictures)})
    with (folder / "999.jpg").open("wb") as file:
        file.write(b"\xff\xd8\xff")
        file.truncate(MOST_BYTES + 1)
    path = zipped(folder, tmp_path / "F1.zip", "T1")
    assert (tmp_path / "F1.zip").stat().st_size < 2_000_000
    for place in (folder, path):
        frames, says = until_error(place, fps=25)
        assert len(frames) == len(pictures)
        assert "image 999.jpg cannot be read" in says
        assert "larger than 256 MB" in says
    with pytest.raises(VideoError, match="larger than 256 MB"):
        digest(path)


def test_numbers_beyond_all_tables_are_told(tmp_path: Path, pictures: list[Frames]) -> None:
    largest = 2**63 - 1  # of int64
    told = [
        raw_info(save(tmp_path / f"T{last}", {"1.png": pictures[0], f"{last}.png": pictures[1]}), 25).note
        for last in (largest, largest + 1)
    ]
    assert told[0] is None
    assert f"{largest + 1}.png has too large a number for a table" in str(told[1])
