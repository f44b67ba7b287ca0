"""The video with bars says what the table says, also where a person's rest was taken away. Oracle: the table."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from aulight.data.video.raw import raw_frames
from aulight.data.video.types import Frames
from aulight.data.video.write import write_video
from aulight.drawing.annotate import Shown, annotate
from aulight.prediction import overlay
from tests.data.faces.astronaut import couple, film

Command = Callable[..., Any]
Drawn = tuple[Sequence[Shown], str]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Drawn]:
    """What was drawn into each frame, and the moment below it."""
    told = list[Drawn]()

    def listening(image: Frames, columns: Sequence[str], shown: Sequence[Shown], note: str, moment: str) -> Frames:
        told.append((shown, moment))
        return annotate(image, columns, shown, note, moment)

    monkeypatch.setattr(overlay, "annotate", listening)
    return told


def _says(table: pd.DataFrame, drawn: list[Drawn]) -> None:
    """Whether what was drawn is what stands in the table."""
    aus = [str(name)[:-2] for name in table if str(name).endswith("_r")]
    for (frame, rows), (shown, moment) in zip(table.groupby("frame"), drawn, strict=True):
        assert moment.endswith(f"frame {frame}")
        assert [face.face_id for face in shown] == rows.loc[rows["success"] == 1, "face_id"].tolist()
        for face in shown:
            row = rows[rows["face_id"] == face.face_id].iloc[0]
            for kind, values in (("r", face.values), ("lo", face.low), ("hi", face.high)):
                if f"{aus[0]}_{kind}" in table:
                    said = row[[f"{au}_{kind}" for au in aus]].to_numpy(float)
                    assert values is not None
                    np.testing.assert_allclose(values, said, rtol=0, atol=1e-5)
                else:
                    assert values is None


@pytest.mark.parametrize(
    "given",
    [["model=table", "faces.all=true", "every=2", "start=0.1", "format=parquet"], ["coverage=0.9", "min_quality=0.2"]],
)
def test_bars_are_what_the_table_says(aulight: Command, tmp_path: Path, drawn: list[Drawn], given: list[str]) -> None:
    """Of two people by the table of rules, and of one by a model with intervals; boxes are where they always are."""
    table, several = "model=table" in given, tmp_path / "film.mp4"
    write_video(several, (frame.image for frame in (couple(0, range(0), 16) if table else film(10))), 25.0)
    command = ["predict", f"input={several}", "overlay=true", *given]
    tables, told = [], []
    for baseline in ("none", "person"):
        drawn.clear()
        outcome = aulight(*command, f"baseline={baseline}", f"output={tmp_path / baseline}")
        assert outcome.status == 0, outcome.err
        file = next(path for path in (tmp_path / baseline).glob("film.*") if path.suffix in (".csv", ".parquet"))
        tables.append(pd.read_csv(file) if file.suffix == ".csv" else pd.read_parquet(file))
        told.append(list(drawn))
        _says(tables[-1], drawn)
        times = [frame.time_s for frame in raw_frames(tmp_path / baseline / "film.overlay.mp4")]
        expected = tables[-1].drop_duplicates("frame")["timestamp"] - (0.1 if table else 0.0)
        np.testing.assert_allclose(times[1:], expected[1:], atol=2e-3)
    assert (tables[0]["AU12_r"] - tables[1]["AU12_r"]).max() > 0.05, "else it says nothing"
    for (before, _), (after, _) in zip(*told, strict=True):
        for one, other in zip(before, after, strict=True):
            np.testing.assert_array_equal(one.matrix, other.matrix)
            assert one.size == other.size
