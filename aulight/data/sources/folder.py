"""Any folder: the videos, and the folders of images, anywhere below it."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from aulight.data.sources.layout import add_once, entries, file_name, wrong_layout
from aulight.data.sources.raw import RawDataset, RawVideo
from aulight.data.video.types import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from aulight.errors import AulightError, shorten

LONGEST = 200
"""Most bytes of a video's name; file systems allow 255, and names are added to."""


def read(source: Path, fps: float) -> RawDataset:
    """Lists the videos below a folder, each of a subject of its own.

    A folder that holds images is one video. Hidden files are passed over in silence, others with a note.

    Args:
        source: The folder.
        fps: Frames per second of the folders of images.

    Raises:
        AulightError: Without videos, or when two would have one name.
    """
    found = dict[str, Path]()
    paths, others = videos_below(source)
    for path in paths:
        text = (path if path.is_dir() else path.with_suffix("")).relative_to(source).as_posix()
        name = file_name(source.resolve().name if text == "." else text)
        if len(name.encode()) > LONGEST:
            raise AulightError(f"{path}: too long a path for a name; rename folders, or give one further down")
        add_once(found, name, path, f"video {name}")
    if not found:
        raise wrong_layout(source, "videos, or folders of images, anywhere in it")
    notes = []
    if images := [path for path in found.values() if path.is_dir()]:
        notes.append(f"{len(images)} folders of images, taken to have {fps:g} frames a second (data.reader.fps)")
    if others:
        counts = shorten(f"{count} {suffix or 'without suffix'}" for suffix, count in sorted(others.items()))
        notes.append(f"passed over {others.total()} files that are neither videos nor images: {counts}")
    videos = [RawVideo(name, name, path, fps if path.is_dir() else None) for name, path in found.items()]
    return RawDataset((), videos, notes)


def videos_below(folder: Path) -> tuple[list[Path], Counter[str]]:
    """The videos and the folders of images below a folder, in order, and how many other files of each suffix."""
    others = Counter[str]()
    return list(_walk(folder, set(), others)), others


def _walk(folder: Path, seen: set[Path], others: Counter[str]) -> Iterator[Path]:
    """Videos and folders of images; links are followed, but never round and round."""
    if folder.resolve() in seen:
        return
    seen.add(folder.resolve())
    inside = entries(folder)
    if any(path.suffix.lower() in IMAGE_SUFFIXES and path.is_file() for path in inside):
        yield folder
    for path in inside:
        suffix = path.suffix.lower()
        if suffix in IMAGE_SUFFIXES:
            continue
        if path.is_dir():
            yield from _walk(path, seen, others)
        elif suffix in VIDEO_SUFFIXES:
            yield path
        else:
            others[suffix] += 1
