"""Reads the tables of a prepared dataset as they were when it was opened, and names what is wrong with them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from aulight.data.description import RESTORE, read_description
from aulight.data.state import refuse_changed, state_of
from aulight.errors import AulightError
from aulight.foreign.parquet import checked

_Read = TypeVar("_Read")
_Rows = TypeVar("_Rows", pa.Table, pa.RecordBatch)


class Kind(NamedTuple):
    """What a column holds.

    Attributes:
        words: In words.
        fits: Whether a type of Arrow's is it.
    """

    words: str
    fits: Callable[[pa.DataType], bool]


TEXT = Kind("a text", lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind))
WHOLE = Kind("a whole number", pa.types.is_integer)
NUMBER = Kind("a number", lambda kind: pa.types.is_floating(kind) or pa.types.is_integer(kind))

FRAMES = {"video_id": TEXT, "frame": WHOLE, "source_frame": WHOLE, "time_s": NUMBER, "face_confidence": NUMBER}
"""Columns that ``frames.parquet`` has."""


def next_table(root: Path, name: str, revision: int) -> Path:
    """Where a table is, or is being written, that is to replace an older one in this revision of a dataset.

    It has this name until it gets its own, which comes after ``dataset.yaml`` says that this revision is there.
    """
    return root / f".{name}.{revision}.parquet"


class Tables:
    """The tables of a dataset.

    Attributes:
        root: Its folder.
        meta: ``dataset.yaml``.
        state: What is another once that is.

    Args:
        root: Its folder.

    Raises:
        AulightError: When it is not a prepared dataset, or is of a newer format.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.state = state_of(root)
        self.meta = read_description(root)

    def read(self, name: str, read: Callable[[Path], _Read], check: Callable[[Path], Path] = checked) -> _Read:
        """Reads one of the tables, as it was when the dataset was opened.

        Args:
            name: Of the table.
            read: Reads it.
            check: Looks at it before.

        Raises:
            AulightError: When it is missing or damaged, or `prepare` has replaced the tables meanwhile.
        """
        path = self.root / f"{name}.parquet"
        revision = self.meta.get("revision", 0)
        try:
            try:
                found = read(check(next_table(self.root, name, revision) if revision else path))
            except FileNotFoundError:  # it has its own name already
                found = read(check(path))
        except AulightError as error:
            raise AulightError(f"{error}; {RESTORE}") from error
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            self.refuse_changed()
            raise AulightError(f"{path}: missing or damaged; {RESTORE}") from error
        self.refuse_changed()
        return found

    def refuse_changed(self) -> None:
        """Raises when what was just read may be of later tables than what was read before."""
        refuse_changed(self.root, self.state)

    def rows_in(self, name: str) -> int:
        """How many rows a table says that it has; raises as :meth:`read` does."""
        return int(self.read(name, lambda path: pq.read_metadata(path).num_rows, check=lambda path: path))

    def has_rows(self, name: str) -> bool:
        """Whether there is a table of that name, with rows."""
        places = (next_table(self.root, name, self.meta.get("revision", 0)), self.root / f"{name}.parquet")
        return any(place.is_file() for place in places) and self.rows_in(name) > 0

    def arrow(self, name: str, kinds: Mapping[str, Kind], only: Callable[[str], bool] = bool) -> pa.Table:
        """A table of known columns, and of those others that are wanted by name.

        Raises:
            AulightError: As :meth:`read` does, and when a column is not what it must be.
        """
        path = self.root / f"{name}.parquet"

        def read(place: Path) -> pa.Table:
            with pq.ParquetFile(place) as file:
                return file.read(columns=[name for name in file.schema_arrow.names if name in kinds or only(name)])

        table = self.read(name, read)
        if lacking := [column for column in kinds if column not in table.column_names]:
            raise AulightError(f"{path}: has no column {', '.join(lacking)}; {RESTORE}")
        for key, kind in kinds.items():
            if not kind.fits(table.schema.field(key).type) or _lacks(table[key]):
                raise AulightError(f"{path}: column {key} is not {kind.words} in every row; {RESTORE}")
        return table

    def table(self, name: str, kinds: Mapping[str, Kind], only: Callable[[str], bool] = bool) -> pd.DataFrame:
        """The same in pandas."""
        found: pd.DataFrame = self.arrow(name, kinds, only).to_pandas()
        return found

    @contextmanager
    def frames_file(self, columns: Sequence[str]) -> Iterator[tuple[pq.ParquetFile, Callable[[_Rows], _Rows]]]:
        """``frames.parquet``, opened for some columns, and what refuses rows of it in which one has no value.

        Raises:
            AulightError: When it is damaged, also while it is read.
        """
        path, kinds = self.root / "frames.parquet", {name: FRAMES[name] for name in columns if name in FRAMES}

        def refuse(wrong: Iterable[str]) -> None:
            for name in wrong:
                raise AulightError(f"{path}: column {name} is not {kinds[name].words} in every row; {RESTORE}")

        def whole(rows: _Rows) -> _Rows:
            refuse(name for name in kinds if rows[name].null_count)
            return rows

        with self.read("frames", pq.ParquetFile) as file:  # from here on it is this file, whatever gets its name
            schema = file.schema_arrow
            refuse(
                key for key, kind in kinds.items() if key not in schema.names or not kind.fits(schema.field(key).type)
            )
            try:
                yield file, whole
            except (OSError, ValueError, pa.ArrowException) as error:
                raise AulightError(f"{path}: missing or damaged; {RESTORE}") from error


def _lacks(column: pa.ChunkedArray) -> bool:
    """Whether a value is not there, or is no number."""
    return bool(column.null_count) or (pa.types.is_floating(column.type) and bool(column.to_pandas().isna().any()))
