"""What a model says of films as they come: their beginning, where faces are lost, and at any rate."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch
from torch import Tensor

from aulight.data.clips import LabelledClips, Timeline
from aulight.data.faces.crop import AlignedFrame
from aulight.data.synthetic.dataset import render_video
from aulight.data.video.prepared import stream_frames
from aulight.data.video.raw import raw_frames
from aulight.data.video.types import RawFrame
from aulight.data.video.write import write_video
from aulight.nets.stream import FrameStream
from aulight.prediction import webcam
from aulight.prediction.description import ModelDescription
from aulight.prediction.loading import load
from aulight.prediction.model import Model
from aulight.prediction.network import build
from aulight.prediction.onnx import write_onnx
from aulight.prediction.scorer import Moments

Command = Callable[..., Any]
Frames = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float32]

FACE = 266
"""Whose face films show; the model is fitted to it as well, so that what it says moves a lot."""

UNKNOWN, MATRIX = np.full(52, np.nan, np.float32), np.eye(2, 3)


RATES = (15, 25, 30, 50, 60, 100)
SECONDS = 5


@pytest.fixture(scope="module")
def acted() -> tuple[Frames, Array]:
    """One face that moves, 300 frames a second, and its intensities."""
    return render_video(FACE, 64, 300 * SECONDS, fps=300)


@pytest.fixture(scope="module")
def moving(finetuned: Path, acted: tuple[Frames, Array]) -> Model:
    """A model whose intensities follow a face: its regressor is fitted to those of some, by ridge regression.

    On the state alone, so that what it says hangs on what came before.
    """
    model = load(finetuned)
    assert model.network is not None
    encoder: Any = model.network["encoder"]
    about, features, truth = model.description, list[Tensor](), list[Tensor]()
    films = [render_video(face, 64, 120) for face in range(30, 36)]
    for frames, intensities in [*films, (acted[0][::12], acted[1][::12])]:
        stream = FrameStream(encoder, lambda x: x.mean((-2, -1)), about.seconds_a_step, about.primed)
        features.append(stream.push(torch.from_numpy(frames)[None], np.arange(len(frames)) / 25).double())
        truth.append(torch.from_numpy(intensities).double())
    known, wanted = torch.cat(features), torch.cat(truth)
    known[:, about.architecture.hidden :] = 0
    centre, mean = known.mean(0), wanted.mean(0)
    moment = (known - centre).T @ (known - centre)
    penalty = 0.3 * moment.trace() / len(moment) * torch.eye(len(moment), dtype=torch.float64)
    weight = torch.linalg.solve(moment + penalty, (known - centre).T @ (wanted - mean)).T
    weights = dict(model.network.state_dict())
    weights["regressor.linear.weight"] = weight.float()
    weights["regressor.linear.bias"] = (mean - weight @ centre).float()
    weights["regressor.mean"], weights["regressor.std"] = torch.zeros(12), torch.ones(12)
    scale = {"label_mean": (0.0,) * 12, "label_std": (1.0,) * 12}
    said = about.model_copy(update={"normalisation": about.normalisation.model_copy(update=scale)})
    return build(said, weights, Path("moving"))


@pytest.fixture(scope="module")
def film() -> Frames:
    return render_video(5, 64, 30)[0]


def _clip(model: Model, frames: Frames, last: int, timeline: Timeline) -> Array:
    """The intensities of a frame at the end of a clip as training has it; the oracle of all that follows."""
    assert model.network is not None
    labels = pd.DataFrame({"video": [0], "frame": [last], "AU01": [1]})
    about, stride = model.description, model.stride
    fps, length = about.dataset.fps, about.primed + 1
    clip = LabelledClips(labels, ["AU01"], {0: timeline}, length, (stride, stride), fps, 1, 0)(0, 0)
    encoder: Any = model.network["encoder"]
    regressor: Any = model.network["regressor"]
    with torch.no_grad():
        features, _ = encoder(encoder.normalise(torch.from_numpy(frames[clip.frames])[None]))
        found: Array = regressor.predict(features)[0, -1].numpy()
    return found


def test_a_model_knows_its_step_and_how_it_begins(moving: Model, tmp_path: Path) -> None:
    """The oracle are the settings of stage two: clips of 8 samples, 4 frames apart at 25 frames a second."""
    moving.save(tmp_path / "model.aulight")
    for model in (moving, load(tmp_path / "model.aulight")):
        assert (model.description.step_s, model.description.primed) == (0.16, 7)
        assert (model.meta["step_s"], model.meta["primed"]) == (0.16, 7)


def test_a_film_begins_as_clips_do(
    moving: Model, film: Frames, tmp_path: Path, aulight: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In torch, in onnxruntime, frame by frame as it comes, and before a webcam."""
    timeline = Timeline(np.arange(30) / 25, *_shown(30))
    expected = np.stack([_clip(moving, film, frame, timeline) for frame in range(4)])
    assert expected.std() > 0.1
    write_onnx(moving, tmp_path / "model.onnx")
    moving.save(tmp_path / "model.aulight")
    graph = load(tmp_path / "model.onnx")
    for model in (moving, graph):
        np.testing.assert_allclose(model.scorer().push(film)[:4], expected, rtol=0, atol=1e-4)
        live = pd.DataFrame(model.stream(iter(film[:10]), fps=25))[[f"{au}_r" for au in model.columns]]
        np.testing.assert_allclose(live.to_numpy()[:4], expected, rtol=0, atol=1e-4)
    np.testing.assert_allclose(graph.scorer().push(film), moving.scorer().push(film), rtol=0, atol=1e-4)

    write_video(tmp_path / "seen.mp4", film, 25, crf=0)
    first = next(raw_frames(tmp_path / "seen.mp4", None, 64)).image
    still = Timeline(np.zeros(1), *_shown(1))
    for name in ("model.aulight", "model.onnx"):
        camera = cv2.VideoCapture(str(tmp_path / "seen.mp4"))
        monkeypatch.setattr(webcam, "open_camera", lambda number, camera=camera: camera)
        monkeypatch.setattr(webcam, "no_window", lambda: "no display")
        output = tmp_path / f"of-{name}"
        outcome = aulight(
            "predict", f"model={tmp_path / name}", "input=webcam:0", f"output={output}", "max_frames=3", "device=cpu"
        )
        assert outcome.status == 0, outcome.err
        (table,) = output.glob("webcam0-*[0-9].csv")
        row = pd.read_csv(table)[[f"{au}_r" for au in moving.columns]].to_numpy()[0]
        np.testing.assert_allclose(row, _clip(moving, first[None], 0, still), rtol=0, atol=0.05)  # OpenCV's own colours


def _film(frames: Frames, faces: npt.NDArray[np.bool_], elsewhere: int | None = None) -> Iterator[Any]:
    for number, (crop, face) in enumerate(zip(frames, faces, strict=True)):
        seen = AlignedFrame(
            number, number / 25, crop, float(face), UNKNOWN, MATRIX, elsewhere=face and number == elsewhere
        )
        yield RawFrame(number, number / 25, crop), {0: seen}


@pytest.mark.parametrize("chunk", [1, 16])
@pytest.mark.parametrize("kind", ["torch", "onnx"])
def test_a_face_that_was_lost_begins_anew(kind: str, chunk: int, moving: Model, tmp_path: Path) -> None:
    """The oracle are the clips of training; lost for 6 frames, the face is the same, for 13 it is not."""
    model, frames = moving, render_video(8, 64, 60)[0]
    if kind == "onnx":
        write_onnx(moving, tmp_path / "model.onnx")
        model = load(tmp_path / "model.onnx")
    faces = np.ones(60, bool)
    faces[10:16], faces[30:43] = False, False
    frames[~faces] = 255 - frames[~faces]  # what is there in their place must not matter
    timeline = Timeline(np.arange(60) / 25, faces, np.zeros(60, bool))
    scored = list(model.score(_film(frames, faces), chunk))
    for frame in (0, 3, 43, 46):
        expected = _clip(moving, frames, frame, timeline)
        np.testing.assert_allclose(scored[frame].values[0], expected, rtol=0, atol=1e-4)
    shown = np.maximum.accumulate(np.where(faces, np.arange(60), 0))
    same = model.scorer().push(frames[shown[:30]])
    np.testing.assert_allclose([scored[frame].values[0] for frame in range(16, 30)], same[16:], rtol=0, atol=1e-4)


def test_a_face_elsewhere_begins_anew(moving: Model, film: Frames) -> None:
    scored = list(moving.score(_film(film, np.ones(30, bool), elsewhere=11)))
    found = np.stack([one.values[0] for one in scored])
    expected = np.concatenate([moving.scorer().push(part) for part in (film[:11], film[11:])])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    assert np.abs(found[11:] - moving.scorer().push(film)[11:]).max() > 1e-2


def test_a_model_of_before_is_streamed_as_it_was_scored(moving: Model, film: Frames) -> None:
    """From a state of zero; its step follows from its dataset's rate. The oracle are its sequences whole."""
    said = json.loads(moving.description.header()["aulight"])
    del said["step_s"], said["primed"]
    assert moving.network is not None
    before = build(ModelDescription.checked(json.dumps(said), Path("a")), moving.network.state_dict(), Path("a"))
    encoder: Any = moving.network["encoder"]
    regressor: Any = moving.network["regressor"]
    expected = np.empty((30, 12), np.float32)
    with torch.no_grad():
        for first in range(4):
            clip = torch.from_numpy(film[first::4])[None]
            expected[first::4] = regressor.predict(encoder(encoder.normalise(clip))[0])[0].numpy()
    np.testing.assert_allclose(before.scorer().push(film), expected, rtol=0, atol=1e-5)
    assert np.abs(moving.scorer().push(film) - expected)[:4].max() > 0.05


# ---- rates ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory, acted: tuple[Frames, Array]) -> dict[int, Path]:
    """The face that moves, encoded at many rates, so well that what differs is the rate and not the coding."""
    folder = tmp_path_factory.mktemp("films")
    frames, _ = acted
    for rate in RATES:
        write_video(folder / f"{rate}.mp4", frames[:: 300 // rate], rate, crf=4)
    return {rate: folder / f"{rate}.mp4" for rate in RATES}


def _apart(times: Any, values: Array, twin: Array) -> float:
    """How far off intensities are on average, at their times, from those at 25 frames a second."""
    expected = np.stack([np.interp(times, np.arange(len(twin)) / 25, of_au) for of_au in twin.T], 1)
    return float(np.abs(values - expected).mean())


def test_a_film_of_another_rate_has_the_same_intensities(moving: Model, films: dict[int, Path]) -> None:
    tables = {rate: moving.predict(film) for rate, film in films.items()}
    values = {rate: table[[f"{au}_r" for au in moving.columns]].to_numpy() for rate, table in tables.items()}
    assert values[25].std(0).max() > 0.3, "it has to move"
    for rate in RATES:
        times = tables[rate]["timestamp"].to_numpy()
        np.testing.assert_allclose(times, np.arange(SECONDS * rate) / rate, atol=1e-3)  # every frame has a row
        assert _apart(times, values[rate], values[25]) < 0.1
        if rate == 25:
            continue
        # the same pictures, taken for frames of a film of 25 a second
        by_frames = moving.scorer().push(np.concatenate(list(stream_frames(films[rate], 64))))
        alike = np.isclose(times * 25, np.round(times * 25), atol=0.01)  # with the very pictures of the other film
        paced, counted = (_apart(times[alike], scores[alike], values[25]) for scores in (values[rate], by_frames))
        assert paced < 0.75 * counted


def test_timestamps_decide_where_the_rate_varies(moving: Model, films: dict[int, Path]) -> None:
    """Frames of a film are left out at random; the oracle is the film with all of them."""
    frames = np.concatenate(list(stream_frames(films[50], 64)))
    kept = np.sort(np.random.default_rng(0).choice(len(frames), len(frames) // 2, replace=False))
    whole = moving.scorer().push(frames, Moments(np.arange(len(frames)) / 50, *_shown(len(frames))))
    some = moving.scorer().push(frames[kept], Moments(kept / 50, *_shown(len(kept))))
    assert np.abs(some - whole[kept]).mean() < 0.05


def _shown(count: int) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    return np.ones(count, bool), np.zeros(count, bool)
