"""What a dataset of format 1 does not say of itself: found out by reading its tables, and looking for its files."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from aulight.data import row_groups
from aulight.data.description import RESTORE
from aulight.data.listing import missing_files
from aulight.data.tables import Tables
from aulight.errors import AulightError


def first_rows(tables: Tables, names: npt.NDArray[np.object_], counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Of each video the first of its rows in ``frames.parquet``.

    Args:
        tables: Those of the dataset.
        names: The videos.
        counts: How many frames each has.

    Raises:
        AulightError: When frames are not there, not together, or of other videos.
    """
    path = tables.root / "frames.parquet"
    rows_of = _stretches(tables)
    for name, count in zip(names, counts, strict=True):
        if len(rows_of.get(name, ())) != count:
            raise AulightError(f"{path}: does not have the {count} frames of video {name}; {RESTORE}")
    if others := rows_of.keys() - set(names):
        raise AulightError(f"{path}: video {min(others)} is not in videos.parquet; {RESTORE}")
    return np.array([rows_of[name].start if name in rows_of else 0 for name in names], np.int64)


def _stretches(tables: Tables) -> dict[str, range]:
    """The rows of ``frames.parquet`` that each video has."""
    found, row = dict[str, range](), 0
    with tables.frames_file(["video_id"]) as (file, whole):
        for batch in file.iter_batches(row_groups.ROWS, columns=["video_id"]):
            names = whole(batch)["video_id"].to_pandas().to_numpy()
            starts = [0, *(np.flatnonzero(names[1:] != names[:-1]) + 1).tolist()]
            for start, stop in zip(starts, [*starts[1:], len(names)], strict=True):
                before = found.get(names[start], range(row + start, row + start))
                if before.stop != row + start:
                    path = tables.root / "frames.parquet"
                    raise AulightError(f"{path}: frames of video {names[start]} are not together; {RESTORE}")
                found[names[start]] = range(before.start, row + stop)
            row += len(names)
    return found


def refuse_missing(root: Path, paths: list[str], local: bool) -> None:
    """Refuses videos whose files are elsewhere, or not there.

    Args:
        root: The dataset's folder.
        paths: Of its videos.
        local: Whether they are in it; at an URL, one that is missing is told when it is read.

    Raises:
        AulightError: For the first of them.
    """
    if odd := [path for path in paths if Path(path).is_absolute() or ".." in Path(path).parts]:
        raise AulightError(f"{root / 'videos.parquet'}: {odd[0]} is not in the dataset's folder; {RESTORE}")
    if local and (missing := missing_files(root, paths)):
        raise AulightError(f"{root / missing[0]}: missing ({len(missing)} of {len(paths)} videos are); {RESTORE}")
