"""Avatars as a prepared dataset: one video is one subject, cut out as ``prepare`` cuts out faces.

What a network must learn is there (:mod:`aulight.data.avatars.actions`, :mod:`aulight.data.avatars.wrinkles`), and what
it must learn to ignore as well: who it is, pose, gaze, blinks, speech, light, glasses, the camera and h264.
"""

import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt

from aulight.data.alignment import Alignment
from aulight.data.avatars.actions import AVATAR_AUS, Rig
from aulight.data.avatars.assets import install_assets
from aulight.data.avatars.scene import Scene, performance
from aulight.data.description import DatasetDescription
from aulight.data.synthetic.dataset import FPS, Size
from aulight.data.video.write import write_video
from aulight.data.writer import StoreWriter, partial_folder
from aulight.errors import AulightError
from aulight.foreign.yaml import read_yaml, write_yaml
from aulight.processes import Bar, worker_pool

_RECIPE = "recipe.yaml"
_VERSION = 1  # of the pictures: an interrupted dataset of another is not gone on with


SIZES: dict[str, Size] = {
    "smoke": Size(pixels=64, frames=48, unlabelled=6, train=4, validation=2, test=2),
    "default": Size(pixels=80, frames=160, unlabelled=500, train=48, validation=20, test=40),
    "large": Size(pixels=128, frames=320, unlabelled=3000, train=300, validation=60, test=120),
}


def _make(job: tuple[Path, int, int, Size, Rig]) -> npt.NDArray[np.int8]:
    """Write one video, unless it is there; its labels ``(frames, 20)`` come back."""
    path, seed, subject, size, which = job
    if path.is_file():  # whole, of an interrupted run
        acting, _ = performance(seed, subject, 0, size.frames, FPS)
    else:
        scene = Scene(seed, subject, 0, size.frames, FPS, size.pixels, which)
        acting = scene.acting
        write_video(path, (scene.crop(frame) for frame in range(size.frames)), FPS, crf=20)
    return np.round(acting.intensities).astype(np.int8)


def generate(
    root: Path, size: str = "default", seed: int = 0, which: Rig = "first", workers: int | None = None
) -> None:
    """Make avatars as a prepared dataset, with a column ``split`` in ``videos.parquet``.

    One video per subject, so that no subject is in two splits; the unlabelled split has no rows in ``labels.parquet``.
    Interrupted, it leaves its whole videos beside ``root``, hidden, and the same call goes on with them.

    Args:
        root: Folder of the dataset; must not exist.
        size: A key of ``SIZES``.
        seed: Decides every pixel and label, whatever the number of workers.
        which: The rig that moves the faces.
        workers: Processes that draw and encode; as many as there are CPUs where not given.

    Raises:
        AulightError: If the size is unknown, ``root`` exists, or the head cannot be had.
    """
    if size not in SIZES:
        raise AulightError(f"size={size}: no such size of the avatars; choose one of {', '.join(SIZES)}")
    install_assets()  # once, before many processes want it
    chosen = SIZES[size]
    splits = chosen.splits()
    names = [f"{split}_{index:05d}" for index, split in enumerate(splits)]
    source = {"generator": "aulight.data.avatars", "size": size, "seed": seed, "rig": which, "version": _VERSION}
    meta: DatasetDescription = {
        "name": "avatars",
        "aus": list(AVATAR_AUS),
        "fps": FPS,
        "crop_size": chosen.pixels,
        "alignment": Alignment.TEMPLATE.value,
        "source": source,
    }
    begun = partial_folder(root) / _RECIPE
    if begun.is_file() and read_yaml(begun) != source:
        shutil.rmtree(begun.parent)
    with StoreWriter(root, meta, resume=True) as store:
        recipe = store.folder / _RECIPE
        write_yaml(source, recipe)
        jobs = [(store.videos / f"{name}.mp4", seed, index, chosen, which) for index, name in enumerate(names)]
        with worker_pool(workers) as pool, Bar(len(jobs), "Drawing avatars", "video") as bar:
            for index, labels in enumerate(pool.map(_make, jobs)):
                bar.update()
                store.add(
                    video_id=names[index],
                    subject=f"A{index:05d}",
                    fps=FPS,
                    source_frame=np.arange(chosen.frames),
                    face_confidence=np.ones(chosen.frames, np.float32),
                    labels=None if splits[index] == "unlabelled" else dict(zip(AVATAR_AUS, labels.T, strict=True)),
                    split=splits[index],
                )
        recipe.unlink()
