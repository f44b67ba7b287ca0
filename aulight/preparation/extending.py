"""A dataset that is there: its new and changed raw videos, its labels and subjects."""

import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from tqdm import tqdm

from aulight.data.description import DatasetDescription
from aulight.data.faces.pose import BLENDSHAPES
from aulight.data.sources.raw import RawDataset, RawVideo
from aulight.data.store import BLENDSHAPE, SOURCE_COLUMNS, PreparedDataset
from aulight.data.video.digest import digest, stamp
from aulight.data.writer import StoreReviser, partial_folder, replace_labels
from aulight.errors import AulightError, VideoError, shorten
from aulight.files import whole
from aulight.preparation.describing import Made, describe
from aulight.preparation.recipe import SETTINGS, Recipe
from aulight.preparation.relabelling import Replaceable, placed, refuse_loss
from aulight.preparation.summary import Summary
from aulight.preparation.videos import make_videos, part_of, video_of


@dataclass
class Changes:
    """What is another in the raw videos than when a dataset was made.

    Attributes:
        new: Videos that it lacks, and that may be read.
        replaced: Videos that have another content under the same name.
        hopeless: Of videos that could not be read and have not changed since, the reason.
        sources: Of videos of the dataset what is to be remembered of them, by ``SOURCE_COLUMNS``.
        notes: What was odd, a line each.
    """

    new: list[RawVideo] = field(default_factory=list)
    replaced: list[RawVideo] = field(default_factory=list)
    hopeless: dict[str, str] = field(default_factory=dict)
    sources: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def extend(
    root: Path,
    raw: RawDataset,
    recipe: Recipe,
    landmarker: Path | None,
    on_error: Literal["raise", "skip"],
    workers: int | None,
    may: Replaceable,
) -> Summary:
    """Gives a finished dataset the videos, labels and subjects that its raw data have now.

    Until all of it is there, and whenever the process is killed before, the dataset is what it was.

    Args:
        root: The dataset's folder, which nobody else writes into now.
        raw: Its raw data.
        recipe: What it is made with from now on.
        landmarker: The landmarker's file.
        on_error: What to do with a raw video that cannot be read.
        workers: Processes; ``None``: one a CPU.
        may: What of its labels and subjects may go.

    Raises:
        AulightError: When it was made with other settings or from videos that are not there any more, or when labels or
            subjects would be lost.
    """
    data = PreparedDataset(root)
    recipe.refuse_other(root, data.meta.get("source") or {})
    _refuse_gone(data, raw, recipe)
    changes = _changes(data, raw)
    labels, notes = placed(data, raw)
    refuse_loss(data, labels, raw, recipe, may, {video.video_id for video in changes.replaced})
    folder, todo, skipped = partial_folder(root), changes.new + changes.replaced, dict[str, str]()
    if todo:
        folder.mkdir(exist_ok=True)
        recipe.leave_in(folder)
        skipped = make_videos(todo, folder, recipe, landmarker, on_error, workers)
    there = set(data.videos["video_id"])
    if kept := sorted(there & skipped.keys()):
        changes.notes += [f"{video}: the raw video was replaced, and stays as it was before" for video in kept]
        refuse_loss(data, labels, raw, recipe, may, {video.video_id for video in changes.replaced} - {*kept})
    meta = data.meta.copy()
    meta |= {"aus": list(raw.aus), "source": recipe.record(), "skipped": changes.hopeless | skipped}
    meta["skipped"] = {video: reason for video, reason in meta["skipped"].items() if video not in there}
    meta["skipped_stamps"] = stamps(raw, meta["skipped"])
    made = {video.video_id for video in todo if video.video_id not in skipped}
    if made:
        summary = _lengthen(data, raw, meta, made, changes, changes.hopeless | skipped)
    else:
        videos = _with_sources(data, raw, changes.sources)
        replace_labels(data, meta, labels, videos)
        faces = data.frames["face_confidence"] > 0
        summary = Summary(
            root,
            videos=len(videos),
            subjects=videos["subject"].nunique(),
            frames=len(faces),
            faceless=int((~faces).sum()),
            labelled=0 if labels is None else len(labels),
            skipped=changes.hopeless | skipped,
            notes=[*raw.notes, *changes.notes, *notes],
            was_there=True,
        )
    clear(root)
    return summary


def _refuse_gone(data: PreparedDataset, raw: RawDataset, recipe: Recipe) -> None:
    wanted = {video.video_id for video in raw.videos}
    if gone := sorted(set(data.videos["video_id"]) - wanted):
        raise AulightError(
            f"{data.root}: has videos that are not in {recipe.folder} ({shorten(gone, 3)}); "
            "put them back, or give another data.name= for the others"
        )


def _changes(data: PreparedDataset, raw: RawDataset) -> Changes:
    """Looks at the raw videos: at their size and time first, and at their content where these have changed."""
    there = {str(row["video_id"]): row for row in data.videos.to_dict("records")}
    skipped, stamps = data.meta.get("skipped", {}), data.meta.get("skipped_stamps", {})
    found, unknown = Changes(), list[str]()
    for video in tqdm(raw.videos, desc="Looking at raw videos", unit="video", delay=2):
        name = video.video_id
        try:
            size_and_time = stamp(video.path)
            if name not in there:
                if name in skipped and stamps.get(name) == [*size_and_time]:
                    found.hopeless[name] = skipped[name]
                else:
                    found.new.append(video)
                continue
            known = [there[name].get(column) for column in SOURCE_COLUMNS]
            if pd.isna(known[0]):
                unknown.append(name)
                known = [None, None, None]
            if known[1:] != [*size_and_time]:
                now = digest(video.path)
                if known[0] not in (None, now):
                    found.replaced.append(video)
                    continue
                known = [now, *size_and_time]
            found.sources[name] = dict(zip(SOURCE_COLUMNS, known, strict=True))
        except VideoError as error:
            if name not in there:
                found.new.append(video)  # which says again why it cannot be read
            else:
                found.notes.append(f"{name}: stays as it is ({error})")
    if unknown:
        found.notes.append(
            f"the content of {len(unknown)} videos is remembered from now on; whether they were replaced before, "
            "nothing tells"
        )
    return found


def stamps(raw: RawDataset, skipped: Mapping[str, str]) -> dict[str, list[int]]:
    """Of videos that cannot be read, by what to know when they have changed."""
    stamps = dict[str, list[int]]()
    for video in raw.videos:
        if video.video_id in skipped:
            try:
                stamps[video.video_id] = [*stamp(video.path)]
            except VideoError:
                continue
    return stamps


def _with_sources(data: PreparedDataset, raw: RawDataset, sources: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """The table of videos with the subjects of the raw data, and what is known of the raw videos."""
    names = data.videos["video_id"]
    videos = data.videos.assign(subject=names.map({video.video_id: video.subject for video in raw.videos}))
    for column, kind in zip(SOURCE_COLUMNS, ("string", "Int64", "Int64"), strict=True):
        known = videos[column] if column in videos else pd.Series(pd.NA, videos.index)
        now = names.map({name: source[column] for name, source in sources.items()})
        videos[column] = now.where(names.isin(list(sources)), known).astype(kind)
    return videos


def _lengthen(
    data: PreparedDataset,
    raw: RawDataset,
    meta: DatasetDescription,
    made: set[str],
    changes: Changes,
    skipped: Mapping[str, str],
) -> Summary:
    """Puts the videos that were made now beside the others, and describes all of them."""
    folder, root = partial_folder(data.root), data.root
    there = {str(row["video_id"]): row for row in data.videos.to_dict("records")}
    taken = set(data.videos["path"])
    revision = data.meta.get("revision", 0) + 1

    def of_all() -> Iterator[Made]:
        for video in raw.videos:
            name = video.video_id
            if name in made:
                path = f"videos/{name}.mp4"
                path = f"videos/{name}~{revision}.mp4" if path in taken else path  # who reads the old one still can
                _put(video_of(folder, name), root / path)
                yield Made(video, pd.read_parquet(part_of(folder, name)), path)
            elif name in there:
                yield Made(video, _part(data, there[name], changes.sources.get(name)), str(there[name]["path"]))

    replaced = [video.video_id for video in changes.replaced if video.video_id in made]
    notes = list(changes.notes)
    if replaced:
        notes.append(
            f"prepared anew, since the raw videos were replaced under their names: {shorten(replaced)}; "
            "see that their labels belong to the new ones"
        )
    with StoreReviser(data, meta) as store:
        return describe(store, of_all(), raw, skipped, notes)


def _part(data: PreparedDataset, video: Mapping[str, Any], source: Mapping[str, Any] | None) -> pd.DataFrame:
    """The table of a video of a finished dataset, as it was when it was made."""
    source = source or {column: video[column] for column in SOURCE_COLUMNS if column in video}
    columns = {"source_frame": "number", "time_s": "time_s", "face_confidence": "face_confidence"}
    columns |= {f"{BLENDSHAPE}{name}": name for name in BLENDSHAPES}
    table = data.frames_of(video["video_id"]).rename(columns=columns)
    return table.drop(columns=["video_id", "frame"]).assign(fps=video["fps"], **source)


def _put(path: Path, place: Path) -> None:
    """Gives a prepared video a second name, under which it is there whole or not at all."""
    with whole(place) as copy:
        try:
            copy.hardlink_to(path)
        except OSError:  # a file system without links
            shutil.copyfile(path, copy)


def clear(root: Path) -> None:
    """Removes what was left while a dataset was made that is there now, and videos that it has no more.

    Args:
        root: Its folder, which nobody else writes into now.
    """
    if (root / SETTINGS).is_file():  # it has just got its name
        shutil.rmtree(root / "parts", ignore_errors=True)
        (root / SETTINGS).unlink()
    folder = partial_folder(root)
    if not folder.is_dir():
        return
    used = {Path(path).name for path in PreparedDataset(root).videos["path"]}
    made = {path.stem for path in (folder / "videos").glob("*.mp4")}
    for path in (root / "videos").glob("*.mp4"):
        if path.name not in used and re.sub(r"~[0-9]+$", "", path.stem) in made:
            path.unlink()
    shutil.rmtree(folder)
