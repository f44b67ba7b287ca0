"""Tables that grow and are read a part at a time, on disk in row groups of one size, whatever the parts.

What a file says of each of its row groups is read whenever it is opened: a group for every video would make that the
larger part of a table of many short ones.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 100_000
"""Rows of a group, and of what is in memory at a time."""

SMALL = 1000
"""Tables that wait until they are made one: of a row each, they would be much larger than their rows."""


class GroupWriter:
    """Writes tables into one file, one below the other; the first one says what columns there are.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: pq.ParquetWriter | None = None
        self._waiting: list[pa.Table] = []
        self._rows = 0  # that wait

    @property
    def begun(self) -> bool:
        """Whether there was a table, be it one without rows."""
        return self._file is not None

    def add(self, table: pa.Table) -> None:
        """Writes a table, or keeps it until there is a group of rows.

        Raises:
            ValueError: When it has other columns than the first.
        """
        if self._file is None:
            self._file = pq.ParquetWriter(self._path, table.schema)
        self._waiting.append(table.cast(self._file.schema))
        self._rows += len(table)
        if self._rows >= ROWS:
            rows = pa.concat_tables(self._waiting)
            self._rows %= ROWS
            self._file.write_table(rows.slice(0, len(rows) - self._rows), ROWS)
            self._waiting = [rows.slice(len(rows) - self._rows)]
        elif len(self._waiting) >= SMALL:
            self._waiting = [pa.concat_tables(self._waiting).combine_chunks()]

    def close(self) -> None:
        """Writes what was kept."""
        if self._file is not None:
            if self._rows:
                self._file.write_table(pa.concat_tables(self._waiting), ROWS)
            self._file.close()


def stretches(file: pq.ParquetFile, wanted: Iterable[range], columns: Sequence[str]) -> Iterator[pa.Table]:
    """Stretches of rows of a table, one at a time: each group is read once where they are in the file's order.

    Args:
        file: The file.
        wanted: Of each its first row and the one after its last.
        columns: What is read of them.
    """
    sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    starts = np.cumsum([0, *sizes])
    held, rows = -1, pa.table({})
    for stretch in wanted:
        first, last = np.searchsorted(starts, [stretch.start, stretch.stop - 1], side="right") - 1
        parts = [file.schema_arrow.empty_table().select(list(columns))]
        for group in range(first, last + 1) if stretch else ():
            if group != held:
                held, rows = group, file.read_row_group(group, columns=list(columns))
            begin = max(stretch.start - starts[group], 0)
            parts.append(rows.slice(begin, min(stretch.stop - starts[group], sizes[group]) - begin))
        yield pa.concat_tables(parts)
