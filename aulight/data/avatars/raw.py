"""Avatars as raw videos: whole pictures of moving people, each from two cameras at once, with labels beside them.

In the layout that ``aulight prepare data=folder data.source=<folder>/videos labels=<folder>/labels.csv
subjects=<folder>/subjects.csv`` reads.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from aulight.data.avatars.actions import AVATAR_AUS, Rig
from aulight.data.avatars.assets import install_assets
from aulight.data.avatars.camera import Camera
from aulight.data.avatars.scene import Scene, camera, performance
from aulight.data.video.write import write_video
from aulight.errors import AulightError
from aulight.facs import column
from aulight.files import whole_folder
from aulight.processes import Bar, worker_pool

FPS = 25.0
VIEWS = ("left", "right")
WIDEST = float(np.deg2rad(25))
"""The head does not turn further, radians."""


def view(seed: int, subject: int, number: int) -> Camera:
    """The camera of a view: the two stand some 30 degrees apart."""
    rng = np.random.default_rng([seed, subject, 20 + number])
    drawn = camera(rng, 48, 78)
    angle = (1 - 2 * number) * np.deg2rad(rng.uniform(9, 20))
    return Camera(drawn.distance, drawn.zoom, drawn.column, drawn.row, float(angle))


def _make(job: tuple[Path, int, int, int, Rig]) -> pd.DataFrame:
    """Write the videos of one person; the labels of one of them come back."""
    folder, seed, subject, frames, which = job
    for number, name in enumerate(VIEWS):
        scene = Scene(seed, subject, 0, frames, FPS, None, which, WIDEST)
        at = view(seed, subject, number)
        path = folder / f"P{subject:03d}_{name}.mp4"
        write_video(path, (scene.whole(frame, at, number) for frame in range(frames)), FPS, crf=20)
    acting, _ = performance(seed, subject, 0, frames, FPS, WIDEST)
    labels = np.round(acting.intensities).astype(int)
    return pd.DataFrame({"frame": np.arange(frames), **{column(au): labels[:, k] for k, au in enumerate(AVATAR_AUS)}})


def write_raw(
    out: Path, people: int, frames: int, seed: int = 0, which: Rig = "first", workers: int | None = None
) -> None:
    """Makes raw videos of 640x360: ``videos/P000_left.mp4``, ``P000_right.mp4`` ..., ``labels.csv``, ``subjects.csv``.

    Args:
        out: The folder; must not exist.
        people: How many.
        frames: Of each video.
        seed: Decides every pixel and label, whatever the number of workers.
        which: The rig that moves the faces.
        workers: Processes that draw and encode; as many as there are CPUs where not given.

    Raises:
        AulightError: If ``out`` exists, or the head cannot be had.
    """
    if out.exists():
        raise AulightError(f"{out}: already there; give another folder")
    install_assets()
    out.parent.mkdir(parents=True, exist_ok=True)
    with whole_folder(out) as folder:
        videos = folder / "videos"
        videos.mkdir()
        jobs = [(videos, seed, subject, frames, which) for subject in range(people)]
        labels, subjects = [], []
        with worker_pool(workers) as pool, Bar(people, "Filming avatars", "person") as bar:
            for subject, table in enumerate(pool.map(_make, jobs)):
                bar.update()
                for name in VIEWS:
                    video = f"P{subject:03d}_{name}"
                    labels.append(table.assign(video=video)[["video", *table.columns]])
                    subjects.append({"video": video, "subject": f"P{subject:03d}"})
        pd.concat(labels).to_csv(folder / "labels.csv", index=False)
        pd.DataFrame(subjects).to_csv(folder / "subjects.csv", index=False)
