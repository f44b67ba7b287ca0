"""How the model in the box and the table read whole videos, found and cut out as ``aulight predict`` does it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from aulight.data.avatars.actions import AVATAR_AUS, Array, Rig
from aulight.data.avatars.raw import write_raw
from aulight.datasets import DISFA_AUS
from aulight.facs import AU_NAMES, column
from aulight.prediction.predict import score_input
from aulight.prediction.rest import REST
from aulight.runs.composed import composed, settings_from
from aulight.scoring.agreement import mean, metrics, sums_of
from aulight.settings.predict import PredictSettings

SEED = 404
"""Of people whom the model has never seen."""

PEOPLE, FRAMES = 8, 200
_COLUMNS = [column(au) for au in AVATAR_AUS]


def scores_of(preds: Array, target: Array) -> dict[str, Array]:
    """How well intensities ``(n, 20)`` are read: ``icc``, ``mae``, ``mse``, ``pearson`` and ``rest``, each ``(20,)``.

    ``rest`` is what is read on average where nothing is shown. What is not read is NaN.
    """
    scored = metrics(sums_of(preds, target))
    found = {score: np.asarray(scored[score]) for score in ("icc", "mae", "mse", "pearson")}
    return found | {"rest": preds[target.sum(1) == 0].mean(0)}


def read_videos(
    folder: Path, which: Rig, ways: Sequence[str | None], people: int = PEOPLE, frames: int = FRAMES
) -> dict[str, dict[str, Array]]:
    """Scores of each way, as it is and less the lowest tenth of each video, over all frames with a face.

    Args:
        folder: For videos and predictions; what is there is taken as it is.
        which: The rig of the videos, of 640x360 and from two cameras.
        ways: As ``predict model=`` takes them.
        people: How many are filmed.
        frames: How long.

    Returns:
        By the name of the way what :func:`scores_of` gives.
    """
    raw = folder / f"raw_{which}"
    if not raw.exists():
        write_raw(raw, people, frames, SEED, which)
    truth = pd.read_csv(raw / "labels.csv")
    truth["frame"] += 1  # predictions count from 1
    found = {}
    for way in ways:
        name = "default" if way is None else Path(way).stem
        output = folder / f"{name}_{which}"
        score_input(_settings(raw / "videos", output, way))
        parts = [pd.read_csv(file).assign(video=file.stem) for file in sorted(output.glob("*.csv"))]
        read = pd.concat(parts).rename(columns={"AU45_r": "AU43_r"})  # the table's name for the same of the lids
        both = truth.merge(read[read["success"] == 1], on=["video", "frame"])
        target = both[_COLUMNS].to_numpy(float)
        preds = both.reindex(columns=[f"{au}_r" for au in _COLUMNS])
        rest = preds.groupby(both["video"]).transform("quantile", REST)
        for how, values in ((name, preds), (f"{name} less rest", (preds - rest).clip(lower=0))):
            found[how] = scores_of(values.to_numpy(float), target)
    return found


def table_of(scores: dict[str, dict[str, Array]]) -> str:
    """In Markdown: a row an AU, ICC(3,1) and r of each way, and the means over the 12 AUs of DISFA."""
    names = list(scores)
    lines = ["| AU | | " + " | ".join(f"{name}, ICC (r)" for name in names) + " |", "| --- " * (len(names) + 2) + "|"]

    def cell(icc: float, r: float) -> str:
        return "–" if np.isnan(icc) else f"{icc:.2f} ({r:.2f})".replace("0.", ".")

    for k, au in enumerate(AVATAR_AUS):
        cells = [cell(scores[name]["icc"][k], scores[name]["pearson"][k]) for name in names]
        lines.append(f"| {au} | {AU_NAMES.get(au, '')} | " + " | ".join(cells) + " |")
    of_disfa = [AVATAR_AUS.index(au) for au in DISFA_AUS]
    means = [
        tuple(float(mean(np.nan_to_num(scores[name][of][of_disfa]))) for of in ("icc", "pearson")) for name in names
    ]
    lines.append(
        "| mean | the 12 of DISFA, 0 where nothing is read | " + " | ".join(cell(*pair) for pair in means) + " |"
    )
    for told, of in (("mean", np.nanmean), ("highest", np.nanmax)):
        cells = [f"{of(scores[name]['rest']):.2f}" for name in names]
        lines.append(f"| at rest | the {told} of all AUs | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _settings(videos: Path, output: Path, way: str | None) -> PredictSettings:
    with composed("predict", ["input=.", "faces=mediapipe", "faces.max_faces=1"]) as config:
        usual = settings_from("predict", config)
    paths = {"input": str(videos), "output": str(output), "model": way, "device": "cpu"}
    nothing_else: dict[str, object] = {"coverage": None, "columns": [], "events": None, "summary": False}
    return PredictSettings.model_validate(usual.model_dump() | paths | nothing_else)
