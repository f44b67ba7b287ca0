"""The videos that are to be scored, and what their files are called."""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from aulight.data.sources.folder import unreadable, videos_below
from aulight.data.video.digest import digest, stamp
from aulight.data.video.images import is_file, is_folder, no_file
from aulight.data.video.part import Part
from aulight.data.video.raw import raw_info
from aulight.errors import AulightError, VideoError, encodable, shorten

OVERLAY = ".overlay.mp4"
"""What the names of videos with bars end with; in a folder of videos to score they are passed over."""

LONGEST = 255 - len(f"{OVERLAY}.partial")
"""Most bytes of a name, so that file systems have room for its endings."""


@dataclass(frozen=True)
class Video:
    """A video, and what its files are called.

    Attributes:
        path: As :func:`aulight.data.video.raw.raw_frames` takes it.
        name: Below the output folder, without an ending; with ``/`` for the folders between.
    """

    path: Path
    name: str


class Listing(NamedTuple):
    """The videos that are to be scored.

    Attributes:
        videos: They, in order; what is called as a video and is no file is among them.
        closed: Of folders that cannot be looked into, the reason.
        overlays: What was passed over, since it is called as videos with bars are, though no record says it is one.
        others: How many files that are neither videos nor pictures there are of each suffix.
    """

    videos: list[Video]
    closed: dict[Path, str]
    overlays: list[Path]
    others: Mapping[str, int]


def find_videos(given: Path, output: Path | None) -> Listing:
    """The video at a path, or all videos and folders of pictures below it, each with a name of its own.

    Folders are kept. Of ``a.mp4`` and ``a.mov`` beside each other, the names are ``a.mp4`` and ``a.mov``, else ``a``.

    Args:
        given: A video, a folder of pictures, or a folder of any of these.
        output: Where files will be written, if any; what is there is passed over.

    Raises:
        AulightError: When there is nothing.
    """
    if not is_folder(given):
        if not any(is_file(path) for path in (given, *given.parents)):  # in a zip file, perhaps
            raise AulightError(f"input={given}: {no_file(given)}")
        return Listing([Video(given, fitting(given.stem))], {}, [], {})
    if output is not None and output.resolve() == given.resolve():
        raise AulightError(f"output={output}: the folder of the videos; give another")
    below = videos_below(given, [] if output is None else [output])
    paths = sorted([*below.videos, *below.no_files])
    overlays = [path for path in paths if path.name.endswith(OVERLAY)]
    paths = [path for path in paths if not path.name.endswith(OVERLAY)]
    if not paths:
        own = [path.name for path in (*overlays, *below.own)]
        passed = f" but {shorten(own)}, which is passed over" if own else ""
        advice = f"; {unreadable(below.others)}" if unreadable(below.others) else ""
        raise AulightError(f"input={given}: no videos, nor pictures, in it{passed}{advice}")
    names = {}
    for path in paths:
        name = path.relative_to(given) if path != given else Path(given.resolve().name)
        names[path] = (name if path.is_dir() else name.with_suffix("")).as_posix()
    often = Counter(name.casefold() for name in names.values())
    for path in paths:
        if often[names[path].casefold()] > 1 and not path.is_dir():
            names[path] = path.relative_to(given).as_posix()
    twice = [name for name, count in Counter(name.casefold() for name in names.values()).items() if count > 1]
    if twice:
        raise AulightError(f"input={given}: two videos would be called {shorten(twice, 3)}; rename one")
    return Listing([Video(path, fitting(name)) for path, name in names.items()], below.closed, overlays, below.others)


def fitting(name: str) -> str:
    """A name as text, and short enough for the longest ending; one that is cut has a mark of its own."""
    *folders, last = encodable(name).split("/")
    if len(last.encode()) > LONGEST:
        mark = hashlib.sha256(last.encode()).hexdigest()[:8]
        last = f"{last.encode()[: LONGEST - 9].decode(errors='ignore')}~{mark}"
    return "/".join([*folders, last])


def expected(video: Video, fps: float, part: Part) -> int:
    """About how many frames of a video are to be scored by what it claims to have; 0 where it does not say."""
    try:
        info = raw_info(video.path, fps, exact=False)
    except VideoError:
        return 0
    return (info.frames or 0) if part.whole else part.count(info.frames or 0, info.fps)


class Source(BaseModel):
    """What a video was scored from.

    Attributes:
        path: Where it is; of a webcam, ``webcam:0``.
        bytes: How large it was, of a folder all its pictures; ``None`` of a webcam, as the next.
        modified_ns: When it was last changed, in nanoseconds since 1970; of a folder of pictures a number that changes
            with their names, sizes and times.
        sha256: Of its content (:func:`aulight.data.video.digest.digest`); 0.1.0 did not say.
    """

    model_config = ConfigDict(frozen=True)

    path: str
    bytes: int | None = None
    modified_ns: int | None = None
    sha256: str | None = None

    def is_of(self, video: Path) -> bool:
        """Whether it tells of this video: of what is at its place, or of a copy."""
        return self.path == _text(video) or self._is_copy(video)

    def is_unchanged(self, video: Path) -> bool:
        """Whether it tells of this video as it is now."""
        now = about(video)
        if self.path == now.path:
            return (self.bytes, self.modified_ns) == (now.bytes, now.modified_ns)
        # a folder's digest knows nothing of the pictures' names, which are in the table of photos
        return not is_folder(video) and self._is_copy(video)

    def change(self, video: Path) -> list[str]:
        """What is wrong where the video is not any more what it was when this was noted."""
        try:
            now = about(video)
        except VideoError as error:
            return [str(error)]
        if (self.bytes, self.modified_ns) == (now.bytes, now.modified_ns):
            return []
        return [f"{video}: was changed while it was read; give the same command again"]

    def _is_copy(self, video: Path) -> bool:
        now = about(video)
        if self.bytes != now.bytes:
            return False
        return self.modified_ns == now.modified_ns if self.sha256 is None else self.sha256 == digest(video)


def _text(path: Path) -> str:
    return encodable(path.resolve())


def about(path: Path, whole: bool = False, report: Callable[[int], object] = int) -> Source:
    """What tells whether a video has changed, or is another.

    Args:
        path: The video.
        whole: Whether to read it for its digest.
        report: As of :func:`aulight.data.video.digest.digest`.

    Raises:
        VideoError: When it cannot be read.
    """
    found = stamp(path)
    return Source(
        path=_text(path),
        bytes=found.size,
        modified_ns=found.mtime_ns,
        sha256=digest(path, report) if whole else None,
    )
