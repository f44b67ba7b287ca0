"""Files that hold several pictures and are no videos: gifs, animated png and webp, and tiffs of many pages."""

import io
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np

from aulight.data.remembered import remembered
from aulight.data.video.types import MOST_PIXELS, USUAL_FPS, RawFrame, RawInfo, Stored
from aulight.errors import AulightError, VideoError

SUFFIXES = frozenset({".png", ".tif", ".tiff", ".webp"})
"""What such files are called, in small letters; browsers save others so as well."""

SHORTEST_MS, INSTEAD_MS = 10, 100
"""Pictures that are to be shown up to so long are shown for the other time, as browsers do."""

MOST_PAGES = 1_000_000
"""Of a tiff; each names the next, and might do so for ever."""

_BLOCK = 2**25  # pixels of the pages that are in memory at a time


class Several(Protocol):
    """A film of pictures in one file that is no video file."""

    def info(self) -> RawInfo:
        """What it says of itself."""

    def frames(self, stored: Stored | None) -> Iterator[RawFrame]:
        """The frames, in order.

        Args:
            stored: As of :func:`aulight.data.video.raw.raw_frames`.

        Raises:
            VideoError: Where it is damaged.
        """


def holds_several(file: BinaryIO) -> bool:
    """Whether a picture's file holds more than one; small pictures beside a large one do not count.

    Args:
        file: Open, at its beginning. What is no picture, or a damaged one, holds none.
    """
    head = file.read(21)
    try:
        if head.startswith(b"\x89PNG\r\n\x1a\n"):
            return _is_animated_png(file)
        if head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X":
            return bool(head[20] & 2)
        if head[:2] not in (b"II", b"MM"):
            return False
        pages = 0
        try:
            for _ in _pages(file):
                pages += 1
                if pages > 1:
                    break
        except struct.error:  # there was to be more
            pages += 1
        return pages > 1
    except (struct.error, IndexError):
        return False


def moves(path: Path) -> bool:
    """Whether the file of a picture is a film of several, as :func:`holds_several` tells it by what is in it."""
    try:
        return remembered(path, _moves)
    except OSError:  # said when it is read
        return False


def _moves(path: Path) -> bool:
    with path.open("rb") as file:
        return holds_several(file)


def several_at(path: Path, fps: float | None) -> Several | None:
    """The film in a file that FFmpeg does not read well: an animated webp, a gif, or a tiff of several pages.

    Args:
        path: The file.
        fps: Pages per second of a tiff, which does not tell it.

    Raises:
        VideoError: When it cannot be read.
        AulightError: For a tiff without ``fps``.
    """
    try:
        with path.open("rb") as file:
            head = file.read(16)
            file.seek(0)
            if head[:4] == b"RIFF" and holds_several(file):
                file.seek(0)
                return _Moving(path, "WEBP", tuple(_shown_ms(file)))
            if head[:6] in (b"GIF87a", b"GIF89a"):  # FFmpeg takes one whose pictures have no times for a single one
                return _gif(path, file)
            if head[:2] not in (b"II", b"MM"):
                return None
            pages, cut = list[_Page](), False
            try:
                pages.extend(_pages(file))  # extends one by one
            except struct.error:
                cut = True
            if len(pages) + cut < 2 or not pages:
                return None
    except OSError as error:
        raise VideoError(f"{path}: cannot be read ({error.strerror})") from error
    if fps is None or not fps > 0:
        raise AulightError(f"{path}: the pages of a tiff do not say how many a second they are; give fps")
    return _Tiff(path, tuple(pages), fps, cut)


# ---- png ---------------------------------------------------------------------------------------------------------


def _is_animated_png(file: BinaryIO) -> bool:
    """Whether a chunk before the pixels counts more than one picture."""
    file.seek(8)
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"acTL":
            return bool(struct.unpack(">I", file.read(4))[0] > 1)
        if kind in (b"IDAT", b"IEND"):
            break
        file.seek(length + 4, io.SEEK_CUR)
    return False


# ---- webp --------------------------------------------------------------------------------------------------------


def _shown_ms(file: BinaryIO) -> Iterator[int]:
    """How long each picture of an animated webp is shown."""
    file.seek(12)
    while len(head := file.read(8)) == 8:
        kind, length = struct.unpack("<4sI", head)
        if kind == b"ANMF":
            start = file.read(16)
            shown = int.from_bytes(start[12:15], "little")
            yield shown if shown > SHORTEST_MS else INSTEAD_MS
            length -= len(start)
        file.seek(length + length % 2, io.SEEK_CUR)


@dataclass(frozen=True)
class _Moving:
    """An animated webp or gif.

    Attributes:
        path: The file.
        kind: Of file, as Pillow calls it.
        shown_ms: How long each picture is shown.
        cut: Whether the end is missing.
    """

    path: Path
    kind: str
    shown_ms: tuple[int, ...]
    cut: bool = False

    def info(self) -> RawInfo:
        usual = float(np.median(self.shown_ms)) if self.shown_ms else 1000 / USUAL_FPS
        return RawInfo(1000 / usual, len(self.shown_ms))

    def frames(self, stored: Stored | None) -> Iterator[RawFrame]:
        from PIL import Image

        start_ms = 0
        try:
            with Image.open(self.path, formats=[self.kind]) as film:
                width, height = film.size
                if width * height > MOST_PIXELS:
                    raise VideoError(f"{self.path}: claims {width} x {height} pixels, more than can be read")
                for number, shown in enumerate(self.shown_ms):
                    film.seek(number)
                    image = np.asarray(film.convert("RGB"), np.uint8)
                    if stored is not None:
                        stored(image)
                    yield RawFrame(number, start_ms / 1000, image)
                    start_ms += shown
        except (OSError, EOFError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise VideoError(f"{self.path}: damaged") from error
        if self.cut:
            raise VideoError(f"{self.path}: ends after frame {len(self.shown_ms) - 1}, cut off or damaged")


def _gif(path: Path, file: BinaryIO) -> "_Moving":
    """A gif, by the blocks of its file up to the last one that is whole."""
    file.seek(10)
    shown, delay, cut = list[int](), 0, False
    try:
        _colours(file, file.read(1)[0], 2)
        while (kind := file.read(1)[0]) != 0x3B:
            if kind == 0x21:
                label = file.read(1)[0]
                inner = _inner(file)
                if label == 0xF9:
                    delay = 10 * int.from_bytes(inner[1:3], "little")
            elif kind == 0x2C:
                _colours(file, file.read(9)[8], 1)
                _inner(file)
                shown.append(delay if delay > SHORTEST_MS else INSTEAD_MS)
                delay = 0
            else:
                raise IndexError(kind)
    except IndexError:
        cut = True
    return _Moving(path, "GIF", tuple(shown), cut)


def _colours(file: BinaryIO, flags: int, further: int) -> None:
    """Passes over a table of colours, if there is one, and some bytes before it."""
    file.seek(further + (3 << ((flags & 7) + 1) if flags & 0x80 else 0), io.SEEK_CUR)


def _inner(file: BinaryIO) -> bytes:
    """The first bytes in a block of a gif, which is passed over."""
    first = b""
    while length := file.read(1)[0]:
        part = file.read(length)
        if len(part) < length:
            raise IndexError(length)
        first = first or part
    return first


# ---- tiff --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Page:
    """A page of a tiff.

    Attributes:
        place: Its number in the file, from 0.
        pixels: As many as it claims.
    """

    place: int
    pixels: int


def _pages(file: BinaryIO) -> Iterator[_Page]:
    """The pages of a tiff, without small copies of others and masks.

    Raises:
        struct.error: When it is damaged.
    """
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    order, kind = file.read(2), file.read(2)
    sign = "<" if order == b"II" else ">"
    large = struct.unpack(f"{sign}H", kind)[0] == 43
    if not large and struct.unpack(f"{sign}H", kind)[0] != 42:
        return
    count, place, size = (f"{sign}Q", f"{sign}Q", 20) if large else (f"{sign}H", f"{sign}I", 12)
    file.seek(8 if large else 4)
    seen, number = set[int](), 0
    (at,) = struct.unpack(place, file.read(struct.calcsize(place)))
    while at and at not in seen and number < MOST_PAGES:
        seen.add(at)
        if at >= end:
            raise struct.error("the next page is behind the end")
        file.seek(at)
        (entries,) = struct.unpack(count, file.read(struct.calcsize(count)))
        if entries > 4096:
            raise struct.error("a page with too many entries")
        table = file.read(entries * size)
        said = {}
        for start in range(0, len(table), size):
            tag, of = struct.unpack_from(f"{sign}HH", table, start)
            if tag in (254, 256, 257):  # what is shown, width, height
                short = "H" if of == 3 else "I"
                (said[tag],) = struct.unpack_from(f"{sign}{short}", table, start + (12 if large else 8))
        if not said.get(254, 0) & 5:  # neither a smaller copy nor a mask
            yield _Page(number, said.get(256, 0) * said.get(257, 0))
        number += 1
        (at,) = struct.unpack(place, file.read(struct.calcsize(place)))


@dataclass(frozen=True)
class _Tiff:
    """A tiff of several pages.

    Attributes:
        path: The file.
        pages: Of it.
        fps: How many are a second.
        cut: Whether more of them are missing.
    """

    path: Path
    pages: tuple[_Page, ...]
    fps: float
    cut: bool

    def info(self) -> RawInfo:
        note = f"{self.path}: its {len(self.pages)} pages are taken for a film of {self.fps:g} frames a second"
        return RawInfo(self.fps, len(self.pages), note)

    def frames(self, stored: Stored | None) -> Iterator[RawFrame]:
        import cv2

        largest = max(page.pixels for page in self.pages)
        if largest > MOST_PIXELS:
            raise VideoError(f"{self.path}: claims {largest:,} pixels a page, more than can be read")
        block = max(1, _BLOCK // max(1, largest))  # to find a page, all before it are looked through
        number, first, images = 0, 0, list[Any]()
        for page in self.pages:
            if not first <= page.place < first + len(images):
                first = page.place
                images = self._read(first, block)
            if not images:
                where = f"after frame {number - 1}" if number else "from its first frame on"
                raise VideoError(f"{self.path}: damaged {where}")
            image = np.asarray(cv2.cvtColor(images[page.place - first], cv2.COLOR_BGR2RGB), np.uint8)
            if stored is not None:
                stored(image)
            yield RawFrame(number, number / self.fps, image)
            number += 1
        if self.cut:
            raise VideoError(f"{self.path}: ends after frame {number - 1}, cut off or damaged")

    def _read(self, first: int, count: int) -> list[Any]:
        """Pages from a first one on, as many as there are; none, where that one is damaged."""
        import cv2

        try:
            return list(cv2.imreadmulti(str(self.path), first, count, flags=cv2.IMREAD_COLOR)[1])
        except cv2.error:
            return []
