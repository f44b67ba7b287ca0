"""Models and the table of rules, asked in Python. Oracles: the words and defaults of the command, and each other."""

import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import PIL.Image
import pytest
import yaml

import aulight as package
from aulight.data.video.raw import raw_frames
from aulight.data.video.types import Frames
from aulight.errors import AulightError
from aulight.prediction.estimator import Estimator
from aulight.prediction.loading import load
from aulight.prediction.model import Model
from aulight.prediction.table import RuleTable
from tests.data.faces.astronaut import ASTRONAUT, film

Command = Callable[..., Any]


@pytest.fixture(scope="module")
def model(finetuned: Path) -> Model:
    return load(finetuned)


@pytest.fixture(scope="module")
def frames() -> Frames:
    return np.stack([frame.image[:, 140:500] for frame in film(6)])


def test_words_and_defaults_are_those_of_the_command() -> None:
    conf = yaml.safe_load(Path("conf/predict/predict.yaml").read_text())
    faces = yaml.safe_load(Path("conf/predict/faces/auto.yaml").read_text())
    known = conf | {"faces": faces["find"], "all": faces["all"], "max_faces": faces["max_faces"]}
    for function, first in ((Estimator.predict, "video"), (Estimator.stream, "frames")):
        for name, parameter in inspect.signature(function).parameters.items():
            if name not in ("self", first, "progress", "everybody") and not (first == "frames" and name == "fps"):
                usual = parameter.default
                assert (list(usual) if isinstance(usual, tuple) else usual) == known[name], name


def test_the_table_is_asked_as_a_model_is(frames: Frames, aulight: Command, tmp_path: Path) -> None:
    """Arrays, a list of them, and the command on the same frames without loss say the same."""
    table = package.load("table")
    assert isinstance(table, RuleTable)
    said: list[tuple[int, int | None]] = []
    whole = table.predict(frames, progress=lambda done, of: said.append((done, of)))
    assert (len(whole), said[-1]) == (6, (6, 6))
    pd.testing.assert_frame_equal(table.predict(list(frames)), whole)
    (tmp_path / "film").mkdir()
    for number, frame in enumerate(frames):
        cv2.imwrite(str(tmp_path / f"film/{number}.png"), frame[..., ::-1])
    pd.testing.assert_frame_equal(table.predict(tmp_path / "film", pictures="film"), whole)
    command = [
        "predict",
        f"{tmp_path}/film",
        "model=table",
        "pictures=film",
        f"output={tmp_path}/out",
        "format=parquet",
    ]
    assert aulight(*command).status == 0
    written = pd.read_parquet(tmp_path / "out/film.parquet")
    pd.testing.assert_frame_equal(written, whole, check_dtype=False, atol=1e-5)
    assert next(iter(table.stream(frames, 25)))["success"] == 1
    assert "uncalibrated" in repr(table)
    many: list[dict[str, Any]] = [{"faces": "none"}, {"baseline": "x"}, {"max_faces": 0}, {"every": 2, "rate": 3.0}]
    for wrong in (*many, {"rotate": 45}):
        with pytest.raises(AulightError, match=next(iter(wrong))):
            table.predict(frames, **wrong)


def test_photos_in_memory() -> None:
    """PIL images are photos, under their files' names; turned, they are found all the same. Oracle: each by itself."""
    table = package.load("table")
    photo = PIL.Image.fromarray(ASTRONAUT)
    alone = table.predict(ASTRONAUT)
    assert alone["file"].tolist() == ["0"]
    several = table.predict([photo, photo.rotate(90, expand=True)])
    assert several["file"].tolist() == ["0", "1"]
    units = [f"{au}_r" for au in table.columns]
    np.testing.assert_allclose(several[units].iloc[0], alone[units].iloc[0])
    back = table.predict(photo.rotate(90, expand=True), rotate=90)
    np.testing.assert_allclose(back[units].iloc[0].astype(float), alone[units].iloc[0].astype(float), atol=1e-6)


def test_several_videos_are_one_table(model: Model, smoke_videos: Path) -> None:
    videos = sorted(smoke_videos.glob("test_*.mp4"))[:2]
    both = model.predict(videos)
    assert both["video"].unique().tolist() == [video.stem for video in videos]
    for video in videos:
        one = both[both["video"] == video.stem].drop(columns="video").reset_index(drop=True)
        pd.testing.assert_frame_equal(one, model.predict(str(video)))


def test_parts_of_films(model: Model, smoke_videos: Path) -> None:
    """Rows that are a step of the recurrence apart are those of the whole film; numbers and times are, too."""
    video = min(smoke_videos.glob("test_*.mp4"))
    whole, stride = model.predict(video), model.stride
    for every in (stride, 2 * stride, 5 * stride):
        some = model.predict(video, every=every)
        expected = whole.iloc[::every].reset_index(drop=True)
        assert some["frame"].tolist() == expected["frame"].tolist() == list(range(1, 61, every))
        pd.testing.assert_frame_equal(some, expected, atol=1e-4)
    late = model.predict(video, start=1.0, end=1.4)
    assert late["frame"].tolist() == list(range(26, 36))
    np.testing.assert_allclose(late["timestamp"], np.arange(25, 35) / 25, atol=1e-6)
    with pytest.raises(AulightError, match=r"start=9: its last frame is at 2\.360 s"):
        model.predict(video, start=9)


def test_the_command_takes_parts(
    model: Model, finetuned: Path, smoke_videos: Path, aulight: Command, tmp_path: Path
) -> None:
    """As Python does; another part is done anew, the same is not."""
    video = min(smoke_videos.glob("test_*.mp4"))
    command = ["predict", str(video), f"model={finetuned}", f"output={tmp_path}", "format=parquet", "start=0.5"]
    parts: list[dict[str, Any]] = [{"every": 8}, {"rate": 5}]
    for part in parts:
        typed = [f"{name}={value}" for name, value in part.items()]
        outcome = aulight(*command, *typed)
        assert outcome.status == 0, outcome.err
        assert "its first frame is at" not in outcome.out
        assert "done before" not in outcome.out
        assert "1 done before" in aulight(*command, *typed).out
        table = pd.read_parquet(tmp_path / f"{video.stem}.parquet")
        expected = model.predict(video, start=0.5, **part)
        pd.testing.assert_frame_equal(table, expected, check_dtype=False, atol=1e-5)
    turned = aulight(*command, "rotate=90", "overlay=true")
    assert turned.status == 0, turned.err
    assert len(list(raw_frames(tmp_path / f"{video.stem}.overlay.mp4"))) == 60 - 13
    for wrong, line in (
        ("every=2 rate=3", "every=2: not together with rate=3; one of the two"),
        ("end=0.4", "end=0.4: more than start=0.5 is needed"),
        ("rotate=45", "rotate=45: one of 0, 90, 180, 270"),
    ):
        refused = aulight(*command, *wrong.split())
        assert (refused.status, line in refused.err) == (2, True), refused.err
    beyond = aulight(*command[:-1], "start=100")
    assert beyond.status == 2
    assert f"{video}: start=100: its last frame is at 2.360 s" in beyond.err


def test_printing_a_model_says_what_it_is(model: Model) -> None:
    said = repr(model)
    assert len(said.splitlines()) == 6
    for part in ("synthetic", "12 AUs", "AU12", "64 x 64", "ICC(3,1)", "6 people", "36 labelled frames"):
        assert part in said, part


def test_a_former_word_is_taken_with_a_warning(frames: Frames) -> None:
    table = package.load("table")
    with pytest.warns(DeprecationWarning, match="everybody= is called all= now"):
        before = table.predict(frames[:2], everybody=True)
    pd.testing.assert_frame_equal(before, table.predict(frames[:2], all=True))


def test_the_table_needs_no_torch() -> None:
    code = "import sys, aulight; print(len(aulight.load('table').aus), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["18", "False"]


def test_what_cannot_be_scored(tmp_path: Path) -> None:
    table = package.load("table")
    for given, line in (
        (tmp_path / "gone.mp4", "gone.mp4: no such video"),
        ("webcam:0", "webcam:0: no video; `stream`"),
        (3, "int: a path, a picture or a list of them is needed"),
        ([], "list: a path, a picture or a list"),
        (np.zeros((4, 4), np.uint8), r"a frame is uint8 \(4, 4\)"),
    ):
        with pytest.raises(AulightError, match=line):
            table.predict(given)  # type: ignore[arg-type]  # a user may
