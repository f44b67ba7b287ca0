"""Frames: the same from the same seeds, closed lids over the eyeball, wrinkles where they belong."""

import numpy as np
import pytest

from aulight.data.avatars.actions import AVATAR_AUS
from aulight.data.avatars.figure import Pose
from aulight.data.avatars.scene import Scene, performance
from aulight.data.avatars.sheet import Sitter


@pytest.fixture(scope="module")
def sitter() -> Sitter:
    return Sitter(seed=0, subject=105, pixels=128)


def test_a_frame_depends_on_its_number_alone(scene: Scene) -> None:
    forwards = [scene.crop(frame) for frame in (0, 5, 11)]
    again = Scene(seed=0, subject=5, video=0, frames=12, fps=25.0, pixels=64)
    backwards = [again.crop(frame) for frame in (11, 5, 0)][::-1]
    for one, other in zip(forwards, backwards, strict=True):
        np.testing.assert_array_equal(one, other)
    assert forwards[0].shape == (64, 64, 3)
    assert not np.array_equal(forwards[0], forwards[1])


def test_another_video_shows_the_same_person(scene: Scene) -> None:
    other = Scene(seed=0, subject=5, video=1, frames=12, fps=25.0, pixels=64)
    np.testing.assert_array_equal(scene.figure.rest, other.figure.rest)
    assert not np.array_equal(scene.acting.turn, other.acting.turn)
    stranger = Scene(seed=0, subject=6, video=0, frames=12, fps=25.0, pixels=64)
    assert np.abs(scene.person.shape - stranger.person.shape).max() > 0.05


def test_labels_need_no_pictures(scene: Scene) -> None:
    acting, _ = performance(0, 5, 0, 12, 25.0)
    np.testing.assert_array_equal(acting.intensities, scene.acting.intensities)


def test_intensities_are_those_of_the_stronger_side_and_in_range() -> None:
    seen = np.concatenate([performance(1, subject, 0, 500, 25.0)[0].intensities for subject in range(12)])
    assert seen.min() >= 0
    assert seen.max() <= 5
    coded = np.round(seen)
    assert ((coded >= 1).mean(0) > 0.01).all(), "every AU comes now and then"
    assert ((coded >= 1).mean(0) < 0.5).all(), "and is mostly not there"
    part, jaw = AVATAR_AUS.index(25), AVATAR_AUS.index(26)
    assert (seen[:, part] >= 0.7 * seen[:, jaw] - 1e-9).all()


def test_lids_slide_over_the_eyeball(scene: Scene) -> None:
    """On no frame of a blink is a point of a lid inside the ball that it covers."""
    figure = scene.figure
    for share in np.linspace(0, 1, 7):
        left = np.zeros(len(AVATAR_AUS))
        left[AVATAR_AUS.index(43)] = share
        figure.pose(Pose(left, left, {}, (0.2, 0.1), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)))
        for side, (eye, radius) in enumerate(zip(figure._eyes, figure._radii, strict=True)):
            lids = figure._lids[(figure.rest[figure._lids, 0] > 0) == bool(side)]
            offset = figure.points[lids] - eye
            before = offset[:, 2] > 0
            assert np.linalg.norm(offset[before], axis=1).min() > 0.999 * radius


@pytest.mark.parametrize(
    ("au", "rows", "columns"),
    [(1, (14, 34), (40, 88)), (4, (26, 48), (54, 74)), (6, (36, 62), (26, 50)), (9, (38, 62), (46, 82)),
     (12, (56, 96), (30, 98)), (17, (84, 104), (48, 80))],
)  # fmt: skip
def test_change_is_seen_where_facs_looks_for_it(
    sitter: Sitter, au: int, rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    """The strongest change lies in the part of the face that the AU is read from."""
    change = np.abs(sitter.shows({au: 5}).astype(float) - sitter.shows({})).mean(-1)
    inside = np.zeros_like(change, bool)
    inside[rows[0] : rows[1], columns[0] : columns[1]] = True
    face = np.zeros_like(inside)
    face[10:110, 24:104] = True
    assert change[inside].mean() > 1.8 * change[face & ~inside].mean()
    assert change[inside].mean() > 3


def test_more_intensity_changes_more(sitter: Sitter) -> None:
    rest = sitter.shows({}).astype(float)
    for au in AVATAR_AUS:
        changes = [np.abs(sitter.shows({au: level}) - rest).mean() for level in range(6)]
        assert changes[0] == 0
        assert (np.diff(changes) > 0).all(), au


def test_left_is_not_right(sitter: Sitter) -> None:
    change = np.abs(sitter.shows({-12: 5}).astype(float) - sitter.shows({})).mean(-1)
    assert change[60:100, 66:100].mean() > 3 * change[60:100, 28:62].mean(), "their left is on the picture's right"
