"""Pictures with intensities drawn beside: whole frames with their faces, and tested faces with the truth."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from aulight.data.video import Frames
from aulight.facs import MAX_INTENSITY

SIDE, PANEL = 288, 320
"""Pixels of :func:`overlay`: side of the face, and width of the panel beside it."""

MOST = 4
"""Faces that bars and lines are drawn for at a time."""

FACES = ((0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (230, 159, 0), (86, 180, 233))
"""Colours of faces by their ids, RGB: Okabe and Ito's, told apart with every kind of colour vision."""

_TRACK = (70, 300)  # where in the panel of `overlay` 0 and 5 are
_TOP = 34  # of its first action unit
_BLACK, _GREY, _WHITE = (20, 20, 20), (225, 225, 225), (255, 255, 255)
_OTHERS = (90, 90, 90)


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
    tracks = [_Track(*_TRACK, _TOP + row * height, _TOP + (row + 1) * height - 5) for row in range(len(aus))]
    panel = np.full((SIDE, PANEL, 3), 255, np.uint8)
    cv2.rectangle(panel, (_TRACK[0], 10), (_TRACK[0] + 14, 20), FACES[0], cv2.FILLED)
    _write(panel, "predicted", _TRACK[0] + 20, 20)
    cv2.rectangle(panel, (_TRACK[0] + 120, 8), (_TRACK[0] + 122, 22), _BLACK, cv2.FILLED)
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
                cv2.rectangle(beside, (place - 1, track.top), (place + 1, track.bottom), _BLACK, cv2.FILLED)
        scaled = cv2.resize(face, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        yield np.hstack([scaled, beside]).astype(np.uint8, copy=False)


@dataclass(frozen=True)
class Shown:
    """A face in a frame, and what is known of it.

    Attributes:
        face_id: Whose face it is.
        matrix: ``(2, 3)`` float64, from pixels of the frame to those of the crop: that of
            :class:`aulight.data.faces.AlignedFrame`.
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


def annotate(image: Frames, columns: Sequence[str], shown: Sequence[Shown], note: str) -> Frames:
    """Draws the boxes of faces into a frame, and their intensities as bars from 0 to 5 in a panel beside it.

    The bars of several faces stand side by side, each in the colour of its box: of the :data:`MOST` largest ones, in
    the order of their ids; the others' boxes are grey. Faces have their ids written to them where there are several. A
    frame that is too low for so many AUs to be readable beside it is enlarged.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        columns: Names of the A action units, ``AU01`` ...
        shown: The faces, none for a frame without any.
        note: What stands above the bars, in ASCII; may be empty. Of more than about 80 letters the rest is left out.

    Returns:
        ``(H', W', 3)`` uint8 RGB; H' and W' are even, and depend on H, W and A alone.
    """
    largest = sorted(shown, key=_side, reverse=True)[:MOST]
    barred = sorted(largest, key=lambda face: face.face_id)
    named = len(shown) > 1 or any(face.face_id for face in shown)
    ids = tuple(face.face_id for face in barred) if named else (None,) * len(barred)
    layout = _layout(image.shape[0], image.shape[1], tuple(columns), ids, note)
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
        _box(picture, face, layout, _colour(face.face_id) if taken else _OTHERS, str(face.face_id) if named else "")
    for face, tracks in zip(barred, layout.tracks, strict=False):
        for row, (track, value) in enumerate(zip(tracks, face.values.tolist(), strict=True)):
            track.bar(canvas, value, _colour(face.face_id))
            if face.low is not None and face.high is not None:
                track.whisker(canvas, float(face.low[row]), float(face.high[row]), layout.stroke)
            text = "-" if math.isnan(value) else f"{value:.1f}"
            layout.text.write(canvas, text, track.right + layout.row // 4, track.middle)
    return canvas


@dataclass(frozen=True)
class _Track:
    """Where a bar lies, in pixels: 0 at ``left``, 5 at ``right``."""

    left: int
    right: int
    top: int
    bottom: int

    @property
    def middle(self) -> int:
        return (self.top + self.bottom) // 2

    def place(self, intensity: float) -> int:
        share = min(max(float(intensity) / MAX_INTENSITY, 0.0), 1.0)
        return round(self.left + share * (self.right - self.left))

    def draw(self, picture: Frames) -> None:
        cv2.rectangle(picture, (self.left, self.top), (self.right, self.bottom), _GREY, cv2.FILLED)
        for intensity in range(1, MAX_INTENSITY):
            cv2.line(picture, (self.place(intensity), self.top), (self.place(intensity), self.bottom), _WHITE)

    def bar(self, picture: Frames, intensity: float, colour: tuple[int, int, int]) -> None:
        if not math.isnan(intensity):
            corner = self.place(intensity), self.bottom - 2
            cv2.rectangle(picture, (self.left, self.top + 2), corner, colour, cv2.FILLED)

    def whisker(self, picture: Frames, low: float, high: float, stroke: int) -> None:
        if math.isnan(low) or math.isnan(high):
            return
        left, right, reach = self.place(low), self.place(high), max(2, (self.bottom - self.top) // 4)
        top = self.middle - stroke // 2
        cv2.rectangle(picture, (left, top), (right, top + stroke - 1), _BLACK, cv2.FILLED)
        for end in (left, right - stroke + 1):
            corner = end + stroke - 1, self.middle + reach
            cv2.rectangle(picture, (end, self.middle - reach), corner, _BLACK, cv2.FILLED)


_FONT = cv2.FONT_HERSHEY_SIMPLEX


def _write(picture: Frames, text: str, x: int, y: int) -> None:
    cv2.putText(picture, text, (x, y), _FONT, 0.5, _BLACK, 1, cv2.LINE_AA)


@dataclass(frozen=True)
class _Text:
    """Text of a size."""

    scale: float
    stroke: int

    @classmethod
    def of(cls, height: float, stroke: int) -> "_Text":
        """With digits of so many pixels."""
        (_, tall), _ = cv2.getTextSize("0", _FONT, 10.0, 1)
        return cls(10.0 * height / tall, stroke)

    def width(self, text: str) -> int:
        return int(cv2.getTextSize(text, _FONT, self.scale, self.stroke)[0][0])

    def write(self, picture: Frames, text: str, x: int, middle: int, colour: tuple[int, int, int] = _BLACK) -> None:
        """From x on, with the middle of its digits at a height."""
        (_, tall), _ = cv2.getTextSize("0", _FONT, self.scale, self.stroke)
        cv2.putText(picture, text, (x, middle + tall // 2), _FONT, self.scale, colour, self.stroke, cv2.LINE_AA)

    def lines(self, text: str, width: int) -> list[str]:
        """Words that fit on one line after the other; a word that is longer is cut."""
        lines: list[str] = []
        for word in text.split():
            if lines and self.width(f"{lines[-1]} {word}") <= width:
                lines[-1] += f" {word}"
            else:
                while self.width(word) > width:
                    word = word[:-1]
                lines.append(word)
        return lines


@dataclass(frozen=True)
class _Layout:
    """What of :func:`annotate` is the same in every frame.

    Attributes:
        height: Of the picture, in pixels.
        width: Of the picture, in pixels.
        zoom: Pixels of it to one of the frame.
        row: Height of a row of the panel.
        stroke: Thickness of lines.
        text: How values are written.
        canvas: All that does not change, drawn.
        tracks: Of each face, of each action unit.
    """

    height: int
    width: int
    zoom: float
    row: int
    stroke: int
    text: _Text
    canvas: Frames
    tracks: list[list[_Track]]


_ROW = 16  # pixels of a row that can be read
_NOTE_LINES, _HEAD, _FOOT = 2, 3.0, 1.0  # rows above and below those of the action units: note and ids; scale
_NAME, _VALUE = 2.5, 1.7  # rows that names and values are wide


@lru_cache(16)
def _layout(height: int, width: int, columns: tuple[str, ...], ids: tuple[int | None, ...], note: str) -> _Layout:
    rows = _HEAD + len(columns) + _FOOT
    zoom = max(1.0, _ROW * rows / height)
    height, width = round(zoom * height), round(zoom * width)
    short = min(height, width)
    row = max(_ROW, math.floor(min(height / rows, short / 18)))
    panel = max(14 * _ROW, round(0.95 * short))
    whole = width + panel
    canvas = np.full((height + height % 2, whole + whole % 2, 3), 255, np.uint8)
    stroke = max(1, round(row / 16))
    text = _Text.of(0.5 * row, max(1, round(row / 20)))

    room = panel - row // 2
    said = text
    while said.scale > 0.7 * text.scale and len(said.lines(note, room)) > _NOTE_LINES:
        said = _Text(0.95 * said.scale, text.stroke)
    for place, line in enumerate(said.lines(note, room)[:_NOTE_LINES]):
        said.write(canvas, line, width + row // 4, round((0.7 + place) * row))

    start = width + round(_NAME * row)
    faces = max(1, len(ids))
    step = (width + panel - start) / faces
    tracks = []
    for place in range(faces):
        left = round(start + place * step)
        right = round(left + step - _VALUE * row)
        mine = []
        for index in range(len(columns)):
            top = round((_HEAD + index) * row)
            mine.append(_Track(left, right, top + row // 10, top + row - 1 - row // 10))
            mine[-1].draw(canvas)
        tracks.append(mine)
        under = round((_HEAD + len(columns) + 0.5) * row)
        for end, x in (("0", left), (str(MAX_INTENSITY), right)):
            text.write(canvas, end, x - text.width(end) // 2, under)
        if ids and (face_id := ids[place]) is not None:
            text.write(canvas, str(face_id), left, round((_HEAD - 0.5) * row), _colour(face_id))
    for name, track in zip(columns, tracks[0], strict=True):
        text.write(canvas, name, width + row // 4, track.middle)
    canvas.flags.writeable = False
    return _Layout(height, width, zoom, row, stroke, text, canvas, tracks)


def _colour(face_id: int) -> tuple[int, int, int]:
    return FACES[face_id % len(FACES)]


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


def _box(picture: Frames, face: Shown, layout: _Layout, colour: tuple[int, int, int], name: str) -> None:
    corners = _corners(_to_picture(face, layout.zoom), face.size)
    points = [np.round(corners * 2**_FINE).astype(np.int32)]
    # with a light rim, to be seen on every ground
    for thickness, ink in ((layout.stroke + 2, _WHITE), (layout.stroke, colour)):
        cv2.polylines(picture, points, True, ink, thickness, cv2.LINE_AA, _FINE)
    if name:
        text, pad = layout.text, max(2, layout.row // 6)
        wide, tall = text.width(name) + 2 * pad, round(0.5 * layout.row) + 2 * pad
        x, y = corners[0].tolist()
        left = round(min(max(x, 0), picture.shape[1] - wide))
        top = round(min(max(y - tall, 0), picture.shape[0] - tall))
        cv2.rectangle(picture, (left, top), (left + wide, top + tall), colour, cv2.FILLED)
        text.write(picture, name, left + pad, top + tall // 2, _WHITE)


_HEAT: Any = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_VIRIDIS)[:, 0, ::-1]
"""Grows lighter from blue over green to yellow, with every kind of colour vision."""
_COVER = np.minimum(2 * np.linspace(0, 1, 256), 0.7)[:, None].astype(np.float32)  # how much of it there is
_INK = (_COVER * _HEAT).astype(np.float32)


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
