"""The table of rules as an object: ``aulight.load("table")``."""

from collections.abc import Iterator

from aulight.data.faces.aligner import SMOOTH_S
from aulight.data.faces.crop import Present
from aulight.errors import AulightError
from aulight.prediction.estimator import Baseline, Estimator
from aulight.prediction.rows import Scored
from aulight.prediction.untrained import AUS, CROP, NOTE, SIDES, Untrained, notes


class RuleTable(Estimator):
    """Scores of the face landmarker by a fixed table (:mod:`aulight.prediction.untrained`): uncalibrated.

    It is asked as a trained model is. What it has to say needs faces that are found, and no network of ours.
    """

    def __init__(self) -> None:
        self.aus, self.columns, self.intervals = AUS, list(Untrained.columns), None
        self.size, self.crop_size, self.smooth_s, self.blendshapes = CROP, CROP, SMOOTH_S, True
        self.sides = SIDES

    def finds_faces(self, faces: str) -> bool:
        """As of :class:`Estimator`; always."""
        if faces not in ("auto", "mediapipe"):
            raise AulightError(f"faces={faces}: the table needs faces that are found; auto or mediapipe")
        return True

    def say(
        self, frames: Iterator[Present], chunk: int, device: str, precision: str, apart: bool, baseline: Baseline
    ) -> Iterator[Scored]:
        """As of :class:`Estimator`; ``device`` and ``precision`` are those of a network, and there is none."""
        return Untrained().score(frames, baseline == "rest" and not apart)

    def __repr__(self) -> str:
        """What it is, in a few lines."""
        return "\n".join(
            [
                f"aulight table of rules: {NOTE}",
                f"  {len(self.aus)} AUs: {', '.join(self.columns)}",
                *(f"  {note}" for note in notes(False)[1:]),
            ]
        )
