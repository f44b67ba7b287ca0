"""Pictures of drawn frames for a coder: a strip for each, and contact sheets."""

from functools import cache
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
import pandas as pd
import PIL.Image
import PIL.ImageDraw
from PIL.ImageFont import FreeTypeFont, truetype
from PIL.PngImagePlugin import PngInfo

from aulight.data.marks import MARK, STRIP
from aulight.data.store import PreparedDataset
from aulight.data.video.prepared import open_video
from aulight.data.video.types import Frames
from aulight.files import told_of
from aulight.processes import Bar

NEIGHBOURS = 2
"""Frames shown on each side of a drawn one."""
SIDE = 256
"""Pixels that pictures are scaled up to, for a coder's eye."""
TILE = 160
"""Pixels of a picture of a contact sheet."""
SHEET = (5, 8)
"""Rows and columns of a contact sheet."""

_MARGIN, _TEXT = 6, 24
_PAPER, _INK, _FRAME = 255, (40, 40, 40), (213, 94, 0)


def pictures(data: PreparedDataset, drawn: pd.DataFrame, folder: Path) -> None:
    """A strip for each drawn frame, and contact sheets; a few frames in memory at a time."""
    rows, columns = SHEET
    digits = max(4, len(str(len(drawn))))
    row_of = {video_id: row for row, video_id in enumerate(data.videos["video_id"])}
    named_videos = drawn["video_id"].unique().tolist()
    tables = data.frames_of(named_videos, ["source_frame"])
    source = {video: table["source_frame"].to_numpy() for video, table in zip(named_videos, tables, strict=True)}
    number, sheet, tiles = 0, 0, list[Frames]()
    with Bar(len(drawn), "Pictures", "frame") as bar:
        for video_id, mine in drawn.groupby("video_id", sort=False):
            row = row_of[video_id]
            reader = open_video(data.file(row), frames=len(source[video_id]))
            for frame, time_s in zip(mine["frame"], mine["time_s"], strict=True):
                number += 1
                around = np.arange(frame - NEIGHBOURS, frame + NEIGHBOURS + 1)
                there = (around >= 0) & (around < len(reader))
                images = dict(zip(around[there].tolist(), reader.read(around[there]), strict=True))
                named = [str(video_id), f"frame {source[video_id][frame]}"]  # as the table has it
                shown = [(images.get(i), [str(source[video_id][i])] if i in images else [""]) for i in around.tolist()]
                name = f"{number:0{digits}}_{video_id}_{source[video_id][frame]}.png"
                _save(folder / "images" / name, _strip("  ".join([*named, f"{time_s:.2f} s"]), shown))
                tiles.append(_tile(images[frame], TILE, named))
                if len(tiles) == rows * columns or number == len(drawn):
                    sheet += 1
                    _save(folder / f"contact_sheet_{sheet:02}.png", _grid(tiles, columns))
                    tiles = []
                bar.update()


def _strip(title: str, shown: list[tuple[Frames | None, list[str]]]) -> Frames:
    """The pictures ``(H, W, 3)`` in a row under a title, the middle one framed; ``None`` leaves a blank place."""
    height, width = next(image.shape[:2] for image, _ in shown if image is not None)
    side = max(SIDE, width)
    blank = np.full((height, width, 3), 225, np.uint8)
    tiles = [_tile(blank if image is None else image, side, caption) for image, caption in shown]
    middle = len(tiles) // 2
    cv2.rectangle(tiles[middle], (2, 2), (side + 2 * _MARGIN - 3, side + 2 * _MARGIN - 3), _FRAME, 4)
    strip = np.concatenate(tiles, axis=1)
    head = np.full((_TEXT + _MARGIN, strip.shape[1], 3), _PAPER, np.uint8)
    return np.concatenate([_written(head, [title], _MARGIN), strip])


def _tile(image: Frames, side: int, caption: list[str]) -> Frames:
    """One picture, scaled to ``side x side``, with a margin around it and lines below."""
    tile = np.full((side + 2 * _MARGIN + len(caption) * _TEXT, side + 2 * _MARGIN, 3), _PAPER, np.uint8)
    way = cv2.INTER_CUBIC if side > image.shape[1] else cv2.INTER_AREA
    tile[_MARGIN : _MARGIN + side, _MARGIN : _MARGIN + side] = cv2.resize(image, (side, side), interpolation=way)
    return _written(tile, caption, side + 2 * _MARGIN)


def _grid(tiles: list[Frames], columns: int) -> Frames:
    rows = [tiles[i : i + columns] for i in range(0, len(tiles), columns)]
    rows[-1] += [np.full_like(tiles[0], _PAPER)] * (min(columns, len(tiles)) - len(rows[-1]))
    return np.concatenate([np.concatenate(row, axis=1) for row in rows])


def _written(image: Frames, lines: list[str], top: int) -> Frames:
    """A picture with lines of text from a height on; one that does not fit is smaller, and cut where it begins."""
    picture = PIL.Image.fromarray(image)
    draw = PIL.ImageDraw.Draw(picture)
    room = image.shape[1] - 2 * _MARGIN
    for number, line in enumerate(lines):
        size = 15
        while draw.textlength(line, font=_font(size)) > room and size > 10:
            size -= 1
        while draw.textlength(line, font=_font(size)) > room:
            line = f"…{line.removeprefix('…')[1:]}"  # names of videos differ at their end
        middle = top + (number + 0.5) * _TEXT
        draw.text((_MARGIN, middle), line, fill=_INK, font=_font(size), anchor="lm")
    return np.array(picture)


@cache
def _font(size: int) -> FreeTypeFont:
    """The one that figures have: it knows Latin, Greek and Cyrillic letters."""
    return truetype(Path(mpl.get_data_path(), "fonts/ttf/DejaVuSans.ttf"), size)


def _save(path: Path, image: Frames) -> None:
    marked = PngInfo()
    marked.add_text("Comment", f"{MARK}{STRIP}")
    with told_of(path):
        PIL.Image.fromarray(image).save(path, pnginfo=marked, compress_level=3)  # as 6 does, in 40% of its time
