"""Avatars as DISFA has its 27 people: four minutes before two cameras, twelve AUs coded in every frame."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from aulight.data.avatars.actions import AVATAR_AUS, Rig
from aulight.data.avatars.camera import Camera
from aulight.data.avatars.raw import VIEWS, WIDEST, view
from aulight.data.avatars.rehearsal.film import film, write_codes
from aulight.data.avatars.rehearsal.take import Codes, Take, acted
from aulight.data.avatars.scene import Image, Scene
from aulight.datasets import DISFA_AUS, DISFA_TESTS, DISFA_UNTRACKED

FPS, FRAMES = 20, 4845
"""Of a video."""

PEOPLE = tuple(subject for fold in zip(*reversed(DISFA_TESTS), strict=True) for subject in fold)
"""In an order in which a few of them are of all folds, and SN010 among them, whose labels are one too few."""

_FIRST = 1_000_000  # of the numbers of these avatars: unlike those of others


@dataclass(frozen=True)
class Person:
    """A person before two cameras.

    Landmarks are not written, since aulight does not read them. In the frames that DISFA's tracker lost
    (:data:`~aulight.datasets.DISFA_UNTRACKED`, in shorter videos the same shares of them) something is before the
    face. SN010's label files have a row less than there are frames; those of every second person count from 0.

    Attributes:
        folder: Of the dataset.
        name: Who of DISFA's subjects.
        length: Frames of a video.
        seed: Of all avatars.
        which: The rig that moves the face.
    """

    folder: Path
    name: str
    length: int
    seed: int
    which: Rig

    @property
    def frames(self) -> int:
        """Of both videos."""
        return self.length * len(VIEWS)

    @property
    def _subject(self) -> int:
        return _FIRST + int(self.name[2:])

    def codes(self) -> Codes:
        """What the label files say, ``(rows, 12)``."""
        columns = [AVATAR_AUS.index(au) for au in DISFA_AUS]
        codes = acted(self.seed, self._subject, 0, self.length, FPS)[:, columns]
        return codes[:-1] if self.name == "SN010" else codes

    def hidden(self) -> npt.NDArray[np.bool_]:
        """In which frames the face is, ``(frames,)``."""
        at = np.arange(self.length) * (FRAMES / self.length) + 1
        hidden = np.zeros(self.length, bool)
        for first, last in DISFA_UNTRACKED.get(self.name, ()):
            hidden |= (at >= first) & (at <= last)
        return hidden

    def film(self, report: Callable[[int], None]) -> None:
        """Writes both videos and the label files."""
        codes, first = self.codes(), int(self.name[2:]) % 2
        for au, column in zip(DISFA_AUS, codes.T, strict=True):
            path = self.folder / "ActionUnit_Labels" / self.name / f"{self.name}_au{au}.txt"
            write_codes(path, range(first, first + len(codes)), column)
        # as in the copies that are around: folders and files do not follow one spelling
        paths = [
            self.folder / "Videos_LeftCamera" / f"LeftVideo{self.name}_comp.avi",
            self.folder / "Video_RightCamera" / f"RightVideo{self.name}_Comp.avi",
        ]
        if all(path.is_file() for path in paths):
            report(self.frames)
            return
        scene = Scene(self.seed, self._subject, 0, self.length, FPS, None, self.which, WIDEST)
        cameras = [view(self.seed, self._subject, number) for number in range(len(VIEWS))]
        hidden = self.hidden()
        with ExitStack() as stack:
            films = []
            for path in paths:
                path.parent.mkdir(parents=True, exist_ok=True)
                films.append(stack.enter_context(film(path, Fraction(FPS))))
            for frame in range(self.length):
                for number, (add, camera) in enumerate(zip(films, cameras, strict=True)):
                    picture = scene.whole(frame, camera, number)
                    add(_hide(picture, camera) if hidden[frame] else picture)
                report(len(films))


def _hide(picture: Image, camera: Camera) -> Image:
    """A sleeve before the face."""
    eyes = 0.62 * camera.zoom
    middle = (round(camera.column), round(camera.row + 0.5 * eyes))
    picture = picture.copy()
    cv2.ellipse(picture, middle, (round(5 * eyes), round(1.6 * eyes)), -55, 0, 360, (46, 52, 70), cv2.FILLED)
    return picture


def takes(folder: Path, people: int, frames: int, seed: int, which: Rig) -> list[Take]:
    """So many of :data:`PEOPLE`, each with so many frames."""
    return [Person(folder, name, frames, seed, which) for name in sorted(PEOPLE[:people])]
