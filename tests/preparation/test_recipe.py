"""What a dataset is made with: the record on disk, what it forgets, and what it refuses. No video is read."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from aulight.data.fingerprint import described
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


def test_the_record_is_that_of_the_version_before_and_says_the_landmarker() -> None:
    source = yaml.safe_dump({"source": RECIPE.record()}, sort_keys=False)
    assert f"{BEFORE}  landmarker: the usual one\n".endswith(source)


@pytest.mark.parametrize("landmarker", [None, "3fa9"])
def test_a_record_that_does_not_say_the_landmarker_is_of_any(landmarker: str | None, tmp_path: Path) -> None:
    """Versions before took another one, too: what goes on says which, and from then on that one alone goes on."""
    recipe = replace(RECIPE, landmarker=landmarker)
    before = yaml.safe_load(BEFORE)["source"]
    recipe.refuse_other(tmp_path, before)
    (tmp_path / SETTINGS).write_text(yaml.safe_dump(before))
    recipe.leave_in(tmp_path)
    recipe.leave_in(tmp_path)
    with pytest.raises(AulightError, match=r"\(faces\.model was "):
        replace(RECIPE, landmarker=None if landmarker else "3fa9").leave_in(tmp_path)


def test_the_usual_landmarker_is_not_in_the_fingerprint() -> None:
    before = yaml.safe_load(BEFORE)
    assert described(before | {"source": RECIPE.record()}) == described(before)
    assert described(before | {"source": replace(RECIPE, landmarker="3fa9").record()}) != described(before)


def test_as_they_came_has_no_settings_of_faces() -> None:
    assert list(replace(RECIPE, finding=None).record())[-2:] == ["crop_size", "faces"]


def test_how_videos_are_encoded_may_change_and_is_remembered(tmp_path: Path) -> None:
    finer = replace(RECIPE, gop=2)
    assert finer.record() == {**RECIPE.record(), "gop": 2}
    for one, other in ((RECIPE, finer), (finer, RECIPE)):
        one.refuse_other(Path("data"), other.record())
    described = {
        "format": 1,
        "name": "disfa",
        "aus": [],
        "fps": 20.0,
        "videos": 1,
        "frames": 1,
        "source": finer.record(),
    }
    (tmp_path / "dataset.yaml").write_text(yaml.safe_dump(described))
    assert RECIPE.remembering(tmp_path, [])[0] == finer
    assert RECIPE.remembering(tmp_path, ["gop"])[0] == RECIPE


def test_who_runs_the_networks_may_change_and_torch_is_remembered(tmp_path: Path) -> None:
    """Where no faces are found, nobody does."""
    by_torch = replace(RECIPE, device="torch")
    assert by_torch.record() == RECIPE.record() | {"networks": "torch"}
    RECIPE.refuse_other(tmp_path, by_torch.record())
    by_torch.refuse_other(tmp_path, RECIPE.record())
    assert replace(by_torch, finding=None).record() == replace(RECIPE, finding=None).record()
    folder = tmp_path / ".data.partial"
    folder.mkdir()
    by_torch.leave_in(folder)
    later, _ = RECIPE.remembering(tmp_path / "data", typed=[])
    assert later.record()["networks"] == "torch"
    assert later.device == "cpu"


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            replace(RECIPE, crop_size=96),
            r"crop_size was 128, is 96\); give those it was made with, or another data\.name= for",
        ),
        (replace(RECIPE, finding=Finding(True, 4, 0.2)), "smooth_s was 0.1, is 0.2"),
        (replace(RECIPE, landmarker="3fa9"), r"\(faces\.model was the usual one, is 3fa9\)"),
        (replace(RECIPE, finding=None), "data.faces was mediapipe, is none\\)"),
        (replace(RECIPE, reader={"camera": "both", "drop_untracked": False}), "reader.camera was left, is both"),
    ],
)
def test_other_frames_are_refused(other: Recipe, message: str) -> None:
    with pytest.raises(AulightError, match=message):
        other.refuse_other(Path("data"), RECIPE.record())


def test_the_usual_landmarker_is_refused_where_another_was_used() -> None:
    other = replace(RECIPE, landmarker="3fa9")
    other.refuse_other(Path("data"), other.record())
    with pytest.raises(AulightError, match=r"\(faces\.model was 3fa9, is the usual one\)"):
        RECIPE.refuse_other(Path("data"), other.record())
    assert replace(other, finding=None).record() == replace(RECIPE, finding=None).record()


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
    root, tables, who = tmp_path / "data", (tmp_path / "a.csv", tmp_path / "b.csv"), tmp_path / "who.csv"
    for path in (*tables, who):
        path.touch()
    before = replace(RECIPE, labels=tables, subjects=who)
    _leave(root, before, whole)
    recipe, notes = RECIPE.remembering(root)
    assert (recipe.labels, recipe.subjects) == (tables, who)
    names = [str(path) for path in tables]
    assert notes == [f"{root}: labels={names}, as before", f"{root}: subjects={who}, as before"]
    recipe, notes = replace(RECIPE, labels=(), subjects=Path("/new.csv")).remembering(root)
    assert (recipe.labels, recipe.subjects, notes) == ((), Path("/new.csv"), [])
    assert recipe.record()["labels"] is None


@pytest.mark.parametrize("whole", [True, False])
def test_settings_are_remembered_unless_typed(tmp_path: Path, whole: bool) -> None:
    root = tmp_path / "data"
    reader: dict[str, str | float] = {"camera": "both", "drop_untracked": True}
    before = replace(RECIPE, crop_size=256, finding=Finding(False, 2, 0), reader=reader)
    _leave(root, before, whole)
    recipe, notes = RECIPE.remembering(root, typed=["data.source"])
    assert recipe == before
    known = [
        "crop_size=256",
        "faces.blendshapes=False",
        "faces.max_faces=2",
        "faces.smooth_s=0",
        "data.reader.camera=both",
    ]
    assert notes == [f"{root}: {line}, as before" for line in [*known, "data.reader.drop_untracked=True"]]
    recipe, notes = RECIPE.remembering(root, typed=["crop_size", "faces.max_faces", "data.reader"])
    assert recipe == replace(RECIPE, finding=Finding(False, 4, 0))
    with pytest.raises(
        AulightError, match=r"crop_size was 256, is 128; faces\.max_faces was 2, is 4; data\.reader\.camera"
    ):
        recipe.refuse_other(root, before.record())
    assert RECIPE.remembering(root) == (RECIPE, []), "in Python all are given"


def test_whether_faces_are_found_is_remembered_and_what_the_choice_of_layout_decides_is_not(tmp_path: Path) -> None:
    plain = replace(RECIPE, format="bp4d", reader={"plus": False, "fps": 30.0}, finding=None)
    _leave(tmp_path / "data", plain, whole=True)
    now = replace(plain, reader={"plus": True, "fps": 25.0}, finding=Finding(True, 4, 0.1))
    recipe, notes = now.remembering(tmp_path / "data", typed=[])
    assert recipe == replace(plain, reader={"plus": True, "fps": 30.0})
    assert [line.split(": ")[1] for line in notes] == ["data.faces=none, as before", "data.reader.fps=30.0, as before"]
    other = replace(RECIPE, format="folder", reader={"fps": 25.0})
    assert other.remembering(tmp_path / "data", typed=[]) == (other, []), "of another layout nothing is known"


def test_a_table_that_was_given_before_and_is_gone_is_named(tmp_path: Path) -> None:
    _leave(tmp_path / "data", replace(RECIPE, labels=(tmp_path / "labels.csv",)), whole=True)
    with pytest.raises(AulightError, match=r"labels=.*labels\.csv: given for .*data before, and no such file now"):
        RECIPE.remembering(tmp_path / "data", typed=[])


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty; restore it"),
        (bytes(50), "not readable as YAML .*; restore it"),
        (b"[1", "not readable as YAML .*; restore it"),
        (b"- 1", "damaged; restore it"),
        (b"\xff\xfe", "not readable as YAML .*; restore it"),
    ],
)
def test_a_damaged_record_is_one_line(tmp_path: Path, whole: bool, content: bytes, message: str) -> None:
    root = tmp_path / "data"
    _leave(root, RECIPE, whole)
    path = root / "dataset.yaml" if whole else partial_folder(root) / SETTINGS
    path.write_bytes(content)
    with pytest.raises(AulightError, match=f"{path}: {message}") as caught:
        RECIPE.remembering(root, typed=[])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("crop_size", "big", "crop_size: .*integer"),
        ("labels", "a.csv", "labels: .*list"),
        ("labels", [1], "labels: .*string"),
        ("subjects", ["a"], "subjects: .*string"),
        ("reader", [1], "reader: .*dictionary"),
        ("reader", {"camera": [1]}, r"reader\.camera: "),
        ("faces", "yes", "faces: .*'none' or 'mediapipe'"),
        ("max_faces", "all", "max_faces: .*integer"),
    ],
)
@pytest.mark.parametrize("whole", [True, False])
def test_a_record_of_wrong_kinds_is_one_line(
    tmp_path: Path, whole: bool, key: str, value: object, message: str
) -> None:
    root = tmp_path / "data"
    _leave(root, RECIPE, whole)
    path = root / "dataset.yaml" if whole else partial_folder(root) / SETTINGS
    plain = yaml.safe_load(path.read_text())
    (plain["source"] if whole else plain)[key] = value
    path.write_text(yaml.safe_dump(plain))
    with pytest.raises(AulightError, match=f"{path}: {'source.' * whole}{message}.*; restore it from a backup"):
        RECIPE.remembering(root, typed=[])


def _leave(root: Path, recipe: Recipe, whole: bool) -> None:
    """Leaves the record of a recipe in a dataset's description, or beside one that was begun."""
    if whole:
        root.mkdir()
        counts = {"fps": 25.0, "videos": 1, "frames": 1}
        described = {"format": 1, "name": "data", "aus": [], "source": recipe.record(), **counts}
        (root / "dataset.yaml").write_text(yaml.safe_dump(described))
    else:
        partial_folder(root).mkdir()
        recipe.leave_in(partial_folder(root))
        assert [path.name for path in partial_folder(root).iterdir()] == [SETTINGS]


def test_nothing_is_remembered_of_a_new_dataset(tmp_path: Path) -> None:
    assert RECIPE.remembering(tmp_path / "data") == (RECIPE, [])
