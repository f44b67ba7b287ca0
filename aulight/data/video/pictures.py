"""One picture, as a phone, a camera or a program wrote it: its pixels, upright, or why there are none."""

import io
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from aulight.data.video.several import holds_several
from aulight.data.video.types import MOST_PIXELS, RAW_SUFFIXES, Frames, Stored
from aulight.errors import VideoError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
"""What can be read, as Pillow calls it."""

_FOREIGN = {b"avif": "AVIF", b"avis": "AVIF"} | dict.fromkeys(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "HEIC"
)
_HEAD = 64  # bytes that tell what a file is
_ADVICE = "save it as jpg or png"
_APART = "give it by itself, or in a folder under its own ending, and not in a zip file"
_ORIENTATION = 0x0112  # of EXIF


def is_picture(path: Path) -> bool:
    """Whether a file is a single picture, not a film of several, by its first bytes, whatever it is called.

    Raises:
        VideoError: For a picture of a kind that cannot be read, as phones (HEIC) and cameras (raw) make them.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
            file.seek(0)
            several = holds_several(file)
    except OSError as error:
        raise VideoError(f"{path}: cannot be read ({error.strerror})") from error
    suffix = path.suffix.lower()
    _refuse_foreign(head, f"{path}: the picture")
    if suffix in RAW_SUFFIXES:
        raise VideoError(f"{path}: a camera's raw picture, which cannot be read; {_ADVICE}")
    if head.startswith(b"\xff\xd8\xff"):
        return suffix not in (".mjpeg", ".mjpg")  # pictures one after the other
    if several:
        return False
    known = head.startswith(b"\x89PNG\r\n\x1a\n") or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
    return known or suffix in (".bmp", ".tif", ".tiff")


def decoded(data: bytes, what: str, stored: Stored | None = None) -> Frames:
    """The pixels of a picture, ``(H, W, 3)`` uint8 RGB: upright as its EXIF says, of whatever depth and colours.

    Args:
        data: The bytes of its file.
        what: What a message begins with.
        stored: Is shown the pixels as they are stored, before they are turned upright.

    Raises:
        VideoError: When it is damaged, cut off, of a kind that cannot be read, no single one, or claims more than
            :data:`aulight.data.video.types.MOST_PIXELS`.
    """
    import cv2

    _refuse_foreign(data[:_HEAD], what)
    if holds_several(io.BytesIO(data)):
        raise VideoError(f"{what} is a film of several pictures in one file, not a single one; {_APART}")
    width, height = claimed_size(data, what)
    if width * height > MOST_PIXELS:
        raise VideoError(f"{what} claims {width} x {height} pixels, more than can be read; make it smaller")
    try:
        whole = not _is_cut(data)
        image: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if whole else None
    except cv2.error:  # what it takes for impossible
        image = None
    if image is None:
        raise VideoError(f"{what} is damaged")
    shown = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
    if stored is not None:
        stored(np.ascontiguousarray(_LAID.get(_orientation(data) or 1, np.asarray)(shown)))
    return shown


_LAID: dict[int, Callable[[Frames], Frames]] = {
    2: lambda shown: shown[:, ::-1],
    3: lambda shown: shown[::-1, ::-1],
    4: lambda shown: shown[::-1],
    5: lambda shown: shown.swapaxes(0, 1),
    6: np.rot90,
    7: lambda shown: shown.swapaxes(0, 1)[::-1, ::-1],
    8: lambda shown: np.rot90(shown, -1),
}
"""By the orientation in EXIF, how an upright picture is laid again as it is stored."""


def _orientation(data: bytes) -> int | None:
    """What the EXIF of a picture says of its way up: 1 to 8, where it makes sense."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
                found = picture.getexif().get(_ORIENTATION)
                return found if isinstance(found, int) else None
    except Exception:  # as of claimed_size
        return None


def _refuse_foreign(head: bytes, what: str) -> None:
    kind = _FOREIGN.get(head[8:12]) if head[4:8] == b"ftyp" else None
    if kind is not None:
        raise VideoError(f"{what} is of the kind {kind}, which cannot be read; {_ADVICE}")


def claimed_size(data: bytes, what: str) -> tuple[int, int]:
    """Width and height as the header of a picture has them; nothing is decoded.

    Args:
        data: The bytes of its file.
        what: What a message begins with.

    Raises:
        VideoError: When there is no such header, or it claims far more pixels than can be read.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large ones, and of odd metadata
            with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
                return picture.size
    except Image.DecompressionBombError as error:
        claimed = re.search("[0-9]+", str(error))
        count = f"{int(claimed[0]):,} pixels" if claimed else "many pixels"
        raise VideoError(f"{what} claims {count}, more than can be read; make it smaller") from error
    except Exception as error:  # its plugins raise whatever their parsing comes upon
        raise VideoError(f"{what} is damaged") from error


def _is_cut(data: bytes) -> bool:
    """Whether the end of a picture is missing; not every version of OpenCV refuses those."""
    if data.startswith(b"\x89PNG"):
        return b"IEND" not in data
    if data.startswith(b"RIFF"):
        return len(data) < int.from_bytes(data[4:8], "little") + 8
    if not data.startswith(b"\xff\xd8"):
        return False
    # From marker to marker, over what phones put into and behind a jpg: small pictures, whole videos.
    place = 2
    while found := _MARKER.search(data, place):
        kind, place = found[1][0], found.end()
        if kind == 0xD9:
            return False
        if kind != 0x01:  # the one other marker without a length
            place += max(2, int.from_bytes(data[place : place + 2], "big"))
    return True


_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd8])", re.DOTALL)  # not bytes of the picture, nor what divides them
