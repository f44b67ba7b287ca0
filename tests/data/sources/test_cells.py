"""Numbers in cells: what people mean by them is taken, what might mean something else is not."""

import re
import resource
import time
from pathlib import Path

import pytest

from aulight.data.sources.cells import (
    MOST_COLUMNS,
    Problem,
    parse_intensity,
    parse_number,
    parse_number_between,
    parse_whole_number,
    read_cells,
    read_text,
)
from aulight.data.sources.codes import read_codes
from aulight.errors import AulightError

NO_NUMBERS = [
    "1_0", "1 0", "+1", "0x10", "1e", "e1", ".", "-", "--1", "1-", "1..0", "1.0.0", "1e1e1", "1e9999", "inf",
    "Infinity", "nan", "NaN", "-nan", "١", "１", "²", "½", "\u22121", "1\u00a00", "1'000", "'1", "1%", "1/2", "=1",
    "x", "1f", "1L", "1j", "True", "None", "-0", "-0.0", "-1", "\x001", "1\x1b",
]  # fmt: skip
"""Python's own ``float`` takes a third of them."""


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_what_is_no_number_from_0_on(text: str) -> None:
    for parse in (parse_number, parse_whole_number, parse_intensity):
        problem = parse("frame", text, ".")
        assert isinstance(problem, Problem)
        assert problem.isprintable()
    if text != "-1":
        assert isinstance(parse_number_between("icc", text, ".", -1, 1), Problem)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("007", 7),
        ("1.", 1),
        ("1.0", 1),
        ("1.000", 1),
        (".5", 0.5),
        ("0.04", 0.04),
        ("1e-05", 1e-5),
        ("2E+3", 2000),
    ],
)
def test_what_is_one(text: str, value: float) -> None:
    assert parse_number("time_s", text, ".") == value
    assert parse_number("time_s", text.replace(".", ","), ",") == value
    assert parse_number_between("icc", f"-{text}", ".", -9999, 0) == -value or value == 0


@pytest.mark.parametrize("text", ["1.5", "0.04", "1e3", "1E+05", "9" * 16, "9" * 400])
def test_what_is_no_whole_number(text: str) -> None:
    """Not in powers of ten either: a spreadsheet that writes 1E+05 has dropped digits."""
    assert isinstance(parse_whole_number("frame", text, "."), Problem)


def test_whole_numbers_are_exact() -> None:
    assert parse_whole_number("frame", "9" * 15, ".") == 10**15 - 1
    assert parse_whole_number("frame", "12.0", ".") == 12


@pytest.mark.parametrize("text", ["6", "5.0000001", "4.9999999999999999", "F", "AB", "a few", "9", "-1", "0.5", "1,0"])
def test_what_is_no_intensity(text: str) -> None:
    problem = parse_intensity("AU01", text, ".")
    assert isinstance(problem, Problem)
    assert "is not a whole number from 0 to 5, nor a letter from A to E (empty where unknown)" in problem


def test_letters_and_words_of_facs() -> None:
    """Oracle: the manual's scale, trace to maximum."""
    words = ["trace", "slight", "marked", "severe", "maximum"]
    for value, (letter, word) in enumerate(zip("ABCDE", words, strict=True), start=1):
        assert {parse_intensity("AU01", text, ".") for text in (letter, letter.lower(), word, word.title())} == {value}
    assert parse_intensity("AU01", "pronounced", ".") == 3
    assert parse_intensity("AU01", "extreme", ".") == 4


def _numbers(tmp_path: Path, text: str) -> list[float | str]:
    """The last column of a table, as numbers or what is wrong with them."""
    path = tmp_path / "a.csv"
    path.write_text(text, encoding="utf-8")
    table = read_cells(path)
    return [parse_number("time_s", cells[table.header[-1]], table.decimal) for _, cells in table.rows]


@pytest.mark.parametrize(
    ("separator", "cells", "expected"),
    [
        (",", ["1.000", "2.5"], [1, 2.5]),
        (";", ["0,04", "1,25"], [0.04, 1.25]),
        (";", ["0,04", "1.000"], [0.04, None]),  # a thousand, in Germany
        (";", ["0,04", "1.25"], [0.04, None]),  # a date, perhaps
        (";", ["1.000", "2.000"], [None, None]),
        (";", ["1.000.000"], [None]),
        (";", ["1.234,5"], [None]),
        (";", ["1.000", "0.04"], [1, 0.04]),  # with points, as seen by the other
        (";", ["1,000"], [1]),  # who separates by semicolons has the comma for decimals
        ("\t", ["1.25", "3"], [1.25, 3]),
        ("\t", ["1,25", "3"], [1.25, 3]),
        ("\t", ["1.000"], [None]),
    ],
)
def test_the_sign_of_decimals_is_that_of_the_table(
    separator: str, cells: list[str], expected: list[float | None], tmp_path: Path
) -> None:
    text = "".join(f"{separator.join(row)}\n" for row in [["video", "time_s"], *(["1.5", cell] for cell in cells)])
    numbers = _numbers(tmp_path, text)
    assert [None if isinstance(number, Problem) else number for number in numbers] == expected


def test_thousands_are_told_what_to_do(tmp_path: Path) -> None:
    (problem,) = _numbers(tmp_path, "video;time_s\na;1.000\n")
    assert problem == (
        "time_s '1.000' is not a number from 0 on; write it without a sign for thousands, and decimals with the sign "
        "of the other numbers"
    )


def test_a_table_of_excel_in_unicode(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for encoding in ("utf-16", "utf-8-sig"):
        path.write_bytes("vidéo\tframe\r\nä\t1\r\n".encode(encoding))
        table = read_cells(path)
        assert (table.header, table.rows) == (["vidéo", "frame"], [(2, {"vidéo": "ä", "frame": "1"})])


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("vidéo,frame\n".encode("latin-1"), "not UTF-8 text; save it as CSV"),
        ("video,frame\n".encode("utf-16-be"), "not a text file; save it as CSV"),
        (b"video\0,frame\n", "not a text file"),
        (b"PK\x03\x04" + bytes(200), "not a text file"),
        (b"video,frame\n" + b"a,'1\n".replace(b"'", b'"') + b"x,1\n" * 50_000, "not a CSV file"),
        (b"video,frame\na," + b"9" * 200_000, "not a CSV file"),
        (b"video,frame," + b",".join(b"x%d" % column for column in range(100_000)), f"at most {MOST_COLUMNS} are read"),
        (b"video,frame," + b"x," * 100_000 + b"y", f"at most {MOST_COLUMNS} are read"),
        (b"\n" * 10**6, "its first row is empty"),
        (b"", "its first row is empty"),
        (b"video,,frame\n", "a column has no name"),
        (b"\x1b[2J,\x1b[2J\n", r"two columns are called '\\x1b\[2J'"),
    ],
    ids=range(12),
)
def test_what_is_no_table(data: bytes, why: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(data)
    start, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(AulightError, match=why) as caught:
        read_cells(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).isprintable()
    assert time.process_time() - start < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kB


def test_rows_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('video,frame\na,1\n"b\nc",2\nd' + ",9" * 100_000 + "\n,\ne,3\n")
    table = read_cells(path)
    assert [row for row, _ in table.rows] == [2, 6]
    assert table.problems == [
        (3, "a cell of several lines; perhaps a quotation mark is not closed"),
        (4, "more cells than the header has columns"),
    ]


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    for path, why in (
        (tmp_path / "b.csv", "no such file"),
        (tmp_path, "a folder, where a file is needed"),
        (tmp_path / "a\0", "such file|read"),
    ):
        with pytest.raises(AulightError, match=why):
            read_text(path)
    with (tmp_path / "large.csv").open("wb") as file:
        file.truncate(2**32)
    with pytest.raises(AulightError, match=r"large\.csv: larger than 128 MB"):
        read_text(tmp_path / "large.csv")


@pytest.mark.parametrize(
    "line",
    ["1_0,1", "+1,1", "-1,1", "１,1", "1,１", "1,1.0", "1;1", "1,1,1", "1,", ",1", "", "1,1\x0b2,1", "9" * 400 + ",1"],
)
def test_lines_that_are_no_codes(line: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"1,0\n{line}\n3,1\n", encoding="utf-8")
    with pytest.raises(AulightError, match=re.escape(f"{path} line 2: {line[:40]!r} is not frame,intensity")):
        read_codes(path)


def test_codes(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbf1,0\r\n 2 , 9\r\n03,05\r\n\r\n")
    assert read_codes(path, 9) == ([1, 2, 3], [0, None, 5])
