"""Faces of a video cut out upright and of one size, without trembling: one person's, or everybody's.

Every face is laid on one template by a similarity transform from points that expressions hardly move. What the
transform does over time is smoothed before the picture is cut, by what comes before and after, so that the crop
neither trembles nor lags behind the head.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType

from aulight.data.faces.crop import AlignedFrame, Present, crop_at
from aulight.data.faces.finding import FaceFinder
from aulight.data.faces.following import Company, Followed, Known, Picker, follow_live
from aulight.data.faces.landmarker import Landmarker
from aulight.data.faces.networks import FaceNetworks
from aulight.data.faces.pose import Array, no_blendshapes
from aulight.data.faces.sightings import Measure, Sighted, Sighting, Sightings, sighting
from aulight.data.faces.steady import steadied
from aulight.data.video.types import RawFrame
from aulight.errors import VideoError

MAX_FACES, SMOOTH_S = 4, 0.1
"""Of :class:`FaceAligner`, as ``conf/prepare.yaml`` has them."""

GONE_S = 1.0
"""How long somebody who is not seen is still counted among those who are there."""

KNOWN = 64
"""People that are remembered, however many come and go."""


def counted(film: Callable[[], Iterable[RawFrame]], report: Callable[[int], object]) -> Iterator[RawFrame]:
    """The frames of a film that is read once; ``report`` is told of each when the next is asked for."""
    for frame in film():
        yield frame
        report(1)


class FaceAligner:
    """Finds and cuts out faces; use as a context manager, for any number of videos.

    How small faces may be to be found is said at :class:`FaceFinder`.

    Args:
        size: Side of the crops in pixels.
        blendshapes: Whether to give :data:`BLENDSHAPES`.
        max_faces: Most faces looked for in a frame.
        smooth_s: Standard deviation of the window that smooths the crop's movement, in seconds; 0: as found.
        model: Another file than :func:`model_file`'s.
        measure: What to measure of each face on its picture, for :attr:`AlignedFrame.measured`.
        networks: As of :class:`Landmarker`.

    Raises:
        AulightError: When LiteRT or the face model is missing.
    """

    def __init__(
        self,
        size: int,
        blendshapes: bool,
        max_faces: int,
        smooth_s: float,
        model: Path | None = None,
        measure: Measure | None = None,
        networks: FaceNetworks | None = None,
    ) -> None:
        self.size, self.smooth_s, self._measure = size, smooth_s, measure
        self._landmarker = Landmarker(blendshapes, max_faces, model, networks)
        self._finder = FaceFinder(self._landmarker)

    def __enter__(self) -> "FaceAligner":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._landmarker.close()

    @property
    def crowded(self) -> int:
        """In how many frames so far there were more faces than are looked for."""
        return self._finder.crowded

    def align(self, frames: Iterable[RawFrame]) -> Iterator[AlignedFrame]:
        """The face of one person in every frame, as :meth:`follow_live` finds it."""
        for _, there in self.follow_live(frames):
            yield there[0]

    def follow_live(self, frames: Iterable[RawFrame]) -> Iterator[Present]:
        """The face of one person in every frame, as frames come.

        It is followed as :func:`aulight.data.faces.following.follow_live` says. Where it is not seen, the crop stays
        where it was nearest in time; where it has not been, it is the square in the middle.

        Args:
            frames: Of one video, in order; a few tenths of a second of them are held.

        Yields:
            Every frame, with the person under the number 0.
        """
        yield from self._one(follow_live(self._sighted(frames)))

    def follow(
        self, film: Callable[[], Iterable[RawFrame]], report: Callable[[int], object] = lambda _: None
    ) -> Iterator[Present]:
        """The face of one person in every frame of a film that can be read twice: first to find all faces.

        The person is who is seen longest, as :class:`Company` says; else it is as with :meth:`follow_live`.

        Args:
            film: Begins to read one video; called twice. A few tenths of a second of its frames are held.
            report: Told of so many more frames: of every other one while faces are found, then of those between.

        Yields:
            As :meth:`follow_live`.

        Raises:
            VideoError: When the second reading gives other frames than the first.
        """
        company = Company()
        with Sightings() as sightings:
            self._find_all(film, company, sightings, report)
            person, pick = company.chosen(), Picker(company)
            yield from self._one(pick(person, *seen) for seen in self._again(film, sightings, report))

    def photos(self, photos: Iterable[RawFrame], everybody: bool) -> Iterator[Present]:
        """The largest face of every photo, or everybody in it; photos have nothing to do with each other.

        Args:
            photos: One after the other.
            everybody: Or only the person with the largest face, under the number 0.
        """
        for photo in photos:
            yield from self.everybody_live([photo]) if everybody else self.follow(partial(iter, [photo]))

    def people(
        self,
        film: Callable[[], Iterable[RawFrame]],
        report: Callable[[int], object],
        everybody: bool,
        live: bool,
        photos: bool,
    ) -> Iterator[Present]:
        """The people in a film, in frames as they come, or in photos, by the method that is made for them.

        Args:
            film: Begins to read the frames; of a film that is not live it is called twice.
            report: Told of so many more frames.
            everybody: Whether all people are followed, or one.
            live: Whether the film can be read once alone.
            photos: Whether each frame is on its own.
        """
        if photos:
            return self.photos(counted(film, report), everybody)
        if everybody:
            return self.everybody_live(counted(film, report)) if live else self.everybody(film, report)
        return self.follow_live(counted(film, report)) if live else self.follow(film, report)

    def everybody_live(self, frames: Iterable[RawFrame]) -> Iterator[Present]:
        """The faces of everybody in every frame, as frames come, cut out each on its own.

        Args:
            frames: As :meth:`follow_live` takes them.

        Yields:
            The frames, with the people in them by the numbers of :class:`People`. Somebody who is lost from sight is
            still given for :data:`GONE_S`, with confidence 0 and cut out where they were.
        """
        return self._all(self._sighted(frames, thorough=True), set())

    def everybody(
        self, film: Callable[[], Iterable[RawFrame]], report: Callable[[int], object] = lambda _: None
    ) -> Iterator[Present]:
        """The same of a film that can be read twice: who comes back after a cut keeps the number, where it can be told.

        Args:
            film: As of :meth:`follow`, as the next.
            report: As there.

        Yields:
            As :meth:`everybody_live`; :class:`Known` says who is known again.

        Raises:
            VideoError: As :meth:`follow`.
        """
        company, elsewhere = Company(), set[tuple[int, int]]()
        with Sightings() as sightings:
            self._find_all(film, company, sightings, report, thorough=True)
            known = Known(company)

            def named() -> Iterator[Sighted]:
                for frame, faces in self._again(film, sightings, report):
                    there, moved = known(faces)
                    elsewhere.update((frame.number, person) for person in moved)
                    yield frame, there

            yield from self._all(named(), elsewhere)

    def _all(self, seen: Iterable[Sighted], elsewhere: set[tuple[int, int]]) -> Iterator[Present]:
        """Everybody, cut out of every frame; ``elsewhere`` has frames and people who are elsewhere from there on."""
        for frame, poses in steadied(seen, self.smooth_s, GONE_S):
            faces = {person: self._cut(frame, *there) for person, there in sorted(poses.items())}
            for person in [person for person in faces if (frame.number, person) in elsewhere]:
                faces[person] = replace(faces[person], elsewhere=True)
                elsewhere.remove((frame.number, person))
            yield frame, faces

    def _find_all(
        self,
        film: Callable[[], Iterable[RawFrame]],
        company: Company,
        sightings: Sightings,
        report: Callable[[int], object],
        thorough: bool = False,
    ) -> None:
        """Reads a film for the first time, and notes who is in it."""
        for place, (frame, faces) in enumerate(self._sighted(film(), thorough)):
            company.see(frame, faces)
            sightings.add(faces)
            report(place % 2)

    def _again(
        self, film: Callable[[], Iterable[RawFrame]], sightings: Sightings, report: Callable[[int], object]
    ) -> Iterator[Sighted]:
        """Reads it for the second time, with the faces that were found."""
        again = iter(sightings)
        for place, frame in enumerate(film()):
            report(1 - place % 2)
            if (faces := next(again, None)) is None:
                raise VideoError("the video has become longer while it was read; try again")
            yield frame, faces

    def _sighted(self, frames: Iterable[RawFrame], thorough: bool = False) -> Iterator[Sighted]:
        for frame, faces in self._finder.faces(frames, KNOWN, thorough):
            yield frame, {person: sighting(face, frame, self._measure) for person, face in faces.items()}

    def _one(self, followed: Iterable[Followed]) -> Iterator[Present]:
        """The person who is followed, cut out of every frame."""
        ahead: deque[Followed] = deque()

        def seen() -> Iterator[Sighted]:
            for found in followed:
                ahead.append(found)
                yield found.frame, {} if found.face is None else {0: found.face}

        for frame, poses in steadied(seen(), self.smooth_s, None):
            found = ahead.popleft()
            yield frame, {0: replace(self._cut(frame, *poses[0]), others=found.others, elsewhere=found.elsewhere)}

    def _cut(self, frame: RawFrame, face: Sighting | None, pose: Array) -> AlignedFrame:
        crop, matrix = crop_at(frame.image, pose, self.size)
        if face is None:
            return AlignedFrame(frame.number, frame.time_s, crop, 0.0, no_blendshapes(), matrix)
        scores, measured = face.blendshapes, face.measured
        return AlignedFrame(frame.number, frame.time_s, crop, face.inside, scores, matrix, measured=measured)
