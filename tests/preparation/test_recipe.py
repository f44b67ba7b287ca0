"""What a dataset is made with: the record on disk, what it forgets, and what it refuses. No video is read."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from aulight.data.writer import partial_folder
from aulight.errors import AulightError
from aulight.preparation.recipe import SETTINGS, Finding, Recipe

BEFORE = """\
format: 1
name: disfa
source:
  format: disfa
  folder: /raw
  labels: null
  subjects: null
  reader:
    camera: left
    drop_untracked: false
  crop_size: 128
  faces: mediapipe
  blendshapes: true
  max_faces: 4
  smooth_s: 0.1
"""
"""Part of a ``dataset.yaml``, letter by letter as aulight 0.1.0 wrote it."""

RECIPE = Recipe(
    "disfa", Path("/raw"), None, None, {"camera": "left", "drop_untracked": False}, 128, Finding(True, 4, 0.1)
)


def test_the_record_is_that_of_the_version_before() -> None:
    source = yaml.safe_dump({"source": RECIPE.record()}, sort_keys=False)
    assert BEFORE.endswith(source)
    RECIPE.refuse_other(Path("data"), yaml.safe_load(BEFORE)["source"])


def test_as_they_came_has_no_settings_of_faces() -> None:
    assert list(replace(RECIPE, finding=None).record())[-2:] == ["crop_size", "faces"]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (replace(RECIPE, crop_size=96), "crop_size was 128, is 96"),
        (replace(RECIPE, finding=Finding(True, 4, 0.2)), "smooth_s was 0.1, is 0.2"),
        (replace(RECIPE, finding=None), "faces was mediapipe, is none; blendshapes was True, is None"),
        (replace(RECIPE, reader={"camera": "both", "drop_untracked": False}), "reader.camera was left, is both"),
    ],
)
def test_other_frames_are_refused(other: Recipe, message: str) -> None:
    with pytest.raises(AulightError, match=message):
        other.refuse_other(Path("data"), RECIPE.record())


@pytest.mark.parametrize(
    "other",
    [
        replace(RECIPE, folder=Path("/moved")),
        replace(RECIPE, labels=(Path("/labels.csv"),), subjects=Path("/subjects.csv")),
        replace(RECIPE, reader={"camera": "left", "drop_untracked": True}),
    ],
)
def test_other_labels_and_another_place_are_not(other: Recipe) -> None:
    other.refuse_other(Path("data"), RECIPE.record())


def test_a_dataset_of_unknown_source_is_refused() -> None:
    with pytest.raises(AulightError, match="format was None, is disfa"):
        RECIPE.refuse_other(Path("data"), {})


@pytest.mark.parametrize("whole", [True, False])
def test_tables_are_remembered_until_others_are_given(tmp_path: Path, whole: bool) -> None:
    root, tables = tmp_path / "data", (Path("/a.csv"), Path("/b.csv"))
    before = replace(RECIPE, labels=tables, subjects=Path("/who.csv"))
    if whole:
        root.mkdir()
        (root / "dataset.yaml").write_text(yaml.safe_dump({"source": before.record()}))
    else:
        partial_folder(root).mkdir()
        before.leave_in(partial_folder(root))
        assert [path.name for path in partial_folder(root).iterdir()] == [SETTINGS]
    recipe, notes = RECIPE.remembering(root)
    assert (recipe.labels, recipe.subjects) == (tables, Path("/who.csv"))
    assert notes == [f"{root}: labels=['/a.csv', '/b.csv'], as before", f"{root}: subjects=/who.csv, as before"]
    recipe, notes = replace(RECIPE, labels=(), subjects=Path("/new.csv")).remembering(root)
    assert (recipe.labels, recipe.subjects, notes) == ((), Path("/new.csv"), [])
    assert recipe.record()["labels"] is None


def test_nothing_is_remembered_of_a_new_dataset(tmp_path: Path) -> None:
    assert RECIPE.remembering(tmp_path / "data") == (RECIPE, [])
