"""A person's own reference: where a face lies while it does little, which is elsewhere for each person.

It is a low quantile of what a part of the regressor says of a person's frames, and taken away from that. No label is
needed for it. Offline it is that of all frames; in a stream that of those so far.
"""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from aulight.facs import MAX_INTENSITY
from aulight.nets.tracks import Which

if TYPE_CHECKING:  # tables are made without torch
    from torch import Tensor

QUANTILE = 0.1
"""Most frames show little of any one AU: the lowest tenth is a face at rest. Chosen on validation subjects."""

SETTLED = 50
"""Frames of a person by which their own reference has taken the place of the usual one."""

KEPT = 512
"""Frames of a stream that are kept at most: of a longer one every second, every fourth ... is."""

Levels = npt.NDArray[np.float32]


def level(own: "Tensor") -> "Tensor":
    """The reference ``(..., A)`` float32 of what is said of n frames, ``(..., n, A)``."""
    return own.float().quantile(QUANTILE, dim=-2)


def related(said: "Tensor", reference: "Tensor") -> "Tensor":
    """Intensities ``(n, A)`` in 0..5 of what a regressor with a reference says, ``(n, 2 A)``.

    Args:
        said: As of :meth:`aulight.nets.heads.IntensityRegressor.predict`.
        reference: ``(A,)`` or ``(n, A)``.
    """
    return (said.chunk(2, -1)[0] - reference).clamp(0, MAX_INTENSITY)


def of_film(said: "Tensor", faces: "Tensor") -> "Tensor":
    """Intensities ``(n, A)`` of a film of one person, from what a regressor with a reference says of it, ``(n, 2 A)``.

    Args:
        said: As of :func:`related`.
        faces: ``(n,)`` whether there is a face; the reference is that of all frames with one.
    """
    own = said.chunk(2, -1)[1][faces]
    return related(said, level(own) if len(own) else own.new_zeros(own.shape[1]))


class RunningReference:
    """The reference of one person in a stream, from the frames so far, in constant memory.

    Args:
        usual: ``(A,)`` the reference of people in general, which holds until this one's is known.
    """

    def __init__(self, usual: Levels) -> None:
        self._usual = np.asarray(usual, np.float32)
        self._forget()

    def _forget(self) -> None:
        self._kept, self._seen, self._stride = list[Levels](), 0, 1
        self._level = self._usual

    def push(self, own: Levels, faces: Which, anew: Which) -> Levels:
        """The reference at each of the next frames, ``(n, A)``; a frame counts for itself.

        Args:
            own: ``(n, A)`` what is said of them.
            faces: ``(n,)`` whether there is a face; others do not count.
            anew: ``(n,)`` whether it may be another person, of whom nothing is known.
        """
        found = list[Levels]()
        for values, face, other in zip(own, faces.tolist(), anew.tolist(), strict=True):
            if face and other:
                self._forget()
            if face:
                self._add(values)
            share = min(1.0, self._seen / SETTLED)
            found.append(self._usual + np.float32(share) * (self._level - self._usual))
        return np.stack(found)

    def _add(self, values: Levels) -> None:
        if self._seen % self._stride == 0:
            if len(self._kept) == KEPT:
                self._kept, self._stride = self._kept[::2], 2 * self._stride
            if self._seen % self._stride == 0:
                self._kept.append(values)
                self._level = np.quantile(np.stack(self._kept), QUANTILE, axis=0).astype(np.float32)
        self._seen += 1
