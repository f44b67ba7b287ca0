"""The prepared dataset on disk: what was written comes back, damage is named."""

import hashlib
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aulight.data import row_groups
from aulight.data.index import SCHEMA
from aulight.data.places import Files
from aulight.data.revising import replace_labels
from aulight.data.shards import Shards
from aulight.data.store import PreparedDataset
from aulight.data.writer import StoreWriter, label_rows
from aulight.errors import AulightError
from aulight.files import write_table
from tests.data.formats import as_format_1
from tests.data.test_segments import slow_usual_step

Make = Callable[..., PreparedDataset]


def test_what_was_written_comes_back(faces: PreparedDataset) -> None:
    faces = PreparedDataset(faces.root)
    assert (faces.name, faces.aus, faces.columns, faces.fps) == ("coded", (1, 12), ["AU01", "AU12"], 25.0)
    assert {key: faces.meta[key] for key in ("format", "videos", "frames", "subjects", "crop_size")} == {
        "format": 2,
        "videos": 3,
        "frames": 9,
        "subjects": 3,
        "crop_size": 64,
    }
    assert faces.videos.to_dict("list") == {
        "video_id": ["v0", "v1", "v2"],
        "subject": ["S0", "S1", "S2"],
        "frames": [3, 4, 2],
        "fps": [25.0] * 3,
        "split": ["train", "unlabelled", "test"],
        "file_sha256": [hashlib.sha256(b"").hexdigest()] * 3,
    }
    assert faces.frames["video_id"].tolist() == ["v0"] * 3 + ["v1"] * 4 + ["v2"] * 2
    assert faces.frames["frame"].tolist() == [0, 1, 2, 0, 1, 2, 3, 0, 1]
    assert faces.frames["source_frame"].tolist() == [5, 6, 9, 0, 1, 2, 3, 0, 2]
    np.testing.assert_allclose(faces.frames["time_s"], faces.frames["source_frame"] / 25)
    assert faces.frames["face_confidence"].tolist() == [1, 0, 0.5, 1, 1, 1, 1, 0.25, 1]
    assert str(faces.file(1)) == f"{faces.root}/shards/000000.tar (v1)"
    assert len(faces.files) == 3
    assert faces.rows(["S2", "S0", "nobody"]).tolist() == [0, 2]


def test_labels_are_nullable_int8_with_unknown_kept_apart_from_zero_and_a_row_for_what_is_known(
    faces: PreparedDataset,
) -> None:
    expected = pd.DataFrame(
        {
            "video_id": ["v0", "v0", "v0", "v2"],
            "frame": [0, 1, 2, 0],
            "AU01": pd.array([0, 5, None, 2], dtype="Int8"),
            "AU12": pd.array([1, None, 3, None], dtype="Int8"),
        }
    )
    pd.testing.assert_frame_equal(PreparedDataset(faces.root).labels, expected, check_dtype=False)
    assert [str(dtype) for dtype in faces.labels[faces.columns].dtypes] == ["Int8", "Int8"]


def test_unlabelled_dataset_says_so(tmp_path: Path, make_store: Make) -> None:
    data = make_store(tmp_path / "faces", [3], real=False, aus=())
    assert data.aus == ()
    with pytest.raises(AulightError, match=r"faces: has no labels \(labels.parquet is missing\)"):
        _ = data.labels


def test_blendshapes_are_kept_beside_the_frames(tmp_path: Path) -> None:
    scores = {"jawOpen": np.array([0.1, np.nan, 1], np.float32), "browDownLeft": np.array([0, 0, 0.5], np.float32)}
    with StoreWriter(tmp_path / "faces", {"name": "n", "aus": [], "fps": 25.0}) as writer:
        (writer.videos / "a.mp4").touch()
        writer.add("a", "S", 25.0, np.arange(3), np.array([1, 0, 1], np.float32), blendshapes=scores)
    data = PreparedDataset(tmp_path / "faces")
    expected = pd.DataFrame({"video_id": ["a"] * 3, "frame": range(3), **scores})
    pd.testing.assert_frame_equal(data.blendshapes, expected, check_dtype=False)
    assert list(data.frames.columns) == ["video_id", "frame", "source_frame", "time_s", "face_confidence"]


def test_a_dataset_without_blendshapes_says_how_to_get_them(faces: PreparedDataset) -> None:
    with pytest.raises(AulightError, match=r"faces: has no blendshape scores; .*faces\.blendshapes=true"):
        _ = faces.blendshapes


def _rewrite(name: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        path = root / f"{name}.parquet"
        change(pd.read_parquet(path)).to_parquet(path, index=False)

    return damage


def _describe(**changed: Any) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        path = root / "dataset.yaml"
        meta = yaml.safe_load(path.read_text()) | changed
        path.write_text(yaml.safe_dump({key: value for key, value in meta.items() if value != "gone"}))

    return damage


def _bytes(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda root: (root / name).write_bytes(content)


def _cut(name: str) -> Callable[[Path], object]:
    return lambda root: (root / name).write_bytes((root / name).read_bytes()[:-20])


def _garble(name: str) -> Callable[[Path], None]:
    """Only the pages, not the index, so that the file opens."""

    def damage(root: Path) -> None:
        whole = bytearray((root / name).read_bytes())
        whole[4:60] = bytes(range(200, 256))
        (root / name).write_bytes(bytes(whole))

    return damage


def _claim_rows(root: Path) -> None:
    """The first frame 8 million times, which is packed into some kB."""
    path = root / "frames.parquet"
    group = pq.read_table(path).take(np.zeros(1_000_000, np.int64))
    with pq.ParquetWriter(path, group.schema, compression="zstd") as writer:
        for _ in range(8):
            writer.write_table(group)


def _reindex(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        path = root / "index.parquet"
        table = pa.Table.from_pandas(change(pd.read_parquet(path)), SCHEMA, preserve_index=False)
        pq.write_table(table, path)

    return damage


def _set(name: str, row: int, column: str, value: Any) -> Callable[[Path], None]:
    def change(table: pd.DataFrame) -> pd.DataFrame:
        table = table.astype({column: object})
        table.iloc[row, table.columns.get_loc(column)] = value  # type: ignore[index]  # of a unique column
        return table.infer_objects()

    return _rewrite(name, change)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (shutil.rmtree, r"faces: no prepared dataset there"),
    "no description": (lambda root: (root / "dataset.yaml").unlink(), r"dataset\.yaml: missing; restore it"),
    "not yaml": (_bytes("dataset.yaml", b"a: [1\nb: {"), r"dataset\.yaml: not readable as YAML \(.*\); restore it"),
    "not text": (_bytes("dataset.yaml", b"\xff\xfe\x80"), r"dataset\.yaml: not readable as YAML \(.*\); restore it"),
    "nested": (_bytes("dataset.yaml", b"[" * 1200), r"dataset\.yaml: not readable as YAML \(.*\); restore it"),
    "a list": (_bytes("dataset.yaml", b"- 1"), r"dataset\.yaml: damaged; restore it"),
    "no names": (_bytes("dataset.yaml", b"1: 2"), r"dataset\.yaml: damaged; restore it"),
    "empty": (_bytes("dataset.yaml", b""), r"dataset\.yaml: empty; restore it"),
    "zeros, as after a power cut": (
        _bytes("dataset.yaml", bytes(300)),
        r"dataset\.yaml: not readable as YAML \(.*\); restore it",
    ),
    "cut": (lambda root: (root / "dataset.yaml").write_text("format: 1\nname: co"), r"dataset\.yaml: has no 'aus'"),
    "format of text": (_describe(format="one"), r"dataset\.yaml: format: .*integer; restore it"),
    "fps of text": (_describe(fps="fast"), r"dataset\.yaml: fps: .*number; restore it"),
    "no fps": (_describe(fps=0), r"dataset\.yaml: fps: .*greater than 0; restore it"),
    "infinite fps": (_describe(fps=float("inf")), r"dataset\.yaml: fps: .*finite number; restore it"),
    "counts below 0": (_describe(frames=-1), r"dataset\.yaml: frames: .*greater than or equal to 0; restore it"),
    "a source that is none": (_describe(source=[1]), r"dataset\.yaml: source: .*dictionary; restore it"),
    "skipped that are none": (_describe(skipped=["a"]), r"dataset\.yaml: skipped: .*dictionary; restore it"),
    "crop size of text": (_describe(crop_size="big"), r"dataset\.yaml: crop_size: .*integer; restore it"),
    "no AUs": (_describe(aus="gone"), r"dataset\.yaml: has no 'aus'"),
    "no counts": (_describe(frames="gone"), r"dataset\.yaml: has no 'frames'"),
    "AUs are no numbers": (_describe(aus=["smile"]), r"dataset\.yaml: aus\.0: .*integer; restore it"),
    "newer": (_describe(format=3), r"dataset\.yaml: format 3, this aulight reads up to 2; update aulight"),
    "other counts": (_describe(videos=4), r"videos\.parquet: 3 videos and 9 frames, dataset\.yaml says 4 and 9"),
    "no videos table": (lambda root: (root / "videos.parquet").unlink(), r"videos\.parquet: missing or damaged"),
    "videos cut": (_cut("videos.parquet"), r"videos\.parquet: missing or damaged"),
    "videos garbled": (_garble("videos.parquet"), r"videos\.parquet: missing or damaged"),
    "videos of text": (_bytes("videos.parquet", b"hello"), r"videos\.parquet: missing or damaged"),
    "videos without subjects": (
        _rewrite("videos", lambda t: t.drop(columns="subject")),
        r"videos\.parquet: has no column subject",
    ),
    "a video without a name": (
        _set("videos", 1, "video_id", None),
        r"videos\.parquet: column video_id is not a text in every row; restore it",
    ),
    "videos with numbers for names": (
        _rewrite("videos", lambda t: t.assign(video_id=[0, 1, 2])),
        r"videos\.parquet: column video_id is not a text in every row; restore it",
    ),
    "lengths of text": (
        _rewrite("videos", lambda t: t.assign(frames=["3", "4", "2"])),
        r"videos\.parquet: column frames is not a whole number in every row; restore it",
    ),
    "a video twice": (_set("videos", 1, "video_id", "v0"), r"videos\.parquet: video v0 is listed twice"),
    "a video of no frames": (
        _rewrite("videos", lambda t: t.assign(frames=[7, 0, 2])),
        r"videos\.parquet: video v1 has no frames; restore it",
    ),
    "no frames table": (lambda root: (root / "frames.parquet").unlink(), r"frames\.parquet: missing or damaged"),
    "frames cut": (_cut("frames.parquet"), r"frames\.parquet: missing or damaged"),
    "labels cut": (_cut("labels.parquet"), r"labels\.parquet: missing or damaged"),
    "labels of other AUs": (_describe(aus=[1]), r"labels\.parquet: columns \['AU01', 'AU12'\].* lists \['AU01'\]"),
    "labels without frames": (
        _rewrite("labels", lambda t: t.drop(columns="frame")),
        r"labels\.parquet: has no column frame",
    ),
    "intensity of 6": (_set("labels", 0, "AU01", 6), r"labels\.parquet: intensities outside 0\.\.5"),
    "intensity of -1": (_set("labels", 0, "AU01", -1), r"labels\.parquet: intensities outside 0\.\.5"),
    "intensity of 1.5": (_set("labels", 0, "AU01", 1.5), r"labels\.parquet: intensities that are not whole numbers"),
    "label of no frame": (_set("labels", 2, "frame", 3), r"labels\.parquet: frame 3 of video v0 is not in the dataset"),
    "label before the video": (_set("labels", 0, "frame", -1), r"frame -1 of video v0 is not in the dataset"),
    "label of no video": (_set("labels", 0, "video_id", "x"), r"labels\.parquet: frame 0 of video x is not in the"),
    "a label twice": (_set("labels", 1, "frame", 0), r"labels\.parquet: frame 0 of video v0 is listed twice"),
    "a frame lost": (_rewrite("frames", lambda t: t.iloc[1:]), r"frames\.parquet: 8 rows, dataset.yaml says 9 frames"),
    "a frame too many": (
        _rewrite("frames", lambda t: pd.concat([t, t.iloc[-1:]])),
        r"frames\.parquet: 10 rows, dataset.yaml says 9 frames",
    ),
    "frames without end": (_claim_rows, r"frames\.parquet: 8000000 rows, dataset.yaml says 9 frames; restore it"),
    "no index": (lambda root: (root / "index.parquet").unlink(), r"index\.parquet: missing or damaged"),
    "index cut": (_cut("index.parquet"), r"index\.parquet: missing or damaged"),
    "index garbled": (_garble("index.parquet"), r"index\.parquet: missing or damaged"),
    "index without digests": (
        _rewrite("index", lambda t: t.assign(digest="x")),
        r"index\.parquet: column digest is not of 16 bytes in every row; restore it",
    ),
    "a segment lost": (
        _reindex(lambda t: t[t["video"] != 1]),
        r"index\.parquet: does not have the 4 frames of video v1; restore it",
    ),
    "a segment twice": (
        _reindex(lambda t: t.iloc[[0, 1, 1, 2]]),
        r"index\.parquet: does not have the 4 frames of video v1; restore it",
    ),
    "a segment that begins later": (
        _reindex(lambda t: t.assign(first=1)),
        r"index\.parquet: does not have the 3 frames of video v0; restore it",
    ),
    "segments out of order": (
        _reindex(lambda t: t.iloc[::-1]),
        r"index\.parquet: segments of no video, or not in order",
    ),
    "segments of no video": (
        _reindex(lambda t: t.assign(video=[0, 1, 7])),
        r"index\.parquet: segments of no video, or not in order; restore it",
    ),
    "a place that cannot be": (
        _reindex(lambda t: t.assign(offset=-1)),
        r"index\.parquet: places before the first byte; restore it",
    ),
    "no shard": (
        lambda root: (root / "shards" / "000000.tar").unlink(),
        r"shards/000000\.tar: missing \(1 of 1 shards are\); restore it",
    ),
    "no fingerprint": (_describe(fingerprint="x"), r"dataset\.yaml: fingerprint: .*; restore it"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_named_in_one_line(faces: PreparedDataset, kind: str) -> None:
    damage, message = DAMAGE[kind]
    damage(faces.root)
    with pytest.raises(AulightError, match=message) as caught:
        _ = PreparedDataset(faces.root).labels
    assert str(faces.root) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not re.search("remove|delete", str(caught.value))


FORMER: dict[str, tuple[Callable[[Path], object], str]] = {
    "a video elsewhere": (
        _rewrite("videos", lambda t: t.assign(path=["../a.mp4", *t["path"][1:]])),
        r"videos\.parquet: \.\./a\.mp4 is not in the dataset's folder; restore it",
    ),
    "frames of another video": (
        _rewrite("frames", lambda t: pd.concat([t, t.iloc[-1:].assign(video_id="x")])),
        r"frames\.parquet: video x is not in videos\.parquet",
    ),
    "frames of a video apart": (
        _rewrite("frames", lambda t: t.iloc[[0, 1, 3, 4, 5, 6, 2, 7, 8]]),
        r"frames\.parquet: frames of video v0 are not together; restore it",
    ),
    "no video file": (
        lambda root: (root / "videos" / "v1.mp4").unlink(),
        r"v1\.mp4: missing \(1 of 3 videos are\)",
    ),
    "frames without names": (
        _rewrite("frames", lambda t: t.drop(columns="video_id")),
        r"frames\.parquet: column video_id is not a text in every row; restore it",
    ),
    "frames garbled": (_garble("frames.parquet"), r"frames\.parquet: missing or damaged"),
    "a frame lost": (_rewrite("frames", lambda t: t.iloc[1:]), r"frames\.parquet: does not have the 3 frames of .* v0"),
    "a frame too many": (
        _rewrite("frames", lambda t: pd.concat([t, t.iloc[-1:]])),
        r"frames\.parquet: does not have the 2 frames of video v2",
    ),
    "frames without end": (_claim_rows, r"frames\.parquet: claims 8,000,000 rows, more than can be in .*; restore it"),
}
"""Of format 1."""


@pytest.mark.parametrize("kind", FORMER)
def test_damage_of_format_1_is_named_in_one_line(faces: PreparedDataset, kind: str) -> None:
    as_format_1(faces.root)
    damage, message = FORMER[kind]
    damage(faces.root)
    with pytest.raises(AulightError, match=message) as caught:
        PreparedDataset(faces.root)
    assert str(faces.root) in str(caught.value)
    assert "\n" not in str(caught.value)


FRAMES: dict[str, tuple[Callable[[Path], object], str]] = {
    "confidence of text": (
        _rewrite("frames", lambda t: t.assign(face_confidence="high")),
        r"frames\.parquet: column face_confidence is not a number in every row; restore it",
    ),
    "no numbers": (
        _rewrite("frames", lambda t: t.drop(columns="source_frame")),
        r"frames\.parquet: (has no column source_frame|column source_frame is not).*; restore it",
    ),
    "frames garbled": (_garble("frames.parquet"), r"frames\.parquet: missing or damaged"),
    "frames without names": (
        _rewrite("frames", lambda t: t.drop(columns="video_id")),
        r"frames\.parquet: (has no column video_id|column video_id is not a text).*; restore it",
    ),
    "frames of a video apart": (
        _rewrite("frames", lambda t: t.iloc[[0, 1, 3, 4, 5, 6, 2, 7, 8]]),
        r"frames\.parquet: frames are not in the order of videos.parquet; restore it",
    ),
    "a number lost": (_set("frames", 2, "source_frame", None), r"frames\.parquet: column source_frame is not a whole"),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_damage_that_opening_does_not_see_is_named_when_read(faces: PreparedDataset, kind: str) -> None:
    damage, message = FRAMES[kind]
    damage(faces.root)
    data = PreparedDataset(faces.root)
    with pytest.raises(AulightError, match=message):
        _ = data.frames
    with pytest.raises(AulightError, match=message):
        list(data.frames_of(data.videos["video_id"]))


@pytest.mark.parametrize("kind", [kind for kind in FRAMES if "names" not in kind and "apart" not in kind])
def test_damage_of_format_1_is_named_when_runs_are_looked_for(faces: PreparedDataset, kind: str) -> None:
    as_format_1(faces.root)
    damage, message = FRAMES[kind]
    damage(faces.root)
    with pytest.raises(AulightError, match=message):
        _ = PreparedDataset(faces.root).segments


RUNS: dict[str, tuple[Callable[[Path], object], str]] = {
    "none": (lambda root: (root / "runs.parquet").unlink(), r"runs\.parquet: missing or damaged; restore it"),
    "garbled": (_garble("runs.parquet"), r"runs\.parquet: missing or damaged; restore it"),
    "of text": (_rewrite("runs", lambda t: t.assign(stop="x")), r"runs\.parquet: column stop is not a whole number in"),
    "of no video": (_rewrite("runs", lambda t: t.assign(video=3)), r"runs\.parquet: frames that no video has; restore"),
    "too long": (_rewrite("runs", lambda t: t.assign(stop=5)), r"runs\.parquet: frames that no video has; restore it"),
    "empty": (_rewrite("runs", lambda t: t.assign(stop=0)), r"runs\.parquet: frames that no video has; restore it"),
}


@pytest.mark.parametrize("kind", RUNS)
def test_damaged_runs_are_named(faces: PreparedDataset, kind: str) -> None:
    damage, message = RUNS[kind]
    damage(faces.root)
    with pytest.raises(AulightError, match=message):
        _ = PreparedDataset(faces.root).segments


def test_frames_out_of_order_are_named(faces: PreparedDataset) -> None:
    as_format_1(faces.root)
    _rewrite("frames", lambda t: t.iloc[[0, 1, 2, 3, 5, 4, 6, 7, 8]])(faces.root)
    with pytest.raises(
        AulightError, match=r"frames\.parquet: frames of video v1 are not numbered from 0, in order; rest"
    ):
        _ = PreparedDataset(faces.root).segments


def test_tables_that_were_replaced_meanwhile_are_not_mixed(faces: PreparedDataset) -> None:
    """One who opened the dataset before does not get the labels of after."""
    early = PreparedDataset(faces.root)
    replace_labels(faces, {**faces.meta, "aus": [4]}, label_rows("v1", {4: [1, None, None, None]}), faces.videos)
    for table in ("labels", "frames", "segments", "blendshapes", "fingerprint"):
        with pytest.raises(AulightError, match="has changed it meanwhile; give the same command again"):
            getattr(early, table)
    with pytest.raises(AulightError, match="has changed it meanwhile; give the same command again"):
        list(early.frames_of(["v0"]))
    assert early.meta["fingerprint"] != PreparedDataset(faces.root).fingerprint
    assert len(PreparedDataset(faces.root).labels) == 1


def test_opening_reads_no_table_whole_but_the_videos(faces: PreparedDataset) -> None:
    faces = PreparedDataset(faces.root)
    _ = faces.segments
    assert "frames" not in vars(faces)
    assert "labels" not in vars(faces)


def test_people_are_numbered_and_who_is_not_named_is_nobody_else(tmp_path: Path, make_store: Make) -> None:
    make_store(tmp_path / "faces", [3] * 6, real=False)
    path = tmp_path / "faces" / "videos.parquet"
    table = pd.read_parquet(path)
    pd.DataFrame(table.assign(subject=["B", "", "A", "B", " ", "A"])).to_parquet(path, index=False)
    people = PreparedDataset(tmp_path / "faces").people
    assert people.dtype == np.int64
    same = people[:, None] == people
    assert [np.flatnonzero(row).tolist() for row in same] == [[0, 3], [1], [2, 5], [0, 3], [4], [2, 5]]


def _slow_segments(confidence: list[list[float]], source: list[list[int]]) -> list[tuple[int, int, int]]:
    """Frame by frame."""
    runs: list[tuple[int, int, int]] = []
    for video, (seen, numbers) in enumerate(zip(confidence, source, strict=True)):
        start: int | None = None
        for frame in range(len(seen) + 1):
            gap = 0 < frame < len(seen) and numbers[frame] - numbers[frame - 1] > slow_usual_step(numbers)
            ends = frame == len(seen) or seen[frame] == 0 or gap
            if ends and start is not None:
                runs.append((video, start, frame))
                start = None
            if frame < len(seen) and seen[frame] > 0 and start is None:
                start = frame
    return runs


_VIDEO = st.lists(
    st.tuples(st.sampled_from([0.0, 0.3, 1.0, 1.0, 1.0]), st.sampled_from([1, 1, 1, 1, 2, 2, 3, 7])),
    min_size=1,
    max_size=12,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(videos=st.lists(_VIDEO, min_size=1, max_size=4), group=st.sampled_from([1, 2, 3, 5, 100_000]))
def test_segments_are_those_of_a_slow_loop(
    tmp_path: Path, make_store: Make, videos: list[list[tuple[float, int]]], group: int
) -> None:
    confidence = [[seen for seen, _ in video] for video in videos]
    source = [np.cumsum([step for _, step in video]).tolist() for video in videos]
    shutil.rmtree(tmp_path / "faces", ignore_errors=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_groups, "ROWS", group)
        data = make_store(tmp_path / "faces", [len(video) for video in videos], confidence, source, real=False)
        found = data.segments
        former = as_format_1(data.root).segments
    for runs in (found, former):
        assert list(runs.columns) == ["video", "start", "stop"]
        assert list(runs.itertuples(index=False, name=None)) == _slow_segments(confidence, source)


@pytest.mark.parametrize("numbers", [[0, 2, 4, 6, 8, 10], [1, 4, 7, 10, 13, 16], [0, 1, 3, 4, 6, 7]])
def test_pictures_that_were_thinned_evenly_are_one_run(tmp_path: Path, make_store: Make, numbers: list[int]) -> None:
    source = [numbers, [*numbers[:3], *(number + 20 for number in numbers[3:])]]
    data = make_store(tmp_path / "faces", [6, 6], source=source, real=False)
    assert data.segments.to_numpy().tolist() == [[0, 0, 6], [1, 0, 3], [1, 3, 6]]


def test_a_run_does_not_go_on_from_one_video_to_the_next(tmp_path: Path, make_store: Make) -> None:
    # the next video's frames are numbered on in the raw files, as if they were one
    data = make_store(tmp_path / "faces", [4, 4], source=[[0, 1, 2, 3], [4, 5, 6, 7]], real=False)
    assert data.segments.to_numpy().tolist() == [[0, 0, 4], [1, 0, 4]]


def test_tables_that_were_changed_by_hand_have_another_fingerprint(faces: PreparedDataset) -> None:
    """Whatever is noted; oracle: what is found where nothing is noted."""
    root, first = faces.root, faces.fingerprint
    described = (root / "dataset.yaml").read_text()
    unnoted = yaml.safe_dump({k: v for k, v in yaml.safe_load(described).items() if k != "fingerprint"})
    changes: dict[str, Callable[[], object]] = {
        "labels": lambda: write_table(faces.labels.assign(AU01=0), root / "labels.parquet"),
        "videos": lambda: write_table(faces.videos.assign(subject="S9"), root / "videos.parquet"),
        "frames": lambda: write_table(
            pd.read_parquet(root / "frames.parquet").assign(time_s=0.0), root / "frames.parquet"
        ),
    }
    found = {first}
    for name, change in changes.items():
        change()
        now = PreparedDataset(root).fingerprint
        (root / "dataset.yaml").write_text(unnoted)
        assert PreparedDataset(root).fingerprint == now, name
        (root / "dataset.yaml").write_text(described)
        found.add(now)
    (root / "dataset.yaml").write_text(described.replace("name: coded", "name: other"))
    found.add(PreparedDataset(root).fingerprint)
    assert len(found) == 5


def test_fingerprint_is_of_the_content_not_of_the_folder(tmp_path: Path, make_store: Make) -> None:
    def made(name: str, **changed: Any) -> str:
        arguments: dict[str, Any] = {"lengths": [3, 4], "labels": [{1: [0, 1, 2], 12: [0, 0, 0]}, None]}
        return make_store(tmp_path / name, real=False, **arguments | changed).fingerprint

    first = made("one")
    assert made("two") == first
    (tmp_path / "one").rename(tmp_path / "moved")
    assert PreparedDataset(tmp_path / "moved").fingerprint == first
    described = yaml.safe_load((tmp_path / "two" / "dataset.yaml").read_text())
    assert described.pop("fingerprint") == first, "noted, and else looked for"
    for source, same in (({"folder": "/elsewhere", "gop": 2}, True), ({"folder": "/elsewhere", "seed": 1}, False)):
        (tmp_path / "two" / "dataset.yaml").write_text(yaml.safe_dump(described | {"source": source}))
        assert (PreparedDataset(tmp_path / "two").fingerprint == first) == same
    table = pd.read_parquet(tmp_path / "two" / "frames.parquet")
    table.to_parquet(tmp_path / "two" / "frames.parquet", index=False, row_group_size=2)
    (tmp_path / "two" / "dataset.yaml").write_text(yaml.safe_dump(described))
    assert PreparedDataset(tmp_path / "two").fingerprint == first, "rows grouped otherwise in the file"
    others = [
        made("label", labels=[{1: [0, 1, 3], 12: [0, 0, 0]}, None]),
        made("unknown", labels=[{1: [0, 1, None], 12: [0, 0, 0]}, None]),
        made("none", labels=None),
        made("confidence", confidence=[[1, 1, 0], [1, 1, 1, 1]]),
        made("lengths", lengths=[3, 5]),
        made("column", columns=[{"split": "a"}, {"split": "b"}]),
    ]
    assert len({first, *others}) == 1 + len(others)


def test_a_table_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    table = pd.DataFrame({"a": [1, 2]})
    write_table(table, tmp_path / "t.parquet")
    with pytest.raises(pa.ArrowException):
        write_table(pd.DataFrame({"a": [{1, 2}, object()]}), tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "t.parquet"), table)


def test_frames_are_compared_with_their_videos_stretch_by_stretch(
    faces: PreparedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever one of them is of another video."""
    path = faces.root / "frames.parquet"
    whole = pd.read_parquet(path)
    for rows in (1, 2, 4, 9, 100):
        monkeypatch.setattr(row_groups, "ROWS", rows)
        pd.testing.assert_frame_equal(PreparedDataset(faces.root).frames[list(whole)], whole, check_dtype=False)
        for row in range(len(whole)):
            wrong = whole.copy()
            wrong.loc[row, "video_id"] = "v1" if wrong["video_id"][row] != "v1" else "v2"
            wrong.to_parquet(path, index=False)
            with pytest.raises(AulightError, match=r"frames are not in the order of videos\.parquet"):
                _ = PreparedDataset(faces.root).frames
        whole.to_parquet(path, index=False)


def test_one_long_name_costs_no_more_than_its_letters(tmp_path: Path) -> None:
    """As they are given to each loader process."""
    names = [f"v{row}" for row in range(10_000)] + ["ä" * 100]
    files = Files(Shards(tmp_path), pa.array(names, pa.large_string()), None)
    sent = pickle.dumps(files)
    assert len(sent) < 2 * (sum(len(name.encode()) for name in names) + 8 * len(names))
    assert [pickle.loads(sent)[row] for row in (0, 9_999, 10_000)] == [tmp_path / names[row] for row in (0, 9_999, -1)]
