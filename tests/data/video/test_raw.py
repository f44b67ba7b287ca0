"""Raw videos of every kind against the frames and times they were made of, and every way in which they are broken."""

import itertools
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from aulight.data.synthetic.dataset import render_video
from aulight.data.video.prepared import stream_frames
from aulight.data.video.raw import raw_frames, raw_info
from aulight.data.video.write import write_video
from aulight.errors import VideoError
from tests.data.video.films import COUNT, Decode, Frames, numbers, until_error


def encode(
    path: Path,
    frames: Sequence[Frames],
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    times_ms: Sequence[int] | None = None,
    container_options: dict[str, str] | None = None,
    rotation: int | None = None,
    sound_s: float = 0,
) -> Path:
    """Any encoder of FFmpeg on any container, 25 frames a second unless ``times_ms`` says otherwise."""
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream: Any = container.add_stream(codec, rate=25, options=options or {})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        if times_ms is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if rotation is not None:
            stream.set_display_rotation(rotation)
        sound: Any = container.add_stream("aac" if path.suffix == ".mp4" else "libopus", 48000) if sound_s else None
        for number, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            if times_ms is not None:
                picture.pts, picture.time_base = times_ms[number], Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
        if sound is not None:
            silence = av.AudioFrame.from_ndarray(np.zeros((1, round(48000 * sound_s)), np.float32), "fltp", "mono")
            silence.sample_rate = 48000
            container.mux(sound.encode(silence))
            container.mux(sound.encode())
    return path


QUIET_HEVC = {"x265-params": "log-level=none"}
KINDS = [
    pytest.param("plain.mp4", "libx264", {}, id="h264 mp4"),
    pytest.param("bframes.avi", "libx264", {"bf": "3"}, id="h264 avi with B-frames"),
    pytest.param("old.avi", "mpeg4", {}, id="mpeg4 avi"),
    pytest.param("oldb.avi", "mpeg4", {"bf": "2"}, id="mpeg4 avi with B-frames"),
    pytest.param("web.webm", "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}, id="vp9 webm"),
    pytest.param("stills.avi", "mjpeg", {}, id="mjpeg avi"),
    pytest.param("new.mp4", "libx265", QUIET_HEVC, id="hevc mp4"),
    pytest.param("open.mkv", "libx264", {"x264-params": "open-gop=1:keyint=20:bframes=3"}, id="open h264 mkv"),
]


@pytest.mark.parametrize(("name", "codec", "options"), KINDS)
def test_every_frame_once_in_order_with_its_time(
    tmp_path: Path, pictures: list[Frames], decode: Decode, name: str, codec: str, options: dict[str, str]
) -> None:
    path = encode(tmp_path / name, pictures, codec, options)
    frames = list(raw_frames(path))
    assert numbers(decode, frames) == [frame.number for frame in frames] == list(range(COUNT))
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(COUNT) / 25, atol=0.001)
    assert frames[0].image.dtype == np.uint8
    assert np.abs(frames[7].image.astype(int) - pictures[7]).mean() < 15
    info = raw_info(path)
    assert info.fps == pytest.approx(25)
    assert info.frames == COUNT


def test_uneven_times_are_kept(tmp_path: Path, pictures: list[Frames], decode: Decode) -> None:
    gaps = np.random.default_rng(1).integers(10, 120, COUNT)
    times = (500 + np.cumsum(gaps)).tolist()  # nor does it start at 0
    frames = list(raw_frames(encode(tmp_path / "uneven.mp4", pictures, times_ms=times)))
    assert numbers(decode, frames) == list(range(COUNT))
    np.testing.assert_allclose([frame.time_s for frame in frames], (np.array(times) - times[0]) / 1000, atol=1e-6)


@pytest.mark.parametrize("size", [64, 112, 48])
def test_prepared_videos_are_scaled_as_for_training(tmp_path: Path, size: int) -> None:
    """The oracle is the decoder that feeds training and evaluation; larger, smaller, and where it takes a detour."""
    for side in (64, 128):
        path = tmp_path / f"{side}.mp4"
        write_video(path, render_video(3, side, 9)[0], 25)
        expected = np.concatenate(list(stream_frames(path, size)))
        scaled = np.stack([frame.image for frame in raw_frames(path, square=size)])
        np.testing.assert_array_equal(scaled, expected)


def test_only_square_pictures_are_scaled(tmp_path: Path) -> None:
    wide = np.zeros((48, 64, 3), np.uint8)
    write_video(tmp_path / "wide.mp4", [wide], 25)
    assert [frame.image.shape for frame in raw_frames(tmp_path / "wide.mp4", square=32)] == [(48, 64, 3)]


@pytest.mark.parametrize(("rotation", "turns"), [(-90, -1), (90, 1), (180, 2)])
def test_pictures_are_turned_upright(tmp_path: Path, rotation: int, turns: int) -> None:
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:24, :32], picture[:24, 32:], picture[24:, :32] = (250, 0, 0), (0, 250, 0), (0, 0, 250)
    path = encode(tmp_path / "phone.mp4", [picture] * 3, options={"crf": "4"}, rotation=rotation)
    frames = list(raw_frames(path))
    expected = np.rot90(picture, turns).astype(int)
    for frame in frames:
        assert frame.image.shape == expected.shape
        assert frame.image.flags.c_contiguous
        assert np.abs(frame.image - expected).mean() < 8


def test_mirrored_pictures_are_mirrored_back(tmp_path: Path) -> None:
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:, :20] = 250
    path = encode(tmp_path / "selfie.mp4", [picture] * 3, options={"crf": "4"}, rotation=180)
    # in the header of the track: x' = -x, y' = -y becomes x' = -x, y' = y
    one, minus = (1 << 16).to_bytes(4, "big"), (-1 << 16).to_bytes(4, "big", signed=True)
    zeros = bytes(12)
    data = path.read_bytes()
    assert data.count(minus + zeros + minus) == 1
    path.write_bytes(data.replace(minus + zeros + minus, minus + zeros + one))
    image = next(raw_frames(path)).image
    assert np.abs(image.astype(int) - picture[:, ::-1]).mean() < 8


def test_pixels_are_made_square(tmp_path: Path) -> None:
    path = tmp_path / "wide.mp4"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 72, 56, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(16, 9)
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((56, 72, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode())
    assert next(raw_frames(path)).image.shape == (56, 128, 3)


@pytest.mark.parametrize("sound_s", [3.6, 9.0])
@pytest.mark.parametrize("name", ["film.mp4", "film.mkv"])
def test_sound_is_passed_over(
    tmp_path: Path, pictures: list[Frames], decode: Decode, name: str, sound_s: float
) -> None:
    path = encode(tmp_path / name, pictures, sound_s=sound_s)
    assert numbers(decode, list(raw_frames(path))) == list(range(COUNT))


def test_one_frame_is_a_video(tmp_path: Path, pictures: list[Frames]) -> None:
    write_video(tmp_path / "one.mp4", pictures[:1], 25)
    (frame,) = raw_frames(tmp_path / "one.mp4")
    assert (frame.number, frame.time_s, frame.image.shape) == (0, 0.0, (64, 64, 3))
    assert raw_info(tmp_path / "one.mp4").frames == 1


def test_sizes_may_be_odd(tmp_path: Path) -> None:
    picture = np.full((45, 33, 3), (200, 60, 10), np.uint8)
    picture[:, 20:] = 30
    frames = list(raw_frames(encode(tmp_path / "odd.avi", [picture] * 3, "mjpeg")))
    assert [frame.image.shape for frame in frames] == [(45, 33, 3)] * 3
    assert np.abs(frames[1].image.astype(int) - picture).mean() < 8


def test_a_video_cut_out_before_a_key_frame_of_an_open_group_is_read(tmp_path: Path, pictures: list[Frames]) -> None:
    whole = encode(
        tmp_path / "whole.mp4", pictures, options={"x264-params": "open-gop=1:keyint=30:bframes=3:scenecut=0"}
    )
    with av.open(str(whole)) as source, av.open(str(tmp_path / "cut.mp4"), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        keys = 0
        for packet in source.demux(stream):
            keys += packet.is_keyframe
            if keys > 1 and packet.dts is not None:
                packet.stream = copy
                target.mux(packet)
    frames = list(raw_frames(tmp_path / "cut.mp4"))
    assert 55 <= len(frames) <= 62
    assert all(later.time_s > frame.time_s for frame, later in itertools.pairwise(frames))


def test_a_file_that_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video\n" * 200)
    encode_sound = tmp_path / "sound.mp4"
    with av.open(str(encode_sound), "w") as container:
        stream: Any = container.add_stream("aac", 48000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 48000), np.float32), "fltp", "mono")
        silence.sample_rate = 48000
        container.mux(stream.encode(silence))
        container.mux(stream.encode())
    for name, says in (
        ("empty.mp4", "empty"),
        ("text.mp4", "not a readable video"),
        ("sound.mp4", "no pictures"),
        ("missing.mp4", "no such video"),
    ):
        assert says in until_error(tmp_path / name)[1]
        with pytest.raises(VideoError, match=says):
            raw_info(tmp_path / name)


BROKEN = 50
"""The stored frame in which files are broken."""
DELAY = 4
"""Frames that a decoder may hold back, or that are stored before others that are shown first."""


def middle_of(path: Path) -> int:
    """Where in the file the middle of the stored frame :data:`BROKEN` is."""
    with av.open(str(path)) as container:
        packet = next(itertools.islice(container.demux(video=0), BROKEN, None))
        assert packet.pos is not None
        return packet.pos + packet.size // 2


FAST_START = {"movflags": "faststart"}
TRUNCATED = [
    pytest.param("first.mp4", "libx264", {}, FAST_START, id="mp4"),
    pytest.param("first.avi", "mpeg4", {}, {}, id="mpeg4 avi"),
    pytest.param("bframes.avi", "libx264", {"bf": "3"}, {}, id="h264 avi with B-frames"),
    pytest.param("stills.avi", "mjpeg", {}, {}, id="mjpeg avi"),
    pytest.param("web.webm", "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}, {}, id="webm"),
    pytest.param("new.mp4", "libx265", QUIET_HEVC, FAST_START, id="hevc mp4"),
]


@pytest.mark.parametrize(("name", "codec", "options", "container_options"), TRUNCATED)
def test_a_video_that_is_cut_off_says_where(
    tmp_path: Path,
    pictures: list[Frames],
    decode: Decode,
    name: str,
    codec: str,
    options: dict[str, str],
    container_options: dict[str, str],
) -> None:
    path = encode(tmp_path / name, pictures, codec, options, container_options=container_options)
    path.write_bytes(path.read_bytes()[: middle_of(path)])
    frames, says = until_error(path)
    assert says.startswith(f"{path}: ends at frame {len(frames)} of {COUNT}")
    assert BROKEN - DELAY <= len(frames) <= BROKEN
    assert numbers(decode, frames) == list(range(len(frames)))


def test_a_video_whose_end_holds_its_index_is_unreadable_when_cut_off(tmp_path: Path, pictures: list[Frames]) -> None:
    path = encode(tmp_path / "last.mp4", pictures)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert "cut off" in until_error(path)[1]


@pytest.mark.parametrize(("name", "codec", "options"), KINDS)
def test_damage_in_the_middle_says_where(
    tmp_path: Path, pictures: list[Frames], decode: Decode, name: str, codec: str, options: dict[str, str]
) -> None:
    path = encode(tmp_path / name, pictures, codec, options)
    data, middle = bytearray(path.read_bytes()), middle_of(path)
    data[middle : middle + 2500] = np.random.default_rng(2).bytes(2500)
    path.write_bytes(data)
    frames, says = until_error(path)
    sound = numbers(decode, frames[: BROKEN - DELAY])
    assert sound == list(range(BROKEN - DELAY))
    if says == f"{path}: damaged after frame {len(frames) - 1}":
        assert len(frames) <= BROKEN + DELAY
    else:  # some containers lose what is damaged without a word
        assert says == f"{path}: ends at frame {len(frames)} of {COUNT}, cut off or damaged"


def test_frames_that_an_avi_leaves_out_are_neither_missing_nor_counted(tmp_path: Path, pictures: list[Frames]) -> None:
    times = [40 * (number + 30 * (number >= 10)) for number in range(20)]
    frames = list(raw_frames(encode(tmp_path / "gap.avi", pictures[:20], "mjpeg", times_ms=times)))
    assert [frame.number for frame in frames] == list(range(20))
    np.testing.assert_allclose([frame.time_s for frame in frames], np.array(times) / 1000)


def test_damage_at_the_start(tmp_path: Path, pictures: list[Frames]) -> None:
    path = encode(tmp_path / "stills.avi", pictures, "mjpeg")
    data = path.read_bytes()
    start = data.index(b"\xff\xd8")
    path.write_bytes(data[:start] + bytes(2000) + data[start + 2000 :])
    frames, says = until_error(path)
    assert frames == []
    assert "damaged from its first frame" in says
