"""What is kept of the faces that were found in a film, until the film is read again to cut them out."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType

import numpy as np
import numpy.typing as npt

from aulight.data.faces.pose import BLENDSHAPES, Array, Face
from aulight.data.video.types import RawFrame

IN_MEMORY = 16_000_000
"""Bytes that are kept before they go to the disk: those of about half an hour of one face."""

_RECORD = np.dtype(
    [
        ("number", np.int64),
        ("pose", np.float64, 4),
        ("inside", np.float64),
        ("blendshapes", np.float32, len(BLENDSHAPES)),
    ]
)


@dataclass(frozen=True)
class Sighting:
    """One face in one frame.

    Attributes:
        pose: As :class:`Face` has it, as the next.
        blendshapes: ``(52,)`` float32.
        inside: Share of its landmarks that lie inside the picture.
    """

    pose: Array
    blendshapes: npt.NDArray[np.float32]
    inside: float


Sighted = tuple[RawFrame, dict[int, Sighting]]
"""A frame, and the faces in it by the numbers of their people."""


def sighting(face: Face, frame: RawFrame) -> Sighting:
    """What is kept of a face in a frame."""
    within = (face.landmarks >= 0) & (face.landmarks <= frame.image.shape[1::-1])
    return Sighting(face.pose, face.blendshapes, float(within.all(1).mean()))


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
        records = np.empty(len(faces), _RECORD)
        for record, (number, face) in zip(records, faces.items(), strict=True):
            record["number"], record["pose"], record["inside"] = number, face.pose, face.inside
            record["blendshapes"] = face.blendshapes
        self._file.write(len(faces).to_bytes(4) + records.tobytes())

    def __iter__(self) -> Iterator[dict[int, Sighting]]:
        """The faces of frame after frame, as they were added."""
        self._file.seek(0)
        while size := self._file.read(4):
            records = np.frombuffer(self._file.read(int.from_bytes(size) * _RECORD.itemsize), _RECORD)
            yield {
                int(record["number"]): Sighting(
                    record["pose"].copy(), record["blendshapes"].copy(), float(record["inside"])
                )
                for record in records
            }
