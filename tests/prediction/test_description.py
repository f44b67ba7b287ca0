"""What is said of a model: read from files of this version, of the one before and of later ones."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from aulight.data.alignment import Alignment
from aulight.errors import AulightError
from aulight.nets.encoder import Encoder
from aulight.prediction.description import ModelDescription
from aulight.prediction.loading import load

BEFORE = [
    "format_version", "written_by", "created", "name", "aus", "architecture", "stride", "normalisation", "crop_size",
    "alignment", "dataset", "stage_one", "arm", "fold", "label_fraction", "labelled_frames", "label_seed", "seed",
    "subjects", "validation", "test", "intervals", "versions",
]  # fmt: skip
"""The keys that version 0.1.0 wrote, in their order."""


@pytest.fixture
def said(finetuned: Path) -> dict[str, Any]:
    """What the header of the model's file says, as JSON has it."""
    return dict(json.loads(load(finetuned).description.header()["aulight"]))


def _read(said: dict[str, Any]) -> ModelDescription:
    return ModelDescription.read(json.dumps(said), Path("model.aulight"))


def test_a_header_of_before_is_read_and_written_again_as_it_was(said: dict[str, Any]) -> None:
    assert list(said) == [*BEFORE[:7], "step_s", "primed", *BEFORE[7:]]
    said = {key: said[key] for key in BEFORE}
    about = _read(said)
    assert (about.seconds_a_step, about.primed) == (4 / 25, 0)
    assert about.smooth_s == 0.1, "all that was ever done then"
    assert json.loads(about.header()["aulight"]) == said
    assert json.loads(_read(said | {"licence": "mine"}).header()["aulight"]) == said | {"licence": "mine"}


def test_what_is_not_known_is_kept(said: dict[str, Any]) -> None:
    """A later aulight may say more without another format; only of the network nothing may be passed over."""
    more = said | {"camera": {"maker": "x"}, "dataset": said["dataset"] | {"licence": "theirs"}}
    assert json.loads(_read(more).header()["aulight"]) == more
    with pytest.raises(ValueError, match=r"'architecture.heads'"):
        _read(said | {"architecture": said["architecture"] | {"heads": 2}})


@pytest.mark.parametrize(
    ("alignment", "finds"),
    [(Alignment.TEMPLATE, True), (Alignment.DRAWN, False), ("of their own", False), (None, False)],
)
def test_whether_faces_are_found_follows_from_the_alignment(
    alignment: str | None, finds: bool, said: dict[str, Any]
) -> None:
    about = _read(said | {"alignment": alignment})
    assert (about.finds_faces, about.plain()["alignment"]) == (finds, alignment)
    assert type(about.plain()["alignment"]) in (str, type(None))
    del said["alignment"]
    assert not _read(said).finds_faces


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"format_version": None}, "'format_version'"),
        ({"aus": "all"}, "'aus'"),
        ({"smooth_s": -1}, "'smooth_s'"),
        ({"crop_size": None}, "'crop_size'"),
        ({"test": {"icc": 0.5}}, "'test.labelled_frames' is missing"),
    ],
)
def test_what_is_no_description(change: dict[str, Any], problem: str, said: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError), match=problem):
        _read(said | change)


def test_a_newer_format_is_refused_whatever_is_in_it() -> None:
    text = json.dumps({"format_version": 2, "written_by": "aulight 9.1.0"})
    with pytest.raises(AulightError, match=r"format 2, written by aulight 9\.1\.0"):
        ModelDescription.read(text, Path("model.aulight"))


def test_the_encoder_is_the_one_that_was_trained(finetuned: Path) -> None:
    """Oracle: the hyper-parameters of the checkpoint."""
    saved = torch.load(finetuned / "checkpoints" / "best.ckpt", weights_only=True)
    model = load(finetuned)
    assert model.network is not None
    encoder = model.network["encoder"]
    assert isinstance(encoder, Encoder)
    assert model.description.encoder == encoder.config
    plain = {
        key: list(value) if key in ("mean", "std") else value for key, value in encoder.config.model_dump().items()
    }
    trained = saved["hyper_parameters"]["encoder"]
    assert plain == {key: list(value) if key in ("mean", "std") else value for key, value in trained.items()}
