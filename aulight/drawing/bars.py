"""Bars of intensities, text and boxes on pictures."""

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from aulight.data.video.types import Frames
from aulight.facs import MAX_INTENSITY

MOST = 4
"""Faces that bars and lines are drawn for at a time."""

FACES = ((0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (230, 159, 0), (86, 180, 233))
"""Colours of faces by their ids, RGB: Okabe and Ito's, told apart with every kind of colour vision."""

BLACK, WHITE, OTHERS = (20, 20, 20), (255, 255, 255), (90, 90, 90)
"""Of text, of paper, and of the boxes of faces that have no bars."""

_GREY = (225, 225, 225)


@dataclass(frozen=True)
class Track:
    """Where a bar lies, in pixels: 0 at ``left``, 5 at ``right``."""

    left: int
    right: int
    top: int
    bottom: int

    @property
    def middle(self) -> int:
        """Its height in the picture."""
        return (self.top + self.bottom) // 2

    def place(self, intensity: float) -> int:
        """Where an intensity lies, across."""
        share = min(max(float(intensity) / MAX_INTENSITY, 0.0), 1.0)
        return round(self.left + share * (self.right - self.left))

    def draw(self, picture: Frames) -> None:
        """Its ground, with a line at each intensity."""
        cv2.rectangle(picture, (self.left, self.top), (self.right, self.bottom), _GREY, cv2.FILLED)
        for intensity in range(1, MAX_INTENSITY):
            cv2.line(picture, (self.place(intensity), self.top), (self.place(intensity), self.bottom), WHITE)

    def bar(self, picture: Frames, intensity: float, colour: tuple[int, int, int]) -> None:
        """The bar of an intensity; none for NaN."""
        if not math.isnan(intensity):
            corner = self.place(intensity), self.bottom - 2
            cv2.rectangle(picture, (self.left, self.top + 2), corner, colour, cv2.FILLED)

    def whisker(self, picture: Frames, low: float, high: float, stroke: int) -> None:
        """The interval around it; none for NaN."""
        if math.isnan(low) or math.isnan(high):
            return
        left, right, reach = self.place(low), self.place(high), max(2, (self.bottom - self.top) // 4)
        top = self.middle - stroke // 2
        cv2.rectangle(picture, (left, top), (right, top + stroke - 1), BLACK, cv2.FILLED)
        for end in (left, right - stroke + 1):
            corner = end + stroke - 1, self.middle + reach
            cv2.rectangle(picture, (end, self.middle - reach), corner, BLACK, cv2.FILLED)


_FONT = cv2.FONT_HERSHEY_SIMPLEX


@dataclass(frozen=True)
class Text:
    """Text of a size."""

    scale: float
    stroke: int

    @classmethod
    def of(cls, height: float, stroke: int) -> "Text":
        """With digits of so many pixels."""
        (_, tall), _ = cv2.getTextSize("0", _FONT, 10.0, 1)
        return cls(10.0 * height / tall, stroke)

    def width(self, text: str) -> int:
        """Pixels that a text is wide."""
        return int(cv2.getTextSize(text, _FONT, self.scale, self.stroke)[0][0])

    def write(self, picture: Frames, text: str, x: int, middle: int, colour: tuple[int, int, int] = BLACK) -> None:
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
class Layout:
    """What of :func:`aulight.drawing.annotate.annotate` is the same in every frame.

    Attributes:
        height: Of the picture, in pixels.
        width: Of the picture, in pixels.
        zoom: Pixels of it to one of the frame.
        row: Height of a row of the panel.
        stroke: Thickness of lines.
        text: How values are written.
        canvas: All that does not change, drawn.
        tracks: Of each face, of each action unit; values are written before them.
        foot: Middle of the two last rows, and where their text begins: the moment, and the scale of heat.
    """

    height: int
    width: int
    zoom: float
    row: int
    stroke: int
    text: Text
    canvas: Frames
    tracks: list[list[Track]]
    foot: tuple[int, int, int]


_ROW = 20  # pixels of a row that can be read
_NOTE_LINES, _HEAD, _FOOT = (
    2,
    3.0,
    3.0,
)  # rows above and below those of the action units: note, ids; scale, moment, heat
_NAME, _VALUE, _GAP = 2.6, 1.5, 0.5  # rows that names, values and what is between two faces are wide
_NAMED = 2  # faces up to which each has the names of its own


@lru_cache(16)
def layout_of(height: int, width: int, columns: tuple[str, ...], ids: tuple[int | None, ...], note: str) -> Layout:
    """What is the same in every frame.

    Args:
        height: Of the frames, in pixels.
        width: Of the frames.
        columns: Names of the action units.
        ids: Of the faces that have bars; ``None`` where it need not be told.
        note: What stands above the bars.
    """
    rows = _HEAD + len(columns) + _FOOT
    zoom = max(1.0, _ROW * rows / height)
    height, width = round(zoom * height), round(zoom * width)
    short = min(height, width)
    row = max(_ROW, math.floor(min(height / rows, short / 18)))
    panel = max(14 * _ROW, round(0.95 * short))
    whole = width + panel
    canvas = np.full((height + height % 2, whole + whole % 2, 3), 255, np.uint8)
    stroke = max(1, round(row / 16))
    text = Text.of(0.5 * row, max(1, round(row / 20)))

    room = panel - row // 2
    said = text
    while said.scale > 0.7 * text.scale and len(said.lines(note, room)) > _NOTE_LINES:
        said = Text(0.95 * said.scale, text.stroke)
    for place, line in enumerate(said.lines(note, room)[:_NOTE_LINES]):
        said.write(canvas, line, width + row // 4, round((0.7 + place) * row))

    faces = max(1, len(ids))
    begin, name = width + row // 4, round(_NAME * row)
    shared = 0 if faces <= _NAMED else name
    step = (panel - row // 4 - shared) / faces
    tracks = []
    for place in range(faces):
        left = round(begin + place * step + name + _VALUE * row)
        right = round(begin + shared + (place + 1) * step - _GAP * row)
        mine = []
        for index, column in enumerate(columns):
            top = round((_HEAD + index) * row)
            mine.append(Track(left, right, top + row // 10, top + row - 1 - row // 10))
            mine[-1].draw(canvas)
            if not shared or not place:
                text.write(canvas, column, left - round(_VALUE * row) - name, mine[-1].middle)
        tracks.append(mine)
        under = round((_HEAD + len(columns) + 0.5) * row)
        for end, x in (("0", left), (str(MAX_INTENSITY), right)):
            text.write(canvas, end, x - text.width(end) // 2, under)
        if ids and (face_id := ids[place]) is not None:
            text.write(canvas, str(face_id), left, round((_HEAD - 0.5) * row), colour_of(face_id))
    foot = begin, round((_HEAD + len(columns) + 1.5) * row), round((_HEAD + len(columns) + 2.5) * row)
    canvas.flags.writeable = False
    return Layout(height, width, zoom, row, stroke, text, canvas, tracks, foot)


def colour_of(face_id: int) -> tuple[int, int, int]:
    """Of a face's box and bars, RGB."""
    return FACES[face_id % len(FACES)]
