"""Trained models read from wherever they are kept, what they say of videos, and files that are not what they seem."""

import json
import os
import re
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import PIL.Image
import pytest
import safetensors.torch
import torch
import yaml
from torch import Tensor

from aulight.data.alignment import Alignment
from aulight.data.faces.aligner import FaceAligner
from aulight.data.faces.crop import AlignedFrame
from aulight.data.store import PreparedDataset
from aulight.data.synthetic.dataset import SIZES, Size, generate, render_video
from aulight.data.video.prepared import stream_frames
from aulight.data.video.raw import raw_frames
from aulight.data.video.types import RawFrame
from aulight.data.video.write import write_video
from aulight.datasets import DISFA_AUS
from aulight.errors import AulightError
from aulight.nets.backbone import build_backbone
from aulight.nets.encoder import Encoder
from aulight.prediction.heat import over_crop
from aulight.prediction.loading import load
from aulight.prediction.model import Model
from aulight.prediction.network import build
from aulight.prediction.scorer import Scorer
from aulight.prediction.seal import write_sealed

Command = Callable[..., Any]
Frames = npt.NDArray[np.uint8]

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def model(finetuned: Path) -> Model:
    return load(finetuned)


@pytest.fixture(scope="module")
def written(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model as a file; not to be changed."""
    path = tmp_path_factory.mktemp("written") / "model.aulight"
    model.save(path)
    return path


@pytest.fixture(scope="module")
def faces() -> Frames:
    return render_video(5, 64, 40)[0]


def _copy(run: Path, to: Path) -> Path:
    """A run directory that may be changed, its files linked; whoever changes one replaces it."""
    shutil.copytree(run, to, copy_function=os.link)
    (to / "run.yaml").unlink()
    shutil.copyfile(run / "run.yaml", to / "run.yaml")
    return to


def _record(run: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    record = yaml.safe_load((run / "run.yaml").read_text())
    change(record)
    (run / "run.yaml").write_text(yaml.safe_dump(record))


# ---- where a model may be ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_scores_are_those_of_finetune(
    precision: str, aulight: Command, tiny_finetune: list[str], smoke_data: Path, tmp_path: Path
) -> None:
    """Of the same prepared video, to 1e-4; the oracle is what the Trainer's own test wrote."""
    kind = {"32": "32-true", "bf16": "bf16-mixed"}[precision]
    outcome = aulight(*tiny_finetune, f"root={tmp_path}", "name=run", f"trainer.precision={kind}", "optim.lr=0.005")
    assert outcome.status == 0, outcome.err
    model, data = load(tmp_path / "run"), PreparedDataset(smoke_data)
    table = pd.read_parquet(tmp_path / "run" / "predictions.parquet")
    assert table["video_id"].nunique() == 3
    for video, rows in table.groupby("video_id"):
        expected = rows.sort_values("frame")[[f"{au}_pred" for au in model.columns]].to_numpy()
        assert expected.std(0).max() > 0.02
        (row,) = np.flatnonzero(data.videos["video_id"] == video)
        scores = model.scorer(precision=precision).push(np.concatenate(list(stream_frames(data.file(int(row)), 64))))
        assert scores.dtype == np.float32
        np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-4)


def test_run_checkpoint_and_file_are_one_model(model: Model, finetuned: Path, written: Path, faces: Frames) -> None:
    expected = model.scorer().push(faces)
    for other in (load(str(finetuned / "checkpoints" / "best.ckpt")), load(written)):
        assert (other.aus, other.size, other.stride) == (DISFA_AUS, 64, 4)
        assert other.columns == [f"AU{au:02d}" for au in DISFA_AUS]
        np.testing.assert_array_equal(other.scorer().push(faces), expected)
    meta = load(written).meta
    assert {key: meta[key] for key in model.meta} == model.meta
    assert set(meta) - set(model.meta) == {"format_version", "written_by", "created"}


def test_description(model: Model, finetuned: Path, smoke_data: Path) -> None:
    """The oracles are the run's and the dataset's own records."""
    record, data = yaml.safe_load((finetuned / "run.yaml").read_text()), PreparedDataset(smoke_data)
    meta = model.meta
    assert (meta["crop_size"], meta["alignment"]) == (data.meta["crop_size"], data.meta["alignment"])
    assert meta["dataset"] == {"name": "synthetic", "fingerprint": data.fingerprint, "fps": 25.0}
    assert (meta["label_fraction"], meta["labelled_frames"]) == (0.1, 36)
    assert meta["subjects"] == {"train": 6, "validation": 3, "test": 3}
    assert (meta["stage_one"], meta["versions"]) == (record["stage_one"], record["versions"])
    assert (
        meta["architecture"]
        | {
            "mean": meta["normalisation"]["image_mean"],
            "std": meta["normalisation"]["image_std"],
        }
        == record["config"]["model"]
    )
    assert meta["normalisation"]["label_mean"] == pytest.approx(list(record["train_label_mean"].values()), abs=1e-6)
    assert meta["test"]["labelled_frames"] == 180
    for name in ("icc", "mae", "mse"):
        assert meta["test"][name] == pytest.approx(record["test"][name])
    icc = {au: scores["icc"] for au, scores in meta["test"]["per_au"].items()}
    assert [np.nan if value is None else value for value in icc.values()] == pytest.approx(
        list(record["test"]["per_au"].values()), nan_ok=True
    )
    json.dumps(meta, allow_nan=False)


def test_a_checkpoint_that_the_run_did_not_choose_claims_no_scores(finetuned: Path) -> None:
    model = load(finetuned / "checkpoints" / "last.ckpt")
    assert (model.meta["test"], model.meta["validation"]) == (None, None)


def test_an_older_run_is_described_by_its_dataset(finetuned: Path, tmp_path: Path) -> None:
    run = _copy(finetuned, tmp_path / "run")

    def without_crop(record: dict[str, Any]) -> None:
        del record["dataset"]["crop_size"], record["dataset"]["alignment"]

    _record(run, without_crop)
    assert load(run).meta == load(finetuned).meta
    _record(run, lambda record: record["config"]["data"].update(root=f"{tmp_path}/gone"))
    with pytest.raises(AulightError, match=r"run\.yaml: does not say how faces were cut.*train it again"):
        load(run)


def test_importing_aulight_is_instant_and_loading_is_typed() -> None:
    code = "import sys, aulight; print(aulight.load.__annotations__['return']); print('torch' in sys.modules)"
    begin = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["Model | RuleTable", "False"]
    assert time.perf_counter() - begin < 5  # torch alone takes seconds


# ---- what is no model -------------------------------------------------------------------------------------------


def _blendshapes(record: dict[str, Any]) -> None:
    record["config"]["model"] = {"arm": "blendshapes"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_blendshapes, "whose model= trained no network"),
        (lambda record: record.update(outcome="interrupted"), r"not finished \(interrupted\).*best\.ckpt"),
        (lambda record: record.update(outcome="failed: no room"), r"not finished \(failed: no room\)"),
    ],
)
def test_runs_that_are_no_model(
    change: Callable[[dict[str, Any]], None], message: str, finetuned: Path, tmp_path: Path
) -> None:
    run = _copy(finetuned, tmp_path / "run")
    _record(run, change)
    with pytest.raises(AulightError, match=f"run: .*{message}"):
        load(run)


def test_paths_that_are_no_model(finetuned: Path, pretrained: Path, tmp_path: Path) -> None:
    run = _copy(finetuned, tmp_path / "run")
    empty = tmp_path / "empty"
    empty.mkdir()
    for path, message in (
        (tmp_path / "nothing", "nothing: no such model"),
        (empty, r"empty: not a run directory \(run\.yaml is missing\)"),
        (pretrained, "a run of stage one"),
        (pretrained / "checkpoints" / "last.ckpt", "a run of stage one"),
        (run / "metrics.csv", "not a file of `aulight export`"),
    ):
        with pytest.raises(AulightError, match=message):
            load(path)
    best = run / "checkpoints" / "best.ckpt"
    whole = best.read_bytes()
    for data in (whole[:1000], b"", b"no checkpoint at all"):
        best.unlink()
        best.write_bytes(data)
        with pytest.raises(AulightError, match=r"best\.ckpt: not a checkpoint of aulight"):
            load(run)
    best.unlink()
    with pytest.raises(AulightError, match=r"best\.ckpt: missing"):
        load(run)
    (run / "predictions.parquet").unlink()
    best.write_bytes(whole)
    with pytest.raises(AulightError, match=r"predictions\.parquet: missing or damaged"):
        load(run)


def test_every_changed_byte_and_every_cut_is_noticed(written: Path, tmp_path: Path) -> None:
    whole, path = written.read_bytes(), tmp_path / "model.aulight"
    rng = np.random.default_rng(0)
    seal = whole.index(b"aulight-sha256:")
    places = [0, 5, seal + 3, seal + 20, len(whole) - 1, *rng.integers(len(whole), size=20).tolist()]
    for place in places:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(AulightError, match=r"model\.aulight: (cut short or changed|not a file of)"):
            load(path)
    for length in (0, 4, 200, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(AulightError, match=r"model\.aulight: .*cut short"):
            load(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(AulightError, match="changed since"):
        load(path)
    path.write_bytes(whole)
    load(path)


def _rewritten(written: Path, path: Path, change: Callable[[dict[str, Any], dict[str, Tensor]], Any]) -> Path:
    """Another file with a seal that holds: as a careful stranger or another aulight would write it."""
    size = struct.unpack("<Q", written.read_bytes()[:8])[0]
    text = json.loads(written.read_bytes()[8 : 8 + size])["__metadata__"]
    meta, weights = json.loads(text["aulight"]), safetensors.torch.load_file(written)
    change(meta, weights)
    seal = re.sub("[0-9a-f]{64}", "0" * 64, text["seal"])
    write_sealed(path, safetensors.torch.save(weights, {"aulight": json.dumps(meta), "seal": seal}))
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda meta, weights: meta.update(format_version=2, written_by="aulight 9.1.0"),
            r"format 2, written by aulight 9\.1\.0; this aulight \S+ reads up to 1; update aulight",
        ),
        (lambda meta, weights: meta.pop("format_version"), "not as `aulight export` writes it .'format_version'"),
        (lambda meta, weights: meta.pop("stride"), "not as `aulight export` writes it .'stride'"),
        (
            lambda meta, weights: meta["architecture"].update(hidden=64),
            "do not fit its network: encoder.temporal.*, not ",
        ),
        (
            lambda meta, weights: weights.pop("regressor.linear.bias"),
            r"do not fit.*: regressor\.linear\.bias is missing",
        ),
        (
            lambda meta, weights: meta["architecture"].update(backbone="os.system"),
            r"other\.aulight: architecture\.backbone=os\.system: one of resnet_tiny, ",
        ),
    ],
)
def test_files_of_others(
    change: Callable[[dict[str, Any], dict[str, Tensor]], Any], message: str, written: Path, tmp_path: Path
) -> None:
    path = _rewritten(written, tmp_path / "other.aulight", change)
    with pytest.raises(AulightError, match=message):
        load(path)


def test_rewriting_alone_breaks_nothing(written: Path, faces: Frames, tmp_path: Path) -> None:
    path = _rewritten(written, tmp_path / "same.aulight", lambda meta, weights: None)
    np.testing.assert_array_equal(load(path).scorer().push(faces), load(written).scorer().push(faces))


def test_a_file_that_cannot_be_written_leaves_nothing(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(path: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", no_room)
    with pytest.raises(OSError, match="No space left"):
        model.save(tmp_path / "model.aulight")
    assert list(tmp_path.iterdir()) == []


# ---- what a model does ------------------------------------------------------------------------------------------


def test_pieces_equal_whole(model: Model, faces: Frames) -> None:
    whole = model.scorer().push(faces)
    assert whole.shape == (40, 12)
    rng = np.random.default_rng(0)
    for _ in range(5):
        scorer = model.scorer()
        cuts = np.sort(rng.integers(0, 41, 7))  # the same one twice gives a piece of no frames
        pieces = np.concatenate([scorer.push(piece) for piece in np.split(faces, cuts)])
        np.testing.assert_allclose(pieces, whole, rtol=0, atol=1e-5)
    assert model.scorer().push(faces[:0]).shape == (0, 12)


def test_scorers_know_nothing_of_each_other(model: Model, faces: Frames) -> None:
    alone = [model.scorer().push(frames) for frames in (faces, faces[::-1])]
    one, other = model.scorer(), model.scorer()
    in_turn: list[list[Any]] = [[], []]
    for start in range(0, 40, 5):
        in_turn[0].append(one.push(faces[start : start + 5]))
        in_turn[1].append(other.push(faces[::-1][start : start + 5]))
    for parts, expected in zip(in_turn, alone, strict=True):
        np.testing.assert_allclose(np.concatenate(parts), expected, rtol=0, atol=1e-5)
    assert not np.allclose(alone[0], alone[1])


class _Seen:
    """A network that keeps what it is given."""

    def push(self, clip: Tensor, *when: Any) -> Tensor:
        self.clip = clip
        return torch.zeros(clip.shape[1], 1)

    def explain(self, clip: Tensor, output: int, *when: Any) -> tuple[Tensor, Tensor]:
        return self.push(clip), torch.zeros(clip.shape[1], 1, 1)


@pytest.mark.parametrize("size", [64, 112])
def test_faces_are_made_smaller_as_for_training(size: int, tmp_path: Path) -> None:
    """The oracles: Pillow's bilinear reduction, and the decoder that feeds training, of the same video."""
    write_video(tmp_path / "video.mp4", render_video(3, 128, 12)[0], 25)
    crops = np.stack([frame.image for frame in raw_frames(tmp_path / "video.mp4")])
    seen = _Seen()
    Scorer(seen, size, [1], 25.0).push(crops)
    given = seen.clip[0].numpy()
    assert given.shape == (12, size, size, 3)
    assert given.dtype == np.uint8

    def pillow(way: PIL.Image.Resampling) -> Frames:
        return np.stack([np.asarray(PIL.Image.fromarray(crop).resize((size, size), way)) for crop in crops])

    assert np.abs(given.astype(int) - pillow(PIL.Image.Resampling.BILINEAR)).max() <= 1
    decoded = np.concatenate(list(stream_frames(tmp_path / "video.mp4", size))).astype(int)
    # its colours are made smaller before they are RGB, so it is not the same; another interpolation is further off
    assert np.abs(given - decoded).mean() < 1.2 < np.abs(pillow(PIL.Image.Resampling.BICUBIC) - decoded).mean()
    Scorer(seen, 128, [1], 25.0).push(crops)
    np.testing.assert_array_equal(seen.clip[0].numpy(), crops)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"device": "cuda:99"}, "device=cuda:99: not there"),
        ({"device": "toaster"}, "device=toaster: not there"),
        ({"precision": "16"}, "precision=16: auto, 32 or bf16"),
    ],
)
def test_devices_and_precisions_that_are_not_there(arguments: dict[str, str], message: str, model: Model) -> None:
    with pytest.raises(AulightError, match=message):
        model.scorer(**arguments)


@pytest.mark.parametrize("chunk", [1, 7, 16])
def test_everybody_has_a_state_of_their_own(chunk: int, model: Model, faces: Frames) -> None:
    """Two people, of whom one leaves and comes back, as somebody new; the oracle scores each stay alone."""
    stays = {0: [range(40)], 1: [range(3, 12), range(14, 33)]}
    crops = {0: faces, 1: faces[::-1]}
    unknown, matrix = np.full(52, np.nan, np.float32), np.eye(2, 3)

    def present() -> Iterator[Any]:
        for number in range(40):
            people = [person for person, times in stays.items() if any(number in stay for stay in times)]
            yield (
                RawFrame(number, number / 25, faces[0]),
                {p: AlignedFrame(number, number / 25, crops[p][number], 1.0, unknown, matrix) for p in people},
            )

    scored = list(model.score(present(), chunk))
    assert [one.frame.number for one in scored] == list(range(40))
    for person, times in stays.items():
        for stay in times:
            expected = model.scorer().push(crops[person][stay.start : stay.stop])
            found = np.stack([scored[number].values[person] for number in stay])
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    assert [1 in one.values for one in scored] == [number in (*stays[1][0], *stays[1][1]) for number in range(40)]


COLUMNS = ["frame", "face_id", "timestamp", "confidence", "success", *(f"AU{au:02d}_r" for au in DISFA_AUS)]


def test_predict_and_stream_of_aligned_faces(model: Model, smoke_videos: Path) -> None:
    """The oracle is the scorer on the decoded frames."""
    video = next(smoke_videos.glob("*.mp4"))
    frames = [frame.image for frame in raw_frames(video)]
    expected = model.scorer().push(np.stack(frames))
    table = model.predict(video, coverage=None)
    assert list(table.columns) == COLUMNS
    assert table["frame"].tolist() == list(range(1, 61))
    np.testing.assert_allclose(table["timestamp"], np.arange(60) / 25, atol=1e-9)
    assert (table[["confidence", "success"]] == 1).all(axis=None)
    assert (table["face_id"] == 0).all()
    np.testing.assert_allclose(table[COLUMNS[5:]], expected, rtol=0, atol=1e-5)
    rows = pd.DataFrame(model.stream(iter(frames), fps=25, coverage=None))
    pd.testing.assert_frame_equal(rows, table, rtol=0, atol=1e-5)
    calibrated = model.predict(video, coverage=0.8)
    pd.testing.assert_frame_equal(calibrated[COLUMNS], table)
    assert model.intervals is not None
    low, high = model.intervals.around(expected, 0.8)
    np.testing.assert_allclose(calibrated[[f"{au}_lo" for au in model.columns]], low, rtol=0, atol=1e-3)
    np.testing.assert_allclose(calibrated[[f"{au}_hi" for au in model.columns]], high, rtol=0, atol=1e-3)
    with pytest.raises(AulightError, match="faces=all: one of auto"):
        model.predict(video, faces="all")  # type: ignore[arg-type]  # a user may


def test_predict_and_stream_of_a_real_face(finetuned: Path, folder_tree: Callable[..., Path], tmp_path: Path) -> None:
    """The oracle is the scorer on what `aulight prepare` would cut out; six frames in the middle show no face."""
    run = _copy(finetuned, tmp_path / "run")
    _record(run, lambda record: record["dataset"].update(crop_size=96, alignment=Alignment.TEMPLATE.value))
    model = load(run)
    video = folder_tree(tmp_path / "raw", frames=30, real=True) / "first.mp4"
    pictures = [frame.image for frame in raw_frames(video)]
    for picture in pictures[12:18]:
        picture[:] = 90
    write_video(tmp_path / "video.mp4", pictures, 25)

    faces = yaml.safe_load((ROOT / "conf" / "prepare.yaml").read_text())["faces"]
    with FaceAligner(96, False, faces["max_faces"], faces["smooth_s"]) as aligner:
        aligned = list(aligner.align(raw_frames(tmp_path / "video.mp4")))
    found = np.array([face.confidence > 0 for face in aligned])
    assert found.tolist() == [True] * 12 + [False] * 6 + [True] * 12
    shown = np.maximum.accumulate(np.where(found, np.arange(30), 0))  # for a moment without a face, the last one
    expected = model.scorer().push(np.stack([aligned[frame].crop for frame in shown]))
    expected[~found] = np.nan

    table = model.predict(tmp_path / "video.mp4", coverage=None)
    assert table["frame"].tolist() == list(range(1, 31))
    assert table["success"].tolist() == found.astype(int).tolist()
    assert table["confidence"].tolist() == [face.confidence for face in aligned]
    np.testing.assert_allclose(table[COLUMNS[5:]], expected, rtol=0, atol=1e-5)

    given = 0

    def live() -> Iterator[Frames]:
        nonlocal given
        for frame in raw_frames(tmp_path / "video.mp4"):
            given += 1
            yield frame.image

    rows, ahead = [], []
    for row in model.stream(live(), fps=25, coverage=None):
        rows.append(row)
        ahead.append(given - row["frame"])
    pd.testing.assert_frame_equal(pd.DataFrame(rows), table, rtol=0, atol=1e-5)
    assert max(ahead[10:]) <= 8  # frames: 0.3 s
    assert max(ahead) < 16  # while it is not clear yet whom to follow


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory, aulight: Command, folder_tree: Callable[..., Path]) -> Path:
    """A dataset of videos of a real face, prepared with ``faces.smooth_s=0.4``; the raw ones are beside it."""
    folder = tmp_path_factory.mktemp("moving")
    folder_tree(folder / "raw", frames=24, real=True)
    settings = [f"data.source={folder}/raw", f"data.root={folder}/data", "crop_size=96", "workers=1"]
    outcome = aulight("prepare", *settings, "faces.smooth_s=0.4")
    assert outcome.status == 0, outcome.err
    return folder


@pytest.mark.parametrize(("said", "there", "expected"), [(True, False, 0.4), (False, True, 0.4), (False, False, 0.1)])
def test_faces_are_cut_as_they_were_for_the_dataset(
    said: bool, there: bool, expected: float, aulight: Command, finetuned: Path, moving: Path, tmp_path: Path
) -> None:
    """The run says it, or of an earlier aulight the dataset; the oracle is `aulight prepare`'s aligner, set alike."""
    run = _copy(finetuned, tmp_path / "run")
    data = PreparedDataset(moving / "data")

    def of_these_faces(record: dict[str, Any]) -> None:
        dataset = record["dataset"]
        dataset.pop("smooth_s", None)
        dataset.update(crop_size=96, alignment=data.meta["alignment"], **({"smooth_s": 0.4} if said else {}))
        record["config"]["data"]["root"] = str(moving / "data" if there else tmp_path / "gone")

    _record(run, of_these_faces)
    model = load(run)
    assert model.description.smooth_s == expected
    model.save(tmp_path / "model.aulight")
    video = moving / "raw" / "first.mp4"
    tables = {}
    for smooth_s in (0.1, 0.4):
        with FaceAligner(96, False, 4, smooth_s) as aligner:
            crops = np.stack([face.crop for face in aligner.align(raw_frames(video))])
        tables[smooth_s] = model.scorer().push(crops)
    assert np.abs(tables[0.1] - tables[0.4]).max() > 1e-3, "else it says nothing"

    written = load(tmp_path / "model.aulight")
    assert (written.description.smooth_s, written.meta.get("smooth_s", 0.1)) == (expected, expected)
    np.testing.assert_allclose(written.predict(video)[COLUMNS[5:]], tables[expected], rtol=0, atol=1e-5)
    streamed = pd.DataFrame(written.stream((frame.image for frame in raw_frames(video)), fps=25))
    np.testing.assert_allclose(streamed[COLUMNS[5:]], tables[expected], rtol=0, atol=1e-5)
    outcome = aulight("predict", f"model={run}", f"input={video}", f"output={tmp_path}/out", "coverage=null")
    assert outcome.status == 0, outcome.err
    table = pd.read_csv(tmp_path / "out" / "first.csv")
    np.testing.assert_allclose(table[COLUMNS[5:]], tables[expected], rtol=0, atol=1e-5)
    settings = json.loads((tmp_path / "out" / "first.json").read_text())["settings"]
    assert settings["smooth_s"] == expected


# ---- where it is seen -------------------------------------------------------------------------------------------


def test_explaining_scores_as_pushing_does(model: Model, faces: Frames) -> None:
    """In any mixture of both, on crops of any size; the heat's peak is the intensity's share of 5."""
    large = np.stack([np.asarray(PIL.Image.fromarray(face).resize((90, 90))) for face in faces])
    for crops in (faces, large):
        whole = model.scorer().push(crops)
        scorer = model.scorer()
        heats = []
        for number, piece in enumerate(np.split(crops, [3, 4, 17, 17, 30])):
            if number == 2:
                intensities = scorer.push(piece)
            else:
                intensities, heat = scorer.explain(piece, 12)
                assert heat.shape == piece.shape[:3]
                assert heat.dtype == np.float32
                heats.append((intensities, heat))
            np.testing.assert_allclose(intensities, whole[: len(piece)], rtol=0, atol=1e-5)
            whole = whole[len(piece) :]
        for intensities, heat in heats:
            assert heat.min(initial=0) >= 0
            shares = intensities[:, DISFA_AUS.index(12)] / 5
            np.testing.assert_allclose(heat.max((1, 2), initial=0), shares, atol=0.05)


def test_heat_in_bf16_is_nearly_the_same(model: Model, faces: Frames) -> None:
    _, expected = model.scorer().explain(faces, 12)
    _, heat = model.scorer(precision="bf16").explain(faces, 12)
    np.testing.assert_allclose(heat, expected, atol=0.05)
    assert expected.max() > 0.1


def test_an_au_that_the_model_does_not_know(model: Model, faces: Frames) -> None:
    with pytest.raises(AulightError, match=r"explain=7: the model does not know this AU, only 1, 2, 4, 5, 6, 9, 12"):
        model.scorer().explain(faces, 7)


@pytest.mark.parametrize(
    ("backbone", "stride", "small"), [("resnet_tiny", 16, False), ("resnet18", 32, False), ("resnet18", 8, True)]
)
def test_heat_lies_where_the_network_looks(backbone: str, stride: int, small: bool) -> None:
    """Oracle: the middle of the pixels on which one place of the map depends, by their gradients."""
    torch.manual_seed(0)
    network = build_backbone(backbone, small_input=small).eval()
    size = 10 * stride - 3  # so large that a place in the middle does not see the edges
    frames = torch.randn(8, 3, size, size, requires_grad=True)
    maps = network(frames)
    assert maps.shape[-2:] == (10, 10)
    (slope,) = torch.autograd.grad((maps[:, :, 5, 4] * torch.randn(maps.shape[1])).sum(), frames)
    looked = _middle(slope.square().sum((0, 1)))
    heat = torch.zeros(1, 10, 10)
    heat[0, 5, 4] = 1
    np.testing.assert_allclose(_middle(over_crop(heat, size, size)[0]), looked, atol=stride / 8)
    np.testing.assert_allclose(_middle(over_crop(heat, size, 2 * size)[0]) / 2 - 0.25, looked, atol=stride / 8)


def _middle(weights: Tensor) -> npt.NDArray[np.float64]:
    """Row and column that pixels ``(H, W)`` have in the mean."""
    shares = (weights / weights.sum()).double().numpy()
    return np.array([(shares.sum(1 - axis) * np.arange(shares.shape[axis])).sum() for axis in (0, 1)])


@pytest.mark.slow
def test_heat_of_a_trained_model_lies_on_the_part_of_the_face_that_moves(
    aulight: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For AU1 on the upper half and for AU12 on the lower, in frames of intensity 3 or more.

    The baseline is untrained networks: where they look is an accident, so one may be right about both, but not all.
    """
    monkeypatch.setitem(SIZES, "many", Size(pixels=64, frames=40, unlabelled=0, train=160, validation=4, test=4))
    generate(tmp_path / "synthetic-many-seed0", "many", workers=2)
    settings = ["data.synthetic=null", "label_fraction=1.0", "steps=500", "steps_per_epoch=250", "clip.length=4"]
    machine = ["loader.workers=0", "threads=1", "trainer.accelerator=cpu"]
    settings.append(f"data.root={tmp_path / 'synthetic-many-seed0'}")
    outcome = aulight("finetune", *settings, *machine, f"root={tmp_path}", "name=run")
    assert outcome.status == 0, outcome.err
    trained = load(tmp_path / "run")
    videos = [render_video((1, subject), 64, 100) for subject in range(24)]

    def upper(model: Model, au: int) -> npt.NDArray[np.float32]:
        """Share of the heat that lies on the upper half, in each frame that shows the AU."""
        shares = []
        for frames, intensities in videos:
            shown = intensities[:, DISFA_AUS.index(au)] >= 3
            if shown.any():
                heat = model.scorer().explain(frames, au)[1][shown]
                shares.append(heat[:, :32].sum((1, 2)) / np.maximum(heat.sum((1, 2)), 1e-9))
        return np.concatenate(shares)

    brows, mouth = upper(trained, 1), upper(trained, 12)
    assert min(len(brows), len(mouth)) > 50
    assert (brows > 0.5).mean() > 0.8
    assert (mouth < 0.5).mean() > 0.8
    assert brows.mean() - mouth.mean() > 0.5

    assert trained.network is not None
    encoder: Any = trained.network["encoder"]
    differences = []
    for seed in range(6):
        torch.manual_seed(seed)
        weights = {f"encoder.{name}": tensor for name, tensor in Encoder(encoder.config).state_dict().items()}
        weights |= {"regressor.linear.weight": 0.1 * torch.randn(12, 256), "regressor.linear.bias": torch.zeros(12)}
        weights |= {"regressor.mean": torch.full((12,), 2.5), "regressor.std": torch.ones(12)}
        untrained = build(trained.description, weights, tmp_path)
        differences.append(upper(untrained, 1).mean() - upper(untrained, 12).mean())
    assert np.mean(differences) < 0.3


@pytest.mark.parametrize(
    ("frame", "what"),
    [
        (np.zeros((64, 64), np.uint8), "uint8 (64, 64)"),
        (np.zeros((64, 64, 4), np.uint8), "uint8 (64, 64, 4)"),
        (np.zeros((64, 64, 3), np.float32), "float32 (64, 64, 3)"),
        ([[0]], "list"),
    ],
)
def test_frames_that_are_none(frame: Any, what: str, model: Model) -> None:
    with pytest.raises(AulightError, match=re.escape(f"a frame is {what}; uint8 (height, width, 3), RGB, is needed")):
        list(model.stream([frame], fps=25))
