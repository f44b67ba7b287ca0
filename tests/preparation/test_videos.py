"""Which raw videos are still to be made; real files, and what is opened is counted."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aulight.data.sources.raw import RawVideo
from aulight.data.video.raw import raw_info
from aulight.data.video.types import Frames, RawInfo
from aulight.data.video.write import write_video
from aulight.preparation import videos
from aulight.preparation.recipe import Recipe
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
