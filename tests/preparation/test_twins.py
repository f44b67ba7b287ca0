"""A raw video that is there twice is of one subject, whatever it is called and however it is packed."""

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aulight.data.sources.raw import RawVideo
from aulight.data.video.write import write_video
from aulight.errors import AulightError
from aulight.preparation.twins import of_one_subject
from tests.data.video.test_digest import turned

Command = Callable[..., Any]
Frames = npt.NDArray[np.uint8]
Coded = Callable[..., Iterator[Frames]]


@pytest.fixture
def prepare(aulight: Command, tmp_path: Path, coded: Coded) -> Command:
    """Three videos, of which `x/a` and `y/b` are one, and a command on them with a table of subjects."""
    for number, name in enumerate(("x/a", "x/c")):
        path = tmp_path / "raw" / f"{name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, coded(number, 10, 96), 25)
    (tmp_path / "raw" / "y").mkdir()
    shutil.copy(tmp_path / "raw" / "x" / "a.mp4", tmp_path / "raw" / "y" / "b.mp4")

    def run(*settings: str, **subjects: str) -> Any:
        where = [f"data.source={tmp_path / 'raw'}", f"data.root={tmp_path / 'data'}"]
        if subjects:
            table = pd.DataFrame({"video": [name.replace("_", "/") for name in subjects], "subject": subjects.values()})
            table.to_csv(tmp_path / "subjects.csv", index=False)
            where.append(f"subjects={tmp_path / 'subjects.csv'}")
        return aulight("prepare", *where, "data.faces=none", "crop_size=64", "workers=1", *settings)

    return run


def _subjects(folder: Path) -> dict[str, str]:
    return dict(pd.read_parquet(folder / "data" / "videos.parquet")[["video_id", "subject"]].to_numpy().tolist())


def _repack(path: Path, other: Path) -> None:
    with av.open(str(path)) as old, av.open(str(other), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
    path.unlink()


def test_two_names_of_one_video_are_of_one_subject(prepare: Command, tmp_path: Path) -> None:
    outcome = prepare()
    assert outcome.status == 0, outcome.err
    assert "3 videos of 2 subjects" in outcome.out
    assert "note: x__a and y__b are the same video, of one subject: x__a\n" in outcome.out
    assert _subjects(tmp_path) == {"x__a": "x__a", "x__c": "x__c", "y__b": "x__a"}
    outcome = prepare(y_b="bob")  # names the person in both
    assert outcome.status == 0, outcome.err
    assert _subjects(tmp_path) == {"x__a": "bob", "x__c": "x__c", "y__b": "bob"}


def test_one_video_of_two_subjects_is_refused_at_once(prepare: Command, tmp_path: Path) -> None:
    outcome = prepare(x_a="anna", y_b="bob")
    assert outcome.status == 2
    raw = tmp_path / "raw"
    assert (
        f"aulight: {raw}/x/a.mp4 (subject anna) and {raw}/y/b.mp4 (subject bob) are the same video; give both one "
        "subject, or take one of them out of the folder" in outcome.err
    )
    assert "Preparing" not in outcome.err
    assert not (tmp_path / "data").exists()
    assert prepare(x_a="anna", y_b="ANNA").status == 0
    outcome = prepare("subjects_replace=true", x_a="anna", y_b="bob")
    assert outcome.status == 2
    assert "are the same video" in outcome.err
    assert set(_subjects(tmp_path).values()) == {"ANNA", "x__c"}


def test_empty_files_are_not_one_video(prepare: Command, tmp_path: Path) -> None:
    for name in ("x/a", "y/b"):
        (tmp_path / "raw" / f"{name}.mp4").write_bytes(b"")
    outcome = prepare(x_a="anna", y_b="bob", x_c="cleo")
    assert outcome.status == 0, outcome.err
    assert _subjects(tmp_path) == {"x__c": "cleo"}


def test_one_video_in_two_containers_is_one(prepare: Command, tmp_path: Path) -> None:
    """Which is known once it has been decoded, and then nothing is decoded again."""
    _repack(tmp_path / "raw" / "y" / "b.mp4", tmp_path / "raw" / "y" / "b.mkv")
    outcome = prepare(x_a="anna", y_b="bob", x_c="cleo")
    assert outcome.status == 2
    assert "b.mkv (subject bob) are the same video" in outcome.err
    assert not (tmp_path / "data").exists()
    outcome = prepare(x_a="anna", y_b="anna", x_c="cleo")
    assert outcome.status == 0, outcome.err
    assert "Preparing" not in outcome.err
    assert _subjects(tmp_path) == {"x__a": "anna", "x__c": "cleo", "y__b": "anna"}


def test_one_video_that_is_turned_otherwise_is_one(prepare: Command, tmp_path: Path) -> None:
    turned(tmp_path / "raw" / "x" / "a.mp4", tmp_path / "raw" / "y" / "b.mp4", 90)
    outcome = prepare(x_a="anna", y_b="bob", x_c="cleo")
    assert outcome.status == 2
    assert "b.mp4 (subject bob) are the same video" in outcome.err
    assert not (tmp_path / "data").exists()


def test_a_copy_that_is_added_later_is_found(prepare: Command, tmp_path: Path) -> None:
    assert prepare(x_a="anna", y_b="anna", x_c="cleo").status == 0
    copy = Path(shutil.copy(tmp_path / "raw" / "x" / "c.mp4", tmp_path / "raw" / "d.mp4"))
    _repack(copy, copy.with_suffix(".mkv"))
    outcome = prepare()
    assert outcome.status == 0, outcome.err
    assert "x__c and d" in outcome.out or "d and x__c" in outcome.out
    assert _subjects(tmp_path)["d"] == "cleo"


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["", "", "anna", "bob", "v0"]), st.sets(st.integers(0, 5), max_size=2)), max_size=6
    )
)
def test_who_is_whom_is_what_a_slow_loop_finds(rows: list[tuple[str, set[int]]]) -> None:
    """Equal contents are one person by way of any chain; a video is a subject of its own until it is said who it is."""
    videos = [RawVideo(f"v{place}", name or f"v{place}", Path(f"v{place}.mp4")) for place, (name, _) in enumerate(rows)]
    digests = {f"v{place}": {str(digest) for digest in contents} for place, (_, contents) in enumerate(rows)}
    group = {name: name for name in digests}
    for _ in rows:  # until nothing changes
        for one, other in itertools.product(digests, repeat=2):
            if digests[one] & digests[other]:
                group[one] = group[other] = min(group[one], group[other])
    counts = pd.Series([video.subject for video in videos], dtype=object).value_counts()
    said: dict[str, set[str]] = {name: set() for name in digests}
    for video in videos:
        if video.subject != video.video_id or counts[video.subject] > 1:
            said[group[video.video_id]].add(video.subject)
    size = pd.Series(group, dtype=object).value_counts()
    if any(len(names) > 1 and size[name] > 1 for name, names in said.items()):
        with pytest.raises(AulightError, match="are the same video; give both one subject"):
            of_one_subject(videos, digests)
        return
    now, notes = of_one_subject(videos, digests)
    assert [video.video_id for video in now] == list(digests)
    for before, video in zip(videos, now, strict=True):
        leader = group[video.video_id]
        assert video.subject == (before.subject if size[leader] == 1 else min(said[leader], default=leader))
    assert len(notes) == sum(count > 1 for count in size)
