"""Synthetic faces with known action-unit intensities: the embedded dataset, drawn by code alone.

One video is one subject. What a network must learn is there (:mod:`aulight.data.synthetic.motion` and
:mod:`aulight.data.synthetic.face`), and what it must learn to ignore as well: who it is, head pose, gaze, blinks,
movements that are not coded, light, sensor noise and h264.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from aulight.data.alignment import Alignment
from aulight.data.description import DatasetDescription
from aulight.data.synthetic.face import draw
from aulight.data.synthetic.looks import identity, view_of
from aulight.data.synthetic.motion import DISTRACTIONS, UNCODED, expressions, play
from aulight.data.synthetic.sketch import Image, Sketch
from aulight.data.video.write import write_video
from aulight.data.writer import StoreWriter
from aulight.datasets import DISFA_AUS
from aulight.errors import AulightError
from aulight.processes import Bar, worker_pool

FPS = 25.0


@dataclass(frozen=True)
class Size:
    """How much data to make: crop side in pixels, frames of each video, and videos of each split."""

    pixels: int
    frames: int
    unlabelled: int
    train: int
    validation: int
    test: int

    def splits(self) -> list[str]:
        """Split of each video, in the order in which they are made."""
        names = ("unlabelled", "train", "validation", "test")
        return [name for name in names for _ in range(getattr(self, name))]


SIZES: dict[str, Size] = {
    "smoke": Size(pixels=64, frames=60, unlabelled=12, train=6, validation=3, test=3),
    "default": Size(pixels=64, frames=160, unlabelled=500, train=48, validation=20, test=40),
    "large": Size(pixels=112, frames=320, unlabelled=3000, train=300, validation=60, test=120),
}


def render_video(
    seed: int | Sequence[int], pixels: int = 64, frames: int = 160, fps: float = FPS
) -> tuple[Image, npt.NDArray[np.float32]]:
    """One subject's video and the intensities that it shows.

    Args:
        seed: The subject; the same seed gives the same video.
        pixels: Side of the square crop.
        frames: Length of the video.
        fps: Frames a second.

    Returns:
        Frames ``(frames, pixels, pixels, 3)`` uint8 RGB, and continuous intensities ``(frames, 12)`` float32
        in 0..5 of :data:`~aulight.datasets.DISFA_AUS` in that order. Labels are these, rounded.
    """
    rng = np.random.default_rng(seed)
    who = identity(rng)
    intensities = expressions(rng, frames, fps)
    uncoded = play(rng, DISTRACTIONS, UNCODED, frames, fps)
    view = view_of(rng, frames, fps)
    sketch = Sketch(view, pixels)
    draw(who, intensities, uncoded, sketch)
    noise = rng.standard_normal((frames, pixels, pixels, 3), dtype=np.float32) * np.float32(view.noise)
    return sketch.render(who.backdrop, noise), intensities.astype(np.float32)


def _make(job: tuple[Path, tuple[int, int], Size]) -> npt.NDArray[np.int8]:
    """Write one video; its labels ``(frames, 12)`` come back."""
    path, seed, size = job
    frames, intensities = render_video(seed, size.pixels, size.frames)
    write_video(path, frames, FPS, crf=23)
    return np.round(intensities).astype(np.int8)


def generate(root: Path, size: str = "default", seed: int = 0, workers: int | None = None) -> None:
    """Make the synthetic dataset as a prepared dataset, with a column ``split`` in ``videos.parquet``.

    One video per subject, so that no subject is in two splits; the unlabelled split has no rows in
    ``labels.parquet``. Interrupted, it leaves nothing behind under ``root``.

    Args:
        root: Folder of the dataset; must not exist.
        size: A key of ``SIZES``.
        seed: Decides every pixel and label, whatever the number of workers.
        workers: Processes that draw and encode; as many as there are CPUs where not given.

    Raises:
        AulightError: If the size is unknown or ``root`` exists.
    """
    if size not in SIZES:
        raise AulightError(f"size={size}: no such size of the synthetic dataset; choose one of {', '.join(SIZES)}")
    chosen = SIZES[size]
    splits = chosen.splits()
    names = [f"{split}_{index:05d}" for index, split in enumerate(splits)]
    meta: DatasetDescription = {
        "name": "synthetic",
        "aus": list(DISFA_AUS),
        "fps": FPS,
        "crop_size": chosen.pixels,
        "alignment": Alignment.DRAWN.value,
        "source": {"generator": "aulight.data.synthetic", "size": size, "seed": seed},
    }
    with StoreWriter(root, meta) as store:
        jobs = [(store.videos / f"{name}.mp4", (seed, index), chosen) for index, name in enumerate(names)]
        with worker_pool(workers) as pool, Bar(len(jobs), "Drawing synthetic faces", "video") as bar:
            for index, labels in enumerate(pool.map(_make, jobs)):
                bar.update()
                store.add(
                    video_id=names[index],
                    subject=f"S{index:05d}",
                    fps=FPS,
                    source_frame=np.arange(chosen.frames),
                    face_confidence=np.ones(chosen.frames, np.float32),
                    labels=None if splits[index] == "unlabelled" else dict(zip(DISFA_AUS, labels.T, strict=True)),
                    split=splits[index],
                )
