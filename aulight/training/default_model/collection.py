"""The pictures that the default model learns from, drawn by several processes into files that are mapped to memory."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aulight.data.avatars.actions import AVATAR_AUS
from aulight.data.avatars.assets import install_assets
from aulight.data.avatars.portraits import PLACES, POINTS, TIMES, portraits
from aulight.errors import AulightError
from aulight.files import whole
from aulight.processes import Bar, worker_pool

PIXELS = 96
"""Side of the crops."""

EACH = PLACES * TIMES
"""Pictures of each person."""

STRICT = 1120
"""The first people, whose rig is as it was made; that of all others is looser."""

_AUS = len(AVATAR_AUS)
PARTS = {
    "intensities": slice(0, _AUS),
    "left": slice(_AUS, 2 * _AUS),
    "right": slice(2 * _AUS, 3 * _AUS),
    "points": slice(3 * _AUS, 3 * _AUS + 4 * POINTS),
    "others": slice(3 * _AUS + 4 * POINTS, 3 * _AUS + 4 * POINTS + 6),
}
"""Where in a row of what is known of a picture each part lies: :class:`aulight.data.avatars.portraits.Portraits`."""


class Collection:
    """Pictures of so many people in a folder; what is there of an earlier call is kept.

    Args:
        folder: Where they lie; made where it is not there.
        people: How many there may be.
        seed: Decides every pixel, whatever the number of workers.

    Attributes:
        pictures: ``(people, 48, 96, 96, 3)`` uint8 RGB.
        known: ``(people, 48, 226)`` float32, in :data:`PARTS`.
        there: ``(people,)`` uint8, who has been drawn.

    Raises:
        AulightError: When another collection lies there.
    """

    def __init__(self, folder: Path, people: int, seed: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._people, self.seed = folder, people, seed
        told = f"{people} people, seed {seed}, {PIXELS} pixels\n"
        note = folder / "collection.txt"
        if not note.is_file():
            with whole(note) as temporary:
                temporary.write_text(told, encoding="utf-8")
        elif note.read_text(encoding="utf-8") != told:
            raise AulightError(f"{folder}: another collection is there; give another folder")
        self.pictures = self._map("pictures", (people, EACH, PIXELS, PIXELS, 3), np.uint8)
        self.known = self._map("known", (people, EACH, PARTS["others"].stop), np.float32)
        self.there = self._map("there", (people,), np.uint8)

    def _map(self, name: str, shape: tuple[int, ...], kind: type[np.generic]) -> npt.NDArray[Any]:
        file = self._folder / f"{name}.bin"
        return np.memmap(file, kind, "r+" if file.is_file() else "w+", shape=shape)

    def draw(self, workers: int) -> None:
        """Draws who is not there yet; interrupted, the same call goes on with it."""
        install_assets()  # once, before many processes want it
        missing = np.flatnonzero(self.there == 0).tolist()
        jobs = [(self._folder, self._people, self.seed, subject) for subject in missing]
        with worker_pool(workers) as pool, Bar(len(jobs), "Drawing portraits", "person") as bar:
            for _ in pool.map(_one, jobs):
                bar.update()


def _one(job: tuple[Path, int, int, int]) -> None:
    folder, people, seed, subject = job
    into = Collection(folder, people, seed)
    drawn = portraits(seed, subject, PIXELS, loose=subject >= STRICT)
    into.pictures[subject] = drawn.pictures
    for name, part in PARTS.items():
        into.known[subject][:, part] = getattr(drawn, name).reshape(EACH, -1)
    into.there[subject] = 1
