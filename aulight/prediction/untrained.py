"""AU intensities without a trained model: the scores of the face landmarker, taken as they are.

MediaPipe's landmarker gives 52 scores from 0 to 1, under the names of the blend shapes of Apple's ARKit: most of them
are movements that FACS has an action unit for. Which is taken for which is our own choice, by what the two say of them;
so is the scale, on which a score of 1 is intensity 5. Neither has been compared with the labels of coders: the numbers
tell more from less of a movement in one face, and no more. A face at rest is not at 0 (in our trials AU01 read 2.3,
AU02 1.3, AU07 1.5 and others less): what a person's own rest is, :class:`aulight.prediction.rest.Rest` tells.

cheekSquint and noseSneer do not move, whatever the face does: AU06 and AU09, which they stand for, have no scores.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from aulight.data.faces.crop import Present
from aulight.data.faces.pose import BLENDSHAPES
from aulight.facs import MAX_INTENSITY, column
from aulight.prediction.rest import Rest
from aulight.prediction.rows import Scored, Values

TABLE: dict[int, tuple[str, ...]] = {
    1: ("browInnerUp",),
    2: ("browOuterUp",),
    4: ("browDown",),
    5: ("eyeWide",),
    7: ("eyeSquint",),
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

SIDED = {au: names[0] for au, names in sorted(TABLE.items()) if len(names) == 1 and f"{names[0]}Left" in BLENDSHAPES}
"""AUs whose score is the mean of a left and a right one, and that score. AU25 is not among them: a jaw has no sides."""

SIDES = [f"{column(au)}_{side}" for au in SIDED for side in ("left", "right")]
"""Columns of both: of the person's own left and right."""

DEAD = {6: "cheekSquint", 9: "noseSneer"}
"""What would stand for other AUs, and stays below 0.02 even for landmarks that no face has: they have no scores."""

AUS = tuple(sorted(TABLE.keys() | DEAD.keys()))
"""The AUs that have a column, be it an empty one."""

NOTE = "uncalibrated: scores of the face landmarker, not of a trained model"
EMPTY = {
    column(au): f"empty: the landmarker's {name} is 0.000 in every face, whatever it does" for au, name in DEAD.items()
}
"""Why the columns of some AUs hold nothing."""

_EMPTY = f"{' and '.join(EMPTY)} are empty: the landmarker's {' and '.join(DEAD.values())} are 0.000 in every face"
_AS_IT_IS = (
    "a face at rest is not at 0 (AU01 read 2.3, AU02 1.3, AU07 1.5 in our trials): compare a face with itself, or take "
    "each person's own rest away, as events need it, with baseline=person or baseline=rest"
)
_FROM_REST = (
    "0 is each person's own rest: the lowest tenth of what the face has shown so far. It is settled after some seconds "
    "that hold a face at rest, and until then numbers are too low"
)
FROM_REST_OF_FILM = (
    "0 is each person's own rest: the lowest tenth of the whole film. Who never rests in it is told too low"
)

CROP = 128
"""Side of the faces that are cut out for pictures, in pixels; their scores do not depend on it."""


def _sides(name: str) -> list[int]:
    return [BLENDSHAPES.index(side) for side in (name, f"{name}Left", f"{name}Right") if side in BLENDSHAPES]


_SIDES = [[_sides(name) for name in TABLE.get(au, ())] for au in AUS]
_PAIRS = [BLENDSHAPES.index(f"{name}{side}") for name in SIDED.values() for side in ("Left", "Right")]


def notes(from_rest: bool, of_film: bool = False) -> list[str]:
    """What a reader should know of the scores.

    Args:
        from_rest: Whether each person's rest so far is taken away.
        of_film: Whether their rest over the whole film is.
    """
    return [NOTE, _EMPTY, FROM_REST_OF_FILM if of_film else _FROM_REST if from_rest else _AS_IT_IS]


def intensities(blendshapes: npt.NDArray[np.float32]) -> Values:
    """Scores ``(52,)`` of :data:`aulight.data.faces.pose.BLENDSHAPES` to ``(AUs,)`` float32 in 0..5, NaN for none."""
    scores = [max((blendshapes[sides].mean() for sides in names), default=np.nan) for names in _SIDES]
    return np.clip(MAX_INTENSITY * np.array(scores, np.float32), 0, MAX_INTENSITY)


def sides(blendshapes: npt.NDArray[np.float32]) -> Values:
    """The same under :data:`SIDES`, ``(columns,)``; the mean of an AU's two is its intensity."""
    return np.clip(MAX_INTENSITY * blendshapes[_PAIRS], 0, MAX_INTENSITY)


class Untrained:
    """What can be said without a trained :class:`Model`, with the part of its face that is needed for it."""

    aus = AUS
    columns = [column(au) for au in AUS]  # noqa: RUF012  # as of a model
    intervals = None

    def score(self, frames: Iterable[Present], from_rest: bool = False, most: int | None = None) -> Iterator[Scored]:
        """Scores the people in the frames of one video, from the blendshapes of each.

        Args:
            frames: The frames and the people in them.
            from_rest: Whether to take each person's rest so far away: of each frame and those before it alone, so that
                a camera and a file give the same.
            most: Of how many people the rest is remembered, those that were seen last; ``None``: of all.
        """
        rests = dict[int, Rest]()  # of who was seen last at the end
        for frame, faces in frames:
            values, both = dict[int, Values](), dict[int, Values]()
            for person, face in faces.items():
                all_of_them = np.concatenate([intensities(face.blendshapes), sides(face.blendshapes)])
                if from_rest and face.confidence > 0:
                    rests[person] = rests.pop(person) if person in rests else Rest(len(all_of_them))
                    all_of_them = rests[person].above(all_of_them)
                values[person], both[person] = np.split(all_of_them, [len(AUS)])
            while most is not None and len(rests) > most:
                del rests[next(iter(rests))]
            yield Scored(frame, faces, values, sides=both)
