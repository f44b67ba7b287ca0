"""Faces in videos made of one real face, moved in known ways: where the eyes must come to lie, and whose they are."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from aulight.data.faces.aligner import GONE_S, FaceAligner
from aulight.data.faces.crop import AlignedFrame, squares
from aulight.data.faces.finding import FaceFinder
from aulight.data.faces.pose import BLENDSHAPES
from aulight.data.video.raw import raw_frames
from aulight.data.video.types import RawFrame
from tests.data.faces.astronaut import (
    COVERED,
    FPS,
    LENGTH,
    PUPILS,
    SETTINGS,
    SIZE,
    TARGET,
    Array,
    apply,
    as_film,
    couple,
    distant,
    film,
    placed,
    pupils,
)


def test_eyes_come_to_lie_on_the_template(moved: list[AlignedFrame]) -> None:
    assert [frame.number for frame in moved] == list(range(LENGTH))
    assert all(frame.crop.shape == (SIZE, SIZE, 3) and frame.crop.dtype == np.uint8 for frame in moved)
    eyes = pupils(moved)
    assert np.abs(eyes - TARGET).max() < 4
    assert np.abs(eyes.mean(0) - TARGET).max() < 2
    level = np.arctan2(*(eyes[:, 1] - eyes[:, 0]).T[::-1])
    assert np.abs(np.degrees(level)).max() < 4


def test_the_whole_face_is_in_the_crop(moved: list[AlignedFrame], finder: FaceFinder) -> None:
    for (frame, faces), aligned in zip(finder.faces(film(LENGTH)), moved, strict=True):
        (face,) = faces.values()
        assert face.landmarks.shape == (478, 2)
        inside = apply(aligned.matrix, face.landmarks) / SIZE
        assert frame.number == aligned.number
        assert inside.min() > 0.08
        assert inside[:, 1].max() < 0.84, "room for an open jaw"
        assert aligned.confidence == 1


def test_blendshapes_are_those_of_a_smile(moved: list[AlignedFrame], aligner: FaceAligner) -> None:
    scores = np.stack([frame.blendshapes for frame in moved])
    assert scores.shape == (LENGTH, len(BLENDSHAPES)) == (LENGTH, 52)
    assert scores.dtype == np.float32
    assert ((scores >= 0) & (scores <= 1)).all()
    mean = dict(zip(BLENDSHAPES, scores.mean(0), strict=True))
    assert min(mean["mouthSmileLeft"], mean["mouthSmileRight"]) > 0.6
    assert max(mean["mouthFrownLeft"], mean["mouthPucker"], mean["jawOpen"]) < 0.3
    with FaceAligner(SIZE, blendshapes=False, max_faces=4, smooth_s=0.1) as plain:
        (frame,) = plain.align(film(1))
    assert frame.confidence == 1
    assert np.isnan(frame.blendshapes).all()


def test_a_video_gives_the_same_whatever_came_before_it(moved: list[AlignedFrame], aligner: FaceAligner) -> None:
    again = aligner.align(film(40))
    other = aligner.align(film(40, motion=lambda time_s: placed(1.2, -0.1, (250, 200))))
    for expected, frame, _ in zip(moved[:30], again, other, strict=False):  # two at a time, with one aligner
        np.testing.assert_array_equal(frame.matrix, expected.matrix)
        np.testing.assert_array_equal(frame.crop, expected.crop)
        np.testing.assert_array_equal(frame.blendshapes, expected.blendshapes)


@pytest.mark.parametrize("covered", [0, 1])
def test_one_of_two_people_is_followed(aligner: FaceAligner, covered: int) -> None:
    frames = list(aligner.align(couple(covered)))
    middles = np.array([cv2.invertAffineTransform(frame.matrix) @ (SIZE / 2, SIZE / 2, 1) for frame in frames])
    assert middles[:, 0].max() < 320, "the larger one, who is on the left"
    confident = np.array([frame.confidence > 0 for frame in frames])
    expected = np.array([covered == 1 or frame.number not in COVERED for frame in frames])
    np.testing.assert_array_equal(confident, expected)
    if covered == 0:
        before, after = frames[COVERED[0] - 1], frames[COVERED[-1] + 1]
        np.testing.assert_array_equal(frames[COVERED[3]].matrix, before.matrix)
        assert np.abs(frames[COVERED[-3]].matrix - after.matrix).max() < 8
        assert all(np.isnan(frames[number].blendshapes).all() for number in COVERED)


def test_everybody_is_cut_out_each_on_their_own(aligner: FaceAligner) -> None:
    """The one who is followed alone is cut out the same; the oracle for the other is the half of the picture."""
    alone = list(aligner.align(couple(0)))
    together = list(aligner.everybody_live(couple(0)))
    assert [frame.number for frame, _ in together] == list(range(90))
    places: dict[int, set[bool]] = {}
    for frame, people in together:
        assert list(people) == sorted(people)
        for person, face in people.items():
            middle = cv2.invertAffineTransform(face.matrix) @ (SIZE / 2, SIZE / 2, 1)
            places.setdefault(person, set()).add(bool(middle[0] > 320))
            assert (face.number, face.time_s) == (frame.number, frame.time_s)
    assert sorted(map(sorted, places.values())) == [[False], [True]]
    left = next(person for person, sides in places.items() if sides == {False})
    for (_, people), expected in zip(together, alone, strict=True):
        if left in people:
            np.testing.assert_array_equal(people[left].crop, expected.crop)
            assert people[left].confidence == expected.confidence
    assert sum(left in people for _, people in together) > 85, "while hidden as well"


def test_who_has_left_is_dropped(aligner: FaceAligner, finder: FaceFinder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two faces that are put where they are by hand: one is away for 0.4 s, one for 3 s."""
    face = next(iter(next(finder.faces(film(1)))[1].values()))
    away = {0: range(30, 40), 1: range(20, 95)}

    def by_hand(self: FaceFinder, frames: Iterable[RawFrame], known: int | None, thorough: bool) -> Iterator[Any]:
        for frame in frames:
            yield frame, {person: face for person, gone in away.items() if frame.number not in gone}

    monkeypatch.setattr(FaceFinder, "faces", by_hand)
    blank = np.zeros((360, 640, 3), np.uint8)
    there = {0: list[int](), 1: list[int]()}
    for frame, people in aligner.everybody_live(RawFrame(n, n / FPS, blank) for n in range(100)):
        for person, aligned in people.items():
            there[person].append(frame.number)
            assert (aligned.confidence > 0) == (frame.number not in away[person])
    assert there == {0: list(range(100)), 1: [*range(20 + round(GONE_S * FPS)), *range(95, 100)]}


def test_nobody(aligner: FaceAligner) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (20, 240, 320, 3), dtype=np.uint8)
    for number, frame in enumerate(aligner.align(RawFrame(n, n / FPS, image) for n, image in enumerate(noise))):
        assert (frame.number, frame.confidence) == (number, 0)
        assert np.isnan(frame.blendshapes).all()
        corners = apply(frame.matrix, np.array([[39.5, -0.5], [279.5, 239.5]]))
        np.testing.assert_allclose(corners, [[-0.5, -0.5], [SIZE - 0.5, SIZE - 0.5]])


def test_a_face_that_leaves_and_comes_back(aligner: FaceAligner) -> None:
    def away(time_s: float) -> Array:  # out of the picture on the left, and back
        return placed(1.0, 0.0, (320 - 520 * float(np.clip(np.sin(2.2 * time_s), 0, None)), 190))

    frames = list(aligner.align(film(75, motion=away)))
    confidence = np.array([frame.confidence for frame in frames])
    gone = np.flatnonzero(confidence == 0)
    assert 8 <= len(gone) <= 35
    assert np.array_equal(gone, np.arange(gone[0], gone[-1] + 1)), "once"
    assert 0 < confidence[gone[-1] + 1] < 1, "part of it is still outside"
    assert (confidence[-30:] == 1).all()
    assert len(gone) > 14
    for number in gone[:7]:  # held as it was
        np.testing.assert_array_equal(frames[number].matrix, frames[gone[0] - 1].matrix)
    for number in gone[-6:]:  # and as it will be, up to smoothing
        assert np.abs(frames[number].matrix - frames[gone[-1] + 1].matrix).max() < 12


def test_a_video_that_begins_without_a_face(aligner: FaceAligner) -> None:
    blank = [RawFrame(n, n / FPS, np.full((360, 640, 3), 120, np.uint8)) for n in range(20)]
    faces = [RawFrame(n + 20, (n + 20) / FPS, frame.image) for n, frame in enumerate(film(20))]
    frames = list(aligner.align([*blank, *faces]))
    assert [frame.confidence for frame in frames] == [0.0] * 20 + [1.0] * 20
    (expected,) = squares(blank[:1], SIZE)
    np.testing.assert_array_equal(frames[0].matrix, expected.matrix)
    assert np.abs(frames[19].matrix - frames[20].matrix).max() < 3, "the nearest known place"


def eyes_off(frames: list[AlignedFrame], matrices: Iterable[Array]) -> float:
    """How far the astronaut's pupils are from where they belong in the crops, at most."""
    eyes = [apply(frame.matrix, apply(matrix, PUPILS)) for frame, matrix in zip(frames, matrices, strict=True)]
    return float(np.abs(np.stack(eyes) - TARGET).max())


@pytest.mark.parametrize(("width", "height", "pixels"), [(1280, 720, 54), (1920, 1080, 77), (1080, 1080, 76)])
def test_a_face_at_some_distance(aligner: FaceAligner, width: int, height: int, pixels: int) -> None:
    images, matrices = zip(*distant(25, width, height, lambda _: pixels / width), strict=True)
    frames = list(aligner.align(as_film(images)))
    assert [frame.confidence for frame in frames] == [1.0] * 25
    assert eyes_off(frames, matrices) < 4
    with FaceAligner(*SETTINGS) as other:
        for frame, again in zip(frames[:10], other.align(as_film(images)), strict=False):
            np.testing.assert_array_equal(frame.matrix, again.matrix)
            np.testing.assert_array_equal(frame.blendshapes, again.blendshapes)


def test_a_face_that_walks_away_and_back(aligner: FaceAligner) -> None:
    def share(time_s: float) -> float:
        return float(0.24 * np.exp(-2.0 * np.sin(np.pi * time_s / 4) ** 2))

    images, matrices = zip(*distant(100, 1280, 720, share), strict=True)
    frames = list(aligner.align(as_film(images)))
    assert [frame.confidence for frame in frames] == [1.0] * 100
    assert eyes_off(frames, matrices) < 4


def test_pictures_of_changing_size(aligner: FaceAligner) -> None:
    def shrinking() -> Iterator[RawFrame]:
        for frame in film(30, motion=lambda _: placed(1.0, 0.0, (320, 190))):
            image = (
                frame.image if frame.number < 15 else cv2.resize(frame.image, (320, 180), interpolation=cv2.INTER_AREA)
            )
            yield RawFrame(frame.number, frame.time_s, np.asarray(image, np.uint8))

    frames = list(aligner.align(shrinking()))
    assert all(frame.confidence == 1 for frame in frames)
    for frame in frames:
        half = frame.number >= 15
        places = apply(placed(1.0, 0.0, (320, 190)), PUPILS)
        eyes = apply(frame.matrix, (places + 0.5) / 2 - 0.5 if half else places)
        assert np.abs(eyes - TARGET).max() < 4


def test_a_video_from_a_turned_phone(tmp_path: Path, aligner: FaceAligner) -> None:
    path = tmp_path / "phone.mp4"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=Fraction(25), options={"crf": "12"})
        stream.width, stream.height, stream.pix_fmt = 360, 640, "yuv420p"
        stream.set_display_rotation(90)
        for frame in film(30):
            lying = np.ascontiguousarray(np.rot90(frame.image, -1))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(lying, format="rgb24")))
        container.mux(stream.encode())
    frames = list(aligner.align(raw_frames(path)))
    assert [frame.confidence for frame in frames] == [1.0] * 30
    assert np.abs(pupils(frames) - TARGET).max() < 4
