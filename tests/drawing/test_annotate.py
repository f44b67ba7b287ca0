"""Pictures with bars: every oracle is a pixel, found again where it was to be."""

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from aulight.datasets import DISFA_AUS
from aulight.drawing.annotate import Shown, annotate
from aulight.drawing.truth_video import PANEL, SIDE, overlay
from aulight.facs import AU_NAMES, column

Frames = npt.NDArray[np.uint8]

BLUE, RED, GREEN, PURPLE = COLOURS = [(0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167)]
BLACK = (20, 20, 20)
TWELVE = [column(au) for au in DISFA_AUS]


def _columns(rows: Frames, colour: tuple[int, int, int]) -> npt.NDArray[np.int64]:
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


# ---- whole frames -----------------------------------------------------------------------------------------------


def face(
    values: Any,
    centre: tuple[float, float] = (300.0, 200.0),
    side: float = 120.0,
    angle: float = 0.0,
    face_id: int = 0,
    **more: Any,
) -> Shown:
    """A face of which the crop of 112 pixels is a square on the frame, turned clockwise."""
    turn = 112 / side * np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    # pixel centres are whole numbers on both
    matrix = np.column_stack([turn, (112 - 1) / 2 - turn @ (np.array(centre) - 0.5)])
    return Shown(face_id, matrix, 112, np.asarray(values, np.float32), **more)


def frame(width: int = 640, height: int = 360, level: int = 90) -> Frames:
    return np.full((height, width, 3), level, np.uint8)


def like(picture: Frames, colour: tuple[int, int, int]) -> Any:
    """Where a picture is of a colour, or nearly."""
    return (np.abs(picture.astype(int) - colour) <= 2).all(-1)


def widths(panel: Frames, colour: tuple[int, int, int]) -> list[int]:
    """Lengths of a panel's bars of a colour, from the top: stretches of rows with a dozen pixels of it."""
    found = like(panel, colour).sum(1)
    rows = np.flatnonzero(found > 12)
    return [int(found[part].max()) for part in np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1) if len(part)]


SIZES = [(640, 360), (1920, 1080), (1080, 1920), (320, 240), (641, 361), (90, 700), (64, 64)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("names", [TWELVE[:1], TWELVE, [column(au) for au in AU_NAMES]])
def test_sizes_are_even_and_the_same_for_every_frame(size: tuple[int, int], names: list[str]) -> None:
    """Whoever is in it and whatever is said of it; the frame itself is in it, whole."""
    image = frame(*size)
    image[:, : size[0] // 2] = 200
    faces = [face(np.ones(len(names)), face_id=k, centre=(40.0 * k, 50)) for k in range(6)]
    shapes = set()
    for shown, note in (([], ""), (faces[:1], "short"), (faces[:4], "uncalibrated: " * 9), (faces, "")):
        out = annotate(image, names, shown, note)
        assert out.dtype == np.uint8
        shapes.add(out.shape)
    ((height, width, _),) = shapes
    assert height % 2 == width % 2 == 0
    assert height >= max(size[1], 20 * (len(names) + 6))
    bare = annotate(image, names, [], "")
    zoom = max(1, 20 * (len(names) + 6) / size[1])
    wide, tall = round(zoom * size[0]), round(zoom * size[1])
    blur = math.ceil(zoom)
    assert (bare[:tall, : wide // 2 - blur] == 200).all()
    assert (bare[:tall, wide // 2 + blur : wide] == 90).all()
    assert (bare[:, wide : wide + 3] == 255).all()


@pytest.mark.parametrize("size", [(640, 360), (1920, 1080), (320, 240)])
def test_bars_are_as_long_as_the_intensities(size: tuple[int, int]) -> None:
    """The oracle is the bar of intensity 5."""
    values = np.linspace(0.5, 5, 12)
    out = annotate(frame(*size), TWELVE, [face(values)], "")
    found = widths(out[:, size[0] :], BLUE)
    assert len(found) == 12
    np.testing.assert_allclose(found, values / 5 * (found[-1] - 1) + 1, atol=1)


def test_values_that_are_unknown_have_no_bar_and_are_not_zero() -> None:
    values = np.full(12, 3.0)
    values[[0, 5, 11]] = np.nan
    out = annotate(frame(), TWELVE, [face(values)], "")
    assert len(widths(out[:, 640:], BLUE)) == 9
    zero = annotate(frame(), TWELVE, [face(np.nan_to_num(values))], "")
    assert (out[:, 640:] != zero[:, 640:]).any()
    nothing = annotate(frame(), TWELVE, [face(np.full(12, np.nan))], "")
    assert not like(nothing[:, 640:], BLUE).any()


def test_whiskers_reach_from_low_to_high() -> None:
    """The oracles are the ends of bars of the same intensities."""
    low, high = np.linspace(0, 2, 12), np.linspace(2.5, 5, 12)
    low[3] = high[3] = np.nan
    shown = face(np.full(12, 2.2), low=low.astype(np.float32), high=high.astype(np.float32))
    panel = annotate(frame(), TWELVE, [shown], "")[:, 640:]
    plain = annotate(frame(), TWELVE, [face(np.full(12, 2.2))], "")[:, 640:]
    left, *_, right = np.flatnonzero(
        like(annotate(frame(), TWELVE, [face(np.full(12, 5.0))], "")[:, 640:], BLUE).any(0)
    )
    bars = np.flatnonzero(like(plain, BLUE).sum(1) > 12)
    rows = np.split(bars, np.flatnonzero(np.diff(bars) > 1) + 1)
    for place, row in enumerate(rows):
        drawn = np.flatnonzero((panel[row] != plain[row]).any(-1).any(0))
        if place == 3:
            assert len(drawn) == 0
            continue
        assert abs(drawn[0] - (left + low[place] / 5 * (right - left))) <= 1
        assert abs(drawn[-1] - (left + high[place] / 5 * (right - left))) <= 1
        assert like(panel[row], BLACK)[:, drawn[0] : drawn[-1] + 1].all(1).sum() == 1  # the line between the ends


@pytest.mark.parametrize("angle", [0.0, 0.3, -1.2, 3.0])
@pytest.mark.parametrize("size", [(640, 360), (320, 240)])
def test_boxes_are_where_the_crops_are_from(angle: float, size: tuple[int, int]) -> None:
    """Oracle: the corners of the turned square. Nothing of the frame is changed away from its edges."""
    names = [column(au) for au in AU_NAMES]
    centre, side = (size[0] * 0.45, size[1] * 0.5), size[1] * 0.45
    image = frame(*size)
    shown = face(np.ones(len(names)), centre, side, angle)
    zoom = max(1.0, 20 * (len(names) + 6) / size[1])
    picture = annotate(image, names, [shown], "")[:, : round(zoom * size[0])]
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    square = side / 2 * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    # from the left upper corner of the picture; the first pixel's middle is at a half
    corners = zoom * (square @ turn.T + centre) - 0.5
    edges = np.concatenate(
        [a + np.linspace(0, 1, 60)[:, None] * (b - a) for a, b in zip(corners, np.roll(corners, -1, 0), strict=True)]
    )
    blueness = picture[..., 2].astype(int) - picture[..., 0]
    for x, y in edges:
        near = blueness[max(0, round(y) - 1) : round(y) + 2, max(0, round(x) - 1) : round(x) + 2]
        assert near.max() > 100
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]]
    distance = np.full(picture.shape[:2], np.inf)
    for place in edges:
        distance = np.minimum(distance, np.hypot(x - place[0], y - place[1]))
    assert (picture[distance > 6] == 90).all()


def test_nothing_is_drawn_beside_the_frame_by_faces_that_leave_it() -> None:
    """Boxes and heat end at the frame's edge: the panel is that of a face in the middle."""
    heat = np.ones((112, 112), np.float32)
    values = np.full(12, 2.0)
    inside = annotate(frame(), TWELVE, [face(values, heat=heat)], "")
    for centre in ((0, 0), (640, 360), (640, 0), (630, 180), (-500, 900), (3000, 100)):
        out = annotate(frame(), TWELVE, [face(values, centre, 150, 0.4, heat=heat)], "")
        np.testing.assert_array_equal(out[:, 640:], inside[:, 640:])
    assert (out[:, :640] == 90).all()


def test_each_face_has_its_colour_its_id_and_its_bars() -> None:
    faces = [face(np.full(12, 2.0 + k), (100 + 140 * k, 200), 90, face_id=k) for k in range(4)]
    out = annotate(frame(), TWELVE, faces, "")
    alone = annotate(frame(), TWELVE, faces[:1], "")
    places = []
    for k, colour in enumerate(COLOURS):
        found = widths(out[:, 640:], colour)
        assert len(found) == 12
        places.append(np.flatnonzero(like(out[:, 640:], colour).any(0)).min())
        # the tag above the left upper corner of the box
        left, top = 100 + 140 * k - 45, 200 - 45
        assert like(out[top - 8 : top - 2, left : left + 8], colour).sum() > 15
    assert places == sorted(places)
    assert not like(alone[:, :640], BLUE)[140:152, 40:80].any()  # who is alone needs no name
    assert (annotate(frame(), TWELVE, faces[::-1], "") == out).all()
    two = annotate(frame(), TWELVE, [faces[0], faces[3]], "")
    assert len(widths(two[:, 640:], BLUE)) == len(widths(two[:, 640:], PURPLE)) == 12


def test_of_many_faces_the_largest_have_bars() -> None:
    faces = [face(np.full(12, 4.0), (80 + 100 * k, 200), 90 - 10 * (k == 2), face_id=k) for k in range(5)]
    out = annotate(frame(), TWELVE, faces, "")
    assert not like(out[:, 640:], GREEN).any()  # of face 2, the smallest
    assert len(widths(out[:, 640:], RED)) == len(widths(out[:, 640:], PURPLE)) == 12
    picture = out[:, :640]
    assert like(picture[:, 260:300], (90, 90, 90)).any()
    assert not like(picture[120:280, 230:330], GREEN).any()


def test_heat_lies_over_the_part_of_the_crop_that_is_hot() -> None:
    """Of a turned crop, at any resolution of the map; the oracle is the matrix."""
    for cells in (4, 112):
        heat = np.zeros((cells, cells), np.float32)
        heat[cells // 2 :, : cells // 2] = 1  # left lower quarter
        shown = face(np.ones(12), (300, 180), 200, 0.5, heat=heat)
        changed = (annotate(frame(), TWELVE, [shown], "")[:, :640] != 90).any(-1)
        box = (annotate(frame(), TWELVE, [face(np.ones(12), (300, 180), 200, 0.5)], "")[:, :640] != 90).any(-1)
        y, x = np.nonzero(changed & ~cv2.dilate(box.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool))
        crop = shown.matrix @ np.stack([x, y, np.ones_like(x)])
        margin = 112 / cells  # bilinear, from one cell to the next
        assert crop[0].min() > -1
        assert crop[0].max() < 56 + margin
        assert crop[1].min() > 56 - margin
        assert crop[1].max() < 112
        assert len(x) > 0.2 * 200**2 * 0.9
    middle = shown.matrix[:, :2]
    place = np.linalg.solve(middle, np.array([28.0, 84.0]) - shown.matrix[:, 2]).round().astype(int)
    red, green, blue = annotate(frame(), TWELVE, [shown], "")[place[1], place[0]].astype(int)
    assert red > 180 > 100 > blue  # yellow where it is hottest
    assert green > 180


def test_heat_of_nothing_changes_nothing_but_for_its_scale() -> None:
    plain = annotate(frame(), TWELVE, [face(np.ones(12))], "")
    cold = annotate(frame(), TWELVE, [face(np.ones(12), heat=np.zeros((7, 7), np.float32))], "")
    np.testing.assert_array_equal(cold[:, :640], plain[:, :640])
    rows = np.flatnonzero((cold != plain).any((1, 2)))
    assert rows.min() > 17 * 20  # below the bars and the moment
    middle = cold[(rows.min() + rows.max()) // 2, 640:].astype(int)
    yellow, grey = (middle - (213, 203, 55)), (middle - 150)
    hot, none = (int(np.flatnonzero(np.abs(of).max(1) < 24).max(initial=-1)) for of in (yellow, grey))
    assert hot > none >= 0, "the scale goes from what lies below to yellow"


def test_the_moment_is_written_below_the_bars() -> None:
    """Oracle: the same picture without it."""
    plain = annotate(frame(), TWELVE, [face(np.ones(12))], "")
    told = annotate(frame(), TWELVE, [face(np.ones(12))], "", "0:09.040  frame 227")
    rows, columns = np.nonzero((plain != told).any(2))
    assert 15.5 * 20 < rows.min() < rows.max() < 17.5 * 20
    assert 640 < columns.min() < 660


@pytest.mark.parametrize("size", [(640, 360), (1920, 1080), (320, 240), (1080, 1920)])
@pytest.mark.parametrize("note", ["uncalibrated: from blendshapes", "heat of AU12, " * 12, "x" * 300])
def test_text_keeps_to_its_place(size: tuple[int, int], note: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every text that is drawn, by the box that OpenCV says it fills: inside the picture, apart from each other."""
    boxes: list[tuple[int, int, int, int, str]] = []
    draw = cv2.putText

    def spy(picture: Any, text: str, place: Any, font: int, scale: float, colour: Any, stroke: int, kind: int) -> Any:
        (width, height), _ = cv2.getTextSize(text, font, scale, stroke)
        offset = 0 if picture.base is None or picture.shape[1] > size[0] else -10_000  # the ids in the frame apart
        boxes.append((place[0] + offset, place[1] - height, place[0] + width + offset, place[1], text))
        assert place[0] >= 0
        assert place[0] + width <= picture.shape[1]
        assert place[1] - height >= 0
        assert place[1] <= picture.shape[0]
        assert height >= 5
        return draw(picture, text, place, font, scale, colour, stroke, kind)

    monkeypatch.setattr(cv2, "putText", spy)
    names = [column(au) for au in AU_NAMES]
    faces = [face(np.full(len(names), 5.0), (100 * k, 0.4 * size[1]), 80, face_id=12 + k) for k in range(4)]
    out = annotate(frame(*size), names, faces, note)
    assert len(boxes) > 17 * 5
    for index, (left, top, right, bottom, one) in enumerate(boxes):
        for other in boxes[index + 1 :]:
            apart = right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top
            assert apart, (one, other[4])
    assert out.shape[1] > size[0]
