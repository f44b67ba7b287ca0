"""What ``<video>.json`` keeps of a video for the pages and tables over all of them."""

from pydantic import BaseModel, ConfigDict

EVENTS, ELAN, FACES = ".events.csv", ".eaf", ".faces.jpg"
"""What the names of files end with."""


MOST_PEOPLE = 500
"""Of whom a video's record keeps numbers, so that it can be read; the table has all."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class Asked(_Record):
    """The settings that all this depends on.

    Attributes:
        events: ``enter``, ``leave``, ``min_s``, ``merge_s``; ``None`` for no events.
        elan: Whether there is a file for ELAN.
        faces: Whether there are pictures of the strongest moments.
    """

    events: dict[str, float] | None
    elan: bool
    faces: bool


class OfUnit(_Record):
    """One action unit of one person in a video.

    Attributes:
        mean: Of the intensities.
        sd: Their standard deviation, with n - 1; ``None`` for one frame.
        highest: Of them.
        seconds: With the face, where the intensity is known.
        present_s: Seconds in events; as the next, ``None`` where events were not looked for.
        events: How many.
        peak: Mean of their peaks; ``None`` without events.
    """

    mean: float
    sd: float | None
    highest: float
    seconds: float
    present_s: float | None = None
    events: int | None = None
    peak: float | None = None


class Person(_Record):
    """One person in a video; of photos, all of them.

    Attributes:
        face_id: Who; ``None`` of photos.
        frames: In how many frames the face is.
        seconds: How long; 0 of photos.
        quality: Mean; ``None`` where the table does not have it.
        aus: By name, those that have scores.
    """

    face_id: int | None
    frames: int
    seconds: float
    quality: float | None = None
    aus: dict[str, OfUnit]


class Moment(_Record):
    """A frame in which an action unit is strongest, with its picture in ``<video>.faces.jpg``.

    Attributes:
        au: ``AU12``.
        face_id: Who.
        frame: As in the table.
        seconds: When; of photos their number.
        value: Intensity.
    """

    au: str
    face_id: int
    frame: int
    seconds: float
    value: float


class After(_Record):
    """All that.

    Attributes:
        asked: The settings.
        seconds: From the first frame to the end of the last; 0 of photos.
        people: The one who is seen longest first; of very many the first :data:`MOST_PEOPLE`.
        more_people: How many others there were; an earlier aulight kept all.
        together: Of pairs ``AU01+AU02`` the seconds in which both are present, either is, and both are known.
        strips: Of each AU of the person who is seen longest, a digit (:data:`aulight.prediction.after.people.LEVELS`)
            for the highest intensity in each of as many equal parts of the video, ``-`` without a face.
        moments: The pictures, in their order.
        rest: Of each person (``0``) what ``baseline=person`` took away, by AU (``AU12``) or side (``AU12_left``).
    """

    asked: Asked
    seconds: float
    people: list[Person]
    more_people: int = 0
    together: dict[str, tuple[float, float, float]] = {}
    strips: dict[str, str] = {}
    moments: list[Moment] = []
    rest: dict[str, dict[str, float]] = {}
