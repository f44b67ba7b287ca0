"""Tables of mp4 files: the oracle is FFmpeg, by PyAV."""

from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aulight.data.shards import Shards
from aulight.data.video.mp4 import Track, track_of
from aulight.data.video.write import write_video
from aulight.errors import VideoError


def track(path: Path) -> Track:
    return track_of(lambda offset, size: Shards(path.parent).read(path.name, offset, size))


def check(path: Path) -> None:
    found = track(path)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        assert found.offsets.tolist() == [packet.pos for packet in packets]
        assert found.sizes.tolist() == [packet.size for packet in packets]
        assert found.keys.tolist() == [number for number, packet in enumerate(packets) if packet.is_keyframe]
        assert found.extradata == stream.codec_context.extradata
        assert (found.width, found.height) == (stream.width, stream.height)


def test_frames_lie_where_ffmpeg_finds_them(video: Path) -> None:
    check(video)


@pytest.mark.parametrize("count", [1, 12, 13, 3000])
def test_of_any_number_of_frames(tmp_path: Path, count: int) -> None:
    write_video(tmp_path / "some.mp4", np.zeros((count, 16, 32, 3), np.uint8), 25)  # most of one size
    check(tmp_path / "some.mp4")


def test_tables_before_pictures_and_many_chunks(tmp_path: Path, video: Path) -> None:
    """With sound between the pictures, as other tools pack them."""
    path = tmp_path / "first.mp4"
    with av.open(str(video)) as source, av.open(str(path), "w", options={"movflags": "faststart"}) as target:
        sound = target.add_stream("aac", rate=44100)
        pictures = target.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(source.streams.video[0])):
            if packet.size:
                packet.stream = pictures
                target.mux(packet)
                silence = av.AudioFrame.from_ndarray(np.zeros((1, 1764), np.float32), format="fltp", layout="mono")
                silence.rate, silence.pts = 44100, 1764 * number
                target.mux(sound.encode(silence))
    check(path)


def test_frames_that_are_shown_in_another_order_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "b.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"x264-params": "bframes=3:b-adapt=0"})
        stream.width = stream.height = 32
        for shade in range(20):
            picture = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 10 * shade, np.uint8), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    with pytest.raises(ValueError, match="not shown in their order"):
        track(path)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_file_is_refused_or_read(video: Path, data: st.DataObject) -> None:
    whole = bytearray(video.read_bytes())
    tables = whole.rindex(b"moov") - 4
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.one_of(st.integers(0, 60), st.integers(tables, len(whole) - 1)))
        whole[place] = data.draw(st.integers(0, 255))
    whole = whole[: data.draw(st.integers(0, 1)) * len(whole) or data.draw(st.integers(0, len(whole)))]

    def read(offset: int, size: int) -> bytes:
        if offset + size > len(whole):
            raise VideoError("cut off")
        return bytes(whole[offset : offset + size])

    try:
        found = track_of(read)
    except (ValueError, VideoError):
        return
    assert len(found.offsets) == len(found.sizes) > 0
    assert found.keys[0] == 0
    assert found.keys[-1] < len(found.sizes)
