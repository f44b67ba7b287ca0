"""A dataset that is there: its new and changed raw videos, its labels and subjects."""

import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, cast

import pandas as pd

from aulight.data.contents import shown
from aulight.data.description import DatasetDescription, Plain
from aulight.data.faces.pose import BLENDSHAPES
from aulight.data.noted import DIGESTS, FOLLOWING, NOTED, SOURCE_COLUMNS
from aulight.data.revising import StoreReviser, replace_labels
from aulight.data.sources.raw import RawDataset
from aulight.data.store import BLENDSHAPE, PreparedDataset
from aulight.data.writer import notes_of, partial_folder
from aulight.datasets import DIGITS
from aulight.errors import AulightError, shorten, shorten_lines
from aulight.preparation.changes import Changes, look, remembered, stamps
from aulight.preparation.describing import Made, counted, describe, of_following
from aulight.preparation.recipe import SETTINGS, Recipe
from aulight.preparation.relabelling import Replaceable, placed, refuse_loss
from aulight.preparation.summary import Summary
from aulight.preparation.twins import digests_of_likely, of_one_subject
from aulight.preparation.upgrading import drop_unused, upgraded
from aulight.preparation.videos import digests_in, make_videos, part_of, video_of
from aulight.workers.hiring import Workers


def extend(
    root: Path,
    raw: RawDataset,
    recipe: Recipe,
    landmarker: Path | None,
    on_error: Literal["raise", "skip"],
    workers: Workers,
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
        workers: Who makes the videos.
        may: What of its labels and subjects may go.

    Raises:
        AulightError: When it was made with other settings or from videos that are not there any more, or when labels or
            subjects would be lost.
    """
    drop_unused(root)  # before anything is refused: of what is not in it any more no byte must stay
    data = PreparedDataset(root)
    recipe.refuse_other(root, data.meta.get("source") or {})
    _refuse_gone(data, raw, recipe)
    data = upgraded(data)  # no command for another dataset changes this one
    there, changes = set(data.videos["video_id"]), look(data, raw)
    contents = _contents(data, changes)
    known, twins = _of_one_subject(raw, there, contents)
    labels, notes = placed(data, known)
    refuse_loss(data, labels, known, recipe, may, {video.video_id for video in changes.replaced})
    folder, todo, skipped = partial_folder(root), changes.new + changes.replaced + changes.damaged, dict[str, str]()
    if todo:
        of_one_subject(raw.videos, digests_of_likely(raw.videos))  # what is wrong is said before hours of work
        folder.mkdir(exist_ok=True)
        recipe.leave_in(folder)
        skipped = make_videos(todo, folder, recipe, landmarker, on_error, workers)
    if kept := sorted(there & skipped.keys()):
        damaged = {video.video_id for video in changes.damaged}
        changes.notes += [
            f"{video}: what was prepared is damaged, and the raw video cannot be read any more"
            if video in damaged
            else f"{video}: the raw video was replaced, and stays as it was before"
            for video in kept
        ]
        refuse_loss(data, labels, known, recipe, may, {video.video_id for video in changes.replaced} - {*kept})
    made = {video.video_id for video in todo} - skipped.keys()
    unread = remembered({name: reason for name, reason in (changes.hopeless | skipped).items() if name not in there})
    meta = data.meta.copy()
    meta |= {
        "aus": list(raw.aus),
        "source": recipe.record(makes=bool(made)),
        "skipped": unread,
        "skipped_stamps": stamps(raw, unread),
    }
    skipped |= changes.hopeless
    if made:
        contents |= {video: {name[:DIGITS] for name in digests_in(part_of(folder, video))} for video in made}
        raw, twins = _of_one_subject(raw, there | made, contents)
        changes.notes += twins
        summary = _lengthen(data, raw, meta, made, changes, skipped)
    else:
        videos = _with_sources(data, known, changes.sources)
        confidences = (table["face_confidence"] for table in data.frames_of(videos["video_id"], ["face_confidence"]))
        faceless = sum(int((confidence <= 0).sum()) for confidence in confidences)
        replace_labels(data, meta, labels, videos)
        noted = videos.to_dict("records")
        summary = Summary(
            root,
            videos=len(videos),
            subjects=videos["subject"].nunique(),
            frames=data.meta["frames"],
            faceless=faceless - sum(counted(video, FOLLOWING[0]) for video in noted),
            labelled=0 if labels is None else len(labels),
            skipped=skipped,
            notes=[*raw.notes, *changes.notes, *twins, *notes, *of_following(noted)],
            was_there=True,
        )
    clear(root)
    return summary


def _contents(data: PreparedDataset, changes: Changes) -> dict[str, Collection[str]]:
    """By what the videos of a dataset are known again, also of raw videos whose content was not remembered so far."""
    known = shown(data)
    now = {video: {str(source[DIGESTS[0]])[:DIGITS]} for video, source in changes.sources.items()}
    of_video = zip(known.videos, known.contents.astype(str).tolist(), strict=True)
    return {name: ({*content} - {""}) | now.get(name, set()) for name, content in of_video}


def _of_one_subject(
    raw: RawDataset, names: Collection[str], contents: Mapping[str, Collection[str]]
) -> tuple[RawDataset, list[str]]:
    """The raw data with only some videos, of which those of one content have one subject; and notes on them."""
    videos, notes = of_one_subject([video for video in raw.videos if video.video_id in names], contents)
    return replace(raw, videos=videos), notes


def _refuse_gone(data: PreparedDataset, raw: RawDataset, recipe: Recipe) -> None:
    wanted = {video.video_id for video in raw.videos}
    gone = sorted(set(data.videos["video_id"]) - wanted)
    if unclear := [raw.left_out[name] for name in gone if name in raw.left_out]:
        raise AulightError(*shorten_lines([f"{data.root}: has the video already; {line}" for line in unclear]))
    if gone:
        raise AulightError(
            f"{data.root}: has videos that are not in {recipe.folder} ({shorten(gone, 3)}); "
            "put them back, or give another data.name= for the others"
        )


def _with_sources(data: PreparedDataset, raw: RawDataset, sources: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """The table of videos with the subjects of the raw data, and what is known of the raw videos."""
    names = data.videos["video_id"]
    videos = data.videos.assign(subject=names.map({video.video_id: video.subject for video in raw.videos}))
    for column in SOURCE_COLUMNS:
        before = videos[column] if column in videos else [pd.NA] * len(videos)
        now = [sources[name][column] if name in sources else old for name, old in zip(names, before, strict=True)]
        # not by map: a number of nanoseconds is no float
        kind: Any = "Int64" if column != SOURCE_COLUMNS[0] else videos[column].dtype if column in videos else object
        videos[column] = pd.Series(now, dtype=kind)
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
    folder = partial_folder(data.root)
    there = {str(row["video_id"]): cast(Plain, row) for row in data.videos.to_dict("records")}
    damaged = sorted(made & {video.video_id for video in changes.damaged})
    replaced = sorted(made & there.keys() - {*damaged})
    tables = data.frames_of(video.video_id for video in raw.videos if video.video_id not in made)

    def of_all() -> Iterator[Made]:
        for video in raw.videos:
            name = video.video_id
            if name in made:
                yield Made(video, pd.read_parquet(part_of(folder, name)))
            else:
                yield Made(video, _part(next(tables), there[name], changes.sources.get(name)))

    notes = list(changes.notes)
    if replaced:
        notes.append(
            f"prepared anew, since the raw videos were replaced under their names: {shorten(replaced)}; "
            "see that their labels belong to the new ones"
        )
    if damaged:
        notes.append(f"prepared anew, since what was prepared had been damaged: {shorten(damaged)}")
    files = {name: video_of(folder, name) for name in made}
    with closing(tables), StoreReviser(data, meta, files) as store:
        return describe(store, of_all(), raw, skipped, notes)


def _part(frames: pd.DataFrame, video: Mapping[str, Any], source: Mapping[str, Any] | None) -> pd.DataFrame:
    """The table of a video of a finished dataset, as it was when it was made, from its rows of ``frames.parquet``."""
    noted = {column: video[column] for column in NOTED if column in video} | dict(source or {})
    columns = {"source_frame": "number", "time_s": "time_s", "face_confidence": "face_confidence"}
    columns |= {f"{BLENDSHAPE}{name}": name for name in BLENDSHAPES}
    return frames.rename(columns=columns).drop(columns=["video_id", "frame"]).assign(fps=video["fps"], **noted)


def clear(root: Path) -> None:
    """Removes what was left while a dataset was made that is there now, and videos that it has no more.

    Args:
        root: Its folder, which nobody else writes into now.
    """
    if (root / SETTINGS).is_file():  # it has just got its name
        shutil.rmtree(root / "parts", ignore_errors=True)
        (root / SETTINGS).unlink()
    shutil.rmtree(notes_of(root), ignore_errors=True)  # of shards that are not to be
    drop_unused(root)
    if (folder := partial_folder(root)).is_dir():
        shutil.rmtree(folder)
