"""How often action units are there at all, in what a model was tested on and in what it learned from."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from aulight.report.beside import Presence
from aulight.report.collect import Run, read_labels_used, read_predictions

PRESENT = 1
"""The intensity from which on an AU is there."""


def presence_of(runs: Sequence[Run]) -> dict[str, Presence]:
    """Counts the frames and the people that show each AU, by the AU's column.

    Args:
        runs: Those that are pooled: whoever is tested by several of them counts once.
    """
    aus = runs[0].aus
    counts = dict[str, npt.NDArray[np.int64]]()  # (2, A) by subject: labelled frames, and those that show the AU
    for run in runs:
        for subject, rows in read_predictions(run).groupby("subject"):
            true = rows[[f"{au}_true" for au in aus]].to_numpy()
            counts[str(subject)] = np.stack([(~np.isnan(true)).sum(0), (true >= PRESENT).sum(0)])
    frames, showing = np.stack(list(counts.values()), 1)
    used = [read_labels_used(run) for run in runs]
    taught = [(table >= PRESENT).sum() for table in used if table is not None]
    return {
        au: Presence(
            share=float(showing[:, i].sum() / frames[:, i].sum()) if frames[:, i].any() else None,
            subjects=int((showing[:, i] > 0).sum()),
            learned_from=round(float(np.mean([of[au] for of in taught]))) if len(taught) == len(runs) else None,
        )
        for i, au in enumerate(aus)
    }
