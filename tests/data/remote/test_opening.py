"""A dataset at an URL is the same as in its folder: tables, labels, clips and whole videos."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from aulight.data import packing
from aulight.data.contents import shown
from aulight.data.opening import open_remote
from aulight.data.places import Segments
from aulight.data.remote.shelf import RemoteFile
from aulight.data.store import PreparedDataset
from aulight.data.video.prepared import open_video
from aulight.errors import AulightError, VideoError
from tests.data.coded import Make, assert_same, build, contrastive, regression
from tests.data.formats import as_format_1
from tests.data.remote.conftest import BUCKET, QUICK, Proxy

URL = f"s3://{BUCKET}/set"


def upload(bucket: Any, root: Path) -> None:
    for path in sorted(root.rglob("*")):
        if path.is_file():
            bucket.upload_file(str(path), f"set/{path.relative_to(root).as_posix()}")


@pytest.fixture
def uploaded(bucket: Any, data: PreparedDataset) -> Any:
    upload(bucket, data.root)
    return bucket


def at_url(folder: Path, most_bytes: int = 10**9) -> PreparedDataset:
    return open_remote(URL, folder / "cache", most_bytes, QUICK)


def test_tables_are_those_of_the_folder(uploaded: Any, data: PreparedDataset, tmp_path: Path) -> None:
    there = at_url(tmp_path)
    assert there.fingerprint == data.fingerprint
    pd.testing.assert_frame_equal(there.videos, data.videos)
    pd.testing.assert_frame_equal(there.labels, data.labels)
    pd.testing.assert_frame_equal(there.frames, data.frames)
    assert shown(there).trained_on() == shown(data).trained_on()
    np.testing.assert_array_equal(shown(there).contents, shown(data).contents)


def test_tables_are_copied_once(uploaded: Any, proxy: Proxy, tmp_path: Path) -> None:
    at_url(tmp_path)
    got = [asked for asked in proxy.asked if asked[0] == "GET" and asked[2]]
    assert len(got) == 6
    at_url(tmp_path)
    assert [asked for asked in proxy.asked if asked[0] == "GET" and asked[2]] == got


def test_tables_that_changed_are_copied_anew(
    uploaded: Any, data: PreparedDataset, proxy: Proxy, tmp_path: Path
) -> None:
    before = at_url(tmp_path)
    changed = (
        (data.root / "dataset.yaml")
        .read_text()
        .replace("name: coded", "name: other")
        .replace("fingerprint:", "former:")
    )
    uploaded.put_object(Key="set/dataset.yaml", Body=changed.encode())
    after = at_url(tmp_path)
    assert (before.name, after.name) == ("coded", "other")
    assert after.fingerprint != before.fingerprint  # which is still as it was opened


def test_no_dataset_is_told_in_one_line(bucket: Any, tmp_path: Path) -> None:
    with pytest.raises(AulightError, match=r"^s3://faces/set: no prepared dataset there \(dataset.yaml is missing\)"):
        at_url(tmp_path)


def test_who_may_not_list_the_bucket_reads_what_is_there(
    bucket: Any, data: PreparedDataset, proxy: Proxy, tmp_path: Path
) -> None:
    """Without labels, and after a table was replaced: S3 does not tell them what is not there."""
    description = yaml.safe_load((data.root / "dataset.yaml").read_text())
    description |= {"aus": [], "revision": 1}
    for name in ("fingerprint", "tables"):
        description.pop(name, None)
    upload(bucket, data.root)
    bucket.put_object(Key="set/dataset.yaml", Body=yaml.safe_dump(description).encode())
    bucket.Object("set/labels.parquet").delete()
    proxy.lists = False
    there = at_url(tmp_path)
    assert not there.has_labels
    pd.testing.assert_frame_equal(there.frames, data.frames)


def test_first_labels_that_have_not_got_their_name_yet_are_read(
    bucket: Any, data: PreparedDataset, tmp_path: Path
) -> None:
    """As a killed `prepare labels=` leaves them, and somebody uploads them."""
    description = yaml.safe_load((data.root / "dataset.yaml").read_text())
    assert "labels" in description["tables"]
    upload(bucket, data.root)
    bucket.put_object(Key="set/dataset.yaml", Body=yaml.safe_dump(description | {"revision": 1}).encode())
    bucket.Object("set/labels.parquet").delete()
    bucket.upload_file(str(data.root / "labels.parquet"), "set/.labels.1.parquet")
    there = at_url(tmp_path)
    assert there.fingerprint == data.fingerprint
    pd.testing.assert_frame_equal(there.labels, data.labels)


@pytest.mark.parametrize("closed", ["dataset.yaml", "videos.parquet", "labels.parquet"])
def test_a_table_that_is_there_and_may_not_be_read_is_told(
    uploaded: Any, proxy: Proxy, tmp_path: Path, closed: str
) -> None:
    proxy.closed, proxy.lists = closed, False
    with pytest.raises(AulightError, match=rf"^s3://faces/set/{closed}: may not be read .* set credentials"):
        at_url(tmp_path)


@pytest.mark.parametrize("workers", [0, 2])
def test_clips_are_those_of_the_folder(
    uploaded: Any, data: PreparedDataset, proxy: Proxy, tmp_path: Path, workers: int
) -> None:
    proxy.faults.extend(["", "", "cut:50", "503", ""] * 4)
    there = at_url(tmp_path, most_bytes=100_000)  # less than the videos
    for make in (contrastive, regression):
        loader = make(there, workers=workers).train_dataloader()
        assert_same(list(loader), list(make(data, workers=0).train_dataloader()))


def test_whole_videos_are_those_of_the_folder(uploaded: Any, data: PreparedDataset, tmp_path: Path) -> None:
    assert_same(list(regression(at_url(tmp_path)).val_dataloader()), list(regression(data).val_dataloader()))


def test_of_format_1_files_are_read_in_blocks(bucket: Any, data: PreparedDataset, tmp_path: Path) -> None:
    upload(bucket, as_format_1(Path(shutil.copytree(data.root, tmp_path / "former"))).root)
    there = at_url(tmp_path)
    assert isinstance(there.file(0), RemoteFile)
    assert there.fingerprint == data.fingerprint
    assert_same(list(contrastive(there).train_dataloader()), list(contrastive(data).train_dataloader()))
    assert_same(list(regression(there).val_dataloader()), list(regression(data).val_dataloader()))


@pytest.fixture
def many(bucket: Any, make_store: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The same with a shard for each video."""
    monkeypatch.setattr(packing, "SHARD_BYTES", 1)
    upload(bucket, build(make_store, tmp_path / "many").root)
    return bucket


def test_no_shards_are_asked_for_but_those_that_are_read(many: Any, proxy: Proxy, tmp_path: Path) -> None:
    there = at_url(tmp_path)
    proxy.asked.clear()
    open_video(there.file(3)).read([0, 20])
    place = there.file(3)
    assert isinstance(place, Segments)
    (part,) = (segment.part for segment in place.parts)
    asked = [(name, bytes_) for method, name, bytes_ in proxy.asked if method == "GET"]
    assert asked == [(f"/{BUCKET}/set/shards/000003.tar", f"bytes={part.offset}-{part.offset + part.size - 1}")]


def test_a_damaged_shard_is_told_when_it_arrives(many: Any, tmp_path: Path) -> None:
    key = "set/shards/000002.tar"
    content = bytearray(many.Object(key).get()["Body"].read())
    content[700] ^= 1
    many.put_object(Key=key, Body=bytes(content))
    there = at_url(tmp_path)
    with pytest.raises(
        VideoError, match=r"^s3://faces/set/shards/000002\.tar: damaged: bytes \d+ to \d+ are not those"
    ):
        open_video(there.file(2)).read([0])
    open_video(there.file(1)).read([0])


def test_a_missing_shard_is_told_or_passed_over(many: Any, tmp_path: Path) -> None:
    many.Object("set/shards/000001.tar").delete()
    there = at_url(tmp_path)
    line = r"s3://faces/set/shards/000001.tar: not there; upload it"
    with pytest.raises(VideoError, match=f"^{line}"):
        list(contrastive(there).train_dataloader())
    batches = list(contrastive(there, on_error="skip").train_dataloader())
    skipped = {said for batch in batches for said in batch["skipped"]}
    assert len(skipped) == 1
    assert skipped.pop().startswith("s3://faces/set/shards/000001.tar: not there")
