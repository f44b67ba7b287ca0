"""AU intensities without a trained model: the scores of the face landmarker, taken as they are.

MediaPipe's landmarker gives 52 scores from 0 to 1, under the names of the blend shapes of Apple's ARKit: most of them
are movements that FACS has an action unit for. Which is taken for which is our own choice, by what the two say of them;
so is the scale, on which a score of 1 is intensity 5. Neither has been compared with the labels of coders: the numbers
tell more from less of a movement in one face, and no more. In our trials cheekSquint and noseSneer hardly ever
rose, so little is to be expected of AU06 and AU09.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from aulight.data.faces.crop import Present
from aulight.data.faces.pose import BLENDSHAPES
from aulight.facs import MAX_INTENSITY, column
from aulight.prediction.rows import Scored, Values

TABLE: dict[int, tuple[str, ...]] = {
    1: ("browInnerUp",),
    2: ("browOuterUp",),
    4: ("browDown",),
    5: ("eyeWide",),
    6: ("cheekSquint",),
    7: ("eyeSquint",),
    9: ("noseSneer",),
    10: ("mouthUpperUp",),
    12: ("mouthSmile",),
    14: ("mouthDimple",),
    15: ("mouthFrown",),
    17: ("mouthShrugLower",),
    20: ("mouthStretch",),
    24: ("mouthPress",),
    25: ("jawOpen", "mouthLowerDown"),
    26: ("jawOpen",),
    28: ("mouthRollLower", "mouthRollUpper"),
    45: ("eyeBlink",),
}
"""What stands for each AU: the highest of these scores. Those of left and right are averaged first."""

NOTE = "uncalibrated: scores of the face landmarker, not of a trained model"


def _sides(name: str) -> list[int]:
    return [BLENDSHAPES.index(side) for side in (name, f"{name}Left", f"{name}Right") if side in BLENDSHAPES]


_SIDES = [[_sides(name) for name in names] for names in TABLE.values()]


def intensities(blendshapes: npt.NDArray[np.float32]) -> Values:
    """Scores ``(52,)`` of :data:`aulight.data.faces.pose.BLENDSHAPES` to ``(AUs,)`` float32 in 0..5."""
    scores = [max(blendshapes[sides].mean() for sides in names) for names in _SIDES]
    return np.clip(MAX_INTENSITY * np.array(scores, np.float32), 0, MAX_INTENSITY)


class Untrained:
    """What can be said without a trained :class:`Model`, with the part of its face that is needed for it."""

    aus = tuple(TABLE)
    columns = [column(au) for au in TABLE]  # noqa: RUF012  # as of a model
    intervals = None

    def score(self, frames: Iterable[Present]) -> Iterator[Scored]:
        """Scores the people in frames, from the blendshapes of each."""
        for frame, faces in frames:
            yield Scored(frame, faces, {person: intensities(face.blendshapes) for person, face in faces.items()})
