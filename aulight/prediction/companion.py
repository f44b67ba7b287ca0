"""``<video>.json``: what the files of a video were made from and how, so that nothing is made twice."""

import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from aulight.data.own import refuse_foreign
from aulight.errors import AulightError, VideoError
from aulight.files import publish, remove_former, sha256, whole
from aulight.foreign.json import encodable_values, read_json
from aulight.prediction.after.records import ELAN, EVENTS, FACES, After
from aulight.prediction.videos import OVERLAY, Source, Video
from aulight.prediction.writing import PARTIAL


class ScoredBy(BaseModel):
    """What the scores are from.

    Attributes:
        kind: ``trained``, or ``blendshapes`` by the table.
        calibrated: Whether they are intensities, and not scores of the landmarker.
        note: What a reader should know of them, by the table or with a model that has seen no real face.
        blendshapes: Of each AU, what was taken for it, by the table; as the next.
        empty: Of each AU whose column holds nothing, why; an earlier aulight did not say.
        file: The model's file; without one it is not there, as all that follow.
        sha256: Of that file.
        name: As the model's description says it, as the next.
        dataset: What it learned from.
        arm: As there.
        label_fraction: As there.
        versions: As there.
    """

    model_config = ConfigDict(frozen=True)

    kind: str
    calibrated: bool | None = None
    note: str | None = None
    blendshapes: dict[str, str] | None = None
    empty: dict[str, str] | None = None
    file: str | None = None
    sha256: str | None = None
    name: str | None = None
    dataset: dict[str, str | float] | None = None
    arm: str | None = None
    label_fraction: float | None = None
    versions: dict[str, str] | None = None

    def same(self, other: "ScoredBy") -> bool:
        """Whether the other gives the same scores, wherever it is kept and whatever it is called."""
        return (self.kind, self.sha256, self.blendshapes) == (other.kind, other.sha256, other.blendshapes)


class Wanted(BaseModel):
    """The settings that the files of a video depend on.

    Attributes:
        format: ``csv`` or ``parquet``.
        coverage: Of intervals.
        plot: Whether there is a plot.
        fps: Of pictures.
        overlay: Whether there is a video with bars.
        explain: Number of an AU whose heat is in it.
        precision: Of the network.
        faces: ``mediapipe`` or ``none``: what was done, not what was asked for.
        all: Whether everybody has rows.
        max_faces: Likewise; ``None`` where no faces are found.
        smooth_s: Over how many seconds the movement of their crops was smoothed; an earlier aulight did not say.
        pictures: ``photos``, each on its own, or ``film``, which need not be said.
        baseline: ``rest`` or ``person``, where each person's own was taken away, or ``none``.
        landmarker: SHA-256 of the file of another face landmarker than the usual one.
        start: Second of a film from which on; an earlier aulight took all of it, as the next ones have it.
        end: Second before which.
        every: Each so many-th frame.
        rate: So many frames a second.
        rotate: Degrees by which pictures were turned, clockwise.
        columns: Groups of columns beside the AUs; an earlier aulight had none, and did not say, as the next two.
        present_from: Intensity from which an AU is present, where there are columns of that.
        min_quality: Quality below which nothing is said of AUs.
        reference: Seconds from and to in which faces are at rest; an earlier aulight did not ask.
    """

    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True)

    format: str
    coverage: float | None
    plot: bool
    fps: float
    overlay: bool
    explain: int | None
    precision: str
    faces: str
    all: bool
    max_faces: int | None
    smooth_s: float = 0.1  # what it always was before it was said
    pictures: str = "film"
    baseline: str = "none"
    landmarker: str | None = None
    start: float | None = None
    end: float | None = None
    every: int | None = None
    rate: float | None = None
    rotate: int = 0
    columns: tuple[str, ...] = ()
    present_from: float | None = None
    min_quality: float | None = None
    reference: tuple[float, float] | None = None

    def with_pictures_of(self, before: "Wanted") -> "Wanted":
        """The same with the pictures that are there already: they are not in the way."""
        return self.model_copy(
            update={"overlay": self.overlay or before.overlay, "plot": self.plot or before.plot},
        )


class Companion(BaseModel):
    """What ``<video>.json`` says.

    Attributes:
        source: The video.
        whole: Whether it was scored to its end.
        problem: Why not.
        files: Names of what was written, beside this file.
        sha256: Of each of them; while they are put in their places, also of what was there before. 0.1.0 did not say.
        fps: Frames per second of the video, by the usual step between two.
        notes: What is odd about the video; an earlier aulight did not say.
        frames: How many were scored.
        frames_with_a_face: In how many of them there is one that has a row.
        frames_not_followed: In how many others there are faces, but none that is followed; an earlier aulight did not
            say, as the next.
        faces_elsewhere: How often a face elsewhere was taken for the one that is followed.
        frames_with_more_faces: In how many of the frames there were more faces than are looked for; an earlier aulight
            did not say.
        faces_emptied: Of how many faces nothing is said of AUs, since their quality is below ``min_quality``.
        model: What the scores are from.
        coverage: Of the intervals; ``None`` where there are none.
        settings: What else the files depend on.
        aulight: The version that wrote them.
        seconds: What each stage took, and ``all`` of it.
        after: What was made of the table; an earlier aulight made nothing of it.
    """

    model_config = ConfigDict(frozen=True)

    source: Source
    whole: bool
    problem: str | None = None
    files: list[str]
    sha256: dict[str, list[str]] | None = None
    fps: float | None = None
    notes: list[str] = []
    frames: int
    frames_with_a_face: int
    frames_not_followed: int = 0
    faces_elsewhere: int = 0
    frames_with_more_faces: int = 0
    faces_emptied: int = 0
    model: ScoredBy
    coverage: float | None = None
    settings: Wanted
    aulight: str
    seconds: dict[str, float] = {}
    after: After | None = None


def read_companion(output: Path, name: str) -> Companion | None:
    """The companion of that name, if there is one that this aulight can read.

    Args:
        output: The folder that is written into.
        name: Of the video, with ``/`` for the folders between.
    """
    try:
        return Companion.model_validate(read_json(output / f"{name}.json"))
    except (AulightError, ValidationError):
        return None


def make_room(output: Path, video: Video, endings: Sequence[str]) -> None:
    """Refuses to go on where there are files of another video, or not of ours; removes what a killed 0.1.0 left of it.

    Args:
        output: As of :func:`read_companion`.
        video: The video.
        endings: Of what is wanted of it: ``.csv``, ...

    Raises:
        AulightError: Naming the file that is in the way.
    """
    folder, stem = (output / video.name).parent, Path(video.name).name
    if stem in _formers(folder.absolute()):
        remove_former(folder, stem, rf"{re.escape(stem)}\..+")
    companion, record = folder / f"{stem}.json", read_companion(output, video.name)
    known: dict[str, Sequence[str] | None] = {}
    if record is not None:
        try:
            same = record.source.is_of(video.path)
        except (OSError, VideoError):
            same = False
        if not same:
            raise AulightError(f"{companion}: is of another video, {record.source.path}; give another output=")
        known = {companion.name: None, **(dict.fromkeys(record.files) if record.sha256 is None else record.sha256)}
    refuse_foreign([companion, *(folder / name for name in _names(stem, endings))], known)


@cache
def _formers(folder: Path) -> frozenset[str]:
    """Of which videos 0.1.0, killed, may have left something in a folder: it is listed once, however many there are."""
    return frozenset(path.name[1:-9] for path in folder.glob(".*-????????"))


def _names(stem: str, endings: Sequence[str]) -> list[str]:
    return [stem + ending + part for ending in endings for part in ("", PARTIAL)]


def put(made: Path, output: Path, name: str, record: Companion) -> None:
    """Moves files to where they belong; what was there of another try goes, if nobody has changed it.

    Their companion says from before the first to after the last what may be there, so that none of them is ever taken
    for a file of the user's.

    Args:
        made: The folder that they are in.
        output: As of :func:`read_companion`.
        name: As there.
        record: Of these files, and of those that stay as they are.
    """
    folder, stem = (output / name).parent, Path(name).name
    before = read_companion(output, name)
    there: dict[str, list[str]] = {}
    for old in () if before is None else before.files if before.sha256 is None else before.sha256:
        if old in _names(stem, (".csv", ".parquet", OVERLAY, ".png", EVENTS, ELAN, FACES)) and (folder / old).is_file():
            found = sha256(folder / old)
            if before is not None and (before.sha256 is None or found in before.sha256[old]):
                there[old] = [found]
    moved = [file for file in record.files if (made / file).is_file()]
    known = {} if before is None or before.sha256 is None else before.sha256
    new = {file: [sha256(made / file)] if file in moved else list(known[file]) for file in record.files}
    both = {file: there.get(file, []) + new.get(file, []) for file in sorted({*there, *new})}
    moving = {"whole": False, "problem": "the files were being put in their places", "sha256": both}
    _write(record.model_copy(update=moving), folder / f"{stem}.json")
    for old in there.keys() - new.keys():
        (folder / old).unlink(missing_ok=True)
    publish(made, folder, moved)
    _write(record.model_copy(update={"sha256": new}), folder / f"{stem}.json")


def _write(record: Companion, path: Path) -> None:
    plain = encodable_values(record.model_dump(mode="json", exclude_unset=True))
    text = json.dumps(plain, indent=1, ensure_ascii=False)
    with whole(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
