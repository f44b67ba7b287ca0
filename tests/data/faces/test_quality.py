"""How well a face is seen: a photograph and avatars, made worse in known ways."""

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from aulight.data.faces.crop import crop_at
from aulight.data.faces.head_pose import head_pose
from aulight.data.faces.landmarker import Landmarker
from aulight.data.faces.pose import pose_of
from aulight.data.faces.quality import Quality, _crop, quality
from aulight.data.video.types import Frames
from tests.data.faces.astronaut import ASTRONAUT
from tests.data.faces.posed import posed
from tests.data.faces.spoiling import SPOILED

PART = {
    "out of focus": "focus", "moving": "focus", "dark": "light", "bright": "light", "small": "size",
    "cut at the side": "inside", "cut below": "inside",
}  # fmt: skip
"""What should be to blame; where it is not said, something covers the face."""


@pytest.fixture(scope="module")
def landmarker() -> Iterator[Landmarker]:
    landmarker = Landmarker(blendshapes=False, max_faces=1)
    yield landmarker
    landmarker.close()


def judged(landmarker: Landmarker, image: Frames) -> Quality | None:
    faces = landmarker.look(image)
    return quality(faces[0], head_pose(faces[0]), image) if faces else None


@pytest.mark.parametrize("name", SPOILED)
def test_what_is_made_worse_is_worse(landmarker: Landmarker, name: str) -> None:
    """The photograph, made worse by more and more: until there is no face, quality falls, and by what is wrong."""
    (face,) = landmarker.look(ASTRONAUT)
    best = judged(landmarker, ASTRONAUT)
    assert best is not None
    assert best.all > 0.9
    found = [
        judged(landmarker, np.ascontiguousarray(spoil(ASTRONAUT, face.landmarks))) for spoil in SPOILED[name].values()
    ]
    seen = [best, *(one for one in found if one is not None)]
    assert found == seen[1:] + [None] * (len(found) - len(seen) + 1), "what is lost stays lost"
    values = [one.all for one in seen]
    assert values == sorted(values, reverse=True)
    if len(seen) > 1:
        assert seen[-1].all < 0.5 or None in found
        part = PART.get(name, "open")
        assert getattr(seen[-1], part) < getattr(best, part) - 0.1


def test_a_head_that_is_turned_away_is_seen_less_well(landmarker: Landmarker) -> None:
    """The same avatar from the front and from further and further beside."""
    seen = [judged(landmarker, one.image) for one in posed(11, 1, (10,), (0.0, 0.6, 1.0))]
    turns = [one.turn for one in seen if one is not None]
    assert len(turns) >= 2
    assert turns == sorted(turns, reverse=True)
    assert turns[-1] < 0.5


def test_neither_size_nor_a_grey_picture_is_held_against_a_face(landmarker: Landmarker) -> None:
    twice = np.asarray(cv2.resize(ASTRONAUT, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC), np.uint8)
    grey = np.asarray(cv2.cvtColor(cv2.cvtColor(ASTRONAUT, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), np.uint8)
    for image in (twice, grey):
        found = judged(landmarker, image)
        assert found is not None
        assert found.all > 0.8


def test_the_crop_is_nearly_the_one_that_models_see(landmarker: Landmarker) -> None:
    """Also at a border, and where all of it is beyond."""
    (face,) = landmarker.look(ASTRONAUT)
    large = np.asarray(cv2.resize(ASTRONAUT, None, fx=3, fy=3), np.uint8)
    for image, pose in ((ASTRONAUT, face.pose), (large, pose_of(3 * face.landmarks)), (ASTRONAUT[:, :230], face.pose)):
        crop, matrix = _crop(image, pose)
        expected, other = crop_at(image, pose, len(crop))
        np.testing.assert_allclose(matrix, other)
        assert np.abs(crop.astype(int) - expected).mean() < 3
    assert not _crop(ASTRONAUT, np.add(face.pose, (900, 0, 0, 0)))[0].any()
