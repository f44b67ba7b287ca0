"""What a run shows of its test subjects: curves, and a short video of a face."""

from pathlib import Path

import numpy as np
import pandas as pd

from aulight.data.marks import OVERLAY
from aulight.data.store import PreparedDataset
from aulight.data.video.prepared import open_video
from aulight.data.video.write import write_video
from aulight.drawing.expressive import best_stretch, most_expressive
from aulight.drawing.names import percent
from aulight.runs.record import BegunFinetune

TIMELINES = 2
VIDEO_S = 4


def draw(data: PreparedDataset, table: pd.DataFrame, record: BegunFinetune, folder: Path) -> tuple[list[Path], Path]:
    """Draws the most expressive test videos, those with the highest mean label, one a subject.

    Args:
        data: The dataset.
        table: The predictions, as in ``predictions.parquet``.
        record: What ``run.yaml`` holds.
        folder: Where the files go.

    Returns:
        Pictures of :func:`against_truth`, and a video of a few seconds of the first face with its intensities.
    """
    from aulight.drawing import against_truth, style, truth_video
    from aulight.drawing.against_truth import TIMELINE_SECONDS, Timeline

    truth, preds = ([f"{au}_{kind}" for au in data.columns] for kind in ("true", "pred"))
    numbers = table[["video_id", "subject", "frame"]].join(table[[*truth, *preds]].astype("Float64").astype(float))
    ranked = most_expressive(numbers, truth)
    curves: list[Path] = []
    video = folder / "face.mp4"
    for subject, name in ranked.drop_duplicates("subject").head(TIMELINES).itertuples(False):
        row = data.videos["video_id"].tolist().index(name)
        frames = range(int(data.videos["frames"].tolist()[row]))
        mine = numbers[numbers["video_id"] == name].set_index("frame").reindex(frames)
        shown = mine.iloc[best_stretch(mine, truth, round(TIMELINE_SECONDS * data.fps))]
        line = Timeline(
            dataset=data.name,
            video_id=name,
            subject=subject,
            aus=tuple(data.columns),
            labels=percent(record.label_fraction),
            seed=record.seed,
            seconds=shown.index.to_numpy(np.float64) / data.fps,
            true=shown[truth].to_numpy(),
            preds={record.arm: shown[preds].to_numpy()},
        )
        curves.append(folder / f"timeline{len(curves)}.png")
        style.save(against_truth.against_truth(line), curves[-1])
        if len(curves) == 1:
            part = mine.iloc[best_stretch(mine, truth, round(VIDEO_S * data.fps))]
            faces = open_video(data.file(row)).read(part.index.to_numpy())
            write_video(
                video,
                truth_video.overlay(faces, data.columns, part[preds].to_numpy(), part[truth].to_numpy()),
                data.fps,
                made=OVERLAY,
            )
    return curves, video
