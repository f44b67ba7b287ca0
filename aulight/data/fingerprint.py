"""What the fingerprint of a prepared dataset is made of: what it says of itself, and what is in its tables."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypedDict

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import yaml

from aulight.data import row_groups
from aulight.data.description import USUAL_LANDMARKER, DatasetDescription
from aulight.data.noted import NOTED
from aulight.files import sha256

DIGITS = 16
"""Of a fingerprint."""


def of(meta: DatasetDescription, tables: Iterable[bytes]) -> str:
    """The fingerprint of a dataset.

    Args:
        meta: What it says of itself.
        tables: What :func:`content` gives for ``videos``, ``frames`` and, where there are labels, ``labels``.
    """
    digest = hashlib.sha256(described(meta))
    for table in tables:
        digest.update(table)
    return digest.hexdigest()[:DIGITS]


class Noted(TypedDict):
    """What a description says of tables, so that their fingerprint need not be found out again.

    Attributes:
        fingerprint: As :func:`of` gives it.
        tables: As :func:`known_by` gives it.
    """

    fingerprint: str
    tables: dict[str, str]


def noted(meta: DatasetDescription, tables: Mapping[str, Path]) -> Noted:
    """What is to be noted of a dataset.

    Args:
        meta: What it says of itself.
        tables: The files of ``videos``, ``frames`` and, where there are labels, ``labels``, in this order.
    """
    contents = of(meta, (content(path) for path in tables.values()))
    return {"fingerprint": contents, "tables": known_by(meta, {name: sha256(path) for name, path in tables.items()})}


def known_by(meta: DatasetDescription, files: Mapping[str, str]) -> dict[str, str]:
    """By what tables are known to be those whose fingerprint was noted: hex SHA-256 digests by their names.

    Args:
        meta: What the dataset says of itself, which comes under the name of ``dataset``.
        files: Digests of the tables' files.
    """
    return {"dataset": hashlib.sha256(described(meta)).hexdigest(), **files}


def described(meta: DatasetDescription) -> bytes:
    """What a description says of the content, and not of where that came from."""
    # how videos are encoded, and by what faces were found, where that is the same but for rounding
    places = ("folder", "labels", "subjects", "gop", "networks")
    source = {key: value for key, value in dict(meta.get("source") or {}).items() if key not in places}
    # as it always was before it was said
    if (reader := dict(source.get("reader") or {})).get("pictures") == "auto":
        source["reader"] = {key: value for key, value in reader.items() if key != "pictures"}
    if source.get("landmarker") == USUAL_LANDMARKER:
        del source["landmarker"]
    left_out = ("revision", "skipped_stamps", "fingerprint", "tables")
    kept = {key: value for key, value in meta.items() if key not in left_out}
    return yaml.safe_dump({**kept, "format": 1, "source": source}).encode()  # however the videos are packed


def content(path: Path) -> bytes:
    """Hash of a table's columns but those of the raw videos, however its rows are grouped in the file."""
    with pq.ParquetFile(path) as file:
        names = [name for name in file.schema_arrow.names if name not in NOTED]
        if "subject" in names and "path" not in names:  # format 2 has none
            names.insert(names.index("subject") + 1, "path")
        digests = {name: hashlib.sha256(name.encode()) for name in names}
        for batch in file.iter_batches(row_groups.ROWS, columns=[name for name in names if name != "path"]):
            for name, digest in digests.items():
                if name == "path":  # where it was in format 1
                    values = "videos/" + batch["video_id"].to_pandas() + ".mp4"
                else:
                    values = batch[name].to_pandas()
                if pd.api.types.is_numeric_dtype(values):
                    numbers = values.to_numpy(np.float64, na_value=np.nan)
                    digest.update(np.where(np.isnan(numbers), np.nan, numbers).tobytes())  # one NaN of many
                else:
                    digest.update("\0".join([*values.astype(str), ""]).encode())
    return b"".join(digest.digest() for digest in digests.values())
