"""MediaPipe's face landmarker: what its networks find in pictures, as :class:`Face`, and tracked through videos.

The networks are those of MediaPipe; what lies between them is here and in :mod:`aulight.data.faces.detection`, and
gives what MediaPipe's own library does (tests/data/faces/test_oracle.py holds them side by side), without its threads
and without its reports to its makers.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from aulight.data.faces.detection import (
    PROBABLE,
    Detections,
    Region,
    are_same,
    evidence,
    found,
    probability,
    region_of,
    whole,
    widened,
)
from aulight.data.faces.model_file import model_file
from aulight.data.faces.networks import DETECTOR_SIDE, MESH_SIDE, FaceNetworks, Networks
from aulight.data.faces.pose import Array, Face, no_blendshapes, pose_of
from aulight.data.video.types import Frames

Track = Callable[[Frames], list[Face]]
"""Gives the faces in the next frame of a video, from its picture; not all frames need be given."""

CLEAR = 0.9
"""Mean of the detector's logits from which something small is clearly a face. When it was chosen, 2 of 196 faces of 24
to 64 pixels were below, many of them turned, shouting or masked, and 21 of 29 badges that had been taken for faces."""

_EXPRESSIVE = [
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66, 67, 70, 78, 80, 81,
    82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145, 146, 148, 149, 150, 152, 153, 154,
    155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251, 263,
    267, 269, 270, 276, 282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318, 321,
    323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382, 384, 385, 386, 387,
    388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472, 473, 474, 475, 476, 477,
]  # fmt: skip
"""The landmarks that tell the blendshapes (``face_landmarker/face_blendshapes_graph.cc``)."""


class Landmarker:
    """Finds faces and their landmarks in pictures, on their own or one after another; to be closed in the end.

    Not for several threads at once. What it finds depends on the pictures alone, never on the time or on chance.

    Args:
        blendshapes: Whether faces get scores of :data:`BLENDSHAPES`.
        max_faces: Most faces looked for in a picture.
        model: Another file than :func:`model_file`'s.
        networks: Its networks, where others run them than LiteRT.

    Raises:
        AulightError: When LiteRT or the model is missing; from the methods, when the model is not a face landmarker.
    """

    def __init__(
        self, blendshapes: bool, max_faces: int, model: Path | None = None, networks: FaceNetworks | None = None
    ) -> None:
        self.blendshapes, self.max_faces = blendshapes, max_faces
        self._networks = Networks(model_file(model)) if networks is None else networks

    def close(self) -> None:
        """Gives back the networks' memory; they are started anew when they are needed again."""
        self._networks.close()

    @contextmanager
    def video(self, most: int, sure: bool = False) -> Iterator[Track]:
        """Tracks at most so many faces through one video: it looks first where they were.

        While there are fewer, it looks for others in every picture.

        Args:
            most: How many.
            sure: Whether those that are new must be confirmed, as :meth:`look` has it.
        """
        places: list[Region] = []

        def track(image: Frames) -> list[Face]:
            regions = list(places)
            if len(regions) < most:
                for region in self._detected(image).regions()[:most]:
                    # a face that the detector sees is rather there than where it was
                    regions = [known for known in regions if not are_same(known, region)]
                    regions.append(region)
            regions = regions[:most]
            faces = self._faces(image, regions, [sure and region not in places for region in regions])
            places[:] = [region_of(face.landmarks) for face in faces]
            return faces

        yield track

    def look(self, image: Frames, sure: bool = False) -> list[Face]:
        """The faces in a picture ``(H, W, 3)`` uint8 RGB on its own.

        Args:
            image: The picture.
            sure: Whether a face must be confirmed: where its landmarks lie, the detector must see a face as well. If it
                sees one beside them, the landmarks are looked for there.
        """
        regions = self._detected(image).regions()[: self.max_faces]
        return self._faces(image, regions, [sure] * len(regions))

    def others(self, image: Frames, known: list[Array]) -> list[Face]:
        """Faces in a picture besides those whose landmarks are known, as :meth:`look` finds them."""
        boxes = [region_of(landmarks) for landmarks in known]
        regions = [
            region
            for region in self._detected(image).regions()
            if not any(math.dist((box.x, box.y), (region.x, region.y)) < box.width / 3 for box in boxes)
        ]
        return self._faces(image, regions, [True] * len(regions))

    def is_clear(self, image: Frames, face: Face) -> bool:
        """Whether what has been found looks like a face in several ways: as it is, mirrored, from nearer and farther.

        The detector is less sure of what has some of a face, such as a badge with two holes: on average of the four.
        """
        region, logits = widened(region_of(face.landmarks)), []
        for times, mirrored in ((1.0, False), (1.0, True), (1.3, False), (0.75, False)):
            window = Region(region.x, region.y, times * region.width, times * region.height, region.angle)
            picture, inside = window.cut(image, DETECTOR_SIDE, goes_on=False), self._inside(window, face)
            if mirrored:
                picture, inside = picture[:, ::-1], inside * (-1, 1) + (DETECTOR_SIDE, 0)
            said = self._networks.detect(picture)
            logits.append(evidence(*said, inside))
        return sum(logits) / len(logits) >= CLEAR

    def detect(self, image: Frames) -> list[tuple[float, float]]:
        """The middles ``(x, y)`` of all that is something like a face, without landmarks: cheap."""
        boxes = self._detected(image).boxes.tolist()
        return [((left + right) / 2, (top + bottom) / 2) for left, top, right, bottom in boxes]

    def _detected(self, image: Frames) -> Detections:
        shown = whole(image)
        picture = shown.cut(image, DETECTOR_SIDE, goes_on=False)
        return found(*self._networks.detect(picture), shown)

    def _faces(self, image: Frames, regions: list[Region], sure: list[bool]) -> list[Face]:
        """Those of the regions in which there is a face, confirmed where it must be."""
        faces = []
        for region, must in zip(regions, sure, strict=True):
            face = self._face(image, region)
            if face is not None and must:
                face = self._confirmed(image, face)
            if face is not None:
                faces.append(face)
        return faces

    def _face(self, image: Frames, region: Region) -> Face | None:
        """The face in a region, if there is one."""
        picture = region.cut(image, MESH_SIDE, goes_on=True)
        points, logit = self._networks.mesh(picture)
        if probability(logit) <= PROBABLE:
            return None
        matrix = region.matrix(MESH_SIDE)
        landmarks = points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
        scores = no_blendshapes()
        if self.blendshapes:
            scores = self._networks.blendshapes(landmarks[_EXPRESSIVE].astype(np.float32))
        depth = points[:, 2].astype(np.float64) * (region.width / MESH_SIDE)
        return Face(landmarks, depth, float(logit), scores, pose_of(landmarks))

    def _confirmed(self, image: Frames, face: Face) -> Face | None:
        """The face, if the detector sees one where its landmarks lie; else the one that it sees beside, if that is so.

        The detector is shown the face large and upright, so it sees what is too small for it in the whole picture.
        """
        window, seen, around = self._seen_near(image, face)
        if around or not len(seen.boxes):
            return face if around else None
        beside = self._face(image, seen.regions()[0].within(window, DETECTOR_SIDE))
        return beside if beside is not None and self._seen_near(image, beside)[2] else None

    def _seen_near(self, image: Frames, face: Face) -> tuple[Region, Detections, bool]:
        """A window around a face, what the detector sees in it, and whether that is where the landmarks lie."""
        window = widened(region_of(face.landmarks))
        seen = self._detected(window.cut(image, DETECTOR_SIDE, goes_on=False))
        return window, seen, seen.is_around(self._inside(window, face))

    @staticmethod
    def _inside(window: Region, face: Face) -> Array:
        """Where the landmarks lie in a window that is cut out for the detector."""
        matrix = window.matrix(DETECTOR_SIDE)
        return np.linalg.solve(matrix[:, :2], (face.landmarks - matrix[:, 2]).T).T.astype(np.float64)
