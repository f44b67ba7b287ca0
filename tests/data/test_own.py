"""What aulight has written is no raw video, wherever it lies; known by what its own commands write."""

import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
import PIL.Image
import pytest
from matplotlib.figure import Figure

from aulight.data.marks import CROPS, MARK, OVERLAY, PLOT, STRIP, made_as
from aulight.data.own import is_own_folder, store_around, without_own
from aulight.data.sources.folder import videos_below
from aulight.data.store import PreparedDataset
from aulight.data.video.images import images_of
from aulight.data.video.write import write_video
from aulight.data.writer import StoreWriter
from aulight.drawing.style import save
from aulight.errors import AulightError
from aulight.prediction.videos import find_videos
from tests.data.formats import as_format_1, unpack

Command = Callable[..., Any]
Make = Callable[..., PreparedDataset]
OLDER = Path(__file__).parents[1] / "older" / "older.tar.xz"


@pytest.fixture
def videos(tmp_path: Path, coded: Callable[..., Iterator[npt.NDArray[np.uint8]]]) -> Path:
    """A folder of two raw videos, one of them further down."""
    folder = tmp_path / "videos"
    (folder / "day two").mkdir(parents=True)
    for video, name in enumerate(("a.mp4", "day two/b.mp4")):
        write_video(folder / name, coded(video, 6), 25)
    return folder


def _below(folder: Path, *apart: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in videos_below(folder, apart)[0]]


@pytest.mark.parametrize("place", ["day two/x/data", "."])
def test_prepare_twice_in_the_folder_of_the_videos(
    aulight: Command, videos: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(videos)
    command = ["prepare", "data.source=.", f"data_dir={place}", "data.faces=none", "crop_size=64", "workers=1"]
    for name in ("mine", "mine", "second"):
        outcome = aulight(*command, f"data.name={name}")
        assert outcome.status == 0, outcome.err
        assert "2 videos of 2 subjects, 12 frames" in outcome.out
    assert "passed over what aulight made: " in outcome.out
    outcome = aulight(*command, "data.name=third", f"data.source={place}/mine/shards")
    assert outcome.status == 2
    assert f"lies in the prepared dataset {(videos / place / 'mine').resolve()}, whose videos would" in outcome.err
    assert not (videos / place / "third").exists()


def test_links_lead_into_no_dataset(videos: Path, tmp_path: Path, make_store: Make) -> None:
    data = as_format_1(make_store(tmp_path / "data" / "mine", [3], real=False).root)
    links = {
        "whole": data.root,
        "inside": data.root / "videos",
        "one.mp4": data.root / "videos" / "v0.mp4",
        "all": tmp_path / "data",
    }
    for name, place in links.items():
        (videos / name).symlink_to(place)
    (videos / "round").symlink_to(videos)
    (videos / "c.mp4").symlink_to(videos / "a.mp4")
    assert _below(videos) == ["a.mp4", "c.mp4", "day two/b.mp4"]
    assert sorted(path.name for path in videos_below(videos)[2]) == ["inside", "mine", "one.mp4", "whole"]
    assert _below(data.root / "videos") == ["v0.mp4"], "who asks for it gets it: `predict` on prepared faces"
    assert _below(tmp_path, tmp_path / "videos") == []
    assert _below(videos, tmp_path) == ["a.mp4", "c.mp4", "day two/b.mp4"], "a folder around it is no reason"


def test_a_dataset_that_is_being_made_or_damaged_is_one(tmp_path: Path, make_store: Make) -> None:
    data = make_store(tmp_path / "mine", [3], real=False)
    (data.root / "dataset.yaml").write_bytes(b"")
    assert is_own_folder(data.root)
    begun = StoreWriter(tmp_path / "new", {}, resume=True).__enter__()
    assert store_around(begun.videos) == begun.folder
    assert store_around(tmp_path) is None
    (tmp_path / "yolo").mkdir()
    (tmp_path / "yolo" / "dataset.yaml").write_text("train: images\n")
    assert not is_own_folder(tmp_path / "yolo"), "another program's file of the same name"


@pytest.mark.slow
def test_what_all_commands_write_is_passed_over(
    aulight: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Oracle: the raw videos of the archive, by name."""
    with tarfile.open(OLDER) as archive:
        archive.extractall(tmp_path, filter="data")
    older = tmp_path / "older"
    monkeypatch.chdir(older)
    where = ["data=folder", "data.name=faces"]
    for command in (
        ["predict", "model=model.aulight", "input=clip.mp4", "output=.", "overlay=true", "plot=true"],
        ["report", "runs=runs/finetune/synthetic-fold1-pretrained-0.2-seed0", "output=report"],
        ["sample", *where, "label_count=2", "aus=[1]", "output=to_label"],
    ):
        outcome = aulight(*command)
        assert outcome.status == 0, outcome.err
    assert made_as(older / "clip.overlay.mp4") == OVERLAY
    assert {"clip.overlay.mp4", "clip.png"} <= {path.name for path in older.iterdir()}
    assert (older / "report" / "per_au.png").is_file()
    assert {made_as(path) for path in (older / "report").glob("*.png")} == {PLOT}
    assert {made_as(path) for path in (older / "to_label").rglob("*.png")} == {STRIP}
    cv2.imwrite(str(older / "report" / "photo.png"), np.zeros((8, 8, 3), np.uint8))  # the user's
    (older / "runs" / "mine.mp4").symlink_to(older / "clip.mp4")
    found = _below(older)
    assert found == ["clip.mp4", "raw/a.mp4", "raw/c.mp4", "raw/day two/b.mp4", "report", "runs/mine.mp4"]
    assert [Path(name).name for _, name in (images_of(older / "report") or (None, []))[1]] == ["photo.png"]
    names = [video.name for video in find_videos(older, tmp_path / "scored")[0]]
    assert names == ["clip", "raw/a", "raw/c", "raw/day two/b", "report", "runs/mine"]


def test_what_aulight_drew_or_cut_out_is_known_wherever_it_lies(
    aulight: Command, videos: Path, tmp_path: Path, coded: Callable[..., Any]
) -> None:
    """An overlay without its record, and the crops of a dataset, among the raw videos of another."""
    prepare = ["prepare", "data.faces=none", "crop_size=64", "workers=1", f"data_dir={tmp_path}/data"]
    assert aulight(*prepare, "data.name=first", f"data.source={videos}").status == 0
    crops = unpack(tmp_path / "data" / "first", tmp_path / "data" / "first" / "videos")
    assert {made_as(path) for path in crops.iterdir()} == {CROPS}
    assert made_as(videos / "a.mp4") is None
    assert _below(crops) == ["a.mp4", "day_two__b.mp4"], "who asks for the inside of a dataset gets it"
    shutil.copy(crops / "a.mp4", videos / "crop.mp4")
    write_video(videos / "renamed.MP4", coded(7, 200), 25, made=OVERLAY)
    with av.open(str(videos / "renamed.MP4")) as container:
        assert container.metadata["comment"] == "made by aulight: overlay", "as other programs show it"
    outcome = aulight(*prepare, "data.name=second", f"data.source={videos}")
    assert outcome.status == 0, outcome.err
    assert "2 videos of 2 subjects, 12 frames" in outcome.out
    assert "passed over what aulight made: crop.mp4, renamed.MP4" in outcome.out
    assert [video.name for video in find_videos(videos, tmp_path / "scored")[0]] == ["a", "day two/b"]
    (alone := tmp_path / "alone").mkdir()
    shutil.copy(videos / "renamed.MP4", alone / "x.mp4")
    with pytest.raises(AulightError, match=r"no videos, nor pictures, in it but x\.mp4, which is passed over"):
        find_videos(alone, tmp_path / "scored")


def test_pictures_that_aulight_drew_are_known_without_their_records(
    aulight: Command, videos: Path, tmp_path: Path
) -> None:
    """A coder's folder under other names, and a plot alone, among raw videos. Oracle: the raw videos, by name."""
    prepare = ["prepare", "data.faces=none", "crop_size=64", "workers=1", f"data_dir={tmp_path}/data"]
    assert aulight(*prepare, "data.name=first", f"data.source={videos}").status == 0
    drawn = videos / "drawn"
    where = [f"data_dir={tmp_path}/data", "data.name=first", f"output={drawn}"]
    assert aulight("sample", *where, "label_count=2", "aus=[1]").status == 0
    assert _below(videos) == ["a.mp4", "day two/b.mp4"]
    (drawn / "to_label.csv").rename(drawn / "coded_by_anna.csv")
    save(Figure(), videos / "b.png")
    with PIL.Image.open(videos / "b.png") as picture:
        assert picture.info["Comment"] == f"{MARK}{PLOT}", "as other programs show it"
    assert _below(videos) == ["a.mp4", "day two/b.mp4"]
    assert [video.name for video in find_videos(videos, tmp_path / "scored")[0]] == ["a", "day two/b"]
    cv2.imwrite(str(drawn / "photo.png"), np.zeros((8, 8, 3), np.uint8))
    assert _below(videos) == ["a.mp4", "day two/b.mp4", "drawn"]
    outcome = aulight(*prepare, "data.name=second", f"data.source={videos}")
    assert outcome.status == 0, outcome.err
    assert "3 videos of 3 subjects" in outcome.out
    assert "passed over what aulight made: b.png, " in outcome.out


@pytest.mark.parametrize(
    "record",
    ["", "[]", '{"files": ["clip.png"]}', '{"aulight": "1", "files": "clip.png"}', '{"aulight": 1}', "[" * 9999],
)
def test_a_picture_is_the_users_unless_a_record_of_aulight_says_otherwise(tmp_path: Path, record: str) -> None:
    cv2.imwrite(str(tmp_path / "clip.png"), np.zeros((4, 4, 3), np.uint8))
    (tmp_path / "clip.json").write_text(record)
    (tmp_path / "summary.json").write_text(record)
    assert [path.name for path in without_own(sorted(tmp_path.iterdir()))] == ["clip.json", "clip.png", "summary.json"]


@pytest.mark.parametrize("name", ["run.yaml", "dataset.yaml", "settings.yaml"])
def test_a_pipe_in_the_place_of_a_record_is_not_waited_for(name: str, videos: Path) -> None:
    os.mkfifo(videos / "day two" / name)
    assert not is_own_folder(videos / "day two")
    assert _below(videos) == ["a.mp4", "day two/b.mp4"]
