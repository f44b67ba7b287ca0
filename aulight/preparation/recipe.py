"""What a prepared dataset is made with: as its ``dataset.yaml`` says it, and what of it must not change."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from aulight.data.writer import partial_folder
from aulight.errors import AulightError
from aulight.files import write_yaml

SETTINGS = "settings.yaml"
"""Beside a dataset that is not whole yet: the record of its recipe."""

LABELS_ONLY = ("drop_untracked",)
"""Settings of readers that change labels and no frame."""


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
    """

    format: str
    folder: Path
    labels: tuple[Path, ...] | None
    subjects: Path | None
    reader: Mapping[str, str | float]
    crop_size: int
    finding: Finding | None

    def record(self) -> dict[str, object]:
        """The recipe in plain values: ``source`` in ``dataset.yaml``."""
        return {
            "format": self.format,
            "folder": str(self.folder.resolve()),
            "labels": [str(path) for path in self.labels or ()] or None,
            "subjects": None if self.subjects is None else str(self.subjects),
            "reader": dict(self.reader),
            "crop_size": self.crop_size,
            # MediaPipe's networks, whoever runs them: its own library puts landmarks .01% of a face elsewhere.
            "faces": "none" if self.finding is None else "mediapipe",
            **({} if self.finding is None else vars(self.finding)),
        }

    def remembering(self, root: Path) -> tuple["Recipe", list[str]]:
        """The recipe with the tables that the dataset has, or is being made with, where no others are given.

        Args:
            root: The dataset's folder.

        Returns:
            It, and what it owes to the one before, a line each.
        """
        before = _record_of(root)
        labels, subjects = before.get("labels"), before.get("subjects")
        recipe, notes = self, []
        if self.labels is None and labels is not None:
            recipe = replace(recipe, labels=tuple(map(Path, labels)))
            notes.append(f"{root}: labels={labels}, as before")
        if self.subjects is None and subjects is not None:
            recipe = replace(recipe, subjects=Path(subjects))
            notes.append(f"{root}: subjects={subjects}, as before")
        return recipe, notes

    def refuse_other(self, folder: Path, before: Mapping[str, Any]) -> None:
        """Refuses a recipe that gives other frames; the raw data may have moved, and labels may change.

        Args:
            folder: What is there.
            before: The record of the recipe that it was made with.

        Raises:
            AulightError: When the two differ.
        """
        was, now = _of_frames(before), _of_frames(self.record())
        if keys := [key for key in {**was, **now} if was.get(key) != now.get(key)]:
            differing = "; ".join(f"{key} was {was.get(key)}, is {now.get(key)}" for key in keys)
            raise AulightError(
                f"{folder}: made with other settings ({differing}); remove it or give another data.root="
            )

    def leave_in(self, folder: Path) -> None:
        """Notes the recipe beside a dataset that is being made.

        Raises:
            AulightError: When what is there was begun with another one.
        """
        path = folder / SETTINGS
        if path.is_file():
            self.refuse_other(folder, yaml.safe_load(path.read_text(encoding="utf-8")))
        write_yaml(self.record(), path)


def _record_of(root: Path) -> Mapping[str, Any]:
    """The record of the recipe of a dataset, be it whole or begun; empty where there is none."""
    for path in (root / "dataset.yaml", partial_folder(root) / SETTINGS):
        if path.is_file():
            known: Mapping[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
            return known if path.name == SETTINGS else known.get("source") or {}
    return {}


def _of_frames(record: Mapping[str, Any]) -> dict[str, object]:
    """What of a record decides the frames."""
    frames = {key: value for key, value in record.items() if key not in ("folder", "labels", "reader", "subjects")}
    reader = record.get("reader", {}).items()
    return frames | {f"reader.{key}": value for key, value in reader if key not in LABELS_ONLY}
