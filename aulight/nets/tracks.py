"""When a face counts as lost, or as another: one rule for the clips of training and for streams."""

import math

import numpy as np
import numpy.typing as npt

LOST_S = 0.5
"""How long a face may be out of sight before what was seen of it counts no more, in seconds."""

Times = npt.NDArray[np.float64]
Which = npt.NDArray[np.bool_]


def patience_s(step_s: float) -> float:
    """Seconds from one sight of a face to the next, beyond which a track begins anew.

    Args:
        step_s: Seconds from one sample of the recurrence to the next; a slow film has fewer frames than :data:`LOST_S`
            asks for.
    """
    return max(LOST_S, 1.5 * step_s) + 1e-3  # a millisecond of rounding in timestamps


def begins(times: Times, faces: Which, step_s: float, last_s: float = -math.inf, anew: Which | None = None) -> Which:
    """Which frames begin a track: the first with a face, the first after a loss, and the first of somebody else.

    Args:
        times: ``(n,)`` seconds, in order.
        faces: ``(n,)`` whether there is a face.
        step_s: As of :func:`patience_s`.
        last_s: When the last face before them was seen.
        anew: ``(n,)`` whether the face is of another person than the one before, or elsewhere.
    """
    seen = np.flatnonzero(faces)
    gaps = np.diff(times[seen], prepend=last_s)
    found = np.zeros(len(times), bool)
    found[seen] = (gaps > patience_s(step_s)) | (gaps < 0)
    return found if anew is None else found | (anew & faces)


def held(times: Times, faces: Which, step_s: float, anew: Which) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """What a whole video shows: of each frame the last one with a face, and the first one of its track.

    Both are -1 before the first face.

    Args:
        times: As of :func:`begins`, as the next ones.
        faces: As there.
        step_s: As there.
        anew: As there.
    """
    places = np.arange(len(times))
    last, first = (
        np.maximum.accumulate(np.where(which, places, -1)) for which in (faces, begins(times, faces, step_s, anew=anew))
    )
    return last, first
