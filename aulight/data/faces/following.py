"""Whom to follow: who is seen longest, and which faces elsewhere are theirs after a cut, a zoom or an absence.

:class:`People` knows somebody again who is near where they were, and gives everybody else a new number. So one person
has many numbers in a film with cuts. Which of them are one is told by who is seen beside whom, never by looks:

- Two who are seen at once are two people.
- Of as many people as are ever seen at once, each is known by the others beside them: a number that is seen beside the
  very same others as another one is the same person. Where never more than one face is seen at a time, that is every
  number; where two are seen, each beside the other.
- Whoever is seen with fewer beside them than there are people could be any of those who are missing: nobody is taken
  for them. Nor are those whose numbers contradict each other, as when three are seen two at a time.
- What is seen for a moment alone is nothing: letters and patterns look like a face now and then. Who is seen for a
  tenth of the time of another, or less, does not count as company: a passer-by.

So two people who are shown in turn, and never together, are taken for one.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, combinations

import numpy as np

from aulight.data.faces.people import MOST_AHEAD
from aulight.data.faces.sightings import Sighted, Sighting
from aulight.data.video.types import RawFrame

MOMENT_S, MOMENT = 0.2, 3
"""Seconds, and frames at least, for which somebody is seen before they count."""

PASSING = 0.1
"""Share of the frames of who is seen longest, below which somebody is no company of anybody."""

AS_LONG = 0.9
"""Share of the frames of who is seen longest, from which on somebody is seen as long."""

FIRST_S = 0.5
"""Of what is seen as it comes: how long faces are compared before one is chosen."""

Person = frozenset[int]
"""The numbers of one person."""


@dataclass(frozen=True)
class Followed:
    """A frame, and the face in it that is followed.

    Attributes:
        frame: The frame.
        face: The face, or ``None``.
        others: Faces in the frame that are not followed.
        elsewhere: Whether the face is the first after one elsewhere that was taken for the same person.
    """

    frame: RawFrame
    face: Sighting | None
    others: int
    elsewhere: bool


class Company:
    """Who was seen in a film, for how long, and beside whom; memory grows with comings and goings, not with frames."""

    def __init__(self) -> None:
        self._together: Counter[Person] = Counter()  # frames in which exactly these are seen
        self._sides = defaultdict[int, float](
            float
        )  # of the faces of each, added up, as shares of the picture's longer side
        self._seen: Counter[int] = Counter()  # frames
        self._count, self._first_s, self._last_s = 0, 0.0, 0.0
        self._told: tuple[object, list[Person]] = None, []

    def see(self, frame: RawFrame, faces: dict[int, Sighting]) -> None:
        """The next frame, and the faces in it by the numbers of :class:`People`."""
        if not self._count:
            self._first_s = frame.time_s
        self._count, self._last_s = self._count + 1, frame.time_s
        self._together[frozenset(faces)] += 1
        self._seen.update(faces.keys())
        for number, face in faces.items():
            self._sides[number] += float(np.exp(face.pose[2])) / max(frame.image.shape)

    @property
    def moment(self) -> int:
        """Frames of a moment."""
        length_s = self._last_s - self._first_s
        rate = (self._count - 1) / length_s if length_s > 0 else 0.0
        return max(MOMENT, round(MOMENT_S * rate))

    def is_known(self, number: int) -> bool:
        """Whether somebody has been seen for more than a moment."""
        return self._seen[number] >= self.moment

    def longest(self, among: Iterable[int]) -> int | None:
        """Which of these numbers has been seen longest; of several the lowest."""
        return min(among, key=lambda number: (-self._seen[number], number), default=None)

    def chosen(self) -> Person:
        """Who is seen longest; of those who are seen about as long, whose face is largest. Nobody without faces."""
        people = self.people()
        frames = {person: sum(count for there, count in self._together.items() if there & person) for person in people}
        most = max(frames.values(), default=0)
        as_long = [person for person in people if frames[person] >= AS_LONG * most]

        def size(person: Person) -> float:
            return sum(self._sides[number] for number in person) / sum(self._seen[number] for number in person)

        return max(as_long, key=lambda person: (size(person), -min(person)), default=frozenset())

    def people(self, alone: bool = True) -> list[Person]:
        """The numbers of each person, as far as they can be told to be one; without those seen for a moment alone.

        Args:
            alone: Whether all who are seen in turn, and never with somebody else, are taken for one.
        """
        most = max(self._seen.values(), default=0)
        least = min(self.moment, most)  # of frames that count
        known = {number for number, count in self._seen.items() if count >= least}
        company = {number for number in known if self._seen[number] > PASSING * most}
        # all that they depend on: sums of counts are compared with `least` alone, so more than that is the same
        state = alone, least, known, company, [min(count, least) for count in self._together.values()]
        if state != self._told[0]:
            self._told = state, self._find_people(alone, least, known, company)
        return self._told[1]

    def _find_people(self, alone: bool, least: int, known: set[int], company: set[int]) -> list[Person]:
        together: Counter[Person] = Counter()
        for there, count in self._together.items():
            together[there & known] += count
        pairs: Counter[tuple[int, ...]] = Counter()
        sizes: Counter[int] = Counter()
        for there, count in together.items():
            pairs.update(dict.fromkeys(combinations(sorted(there), 2), count))
            sizes[len(there & company)] += count
        apart = [pair for pair, count in pairs.items() if count >= least]
        at_once = max(
            (size for size in sizes if sum(sizes[more] for more in sizes if more >= size) >= least), default=0
        )

        if at_once == 1 and not alone:
            return [frozenset({number}) for number in sorted(known)]
        same = {number: {number} for number in known}
        by_others: dict[Person, int] = {}
        for there in sorted(together, key=sorted):
            for number in sorted(there) if len(there) == at_once and together[there] >= least else ():
                if (others := there - {number}) <= company:
                    _join(same, by_others.setdefault(others, number), number)
        distinct = [numbers for number, numbers in sorted(same.items()) if number == min(numbers)]
        return [person for numbers in distinct for person in _consistent(numbers, company, apart)]


def _join(same: dict[int, set[int]], one: int, other: int) -> None:
    """Makes two numbers one person's."""
    if same[one] is not same[other]:
        same[one] |= same[other]
        for number in same[other]:
            same[number] = same[one]


def _consistent(numbers: set[int], company: set[int], apart: Iterable[tuple[int, ...]]) -> Iterator[Person]:
    """The numbers as one person, unless some of them were seen at once: those who count break it up, others leave."""
    inside = [pair for pair in apart if numbers.issuperset(pair)]
    alone = set(chain.from_iterable(inside)) - company
    if any(company.issuperset(pair) for pair in inside):
        alone = numbers
    yield from (frozenset({number}) for number in sorted(alone))
    if rest := numbers - alone:
        yield frozenset(rest)


def follow_live(seen: Iterable[Sighted]) -> Iterator[Followed]:
    """The face of one person, as frames come: whose face is largest in the first :data:`FIRST_S` with faces.

    Who was seen for a moment alone is given up for whoever is seen longest. A face elsewhere is taken for the one who
    is followed once it has been seen for a moment, and :class:`Company` says so.
    """
    frames, company, first = iter(seen), Company(), list[Sighted]()
    sides = defaultdict[int, float](float)
    for frame, faces in frames:
        company.see(frame, faces)
        if not first and not faces:
            yield Followed(frame, None, 0, False)
            continue
        first.append((frame, faces))
        for number, face in faces.items():
            sides[number] += float(np.exp(face.pose[2]))
        if frame.time_s - first[0][0].time_s > FIRST_S or len(first) == MOST_AHEAD:
            break
    followed: Person = frozenset([max(sides, key=lambda number: (sides[number], -number))] if sides else [])
    pick = Picker(company)
    while first:
        yield pick(followed, *first.pop(0))
    for frame, faces in frames:
        company.see(frame, faces)
        if not followed & faces.keys() and any(map(company.is_known, faces)):
            longest = company.longest(followed)
            if longest is None or not company.is_known(longest):
                followed = company.chosen()
            else:
                followed = next(person for person in company.people() if longest in person)
        yield pick(followed, frame, faces)


class Picker:
    """Picks the face that is followed out of frame after frame.

    Args:
        company: Who has been seen.
    """

    def __init__(self, company: Company) -> None:
        self._company = company
        self._last: int | None = None

    def __call__(self, followed: Person, frame: RawFrame, faces: dict[int, Sighting]) -> Followed:
        """The face of the person, who is followed, in the next frame."""
        number = self._company.longest(followed & faces.keys())
        if number is None:
            return Followed(frame, None, len(faces), False)
        before, self._last = self._last, number
        return Followed(frame, faces[number], len(faces) - 1, before not in (None, number))


class Known:
    """Gives the faces of a film the numbers of their people, so that who comes back is who they were.

    Who comes back near the same place, with a face of about the same size, has the same number of :class:`People`
    already. Elsewhere they are known by who is beside them. Where never two are seen at once, nothing tells one who is
    elsewhere from somebody else: they are taken for somebody new.

    Args:
        company: Who has been seen, in all of the film.
    """

    def __init__(self, company: Company) -> None:
        self._company = company
        self._people = {number: min(person) for person in company.people(alone=False) for number in person}
        self._last: dict[int, int] = {}

    def __call__(self, faces: dict[int, Sighting]) -> tuple[dict[int, Sighting], set[int]]:
        """The faces of the next frame by their people, and which of these were elsewhere when they were seen last."""
        there, moved = dict[int, Sighting](), set[int]()
        people = defaultdict[int, list[int]](list)
        for number in faces:
            people[self._people.get(number, number)].append(number)
        for person, numbers in people.items():
            best = self._company.longest(numbers)
            for number in numbers:  # two at once, for a moment: the one who was seen longer is who they were
                name = person if number == best else number if number != person else best
                if name is not None:
                    there[name] = faces[number]
            if best is not None:
                if self._last.setdefault(person, best) != best:
                    moved.add(person)
                self._last[person] = best
        return there, moved


def about_following(
    not_followed: int, elsewhere: int, advice: str, everybody: bool = False, crowded: int = 0, most: int | None = None
) -> Iterator[str]:
    """What came of following one person, or everybody, for a summary.

    Args:
        not_followed: Frames with faces that are not followed, and without the one that is.
        elsewhere: How often a face elsewhere was taken for the one that is followed.
        advice: What a user may do.
        everybody: Whether all are followed.
        crowded: Frames with more faces than are looked for.
        most: How many that is.
    """
    if not_followed:
        frames = "1 frame shows" if not_followed == 1 else f"{not_followed:,} frames show"
        yield f"{frames} faces, but not of the one who is followed; {advice}"
    if elsewhere:
        times = "once" if elsewhere == 1 else f"{elsewhere:,} times"
        if everybody:
            yield f"{times} a face elsewhere was taken for somebody who was seen before, by those beside it"
        else:
            why = "it could be nobody else who was seen"
            yield f"{times} a face elsewhere was taken for the one who is followed, since {why}; {advice}"
    if crowded and most:
        frames = "1 frame shows" if crowded == 1 else f"{crowded:,} frames show"
        yield f"{frames} more faces than the {most} that are looked for; faces.max_faces={2 * most} looks for more"
