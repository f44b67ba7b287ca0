"""Faces of a video cut out upright and of one size, without trembling: one person's, or everybody's.

Every face is laid on one template by a similarity transform from points that expressions hardly move. What the
transform does over time is smoothed before the picture is cut, by what comes before and after, so that the crop
neither trembles nor lags behind the head.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType

from aulight.data.faces.crop import AlignedFrame, Present, crop_at
from aulight.data.faces.finding import FaceFinder
from aulight.data.faces.landmarker import Landmarker
from aulight.data.faces.people import follow_one
from aulight.data.faces.pose import no_blendshapes
from aulight.data.faces.steady import steadied
from aulight.data.video.types import RawFrame

MAX_FACES, SMOOTH_S = 4, 0.1
"""Of :class:`FaceAligner`, as ``conf/prepare.yaml`` has them."""

GONE_S = 1.0
"""How long somebody who is not seen is still counted among those who are there."""

KNOWN = 64
"""People that are remembered where everybody is followed."""


class FaceAligner:
    """Finds and cuts out faces; use as a context manager, for any number of videos.

    How small faces may be to be found is said at :class:`FaceFinder`.

    Args:
        size: Side of the crops in pixels.
        blendshapes: Whether to give :data:`BLENDSHAPES`.
        max_faces: Most faces looked for in a frame.
        smooth_s: Standard deviation of the window that smooths the crop's movement, in seconds; 0: as found.
        model: Another file than :func:`model_file`'s.

    Raises:
        AulightError: When LiteRT or the face model is missing.
    """

    def __init__(
        self, size: int, blendshapes: bool, max_faces: int, smooth_s: float, model: Path | None = None
    ) -> None:
        self.size, self.smooth_s = size, smooth_s
        self._landmarker = Landmarker(blendshapes, max_faces, model)
        self._finder = FaceFinder(self._landmarker)

    def __enter__(self) -> "FaceAligner":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._landmarker.close()

    def align(self, frames: Iterable[RawFrame]) -> Iterator[AlignedFrame]:
        """The face of one person in every frame of one video.

        The person is whose face is largest in the first half second with faces. Where they are not seen, the crop
        stays where it was nearest in time; where nobody has been, it is the square in the middle.

        Args:
            frames: Of one video, in order; a few tenths of a second of them are held.
        """
        for _, there in self.people(frames, everybody=False):
            yield there[0]

    def people(self, frames: Iterable[RawFrame], everybody: bool) -> Iterator[Present]:
        """The faces of one person, or of everybody, in every frame of one video, cut out each on its own.

        Args:
            frames: As :meth:`align` takes them.
            everybody: Or only the person that :meth:`align` follows, in every frame and under the number 0.

        Yields:
            The frames, with the people in them by the numbers of :class:`People`. Somebody who is lost from sight is
            still given for :data:`GONE_S`, with confidence 0 and cut out where they were.
        """
        seen = self._finder.faces(frames, KNOWN) if everybody else follow_one(self._finder.faces(frames))
        for frame, poses in steadied(seen, self.smooth_s, GONE_S if everybody else None):
            there = {}
            for person, (face, pose) in sorted(poses.items()):
                crop, matrix = crop_at(frame.image, pose, self.size)
                inside, scores = 0.0, no_blendshapes()
                if face is not None:
                    within = (face.landmarks >= 0) & (face.landmarks <= frame.image.shape[1::-1])
                    inside, scores = float(within.all(1).mean()), face.blendshapes
                there[person] = AlignedFrame(frame.number, frame.time_s, crop, inside, scores, matrix)
            yield frame, there
