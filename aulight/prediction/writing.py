"""Tables and pictures of a video, written as its frames come."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from aulight.data.video.types import Frames
from aulight.data.video.write import LONGEST_SIDE
from aulight.files import told_of
from aulight.prediction.rows import FILE, Row

DIGITS = 6
"""After the point, in a .csv."""

FLUSHED = 250
"""Rows that are held before they are written."""

PARTIAL = ".partial"
"""What the names of files end with that go only to where a video is damaged."""


def of_one_size(pictures: Iterator[Frames]) -> Iterator[Frames]:
    """Pictures of the size of the first, those of other shapes between black bars: those of a folder may differ.

    Where the first is longer than :data:`aulight.data.video.write.LONGEST_SIDE`, it is shrunk to that.
    """
    import cv2

    size: tuple[int, int] | None = None
    for picture in pictures:
        size = size or _shrunk(picture.shape[1], picture.shape[0])
        height, width = picture.shape[:2]
        if (width, height) != size:
            times = min(size[0] / width, size[1] / height)
            fitting = max(1, round(times * width)), max(1, round(times * height))
            left, top = (size[0] - fitting[0]) // 2, (size[1] - fitting[1]) // 2
            black = np.zeros((size[1], size[0], 3), np.uint8)
            scaled = cv2.resize(picture, fitting, interpolation=cv2.INTER_AREA)
            black[top : top + fitting[1], left : left + fitting[0]] = scaled
            picture = black
        yield picture


def _shrunk(width: int, height: int) -> tuple[int, int]:
    """Width and height that a video may have; even, as those given."""
    times = min(1.0, LONGEST_SIDE / max(width, height))
    return max(2, 2 * round(times * width / 2)), max(2, 2 * round(times * height / 2))


class Rows:
    """Writes rows into a .csv or .parquet file, some at a time."""

    def __init__(self, file: Path, names: Sequence[str]) -> None:
        self._file, self._names = file, names
        self._waiting: list[Row] = []
        self._parquet: Any = None

    def __enter__(self) -> "Rows":
        if self._file.suffix == ".parquet":
            import pyarrow
            import pyarrow.parquet

            kinds = {"timestamp": pyarrow.float64(), "confidence": pyarrow.float64()}
            kinds[FILE] = pyarrow.string()
            kinds |= dict.fromkeys(("frame", "face_id", "success"), pyarrow.int64())
            schema = pyarrow.schema([(name, kinds.get(name, pyarrow.float32())) for name in self._names])
            self._parquet = pyarrow.parquet.ParquetWriter(self._file, schema)
        else:
            with told_of(self._file):
                pd.DataFrame(columns=list(self._names)).to_csv(self._file, index=False)
        return self

    def add(self, rows: Iterable[Row]) -> None:
        """Adds the rows of a frame."""
        self._waiting.extend(rows)
        if len(self._waiting) >= FLUSHED:
            self._flush()

    def _flush(self) -> None:
        with told_of(self._file):
            self._append()

    def _append(self) -> None:
        table = pd.DataFrame(self._waiting, columns=list(self._names))
        if self._parquet is None:
            before = self._file.stat().st_size
            try:
                table.round(DIGITS).to_csv(self._file, index=False, header=False, mode="a")
            except OSError:
                os.truncate(self._file, before)  # half a row is another one
                raise
        else:
            import pyarrow

            self._parquet.write_table(pyarrow.Table.from_pandas(table, self._parquet.schema, preserve_index=False))
        self._waiting.clear()

    def __exit__(self, *failure: object) -> None:
        try:
            if self._waiting:
                self._flush()
        finally:
            if self._parquet is not None:
                with told_of(self._file):
                    self._parquet.close()
