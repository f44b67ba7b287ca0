"""Which frames to label, drawn at random: over all frames, or evenly over people or videos."""

from bisect import bisect, insort
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd
from numpy.random import default_rng

from aulight.data.store import PreparedDataset
from aulight.errors import AulightError

Spread = Literal["frames", "videos", "people"]

USUAL_DISTANCES_S = (1.0, 0.5, 0.25, 0.125, 0.0)
"""Where no distance is asked for: seconds between frames of a video, each taken once there is no room at the former."""


def candidates(data: PreparedDataset, unlabelled_only: bool) -> pd.DataFrame:
    """The frames that may be drawn: those that show a face.

    Args:
        data: A prepared dataset.
        unlabelled_only: Leave out frames with a known AU.

    Returns:
        ``video_id, frame, source_frame, time_s, person``, sorted by video and frame; ``person`` is a number, see
        :attr:`PreparedDataset.people`.
    """
    table = data.frames.loc[data.frames["face_confidence"] > 0, ["video_id", "frame", "source_frame", "time_s"]]
    if unlabelled_only and data.aus:
        table = table.merge(_labelled(data), on=["video_id", "frame"], how="left", indicator="known")
        table = table[table.pop("known") == "left_only"]
    table = table.assign(person=table["video_id"].map(dict(zip(data.videos["video_id"], data.people, strict=True))))
    return table.sort_values(["video_id", "frame"], ignore_index=True)


def labelled_times(data: PreparedDataset) -> dict[str, list[float]]:
    """When frames with a known AU are shown, in seconds, by video and ascending."""
    if not data.aus:
        return {}
    known = data.frames.merge(_labelled(data), on=["video_id", "frame"])
    return {str(video): sorted(times) for video, times in known.groupby("video_id")["time_s"]}


def _labelled(data: PreparedDataset) -> pd.DataFrame:
    """``video_id, frame`` of the frames with a known AU."""
    return data.labels.loc[data.labels[data.columns].notna().any(axis=1), ["video_id", "frame"]]


@dataclass(frozen=True)
class Drawn:
    """What was drawn.

    Attributes:
        frames: The rows, sorted as they were.
        distance_s: How far apart frames of a video are at least, in seconds.
    """

    frames: pd.DataFrame
    distance_s: float


def draw(
    table: pd.DataFrame,
    count: int,
    seed: int,
    spread: Spread = "frames",
    min_distance_s: float | None = None,
    others: dict[str, list[float]] | None = None,
) -> Drawn:
    """Draws frames at random; smaller draws of one seed lie inside larger ones.

    Frames are taken in a random order, and one that is too near to an earlier one is passed over. Frames with few
    others near them (at the ends of a video, beside a stretch without a face) are then drawn a little more often than
    the rest, the more so the fuller the videos get; at a distance of 0 every set of frames is as likely as any other.

    Spread over people (or videos), the first frame of everybody comes before the second of anybody, and so on: at one
    distance nobody has two frames more than somebody of whom another could be taken.

    Args:
        table: What may be drawn, as :func:`candidates` gives it.
        count: How many.
        seed: Of the draw.
        spread: Over what the draw is even: all frames are alike, or people are, or videos.
        min_distance_s: Least time between two drawn frames of a video, in seconds. ``None``: the first of
            :data:`USUAL_DISTANCES_S`, and once there is no room for more frames at it, the next.
        others: Times of frames from which drawn ones are as far, in seconds, by video and ascending.

    Raises:
        AulightError: When there are not so many frames, or no room for them at this distance.
    """
    if count > len(table):
        raise AulightError(
            f"label_count={count}: only {len(table)} frames (with a face, not labelled yet) can be drawn"
        )
    videos, times = table["video_id"].tolist(), table["time_s"].tolist()
    groups = {"frames": None, "videos": videos, "people": table["person"].tolist()}[spread]
    left: list[int] = default_rng(seed).permutation(len(table)).tolist()
    taken = defaultdict[str, list[float]](list, {video: list(of) for video, of in (others or {}).items()})
    drawn, numbers = list[int](), Counter[object]()
    for distance in USUAL_DISTANCES_S if min_distance_s is None else (min_distance_s,):
        fit, left = _apart(left, videos, times, distance, taken)
        if groups is not None:
            fit = _in_turn(fit, groups, numbers)
        drawn += fit
        if len(drawn) >= count:
            return Drawn(table.iloc[sorted(drawn[:count])].reset_index(drop=True), distance)
    raise AulightError(
        f"min_distance_s={min_distance_s:g}: the draw found room for {len(drawn)} of {count} frames; "
        "a smaller distance or a smaller label_count is needed"
    )


def _apart(
    order: list[int], videos: Sequence[str], times: Sequence[float], distance: float, taken: dict[str, list[float]]
) -> tuple[list[int], list[int]]:
    """Those of an order that are a distance from all taken before them, which are then taken, and the rest."""
    if distance == 0:
        return order, []
    fit, rest = list[int](), list[int]()
    least = distance - 1e-9  # times are sums of fractions of a second
    for place in order:
        time, there = times[place], taken[videos[place]]
        at = bisect(there, time)
        if all(abs(time - other) >= least for other in there[max(at - 1, 0) : at + 1]):
            insort(there, time)
            fit.append(place)
        else:
            rest.append(place)
    return fit, rest


def _in_turn(order: list[int], groups: Sequence[object], numbers: Counter[object]) -> list[int]:
    """An order in which every group comes once before any comes again; ``numbers`` counts what each has had."""
    turns = list[int]()
    for place in order:
        turns.append(numbers[groups[place]])
        numbers[groups[place]] += 1
    return [place for _, place in sorted(zip(turns, order, strict=True), key=lambda turn: turn[0])]
