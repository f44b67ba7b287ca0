"""Every keystroke of every coder, in one SQLite file beside the frames.

A keystroke is a row that is never changed: undoing adds another, so what was typed, when and how long it took stays.
The file is in WAL mode with ``synchronous=FULL``: once :meth:`Store.score` returns, the keystroke survives a killed
process and a loss of power. Several processes may have the file open, for several coders or windows.
"""

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from aulight.errors import AulightError
from aulight.labelling.plan import dealt, shared_of
from aulight.labelling.sample import Key, Sample

FILE = "labels.sqlite"
"""Its name in the folder of the sample."""

_FORMAT = 1
_APPLICATION = 0x61754C42  # "auLB", by which the file is known
_WAIT_S = 10.0  # for another process that is writing

_TABLES = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE frames (
    video TEXT NOT NULL, frame INTEGER NOT NULL, time_s REAL NOT NULL, subject TEXT NOT NULL,
    coder TEXT, -- who codes it; NULL: everybody
    PRIMARY KEY (video, frame)
) WITHOUT ROWID;
CREATE TABLE strokes (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, coder TEXT NOT NULL,
    video TEXT NOT NULL, frame INTEGER NOT NULL, au INTEGER NOT NULL,
    score INTEGER, -- 0 to 5; NULL: cannot be told
    at TEXT NOT NULL, seconds REAL, -- since what was coded came into view
    undoes INTEGER UNIQUE REFERENCES strokes (number)
);
CREATE INDEX of_coder ON strokes (coder, number);
CREATE TABLE rests (
    coder TEXT NOT NULL, subject TEXT NOT NULL, video TEXT NOT NULL, place INTEGER NOT NULL,
    PRIMARY KEY (coder, subject)
) WITHOUT ROWID;
"""

_STROKE = (
    "INSERT OR IGNORE INTO strokes (id, coder, video, frame, au, score, at, seconds) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)

_PRESENT = """
SELECT max(number), coder, video, frame, au, score, at, seconds FROM strokes
WHERE undoes IS NULL AND number NOT IN (SELECT undoes FROM strokes WHERE undoes IS NOT NULL)
"""


class Score(NamedTuple):
    """What a coder says of an AU in a frame, now.

    Attributes:
        coder: Who.
        video: The video's id.
        frame: Number in the raw video.
        au: The AU.
        score: 0 to 5; ``None``: cannot be told.
        at: When, in UTC, as ISO 8601.
        seconds: How long it took; ``None`` where that is not known.
    """

    coder: str
    video: str
    frame: int
    au: int
    score: int | None
    at: str
    seconds: float | None

    @property
    def key(self) -> Key:
        """The frame."""
        return self.video, self.frame


class Store:
    """The scores of a sample; to be used by several threads at once.

    Args:
        folder: Of the sample. The file is there, see :func:`create`.

    Raises:
        AulightError: When it is no file of scores, or one of a newer aulight.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        if not self.path.is_file():
            raise AulightError(f"{self.path}: not there; nobody has coded frames of {folder} with `aulight label` yet")
        self._lock = threading.RLock()
        self._connection = _connect(self.path)
        try:
            kind, version = (
                self._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
            )
        except sqlite3.DatabaseError as error:
            raise AulightError(f"{self.path}: not a file of scores ({error}); restore it from a backup") from error
        if kind != _APPLICATION or version > _FORMAT:
            what = "of a newer aulight; update aulight" if kind == _APPLICATION else "not a file of scores of aulight"
            raise AulightError(f"{self.path}: {what}")

    def close(self) -> None:
        """Lets go of the file; the scores in the log beside it go into it."""
        with self._lock:
            self._connection.close()

    # ---- facts --------------------------------------------------------------------------------------------------

    def fact(self, name: str, default: Any = None) -> Any:
        """A plain value that was kept, or else the default."""
        rows = self._rows("SELECT value FROM facts WHERE name = ?", (name,))
        return json.loads(rows[0][0]) if rows else default

    def keep(self, name: str, value: Any) -> None:
        """Keeps a plain value under a name."""
        with self._writing() as connection:
            connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, json.dumps(value)))

    # ---- frames -------------------------------------------------------------------------------------------------

    @property
    def aus(self) -> tuple[int, ...]:
        """The AUs that are coded."""
        return tuple(self.fact("aus"))

    @property
    def subjects(self) -> dict[Key, str]:
        """Who is in each of the frames."""
        return {(video, frame): who for video, frame, who in self._rows("SELECT video, frame, subject FROM frames")}

    @property
    def shared(self) -> set[Key]:
        """The frames that go to every coder."""
        return set(self._rows("SELECT video, frame FROM frames WHERE coder IS NULL"))

    def frames_for(self, coder: str) -> set[Key]:
        """The frames that a coder is to code."""
        return set(self._rows("SELECT video, frame FROM frames WHERE coder IS NULL OR coder = ?", (coder,)))

    def deal_among(self, coders: Sequence[str]) -> None:
        """Deals the frames that are not shared, and that nobody has scored yet, among coders."""
        with self._writing() as connection:
            scored = set(connection.execute("SELECT DISTINCT video, frame FROM strokes"))
            free = set(connection.execute("SELECT video, frame FROM frames WHERE coder IS NOT NULL")) - scored
            shares = dealt(free, coders, json.loads(self._rows("SELECT value FROM facts WHERE name = 'seed'")[0][0]))
            connection.executemany(
                "UPDATE frames SET coder = ? WHERE video = ? AND frame = ?",
                [(who, *key) for key, who in shares.items()],
            )
            connection.execute("INSERT OR REPLACE INTO facts VALUES ('coders', ?)", (json.dumps(list(coders)),))

    # ---- scores -------------------------------------------------------------------------------------------------

    def score(self, stroke: str, coder: str, key: Key, au: int, score: int | None, seconds: float | None) -> None:
        """Keeps a keystroke; it is on the disk when this returns.

        Args:
            stroke: Its id, unlike any other. One that is there already is not kept twice.
            coder: Who.
            key: The frame.
            au: The AU.
            score: 0 to 5; ``None``: cannot be told.
            seconds: How long it took.

        Raises:
            sqlite3.Error: When it cannot be written, as on a full disk; nothing of it is there then.
        """
        with self._writing() as connection:
            connection.execute(_STROKE, (stroke, coder, *key, au, score, _now(), seconds))

    def undo(self, stroke: str, coder: str) -> tuple[Key, int] | None:
        """Takes a coder's last keystroke back that is not taken back yet.

        Args:
            stroke: Id of the undoing, likewise.
            coder: Whose.

        Returns:
            The frame and AU that it was of; ``None`` when there is none.

        Raises:
            sqlite3.Error: As :meth:`score`.
        """
        with self._writing() as connection:
            before = connection.execute(
                "SELECT u.video, u.frame, u.au FROM strokes u WHERE u.id = ?", (stroke,)
            ).fetchone()
            if before is None:
                last = connection.execute(
                    "SELECT number, video, frame, au FROM strokes WHERE coder = ? AND undoes IS NULL AND number NOT IN "
                    "(SELECT undoes FROM strokes WHERE undoes IS NOT NULL) ORDER BY number DESC LIMIT 1",
                    (coder,),
                ).fetchone()
                if last is None:
                    return None
                number, *before = last
                connection.execute(
                    "INSERT INTO strokes (id, coder, video, frame, au, at, undoes) VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (stroke, coder, *before, _now(), number),
                )
        video, frame, au = before
        return (video, frame), au

    def scores(self, coder: str | None = None) -> list[Score]:
        """What coders say now, one entry a coder, frame and AU, in the order in which they said it.

        Args:
            coder: Of this one alone; ``None``: of all.
        """
        of_coder = "" if coder is None else "AND coder = ? "
        query = f"{_PRESENT}{of_coder}GROUP BY coder, video, frame, au ORDER BY 1"
        return [Score(*row[1:]) for row in self._rows(query, () if coder is None else (coder,))]

    def last(self, coder: str) -> tuple[Key, int] | None:
        """The frame and AU of a coder's last keystroke."""
        rows = self._rows("SELECT video, frame, au FROM strokes WHERE coder = ? ORDER BY number DESC LIMIT 1", (coder,))
        return ((rows[0][0], rows[0][1]), rows[0][2]) if rows else None

    # ---- faces at rest ------------------------------------------------------------------------------------------

    def rest(self, coder: str, subject: str) -> tuple[str, int] | None:
        """The frame, by video and place in it, that a coder has picked as a person's face at rest."""
        rows = self._rows("SELECT video, place FROM rests WHERE coder = ? AND subject = ?", (coder, subject))
        return rows[0] if rows else None

    def pick_rest(self, coder: str, subject: str, frame: tuple[str, int] | None) -> None:
        """Keeps it; ``None``: nothing is picked any more."""
        with self._writing() as connection:
            connection.execute("DELETE FROM rests WHERE coder = ? AND subject = ?", (coder, subject))
            if frame is not None:
                connection.execute("INSERT INTO rests VALUES (?, ?, ?, ?)", (coder, subject, *frame))

    # ---- SQLite -------------------------------------------------------------------------------------------------

    def _rows(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """All that the block writes is on the disk after it, or none of it is there."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise


def create(sample: Sample, share: float, seed: int, coders: Sequence[str], first: str) -> bool:
    """Makes the file of scores of a sample, all of it or nothing, where it is not there yet. What is there stays.

    Args:
        sample: The frames, and what is filled in for them already.
        share: Of the frames that go to every coder.
        seed: Of the plan.
        coders: Among whom the others are divided.
        first: The coder whose scores those are that are filled in.

    Returns:
        Whether it was made.

    Raises:
        sqlite3.Error: When it cannot be written.
    """
    everybody = shared_of(sample.frames.keys(), share, seed)
    owner = dealt(sample.frames.keys() - everybody, coders, seed)
    facts: Mapping[str, Any] = {"aus": sample.aus, "shared": share, "seed": seed, "coders": list(coders)}
    connection = _connect(sample.folder / FILE)
    try:
        connection.execute("BEGIN IMMEDIATE")
        is_new: bool = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
        if is_new:
            _fill(connection, sample, owner, facts, first)
        connection.execute("COMMIT")
    finally:
        connection.close()
    return is_new


def _fill(
    connection: sqlite3.Connection, sample: Sample, owner: Mapping[Key, str], facts: Mapping[str, Any], first: str
) -> None:
    for statement in _TABLES.split(";\n"):
        connection.execute(statement)
    connection.executemany(
        "INSERT INTO facts VALUES (?, ?)", [(name, json.dumps(value)) for name, value in facts.items()]
    )
    rows: Iterable[Any] = ((*key, of.time_s, of.subject, owner.get(key)) for key, of in sample.frames.items())
    connection.executemany("INSERT INTO frames VALUES (?, ?, ?, ?, ?)", rows)
    given = sample.given.items()
    strokes = ((f"table {key[0]} {key[1]} {au}", first, *key, au, score, _now(), None) for (key, au), score in given)
    connection.executemany(_STROKE, strokes)
    connection.execute(f"PRAGMA application_id = {_APPLICATION}")
    connection.execute(f"PRAGMA user_version = {_FORMAT}")


@contextmanager
def told_of_scores(folder: Path) -> Iterator[None]:
    """Makes an error of SQLite in the block the user's one line: a full disk, no right to write, a damaged file.

    Raises:
        AulightError: In its place.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise AulightError(f"{folder / FILE}: cannot be used ({error})") from error


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.DatabaseError as error:
        connection.close()
        raise AulightError(f"{path}: not a file of scores that can be used ({error})") from error
    return connection


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
