"""Which raw videos are still to be made, and what is said when one cannot be written; real files."""

import errno
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aulight.data.sources.raw import RawVideo
from aulight.data.video.raw import raw_info
from aulight.data.video.types import Frames, RawInfo
from aulight.data.video.write import write_video
from aulight.preparation import videos
from aulight.preparation.recipe import Finding, Recipe
from aulight.preparation.videos import VideoMaker, video_of
from aulight.workers.hiring import Workers


def test_only_what_is_missing_is_opened_when_a_command_goes_on(
    tmp_path: Path,
    coded: Callable[..., Iterator[Frames]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The bar counts the frames of those that are made all the same."""
    raw = [RawVideo(name, name, tmp_path / f"{name}.mp4") for name in "abc"]
    for number, video in enumerate(raw):
        write_video(video.path, coded(number, 5 + number), 25)
    recipe = Recipe("folder", tmp_path, None, None, {}, 64, None)
    opened, plain = list[str](), raw_info

    def counted(path: Path, fps: float | None = None, exact: bool = True) -> RawInfo:
        opened.append(path.stem)
        return plain(path, fps, exact)

    def make(some: list[RawVideo]) -> None:
        opened.clear()
        assert videos.make_videos(some, tmp_path, recipe, None, "raise", Workers(1)) == {}

    monkeypatch.setattr(videos, "raw_info", counted)
    make(raw[:2])
    capsys.readouterr()
    make(raw)
    assert opened == ["c"]
    assert "18/18" in capsys.readouterr().err
    make(raw)
    assert opened == []
    write_video(raw[1].path, coded(7, 9), 25)
    make(raw)
    assert opened == ["b"]


@pytest.mark.parametrize("processors", [1, 8])
def test_a_full_disk_is_told_and_nobody_works_on(
    processors: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer fails while threads decode and cut, where there are CPUs for that; oracle: the system's own error."""

    def full(path: Path, frames: Iterator[Frames], *_rest: Any, **_more: Any) -> int:
        next(frames)
        raise OSError(errno.ENOSPC, "No space left on device")

    raw = tmp_path / "raw.mp4"
    noise = np.random.default_rng(0).integers(256, size=(40, 64, 64, 3), dtype=np.uint8)
    # large pictures, so that the one who cuts waits for the one who decodes
    write_video(raw, (picture.repeat(16, 0).repeat(16, 1) for picture in noise), 25)
    monkeypatch.setattr(videos, "cpus", lambda: processors)
    monkeypatch.setattr(videos, "write_video", full)
    (tmp_path / "videos").mkdir()
    maker = VideoMaker(Recipe("folder", tmp_path, None, None, {}, 64, Finding(False, 1, 0.1)), tmp_path, None, 1)
    before = threading.active_count()
    with pytest.raises(OSError, match=r"a\.mp4") as noted:
        maker(RawVideo("a", "a", raw, None), lambda _: None)
    assert noted.value.errno == errno.ENOSPC
    assert threading.active_count() == before
    assert not video_of(tmp_path, "a").exists()
