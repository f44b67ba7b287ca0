"""`aulight prepare` on a folder with odd files among the others: those are named, and the rest is done."""

import hashlib
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from aulight.data.description import read_description
from aulight.data.faces.model_file import model_file
from aulight.data.store import PreparedDataset
from aulight.data.video.write import write_video
from tests.data.video.films import late

Command = Callable[..., Any]
Frames = npt.NDArray[np.uint8]
COUNT = 20


@pytest.fixture
def plain(tmp_path: Path) -> list[str]:
    """Prepares without looking for faces."""
    (tmp_path / "raw").mkdir()
    places = [f"data.source={tmp_path / 'raw'}", f"data.root={tmp_path / 'data'}"]
    return ["prepare", *places, "data.faces=none", "crop_size=64", "workers=1"]


def test_labels_by_time_count_from_the_start_of_the_file(
    aulight: Command, plain: list[str], tmp_path: Path, coded: Callable[..., Iterator[Frames]]
) -> None:
    """Of a video that starts half a second after its sound: the frame at 0.6 s is the third, not the sixteenth."""
    late(tmp_path / "raw" / "late.mp4", list(coded(1, COUNT)))
    table = pd.DataFrame({"video": "late.mp4", "time_s": [0.5, 0.6, 1.26, 0.1], "AU12": [1, 3, 5, 2]})
    table.to_csv(tmp_path / "labels.csv", index=False)
    outcome = aulight(*plain, f"labels={tmp_path / 'labels.csv'}")
    assert outcome.status == 0, outcome.err
    data = PreparedDataset(tmp_path / "data")
    np.testing.assert_allclose(data.frames["time_s"], 0.5 + np.arange(COUNT) / 25, atol=1e-6)
    assert dict(zip(data.labels["frame"], data.labels["AU12"], strict=True)) == {0: 1, 2: 3, 19: 5}
    assert "late: its first frame is at 0.50 s; times count from the start of the file" in outcome.out
    assert "row 5 of the labels, late time_s 0.1: not used, the video has no frame there" in outcome.out


def test_odd_files_are_named_and_the_rest_is_prepared(
    aulight: Command, plain: list[str], tmp_path: Path, coded: Callable[..., Iterator[Frames]]
) -> None:
    raw, names = tmp_path / "raw", ["漢" * 83 + ".mp4", "a" * 251 + ".mp4", "plain.mp4"]
    for number, name in enumerate(names):
        write_video(raw / "clip.mp4", coded(number, COUNT), 25)
        (raw / "clip.mp4").rename(raw / name)
    (raw / "loop.mp4").symlink_to("loop.mp4")
    (raw / "film").mkdir()
    size = b"\0\0\xea\x60" * 2  # 60000 x 60000
    (raw / "film" / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + size + b"\x08\2\0\0\0" + bytes(40))
    outcome = aulight(*plain)
    assert outcome.status == 0, outcome.err
    assert f"{raw / 'loop.mp4'}: cannot be read (Too many levels of symbolic links)" in outcome.out
    assert f"not used: {raw / 'film'}: image 1.png" in outcome.out
    data = PreparedDataset(tmp_path / "data")
    assert len(data.videos) == 3
    assert data.meta["frames"] == 3 * COUNT
    outcome = aulight(*plain)
    assert outcome.status == 0, outcome.err
    assert len(PreparedDataset(tmp_path / "data").videos) == 3


def test_another_landmarker_is_remembered(
    aulight: Command, coded: Callable[..., Iterator[npt.NDArray[np.uint8]]], tmp_path: Path
) -> None:
    """The same networks in another file, which is told by its bytes alone."""
    raw, other = tmp_path / "raw", tmp_path / "other.task"
    raw.mkdir()
    write_video(raw / "a.mp4", coded(0, 4), 25)
    shutil.copy(model_file(), other)
    with zipfile.ZipFile(other, "a") as archive:
        archive.comment = b"another"
    given = ["prepare", f"data.source={raw}", f"data.root={tmp_path / 'data'}", "crop_size=64", "workers=1"]
    assert aulight(*given, f"faces.model={other}").status == 0
    digest = hashlib.sha256(other.read_bytes()).hexdigest()
    assert read_description(tmp_path / "data")["source"]["landmarker"] == digest
    write_video(raw / "b.mp4", coded(1, 4), 25)
    outcome = aulight(*given)
    assert (outcome.status, f"faces.model was {digest}, is the usual one" in outcome.err) == (2, True)
    assert aulight(*given, f"faces.model={other}").status == 0
