"""Parquet tables that anybody may have made: some kB of them can stand for billions of rows, or gigabytes of text."""

import functools
import stat
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from aulight.errors import AulightError, shown

MOST_COLUMNS = 2000
FREE_CELLS, CELLS_A_BYTE = 20_000_000, 64
"""Cells that any table may have, and more by its size: each row of a real one has a number of its own."""

FREE_BYTES, BYTES_A_BYTE = 64 * 2**20, 100
"""Bytes likewise, unpacked. Of real tables these are up to 20 times the file."""

_BATCH = 100_000


def checked(path: Path) -> Path:
    """The same path, once it is known that the table there can be read in memory that its size lets one expect.

    Raises:
        AulightError: When it claims more, or holds what no table of ours does; the file's name comes first.
        OSError: When it cannot be read.
        pyarrow.ArrowException: When it is damaged.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise AulightError(f"{path}: no file, which is needed there")
    _check(path, found.st_size, found.st_ino, found.st_mtime_ns)
    return path


@functools.lru_cache(64)
def _check(path: Path, size: int, *_: int) -> None:
    most_cells, most_bytes = FREE_CELLS + CELLS_A_BYTE * size, FREE_BYTES + BYTES_A_BYTE * size
    with pq.ParquetFile(path) as file:
        about, fields = file.metadata, file.schema_arrow
        if about.num_columns > MOST_COLUMNS:
            raise AulightError(f"{path}: {about.num_columns:,} columns; at most {MOST_COLUMNS:,} are read")
        groups = [about.row_group(number) for number in range(about.num_row_groups)]
        rows = max(about.num_rows, sum(group.num_rows for group in groups))
        if rows * about.num_columns > most_cells:
            raise AulightError(f"{path}: claims {rows:,} rows, more than can be in {size:,} bytes")
        if odd := [field.name for field in fields if not _is_plain(field.type)]:
            raise AulightError(f"{path}: column {shown(odd[0])} is not of plain values")
        claimed = sum(group.total_byte_size for group in groups)
        texts = [field.name for field in fields if _is_text(field.type)]
    if claimed <= most_bytes and texts:
        claimed = _bytes_of_texts(path, texts, most_bytes)
    if claimed > most_bytes:
        raise AulightError(f"{path}: unpacks to more than {most_bytes >> 20} MB, too much for {size:,} bytes")


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_plain(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    plain = pa.types.is_primitive(kind) or pa.types.is_null(kind) or pa.types.is_fixed_size_binary(kind)
    return bool(_is_text(kind) or plain)


def _bytes_of_texts(path: Path, columns: list[str], most: int) -> int:
    """Bytes of all texts; stops where they are more than ``most``. None is written out that stands in many rows."""
    total = 0
    with pq.ParquetFile(path, read_dictionary=columns) as file:
        for batch in file.iter_batches(_BATCH, columns=columns):
            for texts in batch.columns:
                if pa.types.is_dictionary(texts.type):
                    lengths = pc.take(pc.binary_length(texts.dictionary), texts.indices)
                else:
                    lengths = pc.binary_length(texts)
                total += pc.sum(pc.cast(lengths, pa.int64())).as_py() or 0
            if total > most:
                return total
    return total
