"""Raw videos of every kind against the frames and times they were made of, and every way in which they are broken."""

import itertools
import zipfile
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest

from aulight.data.synthetic.dataset import render_video
from aulight.data.video.prepared import stream_frames
from aulight.data.video.raw import raw_frames, raw_info
from aulight.data.video.types import RawFrame
from aulight.data.video.write import write_video
from aulight.errors import AulightError, VideoError

Frames = npt.NDArray[np.uint8]
Coded = Callable[..., Iterator[Frames]]
Decode = Callable[[Frames], list[tuple[int, int]]]
COUNT = 90


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


@pytest.fixture(scope="module")
def pictures(coded: Coded) -> list[Frames]:
    """Coded pictures with noise in one corner: a file of them has bytes to break all over."""
    noise = np.random.default_rng(0).integers(-25, 25, (COUNT, 64, 64, 1))
    return [(frame + grain).clip(0, 255).astype(np.uint8) for frame, grain in zip(coded(5, COUNT), noise, strict=True)]


def numbers(decode: Decode, frames: Sequence[RawFrame]) -> list[int]:
    return [number for _, number in decode(np.stack([frame.image for frame in frames]))]


def until_error(path: Path, **options: Any) -> tuple[list[RawFrame], str]:
    """What is given before the error, and what it says."""
    frames: list[RawFrame] = []
    with pytest.raises(VideoError) as error:
        frames.extend(raw_frames(path, **options))  # extends one by one
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    return frames, str(error.value)


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


# What a phone writes for a turn of 90 degrees clockwise is, in FFmpeg's words, a rotation of -90.
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


@pytest.mark.parametrize(
    ("names", "ordered", "expected"),
    [
        (["f_0012.png", "f_9.png", "f_100.png"], ["f_9.png", "f_0012.png", "f_100.png"], [9, 12, 100]),
        (["SN1_11.png", "SN1_3.png"], ["SN1_3.png", "SN1_11.png"], [3, 11]),
        (["b10.png", "a1.png", "a20.png", "a3.png"], ["a1.png", "a3.png", "a20.png", "b10.png"], [0, 1, 2, 3]),
        (["left.png", "right.png", "7.png"], ["7.png", "left.png", "right.png"], [0, 1, 2]),
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
