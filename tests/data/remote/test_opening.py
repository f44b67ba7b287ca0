"""A dataset at an URL is the same as in its folder: tables, labels, clips and whole videos."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from aulight.data.contents import shown
from aulight.data.opening import open_remote
from aulight.data.store import PreparedDataset
from aulight.errors import AulightError, VideoError
from tests.data.coded import assert_same, contrastive, regression
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
    assert shown(there) == shown(data)


def test_tables_are_copied_once(uploaded: Any, proxy: Proxy, tmp_path: Path) -> None:
    at_url(tmp_path)
    got = [asked for asked in proxy.asked if asked[0] == "GET" and asked[2]]
    assert len(got) == 4
    at_url(tmp_path)
    assert [asked for asked in proxy.asked if asked[0] == "GET" and asked[2]] == got


def test_tables_that_changed_are_copied_anew(
    uploaded: Any, data: PreparedDataset, proxy: Proxy, tmp_path: Path
) -> None:
    before = at_url(tmp_path)
    changed = (data.root / "dataset.yaml").read_text().replace("name: coded", "name: other")
    uploaded.put_object(Key="set/dataset.yaml", Body=changed.encode())
    after = at_url(tmp_path)
    assert (before.name, after.name) == ("coded", "other")
    assert after.fingerprint != before.fingerprint  # which is still as it was opened


def test_no_dataset_is_told_in_one_line(bucket: Any, tmp_path: Path) -> None:
    with pytest.raises(AulightError, match=r"^s3://faces/set: no prepared dataset there \(dataset.yaml is missing\)"):
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


def test_a_missing_video_is_told_or_passed_over(uploaded: Any, data: PreparedDataset, tmp_path: Path) -> None:
    uploaded.Object("set/videos/v1.mp4").delete()
    there = at_url(tmp_path)
    line = r"s3://faces/set/videos/v1.mp4: not there; upload it"
    with pytest.raises(VideoError, match=f"^{line}"):
        list(contrastive(there).train_dataloader())
    batches = list(contrastive(there, on_error="skip").train_dataloader())
    skipped = {said for batch in batches for said in batch["skipped"]}
    assert len(skipped) == 1
    assert skipped.pop().startswith("s3://faces/set/videos/v1.mp4: not there")
