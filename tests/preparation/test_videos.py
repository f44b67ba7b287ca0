"""Raw videos to prepared ones: what is said when one cannot be written, and who is at work then."""

import errno
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aulight.data.sources.raw import RawVideo
from aulight.data.video.types import Frames
from aulight.data.video.write import write_video
from aulight.preparation import videos
from aulight.preparation.recipe import Finding, Recipe
from aulight.preparation.videos import VideoMaker, video_of


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
