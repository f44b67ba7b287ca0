"""A video of prepared faces, each beside bars of its predicted and true intensities."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from aulight.data.video.types import Frames
from aulight.drawing.bars import BLACK, FACES, Track

SIDE, PANEL = 288, 320
"""Pixels of :func:`overlay`: side of the face, and width of the panel beside it."""

_TRACK = (70, 300)  # where in the panel 0 and 5 are
_TOP = 34  # of its first action unit


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
    tracks = [Track(*_TRACK, _TOP + row * height, _TOP + (row + 1) * height - 5) for row in range(len(aus))]
    panel = np.full((SIDE, PANEL, 3), 255, np.uint8)
    cv2.rectangle(panel, (_TRACK[0], 10), (_TRACK[0] + 14, 20), FACES[0], cv2.FILLED)
    _write(panel, "predicted", _TRACK[0] + 20, 20)
    cv2.rectangle(panel, (_TRACK[0] + 120, 8), (_TRACK[0] + 122, 22), BLACK, cv2.FILLED)
    _write(panel, "true", _TRACK[0] + 130, 20)
    for au, track in zip(aus, tracks, strict=True):
        _write(panel, au, 10, track.middle + 5)
        track.draw(panel)
    for face, pred, label in zip(faces, preds, true, strict=True):
        beside = panel.copy()
        for track, bar, tick in zip(tracks, pred, label, strict=True):
            track.bar(beside, bar, FACES[0])
            if not np.isnan(tick):
                place = track.place(tick)
                cv2.rectangle(beside, (place - 1, track.top), (place + 1, track.bottom), BLACK, cv2.FILLED)
        scaled = cv2.resize(face, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        yield np.hstack([scaled, beside]).astype(np.uint8, copy=False)


def _write(picture: Frames, text: str, x: int, y: int) -> None:
    cv2.putText(picture, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.5, BLACK, 1, cv2.LINE_AA)
