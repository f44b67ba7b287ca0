"""The frames of some videos as one table: of a large dataset few have labels, and all do not fit into memory."""

from collections.abc import Iterable

import pandas as pd

from aulight.data.store import PreparedDataset

WHOLE = 5_000_000
"""Frames of a dataset whose table is read whole, once, which takes a second and half a gigabyte at most."""


_NONE = pd.DataFrame(
    {
        "video_id": pd.Series(dtype="str"),
        "frame": pd.Series(dtype="int64"),
        "source_frame": pd.Series(dtype="int64"),
        "time_s": pd.Series(dtype="float64"),
        "face_confidence": pd.Series(dtype="float32"),
    }
)


def frames_of(data: PreparedDataset, videos: Iterable[str]) -> pd.DataFrame:
    """The rows of :attr:`PreparedDataset.frames` that are of some videos.

    Args:
        data: The dataset.
        videos: Their names.

    Raises:
        AulightError: As :meth:`PreparedDataset.frames_of` does.
    """
    if data.meta["frames"] <= WHOLE:
        return data.frames[data.frames["video_id"].isin(list(videos))]
    wanted = data.videos["video_id"][data.videos["video_id"].isin(list(videos))]
    tables: list[pd.DataFrame] = [_NONE, *data.frames_of(wanted, [str(name) for name in _NONE])]
    return pd.concat(tables, ignore_index=True)


def frames_with_labels(data: PreparedDataset) -> pd.DataFrame:
    """Those of the videos that have labels; raises as :attr:`PreparedDataset.labels` does, too."""
    return frames_of(data, data.labels["video_id"].unique())
