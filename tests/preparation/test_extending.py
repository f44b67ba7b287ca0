"""A dataset that is there: what is new or another in its raw videos is made anew, and no kill loses any of it."""

import os
import resource
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

from aulight.data import packing, revising
from aulight.data.noted import NOTED
from aulight.data.places import Segments
from aulight.data.revising import StoreReviser
from aulight.data.store import PreparedDataset
from aulight.data.video.prepared import open_video
from aulight.data.video.write import write_video
from aulight.data.writer import partial_folder
from aulight.errors import AulightError, VideoError
from aulight.files import alone
from aulight.preparation.dataset import prepare_dataset
from aulight.preparation.recipe import Recipe
from aulight.preparation.relabelling import Replaceable
from aulight.preparation.summary import Summary
from aulight.workers.hiring import Workers
from tests.data.coded import passing_over
from tests.data.formats import MARK, as_format_1, mark, members, segments, spoil
from tests.preparation.killed import killed_everywhere

Frames = npt.NDArray[np.uint8]
Coded = Callable[..., Iterator[Frames]]
Decode = Callable[[Frames], list[tuple[int, int]]]

LABELS = "video,frame,AU12\na,0,1\na,3,2\nb,1,5\n"
SUBJECTS = "video,subject\na,Ann\nb,Ben\nc,Ann\n"


def _prepare(folder: Path, name: str = "data", **changed: Any) -> Summary:
    """Prepares the raw videos in ``raw``, with the tables beside it, without looking for faces."""
    recipe = Recipe(
        "folder",
        folder / "raw",
        (folder / "labels.csv",),
        folder / "subjects.csv",
        {"fps": 25.0, "pictures": "film"},
        64,
        None,
    )
    may = changed.pop("may", Replaceable())
    return prepare_dataset(folder / name, "mine", replace(recipe, **changed), None, "skip", Workers(1), may)


def _codes(data: PreparedDataset, video: str, decode: Decode) -> list[tuple[int, int]]:
    row = list(data.videos["video_id"]).index(video)
    return decode(open_video(data.file(row)).read(range(int(data.videos["frames"][row]))))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, coded: Coded) -> Path:
    """Two videos and a folder of pictures with labels and subjects, prepared; not to be changed."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "raw" / "c").mkdir(parents=True)
    for video, name in enumerate("ab"):
        write_video(folder / "raw" / f"{name}.mp4", coded(video, 6), 25)
    for number, picture in enumerate(coded(2, 5)):
        cv2.imwrite(str(folder / "raw" / "c" / f"{number}.png"), picture)
    (folder / "labels.csv").write_text(LABELS)
    (folder / "subjects.csv").write_text(SUBJECTS)
    _prepare(folder)
    return folder


@pytest.fixture
def mine(made: Path, tmp_path: Path) -> Path:
    """A copy of it, with the times of its files."""
    return Path(shutil.copytree(made, tmp_path / "mine"))


def _content(root: Path) -> dict[str, object]:
    """All that is in a dataset, but how often its tables were replaced, and when raw videos were changed."""
    data = PreparedDataset(root)
    packed = [content for row in range(len(data.videos)) for content in segments(data, row)]
    assert len(members(root)) == len(packed), "no others"
    assert not (root / "videos").exists()
    labels = data.labels.to_csv() if data.has_labels else ""
    return {
        "print": data.fingerprint,
        "videos": data.videos.to_dict("list"),
        "files": packed,
        "frames": data.frames.to_csv(),
        "labels": labels,
    }


def _beside(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# ---- what has changed ---------------------------------------------------------------------------------------------


def test_nothing_is_written_when_nothing_has_changed(mine: Path) -> None:
    _prepare(mine)  # it has moved
    before = {path: path.stat().st_mtime_ns for path in (mine / "data").rglob("*")}
    assert _prepare(mine).was_there
    assert {path: path.stat().st_mtime_ns for path in (mine / "data").rglob("*")} == before


def test_a_replaced_video_is_made_anew_and_said(mine: Path, coded: Coded, decode: Decode) -> None:
    """As long as the one before, so that all of its labels would fit."""
    before = segments(PreparedDataset(mine / "data"), 1)
    write_video(mine / "raw" / "a.mp4", coded(7, 6), 25)
    summary = _prepare(mine)
    assert any("prepared anew" in note and ": a;" in note for note in summary.notes), summary.notes
    data = PreparedDataset(mine / "data")
    assert _codes(data, "a", decode) == [(7, frame) for frame in range(6)]
    assert _codes(data, "b", decode) == [(1, frame) for frame in range(6)]
    assert segments(data, 1) == before, "the others stay"
    _prepare(mine, "other")
    assert _content(mine / "data") == _content(mine / "other"), "as if made now"
    assert len(_prepare(mine).notes) == 1, "on the pictures"
    assert _beside(mine) == ["data", "labels.csv", "other", "raw", "subjects.csv"]


@pytest.mark.parametrize("damage", ["cut", "changed", "empty"])
def test_a_damaged_prepared_video_is_made_anew_and_said(mine: Path, decode: Decode, damage: str) -> None:
    before, said = PreparedDataset(mine / "data").labels, "a, b, c" if damage == "cut" else "a"
    content = segments(PreparedDataset(mine / "data"), 0)[0]
    half = len(content) // 2
    if damage == "cut":  # with all that comes after it in the shard
        os.truncate(mine / "data" / "shards" / "000000.tar", half)
    else:
        changed = content[:half] + b"x" + content[half + 1 :]
        spoil(PreparedDataset(mine / "data"), 0, changed if damage == "changed" else b"")
    summary = _prepare(mine)
    assert f"prepared anew, since what was prepared had been damaged: {said}" in summary.notes
    assert not any("replaced" in note for note in summary.notes)
    data = PreparedDataset(mine / "data")
    assert _codes(data, "a", decode) == [(0, frame) for frame in range(6)]
    assert data.labels.equals(before)
    _prepare(mine, "other")
    assert _content(mine / "data") == _content(mine / "other"), "as if made now"
    assert not any("anew" in note for note in _prepare(mine).notes)


def test_what_is_left_of_a_shard_that_is_cut_off_is_kept_where_no_raw_video_is(mine: Path) -> None:
    """Of three videos the middle one has no raw video any more; oracle: the bytes before the cut, and its digest."""
    whole = segments(PreparedDataset(mine / "data"), 1)[0]
    place = PreparedDataset(mine / "data").file(1)
    assert isinstance(place, Segments)
    part, left = place.parts[0].part, 100
    os.truncate(mine / "data" / part.shard, part.offset + left)
    (mine / "raw" / "b.mp4").write_bytes(b"no video")
    for _ in range(2):
        summary = _prepare(mine)
        assert "b: the raw video was replaced, and stays as it was before" in summary.notes
        data = PreparedDataset(mine / "data")
        assert segments(data, 1) == [whole[:left].ljust(len(whole), b"\0")]
        now = data.file(1)
        assert isinstance(now, Segments)
        assert now.parts[0].part.digest == part.digest, "it goes on telling"


def test_a_damaged_prepared_video_without_a_raw_one_is_told(mine: Path) -> None:
    spoil(PreparedDataset(mine / "data"), 0)
    raw = mine / "raw" / "a.mp4"
    stamp = raw.stat()
    raw.write_bytes(bytes(stamp.st_size))  # in its old size and time: not noticed as another one
    os.utime(raw, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    summary = _prepare(mine)
    assert "a: what was prepared is damaged, and the raw video cannot be read any more" in summary.notes


def test_a_video_of_a_dataset_that_gets_a_second_of_its_name(mine: Path, coded: Coded) -> None:
    write_video(mine / "raw" / "d.mp4", coded(4, 6), 25)
    shutil.copy(mine / "raw" / "d.mp4", mine / "raw" / "d.m4v")
    assert any("d.mp4: both would be video d" in note for note in _prepare(mine).notes)
    shutil.copy(mine / "raw" / "a.mp4", mine / "raw" / "a.m4v")
    both = r"a\.m4v and .*a\.mp4: both would be video a; rename one"
    with pytest.raises(AulightError, match=f"no video 'a' in the raw data.*\n(.*\n)*not used: .*{both}"):
        _prepare(mine)
    (mine / "subjects.csv").unlink()
    (mine / "labels.csv").unlink()
    with pytest.raises(AulightError, match=f"data: has the video already; .*{both}"):
        _prepare(mine, labels=(), subjects=None)


def test_a_replaced_video_of_the_same_size_and_one_replaced_again(mine: Path, coded: Coded, decode: Decode) -> None:
    path = mine / "raw" / "a.mp4"
    for video in (7, 8):
        write_video(path, coded(video, 6), 25)
        os.truncate(path, 20_000)  # what is after a video's end does not count for it
        os.utime(path, ns=(video, video))  # back in time, as by cp -p
        assert any("prepared anew" in note for note in _prepare(mine).notes)
        assert _codes(PreparedDataset(mine / "data"), "a", decode) == [(video, frame) for frame in range(6)]
    assert len(members(mine / "data")) == 3


def test_a_training_that_has_it_open_ends_where_its_videos_have_been_moved(mine: Path, coded: Coded) -> None:
    """Those that are as they were, too: to pass over them would be to learn from fewer, and tell nobody."""
    reads = passing_over(PreparedDataset(mine / "data"))
    write_video(mine / "raw" / "d.mp4", coded(4, 6), 25)
    _prepare(mine)
    assert len(reads) == 4
    for read in reads:
        read()  # what is new is beside them
    write_video(mine / "raw" / "b.mp4", coded(7, 6), 25)
    _prepare(mine)
    for read in reads:
        with pytest.raises(AulightError, match="has changed it meanwhile; give the same command again") as refused:
            read()
        assert not isinstance(refused.value, VideoError)
    for read in passing_over(PreparedDataset(mine / "data")):
        read()


def test_bytes_of_a_replaced_video_go_however_it_was_killed_and_whatever_is_refused_later(
    mine: Path, coded: Coded
) -> None:
    """Killed at each step from the one on by which the dataset is the new one; then refused, as a video is gone."""
    before = segments(PreparedDataset(mine / "data"), 1)[0]
    write_video(mine / "raw" / "b.mp4", coded(7, 6), 25)
    killed = 0
    for _, folder in killed_everywhere(mine, _prepare, step=4):
        if segments(PreparedDataset(folder / "data"), 1)[0] != before:
            killed += 1
            if killed % 2:  # by somebody who tidies up
                shutil.rmtree(partial_folder(folder / "data"), ignore_errors=True)
            (folder / "raw" / "c").rename(folder / "c")
            with pytest.raises(AulightError, match="has videos that are not in"):
                _prepare(folder, labels=(), subjects=None)
            assert [path.name for path in (folder / "data" / "shards").iterdir()] == ["000001.tar"]
    assert killed > 1


@pytest.mark.parametrize("former", [False, True])
def test_a_full_disk_is_left_as_it_was(mine: Path, coded: Coded, monkeypatch: pytest.MonkeyPatch, former: bool) -> None:
    """It is full at the second of two shards. Oracle: the system's own limit of a file's size."""
    write_video(mine / "raw" / "d.mp4", coded(4, 300), 25)
    if former:
        _prepare(mine)
        as_format_1(mine / "data")
    before, pack = _all(mine / "data"), packing.pack

    def limited(*given: Any) -> packing.Packed:
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (15_000, limit[1]))
        try:
            return pack(*given)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)

    with monkeypatch.context() as patch:
        patch.setattr(packing, "SHARD_BYTES", 1)
        patch.setattr(revising, "pack", limited)
        if not former:
            write_video(mine / "raw" / "b.mp4", coded(7, 6), 25)
        with pytest.raises(OSError, match=r"shards/00000\d\.tar"):
            _prepare(mine)
    assert _all(mine / "data") == before
    _prepare(mine)
    _prepare(mine, "other")
    assert _content(mine / "data") == _content(mine / "other")


def test_stopped_by_hand_it_leaves_no_tables_and_packs_nothing_twice(
    mine: Path, coded: Coded, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_video(mine / "raw" / "b.mp4", coded(7, 6), 25)
    before = _all(mine / "data")

    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(StoreReviser, "write", stopped)
        with pytest.raises(KeyboardInterrupt):
            _prepare(mine)
    assert _all(mine / "data").keys() - before.keys() == {"shards/000001.tar"}
    with monkeypatch.context() as patch:
        patch.setattr(packing, "_write", stopped)
        _prepare(mine)
    _prepare(mine, "other")
    assert _content(mine / "data") == _content(mine / "other")


def _all(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_labels_are_placed_on_the_frames_of_the_new_video(mine: Path, coded: Coded) -> None:
    """It is shorter: a label that was on its fourth frame has no place, and that is no loss to ask about."""
    write_video(mine / "raw" / "a.mp4", coded(7, 2), 25)
    summary = _prepare(mine)
    assert any("frame 3: not used, the video has no frame there" in note for note in summary.notes)
    labels = PreparedDataset(mine / "data").labels
    assert labels[["video_id", "frame"]].to_numpy().tolist() == [["a", 0], ["b", 1]]


def test_one_picture_replaced(mine: Path, coded: Coded, decode: Decode) -> None:
    pictures = list(coded(3, 5))
    old = mine / "raw" / "c" / "2.png"
    time_ns = old.stat().st_mtime_ns
    cv2.imwrite(str(old), pictures[4])
    os.utime(old, ns=(time_ns - 10**9, time_ns - 10**9))
    assert any("prepared anew" in note for note in _prepare(mine).notes)
    codes = _codes(PreparedDataset(mine / "data"), "c", decode)
    assert codes == [(3, 4) if frame == 2 else (2, frame) for frame in range(5)]


def test_a_touched_or_copied_video_stays(mine: Path) -> None:
    before = _content(mine / "data")
    os.utime(mine / "raw" / "a.mp4", ns=(10**18, 10**18))
    shutil.copy(mine / "raw" / "b.mp4", mine / "b.mp4")
    (mine / "b.mp4").replace(mine / "raw" / "b.mp4")
    assert _prepare(mine).was_there
    after = _content(mine / "data")
    assert after.pop("videos") != before.pop("videos"), "the times are remembered"
    assert after == before
    assert PreparedDataset(mine / "data").videos["source_mtime_ns"].iat[0] == 10**18


def test_replaced_by_what_cannot_be_read_the_one_before_stays(mine: Path, coded: Coded, decode: Decode) -> None:
    before = _content(mine / "data")
    (mine / "raw" / "a.mp4").write_bytes(b"no video")
    for _ in range(2):
        summary = _prepare(mine)
        assert any("a: the raw video was replaced, and stays as it was before" in note for note in summary.notes)
        assert "a" in summary.skipped
        assert _content(mine / "data") == before
    write_video(mine / "raw" / "a.mp4", coded(7, 6), 25)
    assert not _prepare(mine).skipped
    assert _codes(PreparedDataset(mine / "data"), "a", decode)[0] == (7, 0)


def test_a_video_that_cannot_be_read_is_tried_again_when_it_is_another(mine: Path, coded: Coded) -> None:
    """Even by one that is older."""
    write_video(mine / "d.mp4", coded(7, 6), 25)
    os.utime(mine / "d.mp4", ns=(0, 0))
    (mine / "raw" / "d.mp4").write_bytes(b"no video")
    assert "d" in _prepare(mine).skipped
    before = (mine / "data" / "dataset.yaml").read_bytes()
    assert "d" in _prepare(mine).skipped
    assert (mine / "data" / "dataset.yaml").read_bytes() == before
    (mine / "d.mp4").replace(mine / "raw" / "d.mp4")
    assert _prepare(mine).videos == 4


def test_a_video_that_is_gone_is_missed_and_nothing_is_lost(mine: Path) -> None:
    before = _content(mine / "data")
    (mine / "raw" / "b.mp4").rename(mine / "b.mp4")
    (mine / "labels.csv").write_text(LABELS.replace("b,1,5\n", ""))
    with pytest.raises(AulightError, match=r"has videos that are not in .*raw \(b\); put them back"):
        _prepare(mine, subjects=None)
    assert _content(mine / "data") == before


def test_an_older_dataset_remembers_from_now_on(mine: Path, coded: Coded) -> None:
    root = mine / "data"
    videos = PreparedDataset(root).videos
    videos.drop(columns=list(NOTED), errors="ignore").to_parquet(root / "videos.parquet", index=False)
    before = PreparedDataset(root).fingerprint
    assert any("the content of 3 videos is remembered from now on" in note for note in _prepare(mine).notes)
    after = PreparedDataset(root)
    assert after.fingerprint == before, "its finished runs stay done"
    assert list(after.videos["source_sha256"]) == list(videos["source_sha256"])
    assert len(_prepare(mine).notes) == 1, "on the pictures"
    write_video(mine / "raw" / "a.mp4", coded(7, 6), 25)
    assert any("prepared anew" in note for note in _prepare(mine).notes)


def test_a_video_that_is_replaced_while_a_dataset_is_begun(mine: Path, coded: Coded, decode: Decode) -> None:
    begun = partial_folder(mine / "begun")
    (mine / "raw" / "z.mp4").write_bytes(b"")
    recipe = Recipe("folder", mine / "raw", None, None, {"fps": 25.0, "pictures": "film"}, 64, None)
    with pytest.raises(AulightError, match=r"z\.mp4"):
        prepare_dataset(mine / "begun", "mine", recipe, None, "raise", Workers(1))
    assert {path.stem for path in (begun / "parts").iterdir()} == {"a", "b", "c"}
    mark(begun / "videos" / "b.mp4")
    write_video(mine / "raw" / "a.mp4", coded(7, 6), 25)
    (mine / "raw" / "z.mp4").unlink()
    (begun / "parts" / "c.parquet").write_bytes(b"damaged")
    prepare_dataset(mine / "begun", "mine", recipe, None, "raise", Workers(1))
    data = PreparedDataset(mine / "begun")
    assert [_codes(data, video, decode)[0] for video in "abc"] == [(7, 0), (1, 0), (2, 0)]
    assert segments(data, 1)[0].endswith(MARK), "not made again"


def test_the_tables_are_read_as_often_however_many_videos_there_are(
    tmp_path: Path, coded: Coded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted: how often ``frames.parquet`` is opened, and its groups of rows are read, when one video is added."""
    counts = []
    for videos in (3, 12):
        folder = tmp_path / str(videos)
        (folder / "raw").mkdir(parents=True)
        names = [f"v{video:02}" for video in range(videos)]
        for video, name in enumerate(names):
            write_video(folder / "raw" / f"{name}.mp4", coded(video, 4), 25)
        (folder / "labels.csv").write_text("video,frame,AU12\n" + "".join(f"{name},1,2\n" for name in names))
        (folder / "subjects.csv").write_text(f"video,subject\n{names[0]},Ann\n")
        _prepare(folder)
        write_video(folder / "raw" / "v01b.mp4", coded(99, 4), 25)
        opened, groups = Counter[str](), list[int]()

        class Counting(pq.ParquetFile):  # type: ignore[misc]  # pyarrow has no types
            def __init__(self, source: Any, **kwargs: Any) -> None:
                opened[Path(source).name] += 1  # noqa: B023  # used within the turn
                super().__init__(source, **kwargs)

            def read_row_group(self, i: int, **kwargs: Any) -> Any:
                groups.append(i)  # noqa: B023
                return super().read_row_group(i, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(pq, "ParquetFile", Counting)
            assert _prepare(folder).videos == videos + 1
        assert pq.read_metadata(folder / "data" / "frames.parquet").num_row_groups == 1
        assert pq.read_metadata(folder / "data" / "labels.parquet").num_row_groups == 1
        assert PreparedDataset(folder / "data").videos["video_id"].tolist() == sorted([*names, "v01b"])
        counts.append((opened["frames.parquet"], groups))
    assert counts[0] == counts[1]
    assert counts[1][1] == [0, 0], "once to place labels, once to write the longer table"


# ---- labels and subjects ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("video,frame,AU12\nb,2,5\n", "of 3 labelled frames in .*data 3 would lose labels;"),
        (LABELS.replace("a,3,2", "a,3,4"), "of 3 labelled frames in .*data 1 would have others;"),
        (LABELS.replace("a,3,2\n", "").replace("b,1,5", "b,1,4"), "1 would lose labels and 1 would have others;"),
        (LABELS.replace("AU12", "AU06"), "3 would lose labels;"),
    ],
)
def test_labels_that_would_go_need_a_word(mine: Path, table: str, message: str) -> None:
    before = _content(mine / "data")
    (mine / "round2.csv").write_text(table)
    other = (mine / "round2.csv",)
    with pytest.raises(AulightError, match=rf"labels=.*round2\.csv: .*{message}.*add labels_replace=true if"):
        _prepare(mine, labels=other)
    with pytest.raises(AulightError, match="labels_replace=true"):
        _prepare(mine, labels=other, may=Replaceable(subjects=True))
    assert _content(mine / "data") == before
    summary = _prepare(mine, labels=other, may=Replaceable(labels=True))
    assert summary.labelled == table.count("\n") - 1


def test_labels_that_would_go_need_a_word_when_videos_are_added_too(mine: Path, coded: Coded) -> None:
    write_video(mine / "raw" / "d.mp4", coded(7, 6), 25)
    with pytest.raises(AulightError, match=r"the labels in .*raw: of 3 labelled .*labels_replace=true"):
        _prepare(mine, labels=())
    assert _beside(mine) == ["data", "labels.csv", "raw", "subjects.csv"], "before any work"
    _prepare(mine, labels=(), may=Replaceable(labels=True))
    _prepare(mine, "other", labels=())
    assert not PreparedDataset(mine / "data").has_labels
    assert _content(mine / "data") == _content(mine / "other")


def test_all_labels_may_go(mine: Path) -> None:
    _prepare(mine, labels=(), may=Replaceable(labels=True))
    assert _beside(mine / "data") == [
        "dataset.yaml",
        "frames.parquet",
        "index.parquet",
        "runs.parquet",
        "shards",
        "videos.parquet",
    ]
    with pytest.raises(AulightError, match="has no labels"):
        _ = PreparedDataset(mine / "data").labels
    assert _prepare(mine).labelled == 3


def test_further_labels_need_none(mine: Path) -> None:
    (mine / "labels.csv").write_text(LABELS.replace("AU12", "AU12,AU06").replace("b,1,5", "b,1,5,0") + "c,0,3,\n")
    assert _prepare(mine).labelled == 4
    assert PreparedDataset(mine / "data").aus == (6, 12)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (SUBJECTS.replace("a,Ann", "a,Ben"), r"1 of 3 videos in .*data \(a from Ann to Ben\)"),
        (SUBJECTS.replace("b,Ben\n", ""), r"1 of 3 videos in .*data \(b from Ben to b\)"),
    ],
)
def test_subjects_that_would_change_need_a_word(mine: Path, table: str, message: str) -> None:
    before = _content(mine / "data")
    (mine / "subjects.csv").write_text(table)
    with pytest.raises(AulightError, match=rf"subjects=.*subjects\.csv: .*{message}.*add subjects_replace=true if"):
        _prepare(mine, may=Replaceable(labels=True))
    assert _content(mine / "data") == before
    _prepare(mine, may=Replaceable(subjects=True))
    _prepare(mine, "other")
    assert _content(mine / "data") == _content(mine / "other")


def test_a_video_of_nobody_in_particular_may_get_a_subject(mine: Path) -> None:
    (mine / "subjects.csv").write_text("video,subject\na,Ann\n")
    _prepare(mine, may=Replaceable(subjects=True))
    (mine / "subjects.csv").write_text(SUBJECTS.replace("a,Ann", "a,ann "))
    _prepare(mine)
    assert [name.casefold() for name in PreparedDataset(mine / "data").videos["subject"]] == ["ann", "ben", "ann"]


# ---- kills --------------------------------------------------------------------------------------------------------


STEPS = pytest.mark.parametrize("step", [4, pytest.param(1, marks=pytest.mark.slow)])
"""At every so many changes of files."""


@pytest.fixture(scope="module")
def begun(made: Path, tmp_path_factory: pytest.TempPathFactory, coded: Coded) -> Path:
    """The same with a new video and a replaced one, both made, but not put to the others yet."""
    folder = Path(shutil.copytree(made, tmp_path_factory.mktemp("begun") / "mine"))
    write_video(folder / "raw" / "b.mp4", coded(7, 6), 25)
    write_video(folder / "raw" / "d.mp4", coded(8, 4), 25)
    (folder / "labels.csv").write_text(LABELS + "d,2,4\n")
    (folder / "raw" / "z.mp4").write_bytes(b"")
    recipe = Recipe(
        "folder",
        folder / "raw",
        (folder / "labels.csv",),
        folder / "subjects.csv",
        {"fps": 25.0, "pictures": "film"},
        64,
        None,
    )
    with pytest.raises(AulightError, match=r"z\.mp4"):  # the last, since it is the shortest
        prepare_dataset(folder / "data", "mine", recipe, None, "raise", Workers(1))
    (folder / "raw" / "z.mp4").unlink()
    assert {path.stem for path in (partial_folder(folder / "data") / "parts").iterdir()} == {"b", "d"}
    return folder


@STEPS
def test_killed_anywhere_while_a_dataset_is_extended_nothing_is_lost(begun: Path, tmp_path: Path, step: int) -> None:
    """Oracle: the same undisturbed, and before its one step the dataset as it was."""
    whole = Path(shutil.copytree(begun, tmp_path / "whole"))
    before = _content(whole / "data")
    _prepare(whole)
    wanted, beside = _content(whole / "data"), _beside(whole)
    stood = list[str]()
    for operation, folder in killed_everywhere(begun, _prepare, step):
        data = PreparedDataset(folder / "data")
        stood.append("before" if data.fingerprint == before["print"] else "after")
        assert data.fingerprint == (before if stood[-1] == "before" else wanted)["print"]
        assert len(data.labels) == (3 if stood[-1] == "before" else 4)
        _prepare(folder)
        assert _content(folder / "data") == wanted, operation
        assert _beside(folder) == beside, operation
    assert stood == sorted(stood, reverse=True), "one step"
    assert stood.count("before") > 10 // step
    assert stood.count("after") > 5 // step


def test_killed_anywhere_while_labels_are_replaced_nothing_is_lost(mine: Path, tmp_path: Path) -> None:
    (mine / "labels.csv").write_text(LABELS.replace("AU12", "AU06") + "c,1,1\n")
    (mine / "subjects.csv").write_text(SUBJECTS.replace("a,Ann", "a,Zoe"))
    may, stood = Replaceable(labels=True, subjects=True), list[str]()
    whole = Path(shutil.copytree(mine, tmp_path / "whole"))
    _prepare(whole, may=may)
    before, wanted = _content(mine / "data"), _content(whole / "data")
    for _, folder in killed_everywhere(mine, partial(_prepare, may=may)):
        now = _content(folder / "data")
        assert now in (before, wanted)
        stood.append("before" if now == before else "after")
        _prepare(folder, may=may)
        assert _content(folder / "data") == wanted
        assert _beside(folder / "data") == _beside(whole / "data")
    assert stood == sorted(stood, reverse=True), "one step"
    assert {*stood} == {"before", "after"}


@STEPS
def test_killed_anywhere_while_a_dataset_gets_its_name_the_same_command_finishes(
    begun: Path, tmp_path: Path, step: int
) -> None:
    """Its videos are made; labels and subjects are those that were given, and are not given again."""
    first = Path(shutil.copytree(begun, tmp_path / "first"))
    (first / "raw" / "z.mp4").write_bytes(b"")
    tables = (first / "labels.csv",), first / "subjects.csv"
    recipe = Recipe("folder", first / "raw", *tables, {"fps": 25.0, "pictures": "film"}, 64, None)
    with pytest.raises(AulightError, match=r"z\.mp4"):
        prepare_dataset(first / "new", "mine", recipe, None, "raise", Workers(1))
    (first / "raw" / "z.mp4").unlink()
    whole = Path(shutil.copytree(first, tmp_path / "whole"))
    _prepare(whole, "new")
    wanted, made = _content(whole / "new"), 0
    for operation, folder in killed_everywhere(first, partial(_prepare, name="new"), step):
        made += (folder / "new").exists()
        bare = Recipe("folder", folder / "raw", None, None, {"fps": 25.0, "pictures": "film"}, 64, None)
        recipe, notes = bare.remembering(folder / "new", typed=["data.source"])
        assert [line.split(": ")[1].split("=")[0] for line in notes] == ["labels", "subjects"], operation
        prepare_dataset(folder / "new", "mine", recipe, None, "skip", Workers(1))
        assert _content(folder / "new") == wanted, operation
        assert _beside(folder) == _beside(whole), operation
        assert _beside(folder / "new") == _beside(whole / "new"), operation
    assert 0 < made < operation


def test_an_error_while_tables_are_written_leaves_all_as_it_was(begun: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(begun, tmp_path / "mine"))
    before = _beside(folder / "data")
    (folder / "labels.csv").write_text(LABELS + "d,2,9\n")
    with pytest.raises(AulightError, match="not a whole number from 0 to 5"):
        _prepare(folder)
    part = partial_folder(folder / "data") / "parts" / "d.parquet"
    table = pd.read_parquet(part)
    table.assign(time_s="late").to_parquet(part)
    (folder / "labels.csv").write_text(LABELS + "d,2,4\n")
    with pytest.raises(Exception, match=r"late|multiply"):
        _prepare(folder)
    assert _beside(folder / "data") == before
    assert PreparedDataset(folder / "data").meta.get("revision") is None


def test_what_an_earlier_version_left_between_its_renames_is_found_again(mine: Path) -> None:
    """0.1.0 renamed the old dataset, then the new one: killed in between, there was none."""
    wanted = _content(mine / "data")
    (mine / "data").rename(mine / ".data.old")
    (mine / ".data.partial").mkdir()
    assert _prepare(mine).was_there
    assert _content(mine / "data") == wanted
    assert _beside(mine) == ["data", "labels.csv", "raw", "subjects.csv"]


# ---- what is in the way -------------------------------------------------------------------------------------------


def test_a_folder_of_the_users_is_not_written_into(mine: Path) -> None:
    (mine / "notes").mkdir()
    (mine / "notes" / "thesis.txt").write_text("dear")
    with pytest.raises(AulightError, match="notes: is there and no prepared dataset; give another data"):
        _prepare(mine, "notes")
    assert _beside(mine / "notes") == ["thesis.txt"]


def test_one_at_a_time(mine: Path) -> None:
    for name in ("data", "new"):
        with (
            alone(mine / name, None),
            pytest.raises(AulightError, match=f"{name}: another process is preparing it"),
        ):
            _prepare(mine, name)
    assert _beside(mine) == ["data", "labels.csv", "raw", "subjects.csv"]


@pytest.mark.parametrize("content", [b"", b"format: 1\n", bytes(100)])
def test_a_damaged_description_is_one_line_and_nothing_is_made_anew(mine: Path, content: bytes) -> None:
    (mine / "data" / "dataset.yaml").write_bytes(content)
    before = _beside(mine / "data")
    with pytest.raises(AulightError, match=r"dataset\.yaml: .*; restore it from a backup") as caught:
        _prepare(mine)
    assert "\n" not in str(caught.value)
    assert (_beside(mine / "data"), _beside(mine)) == (before, ["data", "labels.csv", "raw", "subjects.csv"])


def test_a_description_of_an_unknown_source_is_refused(mine: Path) -> None:
    described = yaml.safe_load((mine / "data" / "dataset.yaml").read_text())
    (mine / "data" / "dataset.yaml").write_text(yaml.safe_dump(described | {"source": None}))
    with pytest.raises(AulightError, match=r"data\.format was None, is folder"):
        _prepare(mine)
