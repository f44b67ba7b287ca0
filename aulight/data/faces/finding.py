"""The faces of everybody in every frame of a video: tracked while they are seen, looked for while they are not.

The landmarker finds large faces wherever they are. Small ones it finds in windows of the picture alone, which cost as
much as whole pictures: so they are looked for where they were, and all over the picture now and then.
"""

import math
from collections.abc import Iterable, Iterator

import numpy as np

from aulight.data.faces.landmarker import Landmarker, Track
from aulight.data.faces.people import People
from aulight.data.faces.pose import Array, Face, Seen, displacement, scaled
from aulight.data.video.types import Frames, RawFrame

SAME, NEAR = 0.25, 0.75
"""Displacement up to which two faces of one picture are one, found twice; and up to which two of following pictures are
of one person: the landmarker may err by half the size of a face that it hardly finds."""

INSIDE = 0.3
"""Sides of a face's crop around its middle within which there is no smaller one: after a zoom, what was tracked goes on
for a while as a face within the face."""

SMALL = 0.3
"""Crop side over the picture's longer side below which a face may be too small to be found in the whole picture:
that looks for faces on 128 x 128 pixels, and finds them down to 0.2."""

WINDOW = 3.0
"""Crop sides: the window around a small face."""

MISSED = 100
"""Frames in which a small face that is lost is looked for where it was, each time; then it is only searched for."""

ALONE, LOOK = 25, 8
"""Frames with one face and no more after which only that one is tracked, since looking for others in every frame costs
time and makes the landmarks tremble; and every how many frames there is a look for others then."""

LEAST = 256
"""Pixels of the smallest windows that a picture is searched through: faces narrower than 32 pixels are no use."""

_Window = tuple[int, int, int]  # left, top and side, in pixels


class FaceFinder:
    """Finds the faces of everybody in every frame of videos.

    A face wider than an eighth of the picture's longer side is found at once, and followed while it gets smaller. While
    nobody is found, or somebody small is lost, smaller faces are looked for all over the picture now and then: down to
    1/28 of the longer side of a picture of 16:9 (68 pixels of 1920), 1/16 of a square one, and to 40 pixels.

    Args:
        landmarker: What finds them in pictures; stays the caller's to close.

    Attributes:
        landmarker: As given.
        crowded: In how many frames so far there were more faces than it looks for.
    """

    def __init__(self, landmarker: Landmarker) -> None:
        self.landmarker = landmarker
        self.crowded = 0

    def faces(self, frames: Iterable[RawFrame], known: int | None = None, thorough: bool = False) -> Iterator[Seen]:
        """The faces of everybody in every frame of one video, by the numbers that :class:`People` gives them.

        At most ``known`` people are remembered, so that memory and time stay constant however many come and go.

        Small faces beside a large one are missing, unless they have been found before it came, or have been large:
        only while nobody is found, or somebody small is lost, is there a search for others. Beside one who has been
        alone, somebody new is seen within :data:`LOOK` frames. With ``thorough`` there is such a search in the first
        frame, and now and then, also beside others.
        """
        most = self.landmarker.max_faces
        with self.landmarker.video(most, sure=True) as several, self.landmarker.video(1, sure=True) as single:
            search = _Search(self.landmarker, several, single, People(known), thorough)
            for now, frame in enumerate(frames):
                faces = search.next(frame, now)
                self.crowded += not frame.between and search.more
                yield frame, faces


class _Search:
    """What is known of the faces of one video from the frames so far, and how it helps to find those of the next."""

    def __init__(
        self, landmarker: Landmarker, several: Track, single: Track, people: People, thorough: bool = False
    ) -> None:
        self._thorough = thorough
        self.more = False  # faces in the last frame than are looked for
        self._landmarker, self._several, self._single, self._people = landmarker, several, single, people
        self._faces: list[Face] = []  # in the frame before
        self._alone = 0  # frames in a row with one face
        self._wait = 0  # frames until the next search all over
        self._small: dict[int, tuple[int, Array]] = {}  # of people last seen small: frame, and pose as People has it

    def next(self, frame: RawFrame, now: int) -> dict[int, Face]:
        """The faces in frame number ``now``, by their people."""
        image, most = frame.image, self._landmarker.max_faces
        scale = max(image.shape)  # pictures of another size are taken to show the same scene
        faces = self._tracked(image, now)
        lost = self._look_where_lost(image, now, scale, faces)
        self._wait -= 1
        over = list[Face]()
        if self._wait <= 0 and (lost or not faces or self._thorough) and len(faces) < most:
            windows = _windows_over(image)
            # without a face, this costs as much as looking at the whole picture in every frame
            self._wait = len(windows) * (4 if faces else 1)
            found = (face for window in windows for face in self._look(image, window, whole=True))
            over = self._clear(image, sorted(found, key=lambda face: -face.pose[2]), faces)
            # beside those that are there: a window that holds half of a large face may lay a small one on it
            _add_new(faces, [face for face in over if not _is_on(face, faces)], most)

        faces = [face for face in faces if not _is_inside(face, faces)]
        if len(faces) >= most:
            _add_new(over, self._landmarker.others(image, [face.landmarks for face in faces]), len(over) + 1)
        self.more = len(faces) >= most and not all(_is_among(face.pose, faces, NEAR) for face in over)
        self._alone = self._alone + 1 if len(faces) == 1 else 0
        self._faces = faces
        poses = [scaled(face.pose, 1 / scale) for face in faces]
        named = self._people.name(poses, frame.time_s)
        for person, pose in zip(named, poses, strict=True):
            self._small.pop(person, None)
            if pose[2] < math.log(SMALL):
                self._small[person] = now, pose
        while len(self._small) > most:
            del self._small[next(iter(self._small))]  # not seen for longest
        return dict(zip(named, faces, strict=True))

    def _tracked(self, image: Frames, now: int) -> list[Face]:
        """Those of the frame before, and others who are large: all, or the only one and now and then all."""
        faces: list[Face] = []
        if self._alone >= ALONE:
            faces = [face for face in self._single(image) if _is_among(face.pose, self._faces, NEAR)]
            if not faces or (now % LOOK == 0 and self._is_joined(faces[0], image)):
                self._alone = 0
        if self._alone < ALONE:
            _add_new(faces, self._several(image), self._landmarker.max_faces)
        return faces

    def _is_joined(self, face: Face, image: Frames) -> bool:
        """Whether there is something like a face besides this one."""
        middles = self._landmarker.detect(image)
        return any(math.dist(middle, face.pose[:2]) > math.exp(face.pose[2]) / 2 for middle in middles)

    def _look_where_lost(self, image: Frames, now: int, scale: float, faces: list[Face]) -> bool:
        """Adds small faces that are where they were; whether one is lost all the same."""
        lost, most = False, self._landmarker.max_faces
        for seen, pose in self._small.values():
            pose = scaled(pose, scale)
            if now - seen <= MISSED and len(faces) < most and not _is_among(pose, faces, NEAR):
                _add_new(faces, self._look(image, _window_around(pose, image)), most)
            lost = lost or not _is_among(pose, faces, NEAR)
        return lost

    def _clear(self, image: Frames, over: list[Face], faces: list[Face]) -> list[Face]:
        """Those that are there or clearly faces; all where that is none, since a badge is seldom without a person."""
        clear = [face for face in over if _is_on(face, faces) or self._landmarker.is_clear(image, face)]
        return clear if clear or faces else over

    def _look(self, image: Frames, window: _Window, whole: bool = False) -> list[Face]:
        """The faces in a window of a picture; if wished, those only that no border of it cuts."""
        left, top, side = window
        faces = self._landmarker.look(image[top : top + side, left : left + side], sure=True)
        if whole:
            faces = [face for face in faces if face.landmarks.min() >= 0 and face.landmarks.max() <= side]
        for face in faces:
            face.landmarks[:] += left, top
            face.pose[:2] += left, top
        return faces


def _window_around(pose: Array, image: Frames) -> _Window:
    """The window around a small face, inside the picture."""
    height, width = image.shape[:2]
    side = min(round(WINDOW * math.exp(pose[2])), height, width)
    left, top = (round(middle - side / 2) for middle in pose[:2])
    return min(max(left, 0), width - side), min(max(top, 0), height - side), side


def _windows_over(image: Frames) -> list[_Window]:
    """Squares all over a picture: of its shorter side and of half of it, overlapping by a third."""
    short = min(image.shape[:2])
    windows = []
    for side in (short, short // 2):
        if side >= LEAST:
            tops, lefts = (
                np.linspace(0, room, math.ceil(room / (side * 2 / 3)) + 1).astype(int).tolist()
                for room in (image.shape[0] - side, image.shape[1] - side)
            )
            windows += [(left, top, side) for top in tops for left in lefts]
    return windows


def _is_among(pose: Array, faces: list[Face], limit: float) -> bool:
    """Whether one of the faces lies within ``limit`` (see :func:`displacement`) of a pose."""
    return any(displacement(pose, face.pose) <= limit for face in faces)


def _is_inside(face: Face, faces: list[Face]) -> bool:
    """Whether a face lies within a larger one."""
    x, y, size, _ = face.pose
    return any(
        other.pose[2] > size and math.dist((x, y), other.pose[:2]) < INSIDE * math.exp(other.pose[2]) for other in faces
    )


def _is_on(face: Face, faces: list[Face]) -> bool:
    """Whether the middle of a face lies on the crop of another that is larger, or either is the other."""
    return _is_among(face.pose, faces, NEAR) or any(
        math.dist(face.pose[:2], other.pose[:2]) < math.exp(other.pose[2]) / 2 and other.pose[2] > face.pose[2]
        for other in faces
    )


def _add_new(faces: list[Face], more: Iterable[Face], most: int) -> None:
    """Adds faces that are not there yet, up to a number."""
    for face in more:
        if len(faces) < most and not _is_among(face.pose, faces, SAME):
            faces.append(face)
