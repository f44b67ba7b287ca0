"""Which frames of a video follow one another: by their numbers in the raw video, and how far these usually are apart.

Folders of pictures may hold every second picture of a film, or five of six: their numbers go up by more than one, and
yet nothing is missing.
"""

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]

COMMON = 0.1
"""Share of the jumps from which on one that is by one longer than the usual one is usual, too."""


def usual_step(numbers: Numbers) -> int:
    """The jump from number to number beyond which something is missing in between, at least 1.

    It is the commonest one, or, as of pictures that were thinned by no whole number, one more. Where these two are less
    than half of all jumps, none is usual: 1.

    Args:
        numbers: ``(frames,)`` ascending numbers of the frames in the raw video.
    """
    jumps, counts = np.unique(np.diff(numbers), return_counts=True)
    if not len(jumps):
        return 1
    step, total = int(jumps[counts.argmax()]), counts.sum()
    longer = int(counts[jumps == step + 1].sum())
    if 2 * (counts.max() + longer) < total:
        return 1
    return max(1, step + int(longer >= COMMON * total))


def mean_step(numbers: Numbers) -> float:
    """The mean of the jumps in which nothing is missing: what a rate is to be divided by; 1 where there are none.

    Args:
        numbers: As for :func:`usual_step`.
    """
    jumps = np.diff(numbers)
    usual = jumps[jumps <= usual_step(numbers)]
    return float(usual.mean()) if len(usual) else 1.0


def runs(numbers: Numbers, seen: npt.NDArray[np.bool_]) -> Numbers:
    """Runs of frames of one video that a clip may be cut from, longest possible: ``(runs, 2)`` start and stop.

    Args:
        numbers: As for :func:`usual_step`.
        seen: ``(frames,)``, whether each shows a face.
    """
    follows = np.zeros(len(numbers) + 1, bool)
    jumps = np.diff(numbers)
    follows[1:-1] = seen[1:] & seen[:-1] & (jumps > 0) & (jumps <= usual_step(numbers))
    starts = np.flatnonzero(seen & ~follows[:-1])
    stops = np.flatnonzero(seen & ~follows[1:]) + 1
    return np.stack([starts, stops], axis=1)


def runs_of(numbers: Numbers, confidence: npt.NDArray[np.float32], row: int) -> Numbers:
    """The same of a video of a table: ``(runs, 3)`` int64, its row, start and stop.

    Args:
        numbers: As for :func:`usual_step`.
        confidence: ``(frames,)``, 0 where there is no face.
        row: The video's.
    """
    found: Numbers = np.insert(runs(numbers, confidence > 0), 0, row, axis=1).astype(np.int64)
    return found
