"""From what was trained to the file that is in the box: calibrated, tested, described."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic_core import to_json

from aulight.data.alignment import Alignment
from aulight.data.avatars.actions import AVATAR_AUS, Array, Rig
from aulight.data.avatars.scene import Scene
from aulight.data.faces.aligner import SMOOTH_S
from aulight.facs import column
from aulight.prediction.default import PORTRAITS
from aulight.prediction.description import Architecture, ModelDescription
from aulight.prediction.model import Model
from aulight.prediction.network import build
from aulight.runs.machine import versions
from aulight.scoring.agreement import mean
from aulight.scoring.conformal import calibrate
from aulight.settings.model import DEFAULT
from aulight.training.default_model.collection import PARTS, PIXELS, Collection
from aulight.training.default_model.fit import NETWORK, Learner
from aulight.training.default_model.score import scores_of

FPS = 25.0
TESTED, FRAMES, APART = 24, 480, 8
"""People, frames of each video, and how far those lie apart that are looked at."""

_SEED = 77
"""Of the people who test it."""

LICENCE = (
    "Apache-2.0, as aulight itself. It was made from rendered faces alone: no photograph or video of a person, and no "
    "other model, had a part in it. What was rendered is CC0 1.0 (NOTICE)."
)


def videos(which: Rig, seed: int, people: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
    """Crops ``(n, 96, 96, 3)`` of videos of people whom nothing was learned from, and intensities ``(n, 20)``."""
    crops, labels = [], []
    for subject in range(people):
        scene = Scene(seed, subject, 0, FRAMES, FPS, PIXELS, which)
        for frame in range(0, FRAMES, APART):
            crops.append(scene.crop(frame))
            labels.append(np.round(scene.acting.intensities[frame]))
    return np.stack(crops), np.array(labels)


def pack(
    learner: Learner, collection: Collection, steps: int, held_out: int, file: Path, people: int = TESTED
) -> tuple[Model, dict[str, dict[str, Array]]]:
    """Writes what was trained as a model.

    Args:
        learner: What was trained.
        collection: What it learned from; its first people calibrate the intervals.
        steps: How many it took.
        held_out: How many of the first.
        file: Where it goes.
        people: How many others, of the second rig, test it.

    Returns:
        The model, and its scores on pictures of the first people and of the second rig: :func:`scores_of`.
    """
    columns = tuple(column(au) for au in AVATAR_AUS)
    there = np.flatnonzero(collection.there)
    held, learned = there[there < held_out], there[there >= held_out]
    known = np.concatenate([collection.known[subject][:, PARTS["intensities"]] for subject in held])
    coded = np.round(known).astype(np.float64)
    read = np.concatenate([learner.read(collection.pictures[subject]) for subject in held]).astype(np.float64)
    whose = np.repeat(held, len(known) // len(held))
    reach = calibrate(read, coded, columns, whose).plain()
    crops, labels = videos("second", _SEED, people)
    tested = scores_of(learner.read(crops).astype(np.float64), labels)
    means = {name: float(mean(tested[name])) for name in ("icc", "mae", "mse")}
    per_au = {
        name: {score: float(tested[score][k]) for score in ("icc", "mae", "mse")} for k, name in enumerate(columns)
    }
    plain = NETWORK.model_dump()
    about: dict[str, object] = {
        "name": DEFAULT,
        "aus": AVATAR_AUS,
        "architecture": {name: plain[name] for name in Architecture.model_fields},
        "stride": 1,
        "step_s": 1 / FPS,
        "normalisation": {
            "image_mean": plain["mean"],
            "image_std": plain["std"],
            "label_mean": learner.regressor.mean.tolist(),
            "label_std": learner.regressor.std.tolist(),
        },
        "crop_size": PIXELS,
        "alignment": Alignment.TEMPLATE,
        "smooth_s": SMOOTH_S,
        "dataset": {"name": PORTRAITS, "fingerprint": f"seed {collection.seed}, {steps} steps", "fps": FPS},
        "stage_one": None,
        "arm": DEFAULT,
        "fold": 0,
        "label_fraction": 1.0,
        "labelled_frames": len(learned) * collection.pictures.shape[1],
        "label_seed": 0,
        "seed": collection.seed,
        "subjects": {"train": len(learned), "validation": len(held), "test": people},
        "validation": None,
        "test": {"labelled_frames": len(labels), **means, "per_au": per_au},
        "intervals": reach,
        "versions": versions(),
        "licence": LICENCE,
    }
    description = ModelDescription.checked(to_json(about, inf_nan_mode="constants"), file)
    weights = {
        f"{part}.{name}": value
        for part, module in (("encoder", learner.encoder), ("regressor", learner.regressor))
        for name, value in module.state_dict().items()
    }
    model = build(description, weights, file)
    file.parent.mkdir(parents=True, exist_ok=True)
    model.save(file)
    return model, {"people held out": scores_of(read, coded), "second rig": tested}
