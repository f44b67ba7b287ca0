"""How faces lie in a dataset: its words on disk, and what follows from them when a model of it meets a video."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from aulight.data.alignment import Alignment, finds_faces

Command = Callable[..., Any]

WORDS = {
    "TEMPLATE": "eyes and nose to a template, upright",
    "AS_THEY_CAME": "as they came",
    "DRAWN": "drawn aligned, eyes level",
}
"""Of the files that version 0.1.0 wrote."""


def test_words_are_those_that_are_on_disk() -> None:
    assert {alignment.name: alignment.value for alignment in Alignment} == WORDS


@pytest.mark.parametrize(
    ("alignment", "finds"),
    [
        *((word, name == "TEMPLATE") for name, word in WORDS.items()),
        ("laid on a mean face", False),
        ("Eyes and nose to a template, upright", False),
        ("", False),
        (None, False),
    ],
)
def test_faces_are_found_for_models_of_found_faces_alone(alignment: str | None, finds: bool) -> None:
    assert finds_faces(alignment) is finds


@pytest.mark.parametrize("faces", ["mediapipe", "none"])
def test_prepare_writes_the_words(
    faces: str, aulight: Command, folder_tree: Callable[..., Path], tmp_path: Path
) -> None:
    """Oracle: yaml's own reading of what is on disk."""
    folder_tree(tmp_path / "raw", frames=4, real=True)
    outcome = aulight(
        "prepare", f"data.source={tmp_path}/raw", f"data.root={tmp_path}/data", f"data.faces={faces}", "workers=1"
    )
    assert outcome.status == 0, outcome.err
    said = yaml.safe_load((tmp_path / "data/dataset.yaml").read_text())["alignment"]
    assert said == WORDS["TEMPLATE" if faces == "mediapipe" else "AS_THEY_CAME"]


def test_the_drawn_dataset_writes_the_words(smoke_data: Path) -> None:
    """Oracle: as above."""
    assert yaml.safe_load((smoke_data / "dataset.yaml").read_text())["alignment"] == WORDS["DRAWN"]
