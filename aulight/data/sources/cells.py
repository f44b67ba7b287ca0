"""Tables that people write, as text: read in any spreadsheet's spelling, and their cells understood or found wrong."""

import codecs
import csv
import io
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from aulight.errors import AulightError, shorten, shorten_lines, shown
from aulight.facs import MAX_INTENSITY
from aulight.foreign.whole_file import read_bytes
from aulight.spelling import exactly, fold

MOST_BYTES = 128 * 2**20
"""Of a table."""

MOST_COLUMNS = 1000

# nothing else that Python takes for a number: no 1_000, no +1, no inf, no digits of other scripts
_NUMBER = re.compile(r"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?")
_WHOLE = re.compile(r"-?[0-9]{1,15}(?:\.0*)?")  # no 1E+05, in which a spreadsheet has dropped digits
_GROUPED = re.compile(r"[1-9][0-9]{0,2}(\.[0-9]{3})+")
_CLOCK = re.compile(r"(?:(?P<h>[0-9]{1,3}):(?=[0-5][0-9]:))?(?P<m>[0-9]{1,3}):(?P<s>[0-5][0-9](?:[.,][0-9]*)?)")

_GRADES = {
    "absent": 0,
    **dict.fromkeys(("a", "trace"), 1),
    **dict.fromkeys(("b", "slight"), 2),
    **dict.fromkeys(("c", "marked", "pronounced"), 3),
    **dict.fromkeys(("d", "severe", "extreme"), 4),
    **dict.fromkeys(("e", "maximum"), 5),
}
"""FACS's letters and words (Ekman, Friesen & Hager, 2002) as intensities."""

_MISSING = ("nan", "na", "n/a", "#n/a", "<na>", "null", "none")
"""Words that programs for statistics write into an empty cell."""


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
    """Reads a table of any of the separators and encodings that spreadsheets write; lines from ``# `` on are comments.

    Raises:
        AulightError: When it cannot be read, has no rows, or a column twice.
    """
    text = read_text(path)
    lines = text.split("\n")
    top = next((place for place, line in enumerate(lines) if not _is_comment(line)), 0)
    text = "\n".join("" if _is_comment(line) else line for line in lines[top:])
    separator = max(",;\t", key=text.partition("\n")[0].count)
    header, rows, problems = list[str](), list[tuple[int, dict[str, str]]](), list[tuple[int, str]]()
    try:
        for number, record in enumerate(csv.reader(io.StringIO(text), delimiter=separator), start=top + 1):
            cells = [cell.strip() for cell in record]
            if number == top + 1:
                header = _header(path, cells)
            elif any("\n" in cell for cell in cells):
                problems.append((number, "a cell of several lines; perhaps a quotation mark is not closed"))
            elif any(cells[len(header) :]):
                problems.append((number, "more cells than the header has columns"))
            elif any(cells):
                cells += [""] * (len(header) - len(cells))
                rows.append((number, dict(zip(header, cells, strict=False))))
    except csv.Error as error:
        raise AulightError(f"{path}: not a CSV file ({error})") from error
    if not header:
        raise AulightError(f"{path}: its first row is empty; the names of the columns are expected there")
    return Cells(header, rows, _decimal(separator, (cells for _, cells in rows)), problems)


def _is_comment(line: str) -> bool:
    """Whether a line is one; a video may be called ``#1.mp4``."""
    return line == "#" or line.startswith("# ")


def _header(path: Path, header: list[str]) -> list[str]:
    """The names in a table's first row; case is no matter in those that are known."""
    header = [name.lower() if name.lower() in _KNOWN else name for name in header]
    while header and not header[-1]:  # spreadsheets like to add empty columns
        header.pop()
    if len(header) > MOST_COLUMNS:
        raise AulightError(f"{path}: {len(header)} columns; at most {MOST_COLUMNS} are read")
    if "" in header:
        raise AulightError(f"{path}: a column has no name")
    for name, count in Counter(header).items():
        if count > 1:
            raise AulightError(f"{path}: two columns are called {shown(repr(name))}")
    return header


def _decimal(separator: str, rows: Iterable[Mapping[str, str]]) -> str:
    """The sign in a table's numbers.

    Where semicolons or tabs separate, it is the comma, unless no number has one and points are seen to be no thousands:
    ``0.04`` and ``2.5``, of which a German ``1.000`` is neither.
    """
    if separator == ",":
        return "."
    point = False
    for cells in rows:
        for name, text in cells.items():
            if name in _TEXTS or not re.fullmatch(r"-?[0-9.,]+", text):
                continue
            if "," in text:
                return ","
            point = point or ("." in text and not _GROUPED.fullmatch(text))
    return "." if point else ","


_KNOWN = ("video", "frame", "time_s", "time", "timestamp", "subject", "source", "dataset", "coder")
"""Columns that tables have beside those of AUs."""

_TEXTS = ("video", "subject", "source", "dataset", "coder")
"""Columns of names, which may look like numbers."""


def read_text(path: Path) -> str:
    """The text of a file, in UTF-8 or what spreadsheets call Unicode text.

    Raises:
        AulightError: When there is no such file, it is no text, or too large.
    """
    data = read_bytes(path, MOST_BYTES)
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        text = data.decode(encoding)  # the mark before the text goes
    except UnicodeDecodeError as error:
        raise AulightError(f"{path}: not UTF-8 text; save it as CSV (UTF-8)") from error
    if "\0" in text:
        raise AulightError(f"{path}: not a text file; save it as CSV (UTF-8)")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def columns_found(table: Cells) -> str:
    """The columns that were found, for the end of a message."""
    return f"; found {shorten(map(shown, table.header), 8)}"


def refuse_rows(path: Path, problems: list[tuple[int, str]]) -> None:
    """Raises with a line for each problem, by row, if there are any."""
    if problems:
        lines = [f"{path} row {row}: {problem}" for row, problem in sorted(problems, key=lambda item: item[0])]
        raise AulightError(*shorten_lines(lines))


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
        return Problem(f"no video {_cut(name)} in the raw data" + (f" (one there is {example!r})" if example else ""))


def parse_number(name: str, text: str, decimal: str) -> float | Problem:
    """The number from 0 on in a cell, or what is wrong with it."""
    if not text:
        return Problem(f"no {name}")
    value = _number(text, decimal)
    return value if 0 <= value < math.inf else Problem(f"{name} {_cut(text)} is not a number from 0 on{_hint(text)}")


def parse_number_between(name: str, text: str, decimal: str, least: float, most: float) -> float | Problem:
    """The number in a cell, from ``least`` to ``most``, or what is wrong with it."""
    value = _number(text, decimal)
    if least <= value <= most:
        return value
    return Problem(f"{name} {_cut(text)} is not a number from {least:g} to {most:g}{_hint(text)}")


def parse_whole_number(name: str, text: str, decimal: str) -> int | Problem:
    """The whole number from 0 on in a cell, or what is wrong with it."""
    value = parse_number(name, text, decimal)
    if isinstance(value, Problem):
        return value
    if _WHOLE.fullmatch(text.replace(decimal, ".")) is None:
        return Problem(f"{name} {_cut(text)} is not a whole number")
    return int(value)


def parse_time(name: str, text: str, decimal: str) -> float | Problem:
    """The seconds in a cell, or what is wrong with it: a number, or as clocks show it, ``1:02.5`` and ``0:01:02.5``."""
    clock = _CLOCK.fullmatch(text)
    if clock is None:
        return parse_number(name, text, decimal)
    return 3600 * int(clock["h"] or 0) + 60 * int(clock["m"]) + float(clock["s"].replace(",", "."))


def parse_intensity(name: str, text: str, decimal: str) -> int | Problem:
    """The intensity 0..5 in a cell, as a number or by FACS's letters and words, or what is wrong with it."""
    value = _GRADES[text.lower()] if text.lower() in _GRADES else parse_whole_number(name, text, decimal)
    if isinstance(value, Problem) or value > MAX_INTENSITY:
        return Problem(
            f"{name} {_cut(text)} is not a whole number from 0 to {MAX_INTENSITY}, nor a letter from A to E "
            "(empty where unknown)"
        )
    return value


def is_missing(text: str) -> bool:
    """Whether a cell is empty, or as programs for statistics write empty ones."""
    return not text or text.lower() in _MISSING


def _number(text: str, decimal: str) -> float:
    """The number in a cell, NaN where there is none or its sign is not the table's."""
    if {".", ","}.difference(decimal).intersection(text):
        return math.nan
    plain = text.replace(decimal, ".")
    return float(plain) if _NUMBER.fullmatch(plain) and (not plain.startswith("-") or float(plain) < 0) else math.nan


def _cut(text: str) -> str:
    return repr(text) if len(text) <= 40 else f"{text[:40]!r}..."


def _hint(text: str) -> str:
    grouped = re.fullmatch(r"[0-9]{1,3}([.,][0-9]{3})+([.,][0-9]*)?", text)
    return "; write it without a sign for thousands, and decimals with the sign of the other numbers" if grouped else ""
