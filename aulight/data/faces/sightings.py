"""What is kept of the faces that were found in a film, until the film is read again to cut them out."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

from aulight.data.faces.pose import BLENDSHAPES, Array, Face
from aulight.data.video.types import Frames, RawFrame
from aulight.files import told_of

IN_MEMORY = 16_000_000
"""Bytes that are kept before they go to the disk: those of about half an hour of one face."""

Measured = npt.NDArray[np.float32]
"""Numbers that are measured of a face on its picture, ``(count,)``."""

Measure = Callable[[Face, Frames], Measured]
"""Measures a face on its picture ``(H, W, 3)``: always as many numbers."""


def _record(measured: int) -> "np.dtype[np.void]":
    return np.dtype(
        [
            ("number", np.int64),
            ("pose", np.float64, 4),
            ("inside", np.float64),
            ("blendshapes", np.float32, len(BLENDSHAPES)),
            ("measured", np.float32, measured),
        ]
    )


def nothing() -> Measured:
    """Where nothing is measured."""
    return np.empty(0, np.float32)


@dataclass(frozen=True)
class Sighting:
    """One face in one frame.

    Attributes:
        pose: As :class:`Face` has it, as the next.
        blendshapes: ``(52,)`` float32.
        inside: Share of its landmarks that lie inside the picture.
        measured: What was measured of it.
    """

    pose: Array
    blendshapes: npt.NDArray[np.float32]
    inside: float
    measured: Measured = field(default_factory=nothing)


Sighted = tuple[RawFrame, dict[int, Sighting]]
"""A frame, and the faces in it by the numbers of their people."""


def sighting(face: Face, frame: RawFrame, measure: Measure | None = None) -> Sighting:
    """What is kept of a face in a frame, with what is measured of it, if anything."""
    within = (face.landmarks >= 0) & (face.landmarks <= frame.image.shape[1::-1])
    measured = nothing() if measure is None else measure(face, frame.image)
    return Sighting(face.pose, face.blendshapes, float(within.all(1).mean()), measured)


def _told() -> AbstractContextManager[None]:
    """Says where the disk is full: not where that goes which the film is read for."""
    return told_of(Path(tempfile.gettempdir()))


class Sightings:
    """The faces of all frames of a film, in order; use as a context manager, and add before you read.

    However long the film, they take :data:`IN_MEMORY` at most; the rest is in a nameless file.
    """

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115  # closed by __exit__

    def __enter__(self) -> "Sightings":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, faces: dict[int, Sighting]) -> None:
        """The faces of the next frame, by the numbers of their people."""
        measured = next((len(face.measured) for face in faces.values()), 0)
        records = np.empty(len(faces), _record(measured))
        for record, (number, face) in zip(records, faces.items(), strict=True):
            record["number"], record["pose"], record["inside"] = number, face.pose, face.inside
            record["blendshapes"], record["measured"] = face.blendshapes, face.measured
        with _told():
            self._file.write(len(faces).to_bytes(4) + measured.to_bytes(4) + records.tobytes())

    def __iter__(self) -> Iterator[dict[int, Sighting]]:
        """The faces of frame after frame, as they were added."""
        with _told():
            self._file.seek(0)  # what waits is written first
        while size := self._file.read(4):
            kind = _record(int.from_bytes(self._file.read(4)))
            records = np.frombuffer(self._file.read(int.from_bytes(size) * kind.itemsize), kind)
            yield {
                int(record["number"]): Sighting(
                    record["pose"].copy(),
                    record["blendshapes"].copy(),
                    float(record["inside"]),
                    record["measured"].copy(),
                )
                for record in records
            }
