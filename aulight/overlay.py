"""Pictures of a face with its intensities drawn beside it."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from aulight.data.video import Frames
from aulight.facs import MAX_INTENSITY

SIDE, PANEL = 288, 320
"""Pixels: side of the face, and width of the panel beside it."""

_TRACK = (70, 300)  # where in the panel 0 and 5 are
_TOP = 34  # of the first action unit
_BLUE, _BLACK, _GREY, _WHITE = (0, 114, 178), (20, 20, 20), (225, 225, 225), (255, 255, 255)


def overlay(
    faces: Frames, aus: Sequence[str], preds: npt.NDArray[np.floating], true: npt.NDArray[np.floating]
) -> Iterator[Frames]:
    """Draws predicted intensities as bars and true ones as ticks, frame by frame.

    Args:
        faces: ``(T, H, W, 3)`` uint8 RGB, H = W.
        aus: Names of the A action units.
        preds: ``(T, A)`` in 0..5; NaN draws no bar.
        true: ``(T, A)`` in 0..5; NaN draws no tick.

    Yields:
        ``(SIDE, SIDE + PANEL, 3)`` uint8 RGB.
    """
    height = (SIDE - _TOP) // len(aus)
    panel = np.full((SIDE, PANEL, 3), 255, np.uint8)
    cv2.rectangle(panel, (_TRACK[0], 10), (_TRACK[0] + 14, 20), _BLUE, cv2.FILLED)
    _write(panel, "predicted", _TRACK[0] + 20, 20)
    cv2.rectangle(panel, (_TRACK[0] + 120, 8), (_TRACK[0] + 122, 22), _BLACK, cv2.FILLED)
    _write(panel, "true", _TRACK[0] + 130, 20)
    for row, au in enumerate(aus):
        top, bottom = _TOP + row * height, _TOP + (row + 1) * height - 5
        _write(panel, au, 10, (top + bottom) // 2 + 5)
        cv2.rectangle(panel, (_TRACK[0], top), (_TRACK[1], bottom), _GREY, cv2.FILLED)
        for intensity in range(1, MAX_INTENSITY):
            cv2.line(panel, (_place(intensity), top), (_place(intensity), bottom), _WHITE)
    for face, pred, label in zip(faces, preds, true, strict=True):
        beside = panel.copy()
        for row, (bar, tick) in enumerate(zip(pred, label, strict=True)):
            top, bottom = _TOP + row * height, _TOP + (row + 1) * height - 5
            if not np.isnan(bar):
                cv2.rectangle(beside, (_TRACK[0], top + 2), (_place(bar), bottom - 2), _BLUE, cv2.FILLED)
            if not np.isnan(tick):
                cv2.rectangle(beside, (_place(tick) - 1, top), (_place(tick) + 1, bottom), _BLACK, cv2.FILLED)
        scaled = cv2.resize(face, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        yield np.hstack([scaled, beside]).astype(np.uint8, copy=False)


def _place(intensity: float) -> int:
    return round(_TRACK[0] + float(intensity) / MAX_INTENSITY * (_TRACK[1] - _TRACK[0]))


def _write(picture: Frames, text: str, x: int, y: int) -> None:
    cv2.putText(picture, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.5, _BLACK, 1, cv2.LINE_AA)
