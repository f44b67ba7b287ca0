"""Videos with covers, several streams, metadata, clocks and sizes that are not the usual ones.

The oracles are the frames and times that the files were made of.
"""

import io
import os
import socket
import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition
from PIL import Image, ImageCms

from aulight.data.video.raw import late_start, raw_frames, raw_info
from aulight.data.video.types import VIDEO_SUFFIXES
from aulight.data.video.write import write_video
from aulight.errors import VideoError
from tests.data.video.films import Coded, Decode, Frames, added, encoded, late, mux, numbers, silence, until_error

COUNT = 20


def _stored(container: Any, stream: Any, pictures: Sequence[bytes]) -> None:
    """Pictures that are encoded already."""
    for number, data in enumerate(pictures):
        packet = av.Packet(data)
        packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, 25), True
        packet.pts = packet.dts = number
        packet.duration = 1
        container.mux(packet)


def _jpeg(image: Frames, kind: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, **options)
    return buffer.getvalue()


def _browser(path: Path, frames: Sequence[Frames], times_ms: Sequence[int], sound_s: float = 0) -> Path:
    """As browsers record: no length, no rate, times in milliseconds."""
    with av.open(str(path), "w", options={"live": "1"}) as container:
        stream = added(container, "libvpx", (64, 64), times=True)
        packets = silence(container, sound_s) if sound_s else []
        mux(container, packets + encoded(stream, frames, times_ms))
    data = path.read_bytes()
    rate = b"\x23\xe3\x83\x84"  # how long a frame is: 4 bytes follow
    assert data.count(rate) == 1
    start = data.index(rate)
    path.write_bytes(data[:start] + b"\xec\x86" + bytes(6) + data[start + 8 :])  # 6 bytes of nothing
    return path


# ---- covers and several streams ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["film.mp4", "film.mov", "film.mkv"])
@pytest.mark.parametrize("called", [True, False], ids=["called a cover", "not called one"])
def test_a_cover_in_the_first_stream_is_passed_over(
    tmp_path: Path, pictures: list[Frames], decode: Decode, name: str, called: bool
) -> None:
    with av.open(str(tmp_path / name), "w") as container:
        cover = added(container, "mjpeg", (400, 400))
        if called:
            cover.disposition = Disposition.attached_pic
        packets = encoded(added(container, "libx264", (64, 64)), pictures[:COUNT])
        _stored(container, cover, [_jpeg(np.full((400, 400, 3), 90, np.uint8))])
        mux(container, packets)
    assert numbers(decode, list(raw_frames(tmp_path / name))) == list(range(COUNT))
    assert raw_info(tmp_path / name).frames == COUNT
    assert raw_info(tmp_path / name).note is None


def test_an_attached_picture_is_passed_over(tmp_path: Path, pictures: list[Frames], decode: Decode) -> None:
    cover = _jpeg(np.full((400, 400, 3), 90, np.uint8))
    for name in ("film.mkv", "sound.mkv"):
        with av.open(str(tmp_path / name), "w") as container:
            packets = silence(container, 0.2)
            if name == "film.mkv":
                packets += encoded(added(container, "libx264", (64, 64)), pictures[:COUNT])
            container.add_attachment("cover.jpg", "image/jpeg", cover)
            mux(container, packets)
    assert numbers(decode, list(raw_frames(tmp_path / "film.mkv"))) == list(range(COUNT))
    assert "no pictures but a cover" in until_error(tmp_path / "sound.mkv")[1]


@pytest.mark.parametrize("name", ["two.mp4", "two.mkv"])
@pytest.mark.parametrize(("sizes", "default", "read"), [((64, 128), None, 1), ((128, 64), None, 0), ((64, 64), 1, 1)])
def test_of_several_videos_the_chosen_or_largest_is_read(
    tmp_path: Path, pictures: list[Frames], name: str, sizes: tuple[int, int], default: int | None, read: int
) -> None:
    with av.open(str(tmp_path / name), "w") as container:
        streams = [added(container, "libx264", (size, size)) for size in sizes]
        for place, stream in enumerate(streams):
            chosen = place == (read if default is None else default)
            stream.disposition = Disposition.default if chosen else Disposition(0)
        packets = []
        for place, (stream, size) in enumerate(zip(streams, sizes, strict=True)):
            packets += encoded(stream, [np.full((size, size, 3), 60 + 120 * place, np.uint8)] * (5 + place))
        mux(container, packets)
    frames = list(raw_frames(tmp_path / name))
    assert len(frames) == 5 + read
    assert frames[0].image.shape == (sizes[read], sizes[read], 3)
    assert abs(frames[0].image.mean() - (60 + 120 * read)) < 3
    note = raw_info(tmp_path / name).note
    assert note is not None
    assert f"holds 2 videos; stream {read} ({sizes[read]} x {sizes[read]}) is read" in note


# ---- rates and times ---------------------------------------------------------------------------------------------


def test_the_rate_of_a_browsers_recording_is_that_of_its_times(
    tmp_path: Path, pictures: list[Frames], decode: Decode
) -> None:
    gaps = np.random.default_rng(3).integers(20, 90, COUNT)
    recordings = {
        30: [round(1000 * number / 30) for number in range(COUNT)],
        60: [round(1000 * number / 60) for number in range(COUNT)],
        30000 / 1001: [round(1001 * number / 30) for number in range(COUNT)],
        (COUNT - 1) / (int(gaps[1:].sum()) / 1000): np.cumsum(gaps).tolist(),
    }
    for rate, times in recordings.items():
        path = _browser(tmp_path / "call.webm", pictures[:COUNT], times)
        info, frames = raw_info(path), list(raw_frames(path))
        assert info.fps == pytest.approx(rate, rel=1e-3)
        assert info.frames == COUNT
        assert numbers(decode, frames) == list(range(COUNT))
        np.testing.assert_allclose([f.time_s for f in frames], (np.array(times) - times[0]) / 1000, atol=1e-6)


def test_a_single_frame_has_the_usual_rate(tmp_path: Path, pictures: list[Frames]) -> None:
    info = raw_info(_browser(tmp_path / "one.webm", pictures[:1], [0]))
    assert (info.fps, info.frames) == (25, 1)


@pytest.mark.parametrize("flags", ["", "frag_keyframe+empty_moov+default_base_moof"])
def test_the_rate_of_uneven_times_is_their_mean(tmp_path: Path, pictures: list[Frames], flags: str) -> None:
    times = np.cumsum(np.random.default_rng(4).integers(20, 90, COUNT)).tolist()
    with av.open(str(tmp_path / "phone.mp4"), "w", options={"movflags": flags} if flags else {}) as container:
        stream = added(container, "libx264", (64, 64), times=True)
        stream.options = {"bf": "0"}  # with B-frames, mp4 lists when frames are decoded, not when they are shown
        mux(container, encoded(stream, pictures[:COUNT], times))
    fps = raw_info(tmp_path / "phone.mp4").fps
    assert fps == pytest.approx(1000 * (COUNT - 1) / (times[-1] - times[0]), rel=0.02)


@pytest.mark.parametrize("name", ["call.mp4", "call.mkv", "call.webm"])
@pytest.mark.parametrize("rate", [30, 25, 15, 30000 / 1001])
def test_the_rate_is_that_of_the_usual_step(tmp_path: Path, pictures: list[Frames], name: str, rate: float) -> None:
    """Of a camera whose times are a bit off, with a pause, with lost frames, and with a first frame before the rest."""
    even = 1000 * np.arange(COUNT) / rate
    off = even + np.random.default_rng(5).normal(0, 0.5, COUNT)
    lost = np.sort(np.random.default_rng(6).choice(round(1.15 * COUNT), COUNT, replace=False))
    odd = {
        "off": off - off[0],
        "pause": even + 5000 * (np.arange(COUNT) >= 40),
        "lost": 1000 * lost / rate,
        "early": even + 110 * (np.arange(COUNT) > 0),
    }
    for what, times in odd.items():
        path = tmp_path / f"{what}-{name}"
        with av.open(str(path), "w") as container:
            codec = "libvpx" if name.endswith("webm") else "libx264"
            stream = added(container, codec, (64, 64), times=True)
            if codec == "libx264":
                stream.options = {"bf": "0"}
            mux(container, encoded(stream, pictures[:COUNT], [round(time) for time in times - times[0]]))
        exact = what in ("pause", "early")  # else times to the millisecond do not tell 30 from 29.97 in so few frames
        assert raw_info(path).fps == pytest.approx(rate, rel=1e-9 if exact else 1.1e-3), what
        assert any(raw_info(path).fps == pytest.approx(rate * near) for near in (1, 1.001, 1 / 1.001)), what
        shown = [frame.time_s for frame in raw_frames(path)]
        np.testing.assert_allclose(shown, np.round(times - times[0]) / 1000, atol=1e-3)


def test_pictures_hours_apart_are_read_to_their_end(tmp_path: Path, pictures: list[Frames]) -> None:
    with av.open(str(tmp_path / "lapse.mkv"), "w") as container:
        times = [0, 3_600_000, 7_200_000]
        for packet in encoded(added(container, "libx264", (64, 64), times=True), pictures[:3], times):
            container.mux(packet)
    assert [frame.time_s for frame in raw_frames(tmp_path / "lapse.mkv")] == [0, 3600, 7200]
    fps = raw_info(tmp_path / "lapse.mkv").fps
    assert fps == pytest.approx(1 / 3600)
    assert write_video(tmp_path / "slow.mp4", pictures[:3], fps) == 3
    assert [frame.time_s for frame in raw_frames(tmp_path / "slow.mp4")] == pytest.approx([0, 3600, 7200], rel=1e-3)


@pytest.mark.parametrize("fps", [1e-9, 1e9])
def test_no_rate_is_too_odd_for_a_file(tmp_path: Path, pictures: list[Frames], fps: float) -> None:
    assert write_video(tmp_path / "odd.mp4", pictures[:3], fps) == 3
    assert len(list(raw_frames(tmp_path / "odd.mp4"))) == 3


@pytest.mark.parametrize("name", ["late.mp4", "late.mov", "late.mkv"])
def test_times_count_from_the_start_of_the_file(tmp_path: Path, pictures: list[Frames], name: str) -> None:
    """As players and annotation programs count; ``ffmpeg -itsoffset 0.5`` makes such files."""
    late(tmp_path / name, pictures[:COUNT])
    frames = list(raw_frames(tmp_path / name))
    np.testing.assert_allclose([frame.time_s for frame in frames], 0.5 + np.arange(COUNT) / 25, atol=1e-6)
    assert [frame.number for frame in frames] == list(range(COUNT))
    assert raw_info(tmp_path / name).fps == pytest.approx(25)
    assert "first frame is at 0.50 s" in str(late_start("late", frames[0].time_s, 25))


def test_a_browsers_recording_may_start_late_as_well(tmp_path: Path, pictures: list[Frames]) -> None:
    times = [500 + round(1000 * number / 30) for number in range(COUNT)]
    path = _browser(tmp_path / "late.webm", pictures[:COUNT], times, sound_s=1.5)
    assert [frame.time_s for frame in raw_frames(path)] == pytest.approx([time / 1000 for time in times])
    assert raw_info(path).fps == pytest.approx(30)


@pytest.mark.parametrize("name", ["late.mp4", "late.mkv"])
def test_sound_that_starts_later_moves_no_frame(tmp_path: Path, pictures: list[Frames], name: str) -> None:
    with av.open(str(tmp_path / name), "w") as container:
        packets = encoded(added(container, "libx264", (64, 64)), pictures[:COUNT])
        mux(container, packets + silence(container, 0.5, start_s=0.3))
    assert [frame.time_s for frame in raw_frames(tmp_path / name)] == pytest.approx(np.arange(COUNT) / 25)
    assert late_start("late", 0.0, 25) is None


@pytest.mark.parametrize(
    ("name", "kind", "codec"),
    [
        ("a.ogv", "ogg", "libvpx"),
        ("a.mxf", "mxf", "mpeg2video"),
        ("a.vob", "vob", "mpeg2video"),
        ("a.mpe", "mpeg", "mpeg1video"),
        ("a.m2t", "mpegts", "mpeg2video"),
        ("a.asf", "asf", "wmv2"),
        ("a.f4v", "f4v", "libx264"),
        ("a.divx", "avi", "mpeg4"),
        ("a.qt", "mov", "libx264"),
        ("a.3g2", "3g2", "mpeg4"),
    ],
)
def test_films_of_every_kind_have_all_their_frames_and_times(
    tmp_path: Path, pictures: list[Frames], decode: Decode, name: str, kind: str, codec: str
) -> None:
    path = tmp_path / name
    assert path.suffix in VIDEO_SUFFIXES
    with av.open(str(path), "w", format=kind) as container:
        mux(container, encoded(added(container, codec, (64, 64)), pictures[:COUNT]))
    frames = list(raw_frames(path))
    assert numbers(decode, frames) == list(range(COUNT))
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(COUNT) / 25, atol=1e-3)
    assert raw_info(path).fps == pytest.approx(25)


# ---- side data ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "codec"), [("a.avi", "mjpeg"), ("a.mov", "mjpeg"), ("a.mkv", "mjpeg"), ("a.mov", "png")]
)
def test_frames_may_carry_what_pyav_does_not_know(tmp_path: Path, name: str, codec: str) -> None:
    """EXIF, at which its side data raise, and a colour profile, after which they end the process."""
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:, :20] = 250
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"  # turned by a quarter, clockwise
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = _jpeg(picture, "PNG" if codec == "png" else "JPEG", exif=exif, icc_profile=profile)
    with av.open(str(tmp_path / name), "w") as container:
        _stored(container, added(container, codec, (64, 48)), [data] * 4)
    frames = list(raw_frames(tmp_path / name))
    assert len(frames) == 4
    for frame in frames:
        assert np.abs(frame.image.astype(int) - np.rot90(picture, -1)).mean() < 4


@pytest.mark.parametrize("turned", [0, 90, -90, 180])
@pytest.mark.parametrize("flips", [(False, False), (True, False), (False, True)])
def test_pictures_are_turned_and_mirrored_as_the_track_says(
    tmp_path: Path, turned: int, flips: tuple[bool, bool]
) -> None:
    """The oracle turns counterclockwise, then mirrors, as FFmpeg defines what it was asked to write."""
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:24, :32], picture[:24, 32:], picture[24:, :32] = (250, 0, 0), (0, 250, 0), (0, 0, 250)
    with av.open(str(tmp_path / "phone.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "4"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.set_display_rotation(turned, hflip=flips[0], vflip=flips[1])
        mux(container, encoded(stream, [picture] * 2))
    expected = np.rot90(picture, turned // 90)
    expected = expected[:, ::-1] if flips[0] else expected[::-1] if flips[1] else expected
    for frame in raw_frames(tmp_path / "phone.mp4"):
        assert frame.image.shape == expected.shape
        assert np.abs(frame.image - expected.astype(int)).mean() < 8


def test_a_matrix_that_leaves_nothing_turns_nothing(tmp_path: Path, pictures: list[Frames], decode: Decode) -> None:
    path = tmp_path / "odd.mp4"
    write_video(path, pictures[:3], 25)
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 40
    data[start : start + 36] = bytes(36)
    path.write_bytes(data)
    assert numbers(decode, list(raw_frames(path))) == [0, 1, 2]


# ---- sizes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bomb.avi", "bomb.mkv"])
@pytest.mark.parametrize("first", [0, 3])
def test_a_frame_that_claims_to_be_huge_is_damaged(tmp_path: Path, name: str, first: int) -> None:
    small = bytearray(_jpeg(np.zeros((48, 64, 3), np.uint8)))
    huge = small.copy()
    start = huge.index(b"\xff\xc0")
    huge[start + 5 : start + 9] = struct.pack(">HH", 60000, 60000)
    with av.open(str(tmp_path / name), "w") as container:
        stored = [bytes(small)] * first + [bytes(huge)] * (6 - first)
        _stored(container, added(container, "mjpeg", (64, 48)), stored)
    frames, says = until_error(tmp_path / name)
    assert len(frames) == first
    assert says.endswith("damaged after frame 2" if first else "damaged from its first frame on")


def test_frames_may_change_their_size(tmp_path: Path) -> None:
    sizes = [(48, 64), (48, 64), (100, 80), (1, 1), (2, 30)]
    with av.open(str(tmp_path / "call.mkv"), "w") as container:
        stored = [_jpeg(np.zeros((*size, 3), np.uint8)) for size in sizes]
        _stored(container, added(container, "mjpeg", (64, 48)), stored)
    assert [frame.image.shape[:2] for frame in raw_frames(tmp_path / "call.mkv")] == sizes


def test_pixels_as_wide_as_a_street_are_taken_for_square(tmp_path: Path, pictures: list[Frames]) -> None:
    with av.open(str(tmp_path / "odd.mkv"), "w") as container:
        stream = added(container, "libx264", (64, 64))
        stream.codec_context.sample_aspect_ratio = Fraction(60000, 1)
        mux(container, encoded(stream, pictures[:2]))
    assert next(raw_frames(tmp_path / "odd.mkv")).image.shape == (64, 64, 3)


# ---- names and what is no file -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "clip%03d.mp4",
        "rtsp:x.mp4",
        "two words.mp4",
        "a\nb.mp4",
        "漢" * 83 + ".mp4",
        "a" * 251 + ".mp4",
        b"\xff\xfe.mp4",
    ],
)
def test_names_are_only_names(tmp_path: Path, pictures: list[Frames], name: str | bytes, monkeypatch: Any) -> None:
    write_video(tmp_path / "clip.mp4", pictures[:3], 25)
    path = Path(os.fsdecode(name))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clip.mp4").rename(path)
    for place in (path, tmp_path / path):
        assert len(list(raw_frames(place))) == 3


def test_titles_may_be_in_any_encoding(tmp_path: Path, pictures: list[Frames]) -> None:
    with av.open(str(tmp_path / "old.avi"), "w") as container:
        container.metadata["title"] = "Xabcdefg"
        mux(container, encoded(added(container, "mpeg4", (64, 64)), pictures[:3]))
    data = (tmp_path / "old.avi").read_bytes()
    assert data.count(b"Xabcdefg") == 1
    (tmp_path / "old.avi").write_bytes(data.replace(b"Xabcdefg", b"\xe9\xfcbcdefg"))
    assert len(list(raw_frames(tmp_path / "old.avi"))) == 3


def test_a_list_of_files_elsewhere_is_no_video(tmp_path: Path, pictures: list[Frames]) -> None:
    write_video(tmp_path / "clip.mp4", pictures[:3], 25)
    (tmp_path / "a.mp4").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n")
    (tmp_path / "b.mp4").write_text(f"ffconcat version 1.0\nfile {tmp_path}/clip.mp4\n")
    for name in ("a.mp4", "b.mp4"):
        assert "not a readable video" in until_error(tmp_path / name)[1]


def test_what_is_no_file_is_said_and_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "loop.mp4").symlink_to("loop.mp4")
    (tmp_path / "gone.mp4").symlink_to("nowhere.mp4")
    (tmp_path / "zero.mp4").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe.mp4")
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(os.path.relpath(tmp_path / "socket.mp4"))
    says = {
        "loop": "symbolic links",
        "gone": "leads nowhere",
        "zero": "a device",
        "pipe": "a pipe",
        "socket": "a socket",
    }
    for name, reason in says.items():
        assert reason in until_error(tmp_path / f"{name}.mp4")[1]
        with pytest.raises(VideoError, match=reason):
            raw_info(tmp_path / f"{name}.mp4")
    with pytest.raises(VideoError, match="too long"):
        raw_info(tmp_path / ("a" * 300 + ".mp4"))


def test_an_avi_that_ends_in_empty_frames_is_whole(tmp_path: Path, coded: Coded, decode: Decode) -> None:
    """As capture programs write where nothing changes; cut off anywhere, it is damaged as any other."""
    path, frames = tmp_path / "a.avi", list(coded(1, 41))
    with av.open(str(path), "w") as container:
        stream = added(container, "mjpeg", frames[0].shape[1::-1])
        packets = encoded(stream, frames)
        packets[-1].pts = packets[-1].dts = 60  # frames 40 to 59 are written as empty ones
        mux(container, packets)
    data = bytearray(path.read_bytes())
    index = data.rindex(b"idx1")
    last = data.rindex(b"00dc", 0, index)
    data[last : last + 4] = b"JUNK"
    data[-16:] = data[-32:-16]  # the last is empty now as well
    path.write_bytes(data)
    assert int.from_bytes(data[index + 4 : index + 8], "little") == 61 * 16
    assert numbers(decode, list(raw_frames(path))) == list(range(40))
    for cut in (index, len(data) - 4, last - 1000):
        path.write_bytes(data[:cut])
        assert "cut off or damaged" in until_error(path)[1]
