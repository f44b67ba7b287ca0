"""What mediapipe finds in :data:`SCENES`, written into a file by a process of its own that has no network.

Its library reports to its makers each time it is used; here it must not, even of an astronaut.
"""

import ctypes
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAMESPACES = 0x10000000 | 0x40000000  # CLONE_NEWUSER | CLONE_NEWNET
UNCUT = 77  # how this process ends where it cannot be cut off

DAY_MS = 100_000_000
"""Between two frames: over a day there is nothing to smooth, which mediapipe does where one face is tracked."""


def found(model: str) -> Iterator[tuple[str, Any]]:
    """Landmarks and blendshapes of every frame, as pictures on their own, tracked, and detected alone."""
    import mediapipe
    import numpy as np
    from mediapipe.tasks.python import BaseOptions, vision

    from aulight.data.faces.model_file import DETECTOR, network
    from tests.data.faces.scenes import SCENES, SINGLE

    base = BaseOptions(model_asset_path=model)
    parts = BaseOptions(model_asset_buffer=network(Path(model), DETECTOR))
    detector = vision.FaceDetector.create_from_options(vision.FaceDetectorOptions(parts, min_suppression_threshold=0.5))
    names: tuple[str, ...] = ()
    for scene, frames in SCENES.items():
        modes = [("IMAGE", 8)] if scene in SINGLE else [("VIDEO", 1), ("VIDEO", 4)]
        for mode, most in modes:
            options = vision.FaceLandmarkerOptions(
                base, vision.RunningMode[mode], num_faces=most, output_face_blendshapes=True
            )
            landmarker = vision.FaceLandmarker.create_from_options(options)
            for number, image in enumerate(frames()):
                picture = mediapipe.Image(mediapipe.ImageFormat.SRGB, np.ascontiguousarray(image))
                if mode == "IMAGE":
                    seen = landmarker.detect(picture)
                else:
                    seen = landmarker.detect_for_video(picture, number * DAY_MS)
                points = [[(point.x, point.y) for point in face] for face in seen.face_landmarks]
                scores = [[score.score for score in face] for face in seen.face_blendshapes]
                names = names or tuple(score.category_name for face in seen.face_blendshapes for score in face)
                place = f"{scene}/{most}/{number}"
                yield f"{place}/landmarks", np.array(points).reshape(-1, 478, 2) * image.shape[1::-1]
                yield f"{place}/blendshapes", np.array(scores).reshape(-1, 52)
                if mode == "IMAGE":
                    yield f"{place}/detected", np.array(len(detector.detect(picture).detections))
            landmarker.close()
    detector.close()
    yield "names", np.array(names)


if __name__ == "__main__":
    if ctypes.CDLL(None).unshare(NAMESPACES) != 0:
        sys.exit(UNCUT)
    import numpy as np

    np.savez(sys.argv[1], **dict(found(sys.argv[2])))
