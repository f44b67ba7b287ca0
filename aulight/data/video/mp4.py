"""Where the frames of a prepared video lie in its file: what its mp4 says, read without a decoder.

A library that opens an mp4 decodes some of it to see what is there, which takes as long as reading a clip. Of files as
:func:`aulight.data.video.write.write_video` makes them all that is needed stands in five tables.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Part = Callable[[int, int], bytes | memoryview]
"""Some bytes of a file, by offset and size."""

MOST_FRAMES = 10_000_000
"""Of a file: four days."""

MOST_PIXELS = 2**24
"""Of a picture."""

_ENTRY = 78
"""Bytes of a track's description before the boxes in it."""


@dataclass(frozen=True)
class Track:
    """The pictures of a file, which are shown in the order in which they lie there.

    Attributes:
        offsets: ``(frames,)`` int64, where in the file each is.
        sizes: ``(frames,)`` int64, its bytes.
        keys: Ascending numbers of those that can be decoded without others.
        extradata: What the decoder must know of all.
        width: Pixels.
        height: Pixels.
    """

    offsets: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    keys: npt.NDArray[np.int64]
    extradata: bytes
    width: int
    height: int


def track_of(read: Part) -> Track:
    """The one track of pictures in an mp4.

    Args:
        read: Gives bytes of the file.

    Raises:
        ValueError: When it is no file as ``write_video`` makes them.
        VideoError: As ``read`` does.
    """
    for box in _boxes(_tables(read)):
        if box[0] == b"trak" and (found := _track(box[1])) is not None:
            return found
    raise ValueError("no track of h264")


def _tables(read: Part) -> memoryview:
    """The box with all tables."""
    offset = 0
    while True:
        head = bytes(read(offset, 8))
        size, kind, began = int.from_bytes(head[:4], "big"), head[4:], 8
        if size == 1:
            size, began = int.from_bytes(read(offset + 8, 8), "big"), 16
        if not began <= size < 2**48 or not kind.isalnum():
            raise ValueError("no mp4")
        if kind == b"moov":
            return memoryview(read(offset + began, size - began))
        offset += size


def _boxes(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """The boxes that lie one after another in some bytes, with their kinds."""
    while len(data) >= 8:
        size = int.from_bytes(data[:4], "big")
        if not 8 <= size <= len(data):
            raise ValueError("a box that does not end")
        yield bytes(data[4:8]), data[8:size]
        data = data[size:]


def _boxed(data: memoryview) -> dict[bytes, memoryview]:
    """The same boxes by their kinds."""
    return dict(_boxes(data))


def _inside(data: memoryview, *kinds: bytes) -> dict[bytes, memoryview]:
    """The boxes in a box in a box; none where one of them is not there."""
    for kind in kinds:
        data = _boxed(data).get(kind, memoryview(b""))
    return _boxed(data)


def _track(data: memoryview) -> Track | None:
    """A track, or ``None`` where it is not of h264."""
    tables = _inside(data, b"mdia", b"minf", b"stbl")
    if not {b"stsd", b"stsz", b"stsc"} <= tables.keys():
        return None
    kind, entry = next(_boxes(tables[b"stsd"][8:]), (b"", memoryview(b"")))
    config = _boxed(entry[_ENTRY:]).get(b"avcC") if kind == b"avc1" else None
    if config is None:
        return None
    if b"ctts" in tables:
        raise ValueError("frames that are not shown in their order")
    sizes = _sizes(tables[b"stsz"])
    keys = _numbers(tables[b"stss"][4:], 1)[:, 0] - 1 if b"stss" in tables else np.arange(len(sizes))
    if not len(sizes) or not len(keys) or keys[0] != 0 or keys[-1] >= len(sizes) or (np.diff(keys) <= 0).any():
        raise ValueError("no frame to begin with")
    width, height = (int.from_bytes(entry[at : at + 2], "big") for at in (24, 26))
    if not 0 < width * height <= MOST_PIXELS:
        raise ValueError("pictures of a size that cannot be")
    return Track(_offsets(tables, sizes), sizes, keys, bytes(config), width, height)


def _numbers(data: memoryview, columns: int, bytes_each: int = 4) -> npt.NDArray[np.int64]:
    """A table that begins with how many rows it has."""
    rows = int.from_bytes(data[:4], "big")
    if len(data) < 4 + rows * columns * bytes_each:
        raise ValueError("a table that is cut off")
    values = np.frombuffer(data, f">u{bytes_each}", rows * columns, offset=4)
    return values.astype(np.int64).reshape(rows, columns)


def _sizes(data: memoryview) -> npt.NDArray[np.int64]:
    all_alike = int.from_bytes(data[4:8], "big")
    if not all_alike:
        return _numbers(data[8:], 1)[:, 0]
    return np.full(min(int.from_bytes(data[8:12], "big"), MOST_FRAMES), all_alike, np.int64)


def _offsets(tables: dict[bytes, memoryview], sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Frames lie in chunks one after another; it is said where each chunk begins, and from which on how many it has."""
    long = b"co64" in tables
    if not long and b"stco" not in tables:
        raise ValueError("nothing says where frames lie")
    chunks = _numbers((tables[b"co64"] if long else tables[b"stco"])[4:], 1, 8 if long else 4)[:, 0]
    of_chunks = _numbers(tables[b"stsc"][4:], 3)
    first, each = of_chunks[:, 0] - 1, of_chunks[:, 1]
    if not len(first) or first[0] != 0 or (np.diff(first) <= 0).any() or first[-1] >= len(chunks):
        raise ValueError("chunks that are not there")
    count = np.repeat(each, np.diff(np.append(first, len(chunks))))
    if int(count.sum()) != len(sizes):
        raise ValueError("another number of frames than of sizes")
    ends: npt.NDArray[np.int64] = np.cumsum(sizes)
    begin = np.append(0, ends)[np.append(0, np.cumsum(count))[:-1]]  # of each chunk, were all frames one after another
    offsets: npt.NDArray[np.int64] = ends - sizes + np.repeat(chunks - begin, count)
    return offsets
