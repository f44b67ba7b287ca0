"""A model with a reference of each person: films, streams, photos, files; two people have two."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import PIL.Image
import pytest
import torch
from torch import nn

import aulight as package
from aulight.data.faces.crop import AlignedFrame
from aulight.data.synthetic.dataset import render_video
from aulight.data.video.raw import raw_frames
from aulight.data.video.types import RawFrame
from aulight.data.video.write import write_video
from aulight.errors import AulightError
from aulight.nets.reference import QUANTILE, SETTLED
from aulight.prediction.loading import load
from aulight.prediction.model import Model

Command = Callable[..., Any]
Frames = npt.NDArray[np.uint8]

UNKNOWN, MATRIX = np.full(52, np.nan, np.float32), np.eye(2, 3)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, aulight: Command, tiny_finetune: list[str]) -> Path:
    """A run with a reference, in whose checkpoint the regressor says a lot; not to be changed."""
    folder = tmp_path_factory.mktemp("reference")
    outcome = aulight(*tiny_finetune, f"root={folder}", "name=run", "reference=3", "optim.lr=0.005")
    assert outcome.status == 0, outcome.err
    file = folder / "run/checkpoints/best.ckpt"
    saved = torch.load(file, weights_only=True)
    torch.manual_seed(0)
    for name, spread in (("linear.weight", 0.05), ("relative.weight", 0.2), ("usual", 0.3)):
        nn.init.normal_(saved["state_dict"][f"regressor.{name}"], std=spread)
    saved["state_dict"]["regressor.linear.bias"] += 1
    torch.save(saved, file)
    return folder / "run"


@pytest.fixture(scope="module")
def model(run: Path) -> Model:
    return load(run)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of drawn faces, aligned already."""
    file = tmp_path_factory.mktemp("film") / "film.mp4"
    write_video(file, render_video(5, 64, 120)[0], 25)
    return file


def _whole(model: Model, crops: Frames, rest: slice | None = None) -> npt.NDArray[np.float32]:
    """Oracle: the two halves of what the network says, by numpy."""
    said, own = np.split(model.scorer().parts(crops), 2, axis=1)
    level = np.quantile(own, QUANTILE, axis=0) if rest is None else np.median(own[rest], axis=0)
    return np.asarray((said - level).clip(0, 5), np.float32)


def _crops(film: Path) -> Frames:
    return np.stack([frame.image for frame in raw_frames(film)])


def _intensities(model: Model, table: pd.DataFrame) -> npt.NDArray[np.float32]:
    return table[[f"{au}_r" for au in model.columns]].to_numpy(np.float32)


def test_a_film_is_scored_by_all_of_it(model: Model, film: Path) -> None:
    assert model.relative
    expected = _whole(model, _crops(film))
    assert expected.std(0).max() > 0.1
    table = model.predict(film)
    np.testing.assert_allclose(_intensities(model, table), expected, atol=1e-4)
    assert not [name for name in table if str(name).endswith("_own")]
    assert model.intervals is not None
    low, high = model.intervals.around(expected, 0.9)
    for end, ends in (("lo", low), ("hi", high)):
        found = table[[f"{au}_{end}" for au in model.columns]].to_numpy()
        assert np.mean(np.abs(found - ends) > 1e-3) < 0.02  # but where a bin of the calibration ends


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_files_say_the_same_as_python(format: str, aulight: Command, run: Path, film: Path, tmp_path: Path) -> None:
    given = [f"model={run}", f"input={film}", f"output={tmp_path}", f"format={format}", "columns=[presence]"]
    outcome = aulight("predict", *given, "overlay=true", "plot=true")
    assert outcome.status == 0, outcome.err
    table = pd.read_csv(tmp_path / "film.csv") if format == "csv" else pd.read_parquet(tmp_path / "film.parquet")
    expected = load(run).predict(film, columns=["presence"])
    assert list(table.columns) == list(expected.columns)
    np.testing.assert_allclose(table.to_numpy(float), expected.to_numpy(float), atol=1e-5)
    assert sorted(path.suffix for path in tmp_path.glob("film.*")) == sorted(
        [f".{format}", ".csv", ".json", ".mp4", ".png"]
    )


def test_a_film_may_have_the_name_of_what_is_made_on_the_way(
    aulight: Command, run: Path, film: Path, tmp_path: Path
) -> None:
    """References and rests are taken away in tables beside its own; oracle: the same film under another name."""
    names = ["film", "related", "level"]
    films = [shutil.copy(film, tmp_path / f"{name}.mp4") for name in names]
    given = [f"output={tmp_path}/out", "baseline=person", "format=parquet", "workers=1"]  # a short csv is read at once
    outcome = aulight("predict", f"model={run}", *films, *given)
    assert outcome.status == 0, outcome.err
    first, *others = (pd.read_parquet(tmp_path / f"out/{name}.parquet") for name in names)
    assert len(first) == 120
    for other in others:
        pd.testing.assert_frame_equal(other, first)


def test_a_stream_settles_at_what_the_film_says(model: Model) -> None:
    """Of a film whose first half shows all that the second shows: once it is known, the numbers are the same."""
    part = render_video(5, 64, 60)[0]
    crops = np.concatenate([part, part[::-1]] * 4)
    streamed = model.scorer().push(crops)
    whole = _whole(model, crops)
    np.testing.assert_allclose(streamed[-1], whole[-1], atol=1e-3)
    assert np.abs(streamed[-120:] - whole[-120:]).max() < 0.05
    assert np.abs(streamed - whole)[:10].max() > 0.1
    rows = model.stream(iter(crops[:20]), 25.0, coverage=None)
    found = np.array([[row[f"{au}_r"] for au in model.columns] for row in rows])
    np.testing.assert_allclose(found, streamed[:20], atol=1e-4)


@pytest.mark.slow
def test_pieces_of_any_length_and_the_graph_say_the_same(
    model: Model, run: Path, aulight: Command, tmp_path: Path
) -> None:
    crops = render_video(5, 64, 70)[0]
    expected = model.scorer().push(crops)
    scorer = model.scorer()
    pieces = [scorer.push(crops[start : start + 9]) for start in range(0, 70, 9)]
    np.testing.assert_allclose(np.concatenate(pieces), expected, atol=1e-4)
    for format in ("aulight", "onnx"):
        outcome = aulight("export", f"run={run}", f"format={format}", f"output={tmp_path}/model.{format}")
        assert outcome.status == 0, outcome.err
        other = load(tmp_path / f"model.{format}")
        np.testing.assert_allclose(other.scorer().push(crops), expected, atol=1e-4)
        np.testing.assert_allclose(_whole(other, crops), _whole(model, crops), atol=1e-4)
        assert "own reference" in (tmp_path / f"model.{format}.md").read_text()
    again = load(tmp_path / "model.aulight")
    again.save(tmp_path / "again.aulight")
    assert load(tmp_path / "again.aulight").description.reference == model.description.reference


@pytest.mark.parametrize("whole", [True, False])
def test_two_faces_in_a_picture_have_two_references(whole: bool, model: Model) -> None:
    crops = {0: render_video(5, 64, 60)[0], 1: render_video(9, 64, 60)[0]}

    def present() -> Iterator[Any]:
        for number in range(60):
            when = number, number / 25
            faces = {person: AlignedFrame(*when, of[number], 1.0, UNKNOWN, MATRIX) for person, of in crops.items()}
            yield RawFrame(*when, crops[0][number]), faces

    scored = list(model.score(present(), 16, whole=whole))
    for person, of in crops.items():
        values = np.stack([one.values[person] for one in scored])
        if whole:
            own = np.stack([one.own[person] for one in scored])
            values = (values - np.quantile(own, QUANTILE, axis=0)).clip(0, 5)
        expected = _whole(model, of) if whole else model.scorer().push(of)
        np.testing.assert_allclose(values, expected, atol=1e-4)


def test_a_stretch_at_rest(aulight: Command, model: Model, run: Path, film: Path, tmp_path: Path) -> None:
    """Frames 25 to 50; oracle: the median there."""
    expected = _whole(model, _crops(film), slice(25, 51))
    np.testing.assert_allclose(_intensities(model, model.predict(film, reference=(1.0, 2.0))), expected, atol=1e-4)
    given = [f"model={run}", f"input={film}", f"output={tmp_path}"]
    for stretch, rest in (("[1,2]", slice(25, 51)), ("null", None)):  # another one is another table
        outcome = aulight("predict", *given, f"reference={stretch}")
        assert outcome.status == 0, outcome.err
        found = _intensities(model, pd.read_csv(tmp_path / "film.csv"))
        np.testing.assert_allclose(found, _whole(model, _crops(film), rest), atol=1e-4)
    # nobody is seen then: all frames
    np.testing.assert_allclose(
        _intensities(model, model.predict(film, reference=(100, 200))), _whole(model, _crops(film)), atol=1e-4
    )


def test_photos_are_of_people_of_whom_nothing_is_known(model: Model) -> None:
    crops = render_video(5, 64, 3)[0]
    table = model.predict([PIL.Image.fromarray(crop) for crop in crops])
    usual = np.array(model.description.reference)
    for crop, found in zip(crops, _intensities(model, table), strict=True):
        said, own = np.split(model.scorer().parts(crop[None])[0], 2)
        np.testing.assert_allclose(found, (said - usual - (own - usual) / SETTLED).clip(0, 5), atol=1e-4)


def test_heat_is_in_the_light_of_frames_before(aulight: Command, run: Path, film: Path, tmp_path: Path) -> None:
    outcome = aulight("predict", f"model={run}", f"input={film}", f"output={tmp_path}", "explain=12")
    assert outcome.status == 0, outcome.err
    model = load(run)
    found = _intensities(model, pd.read_csv(tmp_path / "film.csv"))
    np.testing.assert_allclose(found, model.scorer().push(_crops(film)), atol=1e-4)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["reference=[2,1]"], "reference=[2, 1]: seconds from and to are needed, as [2,4]"),
        (["reference=3"], "reference=3: seconds from and to are needed, as [2,4], or null"),
        (["reference=[1,2]", "model=table"], "the model takes nobody's reference away; baseline=person is for any"),
        (["reference=[1,2]", "model=default"], "the model takes nobody's reference away; baseline=person is for any"),
        (["reference=[1,2]", "input=webcam:0"], "only of files; of a webcam all frames so far tell where a face lies"),
        (["reference=[1,2]", "explain=12"], "not with explain, for which all frames so far tell where a face lies"),
    ],
)
def test_stretches_that_cannot_be(given: list[str], told: str, aulight: Command, film: Path, tmp_path: Path) -> None:
    outcome = aulight("predict", f"input={film}", f"output={tmp_path}/out", *given)
    assert outcome.status == 2
    assert told in outcome.err


def test_the_same_is_refused_in_python(film: Path) -> None:
    with pytest.raises(AulightError, match="the model takes nobody's reference away"):
        package.load("default").predict(film, reference=(1, 2))
