"""Avatars as BP4D has its 41 people: at eight tasks, as pictures, five AUs coded in a stretch of them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aulight.data.avatars.actions import AVATAR_AUS, Rig
from aulight.data.avatars.raw import WIDEST, view
from aulight.data.avatars.rehearsal.film import write_codes, write_picture
from aulight.data.avatars.rehearsal.take import Codes, Take, acted
from aulight.data.avatars.scene import Scene
from aulight.data.sources.bp4d import UNKNOWN
from aulight.datasets import BP4D_AUS, BP4D_SUBJECTS, BP4D_TASKS
from aulight.files import whole_folder

FPS, FRAMES = 25, 448
"""Pictures a second; how many of a sequence are coded, on average: there are more before and after them."""

PEOPLE = tuple(sorted(BP4D_SUBJECTS, key=lambda subject: (subject[1:], subject)))
"""In an order in which a few of them are women and men, with odd and even numbers."""

MISSING = "M008"
"""Who is missing from some lists, and here."""

_FIRST = 2_000_000  # of the numbers of these avatars: unlike those of others
_SHORTEST, _LONGEST = 90, 768  # coded stretches
_AT_ONE = 118 / 328  # share of those that begin with picture 1


@dataclass(frozen=True)
class Sequence:
    """A person at a task.

    In two of three sequences the pictures' numbers begin anywhere; how names are padded differs. Of every fifth AU of
    a sequence a stretch is unknown.

    Attributes:
        folder: Of the dataset.
        name: Who of BP4D's subjects.
        task: Which of the tasks.
        mean: Coded frames of a sequence, on average; they go from a fifth of it to 1.7 times as many.
        seed: Of all avatars.
        which: The rig that moves the face.
    """

    folder: Path
    name: str
    task: str
    mean: int
    seed: int
    which: Rig

    @property
    def _who(self) -> tuple[int, int, int]:
        """Seed, person and which of their videos."""
        return self.seed, _FIRST + BP4D_SUBJECTS.index(self.name), int(self.task[1:])

    def numbers(self) -> tuple[range, range]:
        """Of all pictures, and of those that are coded."""
        rng = np.random.default_rng([*self._who, 40])
        coded = max(2, round(self.mean / FRAMES * float(np.clip(rng.normal(FRAMES, 150), _SHORTEST, _LONGEST))))
        first = 1 if rng.random() < _AT_ONE else int(rng.integers(2, 3000))
        before, after = (int(count) for count in rng.integers(0, max(1, round(0.3 * self.mean)), 2))
        return range(first - min(first - 1, before), first + coded + after), range(first, first + coded)

    @property
    def frames(self) -> int:
        """Pictures."""
        return len(self.numbers()[0])

    def codes(self) -> Codes:
        """What the label files say, ``(coded frames, 5)``: intensities, or 9."""
        every, coded = self.numbers()
        first = coded.start - every.start
        columns = [AVATAR_AUS.index(au) for au in BP4D_AUS]
        codes = acted(*self._who, len(every), FPS)[first : first + len(coded), columns]
        rng = np.random.default_rng([*self._who, 41])
        for column in codes.T:
            lost, start, share = rng.random() < 0.2, rng.uniform(0, 0.7), rng.uniform(0.05, 0.3)
            if lost:
                column[round(start * len(column)) : round((start + share) * len(column)) + 1] = UNKNOWN
        return codes

    def film(self, report: Callable[[int], None]) -> None:
        """Writes the pictures and the label files."""
        every, coded = self.numbers()
        for au, column in zip(BP4D_AUS, self.codes().T, strict=True):
            path = self.folder / "AU-Intensity-Codes3.0" / f"AU{au:02d}" / f"{self.name}_{self.task}_AU{au:02d}.csv"
            write_codes(path, coded, column)
        place = self.folder / "BP4D-training" / self.name / self.task
        if place.is_dir():
            report(self.frames)
            return
        scene = Scene(*self._who, len(every), FPS, None, self.which, WIDEST)
        camera = view(self.seed, self._who[1], 0)
        digits = int(np.random.default_rng([*self._who, 42]).choice([1, 4]))
        place.parent.mkdir(parents=True, exist_ok=True)
        with whole_folder(place) as made:
            for frame, number in enumerate(every):
                write_picture(made / f"{number:0{digits}d}.jpg", scene.whole(frame, camera))
                report(1)


def takes(folder: Path, people: int, frames: int, seed: int, which: Rig) -> list[Take]:
    """So many of :data:`PEOPLE`, but for :data:`MISSING`; so many coded frames in a sequence on average."""
    present = [name for name in PEOPLE[:people] if name != MISSING]
    return [Sequence(folder, name, task, frames, seed, which) for name in sorted(present) for task in BP4D_TASKS]
