"""By what the videos of a prepared dataset are known again, whatever they and their dataset are called."""

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from aulight.data.noted import DIGESTS
from aulight.data.places import Place, Segments
from aulight.data.store import PreparedDataset
from aulight.data.video.digest import digest
from aulight.datasets import DIGITS, Digests, collection, digests
from aulight.protocol import Shown


def shown(data: PreparedDataset, rows: npt.NDArray[np.int64] | None = None) -> Shown:
    """Which videos of a dataset show whom.

    A video is known again by the content of its raw file, by the decoded pictures of that (however they are packed) and
    by the prepared file. What ``prepare`` has not noted of the first two (an earlier aulight, drawn faces) is not
    known; the prepared files are read where their digests are not noted.

    Args:
        data: The dataset.
        rows: Which of its videos; ``None``: all.

    Raises:
        VideoError: When a file cannot be read.
    """
    videos = data.videos if rows is None else data.videos.iloc[rows]
    table = videos.reindex(columns=DIGESTS)
    contents = np.stack([_noted(table[name]) for name in DIGESTS], axis=1)
    prepared = contents[:, DIGESTS.index("file_sha256")]
    for place in np.flatnonzero(prepared == b""):
        prepared[place] = _digest(data.file(int(place if rows is None else rows[place])))[:DIGITS]
    made, names = data.meta.get("source") or {}, videos["video_id"].astype(str)
    return Shown(
        dataset=data.name,
        collection=collection(data.name, str(made.get("format", "")), str(made.get("folder", "")), names),
        videos=names,
        subjects=videos["subject"].astype(str),
        contents=contents,
    )


def _noted(column: pd.Series) -> Digests:
    """Digests of a column; empty where there is none."""
    return digests([name[:DIGITS] if isinstance(name, str) else "" for name in column.tolist()])


def _digest(place: Place) -> str:
    if isinstance(place, Segments):  # whose file is noted when it is packed
        found = hashlib.sha256()
        for part in place.parts:
            found.update(part.read())
        return found.hexdigest()
    return digest(place) if isinstance(place, Path) else place.digest()


def forgotten(data: PreparedDataset) -> str | None:
    """What to say of a dataset whose raw videos cannot be known again, since an earlier aulight prepared it."""
    noted = data.videos.get(DIGESTS[0])
    if not (data.meta.get("source") or {}).get("folder") or (noted is not None and noted.notna().all()):
        return None
    return (
        f"{data.name} was prepared by an earlier aulight, which did not note what its raw videos hold: whether another "
        "dataset has them too cannot be told; `aulight prepare` as before notes it"
    )
