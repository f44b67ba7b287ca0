"""A coder's desk: what the page shows and does, in plain values, whatever brings them there."""

from collections.abc import Callable, Mapping
from typing import Literal, TypedDict

from aulight.data.store import PreparedDataset
from aulight.errors import AulightError
from aulight.facs import AU_NAMES, AU_SIGNS, MAX_INTENSITY, short_name
from aulight.labelling.export import UNKNOWN, Exported
from aulight.labelling.plan import ranked
from aulight.labelling.sample import Drawn, Key, Sample
from aulight.labelling.store import Score, Store
from aulight.labelling.together import open_frames
from aulight.labelling.views import Clip, Views
from aulight.settings.label import CONSENSUS

PACE = 60
"""Latest keystrokes by which the time left is estimated."""

Written = int | Literal["?"]
"""A score as the page has it."""


class AuShown(TypedDict):
    """An AU in the page."""

    au: int
    name: str
    title: str
    signs: str


class FrameShown(TypedDict):
    """A frame in the page; ``said`` is empty but in the consensus round."""

    video: str
    frame: int
    row: int
    place: int
    time_s: float
    subject: str
    said: dict[int, dict[str, Written]]


class Kept(TypedDict):
    """What a keystroke has come to: scores of the coder that are there, from all their windows."""

    done: int


class Undone(TypedDict):
    """What was taken back: video, frame and AU, ``None`` where there was nothing; and what stands there now."""

    undone: tuple[str, int, int] | None
    score: Written | None


class TableShown(TypedDict):
    """The label table."""

    table: str
    frames: int
    labels: int


class VideoShown(TypedDict):
    """A video of a person."""

    row: int
    video: str
    frames: int


class RestShown(TypedDict):
    """A face at rest, and where to look for others of the person."""

    row: int
    place: int
    picked: bool
    subject: str
    videos: list[VideoShown]


class State(TypedDict):
    """All that the page starts from."""

    coder: str
    consensus: bool
    aus: list[AuShown]
    frames: list[FrameShown]
    scores: list[dict[int, Written]]
    last: tuple[str, int, int] | None
    seconds: list[float]
    look: dict[str, str]
    waiting: dict[str, int]


class Desk:
    """One coder's view of a sample; to be used by several threads at once.

    Args:
        data: The dataset.
        sample: The frames.
        store: The scores.
        coder: Who codes.
        export: Writes the label table.
    """

    def __init__(
        self, data: PreparedDataset, sample: Sample, store: Store, coder: str, export: Callable[[], Exported]
    ) -> None:
        self._sample, self._store, self._export = sample, store, export
        self._views = Views(data)
        self.coder = coder
        self._names = [str(name) for name in data.videos["video_id"]]
        self._lengths: list[int] = data.videos["frames"].tolist()
        shown = {drawn.subject for drawn in sample.frames.values()}
        subjects = [str(subject).strip() for subject in data.videos["subject"]]
        who = [subject or name for subject, name in zip(subjects, self._names, strict=True)]
        self._rows = {subject: [row for row, one in enumerate(who) if one == subject] for subject in shown}

    def state(self) -> State:
        """What the coder sees: their own scores alone, and all scores of a frame in the consensus round."""
        together, waiting = open_frames(self._store) if self.coder == CONSENSUS else ([], {})
        said = {frame.key: frame.said for frame in together}
        keys = list(said) if self.coder == CONSENSUS else self._plan()
        mine = self._store.scores(self.coder)
        by_key: dict[Key, dict[int, Written]] = {key: {} for key in keys}
        for score in mine:
            if score.key in by_key:
                by_key[score.key][score.au] = _written(score.score)
        last = self._store.last(self.coder)
        return {
            "coder": self.coder,
            "consensus": self.coder == CONSENSUS,
            "aus": [_au_shown(au) for au in self._sample.aus],
            "frames": [_frame_shown(self._sample.frames[key], said.get(key, {})) for key in keys],
            "scores": list(by_key.values()),
            "last": None if last is None else (*last[0], last[1]),
            "seconds": _pace(mine),
            "look": self._store.fact(f"look:{self.coder}", {}),
            "waiting": waiting,
        }

    def score(self, stroke: str, video: str, frame: int, au: int, score: Written, seconds: float | None) -> Kept:
        """Keeps a keystroke; it is on the disk when this returns.

        Raises:
            AulightError: When there is nothing of that kind to score.
            sqlite3.Error: When it cannot be written.
        """
        self._drawn((video, frame))
        if au not in self._sample.aus or not (score == UNKNOWN or score in range(MAX_INTENSITY + 1)):
            raise AulightError(f"{short_name(au)} {score!r}: no score of this sample")
        self._store.score(stroke, self.coder, (video, frame), au, None if score == UNKNOWN else int(score), seconds)
        return {"done": len(self._store.scores(self.coder))}

    def undo(self, stroke: str) -> Undone:
        """Takes the last keystroke back, and says of what it was and what stands there now.

        Raises:
            sqlite3.Error: When it cannot be written.
        """
        undone = self._store.undo(stroke, self.coder)
        if undone is None:
            return {"undone": None, "score": None}
        (video, frame), au = undone
        before = [of for of in self._store.scores(self.coder) if of.key == (video, frame) and of.au == au]
        return {"undone": (video, frame, au), "score": _written(before[0].score) if before else None}

    def keep_look(self, look: Mapping[str, str]) -> None:
        """Keeps how the coder likes the page."""
        self._store.keep(f"look:{self.coder}", dict(look))

    def export(self) -> TableShown:
        """Writes the label table."""
        written = self._export()
        return {"table": str(written.table), "frames": written.frames, "labels": written.labels}

    # ---- pictures -----------------------------------------------------------------------------------------------

    def still(self, row: int, place: int) -> bytes:
        """A frame of a person of the sample, as a PNG file.

        Raises:
            AulightError: When it is none.
        """
        self._subject_of(row, place)
        return self._views.still(row, place)

    def clip(self, row: int, place: int) -> Clip:
        """The clip around a frame that is to be coded, likewise."""
        if not any((drawn.row, drawn.place) == (row, place) for drawn in self._sample.frames.values()):
            raise AulightError("no frame of this sample")
        return self._views.clip(row, place)

    def rest(self, row: int) -> RestShown:
        """The face at rest of the person in a video: that which the coder has picked, else that nearest the median.

        Raises:
            AulightError: When nobody of the sample is in that video.
        """
        subject = self._subject_of(row, 0)
        rows = self._rows[subject]
        picked = self._store.rest(self.coder, subject)
        if picked is not None and picked[0] in self._names:
            at, place, is_picked = self._names.index(picked[0]), picked[1], True
        else:
            (at, place), is_picked = self._views.at_rest(subject, rows), False
        return {
            "row": at,
            "place": place,
            "picked": is_picked,
            "subject": subject,
            "videos": [{"row": one, "video": self._names[one], "frames": self._lengths[one]} for one in rows],
        }

    def pick_rest(self, row: int, place: int | None) -> RestShown:
        """Keeps a frame as the face at rest of the person that it shows; ``None``: that nearest the median."""
        subject = self._subject_of(row, place or 0)
        self._store.pick_rest(self.coder, subject, None if place is None else (self._names[row], place))
        return self.rest(row)

    def _plan(self) -> list[Key]:
        """The coder's frames, in an order of their own."""
        return ranked(self._store.frames_for(self.coder), int(self._store.fact("seed")), self.coder)

    def _drawn(self, key: Key) -> Drawn:
        mine = self._sample.frames.keys() if self.coder == CONSENSUS else self._store.frames_for(self.coder)
        if key not in mine or key not in self._sample.frames:
            raise AulightError(f"frame {key[1]} of {key[0]}: not for {self.coder} to code")
        return self._sample.frames[key]

    def _subject_of(self, row: int, place: int) -> str:
        subject = next((who for who, rows in self._rows.items() if row in rows), None)
        if subject is None or not 0 <= place < self._lengths[row]:
            raise AulightError("no frame of a person of this sample")
        return subject


def _written(score: int | None) -> Written:
    return "?" if score is None else score


def _au_shown(au: int) -> AuShown:
    return {"au": au, "name": short_name(au), "title": AU_NAMES.get(au, ""), "signs": AU_SIGNS.get(au, "")}


def _frame_shown(drawn: Drawn, said: Mapping[int, Mapping[str, int | None]]) -> FrameShown:
    return {
        "video": drawn.video,
        "frame": drawn.frame,
        "row": drawn.row,
        "place": drawn.place,
        "time_s": round(drawn.time_s, 3),
        "subject": drawn.subject,
        "said": {au: {coder: _written(score) for coder, score in of.items()} for au, of in said.items()},
    }


def _pace(scores: list[Score]) -> list[float]:
    return [score.seconds for score in scores if score.seconds is not None][-PACE:]
