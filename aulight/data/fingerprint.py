"""What the fingerprint of a prepared dataset is made of: what it says of itself, and what is in its tables."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import yaml

from aulight.data import row_groups
from aulight.data.description import DatasetDescription
from aulight.data.noted import NOTED


def described(meta: DatasetDescription) -> bytes:
    """What a description says of the content, and not of where that came from."""
    places = ("folder", "labels", "subjects", "gop")  # the last is how videos are encoded
    source = {key: value for key, value in dict(meta.get("source") or {}).items() if key not in places}
    # as it always was before it was said
    if (reader := dict(source.get("reader") or {})).get("pictures") == "auto":
        source["reader"] = {key: value for key, value in reader.items() if key != "pictures"}
    kept = {key: value for key, value in meta.items() if key not in ("revision", "skipped_stamps")}
    return yaml.safe_dump({**kept, "source": source}).encode()


def content(path: Path) -> bytes:
    """Hash of a table's columns but those of the raw videos, however its rows are grouped in the file."""
    with pq.ParquetFile(path) as file:
        names = [name for name in file.schema_arrow.names if name not in NOTED]
        digests = {name: hashlib.sha256(name.encode()) for name in names}
        for batch in file.iter_batches(row_groups.ROWS, columns=names):
            for name, digest in digests.items():
                values = batch[name].to_pandas()
                if name == "path":  # where it is, not what: a video that was prepared anew has another
                    values = "videos/" + batch["video_id"].to_pandas() + ".mp4"
                if pd.api.types.is_numeric_dtype(values):
                    numbers = values.to_numpy(np.float64, na_value=np.nan)
                    digest.update(np.where(np.isnan(numbers), np.nan, numbers).tobytes())  # one NaN of many
                else:
                    digest.update("\0".join([*values.astype(str), ""]).encode())
    return b"".join(digest.digest() for digest in digests.values())
