"""Tables that people write, as text: read in any spreadsheet's spelling, and their cells understood or found wrong."""

import csv
import io
import math
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from aulight.errors import AulightError, shorten, shorten_lines
from aulight.facs import MAX_INTENSITY
from aulight.spelling import exactly, fold


class Cells(NamedTuple):
    """A user's table, as text.

    Attributes:
        header: Names of its columns.
        rows: Of each row its number as a spreadsheet shows it, and its cells without spaces around them.
        decimal: The sign in its numbers, ``.`` or ``,``.
        problems: Rows of more cells than there are columns, and what is wrong with them.
    """

    header: list[str]
    rows: list[tuple[int, dict[str, str]]]
    decimal: str
    problems: list[tuple[int, str]]


class Problem(str):
    """What is wrong with a cell."""


def read_cells(path: Path) -> Cells:
    """Reads a table of any of the separators and encodings that spreadsheets write.

    Raises:
        AulightError: When it cannot be read, has no rows, or a column twice.
    """
    text = read_text(path)
    separator = max(",;\t", key=text.partition("\n")[0].count)
    try:
        records = [[cell.strip() for cell in record] for record in csv.reader(io.StringIO(text), delimiter=separator)]
    except csv.Error as error:
        raise AulightError(f"{path}: not a CSV file ({error})") from error
    if not records or not any(records[0]):
        raise AulightError(f"{path}: its first row is empty; the names of the columns are expected there")
    header = records[0]
    while not header[-1]:  # spreadsheets like to add empty columns
        header.pop()
    for name in header:
        if header.count(name) > 1 or not name:
            raise AulightError(f"{path}: " + (f"two columns are called {name!r}" if name else "a column has no name"))
    rows, problems = list[tuple[int, dict[str, str]]](), list[tuple[int, str]]()
    for number, record in enumerate(records[1:], start=2):
        if any(record[len(header) :]):
            problems.append((number, "more cells than the header has columns"))
        elif any(record):
            cells = [*record, *[""] * len(header)][: len(header)]
            rows.append((number, dict(zip(header, cells, strict=True))))
    return Cells(header, rows, "." if separator == "," else ",", problems)


def read_text(path: Path) -> str:
    """The text of a file, in UTF-8 or what old spreadsheets write.

    Raises:
        AulightError: When there is no such file, or it is no text.
    """
    if not path.is_file():
        raise AulightError(f"{path}: no such file")
    try:
        return path.read_text(encoding="utf-8-sig")  # spreadsheets put a mark before the text
    except UnicodeDecodeError as error:
        raise AulightError(f"{path}: not UTF-8 text; save it as CSV (UTF-8)") from error


def columns_found(table: Cells) -> str:
    """The columns that were found, for the end of a message."""
    return f"; found {shorten(table.header, 8)}"


def refuse_rows(path: Path, problems: list[tuple[int, str]]) -> None:
    """Raises with a line for each problem, by row, if there are any."""
    if problems:
        lines = [f"{path} row {row}: {problem}" for row, problem in sorted(problems, key=lambda item: item[0])]
        raise AulightError("\n".join(shorten_lines(lines)))


class VideoNames:
    """What a table may call the videos of a raw dataset: each name as it is or, where that is one video, as spelt else.

    Args:
        names: Name to the video's id.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        self._alike = defaultdict[str, set[str]](set)
        for name, video in names.items():
            self._alike[fold(name)].add(video)

    def find(self, name: str) -> str | Problem:
        """The video that a cell names, or what is wrong with it."""
        name = name.replace("\\", "/").removeprefix("./")
        if name in self._names:
            return self._names[name]
        alike = sorted(self._alike.get(fold(name), ()))
        if len(alike) == 1:
            return alike[0]
        if alike:
            return Problem(
                f"video {name!r} may be {' or '.join(map(exactly, alike))}; write it just as the file's name"
            )
        return self._unknown(name)

    def _unknown(self, name: str) -> Problem:
        example = next(iter(self._names), None)
        return Problem(f"no video {name!r} in the raw data" + (f" (one there is {example!r})" if example else ""))


def parse_number(name: str, text: str, decimal: str) -> float | Problem:
    """The number from 0 on in a cell, or what is wrong with it."""
    value = _number(text, decimal)
    if not text:
        return Problem(f"no {name}")
    return value if 0 <= value < math.inf else Problem(f"{name} {text!r} is not a number from 0 on")


def parse_number_between(name: str, text: str, decimal: str, least: float, most: float) -> float | Problem:
    """The number in a cell, from ``least`` to ``most``, or what is wrong with it."""
    value = _number(text, decimal)
    return value if least <= value <= most else Problem(f"{name} {text!r} is not a number from {least:g} to {most:g}")


def parse_whole_number(name: str, text: str, decimal: str) -> int | Problem:
    """The whole number from 0 on in a cell, or what is wrong with it."""
    value = parse_number(name, text, decimal)
    if isinstance(value, Problem):
        return value
    return int(value) if value == int(value) and value < 2**53 else Problem(f"{name} {text!r} is not a whole number")


def parse_intensity(name: str, text: str, decimal: str) -> int | Problem:
    """The intensity 0..5 in a cell, or what is wrong with it."""
    value = parse_whole_number(name, text, decimal)
    if isinstance(value, Problem) or value > MAX_INTENSITY:
        return Problem(f"{name} {text!r} is not a whole number from 0 to {MAX_INTENSITY} (empty where unknown)")
    return value


def _number(text: str, decimal: str) -> float:
    """The number in a cell, NaN where there is none."""
    try:
        return float(text.replace(decimal, "."))
    except ValueError:
        return math.nan
