"""What is another in the raw videos than when a dataset was made."""

import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from aulight.data.description import MOST_SKIPPED
from aulight.data.noted import SOURCE_COLUMNS
from aulight.data.places import Place, Segments
from aulight.data.sources.raw import RawDataset, RawVideo
from aulight.data.store import PreparedDataset
from aulight.data.video.digest import digest, stamp
from aulight.errors import VideoError
from aulight.processes import Bar
from aulight.workers.pump import LOST


@dataclass
class Changes:
    """What is another than when the dataset was made.

    Attributes:
        new: Videos that it lacks, and that may be read.
        replaced: Videos that have another content under the same name.
        damaged: Videos of which what was prepared is another than it was then; an older dataset does not tell.
        hopeless: Of videos that could not be read and have not changed since, the reason.
        sources: Of videos of the dataset what is to be remembered of them, by ``SOURCE_COLUMNS``.
        notes: What was odd, a line each.
    """

    new: list[RawVideo] = field(default_factory=list)
    replaced: list[RawVideo] = field(default_factory=list)
    damaged: list[RawVideo] = field(default_factory=list)
    hopeless: dict[str, str] = field(default_factory=dict)
    sources: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def look(data: PreparedDataset, raw: RawDataset) -> Changes:
    """Looks at the raw videos: at their size and time first, and at their content where these have changed.

    The prepared ones are read: whether a disk or a copy has damaged them, nothing else tells.
    """
    there = {str(row["video_id"]): row for row in data.videos.to_dict("records")}
    rows = {name: row for row, name in enumerate(there)}
    skipped, stamps = data.meta.get("skipped", {}), data.meta.get("skipped_stamps", {})
    found, unknown = Changes(), list[str]()
    for video in _shown(raw.videos):
        name = video.video_id
        try:
            size_and_time = stamp(video.path)
            if name not in there:
                if name in skipped and stamps.get(name) == [*size_and_time]:
                    found.hopeless[name] = skipped[name]
                else:
                    found.new.append(video)
                continue
            known = [there[name].get(column) for column in SOURCE_COLUMNS]
            if pd.isna(known[0]):
                unknown.append(name)
                known = [None, None, None]
            if known[1:] != [*size_and_time]:
                now = digest(video.path)
                if known[0] not in (None, now):
                    found.replaced.append(video)
                    continue
                known = [now, *size_and_time]
            if _is_damaged(data.file(rows[name])):
                found.damaged.append(video)
            found.sources[name] = dict(zip(SOURCE_COLUMNS, known, strict=True))
        except VideoError as error:
            if name not in there:
                found.new.append(video)  # which says again why it cannot be read
            else:
                found.notes.append(f"{name}: stays as it is ({error})")
    if unknown:
        found.notes.append(
            f"the content of {len(unknown)} videos is remembered from now on; whether they were replaced before, "
            "nothing tells"
        )
    return found


def _is_damaged(place: Place) -> bool:
    """Whether a video in shards is another than was packed."""
    assert isinstance(place, Segments)  # what is prepared now is in shards
    try:
        return not all(
            hashlib.sha256(part.read()).hexdigest().startswith(str(part.part.digest)) for part in place.parts
        )
    except VideoError:  # cut off
        return True


def _shown(videos: Sequence[RawVideo]) -> Iterator[RawVideo]:
    """The videos, with a bar where it takes longer."""
    with Bar(len(videos), "Looking at videos", "video", delay=2) as bar:
        for video in videos:
            yield video
            bar.update()


def remembered(skipped: Mapping[str, str]) -> dict[str, str]:
    """Of videos that cannot be read the reason, by their ids, as far as a description may name them."""
    return dict(itertools.islice(skipped.items(), MOST_SKIPPED))


def stamps(raw: RawDataset, skipped: Mapping[str, str]) -> dict[str, list[int]]:
    """Of videos that cannot be read, by what to know when they have changed.

    One that workers were lost at has none: it is tried again.
    """
    stamps = dict[str, list[int]]()
    for video in raw.videos:
        if video.video_id in skipped and LOST not in skipped[video.video_id]:
            try:
                stamps[video.video_id] = [*stamp(video.path)]
            except VideoError:
                continue
    return stamps
