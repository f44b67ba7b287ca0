import numpy as np
import numpy.typing as npt

from aulight.overlay import PANEL, SIDE, overlay

BLUE, BLACK = (0, 114, 178), (20, 20, 20)


def _columns(rows: npt.NDArray[np.uint8], colour: tuple[int, int, int]) -> npt.NDArray[np.int64]:
    """Columns that are of this colour in all of some rows."""
    return np.flatnonzero((rows == np.array(colour)).all((0, 2)))


def test_bars_and_ticks_are_where_the_intensities_are() -> None:
    faces = np.full((3, 64, 64, 3), 90, np.uint8)
    preds = np.array([[2.0, 5.0], [4.0, np.nan], [0.5, 1.0]])
    true = np.array([[4.0, 2.0], [np.nan, 3.0], [1.5, 4.0]])
    shown = list(overlay(faces, ["AU01", "AU12"], preds, true))
    assert [frame.shape for frame in shown] == [(SIDE, SIDE + PANEL, 3)] * 3
    assert [frame.dtype for frame in shown] == [np.uint8] * 3
    height = (SIDE - 34) // 2
    for frame, bars, ticks in zip(shown, preds, true, strict=True):
        assert (frame[:, :SIDE] == 90).all()
        for row, (bar, tick) in enumerate(zip(bars, ticks, strict=True)):
            middle = 34 + row * height + height // 2
            # between the white marks of whole intensities and clear of the name
            rows = frame[middle - 3 : middle + 3, SIDE + 70 :]
            marked = _columns(rows, BLACK)
            blue = np.union1d(_columns(rows, BLUE), marked[marked <= 46 * np.nan_to_num(bar)])
            assert marked.tolist() == ([] if np.isnan(tick) else [46 * tick - 1, 46 * tick, 46 * tick + 1])
            assert len(blue) == (0 if np.isnan(bar) else 46 * bar + 1)
