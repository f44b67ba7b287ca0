"""Pictures are opened to be told from films and from aulight's own: once, and again when they change."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from aulight.data.marks import made_as
from aulight.data.sources.reading import read
from aulight.data.video.digest import stamp
from aulight.data.video.raw import raw_info
from aulight.data.video.several import moves
from tests.data.video.test_photos import moving, save


def test_listing_a_folder_of_pictures_opens_each_of_them_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once for what it was made as, and once for whether it moves, however often the folder is asked about."""
    folder = save(tmp_path / "raw" / "film", moving(6))
    opened, plain = Counter[str](), Path.open

    def counted(path: Path, *given: Any, **named: Any) -> Any:
        opened[path.name] += 1
        return plain(path, *given, **named)

    monkeypatch.setattr(Path, "open", counted)
    data = read("folder", tmp_path / "raw", (), None, fps=25, pictures="film")
    for video in data.videos:
        assert raw_info(video.path, video.fps).frames == 6
        assert stamp(video.path).size == sum(path.stat().st_size for path in folder.iterdir())
    assert opened == dict.fromkeys((f"{number:04d}.png" for number in range(6)), 2)


def test_what_has_changed_is_looked_at_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    pictures = [Image.fromarray(np.full((8, 8, 3), grey, np.uint8)) for grey in (0, 90)]
    for number in (1, 2, 1):
        pictures[0].save(path, save_all=number > 1, append_images=pictures[1:number])
        assert moves(path) == (number > 1)
    assert made_as(path) is None
    path.write_bytes(path.read_bytes() + b"made by aulight: overlay")
    assert made_as(path) == "overlay"
    path.unlink()
    with pytest.raises(FileNotFoundError):
        made_as(path)
    assert not moves(path)
