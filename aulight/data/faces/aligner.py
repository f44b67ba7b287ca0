"""Faces of raw videos: found by MediaPipe, one person followed, cut out upright, of one size, without trembling.

Every face is laid on one template by a similarity transform from points that expressions hardly move. What the
transform does over time is smoothed before the picture is cut, by what comes before and after, so that the crop
neither trembles nor lags behind the head.

``python -m aulight.data.faces`` fetches the face model.
"""

import math
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from aulight.data.faces.crop import AlignedFrame, Present, cut
from aulight.data.faces.landmarker import (
    ALONE,
    LOOK,
    MISSED,
    NEAR,
    SMALL,
    TICK_MS,
    Window,
    add_faces,
    around,
    everywhere,
    known_pose,
    picture,
    silence,
)
from aulight.data.faces.model_file import model_file
from aulight.data.faces.people import People, follow
from aulight.data.faces.pose import Array, Face, Seen, pose_of, scaled, unknown
from aulight.data.faces.steady import smoothed
from aulight.data.video.types import Frames, RawFrame
from aulight.errors import AulightError
from aulight.processes import deaf_to

MAX_FACES, SMOOTH_S = 4, 0.1
"""Of :class:`FaceAligner`, as ``conf/prepare.yaml`` has them."""


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
        with silence():
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
        seen = self.faces(frames, KNOWN) if everybody else follow(self.faces(frames))
        for frame, poses in smoothed(seen, self.smooth_s, GONE_S if everybody else None):
            there = {}
            for person, (face, pose) in sorted(poses.items()):
                crop, matrix = cut(frame.image, pose, self.size)
                inside, scores = 0.0, unknown()
                if face is not None:
                    within = (face.landmarks >= 0) & (face.landmarks <= frame.image.shape[1::-1])
                    inside, scores = float(within.all(1).mean()), face.blendshapes
                there[person] = AlignedFrame(frame.number, frame.time_s, crop, inside, scores, matrix)
            yield frame, there

    def faces(self, frames: Iterable[RawFrame], known: int | None = None) -> Iterator[Seen]:
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
                    faces = [face for face in self._track(single, image, now) if known_pose(face.pose, before, NEAR)]
                    if not faces or (now % LOOK == 0 and self._is_joined(faces[0], image)):
                        alone = 0
                if alone < ALONE:
                    add_faces(faces, self._track(several, image, now), self.max_faces)

                lost = False
                for seen, pose in small.values():
                    pose = scaled(pose, scale)
                    if now - seen <= MISSED and len(faces) < self.max_faces and not known_pose(pose, faces, NEAR):
                        add_faces(faces, self._look(image, around(pose, image)), self.max_faces)
                    lost = lost or not known_pose(pose, faces, NEAR)
                wait -= 1
                if wait <= 0 and (lost or not faces) and len(faces) < self.max_faces:
                    windows = everywhere(image)
                    # without a face, this costs as much as looking at the whole picture in every frame
                    wait = len(windows) * (4 if faces else 1)
                    found = (face for window in windows for face in self._look(image, window, whole=True))
                    add_faces(faces, sorted(found, key=lambda face: -face.pose[2]), self.max_faces)

                alone = alone + 1 if len(faces) == 1 else 0
                poses = [scaled(face.pose, 1 / scale) for face in faces]
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
        return self._read(landmarker.detect_for_video(picture(image), now * TICK_MS), image.shape[1::-1])

    def _is_joined(self, face: Face, image: Frames) -> bool:
        """Whether there is something like a face besides this one."""
        if self._detector is None:
            from mediapipe.tasks.python import BaseOptions, vision

            model = zipfile.ZipFile(self._model).read("face_detector.tflite")  # the landmarker's own
            options = vision.FaceDetectorOptions(BaseOptions(model_asset_buffer=model))
            self._detector = self._opened(lambda: vision.FaceDetector.create_from_options(options))
            with silence():  # it remarks on its first picture
                self._detector.detect(picture(image))
        boxes = [found.bounding_box for found in self._detector.detect(picture(image)).detections]
        middles = [(box.origin_x + box.width / 2, box.origin_y + box.height / 2) for box in boxes]
        return any(math.dist(middle, face.pose[:2]) > math.exp(face.pose[2]) / 2 for middle in middles)

    def _look(self, image: Frames, window: Window, whole: bool = False) -> list[Face]:
        """The faces in a window of a picture; if wished, those only that no border of it cuts."""
        left, top, side = window
        if self._still is None:
            self._still = self._start("IMAGE", self.max_faces)
        found = self._still.detect(picture(image[top : top + side, left : left + side]))
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
            scores = unknown()
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
            with silence(), deaf_to("SIGPROF"):
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
                with silence():
                    landmarker.close()


GONE_S = 1.0
"""How long somebody who is not seen is still counted among those who are there."""

KNOWN = 64
"""People that are remembered where everybody is followed."""
