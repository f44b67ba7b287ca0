"""Pictures of the avatars: every action unit at several intensities, who there is, whole expressions."""

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from aulight.data.avatars.actions import AVATAR_AUS, Rig, activation
from aulight.data.avatars.assets import load_assets
from aulight.data.avatars.camera import Camera, crop_matrix, cut
from aulight.data.avatars.figure import Figure, Pose
from aulight.data.avatars.identity import person
from aulight.data.avatars.render import Light, Renderer
from aulight.data.avatars.scene import Image, Scene
from aulight.data.avatars.skin import paint, paint_eye
from aulight.data.avatars.wrinkles import Surface, wrinkles
from aulight.data.faces.crop import crop_at
from aulight.data.faces.landmarker import Landmarker
from aulight.errors import AulightError
from aulight.facs import AU_NAMES, MAX_INTENSITY, short_name

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_CAMERA = Camera(distance=9.0, zoom=75.0)
_LIGHT = Light(
    key=np.array([0.5, 0.55, 0.9]), key_colour=np.array([1.15, 1.1, 1.04]), sky=np.array([0.34, 0.36, 0.40]),
    ground=np.array([0.19, 0.17, 0.15]), fill=np.array([-0.9, 0.1, 0.5]), fill_colour=np.array([0.17, 0.19, 0.22]),
    exposure=0.9,
)  # fmt: skip
COMBINATIONS: dict[str, dict[int, float]] = {
    "rest": {},
    "smile 6+12+25": {6: 4, 12: 4, 25: 3},
    "surprise 1+2+5+26": {1: 5, 2: 5, 5: 4, 25: 4, 26: 4},
    "sadness 1+4+15": {1: 4, 4: 3, 15: 4, 17: 2},
    "anger 4+7+23": {4: 5, 7: 3, 23: 4},
    "disgust 9+10": {9: 4, 10: 3, 25: 2},
    "fear 1+4+5+20": {1: 4, 4: 3, 5: 4, 20: 4, 25: 3},
    "contempt 14 left": {-14: 5},
}


class Sitter:
    """Somebody who poses for pictures.

    Args:
        seed: Of the dataset.
        subject: Who.
        pixels: Side of the pictures.
        which: The rig.
    """

    def __init__(self, seed: int, subject: int, pixels: int, which: Rig = "first") -> None:
        who = person(load_assets(), (seed, subject))
        painted = paint(who)
        figure = Figure(who, which, painted)
        surface = Surface(painted, wrinkles(who), half=pixels <= 128)
        self._pixels, self._figure = pixels, figure
        self._renderer = Renderer(figure, surface, paint_eye(who), pixels, pixels, times=2)
        self._background = np.full((pixels, pixels, 3), 0.22, np.float32)

    def shows(self, intensities: dict[int, float], turn: tuple[float, float, float] = (0, 0, 0)) -> Image:
        """A picture of intensities by AU, of the left side alone where the number is negative."""
        left, right = np.zeros(len(AVATAR_AUS)), np.zeros(len(AVATAR_AUS))
        for au, intensity in intensities.items():
            share = float(activation(np.array(intensity)))
            left[AVATAR_AUS.index(abs(au))] = share
            right[AVATAR_AUS.index(abs(au))] = share if au > 0 else 0
        still = np.zeros(len(AVATAR_AUS))
        self._figure.pose(Pose(still, still, {}, (0.0, 0.0), turn, (0.0, 0.0, 0.0)))
        matrix = crop_matrix(cut(self._figure, _CAMERA), self._pixels)  # which does not follow what moves
        pose = Pose(left, right, {}, (0.0, 0.0), turn, (0.0, 0.0, 0.0))
        picture = self._renderer.draw(pose, _LIGHT, _CAMERA, self._background, matrix)
        return np.clip(picture, 0, 255).astype(np.uint8)


def actions(seed: int = 0, which: Rig = "first", subjects: int = 6, pixels: int = 64, columns: int = 5) -> Image:
    """A labelled panel for every AU: people at rest, at 3 and at 5.

    Args:
        seed: Which people.
        which: The rig.
        subjects: Rows of each panel.
        pixels: Side of a face.
        columns: Panels beside each other.

    Returns:
        ``(height, width, 3)`` uint8 RGB.
    """
    levels = (0, 3, MAX_INTENSITY)
    people = [Sitter(seed, 100 + subject, pixels, which) for subject in range(subjects)]
    panels = []
    for au in AVATAR_AUS:
        rows = []
        for somebody in people:
            rows.append(np.concatenate([somebody.shows(_with_others(au, level)) for level in levels], 1))
        title = f"{short_name(au)} {AU_NAMES[au]}: 0, 3, 5"
        panels.append(_titled(np.concatenate(rows, 0), title))
    return _laid_out(panels, columns)


def _with_others(au: int, level: float) -> dict[int, float]:
    return {26: level, 25: 0.7 * level} if au == 26 else {au: level}  # a jaw that drops parts the lips


def identities(seed: int = 0, which: Rig = "first", rows: int = 6, columns: int = 10, pixels: int = 112) -> Image:
    """Many people, each a frame of a video: poses, lights, backgrounds and cameras as in the dataset."""
    faces = [Scene(seed, subject, 0, 50, 25.0, pixels, which).crop(20) for subject in range(rows * columns)]
    return np.concatenate([np.concatenate(faces[row * columns : (row + 1) * columns], 1) for row in range(rows)], 0)


def combinations(seed: int = 0, which: Rig = "first", subjects: int = 5, pixels: int = 144) -> Image:
    """Whole expressions of some people, who turn their heads."""
    people = [Sitter(seed, 200 + subject, pixels, which) for subject in range(subjects)]
    panels = []
    for number, (name, intensities) in enumerate(COMBINATIONS.items()):
        turns = [(0.14 * ((number + row) % 5 - 2), 0.05 * ((row + 2 * number) % 3 - 1), 0.0) for row in range(subjects)]
        faces = [somebody.shows(intensities, turn) for somebody, turn in zip(people, turns, strict=True)]
        panels.append(_titled(np.concatenate(faces, 0), name))
    return _laid_out(panels, len(panels))


def beside(photograph: Image, seed: int = 0, which: Rig = "first", pixels: int = 160) -> Image:
    """Avatars that smile beside the largest face of a photograph, cut out by the landmarker.

    Args:
        photograph: ``(H, W, 3)`` uint8 RGB.
        seed: Which people.
        which: The rig.
        pixels: Side of a face.

    Raises:
        AulightError: When there is no face in the photograph, or no landmarker.
    """
    landmarker = Landmarker(blendshapes=False, max_faces=1)
    try:
        faces = landmarker.look(photograph)
    finally:
        landmarker.close()
    if not faces:
        raise AulightError("there is no face in the photograph")
    real = crop_at(photograph, faces[0].pose, pixels)[0]
    smile = {6: 3.0, 12: 4.0, 25: 3.0}
    return np.concatenate([real, *(Sitter(seed, who, pixels, which).shows(smile) for who in (8, 11, 20, 26))], 1)


SHEETS: dict[str, Callable[[int, Rig], Image]] = {
    "actions": actions,
    "identities": identities,
    "combinations": combinations,
}
"""Of each kind of picture by its name, what draws it from a seed and a rig."""


def _titled(picture: npt.NDArray[np.uint8], title: str) -> Image:
    bar = np.full((20, picture.shape[1], 3), 255, np.uint8)
    cv2.putText(bar, title, (3, 14), _FONT, 0.38, (0, 0, 0), 1, cv2.LINE_AA)
    return np.concatenate([bar, picture], 0)


def _laid_out(panels: list[Image], columns: int, margin: int = 6) -> Image:
    height, width = panels[0].shape[:2]
    rows = -(-len(panels) // columns)
    sheet = np.full((rows * (height + margin) - margin, columns * (width + margin) - margin, 3), 255, np.uint8)
    for number, panel in enumerate(panels):
        top, left = number // columns * (height + margin), number % columns * (width + margin)
        sheet[top : top + height, left : left + width] = panel
    return sheet
