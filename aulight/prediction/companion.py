"""``<video>.json``: what the files of a video were made from and how, so that nothing is made twice."""

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from aulight.prediction.videos import OVERLAY, Source
from aulight.prediction.writing import PARTIAL


class ScoredBy(BaseModel):
    """What the scores are from.

    Attributes:
        kind: ``trained``, or ``blendshapes`` without a model.
        calibrated: Whether they are intensities, and not scores of the landmarker.
        note: What a reader should know of them, without a model; as the next.
        blendshapes: Of each AU, what was taken for it.
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
        fps: Frames per second of the video, on average.
        frames: How many were scored.
        frames_with_a_face: In how many of them there is one that has a row.
        frames_not_followed: In how many others there are faces, but none that is followed; an earlier aulight did not
            say, as the next.
        faces_elsewhere: How often a face elsewhere was taken for the one that is followed.
        model: What the scores are from.
        coverage: Of the intervals; ``None`` where there are none.
        settings: What else the files depend on.
        aulight: The version that wrote them.
        seconds: What each stage took, and ``all`` of it.
    """

    model_config = ConfigDict(frozen=True)

    source: Source
    whole: bool
    problem: str | None = None
    files: list[str]
    fps: float | None = None
    frames: int
    frames_with_a_face: int
    frames_not_followed: int = 0
    faces_elsewhere: int = 0
    model: ScoredBy
    coverage: float | None = None
    settings: Wanted
    aulight: str
    seconds: dict[str, float] = {}


def read_companion(output: Path, name: str) -> Companion | None:
    """The companion of that name, if there is one that this aulight can read.

    Args:
        output: The folder that is written into.
        name: Of the video, with ``/`` for the folders between.
    """
    try:
        return Companion.model_validate(json.loads((output / f"{name}.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError):
        return None


def put(made: Path, output: Path, name: str, record: Companion) -> None:
    """Moves files to where they belong, their companion last; what was there of another try goes.

    Args:
        made: The folder that they are in.
        output: As of :func:`read_companion`.
        name: As there.
        record: Of these files.
    """
    folder, stem = (output / name).parent, Path(name).name
    before, companion = read_companion(output, name), f"{stem}.json"
    text = json.dumps(record.model_dump(mode="json", exclude_unset=True), indent=1, ensure_ascii=False)
    (made / companion).write_text(text + "\n", encoding="utf-8")
    (folder / companion).unlink(missing_ok=True)
    endings = (".csv", ".parquet", OVERLAY, ".png")
    known = {stem + ending + part for ending in endings for part in ("", PARTIAL)}
    for old in known.intersection([] if before is None else before.files).difference(record.files):
        (folder / old).unlink(missing_ok=True)
    for new in (*record.files, companion):
        (made / new).replace(folder / new)
