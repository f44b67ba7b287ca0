"""`aulight predict` on real files: the rows it writes, what it does again and what not, and when something is wrong."""

import errno
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from aulight.cli.commands.predict import predict
from aulight.data.faces.aligner import FaceAligner
from aulight.data.store import PreparedDataset
from aulight.data.video.raw import raw_frames
from aulight.data.video.write import write_video
from aulight.prediction import estimator, predictor, webcam
from aulight.prediction.clock import Clock
from aulight.prediction.companion import read_companion
from aulight.prediction.loading import load
from aulight.prediction.pipeline import Pipeline
from aulight.prediction.predict import PER_GPU, processes_for
from aulight.prediction.rest import Rest
from aulight.prediction.untrained import AUS, DEAD, NOTE, Untrained, intensities, notes
from aulight.prediction.videos import Video, find_videos
from aulight.runs.composed import composed, settings_from
from aulight.scoring.conformal import from_plain
from aulight.settings.cluster import AddressSettings
from aulight.settings.predict import PART, GivenFaces, PredictSettings
from tests.data.faces.astronaut import ASTRONAUT, couple, painted, placed

Command = Callable[..., Any]
Frames = npt.NDArray[np.uint8]

KEYS = ["frame", "face_id", "timestamp", "confidence", "success"]
BESIDE = ["quality", "face_x", "face_y", "face_width", "face_height"]
BESIDE += ["pose_Tx", "pose_Ty", "pose_Tz", "pose_Rx", "pose_Ry", "pose_Rz"]
UNTRAINED = [f"AU{au:02d}_r" for au in AUS]
EMPTY = [f"AU{au:02d}_r" for au in DEAD]
MOVING = [name for name in UNTRAINED if name not in EMPTY]


@pytest.fixture(scope="module")
def real(folder_tree: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos of a real face: ``first.mp4``, ``day 1/second.avi`` and the folder of pictures ``day 1/third``."""
    return folder_tree(tmp_path_factory.mktemp("real"), frames=24, real=True)


def _encode(path: Path, frames: Sequence[Frames], times_ms: Sequence[int] | None = None, turned: int = 0) -> Path:
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], "yuv420p"
        stream.set_display_rotation(turned)
        if times_ms is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            if times_ms is not None:
                picture.pts, picture.time_base = times_ms[number], Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


def _sound(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("aac", 48000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 24000), np.float32), "fltp", "mono")
        silence.sample_rate = 48000
        container.mux(stream.encode(silence))
        container.mux(stream.encode())
    return path


def _files(folder: Path) -> list[str]:
    """All but what is made of tables, which tests/prediction/after is about."""
    made = re.compile(r".*(\.events\.csv|\.faces\.jpg)(\.partial)?|summary\.(csv|json)|cooccurrence\.csv|index\.html")
    files = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(file for file in files if not made.fullmatch(file))


def _note(path: Path) -> Any:
    return json.loads(path.read_text())


# ---- the numbers ------------------------------------------------------------------------------------------------


@pytest.mark.precision
def test_scores_are_those_of_finetune(
    aulight: Command, finetuned: Path, smoke_data: Path, smoke_videos: Path, mixed: bool, tmp_path: Path
) -> None:
    """Of the same prepared videos, to 1e-4; the oracles are what the Trainer's own test wrote, and the tables."""
    data, tested = PreparedDataset(smoke_data), pd.read_parquet(finetuned / "predictions.parquet")
    videos = tmp_path / "videos"
    videos.mkdir()
    for video in tested["video_id"].unique():
        os.link(smoke_videos / f"{video}.mp4", videos / f"{video}.mp4")
    out = [tmp_path / "csv", tmp_path / "parquet"]
    common = ["predict", f"model={finetuned}", f"input={videos}", "precision=auto"]  # as the Trainer had it
    outcome = aulight(*common, f"output={out[0]}", "workers=1")
    assert outcome.status == 0, outcome.err
    assert f"{out[0]}: 3 videos, 180 frames\n" in outcome.out
    assert "the square in the middle of each frame was taken; faces=mediapipe finds faces" in outcome.out
    assert "say nothing: too few validation subjects for coverage=0.9; 9 can promise 0.9, fewer less" in outcome.out
    assert aulight(*common, f"output={out[1]}", "workers=2", "format=parquet", "faces=none").status == 0
    told = [json.loads(file.read_text()) for folder in out for file in folder.glob("*.json")]
    settings = [companion["settings"]["precision"] for companion in told if "settings" in companion]
    assert settings == 6 * ["bf16" if mixed else "32"]
    known = load(finetuned)
    assert known.intervals is not None
    names = [*KEYS, *(f"{au}_r" for au in known.columns)]
    names += [f"{au}_{end}" for au in known.columns for end in ("lo", "hi")]
    for video in tested["video_id"].unique().tolist():
        expected = (
            tested[tested["video_id"] == video].sort_values("frame")[[f"{au}_pred" for au in known.columns]].to_numpy()
        )
        low, high = known.intervals.around(expected, 0.9)
        times = next(data.frames_of([video], ["time_s"]))["time_s"]
        for table in (pd.read_csv(out[0] / f"{video}.csv"), pd.read_parquet(out[1] / f"{video}.parquet")):
            assert list(table.columns) == names
            assert table["frame"].tolist() == list(range(1, 61))
            assert (table[["confidence", "success"]] == 1).all(axis=None)
            assert (table["face_id"] == 0).all()
            np.testing.assert_allclose(table["timestamp"], times, atol=1e-6)
            np.testing.assert_allclose(table[names[5:17]], expected, rtol=0, atol=1e-4)
            # an interval has steps where a prediction goes from one group into the next
            near = np.abs(expected[..., None] - np.array([0.5, 1.5, 2.5, 3.5])).min(-1) > 1e-4
            for end, values in (("lo", low), ("hi", high)):
                found = table[[f"{au}_{end}" for au in known.columns]].to_numpy()
                np.testing.assert_allclose(found[near], values[near], rtol=0, atol=3e-4)
    note = _note(out[0] / f"{tested['video_id'].iloc[0]}.json")
    assert (note["whole"], note["problem"], note["frames"], note["fps"]) == (True, None, 60, 25.0)
    assert (note["model"]["kind"], note["model"]["calibrated"], note["coverage"]) == ("trained", True, 0.9)
    assert note["model"]["dataset"]["fingerprint"] == data.fingerprint
    assert {"all", "decode", "landmarks", "network", "writing"} == note["seconds"].keys()


def test_it_can_be_called_from_python(finetuned: Path, smoke_videos: Path, tmp_path: Path) -> None:
    """Without Hydra; the oracle is the model's own table."""
    video = next(smoke_videos.glob("test*.mp4"))
    settings = PredictSettings(
        faces=GivenFaces(find="none"),
        input=str(video),
        output=str(tmp_path),
        model=str(finetuned),
        baseline="none",
        reference=None,
        coverage=None,
        format="parquet",
        executor="local",
        cluster=AddressSettings(address=None, tls_ca_file=None, tls_cert=None, tls_key=None, wait_s=60),
        patience_s=1800,
        overlay=False,
        plot=False,
        explain=None,
        events=None,
        elan=False,
        summary=None,
        thumbnails=True,
        pictures="auto",
        columns=["box", "pose", "quality"],
        present_from=1.0,
        min_quality=None,
        fps=25.0,
        start=None,
        end=None,
        every=None,
        rate=None,
        rotate=0,
        max_frames=None,
        device="cpu",
        precision="32",
        workers=None,
    )
    predict(settings)
    table = pd.read_parquet(tmp_path / f"{video.stem}.parquet")
    pd.testing.assert_frame_equal(table, load(finetuned).predict(video, coverage=None), check_dtype=False, atol=1e-5)


def test_intervals_are_those_of_the_validation_subjects(finetuned: Path, tmp_path: Path) -> None:
    """The oracle counts: of the calibration's own frames, at least the coverage lies inside."""
    known = load(finetuned)
    known.save(tmp_path / "model.aulight")
    again = load(tmp_path / "model.aulight")
    assert known.intervals is not None
    assert again.intervals is not None
    np.testing.assert_array_equal(again.intervals.reach, known.intervals.reach)
    assert from_plain(known.meta["intervals"]).columns == tuple(known.columns)
    table = pd.read_parquet(finetuned / "validation.parquet")
    for au in known.columns:
        preds, truth = table[f"{au}_pred"].to_numpy(), table[f"{au}_true"].to_numpy(float)
        low, high = (ends[:, known.columns.index(au)] for ends in known.intervals.around(
            np.repeat(preds[:, None], len(known.columns), 1), 0.6))  # fmt: skip
        assert (high - low).mean() < 4, "three subjects can promise as much"
        assert ((truth >= low - 1e-3) & (truth <= high + 1e-3)).mean() >= 0.6
    assert load(finetuned / "checkpoints" / "last.ckpt").intervals is None, "it did not predict them"


def test_without_a_model(aulight: Command, real: Path, tmp_path: Path) -> None:
    """The oracle is the table on what the landmarker says of the same frames."""
    video = real / "first.mp4"
    outcome = aulight("predict", "model=table", f"input={video}", f"output={tmp_path}", "overlay=true", "plot=true")
    assert outcome.status == 0, outcome.err
    said = "".join(f"  note: {note}\n" for note in notes(from_rest=False))
    assert outcome.out == f"{tmp_path}/first.csv, 24 frames\n{said}"
    assert _files(tmp_path) == ["first.csv", "first.json", "first.overlay.mp4", "first.png"]
    table, note = pd.read_csv(tmp_path / "first.csv"), _note(tmp_path / "first.json")
    assert list(table.columns) == KEYS + BESIDE + UNTRAINED
    with FaceAligner(64, True, 4, 0.1) as aligner:
        expected = np.stack([intensities(face.blendshapes) for face in aligner.align(raw_frames(video))])
    np.testing.assert_allclose(table[UNTRAINED], expected, atol=1e-5)
    assert table["AU12_r"].min() > 3, "she smiles"
    assert table["AU26_r"].max() < 1
    assert EMPTY == ["AU06_r", "AU09_r"]
    assert table[EMPTY].isna().all(axis=None)
    assert table[MOVING].notna().all(axis=None)
    assert (note["model"]["kind"], note["model"]["calibrated"]) == ("blendshapes", False)
    assert note["model"]["note"] == "; ".join(notes(from_rest=False))
    assert note["model"]["note"].startswith(NOTE)
    assert note["model"]["blendshapes"]["AU25"] == "jawOpen or mouthLowerDown"
    assert note["model"]["empty"].keys() == {"AU06", "AU09"}
    assert not note["model"]["blendshapes"].keys() & note["model"]["empty"].keys()
    drawn = [frame.image for frame in raw_frames(tmp_path / "first.overlay.mp4")]
    assert len(drawn) == 24
    for picture, frame in zip(drawn, raw_frames(video), strict=True):  # enlarged, beside it a panel
        beside = cv2.resize(frame.image, None, fx=picture.shape[0] / 192, fy=picture.shape[0] / 192)
        off = np.abs(picture[:, : beside.shape[1]].astype(int) - beside[: picture.shape[0]]).mean(2)
        assert np.median(off) < 8
    assert cv2.imread(str(tmp_path / "first.png")) is not None


def test_from_a_persons_own_rest(aulight: Command, real: Path, tmp_path: Path) -> None:
    """The oracle takes the lowest tenth of all frames so far away, frame by frame; photos stay as they are."""
    folder = tmp_path / "given"
    shutil.copytree(real / "day 1/third", folder / "photos")
    shutil.copy(real / "first.mp4", folder)
    common = ["predict", "model=table", f"input={folder}", "pictures=photos"]
    plain, rest = tmp_path / "plain", tmp_path / "rest"
    assert aulight(*common, f"output={plain}").status == 0
    outcome = aulight(*common, f"output={rest}", "baseline=rest", "overlay=true", "plot=true")
    assert outcome.status == 0, outcome.err
    assert "  note: photos are scored as they are: baseline=rest is for films\n" in outcome.out
    assert all(f"  note: {note}\n" in outcome.out for note in notes(from_rest=True))

    before, after = pd.read_csv(plain / "first.csv"), pd.read_csv(rest / "first.csv")
    assert after[EMPTY].isna().all(axis=None)
    for name in MOVING:
        seen = before[name].to_numpy()
        rests = [np.quantile(seen[: frame + 1], 0.1, method="inverted_cdf") for frame in range(len(seen))]
        np.testing.assert_allclose(after[name], np.maximum(seen - rests, 0), rtol=0, atol=0.0101)
    assert after.loc[0, MOVING].max() < 0.00101, "the first frame is all that is known of her rest"
    assert before["AU12_r"].min() > 3
    assert after["AU12_r"].max() < 2

    pd.testing.assert_frame_equal(pd.read_csv(plain / "photos.csv"), pd.read_csv(rest / "photos.csv"))
    film, photos = _note(rest / "first.json"), _note(rest / "photos.json")
    assert (film["settings"]["baseline"], photos["settings"]["baseline"]) == ("rest", "none")
    assert film["model"]["note"] == "; ".join(notes(from_rest=True))
    assert photos["model"]["note"] == "; ".join(notes(from_rest=False))
    assert photos["notes"] == ["photos are scored as they are: baseline=rest is for films"]

    assert "2 done before" in aulight(*common, f"output={rest}", "baseline=rest").out
    assert "1 done before" in aulight(*common, f"output={rest}").out, "the film's numbers are others now"


def test_the_rest_of_two_people_is_their_own(real: Path) -> None:
    """One face that looks on while the other one smiles: both start at 0, and neither moves the other's 0."""
    with FaceAligner(64, True, 4, 0.1) as aligner:
        faces = list(aligner.align(raw_frames(real / "first.mp4")))
    still, moving = faces[0], faces
    alone = [rest.above(intensities(face.blendshapes)) for rest in [Rest(len(AUS))] for face in moving]
    both = list(
        Untrained().score(
            [(raw, {0: still, 1: face}) for raw, face in zip(raw_frames(real / "first.mp4"), moving, strict=True)], True
        )
    )
    for scored, expected in zip(both, alone, strict=True):
        assert np.nanmax(scored.values[0]) < 0.00101
        np.testing.assert_array_equal(scored.values[1], expected)


def test_everybody_has_rows_of_their_own(aulight: Command, real: Path, finetuned: Path, tmp_path: Path) -> None:
    """Two people side by side, the smaller one hidden for a while; the oracle is the larger one followed alone."""
    frames = [frame.image for frame in raw_frames(real / "first.mp4")]
    smaller = [cv2.resize(frame[:, ::-1], None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA) for frame in frames]
    pairs = [
        np.hstack([frame, np.pad(other, ((0, 48), (0, 0), (0, 0)))])
        for frame, other in zip(frames, smaller, strict=True)
    ]
    for pair in pairs[10:14]:
        pair[:, 256:] = 90
    _encode(tmp_path / "both.mp4", pairs)
    common = ["predict", f"model={finetuned}", "faces=mediapipe", f"input={tmp_path}/both.mp4"]
    assert aulight(*common, f"output={tmp_path}/all", "faces.all=true", "explain=12").status == 0
    assert aulight(*common, f"output={tmp_path}/one").status == 0
    table, one = pd.read_csv(tmp_path / "all/both.csv"), pd.read_csv(tmp_path / "one/both.csv")
    assert (table["success"] == 1).all()
    assert table.equals(table.sort_values(["frame", "face_id"]))
    larger, hidden = sorted((rows for _, rows in table.groupby("face_id")), key=len, reverse=True)
    assert larger["frame"].tolist() == one["frame"].tolist() == list(range(1, 25))
    assert hidden["frame"].tolist() == [*range(1, 11), *range(15, 25)]
    numbers = [f"AU{au:02d}_r" for au in load(finetuned).aus]
    np.testing.assert_allclose(larger[numbers], one[numbers], rtol=0, atol=1e-4)
    assert not np.allclose(hidden[numbers].to_numpy()[:10], one[numbers].to_numpy()[:10], atol=1e-3)
    assert _files(tmp_path / "all") == ["both.csv", "both.json", "both.overlay.mp4"]


PICTURES = ("overlay.mp4", "png")


# ---- a second time, and a folder of videos ----------------------------------------------------------------------


def test_a_second_call_does_only_what_is_missing(
    aulight: Command, finetuned: Path, smoke_videos: Path, tmp_path: Path
) -> None:
    given, out = tmp_path / "given", tmp_path / "out"
    (given / "sub").mkdir(parents=True)
    sources = sorted(smoke_videos.glob("test*.mp4"))
    for name, source in zip(("a.mp4", "sub/a.mp4", "A.mkv"), sources, strict=True):
        shutil.copyfile(source, given / name)
    load(finetuned).save(tmp_path / "model.aulight")
    settings = ["predict", "model=table", f"input={given}", f"output={out}", "workers=1"]

    def call(*more: str) -> dict[str, int]:
        outcome = aulight(*settings, *(more if any("model=" in one for one in more) else (f"model={finetuned}", *more)))
        assert outcome.status == 0, outcome.err
        return {name: (out / name).stat().st_mtime_ns for name in _files(out)}

    first = call()
    assert set(first) == {f"{name}.{end}" for name in ("A.mkv", "a.mp4", "sub/a") for end in ("csv", "json")}
    assert call() == first
    os.utime(given / "sub" / "a.mp4", ns=(0, 0))
    second = call()
    assert {name for name in first if second[name] != first[name]} == {"sub/a.csv", "sub/a.json"}
    (out / "a.mp4.csv").unlink()
    third = call()
    assert {name for name in first if third[name] != second[name]} == {"a.mp4.csv", "a.mp4.json"}
    drawn = call("overlay=true", "plot=true")
    assert set(drawn) - set(first) == {f"{name}.{end}" for name in ("A.mkv", "a.mp4", "sub/a") for end in PICTURES}
    assert call() == call("plot=true") == drawn  # what is there already is neither made again nor removed
    third = drawn
    for change in ("coverage=0.8", f"model={tmp_path}/model.aulight", "format=parquet", "format=csv"):
        changed = call(change)
        assert not set(changed.values()) & set(third.values()), change
        assert len(changed) == 6, change
        third = changed


def test_what_the_version_before_has_done_is_done(
    aulight: Command, finetuned: Path, smoke_videos: Path, tmp_path: Path
) -> None:
    """Its companion did not say over how many seconds crops were smoothed, which was 0.1; other crops are made anew."""
    video = next(smoke_videos.glob("test*.mp4"))
    load(finetuned).save(tmp_path / "model.aulight")
    settings = ["predict", f"model={tmp_path}/model.aulight", f"input={video}", f"output={tmp_path}", "columns=[]"]
    for faces, said in (("none", set()), ("mediapipe", {"smooth_s"})):
        assert aulight(*settings, f"faces={faces}").status == 0
        file = tmp_path / f"{video.stem}.json"
        note = _note(file)
        assert note["settings"].keys() == {
            "format", "coverage", "plot", "fps", "overlay", "explain", "precision", "faces", "all", "max_faces",
            "baseline", "landmarker", *PART, "rotate", "columns", "present_from", "min_quality", "reference", *said,
        }  # fmt: skip
        assert note["settings"].pop("landmarker") is None
        note["settings"].pop("smooth_s", None)
        for later in ("baseline", "rotate", "columns", "present_from", "min_quality", "reference", *PART):
            del note["settings"][later]
        note["settings"]["precision"] = 32  # as `precision=32` was kept
        file.write_text(json.dumps(note))
        assert "1 done before" in aulight(*settings, f"faces={faces}").out
    note["settings"]["smooth_s"] = 0.2
    file.write_text(json.dumps(note))
    assert "done before" not in aulight(*settings, "faces=mediapipe").out
    known = read_companion(tmp_path, video.stem)
    assert known is not None
    assert known.settings.smooth_s == 0.1
    assert read_companion(tmp_path, "nothing") is None
    for text in ("", "[]", "{}", '{"whole": true}'):
        file.write_text(text)
        assert read_companion(tmp_path, video.stem) is None


def test_names_are_kept_apart(tmp_path: Path) -> None:
    given = tmp_path / "in"
    for name in (
        "a.mp4",
        "a.mov",
        "b.mp4",
        "sub/a.mp4",
        "sub/c.d.avi",
        "pictures/0001.png",
        "pictures.mp4",
        "x.txt",
        "b.overlay.mp4",
        "out/z.mp4",
    ):
        (given / name).parent.mkdir(parents=True, exist_ok=True)
        (given / name).touch()
    names = {video.name: video.path.relative_to(given).as_posix() for video in find_videos(given, given / "out").videos}
    assert names == {
        "a.mp4": "a.mp4", "a.mov": "a.mov", "b": "b.mp4", "sub/a": "sub/a.mp4", "sub/c.d": "sub/c.d.avi",
        "pictures": "pictures", "pictures.mp4": "pictures.mp4",
    }  # fmt: skip
    assert find_videos(given, given / "out").overlays == [given / "b.overlay.mp4"]
    assert find_videos(given / "pictures", tmp_path).videos == [Video(given / "pictures", "pictures")]
    assert find_videos(given / "b.mp4", tmp_path).videos == [Video(given / "b.mp4", "b")]


def test_what_is_broken_is_told_and_the_rest_is_done(
    aulight: Command, finetuned: Path, smoke_videos: Path, tmp_path: Path
) -> None:
    given, out = tmp_path / "given", tmp_path / "out"
    given.mkdir()
    whole = next(smoke_videos.glob("test*.mp4"))
    frames = [frame.image for frame in raw_frames(whole)]
    shutil.copyfile(whole, given / "good.mp4")
    (given / "empty.mp4").touch()
    (given / "text.mp4").write_text("no video at all")
    _sound(given / "sound.mp4")
    data = _encode(tmp_path / "whole.mkv", frames).read_bytes()
    (given / "cut.mkv").write_bytes(data[: len(data) * 2 // 3])
    settings = ["predict", f"model={finetuned}", f"input={given}", f"output={out}", "overlay=true"]
    expected: pd.DataFrame | None = None
    for workers in (2, 1):  # nor is it taken for whole later
        outcome = aulight(*settings, f"workers={workers}")
        assert outcome.status == 1
        lines = outcome.err[outcome.err.index("aulight: ") :].splitlines()
        assert lines[0] == "aulight: 4 of 5 videos could not be read to their end:"
        told = "\n".join(lines[1:])
        for part in ("empty.mp4: the file is empty", "text.mp4: not a readable video", "sound.mp4: has no pictures"):
            assert part in told
        assert f"{out}: 1 of 5 videos" in outcome.out
        assert _files(out) == [
            "cut.csv.partial", "cut.json", "cut.overlay.mp4.partial", "good.csv", "good.json", "good.overlay.mp4",
        ]  # fmt: skip
        table, note = pd.read_csv(out / "cut.csv.partial"), _note(out / "cut.json")
        assert (note["whole"], note["frames"]) == (False, len(table))
        assert 20 < len(table) < 60
        assert note["problem"] in told
        assert f"cut.mkv: ends at frame {len(table)} of 60" in told or f"damaged after frame {len(table) - 1}" in told
        assert f"its {len(table)} frames up to there are in {out}/cut.csv.partial" in told
        if expected is not None:  # up to rounding, which depends on the threads that torch has
            pd.testing.assert_frame_equal(table, expected, rtol=0, atol=1e-4)
        expected = table
    for name in ("empty.mp4", "text.mp4", "sound.mp4"):
        (given / name).unlink()
    (given / "cut.mkv").write_bytes(data)
    assert aulight(*settings).status == 0
    assert _files(out) == [f"{name}.{end}" for name in ("cut", "good") for end in ("csv", "json", "overlay.mp4")]
    again = pd.read_csv(out / "cut.csv")
    # at a cut, the decoder may pass over some frames that the last ones were built on
    same = len(table) - 4
    np.testing.assert_allclose(again.to_numpy()[:same], table.to_numpy()[:same], rtol=0, atol=1e-4)


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_interrupted_it_leaves_nothing_half_written_and_goes_on(
    processes: int, aulight: Command, finetuned: Path, smoke_videos: Path, tmp_path: Path
) -> None:
    given, out = tmp_path / "given", tmp_path / "out"
    given.mkdir()
    frames = [frame.image for frame in raw_frames(next(smoke_videos.glob("test*.mp4")))]
    write_video(given / "short.mp4", frames[:5], 25)
    for name in ("long", "longer")[:processes]:
        write_video(given / f"{name}.mp4", frames * 25, 25)
    settings = [
        "predict",
        f"model={finetuned}",
        f"input={given}",
        f"output={out}",
        f"workers={processes}",
        "overlay=true",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "aulight", *settings],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    end = time.monotonic() + 60
    while not list(out.glob(".aulight-*.tmp/long*")) and time.monotonic() < end:  # being written
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.splitlines()[-1] == "aulight: interrupted; the same command goes on where it was"
    assert "Traceback" not in err
    assert not [path for path in out.rglob("*") if path.name.startswith(("long", "."))]
    for name in ("long", "longer")[:processes]:
        write_video(given / f"{name}.mp4", frames, 25)
    assert aulight(*settings).status == 0
    assert len(_files(out)) == 3 * (1 + processes)


# ---- odd videos -------------------------------------------------------------------------------------------------


def test_odd_videos_are_scored(aulight: Command, real: Path, tmp_path: Path) -> None:
    """One frame, nobody, a phone held upright, frames at uneven times, pictures of several sizes."""
    frames = [frame.image for frame in raw_frames(real / "first.mp4")]
    given, out = tmp_path / "given", tmp_path / "out"
    (given / "pictures").mkdir(parents=True)
    _encode(given / "one.mp4", frames[:1])
    _encode(given / "nobody.mp4", [np.full_like(frame, 90) for frame in frames[:6]])
    _encode(given / "upright.mp4", [np.rot90(frame) for frame in frames], turned=-90)
    times = np.cumsum(np.random.default_rng(0).integers(20, 90, len(frames))).tolist()
    _encode(given / "uneven.mp4", frames, times_ms=times)
    for number, scale in enumerate((1.0, 1.0, 1.3)):
        picture = cv2.resize(frames[number], None, fx=scale, fy=scale)
        assert cv2.imwrite(str(given / "pictures" / f"{number:04d}.png"), picture[..., ::-1])
    settings = ["overlay=true", "plot=true", "fps=10", "pictures=film", "workers=1"]
    outcome = aulight("predict", "model=table", f"input={given}", f"output={out}", *settings)
    assert outcome.status == 0, outcome.err
    assert "57 frames, 6 of them" not in outcome.out
    assert f"{out}: 5 videos, 58 frames, 6 of them (10.3%) without a face" in outcome.out
    tables = {name: pd.read_csv(out / f"{name}.csv") for name in ("one", "nobody", "upright", "uneven", "pictures")}
    assert {name: len(table) for name, table in tables.items()} == {
        "one": 1, "nobody": 6, "upright": 24, "uneven": 24, "pictures": 3,
    }  # fmt: skip
    nobody = tables.pop("nobody")
    assert (nobody[["success", "confidence", "face_id"]] == 0).all(axis=None)
    assert nobody[UNTRAINED].isna().all(axis=None)
    for name, table in tables.items():
        assert (table["success"] == 1).all(), name
        assert table["AU12_r"].min() > 3, name
    np.testing.assert_allclose(tables["uneven"]["timestamp"], (np.array(times) - times[0]) / 1000, atol=1e-6)
    assert tables["pictures"]["timestamp"].tolist() == [0.0, 0.1, 0.2]
    straight = np.stack([frame.image for frame in raw_frames(out / "upright.overlay.mp4")])
    assert straight.shape[1:3] == next(raw_frames(out / "uneven.overlay.mp4")).image.shape[:2]
    assert {Path(file).suffix for file in _files(out)} == {".csv", ".json", ".mp4", ".png"}


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["input={tmp}/missing.mp4"], ["missing.mp4", "no such video or folder"]),
        (["input={tmp}/empty.mp4"], ["empty.mp4: the file is empty"]),
        (["input={tmp}/text.mp4"], ["text.mp4: not a readable video"]),
        (["input={tmp}/sound.mp4"], ["sound.mp4: has no pictures"]),
        (["input={tmp}/nothing"], ["nothing: no videos, nor pictures, in it"]),
        (["input={tmp}", "output={tmp}"], ["output=", "the folder of the videos"]),
        (["input={tmp}/text.mp4", "output={tmp}/text.mp4"], ["output=", "not a folder"]),
        (["input={face}", "output={tmp}/text.mp4/below"], ["text.mp4/below", "Not a directory"]),
        (["model={stage_one}"], ["a run of stage one"]),
        (["model={tmp}/nothing"], ["not a run directory"]),
        (["coverage=1.5"], ["coverage=1.5", "0.5 to 0.99"]),
        (["device=gpu"], ["device=gpu", "cuda:1"]),
        (["output=/proc/nowhere"], ["output=/proc/nowhere", "cannot be made"]),
        (["model={run}", "explain=99"], ["explain=99", "12"]),
        (["model={run}", "explain=true"], ["explain=True"]),
        (["model={run}", "faces.all=true"], ["faces.all=true", "faces=mediapipe"]),
        (["model={run}", "device=toaster"], ["device=toaster"]),
        (["explain=12", "model=table"], ["explain=12", "model=table"]),
        (["explain=45"], ["explain=45", "does not know this AU"]),
        (["baseline=rest"], ["baseline=rest", "model=table"]),
        (["faces=none", "model=table"], ["faces=none", "model=table"]),
        (["faces=nope"], ["faces/nope", "mediapipe"]),
        (["faces.landmarker=/nowhere"], ["/nowhere: no such face model"]),
        (["format=xlsx"], ["format=xlsx", "parquet"]),
        (["precision=16"], ["precision=16", "bf16"]),
        (["workers=0"], ["workers=0"]),
        (["max_frames=5"], ["max_frames=5", "webcam"]),
        (["overlay=maybe"], ["overlay=maybe"]),
        (["modle=x"], ["modle"]),
        (["input=webcam:back"], ["webcam:back", "webcam:0"]),
        (["input=webcam:99"], ["webcam:99: no such camera"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_mistakes(
    arguments: list[str],
    parts: list[str],
    aulight: Command,
    finetuned: Path,
    pretrained: Path,
    real: Path,
    tmp_path: Path,
) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video at all")
    _sound(tmp_path / "sound.mp4")
    (tmp_path / "nothing").mkdir()
    before = _files(tmp_path)
    face = f"{real}/first.mp4"
    places = {"{tmp}": tmp_path, "{run}": finetuned, "{stage_one}": pretrained, "{face}": face}
    for key, place in places.items():
        arguments = [argument.replace(key, str(place)) for argument in arguments]
    common = [f"input={face}", f"output={tmp_path}/out"]
    common = [old for old in common if old.partition("=")[0] not in {new.partition("=")[0] for new in arguments}]
    outcome = aulight("predict", *common, *arguments)
    assert outcome.status == 2, outcome.err
    line = outcome.err.splitlines()[-1]
    assert line.startswith("aulight: ")
    for part in parts:
        assert part in line
    assert "Traceback" not in outcome.err
    assert _files(tmp_path) == before


def test_a_video_that_grows_while_it_is_read_ends_no_batch(
    aulight: Command, real: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One that is still being recorded: its second reading has a frame more than the first."""
    given, output, readings = tmp_path / "given", tmp_path / "out", list[str]()
    given.mkdir()
    for name in ("grows", "stays"):
        shutil.copyfile(real / "first.mp4", given / f"{name}.mp4")

    def reading(path: Path, *how: Any) -> Iterator[Any]:
        frames = list(raw_frames(path, *how))
        readings.append(path.stem)
        yield from frames if path.stem == "stays" or readings.count("grows") == 2 else frames[:-1]

    monkeypatch.setattr(predictor, "raw_frames", reading)
    outcome = aulight("predict", "model=table", f"input={given}", f"output={output}", "workers=1")
    assert outcome.status == 1
    assert f"{given}/grows.mp4: the video has become longer while it was read" in outcome.err
    assert len(pd.read_csv(output / "stays.csv")) == 24
    assert len(pd.read_csv(output / "grows.csv.partial")) >= 15
    summary = pd.read_csv(output / "summary.csv").set_index("video")["problem"]
    assert "has become longer" in summary["grows"]
    assert pd.isna(summary["stays"])


# ---- a webcam ---------------------------------------------------------------------------------------------------


class Camera:
    """One that sees a real face again and again, and to which something happens at a picture."""

    def __init__(self, film: Path, at: int = 0, happens: Callable[[], bool] = lambda: True) -> None:
        self.seen = itertools.cycle([frame.image[..., ::-1] for frame in raw_frames(film)])
        self.left, self.happens = at, happens

    def get(self, _: int) -> float:
        return 25.0

    def release(self) -> None:
        pass

    def read(self) -> tuple[bool, Any]:
        self.left -= 1
        there = self.happens() if self.left == 0 else True
        return (True, np.ascontiguousarray(next(self.seen))) if there else (False, None)


@pytest.fixture
def camera(real: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A video file in the camera's place."""
    camera = cv2.VideoCapture(str(real / "first.mp4"))
    monkeypatch.setattr(webcam, "open_camera", lambda number: camera)
    return camera


def test_a_webcam_without_a_display(
    aulight: Command, camera: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = signal.getsignal(signal.SIGINT)  # a shell's background jobs are started deaf to it
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    command = ["predict", "model=table", "input=webcam:0", f"output={tmp_path}", "max_frames=12", "overlay=true"]
    outcome = aulight(*command, "summary=true", "workers=3", "fps=7", "device=cuda")
    assert outcome.status == 0, outcome.err
    assert "no display" in outcome.out
    assert f"all videos on one page: {tmp_path / 'index.html'}" in outcome.out
    assert pd.read_csv(tmp_path / "summary.csv")["video"].str.startswith("webcam0-").tolist() == [True]
    for useless in ("workers=3 changes nothing", "fps=7 is for pictures", "device=cuda changes nothing"):
        assert outcome.out.count(f"  note: {useless}") == 1
    (table,), (film,) = tmp_path.glob("webcam0-*[0-9].csv"), tmp_path.glob("webcam0-*.mp4")
    rows = pd.read_csv(table)
    assert rows["frame"].tolist() == list(range(1, 13))
    assert rows["success"].all()
    assert rows["timestamp"].is_monotonic_increasing
    assert len(list(raw_frames(film))) == 12
    assert not camera.isOpened()
    assert signal.getsignal(signal.SIGINT) is before


def test_a_webcam_until_it_is_stopped(
    aulight: Command, real: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By the key Q at the fifth picture; frames that are under way are still written."""
    shown: list[Frames] = []
    monkeypatch.setattr(webcam, "open_camera", lambda number: Camera(real / "first.mp4"))
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "General\n  GUI:                           QT5\n")
    monkeypatch.setattr(cv2, "imshow", lambda name, picture: shown.append(picture))
    monkeypatch.setattr(cv2, "waitKey", lambda wait: ord("q") if len(shown) == 5 else -1)
    assert aulight("predict", "model=table", "input=webcam:0", f"output={tmp_path}").status == 0
    (table,) = tmp_path.glob("webcam0-*[0-9].csv")
    rows = pd.read_csv(table)
    assert 5 <= len(rows) == len(shown) < 100
    assert shown[0].dtype == np.uint8
    assert shown[0].shape[1] > shown[0].shape[0] * 256 / 192, "with bars beside it"


@pytest.fixture
def recorded(
    aulight: Command, real: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., tuple[Any, pd.DataFrame, str]]:
    """Records what such a camera sees: what came of it, the table, and its name."""

    def record(happens: Callable[[], bool]) -> tuple[Any, pd.DataFrame, str]:
        monkeypatch.setattr(webcam, "open_camera", lambda number: Camera(real / "first.mp4", 6, happens))
        monkeypatch.setattr(webcam, "no_window", lambda: "no display")
        outcome = aulight("predict", "model=table", "input=webcam:0", f"output={tmp_path}", "max_frames=200")
        (table,) = (path for path in tmp_path.glob("webcam0-*.csv*") if "events" not in path.name)
        assert not list(tmp_path.glob(".*"))
        return outcome, pd.read_csv(table), table.name.partition(".")[2]

    return record


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_recording_that_is_told_to_end_is_whole(recorded: Callable[..., Any], name: str) -> None:
    """A closed terminal or a batch system does as Ctrl-C; afterwards the signal is what it was."""
    number, asked = getattr(signal, name), list[int]()
    before = signal.signal(number, lambda *_: asked.append(1))

    def happens() -> bool:
        os.kill(os.getpid(), number)
        return True

    try:
        outcome, table, ending = recorded(happens)
        os.kill(os.getpid(), number)
    finally:
        signal.signal(number, before)
    assert (outcome.status, ending, asked) == (0, "csv", [1])
    assert 5 <= len(table) < 200


def test_a_recording_under_nohup_goes_on(recorded: Callable[..., Any]) -> None:
    """Which has the end of the terminal ignored before the command begins."""

    def happens() -> bool:
        os.kill(os.getpid(), signal.SIGHUP)
        return True

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        outcome, table, ending = recorded(happens)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert (outcome.status, ending, len(table)) == (0, "csv", 200)


def test_a_recording_whose_camera_is_unplugged_says_so(recorded: Callable[..., Any], tmp_path: Path) -> None:
    outcome, table, ending = recorded(lambda: False)
    assert (outcome.status, ending) == (1, "csv.partial")
    assert "the camera gave no more pictures after" in outcome.err
    assert table["frame"].tolist() == [1, 2, 3, 4, 5]
    (note,) = tmp_path.glob("webcam0-*.json")
    assert "no more pictures" in _note(note)["problem"]


def test_a_recording_goes_as_far_as_the_network_has_memory(recorded: Callable[..., Any]) -> None:
    def full() -> bool:
        raise RuntimeError("CUDA error: out of memory")

    outcome, table, ending = recorded(full)
    assert ending == "csv.partial"
    assert "out of memory" in outcome.err
    assert table["frame"].tolist() == [1, 2, 3, 4, 5]


def test_a_recording_is_kept_where_its_disk_is_full(
    recorded: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the third flush of the table, of which a part is written; nothing that is made of it can be written either."""
    append, flushes = pd.DataFrame.to_csv, iter(range(99))
    monkeypatch.setattr("aulight.prediction.writing.FLUSHED", 2)

    def full(table: pd.DataFrame, file: Any, **how: Any) -> None:
        if how.get("mode") != "a" or next(flushes) < 2:
            append(table, file, **how)
            return
        with Path(file).open("a") as opened:
            opened.write("5,0,0.1")
        raise OSError(errno.ENOSPC, "No space left on device", str(file))

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    outcome, table, ending = recorded(lambda: True)
    assert (outcome.status, ending) == (2, "csv.partial")
    assert "No space left on device" in outcome.err
    assert "kept of what was recorded" in outcome.err
    assert table["frame"].tolist() == [1, 2, 3, 4]


def test_a_webcam_with_an_opencv_that_has_no_windows(
    aulight: Command, camera: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Not the display's fault; the oracle is what the headless package says of itself."""
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "General\n  GUI:                           NONE\n")
    monkeypatch.setattr(cv2, "imshow", None)
    outcome = aulight("predict", "model=table", "input=webcam:0", f"output={tmp_path}", "max_frames=3")
    assert outcome.status == 0, outcome.err
    assert "without a window: this OpenCV has no windows" in outcome.out
    assert "pip install --no-deps opencv-python" in outcome.out
    assert "display" not in outcome.out


# ---- as many processes as there is room for ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("videos", "workers", "usable", "on_gpu", "expected"),
    [
        (100, None, 8, False, 8),
        (3, None, 8, False, 3),
        (100, None, 64, True, PER_GPU),
        (100, None, 4, True, 2),
        (100, None, 1, True, 1),
        (2, None, 64, True, 2),
        (100, 6, 64, True, 6),
        (100, 6, 2, False, 6),
        (0, None, 8, True, 0),
    ],
)
def test_processes(videos: int, workers: int | None, usable: int, on_gpu: bool, expected: int) -> None:
    """By hand: one for each CPU, on a GPU few and with two CPUs each, and what was asked for goes before."""
    assert processes_for(videos, workers, usable, on_gpu) == expected
    if on_gpu and workers is None and usable > 1:
        assert expected < usable, "never a CUDA process for every CPU"


# ---- in constant memory -----------------------------------------------------------------------------------------


def test_no_stage_is_far_ahead_of_the_next(finetuned: Path, smoke_videos: Path) -> None:
    """Frames that are under way, however slow the last stage is."""
    with composed("predict", [f"model={finetuned}", "input=x"]) as config:
        settings = settings_from("predict", config)
    assert isinstance(settings, PredictSettings)
    pipeline = Pipeline(settings)
    one = next(raw_frames(next(smoke_videos.glob("*.mp4"))))
    made = 0

    def many() -> Iterator[Any]:
        nonlocal made
        for _ in range(400):
            made += 1
            yield one

    most = 0
    for taken, _ in enumerate(pipeline.scored(many, Clock()), 1):
        if taken in (100, 200):
            time.sleep(0.5)  # the stages before run as far ahead as they can
        most = max(most, made - taken)
    assert made == 400
    assert most <= 2 * estimator.CHUNK + 16


# ---- photos -----------------------------------------------------------------------------------------------------


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Five of a real face, of any size and place; one of nobody, and one that is cut off."""
    folder = tmp_path / "album"
    folder.mkdir()
    for number, (scale, side) in enumerate(((1.0, 400), (0.6, 300), (1.4, 640), (0.8, 320), (1.0, 500))):
        matrix = np.array([[scale, 0, side / 2 - scale * (222 + 20 * number)], [0, scale, side / 2 - scale * 116]])
        picture = cv2.warpAffine(ASTRONAUT, matrix, (side, side + 40 * number))
        assert cv2.imwrite(str(folder / f"anna {11 - number}.jpg"), picture[..., ::-1])
    assert cv2.imwrite(str(folder / "wall.png"), np.full((200, 300, 3), 90, np.uint8))
    (folder / "torn.jpg").write_bytes((folder / "anna 9.jpg").read_bytes()[:900])
    return folder


def test_photos_are_scored_one_by_one_with_their_names(aulight: Command, photos: Path, tmp_path: Path) -> None:
    """The oracle for each is the same photo alone; again they are done."""
    whole = [*(f"anna {number}.jpg" for number in range(7, 12)), "wall.png"]
    command = ["predict", "model=table", f"input={photos}", f"output={tmp_path}/out", "overlay=true", "plot=true"]
    outcome = aulight(*command)
    assert outcome.status == 1
    assert "torn.jpg" in outcome.err.splitlines()[-1]
    assert f"its 6 other photos are in {tmp_path}/out/album.csv.partial" in outcome.err
    (photos / "torn.jpg").unlink()
    outcome = aulight(*command)
    assert outcome.status == 0, outcome.err
    assert f"{tmp_path}/out/album.csv, 6 frames, 1 of them (16.7%) without a face\n" in outcome.out
    assert "taken for photos, each on its own: the pictures of album; else pictures=film" in outcome.out
    assert _files(tmp_path / "out") == [f"album.{end}" for end in ("csv", "json", "overlay.mp4", "png")]
    assert "1 done before" in aulight(*command).out
    table = pd.read_csv(tmp_path / "out" / "album.csv")
    assert list(table.columns) == ["file", *KEYS, *BESIDE, *UNTRAINED]
    assert table["file"].tolist() == whole
    assert table["frame"].tolist() == [1, 2, 3, 4, 5, 6]
    assert table["success"].tolist() == [1, 1, 1, 1, 1, 0]
    assert _note(tmp_path / "out" / "album.json")["settings"]["pictures"] == "photos"
    assert aulight("predict", "model=table", f"input={photos}/anna 8.jpg", f"output={tmp_path}/one").status == 0
    alone = pd.read_csv(tmp_path / "one" / "anna 8.csv")
    assert alone["file"].tolist() == ["anna 8.jpg"]
    np.testing.assert_allclose(alone[UNTRAINED], table[UNTRAINED].iloc[[1]], atol=1e-5)
    outcome = aulight(*command, "pictures=film", "format=parquet")
    assert outcome.status == 0, outcome.err
    assert "file" not in pd.read_parquet(tmp_path / "out" / "album.parquet")


def test_a_model_knows_nothing_of_one_photo_in_the_next(
    aulight: Command, photos: Path, finetuned: Path, tmp_path: Path
) -> None:
    (photos / "torn.jpg").unlink()
    known = load(finetuned)

    def largest(table: pd.DataFrame) -> pd.DataFrame:  # a badge on the suit looks like a small face
        return table[table["face_id"] == 0].reset_index(drop=True)

    for settings in ({"faces": "mediapipe"}, {"faces": "none"}, {"faces": "mediapipe", "all": True}):
        table = largest(known.predict(photos, **settings))
        assert table["file"].tolist() == [f"anna {n}.jpg" for n in range(7, 12)] + ["wall.png"]
        for row in (1, 4):
            alone = largest(known.predict(photos / table["file"][row], **settings))
            np.testing.assert_allclose(
                alone.drop(columns=["file", "frame"]).to_numpy(float),
                table.drop(columns=["file", "frame"]).iloc[[row]].to_numpy(float),
                atol=1e-4,
            )
    command = ["predict", f"model={finetuned}", "faces=mediapipe", f"input={photos}", f"output={tmp_path}/out"]
    assert aulight(*command, "format=parquet").status == 0
    written = pd.read_parquet(tmp_path / "out" / "album.parquet")
    expected = known.predict(photos, faces="mediapipe", coverage=0.9)
    pd.testing.assert_frame_equal(written, expected, check_dtype=False, atol=1e-4)


# ---- whom to follow ---------------------------------------------------------------------------------------------


def test_faces_that_are_not_followed_are_counted_and_told(aulight: Command, tmp_path: Path) -> None:
    """A title card, a face, a zoom to it; then two beside each other, and one who may be either."""
    frames = [frame.image for frame in couple(0, range(0), 30)]
    card, lone = np.zeros_like(frames[0]), np.zeros_like(frames[0])
    cv2.putText(card, "TITLE", (60, 200), cv2.FONT_HERSHEY_DUPLEX, 4, (255, 255, 255), 6)
    painted(lone, placed(2.2, 0.0, (320, 170)))
    half = [np.where(np.arange(640)[:, None] < 320, frame, 0).astype(np.uint8) for frame in frames]
    zoomed = [np.asarray(cv2.resize(frame[40:220, :320], (640, 360)), np.uint8) for frame in frames]
    _encode(tmp_path / "one.mp4", [card] * 10 + half + zoomed[:20])
    _encode(tmp_path / "two.mp4", [card] * 10 + frames + [lone] * 10)
    outcome = aulight("predict", "model=table", f"input={tmp_path}/one.mp4", f"output={tmp_path}/out")
    assert f"{tmp_path}/out/one.csv, 60 frames, 10 of them (16.7%) without a face\n" in outcome.out
    assert "note: once a face elsewhere was taken for the one who is followed" in outcome.out
    note = _note(tmp_path / "out" / "one.json")
    counts = [note[key] for key in ("frames", "frames_with_a_face", "frames_not_followed", "faces_elsewhere")]
    assert counts == [60, 50, 0, 1]
    for again in ("", "; 1 done before"):
        outcome = aulight("predict", "model=table", f"input={tmp_path}/two.mp4", f"output={tmp_path}/out")
        assert f"{tmp_path}/out/two.csv, 50 frames, 10 of them (20.0%) without a face{again}\n" in outcome.out
        told = "10 frames show faces, but not of the one who is followed; faces.all=true gives everybody"
        assert f"  note: {told}\n" in outcome.out
        note = _note(tmp_path / "out" / "two.json")
        counts = [note[key] for key in ("frames", "frames_with_a_face", "frames_not_followed", "faces_elsewhere")]
        assert counts == [50, 30, 10, 0]
