"""Small files that stand for billions of rows, gigabytes of text or of pixels: one line, in little memory and time."""

import json
import os
import resource
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aulight.errors import AulightError
from aulight.foreign.json import MOST_BYTES, read_json
from aulight.foreign.parquet import FREE_CELLS, checked
from aulight.foreign.whole_file import read_bytes
from aulight.foreign.zip import UNREADABLE, read_member


@contextmanager
def little() -> Iterator[None]:
    """The block takes less than 300 MB more than was taken before, and 10 s."""
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    yield
    assert time.process_time() - start < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kB


def _write(path: Path, groups: int = 1, **columns: pa.Array) -> Path:
    table = pa.table(columns)
    with pq.ParquetWriter(path, table.schema, compression="zstd") as writer:
        for _ in range(groups):
            writer.write_table(table)
    return path


def _repeated(text: str, count: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), pa.array([text])).cast(pa.string())


TABLES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "rows": (
        lambda path: _write(path, 60, frame=pa.array(np.zeros(1_000_000, np.int64))),
        r"claims 60,000,000 rows, more than can be in [\d,]+ bytes$",
    ),
    "columns": (lambda path: _write(path, **{f"c{n}": pa.array([0]) for n in range(2001)}), "2,001 columns; at most"),
    "a dictionary": (lambda path: _write(path, video_id=pa.array(["x" * 70_000_000])), "unpacks to more than 64 MB"),
    "one text in many rows": (
        lambda path: _write(path, video_id=_repeated("x" * 1000, 100_000)),
        r"unpacks to more than \d+ MB",
    ),
    "lists": (lambda path: _write(path, frame=pa.array([[None] * 10])), "column frame is not of plain values"),
    "bytes": (lambda path: _write(path, frame=pa.array([b"x"])), "column frame is not of plain values"),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_that_claim_more_than_they_can_hold(name: str, tmp_path: Path) -> None:
    make, why = TABLES[name]
    path = make(tmp_path / "frames.parquet")
    with little(), pytest.raises(AulightError, match=why) as caught:
        checked(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert path.stat().st_size < 1_000_000


@pytest.mark.parametrize("compression", ["snappy", "zstd", "none"])
def test_a_long_table_as_prepare_writes_it_is_read(compression: str, tmp_path: Path) -> None:
    count = FREE_CELLS // 4  # five columns: more cells than are free
    path = tmp_path / "frames.parquet"
    columns = {"frame": np.arange(count), "source_frame": np.arange(count), "time_s": np.arange(count) / 25}
    table = pd.DataFrame({"video_id": "SN001_a_rather_long_name_of_a_video", **columns, "face_confidence": 1.0})
    pq.write_table(pa.Table.from_pandas(table, preserve_index=False), path, compression=compression)
    assert checked(path) == path


def test_a_pipe_in_place_of_a_table(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "frames.parquet")
    with pytest.raises(AulightError, match="no file, which is needed there"):
        checked(tmp_path / "frames.parquet")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" * 200_000, "too deep"),
        ('{"a":' * 200_000, "too deep"),
        ('"' + "x" * MOST_BYTES + '"', "larger than 16 MB"),
        ("9" * 100_000, "digits"),
        ("{", "not readable as JSON"),
        ("\udcff", "not readable as JSON"),
    ],
    ids=lambda value: value[:8],
)
def test_json_that_is_too_much_or_none(text: str, why: str, tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with little(), pytest.raises(AulightError, match=why) as caught:
        read_json(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_json_is_what_json_reads(tmp_path: Path) -> None:
    plain = {"a": [1, 2.5, None, True, "ü"], "b": {"c": []}}
    (tmp_path / "a.json").write_text(json.dumps(plain))
    assert read_json(tmp_path / "a.json") == plain


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, why in (
        (tmp_path / "pipe", "a pipe or a device, where a file is needed"),
        (Path("/dev/zero"), "a pipe or a device, where a file is needed"),
        (tmp_path, "a folder, where a file is needed"),
        (tmp_path / "missing", "no such file"),
        (Path("a\0b"), "cannot be read"),
    ):
        with pytest.raises(AulightError, match=why):
            read_bytes(path, 100)


def test_files_are_read_up_to_a_size(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 2048)
    assert read_bytes(tmp_path / "a", 2048) == b"x" * 2048
    with pytest.raises(AulightError, match="/a: larger than 1 kB"):
        read_bytes(tmp_path / "a", 2047)
    os.truncate(tmp_path / "a", 2**42)  # of which nothing is on the disk
    with little(), pytest.raises(AulightError, match="/a: larger than 1 MB"):
        read_bytes(tmp_path / "a", 2**20)


def _lie(path: Path, claimed: int) -> None:
    """Makes a zip file's list of members say that its only one unpacks to so many bytes."""
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = claimed.to_bytes(4, "little")
    path.write_bytes(data)


@pytest.mark.parametrize("packed", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_of_zip_files_come_back(packed: int, tmp_path: Path) -> None:
    content = np.random.default_rng(0).bytes(100_000) + bytes(100_000)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", packed) as archive:
        archive.writestr("a.jpg", content)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert read_member(archive, "a.jpg", len(content)) == content
        with pytest.raises(zipfile.BadZipFile, match="larger than"):
            read_member(archive, "a.jpg", len(content) - 1)


@pytest.mark.parametrize("packed", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_member_that_unpacks_to_more_than_it_claims(packed: int, tmp_path: Path) -> None:
    """bzip2 and LZMA would make all of it of their first bytes."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", packed) as archive, archive.open("a.jpg", "w") as file:
        for _ in range(600):
            file.write(bytes(2**20))
    _lie(path, 1000)
    with zipfile.ZipFile(path) as archive, little(), pytest.raises(UNREADABLE):
        read_member(archive, "a.jpg", 2**20)
