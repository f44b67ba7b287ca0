"""Raw videos, each read once, to a prepared dataset of aligned faces."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pandas as pd

from aulight.data.alignment import Alignment
from aulight.data.description import DESCRIPTION, DatasetDescription, is_store
from aulight.data.faces.model_file import digest_of_another, model_file
from aulight.data.revising import settle
from aulight.data.sources import reading
from aulight.data.sources.raw import RawDataset
from aulight.data.writer import StoreWriter, give_name, partial_folder
from aulight.errors import AulightError
from aulight.files import alone
from aulight.preparation.changes import remembered, stamps
from aulight.preparation.describing import Made, describe
from aulight.preparation.extending import clear, extend
from aulight.preparation.recipe import Recipe
from aulight.preparation.relabelling import NOTHING, Replaceable
from aulight.preparation.summary import Summary
from aulight.preparation.twins import digests_of_likely, of_one_subject
from aulight.preparation.videos import digests_in, make_videos, part_of
from aulight.workers.hiring import HERE, Workers


def prepare_dataset(
    root: Path,
    name: str,
    recipe: Recipe,
    landmarker: Path | None = None,
    on_error: Literal["raise", "skip"] = "raise",
    workers: Workers = HERE,
    may: Replaceable = NOTHING,
    apart: Collection[Path] = (),
) -> Summary:
    """Prepares a dataset, or what is left of it; one that is there gets new videos, and other labels and subjects.

    Args:
        root: The dataset's folder.
        name: What it is called.
        recipe: What it is made with.
        landmarker: ``face_landmarker.task``; ``None``: the one in the cache.
        on_error: What to do with a raw video that cannot be read.
        workers: Who makes the videos.
        may: What of the labels and subjects of a dataset that is there may go.
        apart: Folders of prepared datasets, which are no raw data wherever they lie.

    Raises:
        AulightError: For raw data that are not laid out as expected, when the dataset was made with another recipe or
            another process is making it.
    """
    if recipe.finding is not None:
        landmarker = model_file(landmarker)  # before hours of work, not after
        recipe = replace(recipe, landmarker=digest_of_another(landmarker))
    raw = reading.read(recipe.format, recipe.folder, recipe.labels or (), recipe.subjects, apart, **recipe.reader)
    root.parent.mkdir(parents=True, exist_ok=True)
    with alone(root, f"{root}: another process is preparing it"):
        _restore(root)
        if not root.exists():
            return _make(root, name, raw, recipe, landmarker, on_error, workers)
        if not any((root / name).is_file() for name in (DESCRIPTION, "videos.parquet")):
            raise AulightError(f"{root}: is there and no prepared dataset; give another data.name= or data.root=")
        settle(root)
        return extend(root, raw, recipe, landmarker, on_error, workers, may)


def _restore(root: Path) -> None:
    """Gives a dataset its name that a killed process had not given it yet.

    0.1.0 took it away before it gave it to a longer one.
    """
    before = root.with_name(f".{root.name}.old")
    if not root.exists() and is_store(before):
        before.rename(root)
    if not root.exists() and is_store(partial_folder(root)):
        give_name(root)


def _make(
    root: Path,
    name: str,
    raw: RawDataset,
    recipe: Recipe,
    landmarker: Path | None,
    on_error: Literal["raise", "skip"],
    workers: Workers,
) -> Summary:
    """Prepares a dataset that is not there yet."""
    meta: DatasetDescription = {
        "name": name,
        "aus": list(raw.aus),
        "crop_size": recipe.crop_size,
        "alignment": (Alignment.AS_THEY_CAME if recipe.finding is None else Alignment.TEMPLATE).value,
        "source": recipe.record(),
    }
    of_one_subject(raw.videos, digests_of_likely(raw.videos))  # what is wrong is said before hours of work
    with StoreWriter(root, meta, resume=True) as store:
        recipe.leave_in(store.folder)
        skipped = make_videos(raw.videos, store.folder, recipe, landmarker, on_error, workers)
        used = [video for video in raw.videos if video.video_id not in skipped]
        if not used:
            reasons = "; ".join(list(skipped.values())[:3])
            raise AulightError(f"{recipe.folder}: none of its {len(raw.videos)} videos could be read ({reasons})")
        used, twins = of_one_subject(used, {v.video_id: digests_in(part_of(store.folder, v.video_id)) for v in used})
        names = {video.video_id for video in used}
        for path in store.videos.iterdir():
            if path.stem not in names:  # of an earlier try, when there were other videos
                path.unlink()
        made = (Made(video, pd.read_parquet(part_of(store.folder, video.video_id))) for video in used)
        summary = describe(store, made, raw, skipped, twins)
        unread = remembered(skipped)
        store.meta |= {"skipped": unread, "skipped_stamps": stamps(raw, unread)}
    clear(root)
    return summary
