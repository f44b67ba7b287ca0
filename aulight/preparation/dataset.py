"""Raw videos, each read once, to a prepared dataset of aligned faces."""

import shutil
from collections import Counter
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout

from aulight.data.alignment import Alignment
from aulight.data.faces.following import about_following
from aulight.data.faces.model_file import model_file
from aulight.data.faces.pose import BLENDSHAPES
from aulight.data.sources import reading
from aulight.data.sources.placing import place_labels
from aulight.data.sources.raw import RawDataset
from aulight.data.store import DatasetDescription, PreparedDataset
from aulight.data.writer import StoreWriter, label_rows
from aulight.errors import AulightError, shorten
from aulight.preparation.extending import lacks_videos, take_over
from aulight.preparation.recipe import SETTINGS, Recipe
from aulight.preparation.relabelling import relabel
from aulight.preparation.summary import Summary
from aulight.preparation.videos import FOLLOWING, SHOWN, make_videos, part_of


def prepare_dataset(
    root: Path,
    name: str,
    recipe: Recipe,
    landmarker: Path | None = None,
    on_error: Literal["raise", "skip"] = "raise",
    workers: int | None = None,
) -> Summary:
    """Prepares a dataset, or what is left of it; one that is there gets new videos, and other labels and subjects.

    Args:
        root: The dataset's folder.
        name: What it is called.
        recipe: What it is made with.
        landmarker: ``face_landmarker.task``; ``None``: the one in the cache.
        on_error: What to do with a raw video that cannot be read.
        workers: Processes; ``None``: one a CPU.

    Raises:
        AulightError: For raw data that are not laid out as expected, when the dataset was made with another recipe or
            another process is making it.
    """
    if recipe.finding is not None:
        landmarker = model_file(landmarker)  # before hours of work, not after
    raw = reading.read(recipe.format, recipe.folder, recipe.labels or (), recipe.subjects, **recipe.reader)
    root.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(root.with_name(f".{root.name}.lock"))
    try:
        with lock.acquire(timeout=0):
            there = PreparedDataset(root) if root.exists() else None
            if there is not None and not lacks_videos(there, raw, recipe):
                summary = relabel(there, raw, recipe)
            else:
                if there is not None:
                    take_over(there, recipe)
                meta = _meta(name, raw, recipe)
                with StoreWriter(root, meta, resume=True, replace=there is not None) as store:
                    recipe.leave_in(store.folder)
                    skipped = make_videos(raw.videos, store.folder, recipe, landmarker, on_error, workers)
                    summary = _put_together(store, raw, recipe, skipped)
    except Timeout as error:
        raise AulightError(f"{root}: another process is preparing it") from error
    Path(lock.lock_file).unlink(missing_ok=True)
    return summary


def _meta(name: str, raw: RawDataset, recipe: Recipe) -> DatasetDescription:
    return {
        "name": name,
        "aus": list(raw.aus),
        "crop_size": recipe.crop_size,
        "alignment": (Alignment.AS_THEY_CAME if recipe.finding is None else Alignment.TEMPLATE).value,
        "source": recipe.record(),
    }


def _put_together(store: StoreWriter, raw: RawDataset, recipe: Recipe, skipped: dict[str, str]) -> Summary:
    """Describes all videos that could be read, and leaves nothing beside them."""
    used = [video for video in raw.videos if video.video_id not in skipped]
    if not used:
        reasons = "; ".join(list(skipped.values())[:3])
        raise AulightError(f"{recipe.folder}: none of its {len(raw.videos)} videos could be read ({reasons})")
    notes, rates, faceless = list(raw.notes), list[float](), list[str]()
    followed = Counter[str]()
    frames = without = labelled = 0
    for video in used:
        part = pd.read_parquet(part_of(store.folder, video.video_id))
        numbers, times = part["number"].to_numpy(), part["time_s"].to_numpy()
        confidence = part["face_confidence"].to_numpy()
        labels, about = place_labels(video, numbers, times)
        notes += about
        following = {}
        if recipe.finding is not None:
            following = {name: int(part[name].to_numpy()[0]) if name in part else 0 for name in FOLLOWING}
        unseen = int((confidence == 0).sum()) - following.get(FOLLOWING[0], 0)
        if unseen > len(part) / 2:
            faceless.append(f"{video.video_id} ({unseen / len(part):.0%})")
        rates.append(float(part["fps"].to_numpy()[0]))
        scores = {name: part[name].to_numpy() for name in BLENDSHAPES if name in part}
        columns = {**video.columns, **following}
        store.add(video.video_id, video.subject, rates[-1], numbers, confidence, times, labels, scores, **columns)
        frames += len(part)
        without += unseen
        followed.update(following)
        labelled += 0 if labels is None else len(label_rows(video.video_id, labels))
    if faceless:
        notes.append(f"no face found in more than half of the frames of {shorten(faceless)}")
    notes += about_following(followed[FOLLOWING[0]], followed[FOLLOWING[1]], SHOWN)
    store.meta |= {"fps": float(np.median(rates)), "skipped": skipped}
    names = {video.video_id for video in used}
    for path in store.videos.iterdir():
        if path.stem not in names:  # of an earlier try, when there were other videos
            path.unlink()
    shutil.rmtree(store.folder / "parts")
    (store.folder / SETTINGS).unlink()
    subjects = len({video.subject for video in used})
    return Summary(store.root, len(used), subjects, frames, without, labelled, skipped, notes)
