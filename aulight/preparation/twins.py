"""Raw videos that are there twice, under two names: who is in the one is in the other."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from aulight.data.sources.raw import RawVideo
from aulight.data.video.digest import digest, stamp
from aulight.errors import AulightError, VideoError, shorten_lines


def digests_of_likely(videos: Iterable[RawVideo]) -> dict[str, set[str]]:
    """Digests of those raw videos that are as large as another one: no others can be the same, file for file."""
    of_size = defaultdict[int, list[RawVideo]](list)
    for video in videos:
        if not video.path.exists():  # inside a zip file, whose size is that of all
            continue
        try:
            of_size[stamp(video.path).size].append(video)
        except VideoError:  # said when it is read
            continue
    digests = {}
    for size, alike in of_size.items():
        for video in alike if size and len(alike) > 1 else ():  # empty files are none
            try:
                digests[video.video_id] = {digest(video.path)}
            except VideoError:
                continue
    return digests


def of_one_subject(
    videos: Iterable[RawVideo], digests: Mapping[str, Iterable[str]]
) -> tuple[list[RawVideo], list[str]]:
    """Gives videos that are one and the same one subject: apart, they could train a model and test it.

    Who has been named is kept; a video that stands for a subject of its own is given the other's.

    Args:
        videos: The raw videos.
        digests: Of each its digests, as far as they are known; those of equal content share one.

    Returns:
        The videos, and a note on each that is there more than once.

    Raises:
        AulightError: When they are said to be of two subjects, with a line for each such pair.
    """
    videos, notes, problems = list(videos), list[str](), list[str]()
    name, count = {video.video_id: video.subject for video in videos}, Counter(video.subject for video in videos)
    for group in _groups(videos, digests):
        ids = [video.video_id for video in group]
        named = {v.subject: v for v in group if v.subject != v.video_id or count[v.subject] > 1}
        if len(named) > 1:
            one, other, *_ = named.values()
            problems.append(
                f"{one.path} (subject {one.subject}) and {other.path} (subject {other.subject}) are the same video; "
                "give both one subject, or take one of them out of the folder"
            )
            continue
        subject = next(iter(named.values()), group[0]).subject
        name |= dict.fromkeys(ids, subject)
        notes.append(f"{' and '.join(ids)} are the same video, of one subject: {subject}")
    if problems:
        raise AulightError(*shorten_lines(problems))
    return [replace(video, subject=name[video.video_id]) for video in videos], shorten_lines(notes)


def _groups(videos: Sequence[RawVideo], digests: Mapping[str, Iterable[str]]) -> list[list[RawVideo]]:
    """Videos that share a digest, be it by way of a third, in order."""
    first: dict[str, int] = {}
    leader = list(range(len(videos)))

    def led(place: int) -> int:
        while leader[place] != place:
            place = leader[place]
        return place

    for place, video in enumerate(videos):
        for known in digests.get(video.video_id, ()):
            one, other = sorted((led(first.setdefault(known, place)), led(place)))
            leader[other] = one
    groups = defaultdict[int, list[RawVideo]](list)
    for place, video in enumerate(videos):
        groups[led(place)].append(video)
    return [group for group in groups.values() if len(group) > 1]
