"""Avatars as other people's files have faces: films of any format and rate, folders of pictures, tables of codes."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2

from aulight.data.avatars.scene import Image
from aulight.data.video.write import X264
from aulight.files import whole

_CODECS: dict[str, tuple[str, dict[str, str]]] = {
    ".avi": ("mpeg4", {"qmin": "4", "qmax": "4"}),
    ".mp4": ("libx264", {"crf": "21", "preset": "veryfast", "x264-params": X264}),
}
_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 85]


@contextmanager
def film(path: Path, rate: Fraction) -> Iterator[Callable[[Image], None]]:
    """Encodes a film as cameras and websites do, unlike prepared videos: MPEG-4 in avi; h264 with B-frames in mp4.

    Args:
        path: Where it goes, whole, at the end of the block; ends in ``.avi`` or ``.mp4``.
        rate: Frames a second.

    Yields:
        Takes one frame after another: ``(H, W, 3)`` uint8 RGB, all of one size, even.
    """
    import av

    codec, options = _CODECS[path.suffix]
    with whole(path) as temporary, av.open(str(temporary), "w", format=path.suffix[1:]) as container:
        stream: Any = container.add_stream(codec, rate=rate)
        stream.thread_count = 1  # the same bytes however many cores there are
        stream.pix_fmt, stream.options = "yuv420p", options

        def add(picture: Image) -> None:
            if not stream.codec_context.is_open:
                stream.height, stream.width = picture.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))

        yield add
        container.mux(stream.encode())


def write_picture(path: Path, picture: Image) -> None:
    """Writes ``(H, W, 3)`` uint8 RGB as a .jpg."""
    path.write_bytes(cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), _QUALITY)[1].tobytes())


def write_codes(path: Path, frames: Iterable[int], codes: Iterable[int]) -> None:
    """Writes a label file of one AU as DISFA and BP4D have them: ``frame,intensity`` a line, no header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{frame},{code}\n" for frame, code in zip(frames, codes, strict=True)))
