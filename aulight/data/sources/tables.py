"""Tables of labels and subjects, as people and datasets write them; what is wrong is named by file and row."""

import csv
import io
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from aulight.data.sources import RawVideo, shorten, shorten_lines
from aulight.data.video import VIDEO_SUFFIXES
from aulight.errors import AulightError
from aulight.facs import MAX_INTENSITY, column


def read_codes(path: Path, unknown: int | None = None) -> tuple[list[int], list[int | None]]:
    """Reads a dataset's label file of one AU: ``frame,intensity`` a line, no header.

    Args:
        path: The file.
        unknown: The code for an unknown intensity, beside 0..5.

    Returns:
        Frames and intensities, ``None`` where unknown, in the order of the lines.

    Raises:
        AulightError: For a line that is anything else.
    """
    frames, values = list[int](), list[int | None]()
    lines = _text(path).rstrip().splitlines()
    if not lines:
        raise AulightError(f"{path}: empty; lines of frame,intensity are expected")
    for number, line in enumerate(lines, start=1):
        try:
            frame, value = map(int, line.split(","))
        except ValueError:
            raise AulightError(
                f"{path} line {number}: {line[:40]!r} is not frame,intensity, two whole numbers (there is no header)"
            ) from None
        if not (0 <= value <= MAX_INTENSITY or value == unknown):
            allowed = f"0 to {MAX_INTENSITY}" + (f", or {unknown} for unknown" if unknown is not None else "")
            raise AulightError(f"{path} line {number}: intensity {value} is not one of {allowed}")
        frames.append(frame)
        values.append(None if value == unknown else value)
    return frames, values


def spellings(videos: Iterable[RawVideo], source: Path) -> dict[str, str]:
    """What a table may call a video, to its id: its path in ``source`` with or without suffix, and the id itself."""
    names = {}
    for video in videos:
        path = video.path.relative_to(source)
        names[path.as_posix()] = video.video_id
        if path.suffix.lower() in VIDEO_SUFFIXES:
            names[path.with_suffix("").as_posix()] = video.video_id
    return names | {video.video_id: video.video_id for video in videos}


def read_subjects(path: Path, names: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Reads who is in which video: columns ``video`` and ``subject``.

    Args:
        path: A CSV file, see :func:`read_labels`.
        names: See :func:`spellings`.

    Returns:
        Video id to subject, and notes.

    Raises:
        AulightError: With a line for every unknown video, second mention, or missing subject.
    """
    table = _read(path)
    if lacking := [name for name in ("video", "subject") if name not in table.header]:
        raise AulightError(f"{path}: no column {' and '.join(lacking)}; video,subject are expected{_found(table)}")
    subjects, first, problems, notes = dict[str, str](), dict[str, int](), table.problems, list[str]()
    if others := [name for name in table.header if name not in ("video", "subject")]:
        notes.append(f"{path.name}: columns not used: {shorten(others)}")
    for row, cells in table.rows:
        video = _video(cells["video"], names)
        if isinstance(video, _Problem):
            problems.append((row, video))
        elif not cells["subject"]:
            problems.append((row, "no subject"))
        elif first.setdefault(video, row) != row:
            problems.append((row, f"video {cells['video']!r} is in row {first[video]} already"))
        else:
            subjects[video] = cells["subject"]
    _refuse(path, problems)
    return subjects, notes


def read_labels(path: Path, names: Mapping[str, str]) -> tuple[tuple[int, ...], dict[str, pd.DataFrame], list[str]]:
    """Reads intensities that a coder filled in: columns ``video``, ``frame`` or ``time_s``, and ``AU01`` ...

    Where both ``frame`` and ``time_s`` are given, ``frame`` counts. Empty cells are unknown; rows without any intensity
    are not coded yet and are passed over. Commas, semicolons or tabs separate; after semicolons and tabs, a decimal
    comma is understood. Rows are counted as a spreadsheet shows them: the header is row 1.

    Args:
        path: The CSV file.
        names: See :func:`spellings`.

    Returns:
        The AUs with at least one intensity; video id to a table with the index ``frame`` (int64) or ``time_s``
        (float64), sorted, one Int8 column an AU (NA where unknown) and the column ``row``; and notes.

    Raises:
        AulightError: For columns other than expected, when nothing is coded, and otherwise with a line for every value
            that is no whole number or out of range, unknown video, and second label of a frame.
    """
    table = _read(path)
    aus = _label_columns(path, table)
    key, parse = ("frame", _whole) if "frame" in table.header else ("time_s", _number)
    coded = [(row, cells) for row, cells in table.rows if any(cells[name] for name in aus)]
    if not coded and not table.problems:
        raise AulightError(f"{path}: none of its {len(table.rows)} rows has an intensity yet")
    notes = [f"{path.name}: {len(table.rows) - len(coded)} rows not coded yet"] if len(coded) < len(table.rows) else []
    if empty := [name for name in aus if not any(cells[name] for _, cells in coded)]:
        notes.append(f"{path.name}: columns without any intensity, left out: {shorten(empty)}")
        aus = {name: au for name, au in aus.items() if name not in empty}
    problems, half = table.problems, list[str]()
    first: dict[tuple[str, float], int] = {}
    of_video: defaultdict[str, list[dict[str, float | int | None]]] = defaultdict(list)
    for row, cells in coded:
        entry: dict[str, float | int | None] = {"row": row}
        wrong = list[_Problem]()
        for name, au in aus.items():
            value = _intensity(name, cells[name], table.decimal) if cells[name] else None
            entry[column(au)] = value if not isinstance(value, _Problem) else None
            wrong += [value] if isinstance(value, _Problem) else []
        video, place = _video(cells["video"], names), parse(key, cells[key], table.decimal)
        wrong = [item for item in (video, place) if isinstance(item, _Problem)] + wrong
        if not isinstance(video, _Problem) and not isinstance(place, _Problem):
            if (before := first.setdefault((video, place), row)) != row:
                wrong.append(_Problem(f"{key} {cells[key]} of {cells['video']!r} is labelled in row {before} already"))
            of_video[video].append(entry | {key: place})
        problems += [(row, problem) for problem in wrong]
        if unknown := [name for name in aus if not cells[name]]:
            half.append(f"{path.name} row {row}: half-filled, unknown for {shorten(unknown)}")
    _refuse(path, problems)
    types = {column(au): "Int8" for au in aus.values()} | {"row": "int64"}
    tables = {
        video: pd.DataFrame(rows, columns=[key, *types]).astype(types).set_index(key).sort_index()
        for video, rows in of_video.items()
    }
    return tuple(sorted(aus.values())), tables, notes + shorten_lines(half)


# Columns of published results, and from what to what their numbers go.
_PUBLISHED = {
    "label_fraction": (0, 1),
    "icc": (-1, 1),
    "mae": (0, MAX_INTENSITY),
    "mse": (0, MAX_INTENSITY**2),
}


def read_published(path: Path, datasets: Iterable[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """Reads published results: columns ``source``, ``dataset``, ``label_fraction``, ``icc``, ``mae``, ``mse``.

    Further columns ``AU01`` ... hold the ICC of single action units. ``source`` and ``dataset`` have to be there, and
    one column with results; cells that are not known are empty.

    Args:
        path: A CSV file, see :func:`read_labels`.
        datasets: The datasets to read about; rows on others are left out. Names match in any case.

    Returns:
        A dict for each row, with the columns' names as keys (None for an empty cell), the action units under
        ``per_au``, by columns such as ``AU01`` and without empty cells; and notes.

    Raises:
        AulightError: For columns other than expected, when no row is about these datasets, and otherwise with a line
            for every cell that is empty but must not be or is out of range, every row without a result, and every
            second row on the same.
    """
    table = _read(path)
    expected = ("source", "dataset", *_PUBLISHED)
    units = {name: column(int(name[2:])) for name in table.header if re.fullmatch(r"AU\d{1,2}", name, re.IGNORECASE)}
    strange = [name for name in table.header if name not in expected and name not in units]
    lacking = [name for name in ("source", "dataset") if name not in table.header]
    results = [name for name in ("icc", "mae", "mse", *units) if name in table.header]
    if strange or lacking or not results or len(set(units.values())) < len(units):
        problem = f"unknown column {shorten(strange)}" if strange else "two columns for one AU"
        if lacking or not results:
            problem = f"no column {' and '.join(lacking) or 'icc, mae, mse or of an AU'}"
        raise AulightError(f"{path}: {problem}; {','.join(expected)} and AU01 ... are expected{_found(table)}")

    ours = {name.casefold(): name for name in datasets}
    rows, problems, others = list[dict[str, Any]](), table.problems, set[str]()
    first: dict[tuple[str, str, str], int] = {}
    for row, cells in table.rows:
        numbers: dict[str, float | None] = {}
        wrong = [f"no {name}" for name in ("source", "dataset") if not cells[name]]
        for name in (*_PUBLISHED, *units):
            text = cells.get(name, "")
            value = _between(name, text, table.decimal, *_PUBLISHED.get(name, _PUBLISHED["icc"])) if text else None
            wrong += [value] if isinstance(value, _Problem) else []
            numbers[name] = None if isinstance(value, _Problem) else value
        if not any(cells[name] for name in results):
            wrong.append(f"no result; fill in at least one of {', '.join(results)}")
        key = (cells["source"], cells["dataset"].casefold(), cells.get("label_fraction", ""))
        if (before := first.setdefault(key, row)) != row:
            wrong.append(f"the same source, dataset and label_fraction as row {before}")
        problems += [(row, problem) for problem in wrong]
        if key[1] in ours:
            whole = {name: numbers[name] for name in _PUBLISHED}
            per_au = {au: numbers[name] for name, au in units.items() if numbers[name] is not None}
            rows.append({"source": cells["source"], "dataset": ours[key[1]], **whole, "per_au": per_au})
        else:
            others.add(cells["dataset"])
    _refuse(path, problems)
    if not rows:
        about = f"; it has {shorten(sorted(others))}" if others else ""
        raise AulightError(f"{path}: no row about {shorten(sorted(ours.values()))}{about}")
    notes = [f"{path.name}: rows about other datasets left out: {shorten(sorted(others))}"] if others else []
    return rows, notes


def _label_columns(path: Path, table: "_Table") -> dict[str, int]:
    """Names of the AU columns to AU numbers, by number."""
    aus: dict[str, int] = {}
    strange = []
    for name in table.header:
        if match := re.fullmatch(r"AU(\d{1,2})", name, re.IGNORECASE):
            if (au := int(match[1])) in aus.values():
                raise AulightError(f"{path}: two columns for AU{au}")
            aus[name] = au
        elif name not in ("video", "frame", "time_s"):
            strange.append(name)
    problem = ""
    if strange:
        problem = f"unknown column {shorten(strange)}"
    elif "video" not in table.header:
        problem = "no column video"
    elif "frame" not in table.header and "time_s" not in table.header:
        problem = "no column frame or time_s"
    elif not aus:
        problem = "no column of an AU"
    if problem:
        raise AulightError(f"{path}: {problem}; video, frame (or time_s), AU01, AU02 ... are expected{_found(table)}")
    return dict(sorted(aus.items(), key=lambda item: item[1]))


class _Table(NamedTuple):
    header: list[str]
    rows: list[tuple[int, dict[str, str]]]  # number as a spreadsheet shows it, and cells without spaces around
    decimal: str
    problems: list[tuple[int, str]]  # row and what is wrong with it


class _Problem(str):
    """What is wrong with a cell."""


def _read(path: Path) -> _Table:
    text = _text(path)
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
    return _Table(header, rows, "." if separator == "," else ",", problems)


def _text(path: Path) -> str:
    if not path.is_file():
        raise AulightError(f"{path}: no such file")
    try:
        return path.read_text(encoding="utf-8-sig")  # spreadsheets put a mark before the text
    except UnicodeDecodeError as error:
        raise AulightError(f"{path}: not UTF-8 text; save it as CSV (UTF-8)") from error


def _found(table: _Table) -> str:
    return f"; found {shorten(table.header, 8)}"


def _refuse(path: Path, problems: list[tuple[int, str]]) -> None:
    if problems:
        lines = [f"{path} row {row}: {problem}" for row, problem in sorted(problems, key=lambda item: item[0])]
        raise AulightError("\n".join(shorten_lines(lines)))


def _video(name: str, names: Mapping[str, str]) -> str | _Problem:
    name = name.replace("\\", "/").removeprefix("./")
    if name in names:
        return names[name]
    example = next(iter(names), None)
    return _Problem(f"no video {name!r} in the raw data" + (f" (one there is {example!r})" if example else ""))


def _number(name: str, text: str, decimal: str) -> float | _Problem:
    try:
        value = float(text.replace(decimal, "."))
    except ValueError:
        value = math.nan
    if not text:
        return _Problem(f"no {name}")
    return value if 0 <= value < math.inf else _Problem(f"{name} {text!r} is not a number from 0 on")


def _between(name: str, text: str, decimal: str, least: float, most: float) -> float | _Problem:
    try:
        value = float(text.replace(decimal, "."))
    except ValueError:
        value = math.nan
    return value if least <= value <= most else _Problem(f"{name} {text!r} is not a number from {least:g} to {most:g}")


def _whole(name: str, text: str, decimal: str) -> int | _Problem:
    value = _number(name, text, decimal)
    if isinstance(value, _Problem):
        return value
    return int(value) if value == int(value) and value < 2**53 else _Problem(f"{name} {text!r} is not a whole number")


def _intensity(name: str, text: str, decimal: str) -> int | _Problem:
    value = _whole(name, text, decimal)
    if isinstance(value, _Problem) or value > MAX_INTENSITY:
        return _Problem(f"{name} {text!r} is not a whole number from 0 to {MAX_INTENSITY} (empty where unknown)")
    return value
