"""Parts of films: the oracle is the whole film, read from its start."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from aulight.data.video.opened import opened
from aulight.data.video.part import Part, turned
from aulight.data.video.raw import part_frames, raw_frames
from aulight.data.video.seeking import Inexact, decoded_from
from aulight.data.video.types import RawFrame
from aulight.errors import VideoError

FPS = 25.0
NONE = np.zeros((2, 3, 3), np.uint8)
X264 = {"x264-params": "keyint=30:scenecut=0:bframes=3"}
VP9 = {"g": "30", "deadline": "realtime", "cpu-used": "8"}
VP8 = VP9 | {"cpu-used": "16", "auto-alt-ref": "1", "lag-in-frames": "10"}


def encoded(path: Path, codec: str = "libx264", options: dict[str, str] | None = None, count: int = 100) -> Path:
    """A film whose frames all differ, with a key frame in every 30."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(
            codec, rate=25, options=options or {"x264-params": "keyint=30:scenecut=0:bframes=3"}
        )
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(count):
            image = np.zeros((48, 64, 3), np.uint8)
            image[:, : (3 * number) % 64] = (7 * number) % 256
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


FILMS: dict[str, Callable[[Path], Path]] = {
    "b-frames.mp4": lambda path: encoded(path),
    "open groups.mkv": lambda path: encoded(path, options={"x264-params": "keyint=30:bframes=3:open-gop=1"}),
    "mpeg4.mp4": lambda path: encoded(path, "mpeg4"),
    "vp9.webm": lambda path: encoded(path, "libvpx-vp9", VP9),
    "vp8.webm": lambda path: encoded(
        path, "libvpx", VP9 | {"cpu-used": "16", "auto-alt-ref": "1", "lag-in-frames": "10"}
    ),
    "stream.ts": lambda path: encoded(path),
}


@pytest.mark.parametrize("name", FILMS)
def test_a_part_is_the_same_as_in_the_whole(name: str, tmp_path: Path) -> None:
    film = FILMS[name](tmp_path / name)
    whole = list(raw_frames(film))
    for start, end in ((0.0, 0.3), (1.23, 1.5), (2.6, 2.61), (3.9, None)):
        part = list(part_frames(film, FPS, None, Part(start, end), FPS))
        stop = 1e9 if end is None else end
        expected = [frame for frame in whole if start - 1e-6 <= frame.time_s < stop - 1e-6]
        assert [(frame.number, frame.time_s) for frame in part] == [(frame.number, frame.time_s) for frame in expected]
        assert [frame.place for frame in part] == [frame.number for frame in expected]
        for one, other in zip(part, expected, strict=True):
            np.testing.assert_array_equal(one.image, other.image)
    with pytest.raises(VideoError, match=r"start=100: its last frame is at \d+\.\d+ s"):
        list(part_frames(film, FPS, None, Part(100.0), FPS))


def test_what_is_before_a_part_is_not_decoded(tmp_path: Path) -> None:
    """The first frame of all and those from the key frame on; a format without times is read from its start."""
    with opened(encoded(tmp_path / "film.mp4")) as film:
        assert [number for number, _ in decoded_from(film, 2.5)] == [0, *range(60, 100)]
    with opened(encoded(tmp_path / "film.ts")) as film, pytest.raises(Inexact):
        next(decoded_from(film, 2.5))


def test_a_damaged_film_says_so_as_ever(tmp_path: Path) -> None:
    film = encoded(tmp_path / "film.mp4")
    data = bytearray(film.read_bytes())
    film.write_bytes(data[: len(data) // 2])
    for part in (Part(), Part(0.5)):
        with pytest.raises(VideoError, match="film"):
            list(part_frames(film, FPS, None, part, FPS))


def taken(part: Part, count: int = 26, fps: float = FPS) -> list[tuple[int, bool]]:
    film = ((number, RawFrame(number, number / fps, NONE)) for number in range(count))
    return [(frame.number, frame.between) for frame in part.frames(film, fps, "film")]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (Part(every=10), [0, 10, 20]),
        (Part(start_s=0.2, every=10), [5, 15, 25]),
        (Part(rate=5), [0, 5, 10, 15, 20, 25]),
        (Part(rate=10), [0, 3, 5, 8, 10, 13, 15, 18, 20, 23, 25]),
        (Part(rate=1000), list(range(26))),
        (Part(start_s=0.4, end_s=0.52), [10, 11, 12]),
    ],
)
def test_which_frames_are_taken(part: Part, expected: list[int]) -> None:
    """By hand."""
    assert taken(part) == [(number, False) for number in expected]
    assert part.count(26, FPS) == pytest.approx(len(expected), abs=1) or part.rate == 1000


@pytest.mark.parametrize(
    ("part", "wanted", "between"),
    [
        (Part(every=8, step_s=0.16), [0, 8, 16, 24], [4, 12, 20]),
        (Part(every=4, step_s=0.16), [0, 4, 8, 12, 16, 20, 24], []),
        (Part(every=2, step_s=0.16), list(range(0, 26, 2)), []),
        (Part(rate=1, step_s=0.16), [0, 25], [4, 8, 11, 15, 18, 22]),
        (Part(every=10, step_s=None), [0, 10, 20], []),
    ],
)
def test_a_recurrence_gets_frames_a_step_apart(part: Part, wanted: list[int], between: list[int]) -> None:
    """By hand: no two frames are further apart than a step of the model, and a frame's rounding."""
    found = taken(part)
    assert [number for number, only in found if not only] == wanted
    if part.step_s is not None:
        assert max(np.diff([number for number, _ in found])) <= part.step_s * FPS + 1
    assert len([number for number, only in found if only]) == len(between)


def test_pictures_are_turned_clockwise() -> None:
    picture = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    assert turned(picture, 90)[0, -1].tolist() == picture[0, 0].tolist()
    assert turned(picture, 180)[-1, -1].tolist() == picture[0, 0].tolist()
    assert turned(picture, 270)[-1, 0].tolist() == picture[0, 0].tolist()
    assert turned(picture, 0) is picture
    film = ((number, replace(RawFrame(number, 0.0, picture))) for number in range(1))
    (frame,) = Part(degrees=90).frames(film, FPS, "film")
    assert frame.image.shape == (3, 2, 3)


def test_pictures_that_are_numbered_keep_their_places(tmp_path: Path) -> None:
    import cv2

    for number in range(40, 60):
        cv2.imwrite(str(tmp_path / f"{number}.png"), NONE)
    part = list(part_frames(tmp_path, 10.0, None, Part(0.5, 1.0, every=2), 10.0))
    assert [(frame.number, frame.place, frame.time_s) for frame in part] == [(45, 5, 0.5), (47, 7, 0.7), (49, 9, 0.9)]
    with pytest.raises(VideoError, match=r"start=9: its last frame is at 1\.900 s"):
        list(part_frames(tmp_path, 10.0, None, Part(9.0), 10.0))
