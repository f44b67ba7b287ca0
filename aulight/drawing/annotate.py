"""Pictures with the faces found in them: boxes, bars of intensities and heat."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from aulight.data.video.types import Frames
from aulight.drawing.bars import MOST, OTHERS, WHITE, Layout, colour_of, layout_of


@dataclass(frozen=True)
class Shown:
    """A face in a frame, and what is known of it.

    Attributes:
        face_id: Whose face it is.
        matrix: ``(2, 3)`` float64, from pixels of the frame to those of the crop: that of
            :class:`aulight.data.faces.crop.AlignedFrame`.
        size: Side of the crop in pixels.
        values: ``(A,)`` float32 intensities, 0..5; NaN where unknown.
        low: ``(A,)`` lower ends of intervals around them, or ``None``; NaN where there is none.
        high: ``(A,)`` upper ends, likewise.
        heat: ``(S, S)`` float32 in 0..1, of any S, over the crop; or ``None``.
    """

    face_id: int
    matrix: npt.NDArray[np.float64]
    size: int
    values: npt.NDArray[np.float32]
    low: npt.NDArray[np.float32] | None = None
    high: npt.NDArray[np.float32] | None = None
    heat: npt.NDArray[np.float32] | None = None


def annotate(image: Frames, columns: Sequence[str], shown: Sequence[Shown], note: str, moment: str = "") -> Frames:
    """Draws the boxes of faces into a frame, and their intensities as bars from 0 to 5 in a panel beside it.

    The bars of several faces stand side by side, each in the colour of its box: of the :data:`MOST` largest ones, in
    the order of their ids; the others' boxes are grey. Faces have their ids written to them where there are several. A
    frame that is too low for so many AUs to be readable beside it is enlarged.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        columns: Names of the A action units, ``AU01`` ...
        shown: The faces, none for a frame without any.
        note: What stands above the bars, in ASCII; may be empty. Of more than about 80 letters the rest is left out.
        moment: What stands below them, likewise: which frame it is, and when.

    Returns:
        ``(H', W', 3)`` uint8 RGB; H' and W' are even, and depend on H, W and A alone.
    """
    largest = sorted(shown, key=_side, reverse=True)[:MOST]
    barred = sorted(largest, key=lambda face: face.face_id)
    named = len(shown) > 1 or any(face.face_id for face in shown)
    ids = tuple(face.face_id for face in barred) if named else (None,) * len(barred)
    layout = layout_of(image.shape[0], image.shape[1], tuple(columns), ids, note)
    canvas = layout.canvas.copy()
    picture = canvas[: layout.height, : layout.width]
    if (layout.height, layout.width) == image.shape[:2]:
        picture[:] = image
    else:
        picture[:] = cv2.resize(image, (layout.width, layout.height), interpolation=cv2.INTER_LINEAR)
    for face in shown:
        if face.heat is not None:
            _warm(picture, face.heat, _to_picture(face, layout.zoom), face.size)
    for face in shown:
        taken = any(face is other for other in barred)
        _box(picture, face, layout, colour_of(face.face_id) if taken else OTHERS, str(face.face_id) if named else "")
    for face, tracks in zip(barred, layout.tracks, strict=False):
        for row, (track, value) in enumerate(zip(tracks, face.values.tolist(), strict=True)):
            track.bar(canvas, value, colour_of(face.face_id))
            if face.low is not None and face.high is not None:
                track.whisker(canvas, float(face.low[row]), float(face.high[row]), layout.stroke)
            text = "-" if math.isnan(value) else f"{value:.1f}"
            layout.text.write(canvas, text, track.left - layout.row // 5 - layout.text.width(text), track.middle)
    begin, upper, lower = layout.foot
    if moment:
        layout.text.write(canvas, moment, begin, upper)
    if any(face.heat is not None for face in shown):
        _scale(canvas, layout, begin, lower)
    return canvas


def _scale(canvas: Frames, layout: Layout, left: int, middle: int) -> None:
    """The colours of heat from 0 to 1, as they look on grey."""
    text, half = layout.text, round(0.3 * layout.row)
    start = left + text.width("heat 0 ")
    end = start + 6 * layout.row
    text.write(canvas, "heat 0", left, middle)
    levels = np.linspace(0, 255, end - start).astype(int)
    canvas[middle - half : middle + half, start:end] = (_GROUND * (1 - _COVER) + _INK)[levels]
    text.write(canvas, "1", end + layout.row // 4, middle)


def _side(face: Shown) -> float:
    """Of its box, in pixels of the frame."""
    return face.size / math.sqrt(abs(np.linalg.det(face.matrix[:, :2])))


def _to_picture(face: Shown, zoom: float) -> npt.NDArray[np.float64]:
    """``(2, 3)``, from pixels of the crop to those of the picture."""
    back = np.linalg.inv(face.matrix[:, :2])
    # the centre of the first pixel is at 0, that of the frame at a half
    shift = zoom * (0.5 - back @ face.matrix[:, 2]) - 0.5
    return np.column_stack([zoom * back, shift])


def _corners(matrix: npt.NDArray[np.float64], size: int) -> npt.NDArray[np.float64]:
    """``(4, 2)``, of the crop on the picture."""
    crop = np.array([[-0.5, -0.5], [size - 0.5, -0.5], [size - 0.5, size - 0.5], [-0.5, size - 0.5]])
    return crop @ matrix[:, :2].T + matrix[:, 2]


_FINE = 4  # bits after the point of what OpenCV draws


def _box(picture: Frames, face: Shown, layout: Layout, colour: tuple[int, int, int], name: str) -> None:
    corners = _corners(_to_picture(face, layout.zoom), face.size)
    points = [np.round(corners * 2**_FINE).astype(np.int32)]
    # with a light rim, to be seen on every ground
    for thickness, ink in ((layout.stroke + 2, WHITE), (layout.stroke, colour)):
        cv2.polylines(picture, points, True, ink, thickness, cv2.LINE_AA, _FINE)
    if name:
        text, pad = layout.text, max(2, layout.row // 6)
        wide, tall = text.width(name) + 2 * pad, round(0.5 * layout.row) + 2 * pad
        x, y = corners[0].tolist()
        left = round(min(max(x, 0), picture.shape[1] - wide))
        top = round(min(max(y - tall, 0), picture.shape[0] - tall))
        cv2.rectangle(picture, (left, top), (left + wide, top + tall), colour, cv2.FILLED)
        text.write(picture, name, left + pad, top + tall // 2, WHITE)


_HEAT: Any = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_VIRIDIS)[:, 0, ::-1]
"""Grows lighter from blue over green to yellow, with every kind of colour vision."""
_COVER = np.minimum(2 * np.linspace(0, 1, 256), 0.7)[:, None].astype(np.float32)  # how much of it there is
_INK = (_COVER * _HEAT).astype(np.float32)
_GROUND = 150  # grey of the picture that its scale shows it on


def _warm(picture: Frames, heat: npt.NDArray[np.float32], matrix: npt.NDArray[np.float64], size: int) -> None:
    """Lays the heat map of a crop over its part of the picture."""
    levels: Any = np.rint(255 * np.clip(heat, 0, 1)).astype(np.uint8)
    levels = cv2.resize(levels, (size, size), interpolation=cv2.INTER_LINEAR)
    corners = _corners(matrix, size)
    left, top = np.maximum(np.floor(corners.min(0)).astype(int), 0)
    right, bottom = np.minimum(np.ceil(corners.max(0)).astype(int) + 1, picture.shape[1::-1])
    if left >= right or top >= bottom:
        return
    matrix[:, 2] -= left, top
    levels = cv2.warpAffine(levels, matrix, (int(right - left), int(bottom - top)), flags=cv2.INTER_LINEAR)
    part = picture[top:bottom, left:right]
    part[:] = part * (1 - _COVER[levels]) + _INK[levels] + 0.5
