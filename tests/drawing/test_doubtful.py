"""Stretches of a timeline where faces are seen badly."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from aulight.drawing.doubtful import LOW, mark_doubtful, stretches


def _marked(table: pd.DataFrame) -> tuple[list[list[float]], int]:
    """Ends of the marked stretches, by what is drawn, and how many entries the legend gets."""
    axes = Figure().subplots()
    axes.set_ylim(0, 5)
    legend = mark_doubtful([axes], table)
    paths = [path for collection in axes.collections for path in collection.get_paths()]
    return [path.get_extents().intervalx.round(6).tolist() for path in paths], len(legend)


def test_stretches_reach_from_half_a_step_before_to_half_a_step_after() -> None:
    found = stretches(np.arange(8) / 4, np.array([1, 0, 0, 1, 1, 0, 0, 1], bool))
    np.testing.assert_allclose(found, [(-0.125, 0.25), (0.625, 0.5), (1.625, 0.25)])
    assert stretches(np.array([3.0]), np.array([True])) == [(2.5, 1.0)]
    assert stretches(np.array([]), np.array([], bool)) == []


def test_what_is_marked_is_where_the_best_face_is_seen_badly() -> None:
    """Two faces: in frames 3 and 4 both are bad, in 6 one is, in 8 there is none."""
    quality = np.full((8, 2), 0.9)
    quality[2:4], quality[5, 0], quality[7] = LOW - 0.1, LOW - 0.1, np.nan
    rows = [(frame + 1, face, frame / 4, quality[frame, face]) for frame in range(8) for face in (0, 1)]
    table = pd.DataFrame(rows, columns=["frame", "face_id", "timestamp", "quality"])
    assert _marked(table) == ([[0.375, 0.875]], 1)


def test_nothing_is_marked_where_all_is_well_or_not_known() -> None:
    table = pd.DataFrame({"frame": [1, 2], "timestamp": [0.0, 0.04], "quality": [0.9, LOW]})
    assert _marked(table) == ([], 0)
    assert _marked(table.drop(columns="quality")) == ([], 0)
    assert _marked(table.iloc[:0]) == ([], 0)
