"""``summary.csv`` and ``cooccurrence.csv``: all videos of a folder in few numbers, from what their companions keep."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from aulight.facs import au_of
from aulight.prediction.after.records import OfUnit
from aulight.prediction.companion import Companion
from aulight.prediction.rows import Row


class Failed(NamedTuple):
    """A video of which nothing could be scored.

    Attributes:
        path: Where it is.
        problem: Why.
    """

    path: str
    problem: str


Scored = Mapping[str, Companion]
"""The companions of the videos of a folder, by their names."""


def aus_in(videos: Iterable[Companion]) -> list[str]:
    """The AUs that have scores in any of the videos, by number."""
    aus = {au for video in videos if video.after for person in video.after.people for au in person.aus}
    return sorted(aus, key=au_of)


def summary_table(videos: Scored, failed: Mapping[str, Failed]) -> pd.DataFrame:
    """A row for each person of each video, and one for each video without any.

    ``video, face_id, frames, seconds`` (of the video), ``face_share`` (share of its frames that show this face),
    ``face_s`` (seconds with it), ``quality``, of each AU ``AU01_mean``, ``AU01_sd``, ``AU01_share`` (of the seconds
    with the face, in events), ``AU01_per_min`` (events a minute of them), ``AU01_peak`` (mean of the events' peaks),
    and ``problem`` where a video could not be read to its end.

    Args:
        videos: What was scored.
        failed: What could not be, by name.
    """
    aus, rows = aus_in(videos.values()), list[Row]()
    for name in sorted({*videos, *failed}):
        video = videos.get(name)
        if video is None or video.after is None:
            rows.append({"video": name, "frames": 0, "problem": failed[name].problem if name in failed else None})
            continue
        of_video = {"video": name, "frames": video.frames, "seconds": video.after.seconds, "problem": video.problem}
        for person in video.after.people:
            row = of_video | {
                "face_id": person.face_id,
                "face_share": person.frames / video.frames if video.frames else None,
                "face_s": person.seconds,
                "quality": person.quality,
            }
            for au, unit in person.aus.items():
                row |= {f"{au}_{what}": number for what, number in of_unit(unit).items()}
            rows.append(row)
        if not video.after.people:
            rows.append(of_video | {"face_share": 0.0, "face_s": 0.0})
    names = ["video", "face_id", "frames", "seconds", "face_share", "face_s", "quality"]
    names += [f"{au}_{what}" for au in aus for what in ("mean", "sd", "share", "per_min", "peak")]
    table = pd.DataFrame(rows, columns=[*names, "problem"])
    return table.astype({"face_id": "Int64", "frames": "int64"}).round(4)


def of_unit(unit: OfUnit) -> dict[str, float | None]:
    """The numbers of one AU of one person as ``summary.csv`` has them, by the ends of the columns' names."""
    share = per_minute = None
    if unit.seconds and unit.present_s is not None and unit.events is not None:
        share, per_minute = unit.present_s / unit.seconds, 60 * unit.events / unit.seconds
    return {"mean": unit.mean, "sd": unit.sd, "share": share, "per_min": per_minute, "peak": unit.peak}


def overall(videos: Sequence[Companion]) -> pd.DataFrame:
    """Of each AU over all people of all videos: ``au, mean, share, per_min, peak``; each second counts the same."""
    rows = []
    for au in aus_in(videos):
        units = [person.aus[au] for of in videos if of.after for person in of.after.people if au in person.aus]
        seconds = np.array([unit.seconds for unit in units])
        if not seconds.sum():
            continue
        events = [(unit.events, unit.peak) for unit in units if unit.events and unit.peak is not None]
        count = sum(number for number, _ in events)
        present = [unit.present_s for unit in units if unit.present_s is not None]
        rows.append(
            {
                "au": au,
                "mean": float(np.average([unit.mean for unit in units], weights=seconds)),
                "share": sum(present) / seconds.sum() if present else None,
                "per_min": 60 * count / seconds.sum() if present else None,
                "peak": sum(number * peak for number, peak in events) / count if count else None,
            }
        )
    return pd.DataFrame(rows, columns=["au", "mean", "share", "per_min", "peak"])


def cooccurrence_table(videos: Scored) -> pd.DataFrame:
    """Which AUs go together, over all people of all videos: a row for each pair.

    ``au, with, seconds`` (both are present), ``share`` (of the seconds in which both are known) and ``jaccard`` (of
    those in which either is present; empty where neither ever is).

    Args:
        videos: What was scored.
    """
    times: dict[str, np.ndarray[Any, Any]] = {}
    for video in videos.values():
        for pair, seconds in (video.after.together if video.after else {}).items():
            times[pair] = times.get(pair, np.zeros(3)) + np.array(seconds)
    rows = []
    for pair, (both, either, known) in times.items():
        one, other = pair.split("+")
        share, jaccard = both / known if known else None, both / either if either else None
        rows.append({"au": one, "with": other, "seconds": both, "share": share, "jaccard": jaccard})
    table = pd.DataFrame(rows, columns=["au", "with", "seconds", "share", "jaccard"])
    return table.sort_values(["au", "with"], ignore_index=True).round(4)
