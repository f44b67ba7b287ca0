"""By what the videos of a prepared dataset are known again, whatever they and their dataset are called."""

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from aulight.data.noted import DIGESTS
from aulight.data.places import Place, Segments
from aulight.data.store import PreparedDataset
from aulight.data.video.digest import digest
from aulight.datasets import collection
from aulight.protocol import Shown

LENGTH = 16
"""Digits of a digest that are kept: among a million videos two are taken for one with a chance of one in 10 million."""


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
    contents = list[list[str]]()
    for row, (source, pictures, file) in zip(
        range(len(data.videos)) if rows is None else rows, table.itertuples(index=False), strict=True
    ):
        noted = [name for name in (source, pictures, file) if isinstance(name, str)]
        contents.append(noted if isinstance(file, str) else [*noted, _digest(data.file(int(row)))])
    made, names = data.meta.get("source") or {}, tuple(videos["video_id"].astype(str))
    return Shown(
        dataset=data.name,
        collection=collection(data.name, str(made.get("format", "")), str(made.get("folder", "")), names),
        videos=names,
        subjects=tuple(videos["subject"].astype(str)),
        contents=tuple(frozenset(name[:LENGTH] for name in known) for known in contents),
    )


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
