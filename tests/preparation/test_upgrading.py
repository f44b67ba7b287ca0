"""Datasets of format 1: they are read as they are, and `prepare` packs them; the oracle is what they were before."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import yaml

from aulight.data.contents import shown
from aulight.data.description import read_description
from aulight.data.store import PreparedDataset
from aulight.data.video.prepared import open_video
from aulight.data.video.write import write_video
from aulight.data.writer import StoreWriter, partial_folder
from aulight.errors import AulightError, VideoError
from aulight.files import sha256
from aulight.preparation.dataset import prepare_dataset
from aulight.preparation.recipe import Recipe
from aulight.preparation.summary import Summary
from aulight.preparation.upgrading import upgraded
from aulight.workers.hiring import Workers
from tests.data.coded import passing_over
from tests.data.formats import as_format_1, members, segments
from tests.preparation.killed import killed_everywhere

Frames = npt.NDArray[np.uint8]
Coded = Callable[..., Iterator[Frames]]

LENGTHS = {"a": 600, "b": 6, "c": 20}
LABELS = "video,frame,AU12\na,0,1\na,530,2\nb,1,5\n"


def _prepare(folder: Path, crop_size: int = 64, **changed: Any) -> Summary:
    reader: dict[str, str | float] = {"fps": 25.0, "pictures": "film"}
    recipe = Recipe("folder", folder / "raw", (folder / "labels.csv",), None, reader, crop_size, None)
    return prepare_dataset(folder / "data", "mine", recipe, None, "skip", Workers(1), **changed)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory, coded: Coded) -> Path:
    """Prepared now; beside it ``files``, the prepared videos as they were before they were packed."""
    folder = tmp_path_factory.mktemp("packed")
    (folder / "raw").mkdir()
    for video, (name, count) in enumerate(LENGTHS.items()):
        write_video(folder / "raw" / f"{name}.mp4", coded(video, count), 25)
    (folder / "labels.csv").write_text(LABELS)
    rename = StoreWriter.__exit__

    def keep(store: StoreWriter, *end: Any) -> None:
        shutil.copytree(store.videos, folder / "files")
        rename(store, *end)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StoreWriter, "__exit__", keep)
        _prepare(folder)
    return folder


@pytest.fixture(scope="module")
def former(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in format 1; not to be changed."""
    folder = Path(shutil.copytree(packed, tmp_path_factory.mktemp("former") / "mine"))
    as_format_1(folder / "data", folder / "files")
    return folder


@pytest.fixture
def mine(former: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(former, tmp_path / "mine"))


def _frames(data: PreparedDataset) -> list[Frames]:
    return [open_video(data.file(row)).read(range(count)) for row, count in enumerate(data.videos["frames"])]


def _same(one: PreparedDataset, other: PreparedDataset) -> None:
    """What is in two datasets, however it is packed."""
    assert one.fingerprint == other.fingerprint
    for pictures, wanted in zip(_frames(one), _frames(other), strict=True):
        np.testing.assert_array_equal(pictures, wanted)
    columns = [name for name in one.videos if name in other.videos]
    assert columns[:4] == ["video_id", "subject", "frames", "fps"]
    pd.testing.assert_frame_equal(one.videos[columns], other.videos[columns], check_dtype=False)
    pd.testing.assert_frame_equal(one.frames, other.frames)
    pd.testing.assert_frame_equal(one.labels, other.labels)
    np.testing.assert_array_equal(one.segments.to_numpy(), other.segments.to_numpy())


def _files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_format_1_is_what_is_written_now_packed_otherwise(packed: Path, former: Path) -> None:
    assert read_description(former / "data")["format"] == 1
    data = PreparedDataset(former / "data")
    _same(data, PreparedDataset(packed / "data"))
    seen, wanted = shown(data), shown(PreparedDataset(packed / "data"))
    assert (seen.videos.tolist(), seen.subjects.tolist()) == (wanted.videos.tolist(), wanted.subjects.tolist())
    np.testing.assert_array_equal(seen.contents, wanted.contents)


def test_the_usual_command_packs_it_and_says_so(mine: Path, packed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _prepare(mine).was_there
    said = capsys.readouterr().out.splitlines()
    assert [line for line in said if "packing its videos into shards" in line] == said[:1]
    _same(PreparedDataset(mine / "data"), PreparedDataset(packed / "data"))
    now, wanted = _files(mine / "data"), _files(packed / "data")
    assert now.keys() == wanted.keys(), "no file a video"
    assert now["shards/000000.tar"] == wanted["shards/000000.tar"], "nothing was coded anew"
    assert now["index.parquet"] == wanted["index.parquet"]
    assert not list(mine.glob(".*"))
    _prepare(mine)
    assert "packing" not in capsys.readouterr().out
    assert _files(mine / "data") == now


def test_what_is_replaced_and_new_comes_by_the_same_command(mine: Path, coded: Coded) -> None:
    write_video(mine / "raw" / "b.mp4", coded(7, 6), 25)
    write_video(mine / "raw" / "aa.mp4", coded(8, 5), 25)
    _prepare(mine)
    data = PreparedDataset(mine / "data")
    assert list(data.videos["video_id"]) == ["a", "aa", "b", "c"]
    assert sorted(members(mine / "data")) == [
        f"{name}.mp4" for name in ("a/00000", "a/00001", "aa/00000", "b/00000", "c/00000")
    ]


def test_of_a_replaced_video_no_byte_stays(mine: Path, coded: Coded) -> None:
    """Nor of the one before that; what was beside it in the shard is there as it was."""
    _prepare(mine)
    for video in (7, 8):
        before = PreparedDataset(mine / "data")
        old, others = segments(before, 1)[0], [segments(before, row) for row in (0, 2)]
        write_video(mine / "raw" / "b.mp4", coded(video, 6), 25)
        _prepare(mine)
        there = b"".join(path.read_bytes() for path in (mine / "data").rglob("*") if path.is_file())
        assert old[60 : len(old) // 2] not in there, "its pictures"
        assert others[0][0] in there
        after = PreparedDataset(mine / "data")
        assert [segments(after, row) for row in (0, 2)] == others
        assert not list(mine.glob(".*"))


@pytest.mark.parametrize("damage", ["cut", "changed", "empty"])
@pytest.mark.parametrize("video", ["a", "b"])
def test_a_damaged_video_is_made_anew_when_it_is_packed(mine: Path, packed: Path, video: str, damage: str) -> None:
    path = mine / "data" / "videos" / f"{video}.mp4"
    whole = path.read_bytes()
    half = len(whole) // 2
    path.write_bytes({"cut": whole[:half], "changed": whole[:half] + b"x" + whole[half + 1 :], "empty": b""}[damage])
    summary = _prepare(mine)
    assert f"prepared anew, since what was prepared had been damaged: {video}" in summary.notes
    _same(PreparedDataset(mine / "data"), PreparedDataset(packed / "data"))


def test_one_of_an_older_version_that_noted_nothing(mine: Path, packed: Path) -> None:
    path = mine / "data" / "videos.parquet"
    videos = pd.read_parquet(path)
    videos[["video_id", "subject", "path", "frames", "fps"]].to_parquet(path, index=False)
    before = shown(PreparedDataset(mine / "data"))
    _prepare(mine)
    after = PreparedDataset(mine / "data")
    for old, new in zip(before.contents.tolist(), shown(after).contents.tolist(), strict=True):
        assert {*old} <= {*new, b""}
    _same(after, PreparedDataset(packed / "data"))


def test_a_damaged_one_of_an_older_version_that_noted_nothing_is_made_anew(mine: Path, packed: Path) -> None:
    path = mine / "data" / "videos.parquet"
    pd.read_parquet(path).drop(columns="file_sha256").to_parquet(path, index=False)
    (mine / "data" / "videos" / "a.mp4").write_bytes(b"no video")
    assert "prepared anew, since what was prepared had been damaged: a" in _prepare(mine).notes
    _same(PreparedDataset(mine / "data"), PreparedDataset(packed / "data"))


def test_frames_in_another_order_come_into_that_of_the_videos(mine: Path, packed: Path) -> None:
    path = mine / "data" / "frames.parquet"
    frames = pd.read_parquet(path)
    pd.concat([frames[frames["video_id"] != "a"], frames[frames["video_id"] == "a"]]).to_parquet(path, index=False)
    _prepare(mine)
    _same(PreparedDataset(mine / "data"), PreparedDataset(packed / "data"))


def test_a_damaged_table_is_one_line_and_nothing_is_lost(mine: Path) -> None:
    (mine / "data" / "frames.parquet").write_bytes(b"no table")
    before = _files(mine / "data")
    with pytest.raises(AulightError, match=r"frames\.parquet: missing or damaged; restore it"):
        _prepare(mine)
    assert _files(mine / "data") == before


@pytest.mark.parametrize("step", [4, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_anywhere_it_is_a_whole_dataset_and_goes_on(former: Path, tmp_path: Path, step: int) -> None:
    """Oracle: the same undisturbed; before its one step the dataset is of format 1, after it of format 2."""
    whole = Path(shutil.copytree(former, tmp_path / "whole"))
    before = PreparedDataset(former / "data")
    _prepare(whole)
    wanted, formats = _files(whole / "data"), list[int]()
    for operation, folder in killed_everywhere(former, _prepare, step):
        formats.append(read_description(folder / "data")["format"])
        data = PreparedDataset(folder / "data")
        assert data.fingerprint == before.fingerprint
        np.testing.assert_array_equal(open_video(data.file(0)).read([0, 503, 504]), _first(before))
        _prepare(folder)
        assert _files(folder / "data").keys() == wanted.keys(), operation
        for name in set(wanted) - {"dataset.yaml"}:
            assert _files(folder / "data")[name] == wanted[name], (operation, name)
        assert not list(folder.glob(".*")), operation
    assert formats == sorted(formats), "one step"
    assert {*formats} == {1, 2}


def _first(data: PreparedDataset) -> Frames:
    return open_video(data.file(0)).read([0, 503, 504])


def test_who_has_it_open_is_told_when_it_has_changed(mine: Path) -> None:
    early = PreparedDataset(mine / "data")
    reads = passing_over(PreparedDataset(mine / "data"))
    (mine / "data" / "videos" / "b.mp4").rename(mine / "b.mp4")
    assert next(iter(reads[2]()))["error"], "passed over, as long as the dataset is what it was"
    (mine / "b.mp4").rename(mine / "data" / "videos" / "b.mp4")
    _prepare(mine)
    for read in reads:
        with pytest.raises(AulightError, match="has changed it meanwhile; give the same command again") as refused:
            read()
        assert not isinstance(refused.value, VideoError)
    with pytest.raises(AulightError, match="has changed it meanwhile; give the same command again"):
        _ = early.frames


def test_what_an_earlier_version_had_begun_to_add_is_gone_as_well(mine: Path) -> None:
    """It was killed with two new videos beside the others, which were taken back since, and one of two revisions."""
    begun = partial_folder(mine / "data") / "videos"
    begun.mkdir(parents=True)
    for name in ("new", "other"):
        shutil.copy(mine / "raw" / "b.mp4", begun / f"{name}.mp4")
    for name in ("new.mp4", "other~2.mp4"):
        shutil.copy(mine / "raw" / "b.mp4", mine / "data" / "videos" / name)
    _prepare(mine)
    assert not (mine / "data" / "videos").exists()
    assert not begun.exists()


def test_a_file_that_is_not_ours_among_the_videos_or_shards_stays(mine: Path) -> None:
    (mine / "data" / "videos" / "mine.txt").write_text("dear")
    _prepare(mine)
    assert [path.name for path in (mine / "data" / "videos").iterdir()] == ["mine.txt"]
    for name in ("mine.tar", "7.tar"):
        (mine / "data" / "shards" / name).write_text("dear")
    _prepare(mine)
    assert {path.name for path in (mine / "data" / "shards").iterdir()} == {"000000.tar", "7.tar", "mine.tar"}


def test_the_description_keeps_what_it_says(mine: Path) -> None:
    path = mine / "data" / "dataset.yaml"
    before = yaml.safe_load(path.read_text())
    print_ = PreparedDataset(mine / "data").fingerprint
    upgraded(PreparedDataset(mine / "data"))
    now = yaml.safe_load(path.read_text())
    files = ("videos", "frames", "labels")
    noted = now.pop("tables")
    assert {name: noted[name] for name in files} == {name: sha256(path.with_name(f"{name}.parquet")) for name in files}
    assert now == before | {"format": 2, "revision": 1, "fingerprint": print_}


def _of_another_size(mine: Path) -> None:
    _prepare(mine, crop_size=32)


def _of_other_videos(mine: Path) -> None:
    (mine / "raw" / "c.mp4").rename(mine / "raw" / "z.mp4")
    _prepare(mine)


@pytest.mark.parametrize("command", [_of_another_size, _of_other_videos])
def test_a_command_for_another_dataset_changes_nothing(command: Callable[[Path], None], mine: Path) -> None:
    before = _files(mine / "data")
    with pytest.raises(AulightError, match=r"data\.name="):
        command(mine)
    assert _files(mine / "data") == before


def test_a_long_video_of_another_length_than_its_table_says_is_made_anew(mine: Path, packed: Path) -> None:
    cut = mine / "data" / "videos" / "a.mp4"
    write_video(cut, _frames(PreparedDataset(packed / "data"))[0][:590], 25)
    table = pd.read_parquet(mine / "data" / "videos.parquet")
    table.loc[table["video_id"] == "a", "file_sha256"] = sha256(cut)
    table.to_parquet(mine / "data" / "videos.parquet", index=False)
    _prepare(mine)
    _same(PreparedDataset(mine / "data"), PreparedDataset(packed / "data"))
