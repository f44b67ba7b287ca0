"""Videos as they are written: what is in the file, and what is left when it fails."""

from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from aulight.data.synthetic.dataset import render_video
from aulight.data.video.prepared import Reader
from aulight.data.video.raw import raw_frames
from aulight.data.video.write import GOP, LONGEST_SIDE, write_video
from aulight.errors import VideoError
from tests.data.video.films import LENGTH, Coded, Decode, Frames


def test_file_has_closed_short_groups_of_pictures_without_b_frames(video: Path) -> None:
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert stream.average_rate == 25
        packets = [packet for packet in container.demux(stream) if packet.size]
        assert [place for place, packet in enumerate(packets) if packet.is_keyframe] == list(range(0, LENGTH, GOP))
        assert all(packet.pts == packet.dts for packet in packets), "frames are stored in the order they are shown"
    with av.open(str(video)) as container:
        kinds = [av.video.frame.PictureType(frame.pict_type).name for frame in container.decode(video=0)]
    assert set(kinds) == {"I", "P"}


@pytest.mark.parametrize("gop", [1, 5])
def test_key_frames_lie_as_far_apart_as_is_wished(tmp_path: Path, coded: Coded, decode: Decode, gop: int) -> None:
    write_video(tmp_path / "some.mp4", coded(5, 23), 25, gop=gop)
    with av.open(str(tmp_path / "some.mp4")) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    assert [place for place, packet in enumerate(packets) if packet.is_keyframe] == list(range(0, 23, gop))
    assert decode(Reader(tmp_path / "some.mp4").read([22, 3, 17])) == [(5, 22), (5, 3), (5, 17)]


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([], "no frames to write"),
        ([(33, 32)], "even width and height, got 32x33"),
        ([(32, 33)], "even width and height, got 33x32"),
        ([(32, 32), (32, 34)], "frame 1 is 34x32, the ones before 32x32"),
    ],
)
def test_frames_that_make_no_video_leave_nothing(tmp_path: Path, shapes: list[tuple[int, int]], message: str) -> None:
    path = tmp_path / "odd.mp4"
    with pytest.raises(VideoError, match=message) as caught:
        write_video(path, (np.zeros((*shape, 3), np.uint8) for shape in shapes), 25)
    assert str(path) in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, ValueError])
def test_an_interrupted_write_leaves_what_was_there(
    tmp_path: Path, coded: Coded, interruption: type[BaseException]
) -> None:
    def cut() -> Iterator[Frames]:
        yield from coded(0, 20)
        raise interruption

    with pytest.raises(interruption):
        write_video(tmp_path / "new.mp4", cut(), 25)
    assert not list(tmp_path.iterdir())
    write_video(tmp_path / "old.mp4", coded(0, 3), 25)
    with pytest.raises(interruption):
        write_video(tmp_path / "old.mp4", cut(), 25)
    assert [path.name for path in tmp_path.iterdir()] == ["old.mp4"]
    assert len(Reader(tmp_path / "old.mp4")) == 3


@pytest.mark.parametrize("gop", [12, 4, 2, 1])
@pytest.mark.parametrize("size", [(32, 32), (40, 40), (48, 48), (64, 64), (96, 64), (112, 112)])
def test_same_frames_same_bytes_whatever_is_in_memory(tmp_path: Path, size: tuple[int, int], gop: int) -> None:
    rng, path, found = np.random.default_rng(0), tmp_path / "one.mp4", set[bytes]()
    frames = [cv2.resize(frame, size) for frame in render_video(3, 96, 14)[0]]
    for _ in range(100):
        left = [np.full(rng.integers(100, 9000), rng.integers(255), np.uint8) for _ in range(60)]
        del left[::2]  # memory that an encoder gets is not empty, and another each time
        write_video(path, frames, 25, gop=gop)
        found.add(path.read_bytes())
    assert len(found) == 1


def _times(path: Path) -> list[float]:
    """When a player shows each frame, by the file's own timestamps."""
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0)]


UNEVEN = {
    "late": [0.5 + number / 25 for number in range(30)],
    "uneven": [0.0, 0.033, 0.1, 0.101, 1.7, 1.733, 2.5, 60.0, 60.02, 3600.5],
    "even": [number / 30 for number in range(30)],
    "NTSC": [number * 1001 / 30000 for number in range(300)],
}


@pytest.mark.parametrize("name", UNEVEN)
def test_frames_are_shown_when_they_are_to_be(name: str, tmp_path: Path, coded: Coded, decode: Decode) -> None:
    times, path = UNEVEN[name], tmp_path / "a.mp4"
    assert write_video(path, coded(3, len(times)), 25, times=times) == len(times)
    shown = [0.0, *times[1:]]
    assert _times(path) == pytest.approx(shown, abs=1e-5)
    frames = list(raw_frames(path))
    assert [frame.time_s for frame in frames] == pytest.approx(shown, abs=1e-5)
    assert decode(np.stack([frame.image for frame in frames])) == [(3, number) for number in range(len(times))]


def test_times_that_do_not_rise_lose_no_frame(tmp_path: Path, coded: Coded) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, coded(3, 5), 25, times=[0.0, 0.0, 0.04, 0.02, 1e9])
    found = _times(path)
    assert found[:4] == pytest.approx([0, 1 / 90_000, 0.04, 0.04 + 1 / 90_000], abs=1e-7)
    assert len(found) == 5
    assert found == sorted(found)


@pytest.mark.parametrize("shape", [(LONGEST_SIDE + 2, 16, 3), (16, LONGEST_SIDE + 2, 3)])
def test_pictures_that_the_encoder_does_not_take(shape: tuple[int, ...], tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"a\.mp4: cannot be encoded"):
        write_video(tmp_path / "a.mp4", [np.zeros(shape, np.uint8)], 25)
    assert list(tmp_path.iterdir()) == []
