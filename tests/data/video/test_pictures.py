"""Single pictures as phones, cameras and programs write them; the oracles are the pixels they were made of."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from aulight.data.video.raw import raw_frames, raw_info
from aulight.errors import VideoError
from tests.data.video.films import Frames, until_error

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SHOWN: dict[int, Callable[[Any], Any]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: np.rot90(a),
}
"""What the EXIF orientations mean, by their definition: which sides of the stored picture are its top and its left."""


@pytest.fixture(scope="module")
def picture() -> Frames:
    """Four fields of other colours."""
    image = np.full((48, 64, 3), 20, np.uint8)
    image[:24, :32], image[:24, 32:], image[24:, :32] = (250, 0, 0), (0, 250, 0), (0, 0, 250)
    return image


def _written(image: Frames, kind: str, mode: str = "RGB", **options: Any) -> bytes:
    buffer = io.BytesIO()
    if kind == "JPEG":
        options = {"quality": 100} | options
    Image.fromarray(image).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "Maker"
    return exif


def _read(path: Path, data: bytes) -> Frames:
    path.write_bytes(data)
    assert (raw_info(path).frames, raw_info(path).fps) == (1, 25)
    (frame,) = raw_frames(path)
    assert (frame.number, frame.time_s, frame.image.dtype.name) == (0, 0.0, "uint8")
    return frame.image


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_pictures_with_all_that_a_phone_writes_are_upright(tmp_path: Path, picture: Frames, kind: str) -> None:
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    if kind == "PNG":
        text: Any = PngInfo()
        text.add_itxt("Comment", "été")
        options["pnginfo"] = text
    for orientation, shown in SHOWN.items():
        data = _written(picture, kind, exif=_exif(orientation), icc_profile=PROFILE, **options)
        image = _read(tmp_path / f"photo.{kind.lower()}", data)
        assert image.shape == shown(picture).shape
        assert np.abs(image.astype(int) - shown(picture)).mean() < (4 if kind == "JPEG" else 0.1)


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "CMYK", "1", "I;16"])
def test_pictures_of_every_depth_and_colours(tmp_path: Path, picture: Frames, mode: str) -> None:
    grey = np.where(picture[..., :1] > 128, 255, 0).astype(np.uint8).repeat(3, 2)
    if mode == "I;16":
        buffer = io.BytesIO()
        Image.fromarray(grey[..., 0].astype(np.uint16) * 257).save(buffer, "PNG")
        data = buffer.getvalue()
    else:
        data = _written(grey, "JPEG" if mode == "CMYK" else "PNG", mode)
    assert np.abs(_read(tmp_path / "a.png", data).astype(int) - grey).max() <= 2


def test_what_is_behind_and_before_the_picture_is_passed_over(tmp_path: Path, picture: Frames) -> None:
    """A phone puts a small picture before it and a whole film behind it, with marks of beginnings and no ends."""
    small, whole = _written(picture[:8, :8], "JPEG"), _written(picture, "JPEG", progressive=True)
    photo = whole[:2] + b"\xff\xe1" + struct.pack(">H", len(small) + 2) + small + whole[2:]
    image = _read(tmp_path / "motion.jpg", photo + b"\xff\xd8\xff\xda" * 5 + bytes(3000))
    np.testing.assert_array_equal(image, _read(tmp_path / "plain.jpg", whole))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP"])
def test_half_a_picture_is_damaged(tmp_path: Path, kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    whole = _written(noise, kind)
    for end in (len(whole) // 2, 20, 3):
        path = tmp_path / f"photo.{kind.lower()}"
        path.write_bytes(whole[:end])
        assert until_error(path)[0] == []


def _claims(kind: str, side: int) -> bytes:
    """A small picture whose header claims to be a square of that side."""
    data = bytearray(_written(np.zeros((16, 16, 3), np.uint8), kind))
    if kind == "PNG":
        data[16:24] = struct.pack(">II", side, side)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    elif kind == "JPEG":
        start = data.index(b"\xff\xc0")
        data[start + 5 : start + 9] = struct.pack(">HH", side, side)
    else:
        data[18:26] = struct.pack("<ii", side, side)
    return bytes(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP"])
@pytest.mark.parametrize(("side", "says"), [(60000, "3,600,000,000 pixels"), (13000, "13000 x 13000 pixels")])
def test_a_picture_that_claims_to_be_huge_is_not_decoded(tmp_path: Path, kind: str, side: int, says: str) -> None:
    path = tmp_path / f"bomb.{kind.lower()}"
    path.write_bytes(_claims(kind, side))
    assert until_error(path)[1] == f"{path}: the picture claims {says}, more than can be read; make it smaller"
    folder = tmp_path / "film"
    folder.mkdir()
    path.rename(folder / "1.png")
    assert f"{folder}: image 1.png claims {says}" in until_error(folder, fps=25)[1]


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("photo.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "of the kind HEIC, which cannot be read; save it as jpg"),
        ("photo.jpg", b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "of the kind HEIC"),
        ("photo.avif", b"\0\0\0\x18ftypavif\0\0\0\0mif1avif", "of the kind AVIF"),
        ("photo.DNG", b"II*\0", "a camera's raw picture"),
    ],
)
def test_pictures_that_cannot_be_read_say_what_to_do(tmp_path: Path, name: str, data: bytes, says: str) -> None:
    path = tmp_path / name
    path.write_bytes(data + bytes(500))
    assert says in until_error(path)[1]
    with pytest.raises(VideoError, match="save it as jpg or png"):
        raw_info(path)
