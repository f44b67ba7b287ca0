"""Whom to follow: who was seen beside whom, by hand; and films of one real face with cuts, zooms, cards and others."""

import resource
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aulight.data.faces.aligner import FaceAligner
from aulight.data.faces.following import Company, Known, about_following, follow_live
from aulight.data.faces.pose import no_blendshapes
from aulight.data.faces.sightings import Sighted, Sighting, Sightings
from aulight.data.video.types import Frames, RawFrame
from aulight.files import told_of
from tests.data.faces.astronaut import SIZE, as_film, couple, painted, placed

Stretch = tuple[int, tuple[int, ...]]
"""For so many frames, these are seen."""

SIDES = {1: 80.0}
"""Of the crops of some; else 40."""


def sighted(stretches: Sequence[Stretch]) -> Iterator[Sighted]:
    """What is seen at 25 frames a second in a picture of 100 x 100."""
    image, frames = np.zeros((100, 100, 3), np.uint8), (there for count, there in stretches for _ in range(count))
    for number, there in enumerate(frames):
        poses = {person: np.array([50.0, 50.0, np.log(SIDES.get(person, 40.0)), 0.0]) for person in there}
        faces = {person: Sighting(pose, no_blendshapes(), 1.0) for person, pose in poses.items()}
        yield RawFrame(number, number / 25, image), faces


def company(*stretches: Stretch) -> Company:
    known = Company()
    for frame, faces in sighted(stretches):
        known.see(frame, faces)
    return known


def people(*stretches: Stretch) -> list[list[int]]:
    return sorted(map(sorted, company(*stretches).people()))


# ---- who is one person, by hand -----------------------------------------------------------------------------------


def test_who_is_always_alone_is_one_person() -> None:
    assert people((30, (0,)), (30, (2,)), (10, ()), (6, (1,)), (20, (0,))) == [[0, 1, 2]]
    assert people((30, (0,)), (3, (0, 1)), (30, (1,))) == [[0, 1]], "both in a picture that melts into the next"


def test_what_is_seen_for_a_moment_is_nobody() -> None:
    assert people((4, (0,)), (30, (1,)), (4, (1, 2)), (4, (3,))) == [[1]]
    assert people((2, (0,))) == [[0]], "unless that is all there is"
    assert people((5, ())) == []


def test_two_people_are_told_by_each_other() -> None:
    assert people((30, (0, 1)), (30, (2, 1)), (30, (2, 3))) == [[0, 2], [1, 3]]
    assert people((30, (0, 1, 2)), (30, (0, 1, 3)), (20, (4, 3, 1))) == [[0, 4], [1], [2, 3]]


def test_nobody_is_taken_for_one_of_several() -> None:
    assert people((30, (0, 1)), (30, (2,))) == [[0], [1], [2]], "it may be either"
    assert people((30, (0, 1)), (30, (2, 3))) == [[0], [1], [2], [3]]
    assert people((60, (0,)), (30, (1, 2)), (30, (3,))) == [[0], [1], [2], [3]], "there are two, whenever they are seen"
    assert people((30, (0, 1)), (30, (1, 2)), (30, (0, 2))) == [[0], [1], [2]], "there are three, two at a time"


def test_a_passer_by_does_not_count() -> None:
    assert people((500, (0,)), (20, (0, 1)), (50, (2,)), (10, (1,))) == [[0, 2], [1]]
    assert people((20, (8, 9)), (300, (0,)), (6, (1,))) == [[0, 1], [8], [9]], "two things on a title card"


@given(st.lists(st.tuples(st.integers(1, 40), st.sets(st.integers(0, 6), max_size=4)), max_size=12))
def test_two_who_are_seen_at_once_are_never_one_person(stretches: list[tuple[int, set[int]]]) -> None:
    known = [(count, tuple(sorted(there))) for count, there in stretches]
    of_each = company(*known).people()
    numbers = [number for person in of_each for number in person]
    assert len(numbers) == len(set(numbers)), "each number is of one person"
    for one, other in combinations(range(7), 2):
        if sum(count for count, there in known if one in there and other in there) >= 5:
            assert not any({one, other} <= person for person in of_each)
    assert bool(of_each) == any(there for _, there in known)


# ---- whom to follow -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stretches", "expected"),
    [
        ([(25, (1,)), (80, (0,)), (10, (0, 1))], {0}),
        ([(50, (0, 1)), (2, (0,))], {1}),
        ([(20, (0, 1)), (10, (0,))], {0}),
        ([(20, (0,)), (20, (2,)), (15, (3,))], {0, 2, 3}),
        ([(3, (1,)), (40, (0,))], {0}),
        ([(4, ())], set()),
    ],
    ids=["longest, not first", "largest of equally long", "seen longer", "all of one", "letters first", "nobody"],
)
def test_who_is_seen_longest_is_followed(stretches: list[Stretch], expected: set[int]) -> None:
    assert company(*stretches).chosen() == expected


@pytest.mark.parametrize(
    ("stretches", "expected"),
    [
        ([(20, (0,)), (10, (2,)), (5, (0,))], [*[0] * 20, *[None] * 4, *[2] * 6, *[0] * 5]),
        ([(20, (0, 1)), (10, (0,)), (10, (2,)), (5, (1,))], [*[1] * 20, *[None] * 20, *[1] * 5]),
        ([(20, (0, 1)), (10, (0, 2))], [*[1] * 20, *[None] * 4, *[2] * 6]),
        ([(3, (9,)), (15, ()), (20, (0,))], [*[9] * 3, *[None] * 19, *[0] * 16]),
    ],
    ids=["alone", "one of two", "beside the other", "letters first"],
)
def test_as_it_comes(stretches: list[Stretch], expected: list[int | None]) -> None:
    """A face elsewhere is followed from its fifth frame on, a fifth of a second."""
    seen = list(sighted(stretches))
    found = list(follow_live(seen))
    assert [frame.frame for frame in found] == [frame for frame, _ in seen]
    for (_, faces), followed, number in zip(seen, found, expected, strict=True):
        assert followed.face is (None if number is None else faces[number])
        assert followed.others == len(faces) - (number is not None)


# ---- real faces -----------------------------------------------------------------------------------------------------


def shot(count: int, scale: float, nose: tuple[float, float]) -> list[Frames]:
    """The astronaut, hardly moving."""
    images = []
    for number in range(count):
        image = np.zeros((240, 320, 3), np.uint8)
        painted(image, placed(scale, 0.0, (nose[0] + 3 * np.sin(number / 4), nose[1])))
        images.append(image)
    return images


def card(count: int) -> list[Frames]:
    image = np.zeros((240, 320, 3), np.uint8)
    for row, text in enumerate(("INTERVIEW 8", "(o_o) ROOM 3", "Part B: %O%")):
        cv2.putText(image, text, (20, 70 + 60 * row), cv2.FONT_HERSHEY_DUPLEX, 1.1, (255, 255, 255), 2)
    return [image] * count


def followed(aligner: FaceAligner, images: list[Frames]) -> tuple[str, list[int]]:
    """Of each frame whether the followed face is seen (``#``), another (``o``) or none; in which it is elsewhere."""
    film, reported = as_film(images), list[int]()
    faces = [there[0] for _, there in aligner.follow(lambda: film, reported.append)]
    assert [face.number for face in faces] == list(range(len(film)))
    assert sum(reported) == len(film)
    marks = "".join("#" if face.confidence else "o" if face.others else "." for face in faces)
    return marks, [face.number for face in faces if face.elsewhere]


WIDE, LEFT, CLOSE = (0.8, (200.0, 110.0)), (0.8, (75.0, 110.0)), (1.7, (160.0, 110.0))
"""Places of the face, and sizes, that lie farther apart than a head can move between two frames."""


@pytest.mark.parametrize(
    ("images", "marks", "elsewhere"),
    [
        ([*shot(20, *WIDE), *shot(20, *LEFT)], "#" * 40, 1),
        ([*shot(20, *WIDE), *shot(20, *CLOSE), *shot(10, *WIDE)], "#" * 50, 2),
        ([*shot(15, 0.7, (200.0, 110.0)), *shot(15, 1.6, (160.0, 110.0))], "#" * 30, 1),
        ([*card(12), *shot(15, *LEFT), *card(12), *shot(15, *CLOSE)], "." * 12 + "#" * 15 + "." * 12 + "#" * 15, 1),
        ([*shot(15, *WIDE), *shot(15, *WIDE)[-1:] * 15, *shot(15, *LEFT)], "#" * 45, 1),
        ([*shot(15, *WIDE), *card(1) * 30, *shot(15, *LEFT)], "#" * 15 + "." * 30 + "#" * 15, 0),
    ],
    ids=["cut", "zoom", "zoom to a face within the face", "title cards", "freeze", "away and back elsewhere"],
)
def test_the_only_face_is_never_lost(aligner: FaceAligner, images: list[Frames], marks: str, elsewhere: int) -> None:
    """The oracle is the frames in which it was painted."""
    found, places = followed(aligner, images)
    assert found == marks
    assert len(places) == elsewhere


def test_who_is_seen_longest_of_two(aligner: FaceAligner) -> None:
    """The smaller one, when the larger is hidden for a third of the time; never one for the other."""
    frames = list(couple(0))
    middles = [
        (cv2.invertAffineTransform(there[0].matrix) @ (SIZE / 2, SIZE / 2, 1))[0]
        for _, there in aligner.follow(lambda: frames)
    ]
    assert min(middles) > 320
    marks, _ = followed(aligner, [frame.image for frame in couple(1, range(40, 44))])
    assert marks == "#" * 90, "the larger one, where both are seen about as long"


def test_nobody_else_is_taken_for_one_of_two(aligner: FaceAligner) -> None:
    """Two side by side; then a face in the middle, which may be either's."""
    frames = [frame.image for frame in couple(0, range(0))][:60]
    middle = []
    for _ in range(20):
        image = np.zeros((360, 640, 3), np.uint8)
        painted(image, placed(2.2, 0.0, (320, 170)))
        middle.append(image)
    assert followed(aligner, frames + middle) == ("#" * 60 + "o" * 20, [])


def test_the_other_of_two_tells_who_it_is(aligner: FaceAligner) -> None:
    """Two side by side; the larger one jumps to the far end, beside the other who stays."""
    frames = [frame.image for frame in couple(0, range(0))][:60]
    wide = [np.pad(image, ((0, 0), (0, 640), (0, 0))) for image in frames]
    for image in wide[30:]:
        image[:, 960:] = image[:, :320]
        image[:, :320] = 0
    marks, elsewhere = followed(aligner, wide)
    assert marks.count("#") >= 58
    assert marks[:30] + marks[-20:] == "#" * 50
    assert len(elsewhere) == 1


def test_a_film_that_grows_between_its_readings_is_refused(aligner: FaceAligner) -> None:
    films = [as_film(shot(3, *WIDE)), as_film(shot(4, *WIDE))]
    with pytest.raises(Exception, match="longer while it was read"):
        list(aligner.follow(lambda: films.pop(0)))


def test_what_was_seen_is_kept_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it does not fit in memory."""
    monkeypatch.setattr("aulight.data.faces.sightings.IN_MEMORY", 1000)
    rng = np.random.default_rng(0)
    film = [
        {
            int(number): Sighting(rng.normal(size=4), rng.random(52).astype(np.float32), float(rng.random()))
            for number in rng.choice(10**9, count, replace=False)
        }
        for count in (0, 1, 4, 2, 0, 0, 3, 40)
    ]
    with Sightings() as kept:
        for faces in film:
            kept.add(faces)
        for _ in range(2):
            for faces, expected in zip(kept, film, strict=True):
                assert list(faces) == list(expected)
                for face, other in zip(faces.values(), expected.values(), strict=True):
                    np.testing.assert_array_equal(face.pose, other.pose)
                    np.testing.assert_array_equal(face.blendshapes, other.blendshapes)
                    assert face.inside == other.inside


@pytest.mark.parametrize("count", [3, 300])
def test_a_full_disk_for_what_was_seen_is_named(count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is added, and when it is read; what is written for may lie on another disk."""
    monkeypatch.setattr("aulight.data.faces.sightings.IN_MEMORY", 100)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def keep() -> None:
        with told_of(Path("/out/a.csv")), Sightings() as kept:
            try:
                resource.setrlimit(resource.RLIMIT_FSIZE, (500, limits[1]))
                for _ in range(count):
                    kept.add({0: Sighting(np.zeros(4), no_blendshapes(), 1.0)})
                list(kept)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    with pytest.raises(OSError, match="File too large") as noted:
        keep()
    assert noted.value.filename == str(tmp_path)


# ---- everybody: who is known again --------------------------------------------------------------------------------


def known(*stretches: Stretch) -> list[tuple[list[int], list[int]]]:
    """The people of each stretch's first frame, and who was elsewhere before."""
    seen, named, firsts, at = Known(company(*stretches)), [], [], 0
    for _, faces in sighted(stretches):
        there, moved = seen(faces)
        named.append((sorted(there), sorted(moved)))
    for count, _ in stretches:
        firsts.append(named[at])
        at += count
    return firsts


def test_who_comes_back_beside_the_same_other_keeps_the_number() -> None:
    """By hand: after a cut, 2 is beside 1 as 0 was; then 0 again where it was."""
    assert known((30, (0, 1)), (30, (2, 1)), (30, (0, 1))) == [([0, 1], []), ([0, 1], [0]), ([0, 1], [0])]


def test_who_is_never_seen_with_another_is_not_taken_for_one() -> None:
    """Unlike where one person is followed: two who are shown in turn are two."""
    assert known((30, (0,)), (30, (1,)), (30, (0,))) == [([0], []), ([1], []), ([0], [])]
    assert people((30, (0,)), (30, (1,)), (30, (0,))) == [[0, 1]]


def test_nobody_is_lost_when_two_numbers_of_one_are_seen_at_once() -> None:
    """For a moment, as in a picture that melts into the next."""
    found = known((30, (0, 1)), (2, (0, 1, 2)), (30, (1, 2)))
    assert [len(there) for there, _ in found] == [2, 3, 2]
    assert found[2] == ([0, 1], [0])


@pytest.mark.parametrize(
    ("given", "lines"),
    [
        ((0, 0, "x", False, 0, 4), []),
        ((0, 0, "x", True, 1, 4), ["1 frame shows more faces than the 4 that are looked for; faces.max_faces=8 looks"]),
        ((0, 2, "x", True, 0, 4), ["2 times a face elsewhere was taken for somebody who was seen before"]),
        ((1, 0, "do this", False, 0, None), ["1 frame shows faces, but not of the one who is followed; do this"]),
    ],
)
def test_what_is_said_of_it(given: tuple[int, int, str, bool, int, int | None], lines: list[str]) -> None:
    said = list(about_following(*given))
    assert len(said) == len(lines)
    assert all(line.startswith(start) for line, start in zip(said, lines, strict=True))


def test_a_cut_to_another_view_of_the_same_two(aligner: FaceAligner) -> None:
    """Two people, then both elsewhere and smaller, one of them beside the same other; numbers and states."""
    film = list(couple(0, range(0), 16))
    for number, frame in enumerate(couple(0, range(0), 16)):
        moved = np.full_like(frame.image, 90)
        moved[:, :320] = frame.image[:, :320]
        small = cv2.resize(frame.image[:, 320:], None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
        moved[: len(small), 400 : 400 + small.shape[1]] = small
        film.append(RawFrame(16 + number, (16 + number) / 25, moved))
    faces = [there for _, there in aligner.everybody(lambda: iter(film))]
    seen = [{person for person, face in there.items() if face.confidence} for there in faces]
    assert seen[2:15] + seen[24:] == [{0, 1}] * (13 + 8)
    assert sum(face.elsewhere for there in faces for face in there.values()) == 1


def test_people_are_looked_for_anew_only_where_they_may_be_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracle: those who have seen the same and are asked for the first time."""
    draw, looked, find = np.random.default_rng(3), list[int](), Company._find_people

    def counted(of: Company, *state: Any) -> Any:
        looked.append(1)
        return find(of, *state)

    groups = [(), (0,), (1,), (0, 1), (2,), (0, 2), (1, 2), (0, 1, 2), (3,), (1, 3)]
    stretches = [(int(draw.integers(1, 9)), groups[draw.integers(len(groups))]) for _ in range(60)]
    frames, one = list(sighted(stretches)), Company()
    for count, (frame, faces) in enumerate(frames, 1):
        one.see(frame, faces)
        fresh = Company()
        for seen in frames[:count] if count % 3 == 0 else ():
            fresh.see(*seen)
        if count % 3 == 0:
            assert one.people() == fresh.people()
    monkeypatch.setattr(Company, "_find_people", counted)
    away = list(follow_live(sighted([(30, (0,)), (10, (0, 1)), (1000, (1,))])))
    assert [found.others for found in away[-10:]] == [1] * 10
    assert 1 <= len(looked) < 50
