"""What is said without a model: the table's scores and no others, on the scale of intensities, and a person's rest."""

import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

from aulight.data.faces.crop import AlignedFrame, Present
from aulight.data.faces.landmarker import _EXPRESSIVE, Landmarker
from aulight.data.faces.pose import BLENDSHAPES
from aulight.data.video.types import RawFrame
from aulight.facs import AU_NAMES
from aulight.prediction.rest import Rest
from aulight.prediction.untrained import AUS, DEAD, EMPTY, TABLE, Untrained, intensities, notes
from tests.data.faces.astronaut import ASTRONAUT


def test_the_table_names_scores_and_aus_that_there_are() -> None:
    known = {name.removesuffix("Left").removesuffix("Right") for name in BLENDSHAPES}
    assert {name for names in TABLE.values() for name in names} | set(DEAD.values()) <= known
    assert not TABLE.keys() & DEAD.keys()
    assert set(AUS) == TABLE.keys() | DEAD.keys() <= AU_NAMES.keys()
    assert Untrained.columns == [f"AU{au:02d}" for au in AUS] == sorted(Untrained.columns)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ({}, {}),
        ({"browInnerUp": 0.5}, {1: 2.5}),
        ({"mouthSmileLeft": 1.0, "mouthSmileRight": 0.6}, {12: 4.0}),
        ({"jawOpen": 0.4}, {25: 2.0, 26: 2.0}),
        ({"jawOpen": 0.2, "mouthLowerDownLeft": 0.8, "mouthLowerDownRight": 0.8}, {10: 0.0, 25: 4.0, 26: 1.0}),
        ({"cheekPuff": 1.0, "jawLeft": 1.0, "_neutral": 1.0}, {}),
        ({"cheekSquintLeft": 1.0, "noseSneerRight": 1.0}, {}),
    ],
)
def test_scores_by_hand(scores: dict[str, float], expected: dict[int, float]) -> None:
    given = np.array([scores.get(name, 0.0) for name in BLENDSHAPES], np.float32)
    wanted = [np.nan if au in DEAD else expected.get(au, 0.0) for au in AUS]
    assert intensities(given).tolist() == pytest.approx(wanted, nan_ok=True)


def test_the_landmarker_moves_what_the_table_has_and_not_what_is_dead() -> None:
    """The landmarks of a real face, pushed about until no face would have them, into the landmarker's network."""
    landmarker, draw = Landmarker(True, 1), np.random.default_rng(0)
    (face,) = landmarker.look(ASTRONAUT)
    size, highest = np.ptp(face.landmarks, 0).mean(), np.zeros(len(BLENDSHAPES))
    for trial in range(1000):
        pushed, far = face.landmarks.copy(), size * (0.01, 0.02, 0.04, 0.08, 0.2)[trial % 5]
        for centre in face.landmarks[draw.integers(len(pushed), size=6)]:
            width = size * draw.uniform(0.05, 0.3)
            near = np.exp(-((face.landmarks - centre) ** 2).sum(1, keepdims=True) / (2 * width**2))
            pushed += near * draw.normal(scale=far, size=2)
        scores = landmarker._networks.blendshapes(pushed[_EXPRESSIVE].astype(np.float32))
        highest = np.maximum(highest, scores)
    landmarker.close()

    def most(name: str) -> float:
        return float(highest[[place for place, full in enumerate(BLENDSHAPES) if full.startswith(name)]].max())

    assert {name: most(name) for name in DEAD.values() if most(name) > 0.02} == {}
    assert {name: most(name) for names in TABLE.values() for name in names if most(name) < 0.5} == {}


def test_rest_is_the_lowest_tenth_so_far() -> None:
    """Against numpy's quantile of all frames so far, over as many frames as a minute has."""
    draw = np.random.default_rng(1)
    seen = draw.beta(0.5, 2, (1500, len(AUS))).astype(np.float32) * 5
    seen[:, list(map(AUS.index, DEAD))] = np.nan
    rest = Rest(len(AUS))
    for frame, values in enumerate(seen):
        found = rest.above(values)
        if frame % 50 == 7:
            expected = values - np.quantile(seen[: frame + 1], 0.1, axis=0, method="inverted_cdf")
            np.testing.assert_allclose(found, np.maximum(expected, 0), rtol=0, atol=0.00101)
    assert np.isnan(found).tolist() == [au in DEAD for au in AUS]


def test_notes_name_what_is_empty_and_offer_the_baseline() -> None:
    assert list(EMPTY) == ["AU06", "AU09"]
    for from_rest in (False, True):
        assert sum("AU06 and AU09 are empty" in note for note in notes(from_rest)) == 1
    assert "baseline=rest" in notes(False)[-1]
    assert "so far" in notes(True)[-1]


def test_a_crowd_of_passers_by_takes_little_memory() -> None:
    """Two seconds each; and of a camera those who cannot be known again are forgotten."""
    values = np.full((50, 44), 1.5, np.float32)
    tracemalloc.start()
    rests = [Rest(44) for _ in range(1000)]
    for rest in rests:
        rest.add(values)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 20_000_000
    assert rests[0].level.tolist() == pytest.approx([1.5] * 44)


@pytest.mark.parametrize("most", [None, 2])
def test_the_rest_of_who_is_long_gone_is_forgotten(most: int | None) -> None:
    """Of the two that were seen last it is known; AU12 is 2.5 at their second sight, as at their rest."""
    shapes, matrix = np.zeros(len(BLENDSHAPES), np.float32), np.eye(2, 3)
    crop = np.zeros((4, 4, 3), np.uint8)
    smile = [BLENDSHAPES.index(f"mouthSmile{side}") for side in ("Left", "Right")]

    def film() -> Iterator[Present]:
        for number, person in enumerate((0, 1, 2, 0, 2)):
            shown = shapes.copy()
            shown[smile] = 0.5 if number < 3 else 0.9
            yield (
                RawFrame(number, number / 25, crop),
                {person: AlignedFrame(number, number / 25, crop, 1.0, shown, matrix)},
            )

    *_, again, known = Untrained().score(film(), True, most)
    assert known.values[2][AUS.index(12)] == pytest.approx(2.0, abs=0.002)
    assert again.values[0][AUS.index(12)] == pytest.approx(2.0 if most is None else 0.0, abs=0.002)
