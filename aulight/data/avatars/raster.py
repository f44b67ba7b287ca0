"""Which triangle is seen at every pixel: a z-buffer."""

import numpy as np
import numpy.typing as npt

from aulight.data.avatars.compiled import compiled

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int32]


@compiled
def fill(screen: Floats, triangles: Numbers, first: int, last: int, both: bool, near: Floats, seen: Numbers) -> None:
    """Draws triangles into a z-buffer.

    Args:
        screen: ``(V, 3)`` float32: column and row in pixels, whose centres are whole numbers, and nearness: the
            larger, the nearer (an inverse depth), 0 behind the camera.
        triangles: ``(T, 3)`` int32.
        first: The first triangle that is drawn.
        last: The one after the last.
        both: Whether triangles are seen from behind; else only where their corners run clockwise on the picture, whose
            rows run down.
        near: ``(H, W)`` float32, nearness of what is there; changed.
        seen: ``(H, W)`` int32, its triangle; changed.
    """
    height, width = near.shape
    least = np.float32(-1e-5)  # by rounding, neither of two triangles may have a pixel on their edge
    for t in range(first, last):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ax, ay, aq = screen[a, 0], screen[a, 1], screen[a, 2]
        bx, by, bq = screen[b, 0], screen[b, 1], screen[b, 2]
        cx, cy, cq = screen[c, 0], screen[c, 1], screen[c, 2]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area == 0 or (area > 0 and not both) or aq <= 0 or bq <= 0 or cq <= 0:
            continue
        left = max(0, int(np.ceil(min(ax, bx, cx))))
        right = min(width - 1, int(np.floor(max(ax, bx, cx))))
        top = max(0, int(np.ceil(min(ay, by, cy))))
        bottom = min(height - 1, int(np.floor(max(ay, by, cy))))
        if left > right or top > bottom:
            continue
        over = np.float32(1) / area
        for row in range(top, bottom + 1):
            for column in range(left, right + 1):
                one = ((bx - column) * (cy - row) - (by - row) * (cx - column)) * over
                two = ((cx - column) * (ay - row) - (cy - row) * (ax - column)) * over
                three = np.float32(1) - one - two
                if one < least or two < least or three < least:
                    continue
                q = one * aq + two * bq + three * cq
                if q > near[row, column]:
                    near[row, column] = q
                    seen[row, column] = t
