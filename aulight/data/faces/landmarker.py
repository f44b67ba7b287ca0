"""MediaPipe's face landmarker, started without a word; what it finds in pictures, as :class:`Face`."""

import os
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from aulight.data.faces.model_file import model_file
from aulight.data.faces.pose import Face, no_blendshapes, pose_of
from aulight.data.video.types import Frames
from aulight.errors import AulightError
from aulight.processes import deaf_to

TICK_MS = 100_000_000
"""From one frame to the next, as the landmarker is told. Tracking one face it smooths landmarks over time, with a lag;
over a day there is nothing to smooth."""

Track = Callable[[Frames, int], list[Face]]
"""Gives the faces in the next frame of a video, from its picture and its number; not all frames need be given."""


class Landmarker:
    """Finds faces and their landmarks in pictures, on their own or one after another; to be closed in the end.

    Args:
        blendshapes: Whether faces get scores of :data:`BLENDSHAPES`.
        max_faces: Most faces looked for in a picture.
        model: Another file than :func:`model_file`'s.

    Raises:
        AulightError: When mediapipe or its model is missing; from the methods, when mediapipe cannot use the model.
    """

    def __init__(self, blendshapes: bool, max_faces: int, model: Path | None = None) -> None:
        try:
            import mediapipe  # noqa: F401
        except (ImportError, OSError) as error:
            raise AulightError(f'finding faces needs mediapipe: pip install "aulight[faces]" ({error})') from error
        self.blendshapes, self.max_faces = blendshapes, max_faces
        self._model = model_file(model)
        self._open: list[Any] = []
        self._of_pictures: Any = None
        self._detector: Any = None

    def close(self) -> None:
        """Gives back what mediapipe holds; it is started anew when it is needed again."""
        with _silence():
            for task in self._open:
                task.close()
        self._open.clear()
        self._of_pictures = self._detector = None

    @contextmanager
    def video(self, most: int) -> Iterator[Track]:
        """Tracks at most so many faces through one video: it looks first where they were."""
        task = self._start("VIDEO", most)
        try:
            yield lambda image, number: self._read(task.detect_for_video(_picture(image), number * TICK_MS), image)
        finally:
            if task in self._open:
                self._open.remove(task)
                with _silence():
                    task.close()

    def look(self, image: Frames) -> list[Face]:
        """The faces in a picture ``(H, W, 3)`` on its own."""
        if self._of_pictures is None:
            self._of_pictures = self._start("IMAGE", self.max_faces)
        return self._read(self._of_pictures.detect(_picture(image)), image)

    def detect(self, image: Frames) -> list[tuple[float, float]]:
        """The middles ``(x, y)`` of all that is something like a face, without landmarks: cheap."""
        if self._detector is None:
            from mediapipe.tasks.python import BaseOptions, vision

            model = zipfile.ZipFile(self._model).read("face_detector.tflite")  # the landmarker's own
            options = vision.FaceDetectorOptions(BaseOptions(model_asset_buffer=model))
            self._detector = self._opened(lambda: vision.FaceDetector.create_from_options(options))
            with _silence():  # it remarks on its first picture
                self._detector.detect(_picture(image))
        boxes = [found.bounding_box for found in self._detector.detect(_picture(image)).detections]
        return [(box.origin_x + box.width / 2, box.origin_y + box.height / 2) for box in boxes]

    def _start(self, mode: str, most: int) -> Any:
        """The landmarker for at most so many faces, as a task of mediapipe that has seen nothing yet."""
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
                task = start()
        except (OSError, RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise AulightError(f"{self._model}: mediapipe cannot find faces with it ({reason})") from error
        self._open.append(task)
        return task

    def _read(self, found: Any, image: Frames) -> list[Face]:
        """What the landmarker has found in a picture."""
        faces = []
        for index, points in enumerate(found.face_landmarks):
            landmarks = np.empty((len(points), 2))
            landmarks[:, 0], landmarks[:, 1] = [point.x for point in points], [point.y for point in points]
            landmarks *= image.shape[1::-1]
            scores = no_blendshapes()
            if self.blendshapes:
                scores = np.array([category.score for category in found.face_blendshapes[index]], np.float32)
            faces.append(Face(landmarks, scores, pose_of(landmarks)))
        return faces


def _picture(image: Frames) -> Any:
    """A picture ``(H, W, 3)`` uint8 RGB as mediapipe takes it."""
    import mediapipe

    return mediapipe.Image(mediapipe.ImageFormat.SRGB, np.ascontiguousarray(image))


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
