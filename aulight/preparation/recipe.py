"""What a prepared dataset is made with: as its ``dataset.yaml`` says it, and what of it must not change."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aulight.data.description import DESCRIPTION, USUAL_LANDMARKER, read_description, read_plain
from aulight.data.video.write import GOP
from aulight.data.writer import partial_folder
from aulight.errors import AulightError, one_line
from aulight.foreign.yaml import write_yaml

SETTINGS = "settings.yaml"
"""Beside a dataset that is not whole yet: the record of its recipe."""

LABELS_ONLY = ("drop_untracked",)
"""Settings of readers that change labels and no frame."""

MAY_DIFFER = ("gop", "networks")
"""How videos are encoded, and who runs the networks: those that are there may stay as they are."""

CHOSEN = ("plus",)
"""Settings of readers that come with ``data=``, which is given every time."""

_KEYS = {"format": "data.format", "faces": "data.faces"}
_KEYS["landmarker"] = "faces.model"
_KEYS |= {key: f"faces.{key}" for key in ("blendshapes", "max_faces", "smooth_s")}
_KEYS |= {f"reader.{key}": f"data.reader.{key}" for key in ("camera", "drop_untracked", "fps", "pictures", "plus")}

_RESTORE = "restore it from a backup, or give another data.name="


@dataclass(frozen=True)
class Finding:
    """How faces are found and cut out, as :class:`aulight.data.faces.aligner.FaceAligner` has it.

    Attributes:
        blendshapes: Whether the landmarker's scores of every frame are kept.
        max_faces: People looked for in a frame.
        smooth_s: Standard deviation over which the place of the crop is smoothed, in seconds.
    """

    blendshapes: bool
    max_faces: int
    smooth_s: float


@dataclass(frozen=True)
class Recipe:
    """What a dataset is made with.

    Attributes:
        format: Layout of the raw data, one of :data:`aulight.data.sources.reading.FORMATS`.
        folder: Of the raw data.
        labels: CSVs of intensities; ``None``: as before, where the dataset is there already.
        subjects: CSV of who is in which video; ``None`` likewise.
        reader: Settings of the format.
        crop_size: Side of the pictures in pixels.
        finding: How faces are found; ``None`` where pictures are taken as they are.
        gop: Frames from one key frame of the prepared videos to the next.
        device: Where faces are found: ``cpu`` by LiteRT, ``torch`` on the CPU by torch, else as torch names it.
        was_by_torch: Whether some videos that are there were made by torch.
        landmarker: SHA-256 of the face landmarker's file, where faces are found by another than the usual one.
    """

    format: str
    folder: Path
    labels: tuple[Path, ...] | None
    subjects: Path | None
    reader: Mapping[str, str | float]
    crop_size: int
    finding: Finding | None
    gop: int = GOP
    device: str = "cpu"
    was_by_torch: bool = False
    landmarker: str | None = None

    @property
    def by_torch(self) -> bool:
        """Whether torch runs the networks."""
        return self.finding is not None and self.device != "cpu"

    def record(self, makes: bool = True) -> dict[str, object]:
        """The recipe in plain values: ``source`` in ``dataset.yaml``.

        Args:
            makes: Whether any video is made by it, and not its labels alone.
        """
        return {
            "format": self.format,
            "folder": str(self.folder.resolve()),
            "labels": [str(path) for path in self.labels or ()] or None,
            "subjects": None if self.subjects is None else str(self.subjects),
            "reader": dict(self.reader),
            "crop_size": self.crop_size,
            # MediaPipe's networks, whoever runs them: its own library puts landmarks .01% of a face elsewhere.
            "faces": "none" if self.finding is None else "mediapipe",
            **(
                {} if self.finding is None else vars(self.finding) | {"landmarker": self.landmarker or USUAL_LANDMARKER}
            ),
            **({} if self.gop == GOP else {"gop": self.gop}),  # as it always was before it was said
            # Of all videos or of some; what it finds is .001 pixels from what LiteRT finds.
            **({"networks": "torch"} if self.was_by_torch or (makes and self.by_torch) else {}),
        }

    def remembering(self, root: Path, typed: Collection[str] | None = None) -> tuple["Recipe", list[str]]:
        """The recipe with what the dataset has, or is being made with, wherever nothing else was asked for.

        Args:
            root: The dataset's folder.
            typed: Keys of the settings that were asked for, as in ``crop_size=64``; ``None``: all but tables that are
                ``None``.

        Returns:
            It, and what it owes to the one before, a line each.

        Raises:
            AulightError: When the record of the one before is damaged, or a table that it names is gone.
        """
        before, begun = _record_of(root), partial_folder(root) / SETTINGS
        by_torch = before.networks == "torch" or (begun.is_file() and _read_record(begun).networks == "torch")
        recipe, notes = replace(self, was_by_torch=by_torch), list[str]()
        if self.labels is None and before.labels is not None:
            recipe = replace(recipe, labels=tuple(Path(_there(path, "labels", root)) for path in before.labels))
            notes.append(f"{root}: labels={before.labels}, as before")
        if self.subjects is None and before.subjects is not None:
            recipe = replace(recipe, subjects=Path(_there(before.subjects, "subjects", root)))
            notes.append(f"{root}: subjects={before.subjects}, as before")
        if typed is not None and before.format == self.format:
            settled = recipe._settled(before, typed)
            was, now = _settings(recipe.record()), _settings(settled.record())
            notes += [f"{root}: {_KEYS.get(key, key)}={now[key]}, as before" for key in now if now[key] != was.get(key)]
            recipe = settled
        return recipe, notes

    def _settled(self, before: "_Record", typed: Collection[str]) -> "Recipe":
        """The recipe with the settings from before, but for those that were typed."""

        def is_typed(key: str) -> bool:
            return any(key == name or key.startswith(f"{name}.") for name in typed)

        reader = {
            key: value
            for key, value in (before.reader or {}).items()
            if key in self.reader and key not in CHOSEN and not is_typed(f"data.reader.{key}")
        }
        crop_size = self.crop_size if is_typed("crop_size") else before.crop_size or self.crop_size
        gop = self.gop if is_typed("gop") else before.gop or GOP
        finding = self.finding
        if before.faces == "none" and not is_typed("data.faces"):
            finding = None
        elif before.faces == "mediapipe" and finding is not None:
            names = [field.name for field in fields(Finding) if not is_typed(f"faces.{field.name}")]
            known = {name: value for name in names if (value := before.plain.get(name)) is not None}
            finding = replace(finding, **known)
        return replace(self, reader={**self.reader, **reader}, crop_size=crop_size, finding=finding, gop=gop)

    def refuse_other(self, folder: Path, before: Mapping[str, Any]) -> None:
        """Refuses a recipe that gives other frames; the raw data may have moved, and labels may change.

        Args:
            folder: What is there.
            before: The record of the recipe that it was made with.

        Raises:
            AulightError: When the two differ.
        """
        was, now = _of_frames(before), _of_frames(self.record())
        # what an older version did not know of, it did as the settings now have it
        if keys := [key for key in now if was.get(key) != now[key] and (key in was or key == "format")]:
            differing = "; ".join(f"{_KEYS.get(key, key)} was {was.get(key)}, is {now[key]}" for key in keys)
            raise AulightError(
                f"{folder}: made with other settings ({differing}); give those it was made with, or another "
                "data.name= for a dataset of its own"
            )

    def leave_in(self, folder: Path) -> None:
        """Notes the recipe beside a dataset that is being made.

        Raises:
            AulightError: When what is there was begun with another one.
        """
        path = folder / SETTINGS
        if path.is_file():
            self.refuse_other(folder, _read_record(path).plain)
        write_yaml(self.record(), path)


class _Record(BaseModel):
    """What is known of a recipe from its record; other settings are as they were."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)

    format: str | None = None
    labels: list[str] | None = None
    subjects: str | None = None
    reader: dict[str, str | bool | int | float] | None = None
    crop_size: int | None = None
    gop: Annotated[int, Field(ge=1)] | None = None
    faces: Literal["none", "mediapipe"] | None = None
    blendshapes: bool | None = None
    max_faces: int | None = None
    smooth_s: int | float | None = None
    networks: Literal["torch"] | None = None
    landmarker: str | None = None

    @property
    def plain(self) -> dict[str, Any]:
        """All of it."""
        return self.model_dump(exclude_unset=True)


def _record_of(root: Path) -> _Record:
    """The record of the recipe of a dataset, be it whole or begun; empty where there is none."""
    begun = partial_folder(root) / SETTINGS
    if (root / DESCRIPTION).is_file():
        return _checked(dict(read_description(root).get("source") or {}), root / DESCRIPTION, "source.")
    return _read_record(begun) if begun.is_file() else _Record()


def _read_record(path: Path) -> _Record:
    return _checked(read_plain(path, _RESTORE), path)


def _checked(plain: Mapping[str, Any], path: Path, prefix: str = "") -> _Record:
    try:
        return _Record.model_validate(plain)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    key = prefix + ".".join(str(part) for part in first["loc"][: 2 if first["loc"][0] == "reader" else 1])
    raise AulightError(f"{path}: {key}: {one_line(first['msg'])}; {_RESTORE}")


def _there(path: str, key: str, root: Path) -> str:
    """A table from before, which may have been moved."""
    if not Path(path).is_file():
        raise AulightError(f"{key}={path}: given for {root} before, and no such file now; give {key}= as it is now")
    return path


def _of_frames(record: Mapping[str, Any]) -> dict[str, object]:
    """What of a record decides the frames."""
    settings = {key: value for key, value in _settings(record).items() if key not in MAY_DIFFER}
    return {key: value for key, value in settings.items() if key.partition(".")[2] not in LABELS_ONLY}


def _settings(record: Mapping[str, Any]) -> dict[str, object]:
    """All of a record but places."""
    plain = {key: value for key, value in record.items() if key not in ("folder", "labels", "reader", "subjects")}
    return plain | {f"reader.{key}": value for key, value in (record.get("reader") or {}).items()}
