"""Aff-Wild2: unlabelled videos from the web, as they are or as aligned crops."""

from pathlib import Path

from aulight.data.sources.layout import add_once, entries, file_name, wrong_layout
from aulight.data.sources.raw import RawDataset, RawVideo
from aulight.data.video.types import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from aulight.errors import AulightError, shorten

FOLDERS = ("batch1", "batch2", "new_vids")
CROPS = "cropped_aligned"


def read(source: Path, pictures: str, fps: float) -> RawDataset:
    """Lists the videos of Aff-Wild2.

    Crops named ``<video>_left`` or ``<video>_right`` show another person of the video: another subject. Which video
    they are from is in the column ``recording``.

    Args:
        source: Folder with ``batch1``, ``batch2``, ``new_vids``; or with ``cropped_aligned``.
        pictures: ``videos``, or ``cropped_aligned`` for the crops that come with the dataset.
        fps: Frames per second of the crops.

    Raises:
        AulightError: When the layout is another or two videos have one name.
    """
    if pictures == "videos":
        return _videos(source)
    if pictures == CROPS:
        return _crops(source, fps)
    raise AulightError(f"data.reader.pictures={pictures}: videos or {CROPS}")


def _videos(source: Path) -> RawDataset:
    found: dict[str, Path] = {}
    for folder in [path for path in entries(source) if path.name.lower() in FOLDERS and path.is_dir()]:
        for path in entries(folder):
            if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file():
                add_once(found, file_name(path.stem), path, f"video {path.stem}")
    if not found:
        raise wrong_layout(source, f"videos in {', '.join(f'{name}/' for name in FOLDERS)}")
    return RawDataset(
        (), [RawVideo(name, name, found[name], columns={"recording": name}) for name in sorted(found)], []
    )


def _crops(source: Path, fps: float) -> RawDataset:
    folders = [path for path in (source, source / CROPS) if path.name == CROPS and path.is_dir()]
    found = [path for folder in folders for path in entries(folder) if path.is_dir()]
    full = [path for path in found if any(image.suffix.lower() in IMAGE_SUFFIXES for image in path.iterdir())]
    if not full:
        raise wrong_layout(source, f"{CROPS}/<video>/00001.jpg ...")
    notes = []
    if empty := [path.name for path in found if path not in full]:
        notes.append(f"{len(empty)} folders without images, passed over: {shorten(empty)}")
    videos: dict[str, Path] = {}
    for path in full:
        add_once(videos, file_name(path.name), path, f"video {file_name(path.name)}")
    return RawDataset((), [_crop(name, path, fps) for name, path in videos.items()], notes)


def _crop(name: str, path: Path, fps: float) -> RawVideo:
    recording = name.removesuffix("_left").removesuffix("_right")
    return RawVideo(name, name, path, fps, columns={"recording": recording})
