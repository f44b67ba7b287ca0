"""Reads of a table what is needed, and takes each person's own rest away: a million rows take little memory."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from aulight.facs import MAX_INTENSITY
from aulight.files import told_of
from aulight.foreign.tables import KEYS
from aulight.prediction.after.events import aus_of
from aulight.prediction.rest import Rest
from aulight.prediction.rows import FILE, OWN
from aulight.prediction.writing import DIGITS

ROWS = 50_000
"""That are read at a time."""

_WANTED = (FILE, *KEYS, "quality")


def read_table(file: Path, ends: bool = False) -> pd.DataFrame:
    """Keys, quality and intensities (float32) of a table; its other columns are left where they are.

    Args:
        file: A .csv or .parquet file of ``predict``'s; ``.partial`` may stand behind that.
        ends: Whether to read the ends of intervals, too.
    """
    with told_of(file):
        names = _names(file)
        kinds = {f"{au}_{kind}": np.float32 for au in aus_of(names) for kind in ("r", *(("lo", "hi") if ends else ()))}
        kept = [name for name in names if name in _WANTED or name in kinds]
        if _is_csv(file):
            read: Any = pd.read_csv
            kinds = {name: kind for name, kind in kinds.items() if name in kept}
            parts: list[pd.DataFrame] = list(read(file, usecols=kept, dtype=kinds, chunksize=ROWS))
            return pd.concat(parts, ignore_index=True)
        return pd.read_parquet(file, columns=kept)


def numbers_of(file: Path, names: Sequence[str]) -> Iterator[npt.NDArray[np.float64]]:
    """The rows of a table, one after the other, of those of these columns that it has, in this order."""
    there = set(_names(file))
    for part in parts_of(file):
        yield from part[[name for name in names if name in there]].to_numpy(np.float64)


def _is_csv(file: Path) -> bool:
    return ".parquet" not in file.suffixes[-2:]


def _names(file: Path) -> list[str]:
    if _is_csv(file):
        return list(pd.read_csv(file, nrows=0).columns)
    import pyarrow.parquet

    return list(pyarrow.parquet.read_schema(file).names)


def take_rest_away(file: Path, made: Path, present_from: float) -> dict[str, dict[str, float]]:
    """Writes a table anew with each person's own rest taken away from intensities and intervals, within 0..5.

    The rest of an AU, and of each side of it, is what the lowest tenth of all frames with the person's face lie at or
    below, to 0.001; frames that say nothing of it do not count.

    Args:
        file: The table.
        made: Where it goes.
        present_from: Intensity from which an AU is present, where the table has columns of that.

    Returns:
        What was taken away, by person and AU (``AU12``), or side (``AU12_left``).
    """
    said = _intensities(_names(file))
    seen: defaultdict[int, Rest] = defaultdict(lambda: Rest(len(said)))
    for part in parts_of(file):
        for person, of_person in part[part["success"].astype(int) == 1].groupby(part["face_id"].astype(int)):
            seen[int(person)].add(of_person[said].to_numpy(np.float64))
    rests = {person: rest.level for person, rest in seen.items()}
    write_parts(file, made, lambda part: _less(part, said, rests, present_from))
    return {
        str(person): {name.removesuffix("_r"): round(float(rest), 3) for name, rest in zip(said, levels, strict=True)}
        for person, levels in sorted(rests.items())
    }


def _intensities(names: Sequence[str]) -> list[str]:
    """The columns of intensities among others: of AUs, then of their sides."""
    aus = aus_of(names)
    both = {f"{au}_{side}" for au in aus for side in ("left", "right")}
    return [*(f"{au}_r" for au in aus), *(name for name in names if name in both)]


def _ends(name: str) -> list[str]:
    """The columns of the interval around an intensity."""
    return [f"{name[:-1]}{end}" for end in ("lo", "hi")] if name.endswith("_r") else []


def _less(
    part: pd.DataFrame, said: Sequence[str], rests: dict[int, npt.NDArray[np.float64]], present_from: float
) -> pd.DataFrame:
    nothing = np.zeros(len(said))
    people = part["face_id"].astype(int).tolist()
    away = np.array([rests.get(person, nothing) for person in people]).reshape(len(part), len(said))
    new = {
        column: np.clip(part[column].to_numpy(np.float64) - away[:, row], 0, MAX_INTENSITY).round(DIGITS)
        for row, name in enumerate(said)
        for column in (name, *_ends(name))
        if column in part
    }
    for au in aus_of(said):
        if f"{au}_c" in part:
            intensities = new[f"{au}_r"]
            new[f"{au}_c"] = np.where(np.isnan(intensities), np.nan, intensities >= present_from)
    return part.assign(**new)


def parts_of(file: Path) -> Iterator[pd.DataFrame]:
    """The rows of a table, some at a time; what is not of intensities as it is written in a .csv.

    Args:
        file: The table.
    """
    with told_of(file):
        if _is_csv(file):
            names = _names(file)
            numbers = {column for name in _intensities(names) for column in (name, *_ends(name))}
            numbers |= {name for name in names if name.endswith(OWN)}
            read: Any = pd.read_csv  # what is not changed stays as it is written
            yield from read(file, chunksize=ROWS, dtype={name: str for name in names if name not in numbers})
        else:
            import pyarrow.parquet

            for batch in pyarrow.parquet.ParquetFile(file).iter_batches(ROWS):
                yield batch.to_pandas()


def write_parts(file: Path, made: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    """Writes a table anew, with its rows changed; columns that are gone then are not in it.

    Args:
        file: The table.
        made: Where it goes.
        change: Of some rows.
    """
    with told_of(made):
        if _is_csv(file):
            for number, part in enumerate(parts_of(file)):
                change(part).to_csv(made, index=False, header=number == 0, mode="a" if number else "w")
            return
        import pyarrow
        import pyarrow.parquet

        before = pyarrow.parquet.read_schema(file)
        kept = set(change(before.empty_table().to_pandas()).columns)
        schema = pyarrow.schema([field for field in before if field.name in kept])
        with pyarrow.parquet.ParquetWriter(made, schema) as writer:
            for part in parts_of(file):
                writer.write_table(pyarrow.Table.from_pandas(change(part), schema, preserve_index=False))
