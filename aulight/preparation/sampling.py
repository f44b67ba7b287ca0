"""Which frames to label, drawn at random."""

from bisect import bisect
from collections import defaultdict
from typing import Any

import numpy as np
import pandas as pd

from aulight.data.store import PreparedDataset
from aulight.errors import AulightError


def candidates(data: PreparedDataset, unlabelled_only: bool) -> pd.DataFrame:
    """The frames that may be drawn: those that show a face.

    Args:
        data: A prepared dataset.
        unlabelled_only: Leave out frames with a known AU.

    Returns:
        ``video_id, frame, source_frame, time_s``, sorted by video and frame.
    """
    table = data.frames.loc[data.frames["face_confidence"] > 0, ["video_id", "frame", "source_frame", "time_s"]]
    if unlabelled_only and data.aus:
        labelled = data.labels.loc[data.labels[data.columns].notna().any(axis=1), ["video_id", "frame"]]
        table = table.merge(labelled, on=["video_id", "frame"], how="left", indicator="known")
        table = table[table.pop("known") == "left_only"]
    return table.sort_values(["video_id", "frame"], ignore_index=True)


def draw(table: pd.DataFrame, count: int, seed: int, min_distance_s: float) -> pd.DataFrame:
    """Draws frames uniformly at random; smaller draws of one seed lie inside larger ones.

    With a least distance, frames are drawn one after another, and one that is too near to an earlier one is passed
    over. Frames with few others near them (at the ends of a video, beside a stretch without a face) are then drawn a
    little more often than the rest, the more so the fuller the videos get; without, every set of frames is as likely
    as any other.

    Args:
        table: What may be drawn, as :func:`candidates` gives it.
        count: How many.
        seed: Of the draw.
        min_distance_s: Least time between two drawn frames of a video, in seconds.

    Returns:
        The drawn rows, sorted as they were.

    Raises:
        AulightError: When there are not so many frames, or no room for them at this distance.
    """
    if count > len(table):
        raise AulightError(
            f"label_count={count}: only {len(table)} frames (with a face, not labelled yet) can be drawn"
        )
    order = np.random.default_rng(seed).permutation(len(table))
    if min_distance_s > 0:
        order = _apart(order, table, count, min_distance_s)
        if len(order) < count:
            raise AulightError(
                f"min_distance_s={min_distance_s:g}: the draw found room for {len(order)} of {count} frames; "
                "a smaller distance or a smaller label_count is needed"
            )
    return table.iloc[np.sort(order[:count])].reset_index(drop=True)


def _apart(order: np.ndarray[Any, np.dtype[np.int64]], table: pd.DataFrame, count: int, distance: float) -> Any:
    """The first ``count`` places of an order that are a distance apart in their video."""
    videos, times = pd.factorize(table["video_id"])[0].tolist(), table["time_s"].tolist()
    taken: defaultdict[int, list[float]] = defaultdict(list)  # by video, in ascending order
    kept: list[int] = []
    least = distance - 1e-9  # times are sums of fractions of a second
    for place in order.tolist():
        if len(kept) == count:
            break
        time, there = times[place], taken[videos[place]]
        at = bisect(there, time)
        if all(abs(time - other) >= least for other in there[max(at - 1, 0) : at + 1]):
            there.insert(at, time)
            kept.append(place)
    return np.array(kept, dtype=np.int64)
