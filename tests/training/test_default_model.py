"""The default model's making: pictures that know where their points went, and all of it end to end on a few people."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from aulight import load
from aulight.data.avatars.actions import AVATAR_AUS
from aulight.prediction.default import CAUTION
from aulight.training.default_model import augmentation, fit
from aulight.training.default_model.collection import EACH, PARTS, Collection
from aulight.training.default_model.score import table_of

Command = Callable[..., Any]


def test_points_go_where_the_picture_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oracle is a white spot on black at a known place, found again as the brightest place of what came of it."""
    for name in ("_covered", "_lit", "_coarse", "_noisy", "_compressed"):
        monkeypatch.setattr(augmentation, name, lambda frames: frames)
    torch.manual_seed(0)
    count, places = 24, np.random.default_rng(0).integers(36, 60, (24, 2))
    pictures, known = torch.zeros(count, 96, 96, 3, dtype=torch.uint8), torch.zeros(count, PARTS["others"].stop)
    for k, (x, y) in enumerate(places.tolist()):
        pictures[k, y - 1 : y + 2, x - 1 : x + 2] = 255
        spot = torch.tensor([(x + 0.5) / 96, (y + 0.5) / 96])
        known[k, PARTS["points"]] = spot.repeat(PARTS["points"].stop // 2)[
            : PARTS["points"].stop - PARTS["points"].start
        ]
    known[:, PARTS["left"]] = 1
    changed = fit._changed(pictures, known)
    swapped = changed["right"][:, 0] == 1
    assert 0 < swapped.sum() < count
    spread = changed["frames"].mean(1).flatten(1)
    found = torch.stack([spread.argmax(1) % 72, spread.argmax(1) // 72], 1)
    told = (changed["points"].reshape(count, -1, 2)[:, 0] + 1) * 36 - 0.5
    assert (told - found).abs().max() < 1.6


def test_changed_pictures_are_pictures() -> None:
    torch.manual_seed(0)
    pictures = torch.randint(0, 256, (64, 96, 96, 3), dtype=torch.uint8)
    frames, where, mirrored = augmentation.augment(pictures, 72)
    assert frames.shape == (64, 3, 72, 72)
    assert where.shape == (64, 2, 3)
    assert 10 < int(mirrored.sum()) < 54
    assert (frames.min().item(), frames.max().item()) == (0, 1)
    assert bool(torch.isfinite(frames).all())


def test_a_table_of_scores() -> None:
    one = {"icc": np.full(20, 0.5), "pearson": np.full(20, -0.25), "rest": np.arange(20) / 10}
    other = {name: np.where(np.arange(20) == 4, np.nan, values) for name, values in one.items()}
    lines = table_of({"table": other, "default": one}).splitlines()
    assert lines[0] == "| AU | | table, ICC (r) | default, ICC (r) |"
    assert lines[2] == "| 1 | inner brow raiser | .50 (-.25) | .50 (-.25) |"
    assert lines[6] == "| 6 | cheek raiser | – | .50 (-.25) |"
    assert lines[-3].endswith("| .46 (-.23) | .50 (-.25) |"), "11 of 12 are read"
    assert lines[-2].endswith("the mean of all AUs | 0.98 | 0.95 |")
    assert lines[-1].endswith("the highest of all AUs | 1.90 | 1.90 |")


@pytest.mark.slow
def test_it_is_made_from_nothing(tmp_path: Path) -> None:
    """Six people, eight steps."""
    command = [sys.executable, "-m", "aulight.training.default_model", "make", "--folder", str(tmp_path / "made")]
    command += ["--people", "6", "--held-out", "2", "--tested", "1", "--steps", "8"]
    command += ["--output", str(tmp_path / "small.aulight")]
    subprocess.run(command, check=True, capture_output=True)
    collection = Collection(tmp_path / "made" / "portraits", 6, 1)
    assert collection.there.all()
    assert collection.pictures[3].std() > 10
    model = load(tmp_path / "small.aulight")
    assert tuple(model.aus) == AVATAR_AUS
    assert (model.description.subjects.train, model.description.labelled_frames) == (4, 4 * EACH)
    assert model.description.caution == CAUTION
    assert np.isfinite(model.scorer().push(collection.pictures[0])).all()
    refused = subprocess.run([*command[:-4], "--steps", "1", "--people", "2"], check=False, capture_output=True)
    assert refused.returncode == 1
    assert refused.stderr.decode().startswith("aulight: --people 2: more than --held-out")


@pytest.mark.slow
def test_stage_two_starts_from_it(aulight: Command, tiny_finetune: list[str], tmp_path: Path) -> None:
    """The run says so under an arm of its own, and learned a network of its kind."""
    outcome = aulight(*tiny_finetune, "pretrained=default", f"root={tmp_path}")
    assert outcome.status == 0, outcome.err
    (folder,) = tmp_path.iterdir()
    assert "default_model" in folder.name
    record = yaml.safe_load((folder / "run.yaml").read_text())
    assert (record["arm"], record["stage_one"]["dataset"]) == ("default_model", "portraits")
    assert record["stage_one"]["subjects"] == load("default").description.subjects.train
    assert load(folder).description.encoder == load("default").description.encoder
