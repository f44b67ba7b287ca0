"""The frames to code: the table that ``aulight sample`` made, beside the prepared videos that they are in."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aulight.data.sources.cells import (
    Problem,
    columns_found,
    is_missing,
    parse_intensity,
    parse_whole_number,
    read_cells,
    refuse_rows,
)
from aulight.data.store import PreparedDataset
from aulight.errors import AulightError
from aulight.facs import au_of, is_column
from aulight.preparation.coding import TABLE

Key = tuple[str, int]
"""A frame by the name of its video and its number in the raw video, as tables have it."""


@dataclass(frozen=True)
class Drawn:
    """A frame to code.

    Attributes:
        video: The video's id.
        frame: Its number in the raw video.
        row: The video's place in the dataset.
        place: The frame's place in the prepared video.
        time_s: When it is shown, in seconds from the start of the video.
        subject: Who it shows; the video's id where nobody is named.
    """

    video: str
    frame: int
    row: int
    place: int
    time_s: float
    subject: str

    @property
    def key(self) -> Key:
        """The frame in tables."""
        return self.video, self.frame


@dataclass(frozen=True)
class Sample:
    """A folder of frames to code.

    Attributes:
        folder: Where it is.
        aus: The AUs to code, in the order of the table.
        frames: By their keys, in the order of the table.
        given: Intensities that are filled in already, by key and AU.
    """

    folder: Path
    aus: tuple[int, ...]
    frames: dict[Key, Drawn]
    given: dict[tuple[Key, int], int]


def read_sample(folder: Path, data: PreparedDataset) -> Sample:
    """Reads a sample, and finds its frames in the dataset.

    Args:
        folder: As ``aulight sample`` makes it.
        data: The dataset that it was drawn from.

    Raises:
        AulightError: When there is no such table, its columns are others, or with a line for every row that names no
            frame of the dataset or one a second time.
    """
    path = folder / TABLE
    table = read_cells(path)
    aus = {name: au_of(name) for name in table.header if is_column(name)}
    lacking = [name for name in ("video", "frame") if name not in table.header]
    if lacking or not aus:
        what = f"no column {' and '.join(lacking)}" if lacking else "no column of an AU"
        raise AulightError(f"{path}: {what}; video, frame, AU01 ... are expected{columns_found(table)}")
    named = [cells["video"] for _, cells in table.rows]
    places = _places(data, named)
    frames, given, problems = dict[Key, Drawn](), dict[tuple[Key, int], int](), table.problems
    for row, cells in table.rows:
        number = parse_whole_number("frame", cells["frame"], table.decimal)
        if isinstance(number, Problem):
            problems.append((row, number))
            continue
        key = cells["video"], number
        if key not in places:
            problems.append((row, f"frame {number} of video {key[0][:100]!r} is not in {data.root}"))
        elif key in frames:
            problems.append((row, f"frame {number} of video {key[0][:100]!r} is there already"))
        else:
            frames[key] = places[key]
        for name, au in aus.items():
            if cells[name] == "?" or is_missing(cells[name]):
                continue
            value = parse_intensity(name, cells[name], table.decimal)
            if isinstance(value, Problem):
                problems.append((row, value))
            else:
                given[key, au] = value
    refuse_rows(path, problems)
    if not frames:
        raise AulightError(f"{path}: has no rows")
    return Sample(folder, tuple(aus.values()), frames, given)


def _places(data: PreparedDataset, named: Sequence[str]) -> dict[Key, Drawn]:
    """All frames of the videos that are named."""
    wanted = set(named)
    videos = [(row, str(name)) for row, name in enumerate(data.videos["video_id"]) if name in wanted]
    subjects = [str(subject).strip() for subject in data.videos["subject"]]
    tables = data.frames_of([name for _, name in videos], ["frame", "source_frame", "time_s"])
    return {
        (name, source): Drawn(name, source, row, place, time_s, subjects[row] or name)
        for (row, name), table in zip(videos, tables, strict=True)
        for place, source, time_s in zip(
            table["frame"].tolist(), table["source_frame"].tolist(), table["time_s"].tolist(), strict=True
        )
    }
