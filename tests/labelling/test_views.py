"""Clips and pictures show the frames that they say, by the code in each picture; the face at rest is the median's."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from aulight.data.description import DatasetDescription
from aulight.data.store import PreparedDataset
from aulight.data.video.write import write_video
from aulight.data.writer import StoreWriter
from aulight.labelling.views import AROUND_S, Views

Decode = Callable[..., list[tuple[int, int]]]


def pictures(video: bytes) -> tuple[Any, list[float]]:
    """All frames of a file, and when each is shown."""
    with av.open(io.BytesIO(video), "r") as container:
        found = [(frame.to_ndarray(format="rgb24"), float(frame.time or 0)) for frame in container.decode(video=0)]
    return np.stack([picture for picture, _ in found]), [time_s for _, time_s in found]


@pytest.mark.parametrize(("row", "place"), [(2, 30), (0, 0), (0, 19), (0, 20), (1, 29)])
def test_a_clip_is_half_a_second_before_and_after(
    prepared: PreparedDataset, decode: Decode, row: int, place: int
) -> None:
    """Oracle: a loop over the times of all frames; of ``a``, ten raw frames are missing in the middle."""
    clip = Views(prepared).clip(row, place)
    (table,) = prepared.frames_of([str(prepared.videos["video_id"].iat[row])], ["time_s"])
    times = table["time_s"].tolist()
    expected = [i for i, time_s in enumerate(times) if abs(time_s - times[place]) <= AROUND_S + 1e-6]
    shown, at = pictures(clip.video)
    assert decode(shown) == [(row, i) for i in expected]
    assert expected[clip.at] == place
    since = [times[i] - times[expected[0]] for i in expected]
    assert clip.times == pytest.approx(since, abs=1e-6)
    assert at == pytest.approx(since, abs=1e-3)


def test_every_frame_of_a_clip_can_be_stopped_at(prepared: PreparedDataset) -> None:
    with av.open(io.BytesIO(Views(prepared).clip(2, 30).video), "r") as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        assert len(packets) == 25
        assert all(packet.is_keyframe for packet in packets)


def test_a_still_is_the_frame(prepared: PreparedDataset, decode: Decode) -> None:
    views = Views(prepared)
    for row, place in ((0, 25), (1, 0), (2, 59), (0, 25)):
        picture = cv2.imdecode(np.frombuffer(views.still(row, place), np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        assert decode(picture[None].astype(np.uint8)) == [(row, place)]


def test_the_face_at_rest_is_nearest_the_median_picture(tmp_path: Path) -> None:
    """A grey face that is at rest most of the time, and darker or lighter else: the median is the rest."""
    grey = np.full(50, 120)
    grey[:20:2], grey[1:20:2], grey[33] = 60, 200, 121
    meta: DatasetDescription = {"name": "x", "aus": [], "fps": 25.0, "crop_size": 32, "source": {}}
    with StoreWriter(tmp_path / "x", meta) as store:
        write_video(store.videos / "v.mp4", [np.full((32, 32, 3), value, np.uint8) for value in grey], 25, crf=0)
        store.add("v", "S", 25.0, np.arange(50), np.ones(50, np.float32))
    row, place = Views(PreparedDataset(tmp_path / "x")).at_rest("S", [0])
    assert (row, grey[place]) == (0, 120)


def test_where_there_are_blendshapes_it_is_by_them(tmp_path: Path) -> None:
    """Oracle: the loop that takes every frame's distance from the median of each score."""
    rng = np.random.default_rng(0)
    scores = {name: rng.random((2, 30)).astype(np.float32) for name in ("jawOpen", "mouthSmileLeft")}
    scores["jawOpen"][1, 7] = np.nan  # no face there
    confidence = np.ones((2, 30), np.float32)
    confidence[1, 7] = 0
    meta: DatasetDescription = {"name": "x", "aus": [], "fps": 25.0, "crop_size": 32, "source": {}}
    with StoreWriter(tmp_path / "x", meta) as store:
        for row in range(2):
            write_video(store.videos / f"v{row}.mp4", [np.full((32, 32, 3), 9, np.uint8)] * 30, 25)
            mine = {name: of[row] for name, of in scores.items()}
            store.add(f"v{row}", "S", 25.0, np.arange(30), confidence[row], blendshapes=mine)
    all_of = {
        (row, i): [of[row, i] for of in scores.values()] for row in range(2) for i in range(30) if (row, i) != (1, 7)
    }
    median = np.median(list(all_of.values()), axis=0)
    best = min(
        all_of, key=lambda at: sum(abs(value - middle) for value, middle in zip(all_of[at], median, strict=True))
    )
    assert Views(PreparedDataset(tmp_path / "x")).at_rest("S", [0, 1]) == best
