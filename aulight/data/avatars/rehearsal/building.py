"""Films a dataset's people, side by side, and gives the folder its name when it is whole."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from aulight.data.avatars.actions import Rig
from aulight.data.avatars.assets import install_assets
from aulight.data.avatars.rehearsal import bp4d, disfa, others
from aulight.data.avatars.rehearsal.take import Take
from aulight.data.writer import partial_folder
from aulight.errors import AulightError
from aulight.files import alone, rename_flushed
from aulight.foreign.yaml import read_yaml, write_yaml
from aulight.processes import Bar
from aulight.workers.crew import Report
from aulight.workers.local import local
from aulight.workers.pump import pump

_RECIPE, _VERSION = ".recipe.yaml", 1  # hidden: what reads the folder passes it over


@dataclass(frozen=True)
class Kind:
    """A dataset that is rehearsed.

    Attributes:
        takes: What is to be filmed, by folder, people, frames, seed and rig.
        people: How many there are.
        frames: Of a video.
        most: How many people there can be.
    """

    takes: Callable[[Path, int, int, int, Rig], Sequence[Take]]
    people: int
    frames: int
    most: int


KINDS = {
    "disfa": Kind(disfa.takes, len(disfa.PEOPLE), disfa.FRAMES, len(disfa.PEOPLE)),
    "bp4d": Kind(bp4d.takes, len(bp4d.PEOPLE), bp4d.FRAMES, len(bp4d.PEOPLE)),
    "others": Kind(others.takes, others.PEOPLE, others.FRAMES, 100_000),
}
LEAST_FRAMES = 10


def rehearse(
    out: Path,
    kind: str,
    people: int | None = None,
    frames: int | None = None,
    seed: int = 0,
    which: Rig = "first",
    workers: int | None = None,
) -> None:
    """Makes raw data in a dataset's layout, unless they are there.

    Interrupted, it leaves its whole files beside ``out``, hidden, and the same call goes on with them.

    Args:
        out: Their folder.
        kind: One of :data:`KINDS`.
        people: How many; as many as the dataset has where not given.
        frames: Of a video; likewise.
        seed: Decides every pixel and label, whatever the number of workers.
        which: The rig that moves the faces.
        workers: Processes that draw and encode; as many as there are CPUs where not given.

    Raises:
        AulightError: For numbers that cannot be, when something else is at ``out``, another process is making it, or
            the head cannot be had.
    """
    known = KINDS[kind]
    people, frames = known.people if people is None else people, known.frames if frames is None else frames
    if not 1 <= people <= known.most:
        raise AulightError(f"--people {people}: {kind} has from 1 to {known.most}")
    if frames < LEAST_FRAMES:
        raise AulightError(f"--frames {frames}: at least {LEAST_FRAMES} are needed")
    recipe = {"kind": kind, "people": people, "frames": frames, "seed": seed, "rig": which, "version": _VERSION}
    out.parent.mkdir(parents=True, exist_ok=True)
    with alone(out, f"{out}: another process is making it"):
        if out.exists() or out.is_symlink():
            if not _is_of(out, recipe):
                raise AulightError(f"{out}: already there, and not what is asked for; give another folder")
            return
        install_assets()  # once, before many processes want it
        folder = partial_folder(out)
        if folder.exists() and not _is_of(folder, recipe):
            shutil.rmtree(folder)
        folder.mkdir(exist_ok=True)
        write_yaml(recipe, folder / _RECIPE)
        takes = known.takes(folder, people, frames, seed, which)
        with (
            Bar(sum(take.frames for take in takes), "Filming avatars", "frame") as bar,
            pump(takes, _begin, (), local(workers), bar) as done,
        ):
            for _ in done:
                pass
        rename_flushed(folder, out)


def _is_of(folder: Path, recipe: dict[str, object]) -> bool:
    return (folder / _RECIPE).is_file() and read_yaml(folder / _RECIPE) == recipe


def _begin(_: int) -> Callable[[Take, Report], None]:
    return lambda take, report: take.film(report)
