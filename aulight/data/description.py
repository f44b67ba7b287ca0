"""``dataset.yaml``: what a prepared dataset says of itself, read and checked."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypedDict

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aulight.errors import AulightError, one_line
from aulight.foreign.yaml import MOST_BYTES, MOST_VALUES, USUAL, Most, read_yaml

FORMAT = 2
"""Version of the layout that is written; a reader refuses a newer one. Format 1 has a file a video."""

DESCRIPTION = "dataset.yaml"

USUAL_LANDMARKER = "the usual one"
"""In ``source``, where no other found the faces; earlier versions did not say which did."""

RESTORE = "restore it from a backup, or prepare the raw videos under another data.name="
"""What to do about a dataset that is damaged: what is left of it may hold work that nobody has elsewhere."""


MOST = Most(bytes=16 * MOST_BYTES, values=5 * MOST_VALUES)
"""What ``dataset.yaml`` may have: it names the videos that could not be read."""

MOST_SKIPPED = 100_000
"""Videos that could not be read which it names, with six values each; more are tried again each time."""


Plain = dict[str, Any]
"""Names and values of a YAML file."""


class DatasetDescription(TypedDict, total=False):
    """What ``dataset.yaml`` says; older files lack some of it, and further keys are kept.

    Attributes:
        format: Version of the layout.
        name: The dataset's name.
        aus: The AUs its labels have columns for.
        fps: Nominal frames per second.
        crop_size: Side of the pictures in pixels.
        alignment: How faces lie in them, in words.
        source: Where it came from and how it was made; ``folder``, ``labels`` and ``subjects`` in it are places.
        skipped: Of raw videos that could not be read the reason, by their ids.
        skipped_stamps: Of these videos the size and time (:func:`aulight.data.video.digest.stamp`).
        videos: How many there are.
        frames: How many, of all videos.
        subjects: How many.
        revision: How often its tables were replaced; not there where never.
        fingerprint: Of the tables as they were written; format 1 has none, nor the next.
        tables: By which they are known (:class:`aulight.data.fingerprint.Noted`).
    """

    format: int
    name: str
    aus: list[int]
    fps: float
    crop_size: int
    alignment: str
    source: Mapping[str, Any]
    skipped: dict[str, str]
    skipped_stamps: dict[str, list[int]]
    videos: int
    frames: int
    subjects: int
    revision: int
    fingerprint: str
    tables: dict[str, str]


_Number = Annotated[int, Field(ge=0)]


class _Described(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)

    format: Annotated[int, Field(ge=1)]
    name: str | int | float
    aus: list[Annotated[int, Field(ge=1, le=99)]]
    fps: Annotated[float, Field(gt=0)]
    videos: _Number
    frames: _Number
    crop_size: _Number = 0
    alignment: str = ""
    source: Plain | None = None
    skipped: dict[str, str] = {}
    skipped_stamps: dict[str, list[int]] = {}
    subjects: _Number = 0
    revision: _Number = 0
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")] | None = None
    tables: dict[str, str] = {}


def is_store(folder: Path) -> bool:
    """Whether a folder is a prepared dataset, whole or damaged."""
    return (folder / DESCRIPTION).is_file() and (folder / "videos.parquet").is_file()


def read_description(root: Path) -> DatasetDescription:
    """Reads ``dataset.yaml``.

    Args:
        root: The dataset's folder.

    Raises:
        AulightError: When there is none, it is damaged, or of a newer format.
    """
    path = root / DESCRIPTION
    if not path.is_file():
        if (root / "videos.parquet").is_file():
            raise AulightError(f"{path}: missing; {RESTORE}")
        raise AulightError(f"{root}: no prepared dataset there ({DESCRIPTION} is missing); run `aulight prepare`")
    plain = read_plain(path, RESTORE, MOST)
    try:
        checked = _Described.model_validate(plain)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        said = f"has no '{key}'" if first["type"] == "missing" else f"{key}: {one_line(first['msg'])}"
        raise AulightError(f"{path}: {said}; {RESTORE}") from None
    if checked.format > FORMAT:
        raise AulightError(f"{path}: format {checked.format}, this aulight reads up to {FORMAT}; update aulight")
    described: DatasetDescription = plain  # type: ignore[assignment]
    return described


def read_plain(path: Path, advice: str, most: Most = USUAL) -> Plain:
    """Reads a YAML file of names and values.

    Args:
        path: The file.
        advice: What to do when it is damaged.
        most: What it may have.

    Raises:
        AulightError: When it is empty, or anything else.
    """
    try:
        plain = read_yaml(path, most)
    except AulightError as error:
        raise AulightError(f"{error}; {advice}") from error
    if not isinstance(plain, dict) or not all(isinstance(key, str) for key in plain):
        raise AulightError(f"{path}: {'empty' if plain is None else 'damaged'}; {advice}")
    return plain
