"""Which frames to label, drawn at random: over all frames, or evenly over people or videos."""

from bisect import bisect, insort
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from numpy.random import default_rng

from aulight.data.store import PreparedDataset
from aulight.errors import AulightError

Spread = Literal["frames", "videos", "people"]

USUAL_DISTANCES_S = (1.0, 0.5, 0.25, 0.125, 0.0)
"""Where no distance is asked for: seconds between frames of a video, each taken once there is no room at the former."""

_PIECE = 2**16


def candidates(data: PreparedDataset, unlabelled_only: bool) -> pd.DataFrame:
    """The frames that may be drawn: those that show a face.

    Args:
        data: A prepared dataset.
        unlabelled_only: Leave out frames with a known AU.

    Returns:
        ``video_id, frame, source_frame, time_s, person``, sorted by video and frame; ``video_id`` is a category, which
        takes little memory, and ``person`` a number, see :attr:`PreparedDataset.people`.
    """
    known = _labelled(data) if unlabelled_only and data.aus else {}
    names = ["frame", "source_frame", "time_s"]
    parts = dict[str, list[npt.NDArray[Any]]]()
    tables = data.frames_of(data.videos["video_id"], [*names, "face_confidence"])
    for video, table in zip(data.videos["video_id"], tables, strict=True):
        wanted = table["face_confidence"].to_numpy() > 0
        if video in known:
            wanted &= ~table["frame"].isin(known[video]).to_numpy()
        parts[video] = [table[name].to_numpy()[wanted] for name in names]
    people = dict(zip(data.videos["video_id"], data.people, strict=True))
    videos, counts = sorted(parts), [len(parts[video][0]) for video in sorted(parts)]
    row = np.repeat(np.arange(len(videos), dtype=np.int32), counts)
    columns = {name: np.concatenate([parts[video][place] for video in videos]) for place, name in enumerate(names)}
    found = pd.DataFrame(columns | {"person": np.array([people[video] for video in videos])[row]})
    found.insert(0, "video_id", pd.Series(pd.Categorical.from_codes(row, pd.Index(videos))))
    return found


def labelled_times(data: PreparedDataset) -> dict[str, list[float]]:
    """When frames with a known AU are shown, in seconds, by video and ascending."""
    if not data.aus:
        return {}
    known = _labelled(data)
    tables = data.frames_of(known, ["frame", "time_s"])
    return {
        video: sorted(table.loc[table["frame"].isin(frames), "time_s"].tolist())
        for (video, frames), table in zip(known.items(), tables, strict=True)
    }


def _labelled(data: PreparedDataset) -> dict[str, npt.NDArray[np.int64]]:
    """The frames with a known AU, by video, in the order of the videos."""
    known = data.labels.loc[data.labels[data.columns].notna().any(axis=1), ["video_id", "frame"]]
    frames = {video: rows.to_numpy(np.int64) for video, rows in known.groupby("video_id")["frame"]}
    return {video: frames[video] for video in data.videos["video_id"] if video in frames}


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
    videos, names = pd.factorize(table["video_id"])
    times, persons = table["time_s"].to_numpy(), table["person"].to_numpy()
    groups = {"frames": None, "videos": videos, "people": persons}[spread]
    left = default_rng(seed).permutation(len(table))
    taken = [list((others or {}).get(str(name), ())) for name in names]
    drawn, numbers = list[int](), Counter[int]()
    for distance in USUAL_DISTANCES_S if min_distance_s is None else (min_distance_s,):
        most = count - len(drawn) if groups is None else len(left)
        fit, left = _apart(left, videos, times, distance, taken, most)
        drawn += fit if groups is None else _in_turn(fit, groups[fit].tolist(), numbers)
        if len(drawn) >= count:
            found = table.iloc[sorted(drawn[:count])].reset_index(drop=True)
            return Drawn(found.assign(video_id=np.asarray(found["video_id"])), distance)
    raise AulightError(
        f"min_distance_s={min_distance_s:g}: the draw found room for {len(drawn)} of {count} frames; "
        "a smaller distance or a smaller label_count is needed"
    )


def _apart(
    order: npt.NDArray[np.int64],
    videos: npt.NDArray[np.int64],
    times: npt.NDArray[np.float64],
    distance: float,
    taken: list[list[float]],
    most: int,
) -> tuple[list[int], npt.NDArray[np.int64]]:
    """The first of an order that are a distance from all taken before them, which are then taken, and the rest.

    Of arrays, a piece at a time is made Python's numbers, which would take ten times the memory.
    """
    if distance == 0:
        return order[:most].tolist(), order[most:]
    fit, rest = list[int](), list[npt.NDArray[np.int64]]()
    least = distance - 1e-9  # times are sums of fractions of a second
    for start in range(0, len(order), _PIECE):
        piece = order[start : start + _PIECE]
        left = np.ones(len(piece), bool)
        for at_piece, (place, video, time) in enumerate(
            zip(piece.tolist(), videos[piece].tolist(), times[piece].tolist(), strict=True)
        ):
            there = taken[video]
            at = bisect(there, time)
            if all(abs(time - other) >= least for other in there[max(at - 1, 0) : at + 1]):
                insort(there, time)
                fit.append(place)
                left[at_piece] = False
                if len(fit) == most:
                    return fit, order[:0]  # nobody asks for more
        rest.append(piece[left])
    return fit, np.concatenate([order[:0], *rest])


def _in_turn(order: list[int], groups: Sequence[int], numbers: Counter[int]) -> list[int]:
    """An order in which every group comes once before any comes again.

    Args:
        order: What is ordered.
        groups: Of each of it.
        numbers: What each group has had; counted on.
    """
    turns = list[int]()
    for group in groups:
        turns.append(numbers[group])
        numbers[group] += 1
    return [place for _, place in sorted(zip(turns, order, strict=True), key=lambda turn: turn[0])]
