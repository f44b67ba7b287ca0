"""Avatars as Aff-Wild2 has people: in videos from anywhere, without labels."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from aulight.data.avatars.actions import Rig
from aulight.data.avatars.raw import WIDEST
from aulight.data.avatars.rehearsal.film import film
from aulight.data.avatars.rehearsal.take import Take
from aulight.data.avatars.scene import Scene

PEOPLE, FRAMES = 100, 600
"""Where nothing else is asked for, fewer than Aff-Wild2 has; frames of a video, on average."""

_FIRST = 3_000_000  # of the numbers of these avatars: unlike those of others
_SIZES = ((640, 360), (480, 360), (320, 180), (1280, 720))
_RATES = (Fraction(15), Fraction(24), Fraction(25), Fraction(30_000, 1001), Fraction(30))


@dataclass(frozen=True)
class Video:
    """A person in a video of any size, rate, length and format.

    Attributes:
        folder: Of the dataset.
        number: Which video.
        mean: Frames of a video, on average; they go from a third of it to three times as many.
        seed: Of all avatars.
        which: The rig that moves the face.
    """

    folder: Path
    number: int
    mean: int
    seed: int
    which: Rig

    def _drawn(self) -> tuple[int, Path, tuple[int, int], Fraction]:
        """How many frames, in which file, of which size, at which rate."""
        rng = np.random.default_rng([self.seed, _FIRST + self.number, 40])
        frames = max(2, round(self.mean * float(np.clip(rng.gamma(2.0, 0.5), 1 / 3, 3))))
        size, rate = _SIZES[rng.integers(len(_SIZES))], _RATES[rng.integers(len(_RATES))]
        name = (
            f"batch1/{self.number}-30-{size[0]}x{size[1]}.mp4", f"batch2/video{self.number}.avi",
            f"new_vids/{self.number}.mp4",
        )[self.number % 3]  # fmt: skip
        return frames, self.folder / name, size, rate

    @property
    def frames(self) -> int:
        """Of the video."""
        return self._drawn()[0]

    def film(self, report: Callable[[int], None]) -> None:
        """Writes the video."""
        frames, path, size, rate = self._drawn()
        if path.is_file():
            report(frames)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        scene = Scene(self.seed, _FIRST + self.number, 0, frames, float(rate), None, self.which, WIDEST)
        with film(path, rate) as add:
            for frame in range(frames):
                picture = scene.whole(frame, scene.camera)
                if size == (480, 360):
                    picture = picture[:, 80:560]
                add(np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8))
                report(1)


def takes(folder: Path, people: int, frames: int, seed: int, which: Rig) -> list[Take]:
    """Videos of so many others, one each, of so many frames on average."""
    return [Video(folder, number, frames, seed, which) for number in range(people)]
