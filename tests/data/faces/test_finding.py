"""Everybody in every frame, found and told apart in films of one real face; and at what cost."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from aulight.data.faces.aligner import FaceAligner
from aulight.data.faces.finding import ALONE, LOOK, FaceFinder
from aulight.data.faces.landmarker import Landmarker
from aulight.data.faces.pose import Face
from aulight.data.video.types import Frames, RawFrame
from tests.data.faces.astronaut import (
    COVERED,
    FACE,
    FPS,
    SIZE,
    apply,
    as_film,
    couple,
    distant,
    film,
    moving,
    painted,
    placed,
)


def test_everybody_is_told_apart(finder: FaceFinder) -> None:
    places: dict[int, list[float]] = {}
    for frame, faces in finder.faces(couple(0)):
        assert len(faces) <= 2 - (frame.number in COVERED)
        for person, face in faces.items():
            places.setdefault(person, []).append(face.landmarks[:, 0].mean())
    assert sorted(places) == [0, 1]
    assert sorted((min(xs) > 320, max(xs) > 320) for xs in places.values()) == [(False, False), (True, True)]
    assert min(map(len, places.values())) > 55


def test_somebody_who_joins_one_who_was_alone(aligner: FaceAligner, finder: FaceFinder) -> None:
    """Is seen within some frames, and not taken for the one who is hidden later."""
    joined, hidden = 45, 65
    film = list(couple(1, range(joined), 80))
    for frame in film[hidden:]:
        frame.image[:, :320] = 90
    people = [set(faces) for _, faces in finder.faces(film)]
    assert people[:joined] == [{0}] * joined
    assert people[joined + LOOK : hidden] == [{0, 1}] * (hidden - joined - LOOK)
    assert people[hidden:] == [{1}] * (80 - hidden)
    assert [frame.confidence for frame in aligner.align(film)] == [1.0] * hidden + [0.0] * (80 - hidden)


def test_one_who_is_alone_is_tracked_steadily(finder: FaceFinder) -> None:
    """Landmarks stay where they are on the face. The oracle is the movement that the film was made with."""
    places, scores = [], []
    for frame, faces in finder.faces(film(120)):
        back = np.asarray(cv2.invertAffineTransform(moving(frame.time_s)), np.float64)
        places.append(apply(back, faces[0].landmarks - 0.5))
        scores.append(faces[0].blendshapes)
    off = np.linalg.norm(np.stack(places) - np.median(places, 0), axis=2).mean(1)
    assert off[:ALONE].mean() > 1.5 * off[ALONE:].mean(), "before, the landmarker looks for others in every frame"
    assert off[ALONE:].max() < 1
    assert np.abs(np.stack(scores)[ALONE:] - np.median(scores, 0)).max() < 0.35


def test_one_of_two_distant_people_is_followed(aligner: FaceAligner, finder: FaceFinder) -> None:
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
    for frame, faces in finder.faces(as_film(images)):
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
    looks: list[int] = []
    look = Landmarker.look

    def counted(landmarker: Landmarker, image: Frames, sure: bool) -> list[Face]:
        looks.append(image.shape[1])
        return look(landmarker, image, sure)

    monkeypatch.setattr(Landmarker, "look", counted)
    empty = np.random.default_rng(0).integers(90, 120, (720, 1280, 3), dtype=np.uint8)
    frames = list(aligner.align(as_film([empty] * 45)))
    assert {frame.confidence for frame in frames} == {0.0}
    assert set(looks) == {720, 360}, "all of the picture is looked through"
    assert len(looks) <= 45 + 18, "as often as at the whole, once more at the beginning"
    looks.clear()
    images = [image for image, _ in distant(20, 640, 360, lambda _: 0.2)]
    assert all(frame.confidence == 1 for frame in aligner.align(as_film(images)))
    assert not looks


# ---- photos of many people --------------------------------------------------------------------------------------


WIDTHS = (260, 150, 100, 60, 45)
"""Pixels of five faces in one photo."""


def five() -> tuple[Frames, list[tuple[float, float]]]:
    """A photo of five people, and where their noses are."""
    image, noses, left = np.full((720, 1280, 3), 90, np.uint8), list[tuple[float, float]](), 0
    for width, room in zip(WIDTHS, (380, 280, 240, 200, 180), strict=True):
        noses.append((left + room / 2, 324.0))
        painted(image, placed(width / FACE, 0.1, noses[-1]), left, left + room)
        left += room
    return image, noses


def test_five_people_in_a_photo() -> None:
    """Each once, and on their faces; of four that are looked for, more is said."""
    image, noses = five()
    for most, crowded in ((8, 0), (4, 1)):
        with FaceAligner(SIZE, False, most, 0.1) as aligner:
            ((_, faces),) = aligner.photos([RawFrame(0, 0.0, image)], everybody=True)
            assert (len(faces), aligner.crowded) == (min(most, 5), crowded)
            in_film = [there for _, there in aligner.everybody(lambda: iter(as_film([image] * 3)))]
            assert [len(there) for there in in_film] == [min(most, 5)] * 3
            for face in faces.values():
                x, y = np.linalg.solve(face.matrix[:, :2], (SIZE / 2, SIZE / 2) - face.matrix[:, 2])
                near = min(range(5), key=lambda place: abs(noses[place][0] - x))
                assert abs(noses[near][0] - x) < WIDTHS[near] / 3, "in the middle of the crop is the nose"
                assert abs(noses[near][1] - y) < WIDTHS[near] / 3


def test_a_face_is_where_the_detector_sees_one() -> None:
    """Landmarks beside a face are laid on it; those where no face is are dropped; those on a face stay."""
    landmarker = Landmarker(False, 1)
    image = np.full((600, 900, 3), 90, np.uint8)
    painted(image, placed(1.5, 0.1, (300, 250)), 0, 600)
    (face,) = landmarker.look(image)
    assert landmarker._confirmed(image, face) is face
    side = float(np.exp(face.pose[2]))
    mended = landmarker._confirmed(image, replace(face, landmarks=face.landmarks + np.array([side / 3, 0])))
    assert mended is not None
    assert np.abs(mended.landmarks - face.landmarks).mean() < side / 20
    assert landmarker._confirmed(image, replace(face, landmarks=face.landmarks + np.array([460, 200]))) is None
    landmarker.close()


def test_films_with_more_people_than_are_looked_for() -> None:
    """Of two, where one is looked for; while the other is hidden there are no more. Oracle: how the film was made."""
    film = list(couple(1, range(10, 20), 30))
    with FaceAligner(SIZE, False, 1, 0.1) as aligner:
        assert len(list(aligner.everybody_live(film))) == 30
        assert 18 <= aligner.crowded <= 20
