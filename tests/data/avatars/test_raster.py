"""The z-buffer, against a slow loop that asks every pixel of every triangle."""

import numpy as np
import numpy.typing as npt
import pytest

from aulight.data.avatars.raster import fill


def slow(
    screen: npt.NDArray[np.float32], triangles: npt.NDArray[np.int32], side: int, both: bool
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
    """Solves each pixel's place in each triangle as a linear system."""
    near, seen = np.zeros((side, side)), np.full((side, side), -1, np.int32)
    for number, corners in enumerate(triangles):
        points = screen[corners].astype(np.float64)
        system = np.vstack([points[:, :2].T, np.ones(3)])
        area = np.linalg.det(system)  # > 0: counter-clockwise with rows running up, so clockwise as they run down
        if abs(area) < 1e-9 or (area > 0 and not both) or (points[:, 2] <= 0).any():
            continue
        for row in range(side):
            for column in range(side):
                shares = np.linalg.solve(system, [column, row, 1])
                if (shares >= 0).all() and shares @ points[:, 2] > near[row, column]:
                    near[row, column], seen[row, column] = shares @ points[:, 2], number
    return near, seen


@pytest.mark.parametrize("both", [True, False])
def test_the_nearest_triangle_is_seen_at_every_pixel(both: bool) -> None:
    rng = np.random.default_rng(0)
    side, count = 14, 24
    places, nearness = rng.uniform(-3, side + 3, (3 * count, 2)), rng.uniform(-0.02, 1, 3 * count)
    screen = np.column_stack([places, nearness]).astype(np.float32)
    triangles = np.arange(3 * count, dtype=np.int32).reshape(-1, 3)
    near, seen = np.zeros((side, side), np.float32), np.full((side, side), -1, np.int32)
    fill(screen, triangles, 0, count, both, near, seen)
    slow_near, slow_seen = slow(screen, triangles, side, both)
    assert len(np.unique(slow_seen)) > 5
    np.testing.assert_array_equal(seen, slow_seen)
    np.testing.assert_allclose(near, slow_near, atol=1e-4)


def test_triangles_that_share_an_edge_leave_no_hole() -> None:
    screen = np.array([[0, 0, 1], [9, 0, 1], [9, 9, 1], [0, 9, 1]], np.float32)
    near, seen = np.zeros((10, 10), np.float32), np.full((10, 10), -1, np.int32)
    fill(screen, np.array([[0, 1, 2], [0, 2, 3]], np.int32), 0, 2, True, near, seen)
    assert (seen >= 0).all()
    assert set(np.unique(seen)) == {0, 1}
