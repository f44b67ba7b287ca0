"""What ``aulight predict`` may write over, and two of it at once."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from aulight.data.faces.model_file import model_file
from aulight.data.video.raw import raw_frames
from aulight.files import alone, sha256
from aulight.prediction import predictor
from aulight.prediction.companion import make_room, put, read_companion
from aulight.prediction.loading import load
from aulight.prediction.videos import Video

Command = Callable[..., Any]


@pytest.fixture(scope="module")
def model(finetuned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.aulight"
    load(finetuned).save(path)
    return path


@pytest.fixture(scope="module")
def clips(smoke_videos: Path) -> list[Path]:
    """Two videos of people who differ."""
    return sorted(smoke_videos.glob("test*.mp4"))[:2]


@pytest.fixture
def predict(aulight: Command, model: Path) -> Command:
    def call(video: Path, output: Path, *more: str) -> Any:
        return aulight("predict", f"model={model}", f"input={video}", f"output={output}", "workers=1", *more)

    return call


@pytest.fixture
def clip(clips: list[Path], tmp_path: Path) -> Path:
    path = tmp_path / "given" / "clip.mp4"
    path.parent.mkdir()
    shutil.copyfile(clips[0], path)
    return path


def _state(folder: Path) -> dict[str, tuple[int, str]]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): (path.stat().st_mtime_ns, sha256(path)) for path in files}


@pytest.mark.parametrize(
    "name", ["clip.csv", "clip.json", "clip.png", "clip.overlay.mp4", "clip.csv.partial", "clip.events.csv"]
)
def test_a_users_own_file_is_refused_before_the_work(
    name: str, predict: Command, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = clip.with_name(name)
    mine.write_text("mine")
    before = _state(clip.parent)
    monkeypatch.chdir(clip.parent)
    outcome = predict(Path(clip.name), Path(), "plot=true", "overlay=true")
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err == f"aulight: {name}: there already, and not as aulight wrote it; give another output=\n"
    assert _state(clip.parent) == before


def test_a_users_own_file_that_is_not_in_the_way_is_not(predict: Command, clip: Path) -> None:
    for name in ("clip.png", "clip.parquet", "clip.txt"):
        clip.with_name(name).write_text("mine")
    assert predict(clip, clip.parent).status == 0
    assert {clip.with_name(name).read_text() for name in ("clip.png", "clip.parquet", "clip.txt")} == {"mine"}
    assert predict(clip, clip.parent, "coverage=0.8").status == 0  # ours are made anew, and nothing else is removed
    assert {clip.with_name(name).read_text() for name in ("clip.png", "clip.parquet", "clip.txt")} == {"mine"}


def test_of_a_folder_all_are_looked_at_before_the_first_is_scored(
    predict: Command, clip: Path, clips: list[Path], tmp_path: Path
) -> None:
    shutil.copyfile(clips[1], clip.with_name("zoo.mp4"))
    out = tmp_path / "out"
    (out / "zoo.csv").mkdir(parents=True)  # a folder is in the way as well
    outcome = predict(clip.parent, out)
    assert outcome.status == 2
    assert f"{out}/zoo.csv: there already" in outcome.err
    assert [path.name for path in out.iterdir()] == ["zoo.csv"]


def test_another_video_of_the_same_name_is_refused_and_a_copy_is_not(
    predict: Command, clip: Path, clips: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert predict(clip, out).status == 0
    before = _state(out)
    other = tmp_path / "s2" / "clip.mp4"
    other.parent.mkdir()
    data = clips[1].read_bytes()
    other.write_bytes(data)
    for given in (other, other.parent):
        outcome = predict(given, out)
        assert outcome.status == 2
        assert outcome.err == f"aulight: {out}/clip.json: is of another video, {clip}; give another output=\n"
        assert _state(out) == before
    other.write_bytes(clip.read_bytes())  # a copy, later than the one that was scored
    assert "1 done before" in predict(other, out).out
    moved = clip.rename(tmp_path / "clip.mp4")
    assert "1 done before" in predict(moved, out).out
    same_size = bytearray(moved.read_bytes())
    same_size[-1] ^= 1
    other.write_bytes(same_size)
    os.utime(other, ns=(0, moved.stat().st_mtime_ns))
    assert "is of another video" in predict(other, out).err
    assert _state(out) == before
    moved.write_bytes(data)
    assert "is of another video" in predict(moved, out).err  # what was scored is not there any more
    moved.rename(clip)
    assert predict(clip, out).status == 0  # the same video has changed in its place
    assert _state(out) != before


def test_photos_that_change_their_names_are_scored_anew(predict: Command, tmp_path: Path) -> None:
    """Oracle: the same photos scored into another folder. Sizes and times stay as they were."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(3):
        noise = np.random.default_rng(number).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        cv2.imwrite(str(photos / f"img_{number}.bmp"), noise)
        os.utime(photos / f"img_{number}.bmp", ns=(10**18, 10**18))
    assert predict(photos, tmp_path / "out", "pictures=photos").status == 0
    assert "1 done before" in predict(photos, tmp_path / "out", "pictures=photos").out
    (photos / "img_0.bmp").rename(photos / "img_9.bmp")
    (photos / "img_2.bmp").rename(photos / "img_0.bmp")
    for out in ("out", "fresh"):
        outcome = predict(photos, tmp_path / out, "pictures=photos")
        assert (outcome.status, "done before" in outcome.out) == (0, False), outcome.err
    moved, fresh = (pd.read_csv(tmp_path / out / "photos.csv") for out in ("out", "fresh"))
    pd.testing.assert_frame_equal(moved, fresh)
    assert moved["file"].tolist() == ["img_0.bmp", "img_1.bmp", "img_9.bmp"]


def test_another_landmarker_scores_anew(aulight: Command, clip: Path, tmp_path: Path) -> None:
    other = tmp_path / "face_landmarker.task"
    shutil.copyfile(model_file(), other)
    with zipfile.ZipFile(other, "a") as archive:
        archive.comment = b"another"
    command = ["predict", "model=table", f"input={clip}", f"output={tmp_path}/out", "workers=1"]
    assert aulight(*command).status == 0
    assert "1 done before" in aulight(*command, f"faces.landmarker={model_file()}").out
    assert "done before" not in aulight(*command, f"faces.landmarker={other}").out
    assert "1 done before" in aulight(*command, f"faces.landmarker={other}").out


def test_what_a_user_has_changed_is_the_users(predict: Command, clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert predict(clip, out).status == 0
    table = out / "clip.csv"
    table.write_text(table.read_text() + "checked by me\n")
    before = _state(out)
    assert "1 done before" in predict(clip, out).out
    outcome = predict(clip, out, "coverage=0.8")
    assert (outcome.status, _state(out)) == (2, before)
    assert f"{table}: there already, and not as aulight wrote it" in outcome.err
    assert predict(clip, out, "format=parquet").status == 0
    assert table.read_text().endswith("checked by me\n")


def test_what_0_1_0_has_written_is_ours(predict: Command, clip: Path, tmp_path: Path) -> None:
    """It noted the names of its files, and no digests."""
    out = tmp_path / "out"
    assert predict(clip, out, "plot=true").status == 0
    note = json.loads((out / "clip.json").read_text())
    assert note.pop("sha256").keys() == {"clip.csv", "clip.events.csv", "clip.png"}
    assert len(note["source"].pop("sha256")) == 64
    (out / "clip.json").write_text(json.dumps(note))
    assert predict(clip, out, "format=parquet").status == 0
    assert sorted(path.name for path in out.iterdir()) == ["clip.events.csv", "clip.json", "clip.parquet"]


@pytest.fixture(scope="module")
def scored(aulight: Command, model: Path, clips: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The table, plot and companion of a video; not to be changed."""
    out = tmp_path_factory.mktemp("scored")
    assert aulight("predict", f"model={model}", f"input={clips[0]}", f"output={out}", "plot=true").status == 0
    return out


def test_killed_while_files_are_put_in_place_they_are_ours_and_not_done(
    scored: Path, clips: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every change of a name. Oracle: what was there, and what was to be."""
    stem, video = clips[0].stem, Video(clips[0], clips[0].stem)
    old = read_companion(scored, stem)
    assert old is not None
    ends = 0
    for at in range(20):
        out, made = tmp_path / f"out{at}", tmp_path / f"made{at}"
        shutil.copytree(scored, out)
        made.mkdir()
        (made / f"{stem}.csv").write_text("new")
        new = old.model_copy(update={"files": [f"{stem}.csv"]})
        _end_at(at, monkeypatch)
        try:
            put(made, out, stem, new)
            ends += 1
        except _Killed:
            pass
        monkeypatch.undo()
        record = read_companion(out, stem)
        assert record is not None
        make_room(out, video, (".csv", ".png"))  # refuses nothing
        if record.whole:
            assert record.sha256 == {name: [sha256(out / name)] for name in record.files}
        assert not list(out.glob(".*"))
    assert 12 <= ends < 18, "it was killed at each of some places"


class _Killed(BaseException):
    """As if the process were gone."""


def _end_at(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    call, left = Path.replace, iter(range(number))

    def counted(self: Path, *arguments: Any) -> Any:
        if next(left, None) is None:
            raise _Killed
        return call(self, *arguments)

    monkeypatch.setattr(Path, "replace", counted)


@pytest.fixture
def other_at_work(tmp_path: Path) -> Iterator[Path]:
    """An output in which another process is scoring ``clip``."""
    out = tmp_path / "out"
    out.mkdir()
    with alone(out / "clip.json", "taken"):
        yield out


def test_a_video_that_another_process_scores_is_left_to_it(
    predict: Command, clip: Path, clips: list[Path], other_at_work: Path
) -> None:
    outcome = predict(clip, other_at_work)
    assert (outcome.status, outcome.out) == (2, "")
    lines = [line for line in outcome.err.splitlines() if line.startswith("aulight: ")]
    assert lines == [f"aulight: {clip}: another process is scoring it"]
    shutil.copyfile(clips[1], clip.with_name("zoo.mp4"))
    outcome = predict(clip.parent, other_at_work)
    assert outcome.status == 1
    assert f"{other_at_work}: 1 of 2 videos" in outcome.out
    lines = [line for line in outcome.err.splitlines() if line.startswith("aulight: ")]
    assert lines == [
        f"aulight: {other_at_work}: another process is scoring 1 of 2 videos; "
        "the same command does what is left when it has ended"
    ]


@pytest.mark.slow
def test_two_at_once_give_what_one_gives(model: Path, clips: list[Path], predict: Command, tmp_path: Path) -> None:
    given, out, plain = tmp_path / "given", tmp_path / "out", tmp_path / "plain"
    given.mkdir()
    for number in range(6):
        shutil.copyfile(clips[number % 2], given / f"{number}.mp4")
    command = [sys.executable, "-m", "aulight", "predict", f"model={model}", f"input={given}", f"output={out}"]
    both = [subprocess.Popen([*command, "workers=1"], stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=180)[1] for process in both]
    assert all(process.returncode in (0, 1) for process in both), told
    assert not any("Traceback" in text for text in told)
    assert predict(given, plain).status == predict(given, out).status == 0
    assert {path.name: sha256(path) for path in out.glob("*.csv")} == {
        path.name: sha256(path) for path in plain.glob("*.csv")
    }
    assert not list(out.glob(".*"))


@pytest.mark.parametrize("stem", ["a" * 251, "表" * 80 + "\udcff"])
def test_a_video_may_have_any_name(stem: str, predict: Command, clip: Path, tmp_path: Path) -> None:
    video = clip.rename(clip.with_name(os.fsdecode(stem) + ".mp4"))
    out = tmp_path / "out"
    outcome = predict(video, out, "overlay=true", "plot=true")
    assert outcome.status == 0, outcome.err
    names = sorted(path.name for path in out.iterdir())
    assert len(names) == 5
    assert all(name.encode() for name in names)
    assert "1 done before" in predict(video, out).out
    assert predict(video, out, "coverage=0.8").status == 0


@pytest.mark.parametrize("name", ["clip.json", "clip.csv"])
def test_a_pipe_in_the_place_of_a_file_is_refused_and_not_waited_for(name: str, predict: Command, clip: Path) -> None:
    os.mkfifo(clip.with_name(name))
    outcome = predict(clip, clip.parent)
    assert (outcome.status, name in outcome.err) == (2, True)
    assert "not as aulight wrote it" in outcome.err


def test_a_video_that_is_replaced_while_it_is_read_is_not_whole(
    predict: Command, clip: Path, clips: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Oracle: what is scored of the other content by itself."""

    def replaced(path: Path, *how: Any) -> Iterator[Any]:
        yield from raw_frames(path, *how)
        shutil.copyfile(clips[1], path)

    monkeypatch.setattr(predictor, "raw_frames", replaced)
    outcome = predict(clip, tmp_path / "out")
    monkeypatch.undo()
    assert outcome.status != 0
    assert f"{clip}: was changed while it was read; give the same command again" in outcome.err
    assert not (tmp_path / "out/clip.csv").exists()
    assert (tmp_path / "out/clip.csv.partial").is_file()
    assert predict(clip, tmp_path / "out").status == 0
    assert predict(clips[1], tmp_path / "other").status == 0
    (other,) = (tmp_path / "other").glob("*[0-9].csv")
    assert (tmp_path / "out/clip.csv").read_bytes() == other.read_bytes()


def test_a_folder_is_listed_once_for_all_its_videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There may be a million; what 0.1.0 left of one is removed all the same."""
    left = tmp_path / ".12-abcd1234"
    left.mkdir()
    (left / "12.csv").touch()
    os.utime(left / "12.csv", (0, 0))
    os.utime(left, (0, 0))
    listed = list[str]()

    def counted(list_it: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def told(path: Any) -> Any:
            listed.append(str(path))
            return list_it(path)

        return told

    for name in ("scandir", "listdir"):
        monkeypatch.setattr(os, name, counted(getattr(os, name)))
    for number in range(20):
        make_room(tmp_path, Video(tmp_path / f"{number}.mp4", str(number)), (".csv", ".png"))
    monkeypatch.undo()
    assert not left.exists()
    assert listed.count(str(tmp_path)) == 2, "one for all, and one for what was found"
