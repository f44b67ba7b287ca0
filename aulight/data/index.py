"""``index.parquet``: where the segments of all videos lie in shards."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from aulight.data.description import RESTORE
from aulight.data.listing import missing_files
from aulight.data.places import Index, shard_name
from aulight.data.tables import WHOLE, Kind, Tables
from aulight.errors import AulightError

DIGEST = 16
"""Bytes of a segment's digest: the first of the SHA-256 of its bytes."""

SCHEMA = pa.schema(
    [
        ("video", pa.int32()),
        ("first", pa.int32()),
        ("frames", pa.int32()),
        ("shard", pa.int32()),
        ("offset", pa.int64()),
        ("bytes", pa.int32()),
        ("digest", pa.binary(DIGEST)),
    ]
)
"""Columns of ``index.parquet``: a row a segment, by video and frame."""

_DIGEST = Kind(f"of {DIGEST} bytes", lambda kind: bool(kind.equals(pa.binary(DIGEST))))
_KINDS = {name: _DIGEST if name == "digest" else WHOLE for name in SCHEMA.names}


def read_index(tables: Tables, names: npt.NDArray[np.object_], counts: npt.NDArray[np.int64], local: bool) -> Index:
    """Reads the index of a dataset, and looks once which shards are there.

    Args:
        tables: Its tables.
        names: Its videos.
        counts: How many frames each has.
        local: Whether the shards are in its folder; at an URL, one that is missing is told when it is read.

    Raises:
        AulightError: When it is damaged, does not fit the videos, or shards are missing.
    """
    path = tables.root / "index.parquet"
    table = tables.arrow("index", _KINDS)
    video, first, frames, shard, offset, size = (table[name].to_numpy().astype(np.int64) for name in SCHEMA.names[:-1])
    begins = np.searchsorted(video, np.arange(len(names) + 1))
    if (np.diff(video) < 0).any() or (len(video) and (video[0] < 0 or begins[-1] < len(video))):
        raise AulightError(f"{path}: segments of no video, or not in order; {RESTORE}")
    ends = np.cumsum(frames)
    starts = np.cumsum(counts) - counts
    wrong = np.bincount(video, frames, len(names)).astype(np.int64) != counts
    wrong |= np.bincount(video, (frames <= 0) | (first != ends - frames - starts[video]), len(names)) > 0
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise AulightError(f"{path}: does not have the {counts[row]} frames of video {names[row]}; {RESTORE}")
    if (np.stack([shard, offset, size]) < 0).any():
        raise AulightError(f"{path}: places before the first byte; {RESTORE}")
    shards = [shard_name(number) for number in np.unique(shard).tolist()]
    if local and (missing := missing_files(tables.root, shards)):
        tables.refuse_changed()
        raise AulightError(
            f"{tables.root / missing[0]}: missing ({len(missing)} of {len(shards)} shards are); {RESTORE}"
        )
    digest = pa.concat_arrays(table["digest"].chunks).cast(pa.binary(DIGEST)) if len(table) else None
    found = np.zeros(0, np.uint8) if digest is None else np.frombuffer(digest.buffers()[1], np.uint8)
    begin = 0 if digest is None else digest.offset * DIGEST
    found = found[begin : begin + len(table) * DIGEST].reshape(-1, DIGEST)
    first, frames, shard, size = (column.astype(np.int32) for column in (first, frames, shard, size))
    return Index(begins, first, frames, shard, offset, size, found)
