"""What ``input=`` may be: one video or folder, several, or patterns; each video with a name of its own."""

import glob
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from aulight.data.own import without_own
from aulight.data.video.images import is_file, is_folder
from aulight.data.video.types import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from aulight.errors import AulightError, shorten
from aulight.prediction.videos import OVERLAY, Listing, Video, find_videos, fitting

_PATTERN = re.compile(r"[*?[]")


def find_inputs(given: Sequence[str], output: Path | None) -> Listing:
    """The videos that are meant, each once and with a name of its own, below which its files will be written.

    A video that is given by itself is called as its file is, one of a folder by its place in it, one that a pattern
    finds by its place below the folder that the pattern begins in. Those that would have one name get the folders in
    front in which they differ, and their endings where that does not do.

    Args:
        given: Paths, or patterns: ``*`` and ``?`` within a name, ``[ab]``, and ``**`` for any folders. What is there
            under a name with such signs is meant itself.
        output: Where files will be written, if any; what is there is passed over.

    Raises:
        AulightError: When there is nothing, or two would have one name all the same.
    """
    if len(given) == 1 and not is_pattern(given[0]):
        return find_videos(Path(given[0]).expanduser(), output)
    videos, closed, overlays, others = dict[Path, Video](), dict[Path, str](), list[Path](), Counter[str]()
    for one in given:
        listing = _matching(one, output) if is_pattern(one) else find_videos(Path(one).expanduser(), output)
        for video in listing.videos:
            videos.setdefault(_real(video.path), video)
        closed.update(listing.closed)
        overlays += listing.overlays
        others.update(listing.others)
    return Listing(_told_apart(list(videos.values())), closed, list(dict.fromkeys(overlays)), others)


def is_pattern(given: str) -> bool:
    """Whether a text is a pattern, and nothing is there under it as it stands."""
    return bool(_PATTERN.search(given)) and not os.path.lexists(Path(given).expanduser())


def _real(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # links in a circle; whoever reads it will say so
        return path


def _matching(pattern: str, output: Path | None) -> Listing:
    """What a pattern finds: videos, pictures, and all that is in folders."""
    text = str(Path(pattern).expanduser())
    parts = Path(text).parts
    plain = next(place for place, part in enumerate(parts) if _PATTERN.search(part))
    root = Path(*parts[:plain])
    found = [Path(path) for path in sorted(glob.glob(text, recursive=True))]  # noqa: PTH207  # pathlib's shows hidden ones
    folders = {path for path in found if is_folder(path) and path != root}
    outermost = [path for path in found if folders.isdisjoint(path.parents)]
    files = [path for path in outermost if is_file(path)]
    inside = [path for path in outermost if path in folders]
    videos, closed, others, overlays = list[Video](), dict[Path, str](), Counter[str](), list[Path]()
    for path in _raw(files, output):
        if path.suffix.lower() not in VIDEO_SUFFIXES | IMAGE_SUFFIXES:
            others[path.suffix.lower()] += 1
        elif path.name.endswith(OVERLAY):
            overlays.append(path)
        else:
            videos.append(Video(path, path.relative_to(root).with_suffix("").as_posix()))
    for folder in inside:
        try:
            listing = find_videos(folder, output)
        except AulightError:  # nothing in it
            continue
        place = folder.relative_to(root)
        for video in listing.videos:
            name = place if video.path == folder else place / video.name
            videos.append(Video(video.path, name.as_posix()))
        closed.update(listing.closed)
        overlays += listing.overlays
        others.update(listing.others)
    if not videos:
        passed = f"; passed over: {shorten(path.name for path in overlays)}" if overlays else ""
        advice = "" if found else f" ({root} is {'a folder' if is_folder(root) else 'not there'})"
        raise AulightError(f"input={pattern}: finds no videos, nor pictures{advice}{passed}")
    return Listing(videos, closed, overlays, others)


def _raw(files: Sequence[Path], output: Path | None) -> Iterator[Path]:
    """Files that aulight has not written, and that are not where it is going to write."""
    kept = dict[Path, set[Path]]()
    for path in files:
        folder = path.parent
        if output is not None and output.resolve() in (folder.resolve(), *folder.resolve().parents):
            continue
        if folder not in kept:
            kept[folder] = set(without_own(folder.iterdir()))
        if path in kept[folder]:
            yield path


def _told_apart(videos: Sequence[Video]) -> list[Video]:
    """Videos with names that differ, also where large and small letters do not count."""
    alike = defaultdict[str, list[Video]](list)
    for video in videos:
        alike[video.name.casefold()].append(video)
    named = dict[Path, str]()
    for several in alike.values():
        named.update({video.path: video.name for video in several} if len(several) == 1 else _longer(several))
    counts = Counter(name.casefold() for name in named.values())
    if twice := [name for name, count in counts.items() if count > 1]:
        raise AulightError(f"input: two videos would be called {shorten(twice, 3)}; give them one by one")
    return [Video(video.path, fitting(named[video.path])) for video in videos]


def _longer(several: Sequence[Video]) -> dict[Path, str]:
    """Names with the folders in which the paths differ, and with endings where folders do not tell them apart."""
    whole = {video.path: _real(video.path) for video in several}
    common = os.path.commonpath([path.parent for path in whole.values()])
    names = {path: real.relative_to(common) for path, real in whole.items()}
    short = Counter(name.with_suffix("").as_posix().casefold() for name in names.values())

    def called(path: Path, name: Path) -> str:
        bare = name if path.is_dir() else name.with_suffix("")
        return (name if short[name.with_suffix("").as_posix().casefold()] > 1 else bare).as_posix()

    return {path: called(path, name) for path, name in names.items()}
