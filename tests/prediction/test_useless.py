"""Settings that change nothing are said in a line. Oracle: the files of the same command without them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest

from aulight.data.video.write import write_video
from tests.data.faces.astronaut import ASTRONAUT, film

Command = Callable[..., Any]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    write_video(folder / "clip.mp4", (frame.image for frame in film(4)), 25.0)
    cv2.imwrite(str(folder / "photo.png"), ASTRONAUT[..., ::-1])
    return folder


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("clip.mp4", "fps=5", "fps=5 is for pictures: these frames come 25 a second; rate=5 scores so many"),
        ("clip.mp4", "pictures=photos", "pictures=photos changes nothing: it is for folders of pictures"),
        ("clip.mp4", "workers=4", "workers=4 changes nothing: one video is scored by one process"),
        ("clip.mp4", "precision=bf16", "precision=bf16 changes nothing: a table has no network"),
        ("photo.png", "elan=true", "photos are scored one by one: elan=true is for films"),
        ("photo.png", "pictures=film", "pictures=film changes nothing: it is for folders of pictures"),
        ("photo.png", "baseline=person", "photos are scored as they are: baseline=person is for films"),
        ("photo.png", "every=2", "photos are scored one by one: every is for films"),
    ],
)
def test_what_changes_nothing_is_said(
    inputs: Path, name: str, given: str, said: str, aulight: Command, tmp_path: Path
) -> None:
    command = ["predict", "model=table", f"input={inputs / name}"]
    plain = aulight(*command, f"output={tmp_path}/plain")
    asked = aulight(*command, f"output={tmp_path}/asked", given)
    assert (plain.status, asked.status) == (0, 0), asked.err
    assert f"  note: {said}\n" in asked.out
    assert said not in plain.out
    tables = [(tmp_path / folder / name).with_suffix(".csv").read_text() for folder in ("plain", "asked")]
    assert tables[0] == tables[1]
    files = [sorted(path.name for path in (tmp_path / folder).iterdir()) for folder in ("plain", "asked")]
    assert files[0] == files[1]


def test_what_is_of_use_is_not_complained_of(inputs: Path, aulight: Command, tmp_path: Path) -> None:
    outcome = aulight(
        "predict", "model=table", f"input={inputs}", f"output={tmp_path}", "workers=1", "fps=25", "device=auto"
    )
    assert outcome.status == 0, outcome.err
    assert "changes nothing" not in outcome.out
    assert "is for" not in outcome.out
