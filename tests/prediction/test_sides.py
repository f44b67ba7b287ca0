"""Left and right of AUs, by the table. Oracle: avatars who move one side of the face, and the same mirrored."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import aulight as package
from aulight.data.avatars.sheet import Sitter
from aulight.data.faces.pose import BLENDSHAPES
from aulight.data.video.types import Frames
from aulight.data.video.write import write_video
from aulight.errors import AulightError
from aulight.prediction.loading import load
from aulight.prediction.rest import Rest
from aulight.prediction.untrained import SIDED, SIDES, TABLE, intensities, sides
from tests.prediction.made import description, sealed, weights

Command = Callable[..., Any]

ONLY_TABLE = "columns=[sides]: only model=table tells left from right; other models say one intensity of both sides"


@pytest.fixture(scope="module")
def sitter() -> Sitter:
    return Sitter(0, 50, 256)


def _shown(sitter: Sitter, intensities: dict[int, float]) -> Frames:
    """A picture with room around the face; negative numbers are of the person's own left alone."""
    return np.pad(sitter.shows(intensities), ((64, 64), (64, 64), (0, 0)), mode="edge")


@pytest.fixture(scope="module")
def film(sitter: Sitter, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """At rest for twenty frames, then smiling on the left for ten."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    rest, smile = _shown(sitter, {}), _shown(sitter, {-12: 5})
    write_video(path, iter([rest] * 20 + [smile] * 10), 25.0)
    return path


def test_both_sides_make_the_intensity() -> None:
    """Of any scores: exactly their mean; and those that have sides are all that stand for one pair of scores."""
    scores = np.random.default_rng(0).random((50, len(BLENDSHAPES))).astype(np.float32)
    aus = sorted(TABLE)
    for one in scores:
        both, whole = sides(one).reshape(-1, 2), intensities(one)
        whole = whole[~np.isnan(whole)]  # AU06 and AU09 say nothing
        np.testing.assert_allclose(both.mean(1), whole[[aus.index(au) for au in SIDED]], rtol=0, atol=1e-6)
    assert list(SIDED) == [2, 4, 5, 7, 10, 12, 14, 15, 20, 24, 45]
    left_smile = np.array([name == "mouthSmileLeft" for name in BLENDSHAPES], np.float32)
    assert dict(zip(SIDES, sides(left_smile).tolist(), strict=True)) == dict.fromkeys(SIDES, 0.0) | {"AU12_left": 5.0}


@pytest.mark.parametrize(("shown", "au"), [(12, 12), (2, 2), (43, 45)])
def test_the_side_that_moves_reads_higher(sitter: Sitter, shown: int, au: int) -> None:
    """The person's own left, which is on the right of the picture; in a mirror it is the other one."""
    rest, one, both = (_shown(sitter, shows) for shows in ({}, {-shown: 5.0}, {shown: 5.0}))
    photos = np.stack([rest, one, both, rest[:, ::-1], one[:, ::-1]])
    said = package.load("table").predict(photos, pictures="photos", columns=["sides"])
    left, right = said[f"AU{au:02d}_left"].to_numpy(), said[f"AU{au:02d}_right"].to_numpy()
    assert left[1] - left[0] > right[1] - right[0] + 0.7  # than at rest, which is not at 0
    assert right[4] - right[3] > left[4] - left[3] + 0.7
    assert min(left[2] - left[0], right[2] - right[0]) > 1
    assert abs((left[2] - left[0]) - (right[2] - right[0])) < 0.7
    np.testing.assert_allclose((left + right) / 2, said[f"AU{au:02d}_r"], atol=1e-6)


def test_the_table_of_a_film_has_both(aulight: Command, film: Path, tmp_path: Path) -> None:
    """In order; empty without intensities; and each less its own rest. Oracle of rest: numpy's quantile of the table's
    own columns, and of rest so far the counting that tests/prediction/test_untrained.py has an oracle for."""
    command = ["predict", f"input={film}", "model=table", "columns=[sides,presence,quality]"]
    assert aulight(*command, f"output={tmp_path}/plain").status == 0
    table = pd.read_csv(tmp_path / "plain/film.csv")
    names = list(table.columns)
    first = names.index("AU02_left")
    assert (names[first - 1], names[first : first + len(SIDES)], names[first + len(SIDES)]) == (
        "AU45_r",
        SIDES,
        "AU01_c",
    )
    assert table["AU12_left"].iloc[22:].min() > table["AU12_right"].iloc[22:].max() + 1
    for au in SIDED:
        mean = (table[f"AU{au:02d}_left"] + table[f"AU{au:02d}_right"]) / 2
        np.testing.assert_allclose(mean, table[f"AU{au:02d}_r"], atol=2e-6)

    assert aulight(*command, f"output={tmp_path}/person", "baseline=person").status == 0
    person = pd.read_csv(tmp_path / "person/film.csv")
    rest = table[SIDES].quantile(0.1, interpolation="lower")
    np.testing.assert_allclose(person[SIDES], np.maximum(table[SIDES] - rest, 0), atol=0.02)
    assert aulight(*command, f"output={tmp_path}/rest", "baseline=rest").status == 0
    so_far = Rest(len(SIDES))
    expected = np.stack([so_far.above(row) for row in table[SIDES].to_numpy(np.float32)])
    np.testing.assert_allclose(pd.read_csv(tmp_path / "rest/film.csv")[SIDES], expected, atol=0.0011)

    assert aulight(*command, f"output={tmp_path}/none", "min_quality=1").status == 0
    assert pd.read_csv(tmp_path / "none/film.csv")[SIDES].isna().all(axis=None)


def test_who_has_no_sides_says_so(aulight: Command, film: Path, tmp_path: Path) -> None:
    refused = aulight("predict", f"input={film}", f"output={tmp_path}/out", "columns=[box,sides]")
    assert (refused.status, refused.err.strip()) == (2, f"aulight: {ONLY_TABLE}")
    assert not (tmp_path / "out").exists()
    model = load(sealed(tmp_path / "made.aulight", description(), weights()))
    with pytest.raises(AulightError) as told:
        model.predict(film, columns=["sides"])
    assert str(told.value) == ONLY_TABLE
