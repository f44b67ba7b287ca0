"""What tables say of faces beside AUs: under which names, of whom, and what is left out where faces are seen badly."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from aulight.data.faces.aligner import FaceAligner
from aulight.data.faces.head_pose import head_pose
from aulight.data.faces.landmarker import Landmarker
from aulight.data.faces.pose import BLENDSHAPES
from aulight.data.faces.quality import quality
from aulight.data.video.raw import raw_frames
from aulight.data.video.write import write_video
from aulight.errors import AulightError
from aulight.prediction.columns import GROUPS, MEASURED, USUAL, columns_of
from aulight.prediction.companion import Wanted
from aulight.prediction.untrained import AUS, intensities
from aulight.settings.predict import PRESENT_FROM
from tests.data.faces.astronaut import couple, film
from tests.data.faces.spoiling import masked

Command = Callable[..., Any]

OPENFACE = [f"gaze_{eye}_{axis}" for eye in (0, 1) for axis in "xyz"] + ["gaze_angle_x", "gaze_angle_y"]
OPENFACE += [f"pose_{kind}{axis}" for kind in "TR" for axis in "xyz"]
OPENFACE += [f"{axis}_{number}" for axis in "xyXYZ" for number in range(68)]
"""Columns of its FeatureExtraction, by its own page on the output's format."""

ALL = f"columns=[{','.join(group for group in GROUPS if group != 'sides')}]"
"""Of what every model has; tests/prediction/test_sides.py has the sides."""

AU_COLUMNS = [f"AU{au:02d}_r" for au in AUS]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A face for ten frames, masked for ten, and a face again for five."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    landmarker, images = Landmarker(blendshapes=False, max_faces=1), list[Any]()
    for number, frame in enumerate(film(25)):
        (face,) = landmarker.look(frame.image)
        covered = 10 <= number < 20
        images.append(masked((120, 160, 200))(frame.image, face.landmarks) if covered else frame.image)
    landmarker.close()
    write_video(path, iter(images), 25.0)
    return path


def _table(folder: Path, name: str = "clip") -> pd.DataFrame:
    return pd.read_csv(folder / f"{name}.csv")


def test_every_column_has_its_name_and_says_what_was_measured(aulight: Command, clip: Path, tmp_path: Path) -> None:
    """The oracle of names is OpenFace's list; of values, the landmarker on the same frames."""
    outcome = aulight("predict", "model=table", f"input={clip}", f"output={tmp_path}", ALL)
    assert outcome.status == 0, outcome.err
    table = _table(tmp_path)
    assert set(OPENFACE) <= set(table.columns)
    assert list(table.columns[:6]) == ["frame", "face_id", "timestamp", "confidence", "success", "quality"]
    assert list(table.columns[-2 * len(AUS) :]) == AU_COLUMNS + [f"AU{au:02d}_c" for au in AUS]
    assert set(BLENDSHAPES[1:]) <= set(table.columns)
    landmarker, first = Landmarker(blendshapes=True, max_faces=4), next(raw_frames(clip))
    with landmarker.video(4) as track:
        (face,) = track(first.image)
    landmarker.close()
    pose, row = head_pose(face), table.iloc[0]
    assert row["quality"] == pytest.approx(quality(face, pose, first.image).all, abs=1e-5)
    np.testing.assert_allclose(row[MEASURED["pose"]].tolist(), [*pose.place(640, 360), *pose.angles], rtol=1e-4)
    low, high = face.landmarks.min(0), face.landmarks.max(0)
    np.testing.assert_allclose(row[MEASURED["box"]].tolist(), [*low, *(high - low)], rtol=1e-4)
    np.testing.assert_allclose(row[list(BLENDSHAPES[1:])].tolist(), face.blendshapes[1:], atol=1e-5)
    np.testing.assert_allclose(row[AU_COLUMNS].tolist(), intensities(face.blendshapes), atol=1e-5)
    for au in AUS:
        present, values = table[f"AU{au:02d}_c"], table[f"AU{au:02d}_r"]
        assert present.isna().equals(values.isna())
        assert (present.dropna() == (values.dropna() >= 1)).all()


def test_what_is_usual_and_what_may_be_left_out(aulight: Command, clip: Path, tmp_path: Path) -> None:
    """Conf and Python agree; another choice is made anew, the same one in another order is not."""
    composed = aulight("predict", f"input={clip}", "--cfg", "job")
    assert tuple(yaml.safe_load(composed.out)["columns"]) == USUAL
    assert yaml.safe_load(composed.out)["present_from"] == PRESENT_FROM
    command = ["predict", "model=table", f"input={clip}", f"output={tmp_path}"]
    assert aulight(*command).status == 0
    beside = [name for group in ("quality", "box", "pose") for name in MEASURED[group]]
    assert list(_table(tmp_path).columns[5 : -len(AUS)]) == beside
    assert "1 done before" in aulight(*command, "columns=[quality,pose,box]").out
    assert "done before" not in aulight(*command, "columns=[presence]", "present_from=3", "format=parquet").out
    table = pd.read_parquet(tmp_path / "clip.parquet")
    assert list(table.columns[5:]) == AU_COLUMNS + [f"AU{au:02d}_c" for au in AUS]
    assert ((table["AU12_r"] >= 3) == (table["AU12_c"] == 1)).all()
    assert "done before" not in aulight(*command, "columns=[presence]", "present_from=2", "format=parquet").out


def test_faces_that_are_seen_badly_get_no_intensities(aulight: Command, clip: Path, tmp_path: Path) -> None:
    """Those that are masked, and no others; each still has its row, and the summary and the record count them."""
    command = ["predict", f"input={clip}", f"output={tmp_path}", "plot=true", "columns=[quality,presence]"]
    assert aulight(*command).status == 0
    before = _table(tmp_path)
    outcome = aulight(*command, "min_quality=0.4")
    assert outcome.status == 0, outcome.err
    assert "note: 10 faces have no intensities: quality below min_quality=0.4" in outcome.out
    table = _table(tmp_path)
    masked_ones = table["frame"].between(11, 20)
    assert (table["quality"] < 0.4).equals(masked_ones)
    assert (table["success"] == 1).all()
    scored = [name for name in table if str(name).startswith("AU") and not before[name].isna().all()]
    assert table.loc[masked_ones, scored].isna().all(axis=None)
    pd.testing.assert_frame_equal(table[~masked_ones], before[~masked_ones])
    record = json.loads((tmp_path / "clip.json").read_text())
    assert record["faces_emptied"] == 10
    assert record["settings"]["min_quality"] == 0.4
    again = aulight(*command, "min_quality=0.4")
    assert "1 done before" in again.out
    assert "10 faces have no intensities" in again.out


def test_the_table_alone_tells_which_face_is_which(aulight: Command, tmp_path: Path) -> None:
    """Two people, the left one larger: by their boxes."""
    write_video(tmp_path / "two.mp4", (frame.image for frame in couple(0, range(0), 20)), 25.0)
    outcome = aulight("predict", f"input={tmp_path}/two.mp4", f"output={tmp_path}/out", "faces.all=true")
    assert outcome.status == 0, outcome.err
    table = _table(tmp_path / "out", "two")
    left, right = (table[table["face_id"] == number] for number in (0, 1))
    assert len(left) == len(right) == 20
    middles = [one["face_x"] + one["face_width"] / 2 for one in (left, right)]
    assert (abs(middles[0].mean() - middles[1].mean())) > 200
    for one in (left, right):
        assert one["face_x"].max() - one["face_x"].min() < 120
    assert len(table.groupby(["frame", "face_id"])) == 40


def test_aligned_faces_say_of_presence_alone(
    aulight: Command, finetuned: Path, smoke_videos: Path, tmp_path: Path
) -> None:
    """What is not known has no column, and cannot be asked to choose by."""
    video = next(smoke_videos.glob("*.mp4"))
    command = ["predict", f"model={finetuned}", f"input={video}", f"output={tmp_path}", "coverage=null"]
    assert aulight(*command, ALL).status == 0
    names = list(_table(tmp_path, video.stem).columns[5:])
    assert [name[-2:] for name in names] == ["_r"] * (len(names) // 2) + ["_c"] * (len(names) // 2)
    outcome = aulight(*command, "min_quality=0.3")
    assert outcome.status == 2
    assert outcome.err.strip() == "aulight: min_quality=0.3: quality is of faces that are found; add faces=mediapipe"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["columns=pose"], "columns=pose: a list is needed, of box, pose, quality, "),
        (["columns=[eyes]"], "columns=['eyes']: a list is needed, of box, "),
        (["columns=[pose]", "min_quality=0.3"], "min_quality=0.3: needs quality among columns"),
        (["min_quality=2"], "min_quality=2: "),
        (["present_from=0"], "present_from=0: "),
    ],
)
def test_mistakes_are_told_in_a_line(aulight: Command, clip: Path, tmp_path: Path, given: list[str], said: str) -> None:
    outcome = aulight("predict", f"input={clip}", f"output={tmp_path}/out", *given)
    assert outcome.status == 2
    assert len(outcome.err.strip().splitlines()) == 1
    assert outcome.err.startswith(f"aulight: {said}")
    assert not (tmp_path / "out").exists()


def test_python_refuses_what_it_does_not_know() -> None:
    with pytest.raises(AulightError, match="columns=eyes: one of quality, box"):
        columns_of(["eyes"], 1.0, None, found=True)
    with pytest.raises(AulightError, match="add faces=mediapipe"):
        columns_of(["quality"], 1.0, 0.5, found=False)
    assert columns_of(GROUPS, 1.0, None, found=False, sides=["AU12_left", "AU12_right"]).names == []


def test_companions_of_before_said_nothing_of_columns() -> None:
    fields = {"format": "csv", "coverage": None, "plot": False, "fps": 25.0, "overlay": False, "explain": None}
    old = Wanted.model_validate({**fields, "precision": "32", "faces": "mediapipe", "all": False, "max_faces": 4})
    assert (old.columns, old.min_quality) == ((), None)
    assert old != old.model_copy(update={"columns": USUAL})


def test_measures_survive_until_the_film_is_read_again() -> None:
    """With the aligner: what was measured of a frame comes with the crop of the same frame."""
    columns = columns_of(["landmarks2d"], 1.0, None, found=True)
    frames = list(film(12))
    with FaceAligner(64, False, 4, 0.1, measure=columns.measure) as aligner:
        followed = [there[0] for _, there in aligner.follow(lambda: iter(frames))]
        live = [there[0] for _, there in aligner.follow_live(iter(frames))]
    assert [len(face.measured) for face in followed] == [136] * 12
    for face, other in zip(followed, live, strict=True):
        np.testing.assert_array_equal(face.measured, other.measured)
    moves = np.stack([face.measured for face in followed])
    assert np.abs(np.diff(moves, axis=0)).max(1).min() > 0.5, "each its own"
