"""Any folder: the videos, and the folders of images, anywhere below it."""

from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

from aulight.data.own import is_own_folder, store_around, without_own
from aulight.data.sources.layout import add_once, entries, file_name, wrong_layout
from aulight.data.sources.raw import RawDataset, RawVideo
from aulight.data.video.types import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from aulight.errors import AulightError, shorten

LONGEST = 200
"""Most bytes of a video's name; file systems allow 255, and names are added to."""


def read(source: Path, fps: float, apart: Collection[Path] = ()) -> RawDataset:
    """Lists the videos below a folder, each of a subject of its own.

    A folder that holds images is one video. Hidden files are passed over in silence, others with a note, as is what
    aulight has written itself.

    Args:
        source: The folder.
        fps: Frames per second of the folders of images.
        apart: Folders that are not looked into, where they are below ``source``.

    Raises:
        AulightError: Without videos, or when two would have one name.
    """
    found = dict[str, Path]()
    paths, others, own = videos_below(source, apart)
    for path in paths:
        text = (path if path.is_dir() else path.with_suffix("")).relative_to(source).as_posix()
        name = file_name(source.resolve().name if text == "." else text)
        if len(name.encode()) > LONGEST:
            raise AulightError(f"{path}: too long a path for a name; rename folders, or give one further down")
        add_once(found, name, path, f"video {name}")
    if not found:
        raise wrong_layout(source, "videos, or folders of images, anywhere in it", [path.name for path in own])
    notes = []
    if own:
        notes.append(f"passed over what aulight made: {shorten([str(path.relative_to(source)) for path in own], 8)}")
    if images := [path for path in found.values() if path.is_dir()]:
        notes.append(f"{len(images)} folders of images, taken to have {fps:g} frames a second (data.reader.fps)")
    if others:
        counts = shorten(f"{count} {suffix or 'without suffix'}" for suffix, count in sorted(others.items()))
        notes.append(f"passed over {others.total()} files that are neither videos nor images: {counts}")
    videos = [RawVideo(name, name, path, fps if path.is_dir() else None) for name, path in found.items()]
    return RawDataset((), videos, notes)


def videos_below(folder: Path, apart: Collection[Path] = ()) -> tuple[list[Path], Counter[str], list[Path]]:
    """The videos and the folders of images below a folder.

    What aulight has written itself is none of them: prepared datasets, run directories, pictures for coders, overlays
    and plots.

    Args:
        folder: The folder.
        apart: Folders that are not looked into either, nor below them.

    Returns:
        They in order; how many other files there are of each suffix; and the folders that were passed over.
    """
    walk = _Walk(folder, apart)
    return list(walk.below(folder)), walk.others, walk.own


class _Walk:
    """Looks through folders; links are followed, but never round and round."""

    def __init__(self, root: Path, apart: Collection[Path]) -> None:
        around = store_around(root)
        self._around = {None, around}  # whoever asks for the inside of a dataset gets it
        self._apart = {path.resolve() for path in apart} - {root.resolve(), *root.resolve().parents}
        self._seen = set[Path]()
        self.others, self.own = Counter[str](), list[Path]()

    def below(self, folder: Path) -> Iterator[Path]:
        """Videos and folders of images."""
        if folder.resolve() in self._seen:
            return
        self._seen.add(folder.resolve())
        inside = [path for path in without_own(entries(folder)) if not self._is_own(path)]
        if any(path.suffix.lower() in IMAGE_SUFFIXES and path.is_file() for path in inside):
            yield folder
        for path in inside:
            suffix = path.suffix.lower()
            if suffix in IMAGE_SUFFIXES:
                continue
            if path.is_dir():
                yield from self.below(path)
            elif suffix in VIDEO_SUFFIXES:
                yield path
            else:
                self.others[suffix] += 1

    def _is_own(self, path: Path) -> bool:
        """Whether a folder is aulight's or to be left alone, or a link leads into one."""
        place = path.resolve()
        own = path.is_dir() and (is_own_folder(path) or place in self._apart)
        if not own and path.is_symlink():
            own = store_around(path) not in self._around or any(folder in self._apart for folder in place.parents)
        if own:
            self.own.append(path)
        return own
