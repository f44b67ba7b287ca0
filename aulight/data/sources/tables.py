"""Tables of labels and subjects, as people write them; what is wrong with one is named by file and row."""

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from aulight.data.sources.cells import (
    Cells,
    Problem,
    VideoNames,
    columns_found,
    is_missing,
    parse_intensity,
    parse_time,
    parse_whole_number,
    read_cells,
    refuse_rows,
)
from aulight.data.sources.raw import RawVideo
from aulight.data.video.types import VIDEO_SUFFIXES
from aulight.errors import AulightError, shorten, shorten_lines, shown
from aulight.facs import au_of, column, is_column, short_name
from aulight.spelling import clean

LONGEST_NAME = 200
"""Characters of a subject's."""

TIMES = ("time_s", "time", "timestamp")
"""What a column of seconds may be called."""

BESIDE = ("coder", "comment", "comments", "note", "notes")
"""Columns that coders keep beside their labels."""

_WHOLE = re.compile(r"(0|[1-9][0-9]*)(?:[.,]0+)?")


def video_names(videos: Iterable[RawVideo], source: Path) -> VideoNames:
    """What a table may call a video: its path in ``source`` with or without suffix, and its id."""
    names = {}
    for video in videos:
        names[video.path.relative_to(source).as_posix()] = video.video_id
        names[name_of(video, source)] = video.video_id
    return VideoNames(names | {video.video_id: video.video_id for video in videos})


def name_of(video: RawVideo, source: Path) -> str:
    """The path of a video in ``source``, without suffix."""
    path = video.path.relative_to(source)
    return (path.with_suffix("") if path.suffix.lower() in VIDEO_SUFFIXES else path).as_posix()


def read_subjects(path: Path, names: VideoNames) -> tuple[dict[str, str], list[str]]:
    """Reads who is in which video: columns ``video`` and ``subject``.

    Args:
        path: A CSV file, see :func:`read_labels`.
        names: See :func:`video_names`.

    Returns:
        Video id to subject, and notes.

    Raises:
        AulightError: With a line for every unknown video, second mention, or missing subject.
    """
    table = read_cells(path)
    if lacking := [name for name in ("video", "subject") if name not in table.header]:
        raise AulightError(
            f"{path}: no column {' and '.join(lacking)}; video,subject are expected{columns_found(table)}"
        )
    subjects, first, problems, notes = dict[str, str](), dict[str, int](), table.problems, list[str]()
    if others := [name for name in table.header if name not in ("video", "subject")]:
        notes.append(f"{path.name}: columns not used: {shorten(map(shown, others))}")
    said = [clean(cells["subject"]) for _, cells in table.rows]
    if all(_WHOLE.fullmatch(subject) or is_missing(subject) for subject in said):
        said = [_WHOLE.sub(r"\1", subject) for subject in said]  # of whole numbers and gaps, pandas makes 1.0 and NaN
    for (row, cells), subject in zip(table.rows, said, strict=True):
        video = names.find(cells["video"])
        if isinstance(video, Problem):
            problems.append((row, video))
        elif not subject:
            problems.append((row, "no subject"))
        elif is_missing(subject):
            problems.append((row, f"no subject: {subject} stands for none; a person of that name needs another here"))
        elif len(subject) > LONGEST_NAME or not subject.isprintable():
            problems.append((row, f"subject {shown(repr(subject))} is no name that can be told"))
        elif first.setdefault(video, row) != row:
            problems.append((row, f"video {cells['video'][:100]!r} is in row {first[video]} already"))
        else:
            subjects[video] = subject
    refuse_rows(path, problems)
    return subjects, notes


def read_labels(path: Path, names: VideoNames) -> tuple[tuple[int, ...], dict[str, pd.DataFrame], list[str]]:
    """Reads intensities that a coder filled in: columns ``video``, ``frame`` or ``time_s``, and ``AU01`` ...

    Where both ``frame`` and a time are given, ``frame`` counts. Times are seconds, or ``mm:ss``; intensities are 0 to
    5, or FACS's A to E. Cells that are empty, ``NA`` or ``?`` are unknown; rows without any intensity are not coded yet
    and are passed over, and so are columns of coders and comments. Commas, semicolons or tabs separate; after
    semicolons and tabs, a decimal comma is understood. Rows are counted as a spreadsheet shows them: the header is row
    1.

    Args:
        path: The CSV file.
        names: See :func:`video_names`.

    Returns:
        The AUs with at least one intensity; video id to a table with the index ``frame`` (int64) or ``time_s``
        (float64), sorted, one Int8 column an AU (NA where unknown) and the column ``row``; and notes.

    Raises:
        AulightError: For columns other than expected, when nothing is coded, and otherwise with a line for every value
            that is no whole number or out of range, unknown video, and second label of a frame.
    """
    table = read_cells(path)
    aus = _label_columns(path, table)
    timed = "frame" not in table.header
    key, parse = ("time_s", parse_time) if timed else ("frame", parse_whole_number)
    place_in = next(name for name in ("frame", *TIMES) if name in table.header)
    for _, cells in table.rows:
        cells.update({name: "" for name in aus if cells[name] == "?" or is_missing(cells[name])})
    coded = [(row, cells) for row, cells in table.rows if any(cells[name] for name in aus)]
    if not coded and not table.problems:
        raise AulightError(f"{path}: none of its {len(table.rows)} rows has an intensity yet")
    notes = [f"{path.name}: {len(table.rows) - len(coded)} rows not coded yet"] if len(coded) < len(table.rows) else []
    if beside := [name for name in table.header if name.lower() in BESIDE]:
        notes.append(f"{path.name}: columns not used: {shorten(beside)}")
    if empty := [name for name in aus if not any(cells[name] for _, cells in coded)]:
        notes.append(f"{path.name}: columns without any intensity, left out: {shorten(empty)}")
        aus = {name: au for name, au in aus.items() if name not in empty}
    problems, half = table.problems, list[str]()
    first: dict[tuple[str, float], int] = {}
    of_video: defaultdict[str, list[dict[str, float | int | None]]] = defaultdict(list)
    for row, cells in coded:
        entry: dict[str, float | int | None] = {"row": row}
        wrong = list[Problem]()
        for name, au in aus.items():
            value = parse_intensity(name, cells[name], table.decimal) if cells[name] else None
            entry[column(au)] = value if not isinstance(value, Problem) else None
            wrong += [value] if isinstance(value, Problem) else []
        video, place = names.find(cells["video"]), parse(place_in, cells[place_in], table.decimal)
        wrong = [item for item in (video, place) if isinstance(item, Problem)] + wrong
        if not isinstance(video, Problem) and not isinstance(place, Problem):
            if (before := first.setdefault((video, place), row)) != row:
                told = f"{place_in} {cells[place_in]} of {cells['video']!r}"
                wrong.append(Problem(f"{told} is labelled in row {before} already"))
            of_video[video].append(entry | {key: place})
        problems += [(row, problem) for problem in wrong]
        if unknown := [name for name in aus if not cells[name]]:
            half.append(f"{path.name} row {row}: half-filled, unknown for {shorten(unknown)}")
    refuse_rows(path, problems)
    types = {column(au): "Int8" for au in aus.values()} | {"row": "int64"}
    tables = {
        video: pd.DataFrame(rows, columns=[key, *types]).astype(types).set_index(key).sort_index()
        for video, rows in of_video.items()
    }
    return tuple(sorted(aus.values())), tables, notes + shorten_lines(half)


def _label_columns(path: Path, table: Cells) -> dict[str, int]:
    """Names of the AU columns to AU numbers, by number."""
    aus: dict[str, int] = {}
    strange = []
    for name in table.header:
        if is_column(name):
            if (au := au_of(name)) in aus.values():
                raise AulightError(f"{path}: two columns for {short_name(au)}")
            aus[name] = au
        elif name not in ("video", "frame", *TIMES) and name.lower() not in BESIDE:
            strange.append(name)
    problem = ""
    if strange:
        problem = f"unknown column {shorten(map(shown, strange))}"
    elif "video" not in table.header:
        problem = "no column video"
    elif "frame" not in table.header and not {*TIMES}.intersection(table.header):
        problem = "no column frame or time_s"
    elif len(times := [name for name in TIMES if name in table.header]) > 1:
        problem = f"{len(times)} columns of a time, {shorten(times)}"
    elif not aus:
        problem = "no column of an AU"
    if problem:
        raise AulightError(
            f"{path}: {problem}; video, frame (or time_s), AU01, AU02 ... are expected{columns_found(table)}"
        )
    return dict(sorted(aus.items(), key=lambda item: item[1]))
