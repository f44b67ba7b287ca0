"""``aulight prepare``: raw videos, each read once, to a prepared dataset of aligned faces."""

import multiprocessing
import shutil
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from filelock import FileLock, Timeout
from omegaconf import DictConfig, OmegaConf
from tqdm import tqdm

from aulight import errors
from aulight.data.alignment import Alignment
from aulight.data.faces.model_file import model_file
from aulight.data.faces.pose import BLENDSHAPES
from aulight.data.sources import reading
from aulight.data.sources.placing import place_labels
from aulight.data.sources.raw import RawDataset, RawVideo
from aulight.data.store import BLENDSHAPE, DatasetDescription, PreparedDataset
from aulight.data.video.raw import raw_info
from aulight.data.video.scaling import UNFIT_WIDTHS
from aulight.data.writer import StoreWriter, label_rows, replace_labels
from aulight.errors import AulightError, VideoError
from aulight.files import write_table, write_yaml
from aulight.preparation.videos import make_video, start_worker
from aulight.processes import worker_pool

SETTINGS = "settings.yaml"
"""Beside a dataset that is not whole yet: what it is being made with."""


def prepare(cfg: DictConfig) -> None:
    """Prepares a dataset as configured, or what is left of it, and prints what came of it.

    Raises:
        AulightError: For raw data that are not laid out as expected, and for settings that do not fit them.
    """
    config: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)  # type: ignore[assignment]
    data, faces, root = config["data"], config["faces"], Path(cfg.data.root).expanduser()
    _check(config)
    if data["faces"] == "mediapipe":
        faces["model"] = model_file(faces["model"] and Path(faces["model"]))  # before hours of work, not after
    tables = {
        key: config[key] if config[key] is not None else _given_before(root, key) for key in ("labels", "subjects")
    }
    raw = reading.read(data["format"], Path(data["source"]), **_paths(tables), **data["reader"])
    settings = {
        "format": data["format"],
        "folder": str(Path(data["source"]).expanduser().resolve()),
        **tables,
        "reader": data["reader"],
        "crop_size": cfg.crop_size,
        "faces": data["faces"],
        **({key: faces[key] for key in ("blendshapes", "max_faces", "smooth_s")} if data["faces"] != "none" else {}),
    }
    root.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(root.with_name(f".{root.name}.lock"))
    try:
        with lock.acquire(timeout=0):
            finished = PreparedDataset(root) if root.exists() else None
            if finished is None:
                _prepare(root, raw, settings, config)
            elif _unpack(finished, raw, settings):
                _prepare(root, raw, settings, config, replace=True)
            else:
                _relabel(finished, raw, settings)
    except Timeout as error:
        raise AulightError(f"{root}: another process is preparing it") from error
    Path(lock.lock_file).unlink(missing_ok=True)


def _given_before(root: Path, key: str) -> Any:
    """The table of labels or subjects that the dataset has, or is being made with; they are not forgotten."""
    for path in (root / "dataset.yaml", root.with_name(f".{root.name}.partial") / SETTINGS):
        if path.is_file():
            known = yaml.safe_load(path.read_text(encoding="utf-8"))
            before = (known.get("source") or {} if path.name == "dataset.yaml" else known).get(key)
            if before is not None:
                print(f"{root}: {key}={before}, as before")
            return before
    return None


def _paths(tables: dict[str, Any]) -> dict[str, Any]:
    """The tables as paths: one of subjects, any number of labels."""
    labels, subjects = tables["labels"], tables["subjects"]
    several = labels if isinstance(labels, list) else [] if labels is None else [labels]
    for key, value in [("subjects", subjects or ""), *(("labels", value) for value in several)]:
        if not isinstance(value, str):
            raise AulightError(f"{key}={tables[key]}: the path of a CSV file is needed")
    tables["labels"] = [str(Path(value).expanduser().resolve()) for value in several] or None
    tables["subjects"] = subjects and str(Path(subjects).expanduser().resolve())
    return {
        "labels": [Path(value) for value in tables["labels"] or []],
        "subjects": tables["subjects"] and Path(tables["subjects"]),
    }


def _check(config: dict[str, Any]) -> None:
    data, size = config["data"], config["crop_size"]
    if data.get("format") is None:
        raise AulightError(
            f"data={data['name']}: makes itself on first use; prepare reads {', '.join(reading.FORMATS)}"
        )
    if data["source"] in (None, ""):
        raise AulightError("data.source: no value given; add data.source=<folder of the raw data>")
    if data["faces"] not in ("mediapipe", "none"):
        raise AulightError(f"data.faces={data['faces']}: mediapipe, or none for pictures that are aligned already")
    if config["on_error"] not in ("raise", "skip"):
        raise AulightError(f"on_error={config['on_error']}: raise or skip")
    workers = config["workers"]
    if workers is not None and (not isinstance(workers, int) or workers < 1):
        raise AulightError(f"workers={workers}: a number of processes is needed, or null for one a CPU")
    if size < 32 or size % 2 or size in UNFIT_WIDTHS:
        raise AulightError(f"crop_size={size}: an even number from 32 on is needed, but not 48 or 72")


def _prepare(
    root: Path, raw: RawDataset, settings: dict[str, Any], config: dict[str, Any], replace: bool = False
) -> None:
    """Makes what is missing of the dataset, then puts it together under its own name."""
    meta: DatasetDescription = {
        "name": config["data"]["name"],
        "aus": list(raw.aus),
        "crop_size": settings["crop_size"],
        "alignment": (Alignment.AS_THEY_CAME if settings["faces"] == "none" else Alignment.TEMPLATE).value,
        "source": settings,
    }
    with StoreWriter(root, meta, resume=True, replace=replace) as store:
        _same_settings(store.folder, settings)
        parts = store.folder / "parts"
        parts.mkdir(exist_ok=True)
        skipped = _make_videos(raw.videos, store.videos, parts, settings, config)
        notes = list(raw.notes)
        used = {video.video_id for video in raw.videos} - set(skipped)
        subjects = {video.subject for video in raw.videos if video.video_id in used}
        summary = {"videos": 0, "subjects": len(subjects), "frames": 0, "without a face": 0, "labelled": 0}
        rates, faceless = [], []
        for video in raw.videos:
            if video.video_id in skipped:
                continue
            part = pd.read_parquet(parts / f"{video.video_id}.parquet")
            numbers, times = part["number"].to_numpy(), part["time_s"].to_numpy()
            confidence = part["face_confidence"].to_numpy()
            labels, about_labels = place_labels(video, numbers, times)
            notes += about_labels
            if (confidence > 0).mean() < 0.5:
                faceless.append(f"{video.video_id} ({(confidence == 0).mean():.0%})")
            rates.append(float(part["fps"].to_numpy()[0]))
            store.add(
                video.video_id,
                video.subject,
                rates[-1],
                numbers,
                confidence,
                times,
                labels,
                {name: part[name].to_numpy() for name in BLENDSHAPES if name in part},
                **video.columns,
            )
            summary["videos"] += 1
            summary["frames"] += len(part)
            summary["without a face"] += int((confidence == 0).sum())
            summary["labelled"] += 0 if labels is None else len(label_rows(video.video_id, labels))
        if not rates:
            reasons = "; ".join(list(skipped.values())[:3])
            raise AulightError(f"{settings['folder']}: none of its {len(raw.videos)} videos could be read ({reasons})")
        if faceless:
            notes.append(f"no face found in more than half of the frames of {errors.shorten(faceless)}")
        store.meta |= {"fps": float(np.median(rates)), "skipped": skipped}
        for path in store.videos.iterdir():
            if path.stem not in used:  # of an earlier try, when there were other videos
                path.unlink()
        shutil.rmtree(parts)
        (store.folder / SETTINGS).unlink()
    _say(root, summary, skipped, notes)


def _same_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Refuses to go on with other settings than what is there was made with."""
    path = folder / SETTINGS
    if path.is_file():
        _refuse_other(folder, yaml.safe_load(path.read_text(encoding="utf-8")), settings)
    write_yaml(settings, path)


LABELS_ONLY = ("drop_untracked",)
"""Settings of readers that change labels and no frame."""


def _refuse_other(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuses settings that give other frames; the raw data may have moved."""
    before, now = (
        {key: value for key, value in settings.items() if key not in ("folder", "labels", "reader", "subjects")}
        | {f"reader.{key}": value for key, value in settings.get("reader", {}).items() if key not in LABELS_ONLY}
        for settings in (before, now)
    )
    keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    if keys:
        differing = "; ".join(f"{key} was {before.get(key)}, is {now.get(key)}" for key in keys)
        raise AulightError(f"{folder}: made with other settings ({differing}); remove it or give another data.root=")


def _make_videos(
    videos: list[RawVideo], folder: Path, parts: Path, settings: dict[str, Any], config: dict[str, Any]
) -> dict[str, str]:
    """Writes the videos that are not there yet, and a table of each; of those that cannot be read, the reason."""
    frames = {video.video_id: _expected(video) for video in videos}
    missing = [video for video in videos if not (parts / f"{video.video_id}.parquet").is_file()]
    if not missing:
        return {}
    missing.sort(key=lambda video: -frames[video.video_id])  # the longest first, so that all processes end together
    workers = min(len(missing), config["workers"] or multiprocessing.cpu_count())
    context = multiprocessing.get_context("spawn")
    counter, stop = context.Value("q", 0), context.Event()
    done = sum(frames.values()) - sum(frames[video.video_id] for video in missing)
    skipped: dict[str, str] = {}
    given = (counter, stop, settings, config["faces"]["model"], multiprocessing.cpu_count() >= 2 * workers)
    try:
        with (
            tqdm(total=sum(frames.values()), initial=done, desc="Preparing", unit="frame", smoothing=0.05) as bar,
            worker_pool(workers, start_worker, given) as pool,
        ):
            try:
                jobs = {pool.submit(make_video, video, folder, parts): video for video in missing}
                pending = set(jobs)
                while pending:
                    finished, pending = wait(pending, timeout=0.5, return_when=FIRST_COMPLETED)
                    bar.update(done + counter.value - bar.n)
                    for job in finished:
                        if reason := job.result():
                            if config["on_error"] == "raise":
                                raise AulightError(reason)
                            skipped[jobs[job].video_id] = reason
                            bar.total -= frames[jobs[job].video_id]
                            bar.write(f"not used: {reason}")
                bar.update(done + counter.value - bar.n)
            finally:
                stop.set()
    except BrokenProcessPool as error:
        raise AulightError(
            f"{folder.parent}: a process was killed, perhaps for want of memory; "
            "the same command goes on, with workers=1 in less memory"
        ) from error
    return skipped


def _expected(video: RawVideo) -> int:
    """How many frames a video claims to have, 0 where it does not say."""
    try:
        return raw_info(video.path, video.fps).frames or 0
    except VideoError:
        return 0


def _unpack(data: PreparedDataset, raw: RawDataset, settings: dict[str, Any]) -> bool:
    """Takes a finished dataset as the beginning of a larger one, if there are raw videos that it lacks.

    Those that could not be read are tried again once they have changed.

    Returns:
        Whether there are.

    Raises:
        AulightError: When it was made with other settings, or from videos that are not there any more.
    """
    root = data.root
    _refuse_other(root, data.meta.get("source", {}), settings)
    there, wanted = set(data.videos["video_id"]), {video.video_id for video in raw.videos}
    if gone := sorted(there - wanted):
        raise AulightError(
            f"{root}: has videos that are not in {settings['folder']} ({errors.shorten(gone, 3)}); "
            "put them back, or give another data.root= for the others"
        )
    made_s = (root / "dataset.yaml").stat().st_mtime
    skipped = data.meta.get("skipped", {})
    hopeless = {video.video_id for video in raw.videos if video.video_id in skipped and _changed_s(video) < made_s}
    if not wanted - there - hopeless:
        return False
    folder = root.with_name(f".{root.name}.partial")
    for name in ("videos", "parts"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    _same_settings(folder, settings)
    columns = {"source_frame": "number", "time_s": "time_s", "face_confidence": "face_confidence"}
    for row, video in enumerate(tqdm(data.videos.itertuples(), total=len(data.videos), desc="Taking over")):
        part = folder / "parts" / f"{video.video_id}.parquet"
        if part.is_file():
            continue
        table = data.frames_of(str(video.video_id))
        table = table.rename(columns=columns | {f"{BLENDSHAPE}{name}": name for name in BLENDSHAPES})
        copy = folder / "videos" / f"{video.video_id}.mp4"
        copy.unlink(missing_ok=True)
        try:
            copy.hardlink_to(data.path(row))
        except OSError:  # a file system without links
            shutil.copyfile(data.path(row), copy)
        write_table(table.drop(columns=["video_id", "frame"]).assign(fps=video.fps), part)
    return True


def _changed_s(video: RawVideo) -> float:
    """When the file, folder or zip file of a video was last changed."""
    return next(path for path in (video.path, *video.path.parents) if path.exists()).stat().st_mtime


def _relabel(data: PreparedDataset, raw: RawDataset, settings: dict[str, Any]) -> None:
    """Gives a finished dataset the labels and subjects that its raw data have now."""
    root, skipped = data.root, data.meta.get("skipped", {})
    there = set(data.videos["video_id"])
    notes, tables = list(raw.notes), []
    frames = dict(list(data.frames.groupby("video_id", sort=False)))
    for video in raw.videos:
        if video.labels is not None and video.video_id in there:
            of_video = frames[video.video_id]
            labels, about = place_labels(video, of_video["source_frame"].to_numpy(), of_video["time_s"].to_numpy())
            notes += about
            if labels is not None:
                tables.append(label_rows(video.video_id, labels))
    labelled = pd.concat(tables, ignore_index=True) if tables else None
    subjects = {video.video_id: video.subject for video in raw.videos}
    replace_labels(data, raw.aus, labelled, subjects, settings)
    faces = data.frames["face_confidence"] > 0
    summary = {
        "videos": len(data.videos),
        "subjects": len({subjects[video] for video in there}),
        "frames": len(faces),
        "without a face": int((~faces).sum()),
        "labelled": sum(map(len, tables)),
    }
    print(f"{root}: was prepared already; its labels and subjects are those of the raw data now")
    _say(root, summary, skipped, notes)


def _say(root: Path, summary: dict[str, int], skipped: Mapping[str, str], notes: list[str]) -> None:
    """The summary: what there is, what was not used and why, what was odd."""
    share = summary["without a face"] / summary["frames"]
    print(
        f"{root}: {summary['videos']:,} videos of {summary['subjects']:,} subjects, {summary['frames']:,} frames, "
        f"{summary['without a face']:,} of them ({share:.1%}) without a face, {summary['labelled']:,} labelled"
    )
    for line in notes:
        print(f"  note: {line}")
    for reason in skipped.values():
        print(f"  not used: {reason}")
