"""Other labels and subjects for a dataset that is there."""

import pandas as pd

from aulight.data.faces.following import about_following
from aulight.data.sources.placing import place_labels
from aulight.data.sources.raw import RawDataset
from aulight.data.store import PreparedDataset
from aulight.data.writer import label_rows, replace_labels
from aulight.preparation.recipe import Recipe
from aulight.preparation.summary import Summary
from aulight.preparation.videos import FOLLOWING, SHOWN


def relabel(data: PreparedDataset, raw: RawDataset, recipe: Recipe) -> Summary:
    """Gives a finished dataset the labels and subjects that its raw data have now; its frames stay.

    Args:
        data: The dataset.
        raw: Its raw data.
        recipe: What it is made with from now on.
    """
    there = set(data.videos["video_id"])
    notes, tables = list(raw.notes), []
    frames = dict(list(data.frames.groupby("video_id", sort=False)))
    for video in raw.videos:
        if video.labels is not None and video.video_id in there:
            of_video = frames[video.video_id]
            labels, about = place_labels(video, of_video["source_frame"].to_numpy(), of_video["time_s"].to_numpy())
            notes += about
            if labels is not None:
                tables.append(label_rows(video.video_id, labels))
    subjects = {video.video_id: video.subject for video in raw.videos}
    replace_labels(data, raw.aus, pd.concat(tables, ignore_index=True) if tables else None, subjects, recipe.record())
    faces = data.frames["face_confidence"] > 0
    followed = [int(data.videos[column].sum()) if column in data.videos else 0 for column in FOLLOWING]
    notes += about_following(followed[0], followed[1], SHOWN)
    return Summary(
        data.root,
        videos=len(data.videos),
        subjects=len({subjects[video] for video in there}),
        frames=len(faces),
        faceless=int((~faces).sum()) - followed[0],
        labelled=sum(map(len, tables)),
        skipped=data.meta.get("skipped", {}),
        notes=notes,
        was_there=True,
    )
