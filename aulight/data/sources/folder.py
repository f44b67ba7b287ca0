"""Any folder: the videos, and the folders of images, anywhere below it."""

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from aulight.data.marks import CROPS, made_as
from aulight.data.own import is_own_folder, store_around, without_own
from aulight.data.sources.layout import entries, file_name, wrong_layout
from aulight.data.sources.raw import RawDataset, RawVideo
from aulight.data.video.images import images_in, is_file, is_film, is_folder, no_file
from aulight.data.video.photos import Photos, Pictures, photos_at
from aulight.data.video.types import IMAGE_SUFFIXES, UNREADABLE_SUFFIXES, VIDEO_SUFFIXES
from aulight.errors import AulightError, VideoError, shorten, shorten_lines

LONGEST = 200
"""Most bytes of a video's name; file systems allow 255, and names are added to. Longer ones end in a mark instead."""


class Below(NamedTuple):
    """What is below a folder.

    Attributes:
        videos: The videos and the folders of images, in order.
        others: How many other files there are of each suffix.
        own: What aulight has written itself, and was passed over.
        no_files: Of what is called as a video and is no file (links that lead nowhere, pipes, devices), the reason.
        closed: Of folders that cannot be looked into, the reason.
    """

    videos: list[Path]
    others: Counter[str]
    own: list[Path]
    no_files: dict[Path, str]
    closed: dict[Path, str]


def read(source: Path, fps: float, apart: Collection[Path] = (), pictures: Pictures = "auto") -> RawDataset:
    """Lists the videos below a folder, each of a subject of its own.

    Of files that would have one name, as ``a.mp4`` and ``a.avi``, none is used. A folder that holds images is one
    video; where they are photos, each is a video of one frame, number 0. Hidden files are passed over in silence,
    others with a note, as is what aulight has written itself.

    Args:
        source: The folder.
        fps: Frames per second of the folders of images.
        apart: Folders that are not looked into, where they are below ``source``.
        pictures: What the images of a folder are, as :func:`aulight.data.video.photos.photos_at` has it.

    Raises:
        AulightError: Without videos.
    """
    named = defaultdict[str, list[Path]](list)
    below = videos_below(source, apart)
    photos = {path: album.names for path in below.videos if path.is_dir() and (album := _photos(path, pictures))}
    stems = {folder: Counter(path.stem for path in inside) for folder, inside in photos.items()}
    for path in (inside for video in below.videos for inside in photos.get(video, (video,))):
        twice = path.parent in photos and stems[path.parent][path.stem] > 1
        text = (path if path.is_dir() or twice else path.with_suffix("")).relative_to(source).as_posix()
        named[_fitting(file_name(source.resolve().name if text == "." else text))].append(path)
    found = {name: paths[0] for name, paths in named.items() if len(paths) == 1}
    left_out = {
        name: f"{' and '.join(map(str, paths))}: {'both' if len(paths) == 2 else 'all'} would be video {name}; "
        "rename one"
        for name, paths in named.items()
        if name not in found
    }
    if not found:
        if left_out:
            raise AulightError(*shorten_lines([*left_out.values()]))
        expected = "videos, or folders of images, anywhere in it"
        raise wrong_layout(source, expected, [path.name for path in below.own], unreadable(below.others))
    notes = []
    if below.own:
        own = [str(path.relative_to(source)) for path in below.own]
        notes.append(f"passed over what aulight made: {shorten(own, 8)}")
    notes += shorten_lines([f"not used: {reason}" for reason in left_out.values()])
    notes += [f"not used: {path}: {reason}" for path, reason in below.no_files.items()]
    notes += [f"not looked into: {path} ({reason})" for path, reason in below.closed.items()]
    if images := [path for path in found.values() if path.is_dir()]:
        note = f"{len(images)} folders of images, taken to have {fps:g} frames a second (data.reader.fps)"
        if pictures == "auto":
            counts = shorten(f"{path.name} ({_count(path)} frames)" for path in images)
            note += f": {counts}; data.reader.pictures=photos takes each image on its own"
        notes.append(note)
    if photos:
        count = sum(map(len, photos.values()))
        albums = shorten([str(path) for path in photos])
        what = "taken for photos, each a video of one frame; else data.reader.pictures=film"
        notes.append(f"{count} images in {albums}: {what}")
    notes += about_others(below.others)
    videos = [
        RawVideo(name, name, path, None if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file() else fps)
        for name, path in found.items()
    ]
    return RawDataset((), videos, notes, left_out)


def about_others(others: Mapping[str, int]) -> Iterator[str]:
    """What is to be said of files that are passed over, by how many there are of each suffix: a line, or two."""
    known = {suffix: count for suffix, count in sorted(others.items()) if suffix not in UNREADABLE_SUFFIXES}
    if known:
        counts = shorten(f"{count} {suffix or 'without suffix'}" for suffix, count in known.items())
        yield f"passed over {sum(known.values())} files that are neither videos nor images: {counts}"
    if line := unreadable(others):
        yield f"not used: {line}"


def unreadable(others: Mapping[str, int]) -> str:
    """What is to be done about pictures of phones and cameras that cannot be read; nothing where there are none."""
    found = {suffix: count for suffix, count in sorted(others.items()) if suffix in UNREADABLE_SUFFIXES}
    if not found:
        return ""
    counts = shorten(f"{count} {suffix}" for suffix, count in found.items())
    return f"pictures of kinds that cannot be read ({counts}); save them as jpg or png"


def _count(folder: Path) -> int:
    """How many images a folder holds."""
    try:
        listed = images_in(folder)
    except VideoError:
        return 0
    return 0 if listed is None else len(listed[1])


def _photos(folder: Path, pictures: Pictures) -> Photos | None:
    """The photos in a folder of images; none where those that nobody can read are left to who reads them."""
    try:
        return photos_at(folder, pictures)
    except VideoError:
        return None


def _fitting(name: str) -> str:
    """A name that is short enough; one that is cut ends in a mark of the whole."""
    whole = name.encode()
    if len(whole) <= LONGEST:
        return name
    mark = hashlib.sha256(whole).hexdigest()[:12]
    return f"{whole[: LONGEST - len(mark) - 1].decode(errors='ignore')}_{mark}"


def videos_below(folder: Path, apart: Collection[Path] = ()) -> Below:
    """The videos and the folders of images below a folder.

    What aulight has written itself is none of them: prepared datasets, run directories, pictures for coders, overlays
    and plots.

    Args:
        folder: The folder.
        apart: Folders that are not looked into either, nor below them.

    Raises:
        OSError: When the folder itself cannot be looked into; of those below it, that is told.
    """
    walk = _Walk(folder, apart)
    videos = list(walk.below(folder, entries(folder)))
    return Below(videos, walk.others, walk.own, walk.no_files, walk.closed)


class _Walk:
    """Looks through folders; links are followed, but never round and round."""

    def __init__(self, root: Path, apart: Collection[Path]) -> None:
        around = store_around(root)
        self._around = {None, around}  # whoever asks for the inside of a dataset gets it
        self._apart = {path.resolve() for path in apart} - {root.resolve(), *root.resolve().parents}
        self._seen = set[str]()
        self.others, self.own = Counter[str](), list[Path]()
        self.no_files, self.closed = dict[Path, str](), dict[Path, str]()

    def below(self, folder: Path, inside: list[Path]) -> Iterator[Path]:
        """Videos and folders of images.

        Args:
            folder: The folder.
            inside: What is in it.
        """
        if (place := os.path.realpath(folder)) in self._seen:
            return
        self._seen.add(place)
        kept = without_own(inside)
        raw = {*kept}
        self.own += [path for path in inside if path not in raw]
        inside = [path for path in kept if not self._is_own(path)]
        films = {path for path in inside if is_film(path)}
        if any(path.suffix.lower() in IMAGE_SUFFIXES and is_file(path) and path not in films for path in inside):
            yield folder
        for path in inside:
            suffix = path.suffix.lower()
            if is_folder(path):
                try:
                    deeper = entries(path)
                except OSError as error:
                    self.closed[path] = str(error.strerror)
                    continue
                yield from self.below(path, deeper)
            elif path in films:
                yield path
            elif suffix in IMAGE_SUFFIXES:
                continue
            elif suffix not in VIDEO_SUFFIXES:
                self.others[suffix] += 1
            elif is_file(path):
                yield path
            else:
                self.no_files[path] = no_file(path)

    def _is_own(self, path: Path) -> bool:
        """Whether a folder is aulight's or to be left alone, or a link leads into one; or a video is aulight's."""
        if not is_file(path) and not is_folder(path):  # Path.resolve raises at links in a circle
            return False
        place = path.resolve()
        try:
            own = is_folder(path) and (is_own_folder(path) or place in self._apart)
            if path.suffix.lower() in VIDEO_SUFFIXES and is_file(path):
                made = made_as(path)
                own = made is not None and (made != CROPS or self._around == {None})
        except OSError:  # it cannot be looked into
            return False
        if not own and path.is_symlink():
            own = store_around(path) not in self._around or any(folder in self._apart for folder in place.parents)
        if own:
            self.own.append(path)
        return own
