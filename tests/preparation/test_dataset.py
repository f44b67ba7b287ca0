"""`aulight prepare` on real files: every frame, its time and its labels, and what happens when something is wrong."""

import hashlib
import io
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import yaml

from aulight.cli.commands.prepare import prepare
from aulight.data.clips import LabelledClips, UnlabelledClips, timelines
from aulight.data.loaders import ContrastiveData
from aulight.data.store import PreparedDataset
from aulight.data.video.prepared import open_video
from aulight.data.video.write import write_video
from aulight.preparation.dataset import prepare_dataset
from aulight.preparation.recipe import Recipe
from aulight.settings.augment import AugmentSettings
from aulight.settings.prepare import PrepareSettings
from aulight.settings.training import ClipSettings
from aulight.workers.hiring import Workers
from tests.data.faces.astronaut import couple, painted, placed
from tests.data.formats import MARK, mark, members, segments

Command = Callable[..., Any]
Frames = npt.NDArray[np.uint8]
LENGTHS = (40, 25, 33)


@pytest.fixture
def raw(tmp_path: Path, coded: Callable[..., Iterator[Frames]]) -> Path:
    """Three videos whose pictures say which frame of which video they are."""
    folder = tmp_path / "raw"
    (folder / "day two").mkdir(parents=True)
    for video, (name, count) in enumerate(zip(("a.mp4", "b.mp4", "day two/c.mp4"), LENGTHS, strict=True)):
        write_video(folder / name, coded(video, count), 25)
    return folder


@pytest.fixture
def plain(raw: Path, tmp_path: Path) -> list[str]:
    """Prepares them without looking for faces."""
    return [
        "prepare",
        f"data.source={raw}",
        f"data.root={tmp_path / 'data'}",
        "data.faces=none",
        "crop_size=64",
        "workers=1",
    ]


IDS = ["a", "b", "day_two__c"]


def _codes(data: PreparedDataset, decode: Callable[[Frames], list[tuple[int, int]]]) -> dict[str, Any]:
    return {
        video: decode(open_video(data.file(row)).read(range(count)))
        for row, (video, count) in enumerate(zip(data.videos["video_id"], data.videos["frames"], strict=True))
    }


def _refused(outcome: Any, *parts: str) -> None:
    lines = outcome.err.splitlines()
    assert outcome.status == 2, outcome.err
    assert lines[-1].startswith("aulight: "), outcome.err
    for part in parts:
        assert part in lines[-1]


def test_every_frame_is_there_with_its_number_and_time(
    aulight: Command, plain: list[str], raw: Path, tmp_path: Path, decode: Callable[[Frames], list[tuple[int, int]]]
) -> None:
    outcome = aulight(*plain)
    assert outcome.status == 0, outcome.err
    assert "3 videos of 3 subjects, 98 frames, 0 of them (0.0%) without a face, 0 labelled" in outcome.out
    data = PreparedDataset(tmp_path / "data")
    assert list(data.videos["video_id"]) == IDS
    assert list(data.videos["subject"]) == IDS
    assert _codes(data, decode) == {
        name: [(video, frame) for frame in range(count)]
        for video, (name, count) in enumerate(zip(IDS, LENGTHS, strict=True))
    }
    for _, frames in data.frames.groupby("video_id"):
        assert list(frames["source_frame"]) == list(range(len(frames)))
        np.testing.assert_allclose(frames["time_s"], np.arange(len(frames)) / 25, atol=1e-6)
    sources = [raw / f"{name}.mp4" for name in ("a", "b", "day two/c")]
    assert list(data.videos["source_sha256"]) == [hashlib.sha256(path.read_bytes()).hexdigest() for path in sources]
    assert list(data.videos["source_size"]) == [path.stat().st_size for path in sources]
    assert list(data.videos["source_mtime_ns"]) == [path.stat().st_mtime_ns for path in sources]
    assert (data.meta["name"], data.meta["crop_size"], data.fps, data.aus) == ("folder", 64, 25.0, ())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "raw"]
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == [
        "dataset.yaml", "frames.parquet", "index.parquet", "runs.parquet", "shards", "videos.parquet",
    ]  # fmt: skip


def test_number_of_processes_changes_nothing(aulight: Command, plain: list[str], tmp_path: Path) -> None:
    assert aulight(*plain).status == 0
    assert aulight(*plain, "workers=2", f"data.root={tmp_path / 'other'}").status == 0
    one, other = PreparedDataset(tmp_path / "data"), PreparedDataset(tmp_path / "other")
    assert one.fingerprint == other.fingerprint
    for name in ("index.parquet", "runs.parquet", "shards/000000.tar"):
        assert (one.root / name).read_bytes() == (other.root / name).read_bytes()


def test_an_unreadable_video_is_passed_over_and_named(
    aulight: Command, plain: list[str], raw: Path, tmp_path: Path
) -> None:
    (raw / "b.mp4").write_bytes(b"not a video")
    outcome = aulight(*plain)
    assert outcome.status == 0, outcome.err
    assert "2 videos of 2 subjects, 73 frames" in outcome.out
    assert re.search(r"not used: .*b\.mp4", outcome.out)
    data = PreparedDataset(tmp_path / "data")
    assert list(data.videos["video_id"]) == ["a", "day_two__c"]
    assert list(data.meta["skipped"]) == ["b"]
    assert list(members(data.root)) == ["a/00000.mp4", "day_two__c/00000.mp4"]


def test_a_video_cut_off_in_the_middle_is_not_taken_for_whole(
    aulight: Command, plain: list[str], raw: Path, tmp_path: Path
) -> None:
    whole = (raw / "a.mp4").read_bytes()
    (raw / "a.mp4").write_bytes(whole[: len(whole) // 2])
    outcome = aulight(*plain)
    assert outcome.status == 0, outcome.err
    assert list(PreparedDataset(tmp_path / "data").videos["video_id"]) == ["b", "day_two__c"]


def test_on_error_raise_stops_and_the_same_command_goes_on(
    aulight: Command, plain: list[str], raw: Path, tmp_path: Path
) -> None:
    good = (raw / "b.mp4").read_bytes()  # the shortest, so the last
    (raw / "b.mp4").write_bytes(b"")
    _refused(aulight(*plain, "on_error=raise"), "b.mp4")
    assert not (tmp_path / "data").exists()
    partial = tmp_path / ".data.partial" / "videos"
    assert {path.name for path in partial.iterdir()} == {"a.mp4", "day_two__c.mp4"}
    mark(partial / "day_two__c.mp4")
    (raw / "b.mp4").write_bytes(good)
    assert aulight(*plain, "on_error=raise").status == 0
    data = PreparedDataset(tmp_path / "data")
    assert list(data.videos["video_id"]) == IDS
    assert [segments(data, row)[0].endswith(MARK) for row in range(3)] == [False, False, True], "not made again"


def test_what_was_begun_is_not_continued_with_other_settings(
    aulight: Command, plain: list[str], raw: Path, tmp_path: Path
) -> None:
    (raw / "b.mp4").write_bytes(b"")
    assert aulight(*plain, "on_error=raise").status == 2
    _refused(aulight(*plain, "crop_size=96"), "crop_size was 64, is 96", "another data.name=")


def test_nothing_readable(aulight: Command, plain: list[str], raw: Path, tmp_path: Path) -> None:
    for path in raw.rglob("*.mp4"):
        path.write_bytes(b"")
    _refused(aulight(*plain), "none of its 3 videos could be read")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_cut_off_anywhere_it_goes_on_and_ends_the_same(
    plain: list[str], raw: Path, tmp_path: Path, aulight: Command, coded: Callable[..., Iterator[Frames]], end: Any
) -> None:
    for video in range(3, 9):
        write_video(raw / f"v{video}.mp4", coded(video, 700), 25)
    partial = tmp_path / ".data.partial" / "parts"
    command = [sys.executable, "-m", "aulight", *plain]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while len(list(partial.glob("*.parquet")) if partial.is_dir() else []) < 2:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(end)
    _, err = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "Traceback" not in err
    assert not (tmp_path / "data").exists()
    before = {path.stem: path.stat().st_mtime_ns for path in partial.glob("*.parquet")}
    assert 2 <= len(before) < 9
    for name in before:
        mark(partial.parent / "videos" / f"{name}.mp4")
    assert aulight(*plain).status == 0
    data = PreparedDataset(tmp_path / "data")
    assert len(data.videos) == 9
    marked = {name for row, name in enumerate(data.videos["video_id"]) if segments(data, row)[0].endswith(MARK)}
    assert marked == set(before), "not made again"
    assert aulight(*plain, f"data.root={tmp_path / 'other'}").status == 0
    assert PreparedDataset(tmp_path / "other").fingerprint == data.fingerprint


def test_frame_folders_with_gaps_give_clips_that_do_not_cross_them(
    aulight: Command, tmp_path: Path, coded: Callable[..., Iterator[Frames]], decode: Any
) -> None:
    folder = tmp_path / "raw" / "clip"
    folder.mkdir(parents=True)
    numbers = [*range(7, 27), *range(40, 60)]
    for frame, picture in enumerate(coded(1, 60)):
        if frame in numbers:
            cv2.imwrite(str(folder / f"{frame}.png"), picture)
    where = [f"data.source={tmp_path / 'raw'}", f"data.root={tmp_path / 'data'}"]
    outcome = aulight("prepare", *where, "data.reader.fps=25", "data.faces=none", "crop_size=64", "workers=1")
    assert outcome.status == 0, outcome.err
    data = PreparedDataset(tmp_path / "data")
    assert list(data.frames["source_frame"]) == numbers
    assert _codes(data, decode) == {"clip": [(1, number) for number in numbers]}
    assert data.segments[["start", "stop"]].to_numpy().tolist() == [[0, 20], [20, 40]]
    clips = UnlabelledClips(data.segments, 8, (1, 1), 50, 0)
    for index in range(50):
        frames = clips(0, index).frames
        assert np.ptp(np.array(numbers)[frames]) == 7


def test_every_second_picture_of_a_film_is_a_film_for_both_stages(
    aulight: Command, tmp_path: Path, coded: Callable[..., Iterator[Frames]]
) -> None:
    """Labelled by the numbers of the pictures, and with a gap after the first third."""
    folder = tmp_path / "raw" / "clip"
    folder.mkdir(parents=True)
    numbers = [*range(0, 40, 2), *range(60, 140, 2)]
    for frame, picture in enumerate(coded(1, 140)):
        if frame in numbers:
            cv2.imwrite(str(folder / f"{frame}.png"), picture)
    labels = pd.DataFrame({"video": "clip", "frame": [38, 60, 138], "AU12": [1, 2, 3]})
    labels.to_csv(tmp_path / "labels.csv", index=False)
    where = [f"data.source={tmp_path / 'raw'}", f"data.root={tmp_path / 'data'}", f"labels={tmp_path / 'labels.csv'}"]
    outcome = aulight("prepare", *where, "data.reader.fps=30", "data.faces=none", "crop_size=64", "workers=1")
    assert outcome.status == 0, outcome.err
    data = PreparedDataset(tmp_path / "data")
    assert (data.fps, data.videos["fps"].tolist()) == (15, [15])
    assert data.segments.to_numpy().tolist() == [[0, 0, 20], [0, 20, 60]]
    ones = UnlabelledClips(data.segments, 8, (1, 1), 50, 0)
    for index in range(50):
        assert set(np.diff(np.array(numbers)[ones(0, index).frames])) == {2}
    drawn = data.labels.assign(video=0)
    shown = timelines(data.frames, data.elsewhere)[str(data.videos["video_id"].iat[0])]
    twos = LabelledClips(drawn, data.columns, {0: shown}, 8, (1, 1), data.fps, 3, 0)
    found = {int(clip.frames[-1]): np.array(numbers)[clip.frames].tolist() for clip in (twos(0, i) for i in range(3))}
    assert found == {19: [*range(24, 40, 2)], 20: [60] * 8, 59: [*range(124, 140, 2)]}


def test_labels_and_subjects_of_a_finished_dataset_can_be_replaced(
    aulight: Command, plain: list[str], raw: Path, tmp_path: Path
) -> None:
    assert aulight(*plain).status == 0
    shards = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "data" / "shards").iterdir()}
    rows = [("a", 3, 1, 0), ("a", 4, 2, 5), ("day two/c.mp4", 32, None, 4)]
    pd.DataFrame(rows, columns=["video", "frame", "AU06", "AU12"]).astype({"AU06": "Int8"}).to_csv(
        tmp_path / "labels.csv", index=False
    )
    (tmp_path / "subjects.csv").write_text("video,subject\na,Ann\nb,Ann\nday two/c.mp4,Ben\n")
    tables = [f"{name}={tmp_path / name}.csv" for name in ("labels", "subjects")]
    outcome = aulight(*plain, *tables)
    assert outcome.status == 0, outcome.err
    assert "3 labelled" in outcome.out
    data = PreparedDataset(tmp_path / "data")
    assert data.aus == (6, 12)
    assert list(data.videos["subject"]) == ["Ann", "Ann", "Ben"]
    expected = pd.DataFrame(
        {
            "video_id": ["a", "a", "day_two__c"],
            "frame": [3, 4, 32],
            "AU06": pd.array([1, 2, None], "Int8"),
            "AU12": pd.array([0, 5, 4], "Int8"),
        }
    )
    pd.testing.assert_frame_equal(data.labels, expected, check_dtype=False)
    assert {path.name: path.stat().st_mtime_ns for path in (data.root / "shards").iterdir()} == shards
    # the same at once, in a new place
    outcome = aulight(*plain, *tables, f"data.root={tmp_path / 'other'}")
    assert outcome.status == 0, outcome.err
    other = PreparedDataset(tmp_path / "other")
    assert other.fingerprint == data.fingerprint
    # what was given is not forgotten
    outcome = aulight(*plain)
    assert outcome.status == 0, outcome.err
    assert f"labels=['{tmp_path / 'labels.csv'}'], as before" in outcome.out
    assert "2 subjects" in outcome.out
    assert PreparedDataset(tmp_path / "data").fingerprint == data.fingerprint
    # a second table adds to the first
    (tmp_path / "more.csv").write_text("video,frame,AU06\nb,7,3\n")
    outcome = aulight(*plain, f"labels=[{tmp_path / 'labels.csv'},{tmp_path / 'more.csv'}]")
    assert "4 labelled" in outcome.out, outcome.err


def test_new_videos_are_added_to_a_finished_dataset(
    aulight: Command, plain: list[str], raw: Path, tmp_path: Path, coded: Callable[..., Iterator[Frames]]
) -> None:
    (raw / "broken.mp4").write_bytes(b"")
    assert aulight(*plain).status == 0
    made = (tmp_path / "data" / "shards" / "000000.tar").stat().st_mtime_ns
    write_video(raw / "new.mp4", coded(3, 20), 25)
    write_video(raw / "broken.mp4", coded(4, 20), 25)
    outcome = aulight(*plain)
    assert outcome.status == 0, outcome.err
    assert "5 videos of 5 subjects, 138 frames" in outcome.out
    data = PreparedDataset(tmp_path / "data")
    assert (data.root / "shards" / "000000.tar").stat().st_mtime_ns == made
    assert {path.name for path in (data.root / "shards").iterdir()} == {"000000.tar", "000001.tar"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "raw"]
    assert aulight(*plain, f"data.root={tmp_path / 'other'}").status == 0
    assert PreparedDataset(tmp_path / "other").fingerprint == data.fingerprint


def test_a_video_that_was_mended_is_tried_again(aulight: Command, plain: list[str], raw: Path, tmp_path: Path) -> None:
    good = (raw / "b.mp4").read_bytes()
    (raw / "b.mp4").write_bytes(b"")
    assert aulight(*plain).status == 0
    outcome = aulight(*plain)
    assert "was prepared already" in outcome.out
    assert "not used" in outcome.out
    (raw / "b.mp4").write_bytes(good)
    assert "3 videos of 3 subjects, 98 frames" in aulight(*plain).out
    assert PreparedDataset(tmp_path / "data").meta["skipped"] == {}


def test_blendshapes_stay_when_videos_are_added(aulight: Command, folder_tree: Any, tmp_path: Path) -> None:
    raw = folder_tree(tmp_path / "raw", frames=8)
    where = ["prepare", f"data.source={raw}", f"data.root={tmp_path / 'data'}", "workers=1"]
    assert aulight(*where).status == 0
    before = PreparedDataset(tmp_path / "data").blendshapes
    shutil.copy(raw / "first.mp4", raw / "zzz.mp4")
    assert aulight(*where).status == 0
    after = PreparedDataset(tmp_path / "data").blendshapes
    pd.testing.assert_frame_equal(after[after["video_id"] != "zzz"].reset_index(drop=True), before)
    assert len(after) == len(before) + 8


def test_the_three_steps_as_readme_has_them(
    aulight: Command, raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings of the first step are not typed again in the third."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "subjects.csv").write_text("video,subject\na,Ann\nb,Ann\nday two/c.mp4,Ben\n")
    step = ["prepare", "data.name=mine", "data.source=raw", "workers=1"]
    first = aulight(*step, "subjects=subjects.csv", "data.faces=none", "crop_size=96", "data.reader.fps=10")
    assert first.status == 0, first.err
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "data" / "mine" / "shards").iterdir()}
    assert aulight("sample", "data.name=mine", "label_count=3", "aus=[1,12]", "output=to_label").status == 0
    table = pd.read_csv(tmp_path / "to_label" / "to_label.csv").assign(AU01=1, AU12=3)
    table.to_csv(tmp_path / "to_label" / "to_label.csv", index=False)
    third = aulight(*step, "labels=to_label/to_label.csv")
    assert third.status == 0, third.err
    for line in ("crop_size=96", "data.faces=none", "data.reader.fps=10.0", f"subjects={tmp_path / 'subjects.csv'}"):
        assert f"data/mine: {line}, as before" in third.out
    assert "3 videos of 2 subjects" in third.out
    assert "3 labelled" in third.out
    assert {path: path.stat().st_mtime_ns for path in before} == before
    _refused(
        aulight(*step, "crop_size=128"),
        "data/mine: made with other settings (crop_size was 96, is 128)",
        "another data.name= for a dataset of its own",
    )
    one = table.assign(AU01=["1", "1", ""])
    one.to_csv(tmp_path / "round2.csv", index=False)
    _refused(
        aulight(*step, "labels=round2.csv"),
        "of 3 labelled frames in data/mine 1 would lose labels; give all tables (labels=[first.csv,second.csv]), or ",
        "add labels_replace=true",
    )
    assert aulight(*step, "labels=round2.csv", "labels_replace=true").status == 0
    assert PreparedDataset(tmp_path / "data" / "mine").labels["AU01"].isna().sum() == 1


def test_a_finished_dataset_is_not_mixed_with_others(
    aulight: Command, plain: list[str], raw: Path, tmp_path: Path
) -> None:
    assert aulight(*plain).status == 0
    _refused(aulight(*plain, "crop_size=96"), "crop_size was 64, is 96")
    _refused(aulight(*plain, "data.reader.fps=30"), "reader.fps was 25.0, is 30")
    (raw / "b.mp4").unlink()
    _refused(aulight(*plain), "has videos that are not in", "(b)")
    assert len(PreparedDataset(tmp_path / "data").videos) == 3


def test_the_raw_data_may_move(aulight: Command, plain: list[str], raw: Path, tmp_path: Path) -> None:
    assert aulight(*plain).status == 0
    before = PreparedDataset(tmp_path / "data").fingerprint
    raw.rename(tmp_path / "moved")
    outcome = aulight(*plain, f"data.source={tmp_path / 'moved'}")
    assert outcome.status == 0, outcome.err
    assert PreparedDataset(tmp_path / "data").fingerprint == before


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["crop_size=65"], ["crop_size=65", "even"]),
        (["crop_size=72"], ["crop_size=72"]),
        (["on_error=maybe"], ["on_error=maybe"]),
        (["data.faces=yes"], ["data.faces="]),
        (["data.source=null"], ["data.source"]),
        (["data.source=/nowhere"], ["/nowhere"]),
        (["labels=/nowhere.csv"], ["/nowhere.csv"]),
        (["faces.model=/nowhere.task", "data.faces=mediapipe"], ["/nowhere.task"]),
        ([f"faces.model={__file__}", "data.faces=mediapipe"], [f"{__file__}: not a face landmarker"]),
        (["workers=0"], ["workers=0"]),
        (["data.source="], ["data.source"]),
        (["labels=5"], ["/5: no such file"]),
        (["subjects=[a,b]"], ["/[a,b]: no such file"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_mistakes(aulight: Command, plain: list[str], tmp_path: Path, arguments: list[str], parts: list[str]) -> None:
    outcome = aulight(*plain, *arguments)
    _refused(outcome, *parts)
    assert len(outcome.err.splitlines()) == 1
    assert not (tmp_path / "data").exists()


def test_paths_may_hold_any_letters(
    aulight: Command, plain: list[str], raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    raw.rename(tmp_path / "Müller, Zoë's (neu) = 1")
    outcome = aulight(*plain, "data.source=~/Müller, Zoë's (neu) = 1")
    assert outcome.status == 0, outcome.err
    assert len(PreparedDataset(tmp_path / "data").videos) == 3


def test_the_synthetic_dataset_needs_no_preparing(aulight: Command) -> None:
    _refused(aulight("prepare", "data=synthetic"), "data=synthetic", "folder")


def test_a_real_face_from_raw_video_to_clips(aulight: Command, folder_tree: Any, tmp_path: Path) -> None:
    raw = folder_tree(tmp_path / "raw", real=True)
    where = [f"data.source={raw}", f"data.root={tmp_path / 'data'}"]
    outcome = aulight("prepare", *where, "workers=1")
    assert outcome.status == 0, outcome.err
    data = PreparedDataset(tmp_path / "data")
    assert data.meta["crop_size"] == 128
    assert (data.frames["face_confidence"] > 0.9).all()
    clip, plain = ClipSettings(length=8, stride=[1, 2]), AugmentSettings(on="auto", clip=[], frame=[])
    clips = ContrastiveData(data, data.rows(data.videos["subject"].tolist()), clip, plain, 1, 64, 4, 1, 0, 0, "raise")
    (batch,) = clips.train_dataloader()
    assert batch["clips"].shape == (4, 1, 8, 64, 64, 3)
    assert batch["clips"].float().std() > 20
    scores = data.blendshapes
    assert len(scores.columns) == 2 + 52
    faces = data.frames["face_confidence"].to_numpy() > 0
    values = scores.drop(columns=["video_id", "frame"]).to_numpy()
    assert (np.isfinite(values).all(1) == faces).all()
    assert values[faces].min() >= 0
    assert values[faces].max() <= 1
    outcome = aulight("prepare", *where, "workers=1", "faces.blendshapes=false", f"data.root={tmp_path / 'other'}")
    assert outcome.status == 0, outcome.err
    other = PreparedDataset(tmp_path / "other")
    pd.testing.assert_frame_equal(other.frames, data.frames)
    with pytest.raises(Exception, match="no blendshape scores; prepare the raw videos under another"):
        _ = other.blendshapes


def test_an_aligned_store_says_how_it_was_made(aulight: Command, plain: list[str], raw: Path, tmp_path: Path) -> None:
    assert aulight(*plain).status == 0
    described = yaml.safe_load((tmp_path / "data" / "dataset.yaml").read_text())
    assert described["source"]["folder"] == str(raw)
    assert described["source"]["faces"] == "none"
    assert (described["videos"], described["frames"], described["subjects"]) == (3, 98, 3)


def test_from_python_without_a_command_line(
    aulight: Command, plain: list[str], raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By settings, and by what is below them; oracle: what the command line makes."""
    assert aulight(*plain).status == 0
    data = {
        "name": "folder",
        "root": str(tmp_path / "settings"),
        "cache": None,
        "cache_gb": 20.0,
        "on_error": "raise",
        "protocol": {"name": "kfold", "folds": 3, "validation": 0.2, "seed": 0},
        "source": str(raw),
        "faces": "none",
        "synthetic": None,
        "format": "folder",
        "reader": {"fps": 25, "pictures": "auto"},
    }
    settings = {
        "data": data,
        "data_dir": str(tmp_path),
        "labels": None,
        "subjects": None,
        "labels_replace": False,
        "subjects_replace": False,
        "crop_size": 64,
        "gop": 12,
        "faces": {"blendshapes": True, "max_faces": 4, "smooth_s": 0.1, "model": None, "device": "cpu"},
        "on_error": "skip",
        "workers": 1,
        "executor": "local",
        "cluster": {"address": None, "tls_ca_file": None, "tls_cert": None, "tls_key": None, "wait_s": 60},
        "patience_s": 1800,
    }
    prepare(PrepareSettings.model_validate(settings))
    assert "3 videos of 3 subjects, 98 frames" in capsys.readouterr().out
    recipe = Recipe("folder", raw, None, None, {"fps": 25.0, "pictures": "auto"}, 64, None)
    summary = prepare_dataset(tmp_path / "room", "folder", recipe, workers=Workers(1))
    assert (summary.videos, summary.subjects, summary.frames, summary.labelled) == (3, 3, 98, 0)
    assert not summary.was_there
    assert prepare_dataset(tmp_path / "room", "folder", recipe).was_there
    described = [(tmp_path / root / "dataset.yaml").read_text() for root in ("data", "settings", "room")]
    assert described[0] == described[1] == described[2]
    fingerprints = {PreparedDataset(tmp_path / root).fingerprint for root in ("data", "settings", "room")}
    assert len(fingerprints) == 1
    prepare_dataset(tmp_path / "fine", "folder", replace(recipe, gop=1), workers=Workers(1))
    fine = PreparedDataset(tmp_path / "fine")
    assert {fine.fingerprint} == fingerprints, "videos that are coded otherwise are the same dataset"
    assert prepare_dataset(tmp_path / "fine", "folder", recipe).was_there, "and need not be coded anew"
    for row in range(3):
        with av.open(io.BytesIO(segments(fine, row)[0]), "r") as container:
            assert all(packet.is_keyframe for packet in container.demux(video=0) if packet.size)


def test_photos_with_labels_and_a_face_that_is_followed(aulight: Command, tmp_path: Path) -> None:
    """Labelled photos by their names; a film with a title card, a zoom, and one who may be either of two."""
    root, size = tmp_path / "raw", (320, 240)

    def shot(scale: float, x: float) -> Frames:
        image = np.zeros((*size[::-1], 3), np.uint8)
        painted(image, placed(scale, 0.0, (x, 110)))
        return image

    (root / "album").mkdir(parents=True)
    for name, picture in (("anna", shot(0.7, 100)), ("bob", shot(1.6, 160)), ("wall", np.full_like(shot(1, 0), 90))):
        assert cv2.imwrite(str(root / "album" / f"{name}.png"), picture[..., ::-1])
    write_video(root / "film.mp4", [np.zeros_like(shot(1, 0))] * 10 + [shot(0.7, 200)] * 15 + [shot(1.6, 160)] * 10, 25)
    two = [frame.image for frame in couple(0, range(0), 30)]
    lone = np.zeros_like(two[0])
    painted(lone, placed(2.2, 0.0, (320, 170)))
    write_video(root / "two.mp4", two + [lone] * 10, 25)
    (tmp_path / "labels.csv").write_text("video,frame,AU12\nalbum/anna.png,0,4\nalbum__bob,0,3\n")
    command = ["prepare", f"data.source={root}", f"data.root={tmp_path}/data", f"labels={tmp_path}/labels.csv"]
    for _ in range(2):  # and when it is there already
        outcome = aulight(*command, "crop_size=64", "workers=1")
        assert outcome.status == 0, outcome.err
        assert "5 videos of 5 subjects, 78 frames, 11 of them (14.1%) without a face, 2 labelled" in outcome.out
        assert f"3 images in {root}/album: taken for photos" in outcome.out
        assert "10 frames show faces, but not of the one who is followed; `aulight predict input=" in outcome.out
        assert "once a face elsewhere was taken for the one who is followed" in outcome.out
    data = PreparedDataset(tmp_path / "data")
    seen = data.frames.assign(seen=data.frames["face_confidence"] > 0).groupby("video_id")["seen"].sum()
    assert seen.to_dict() == {"album__anna": 1, "album__bob": 1, "album__wall": 0, "film": 25, "two": 30}
    counts = data.videos.set_index("video_id")[["frames_not_followed", "faces_elsewhere"]]
    assert list(counts.loc["two"]) == [10, 0]
    assert list(counts.loc["film"]) == [0, 1]
    assert data.elsewhere["film"] == [25]
    assert data.elsewhere["two"] == []
    assert data.labels.set_index("video_id")["AU12"].to_dict() == {"album__anna": 4, "album__bob": 3}
