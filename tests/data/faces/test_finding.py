"""Everybody in every frame, found and told apart in films of one real face; and at what cost."""

import cv2
import numpy as np
import pytest

from aulight.data.faces.aligner import FaceAligner
from aulight.data.faces.finding import ALONE, LOOK, FaceFinder
from aulight.data.faces.landmarker import Landmarker
from aulight.data.faces.pose import Face
from aulight.data.video.types import Frames
from tests.data.faces.astronaut import COVERED, FPS, SIZE, apply, as_film, couple, distant, film, moving


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

    def counted(landmarker: Landmarker, image: Frames) -> list[Face]:
        looks.append(image.shape[1])
        return look(landmarker, image)

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
