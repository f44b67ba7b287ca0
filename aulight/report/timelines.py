"""Test videos as every arm predicts them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from aulight.drawing.against_truth import TIMELINE_SECONDS, Timeline
from aulight.drawing.expressive import best_stretch, most_expressive
from aulight.drawing.names import arm_rank
from aulight.report.collect import Run, read_predictions
from aulight.report.labels import Labels


def timelines_of(
    runs: Sequence[Run], dataset: str, labels: Labels, count: int, videos: Sequence[str] | None = None
) -> list[Timeline]:
    """Test videos as every arm predicts them: chosen ones, or the most expressive.

    The most expressive are those of the highest mean label, one per subject. Of a longer video, the most expressive
    20 seconds.

    Args:
        runs: Finished runs.
        dataset: The dataset's name.
        labels: How many were asked for; without such runs the list is empty.
        count: How many of the most expressive videos.
        videos: Ids of the videos to show instead; those that are no test videos of this dataset are left out.
    """
    mine = [run for run in runs if run.dataset == dataset and run.label_count == labels.number]
    if labels.number is None:
        mine = [run for run in mine if run.record.label_fraction == labels.fraction]
    if not mine or (count < 1 and videos is None):
        return []
    names = sorted({run.record.arm for run in mine}, key=arm_rank)
    seed = min(
        {run.record.seed for run in mine},
        key=lambda seed: (-len({run.record.arm for run in mine if run.record.seed == seed}), seed),
    )
    by_arm = {name: [run for run in mine if (run.record.arm, run.record.seed) == (name, seed)] for name in names}
    by_arm = {name: of_arm for name, of_arm in by_arm.items() if of_arm}
    aus, fps = mine[0].aus, mine[0].record.dataset.fps
    truth = [f"{au}_true" for au in aus]
    first = next(iter(by_arm.values()))
    table = pd.concat([read_predictions(run)[["video_id", "subject", *truth]] for run in first])
    ranked = most_expressive(table, truth)
    if videos is None:
        best = ranked.drop_duplicates("subject").head(count)
    else:
        best = ranked[ranked["video_id"].isin(videos)].sort_values("video_id", key=lambda ids: ids.map(videos.index))

    out = []
    for video, subject in zip(best["video_id"], best["subject"], strict=True):
        frames = {
            arm: pd.concat([read_predictions(run, [video]) for run in of_arm]).set_index("frame").sort_index()
            for arm, of_arm in by_arm.items()
        }
        base = frames[next(iter(by_arm))]
        base = base.iloc[best_stretch(base, truth, round(TIMELINE_SECONDS * fps))]
        preds = {arm: f[[f"{au}_pred" for au in aus]].reindex(base.index).to_numpy() for arm, f in frames.items()}
        out.append(
            Timeline(
                dataset=dataset,
                video_id=str(video),
                subject=str(subject),
                aus=aus,
                labels=str(labels),
                seed=seed,
                seconds=base.index.to_numpy(dtype=np.float64) / fps,
                true=base[truth].to_numpy(),
                preds=preds,
            )
        )
    return out
