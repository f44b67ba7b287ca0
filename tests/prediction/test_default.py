"""The model in the box: what it is, that it is used, and what is said of it. The oracle is a photograph of a smile."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import skimage.data

from aulight import load
from aulight.data.avatars.actions import AVATAR_AUS
from aulight.errors import AulightError
from aulight.prediction import default
from aulight.prediction.card import model_card
from aulight.prediction.companion import Companion
from aulight.prediction.default import CAUTION, FILE

Command = Callable[..., Any]


def _woman() -> npt.NDArray[np.uint8]:
    return np.asarray(skimage.data.astronaut(), np.uint8)  # type: ignore[no-untyped-call]


@pytest.fixture(scope="module")
def smile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("smile") / "smile.png"
    cv2.imwrite(str(file), cv2.cvtColor(_woman(), cv2.COLOR_RGB2BGR))
    return file


def test_it_is_small_and_knows_what_it_is() -> None:
    model = load("default")
    assert model.file == FILE
    assert FILE.stat().st_size < 3_000_000
    assert tuple(model.aus) == AVATAR_AUS
    assert model.intervals is not None
    assert model.description.finds_faces
    assert model.description.caution == CAUTION
    card = model_card(model.description)
    assert f"It has {CAUTION}." in card
    assert "Apache-2.0" in card
    assert "rendered" in CAUTION


def test_a_smile_is_read_as_one(smile: Path) -> None:
    """And her lips are parted; what she does not do is below that, but for her wide eyes, which are read as AU05."""
    (row,) = load("default").predict(smile).to_dict("records")
    assert min(row["AU12_r"], row["AU25_r"]) > 2
    assert max(row[f"AU{au:02d}_r"] for au in (4, 9, 10, 15, 17, 18, 20, 23, 24, 26, 28, 43)) < 1


def test_it_is_used_when_nothing_else_is_given(aulight: Command, smile: Path, tmp_path: Path) -> None:
    outcome = aulight("predict", f"input={smile}", f"output={tmp_path}", "plot=true", "explain=12")
    assert outcome.status == 0, outcome.err
    assert f"  note: the model default {CAUTION}\n" in outcome.out
    told = Companion.model_validate_json((tmp_path / "smile.json").read_bytes())
    assert (told.model.kind, told.model.file, told.model.note) == ("trained", str(FILE.resolve()), CAUTION)
    table = pd.read_csv(tmp_path / "smile.csv")
    expected = load("default").predict(smile)
    found = [f"AU{au:02d}_r" for au in AVATAR_AUS]
    np.testing.assert_allclose(table[found], expected[found], atol=1e-3)
    assert table["AU12_lo"].notna().all()
    again = aulight("predict", "model=default", f"input={smile}", f"output={tmp_path}", "plot=true", "explain=12")
    assert "1 done before" in again.out, "it is the same model under its name"


def test_the_table_is_there_under_its_name(aulight: Command, smile: Path, tmp_path: Path) -> None:
    assert aulight("predict", "model=table", f"input={smile}", f"output={tmp_path}").status == 0
    told = Companion.model_validate_json((tmp_path / "smile.json").read_bytes())
    assert told.model.kind == "blendshapes"
    assert "AU45_r" in pd.read_csv(tmp_path / "smile.csv")


def test_light_and_contrast_do_not_matter(smile: Path) -> None:
    """Half as bright and half the contrast; only rounding to 8 bits is left."""
    small = cv2.resize(_woman()[20:180, 140:300], (96, 96), interpolation=cv2.INTER_AREA)
    picture, dim = np.asarray(small, np.uint8), (0.5 * small.astype(float) + 20).astype(np.uint8)
    read = [load("default").scorer().push(one[None])[0] for one in (picture, dim)]
    assert np.abs(read[0] - read[1]).max() < 0.5


def test_without_one_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(default, "FILE", tmp_path / "nothing.aulight")
    with pytest.raises(AulightError, match=r"^model=default: this copy of aulight has none; .* model=table"):
        load("default")
