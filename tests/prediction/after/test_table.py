"""A person's rest over a film, taken away from a table. Oracle: numpy, one person and AU after the other."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from aulight.prediction.after.table import take_rest_away

Array = npt.NDArray[np.float64]


def above_rest(values: Array) -> Array:
    """Less what a tenth of the values that are there lie at or below."""
    known = np.sort(values[~np.isnan(values)])
    rest = known[int(np.ceil(0.1 * len(known))) - 1] if len(known) else 0.0
    return np.clip(values - rest, 0, 5)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_rest_is_of_what_is_said_and_presence_follows(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(3)
    frames = 60
    table = pd.DataFrame(
        {
            "frame": np.repeat(np.arange(1, frames + 1), 2),
            "face_id": np.tile([0, 1], frames),
            "timestamp": np.repeat(np.arange(frames) / 25, 2),
            "confidence": 1.0,
            "success": 1,
            "AU01_r": np.tile([0.8, 2.5], frames) + rng.random(2 * frames).round(3) * 2,
            "AU02_r": np.nan,
        }
    )
    table.loc[rng.choice(2 * frames, 50, replace=False), "AU01_r"] = np.nan  # of faces that are seen badly
    table["AU01_c"] = np.where(table["AU01_r"].isna(), np.nan, table["AU01_r"] >= 1.5)
    table["AU02_c"] = np.nan
    file, made = tmp_path / f"film.{kind}", tmp_path / f"made.{kind}"
    if kind == "csv":
        table.to_csv(file, index=False)
    else:
        table.to_parquet(file, index=False)
    rests = take_rest_away(file, made, present_from=1.5)
    found = pd.read_csv(made) if kind == "csv" else pd.read_parquet(made)
    for person in (0, 1):
        mine, expected = (
            found[found["face_id"] == person],
            above_rest(table[table["face_id"] == person]["AU01_r"].to_numpy()),
        )
        np.testing.assert_allclose(mine["AU01_r"], expected, atol=2e-3)
        clear = np.abs(expected - 1.5) > 2e-3  # or unknown, which is never clear
        np.testing.assert_array_equal(mine["AU01_c"].to_numpy()[clear], (expected >= 1.5)[clear])
        assert clear.sum() > 20
        np.testing.assert_array_equal(mine["AU01_c"].isna(), mine["AU01_r"].isna())
        assert rests[str(person)]["AU02"] == 0
    assert found[["AU02_r", "AU02_c"]].isna().all(axis=None)
    assert found["AU01_c"].min() == 0, "whoever is at rest does not show it"
