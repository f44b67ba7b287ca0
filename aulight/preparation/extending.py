"""A dataset that is there as the beginning of a larger one."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aulight.data.faces.pose import BLENDSHAPES
from aulight.data.sources.raw import RawDataset, RawVideo
from aulight.data.store import BLENDSHAPE, PreparedDataset
from aulight.data.writer import partial_folder
from aulight.errors import AulightError, shorten
from aulight.files import write_table
from aulight.preparation.recipe import Recipe
from aulight.preparation.videos import part_of, video_of


def lacks_videos(data: PreparedDataset, raw: RawDataset, recipe: Recipe) -> bool:
    """Whether there are raw videos that a dataset lacks, and that may be read.

    Those that could not be read are tried again once they have changed.

    Raises:
        AulightError: When the dataset was made with other settings, or from videos that are not there any more.
    """
    recipe.refuse_other(data.root, data.meta.get("source", {}))
    there, wanted = set(data.videos["video_id"]), {video.video_id for video in raw.videos}
    if gone := sorted(there - wanted):
        raise AulightError(
            f"{data.root}: has videos that are not in {recipe.folder} ({shorten(gone, 3)}); "
            "put them back, or give another data.root= for the others"
        )
    made_s = (data.root / "dataset.yaml").stat().st_mtime
    skipped = data.meta.get("skipped", {})
    hopeless = {video.video_id for video in raw.videos if video.video_id in skipped and _changed_s(video) < made_s}
    return bool(wanted - there - hopeless)


def _changed_s(video: RawVideo) -> float:
    """When the file, folder or zip file of a video was last changed."""
    return next(path for path in (video.path, *video.path.parents) if path.exists()).stat().st_mtime


def take_over(data: PreparedDataset, recipe: Recipe) -> None:
    """Lays the videos of a finished dataset where a new one is made, as if they had just been read.

    Raises:
        AulightError: When there is the beginning of one that was made with other settings.
    """
    folder = partial_folder(data.root)
    folder.mkdir(exist_ok=True)
    recipe.leave_in(folder)
    columns = {"source_frame": "number", "time_s": "time_s", "face_confidence": "face_confidence"}
    columns |= {f"{BLENDSHAPE}{name}": name for name in BLENDSHAPES}
    videos: Iterable[Any] = data.videos.itertuples()
    for row, video in enumerate(videos):
        name = str(video.video_id)
        part, copy = part_of(folder, name), video_of(folder, name)
        if part.is_file():
            continue
        for path in (part, copy):
            path.parent.mkdir(exist_ok=True)
        _link(data.path(row), copy)
        table = data.frames_of(name).rename(columns=columns)
        write_table(table.drop(columns=["video_id", "frame"]).assign(fps=video.fps), part)


def _link(path: Path, copy: Path) -> None:
    copy.unlink(missing_ok=True)
    try:
        copy.hardlink_to(path)
    except OSError:  # a file system without links
        shutil.copyfile(path, copy)
