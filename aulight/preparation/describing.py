"""Prepared videos to the tables of a dataset, with the labels of their frames."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from aulight.data.faces.following import about_following
from aulight.data.faces.pose import BLENDSHAPES
from aulight.data.noted import FOLLOWING, NOTED
from aulight.data.revising import StoreReviser
from aulight.data.sources.placing import place_labels
from aulight.data.sources.raw import RawDataset, RawVideo
from aulight.data.video.raw import late_start
from aulight.data.writer import StoreWriter, label_rows
from aulight.errors import shorten, shorten_lines
from aulight.preparation.summary import Summary

SHOWN = "`aulight predict input=<video> faces.all=true overlay=true` shows everybody"
"""What a user may do who wonders who was followed."""


class Made(NamedTuple):
    """A prepared video.

    Attributes:
        raw: What it was made from.
        table: Of its frames, as :func:`aulight.preparation.videos.part_of` has it.
    """

    raw: RawVideo
    table: pd.DataFrame


def describe(
    store: StoreWriter | StoreReviser,
    videos: Iterable[Made],
    raw: RawDataset,
    skipped: Mapping[str, str],
    notes: Sequence[str],
) -> Summary:
    """Describes videos in a dataset that is being written, one at a time in memory.

    Args:
        store: The dataset.
        videos: All of its videos.
        raw: The raw data.
        skipped: Of videos that could not be read, the reason.
        notes: What was odd so far.
    """
    notes, rates, faceless, subjects = [*raw.notes, *notes], list[float](), list[str](), set[str]()
    all_noted = list[Mapping[str, Any]]()
    lates = list[str]()
    frames = without = labelled = 0
    for video, table in videos:
        numbers, times = table["number"].to_numpy(), table["time_s"].to_numpy()
        confidence = table["face_confidence"].to_numpy()
        labels, about = place_labels(video, numbers, times)
        notes += about
        noted = {name: table[name].iat[0] for name in NOTED if name in table}
        all_noted.append(noted)
        unseen = int((confidence == 0).sum()) - counted(noted, FOLLOWING[0])
        if unseen > len(table) / 2:
            faceless.append(f"{video.video_id} ({unseen / len(table):.0%})")
        rates.append(float(table["fps"].to_numpy()[0]))
        if (late := late_start(video.video_id, times[0], rates[-1])) is not None:
            lates.append(late)
        subjects.add(video.subject)
        scores = {name: table[name].to_numpy() for name in BLENDSHAPES if name in table}
        columns = {**video.columns, **noted}
        store.add(video.video_id, video.subject, rates[-1], numbers, confidence, times, labels, scores, **columns)
        frames += len(table)
        without += unseen
        labelled += 0 if labels is None else len(label_rows(video.video_id, labels))
    notes += shorten_lines(lates)
    if faceless:
        notes.append(f"no face found in more than half of the frames of {shorten(faceless)}")
    notes += of_following(all_noted)
    store.meta["fps"] = float(np.median(rates))
    return Summary(store.root, len(rates), len(subjects), frames, without, labelled, skipped, notes)


def counted(noted: Mapping[Any, Any], name: str) -> int:
    """What is noted of a video under a name of :data:`aulight.data.noted.FOLLOWING`; 0 where nothing is."""
    count = noted.get(name)
    return 0 if count is None or pd.isna(count) else int(count)


def of_following(videos: Iterable[Mapping[Any, Any]]) -> list[str]:
    """Notes on what came of following one person.

    Args:
        videos: What is noted of each video.
    """
    videos = list(videos)
    not_followed, elsewhere = (sum(counted(noted, name) for noted in videos) for name in FOLLOWING)
    return list(about_following(not_followed, elsewhere, SHOWN))
