"""What is said without a model: the table's scores and no others, on the scale of intensities."""

import numpy as np
import pytest

from aulight.data.faces.pose import BLENDSHAPES
from aulight.facs import AU_NAMES
from aulight.prediction.untrained import TABLE, Untrained, intensities


def test_the_table_names_scores_and_aus_that_there_are() -> None:
    known = {name.removesuffix("Left").removesuffix("Right") for name in BLENDSHAPES}
    assert {name for names in TABLE.values() for name in names} <= known
    assert TABLE.keys() <= AU_NAMES.keys()
    assert Untrained.columns == [f"AU{au:02d}" for au in TABLE]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ({}, {}),
        ({"browInnerUp": 0.5}, {1: 2.5}),
        ({"mouthSmileLeft": 1.0, "mouthSmileRight": 0.6}, {12: 4.0}),
        ({"jawOpen": 0.4}, {25: 2.0, 26: 2.0}),
        ({"jawOpen": 0.2, "mouthLowerDownLeft": 0.8, "mouthLowerDownRight": 0.8}, {10: 0.0, 25: 4.0, 26: 1.0}),
        ({"cheekPuff": 1.0, "jawLeft": 1.0, "_neutral": 1.0}, {}),
    ],
)
def test_scores_by_hand(scores: dict[str, float], expected: dict[int, float]) -> None:
    given = np.array([scores.get(name, 0.0) for name in BLENDSHAPES], np.float32)
    assert intensities(given).tolist() == pytest.approx([expected.get(au, 0.0) for au in TABLE])
